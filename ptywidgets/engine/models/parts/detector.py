"""Detectors: from the exit wave to the detector plane, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend
from ptywidgets.engine.models.parts.exit_wave import fresnel


@dataclass(frozen=True)
class FarField:
    """Fraunhofer diffraction: the orthonormal FFT, so that counts are conserved.

    `shifts` (B, 2) in detector pixels say where the pattern's origin lies relative to pixel [0, 0]; they enter as a
    phase ramp exp(2 pi i s.r / N) on the exit wave, the exact shift of a band-limited far field.
    """

    scalable = True  # fewer detector pixels about the origin are larger pixels of the object
    follows_window = False  # where the window lies in the object is a phase, which no far field shows

    def propagate(self, backend: Backend, exits: Array, shifts: Array | None) -> Array:
        """Waves in the detector plane (B, M, Ny, Nx); works in the memory of `exits`."""
        self.apply_shift_ramp(backend, exits, shifts)
        return backend.fft2(exits)

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array:
        """The adjoint, which is also the inverse; works in the memory of `residual`."""
        waves = backend.ifft2(residual)
        self.apply_shift_ramp(backend, waves, shifts, -1)
        return waves

    def apply_shift_ramp(self, backend: Backend, waves: Array, shifts: Array | None, sign: int = 1) -> None:
        """Multiply waves by the phase ramp of the shifts, or by its conjugate, in place."""
        if shifts is not None:
            backend.ramp(waves, shifts, *_slopes(backend.xp, waves.shape[-2:], sign))

    def moving(self, backend: Backend, far: Array, axis: int) -> None:
        """Nothing: the pattern stays where it is when a position moves."""


@dataclass(frozen=True)
class NearField:
    """Fresnel diffraction over a short way: exit waves go on through free space, and the detector is an image plane.

    Patterns are in the window's own order, pixel [0, 0] first (an origin of 0), not about an origin. The detector keeps
    still against the beam. A window begins at a whole pixel of the object, with the probe moved in it by the fraction
    d of a pixel that is left of its position, so what it shows has to be moved back by as much: the `shifts`.

    Parameters
    ----------
    distance : float
        From specimen to detector, A; with a diverging beam the effective distance z1 z2 / (z1 + z2).
    wavelength : float
        A.
    extent : (float, float)
        Size of the window in A.
    """

    distance: float
    wavelength: float
    extent: tuple[float, float]

    scalable = False
    follows_window = True

    def propagate(self, backend: Backend, exits: Array, shifts: Array | None) -> Array:
        """Waves in the detector plane (B, M, Ny, Nx), moved back by `shifts` (B, 2) px; works in the memory of
        `exits`."""
        return self._over(backend, exits, self.distance, shifts, 1)

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array:
        """The adjoint, which is the way back; works in the memory of `residual`."""
        return self._over(backend, residual, -self.distance, shifts, -1)

    def apply_shift_ramp(self, backend: Backend, waves: Array, shifts: Array | None, sign: int = 1) -> None:
        """Nothing: a plane wave that leans is not known here."""

    def moving(self, backend: Backend, far: Array, axis: int) -> Array:
        """How waves in the detector plane change with the shifts along an axis, per px."""
        k = backend.xp.fft.fftfreq(far.shape[axis - 2])
        spectrum = backend.fft2(far.copy())
        spectrum *= (2j * np.pi * (k[:, None] if axis == 0 else k[None])).astype(far.dtype)
        return backend.ifft2(spectrum)

    def _over(self, backend: Backend, waves: Array, distance: float, shifts: Array | None, sign: int) -> Array:
        spectrum = backend.fft2(waves)
        shape = tuple(waves.shape[-2:])
        spectrum *= _free_space(backend.xp, np.dtype(waves.dtype), shape, self.extent, self.wavelength, distance)
        if shifts is not None:
            backend.ramp(spectrum, shifts, *_frequencies(backend.xp, shape, sign))
        return backend.ifft2(spectrum)


@lru_cache(maxsize=8)
def _free_space(
    xp: Any, dtype: Any, shape: tuple[int, int], extent: tuple[float, float], wavelength: float, distance: float
) -> Array:
    return xp.asarray(fresnel(shape, extent, wavelength, distance).astype(dtype))


@lru_cache(maxsize=16)
def _frequencies(xp: Any, shape: tuple[int, int], sign: int) -> tuple[Array, Array]:
    """Phase of each frequency, rows (Ny,) and columns (Nx,) in FFT order, of a field that is moved back by a pixel."""
    rows, columns = ((sign * 2 * np.pi) * xp.fft.fftfreq(n) for n in shape)
    return rows, columns


@lru_cache(maxsize=16)
def _slopes(xp: Any, shape: tuple[int, int], sign: int) -> tuple[Array, Array]:
    """Phase that a shift by one detector pixel makes of each row (Ny,) and column (Nx,), from the window's middle."""
    rows, columns = ((sign * 2 * np.pi / n) * (xp.arange(n) - n // 2) for n in shape)
    return rows, columns
