"""Detectors: from the exit wave to the detector plane, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.models.geometry import phase_factors
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
            backend.ramp(exits, *_ramps(backend, shifts, exits.shape[-2:], 1, exits.dtype))
        return backend.fft2(exits)

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array:
        """The adjoint, which is also the inverse; works in the memory of `residual`."""
        waves = backend.ifft2(residual)
        if shifts is not None:
            backend.ramp(waves, *_ramps(backend, shifts, waves.shape[-2:], -1, waves.dtype))
        return waves


def _ramps(backend: Backend, shifts: Array, shape: tuple[int, int], sign: int, dtype: Any) -> tuple[Array, Array]:
    """exp(sign 2 pi i s.r / N) as rows (B, Ny) and columns (B, Nx), with r counted from the middle of the window."""
    xp = backend.xp
    rows, columns = (
        phase_factors(backend, shifts[:, axis], (sign * 2 * np.pi / n) * (xp.arange(n) - n // 2), dtype)
        for axis, n in enumerate(shape)
    )
    return rows, columns
