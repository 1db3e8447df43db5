"""Constraints on the probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.optics.modes import orthogonalise


@dataclass(frozen=True)
class ProbeCentre(Params):
    """Keep the probe's centre of mass in the middle; object and probe could else drift together."""

    acts_on = "probe"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        xp = problem.backend.xp
        ny, nx = problem.initial_probe.shape[-2:]
        y, x = xp.fft.fftfreq(ny, 1 / ny), xp.fft.fftfreq(nx, 1 / nx)
        ky, kx = xp.fft.fftfreq(ny), xp.fft.fftfreq(nx)

        def apply(state: State) -> State:
            intensity = (xp.abs(state.probe) ** 2).sum(0)
            total = intensity.sum()
            cy, cx = (intensity.sum(1) * y).sum() / total, (intensity.sum(0) * x).sum() / total
            ramp = xp.exp(2j * np.pi * (ky[:, None] * cy + kx[None] * cx)).astype(np.complex64)
            return state.replace(probe=problem.backend.ifft2(problem.backend.fft2(state.probe.copy()) * ramp))

        return apply


@dataclass(frozen=True)
class ProbeAperture(Params):
    """Keep the probe's amplitude in the aperture as it was at the start (measured or ideal); only its phase is free."""

    acts_on = "probe"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        backend = problem.backend
        xp = backend.xp
        aperture = xp.abs(backend.fft2(backend.to_device(problem.initial_probe).copy()))

        def apply(state: State) -> State:
            spectrum = backend.fft2(state.probe.copy())
            amplitude = xp.maximum(xp.abs(spectrum), np.float32(1e-12))
            return state.replace(probe=backend.ifft2((spectrum * (aperture / amplitude)).astype(np.complex64)))

        return apply


@dataclass(frozen=True)
class ProbeSupport(Params):
    """Nothing of the probe beyond a radius: removes what piles up at the edge of its box.

    With a width, a soft edge: 1/2 erfc(sqrt(pi) (r - radius) / width), which falls by 1 / width at the radius.
    """

    radius: float = param(0.45, low=0.05, high=0.75, step=0.01, doc="Radius as a share of the box.")
    width: float = param(0.0, low=0, high=0.5, step=0.01, doc="Width of the edge as a share of the box; 0 is a step.")

    acts_on = "probe"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        ny, nx = problem.initial_probe.shape[-2:]
        r = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.fftfreq(nx)[None])
        if self.width > 0:
            inside = special.erfc(np.sqrt(np.pi) / self.width * (r - self.radius)) / 2
        else:
            inside = r <= self.radius
        mask = problem.backend.to_device(inside.astype(np.float32))
        return lambda state: state.replace(probe=state.probe * mask)


@dataclass(frozen=True)
class ProbeIntensity(Params):
    """As many counts in the probe as in the mean pattern: right where the specimen absorbs and scatters out nothing."""

    acts_on = "probe"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        def apply(state: State) -> State:
            total = intensity_of(state.probe)
            scale = (problem.mean_intensity / total) ** 0.5 if total > 0 else 1.0
            return state.replace(probe=state.probe * np.float32(scale))

        return apply


@dataclass(frozen=True)
class ProbeOrthogonality(Params):
    """Probe modes at right angles to each other, the brightest first; a single mode stays as it is.

    See :func:`ptywidgets.engine.optics.modes.orthogonalise`: no pattern changes by it.
    """

    acts_on = "probe"
    needs = "modes"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        xp = problem.backend.xp
        return lambda state: state.replace(probe=orthogonalise(state.probe, xp))


def intensity_of(probe: Array) -> float:
    """Sum of abs(P)^2 over pixels and modes, in double precision."""
    return float((probe.real**2 + probe.imag**2).sum(dtype=np.float64))
