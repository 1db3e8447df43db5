"""Constraints on the probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptywidgets.engine.params import Params, param

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State


@dataclass(frozen=True)
class ProbeCentre(Params):
    """Keep the probe's centre of mass in the middle; object and probe could else drift together."""

    acts_on = "probe"

    def prepare(self, problem: Problem) -> Callable[[State], State]:
        xp = problem.backend.xp
        ny, nx = problem.first_probe.shape[-2:]
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

    def prepare(self, problem: Problem) -> Callable[[State], State]:
        backend = problem.backend
        xp = backend.xp
        aperture = xp.abs(backend.fft2(backend.to_device(problem.first_probe).copy()))

        def apply(state: State) -> State:
            spectrum = backend.fft2(state.probe.copy())
            amplitude = xp.maximum(xp.abs(spectrum), np.float32(1e-12))
            return state.replace(probe=backend.ifft2((spectrum * (aperture / amplitude)).astype(np.complex64)))

        return apply


@dataclass(frozen=True)
class ProbeSupport(Params):
    """Nothing of the probe beyond a radius: removes what piles up at the edge of its box."""

    radius: float = param(0.45, low=0.05, high=0.75, step=0.01, doc="Radius as a share of the box.")

    acts_on = "probe"

    def prepare(self, problem: Problem) -> Callable[[State], State]:
        ny, nx = problem.first_probe.shape[-2:]
        inside = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.fftfreq(nx)[None]) <= self.radius
        mask = problem.backend.to_device(inside.astype(np.float32))
        return lambda state: state.replace(probe=state.probe * mask)
