"""Filters of the object in its plane, slice by slice; nothing is mixed along the beam.

Each multiplies Fourier coefficients by a transfer function of the spatial frequency, that of rows and of columns by
their own sampling. Of a complex object O the amplitudes are filtered as they are, and the phases become those of the
filtered O: they need no unwrapping, small ones are filtered like a potential, and a pure phase object stays one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class GaussianFilter(Params):
    """Blur every slice by a Gaussian."""

    sigma: float = param(0.2, unit="A", low=0, high=20, step=0.05, doc="Standard deviation of the Gaussian.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        q2 = frequencies(problem) ** 2
        return _filtered(problem, np.exp(-2 * np.pi**2 * self.sigma**2 * q2))


@dataclass(frozen=True)
class ButterworthFilter(Params):
    """Damp frequencies above a limit, or below another one; the mean of every slice stays.

    H(q) = 1 / (1 + (q / q_high)^2n) * (1 - 1 / (1 + (q / q_low)^2n)).
    """

    q_high: float | None = param(1.0, unit="1/A", low=0.01, high=10, doc="Half is left here and less above; or none.")
    q_low: float | None = param(None, unit="1/A", low=0.0001, high=1, doc="Half is left here and less below; or none.")
    order: int = param(2, low=1, high=8, doc="How steep the edges are, n.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        q = frequencies(problem)
        transfer = np.ones_like(q)
        if self.q_high is not None:
            transfer /= 1 + (q / self.q_high) ** (2 * self.order)
        if self.q_low is not None:
            # 1 - 1 / (1 + x) = x / (1 + x)
            x = (q / self.q_low) ** (2 * self.order)
            transfer *= x / (1 + x)
        transfer[0, 0] = 1
        return _filtered(problem, transfer)


def frequencies(problem: ReconstructionProblem) -> np.ndarray:
    """Spatial frequencies (Y, X) of the object in 1/A, in FFT order."""
    ky, kx = (np.fft.fftfreq(n, d) for n, d in zip(problem.object_shape[-2:], problem.sampling, strict=True))
    return np.hypot(ky[:, None], kx)


def _filtered(problem: ReconstructionProblem, transfer: np.ndarray) -> Callable[[State], State]:
    """Multiply the spectrum of every slice by a real, even `transfer` (Y, X)."""
    backend = problem.backend
    xp = backend.xp
    device = backend.to_device(transfer.astype(np.float32))

    def through(field: Array) -> Array:
        return backend.ifft2(backend.fft2(xp.array(field, np.complex64)) * device)

    def apply(state: State) -> State:
        obj = state.object
        if not xp.iscomplexobj(obj):
            return state.replace(object=xp.ascontiguousarray(through(obj).real, dtype=obj.dtype))
        wave = through(obj)
        amplitude = xp.maximum(through(xp.abs(obj)).real, 0)
        size = xp.abs(wave)
        direction = xp.where(size > 1e-6, wave / xp.maximum(size, np.float32(1e-6)), 1)
        return state.replace(object=(amplitude * direction).astype(obj.dtype))

    return apply
