"""Detectors: from the exit wave to the detector plane, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.protocols import Array, Backend


@dataclass(frozen=True)
class FarField:
    """Fraunhofer diffraction: the orthonormal FFT, so that counts are conserved.

    `shifts` (B, 2) in detector pixels say where the pattern's origin lies relative to pixel [0, 0]; they enter as a
    phase ramp exp(2 pi i s.r / N) on the exit wave, the exact shift of a band-limited far field.
    """

    def propagate(self, backend: Backend, exits: Array, shifts: Array | None) -> Array:
        """Waves in the detector plane (B, M, Ny, Nx); works in the memory of `exits`."""
        if shifts is not None:
            backend.ramp(exits, shifts, *_slopes(backend.xp, exits.shape[-2:], 1))
        return backend.fft2(exits)

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array:
        """The adjoint, which is also the inverse; works in the memory of `residual`."""
        waves = backend.ifft2(residual)
        if shifts is not None:
            backend.ramp(waves, shifts, *_slopes(backend.xp, waves.shape[-2:], -1))
        return waves


@lru_cache(maxsize=16)
def _slopes(xp: Any, shape: tuple[int, int], sign: int) -> tuple[Array, Array]:
    """Phase that a shift by one detector pixel makes of each row (Ny,) and column (Nx,), from the window's middle."""
    rows, columns = ((sign * 2 * np.pi / n) * (xp.arange(n) - n // 2) for n in shape)
    return rows, columns
