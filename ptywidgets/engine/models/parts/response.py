"""Responses: what a detector makes of the intensities that reach it, before anything is compared with counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, Backend


@dataclass(frozen=True)
class PointSpread:
    """Every pixel's counts spread over its neighbours by a Gaussian, as scintillators and light guides do.

    The transfer function is exp(-2 pi^2 sigma^2 q^2) at q cycles per pixel; counts stay the same in number.

    Examples
    --------
    >>> from ptywidgets.engine.backends import get_backend
    >>> spot = np.zeros((1, 8, 8)); spot[0, 0, 0] = 1.0
    >>> spread = PointSpread(0.7).expect(get_backend(), spot)
    >>> round(float(spread.sum()), 6), float(spread[0, 0, 1]) > 0
    (1.0, True)
    """

    sigma: float  # px

    def expect(self, backend: Backend, intensity: Array) -> Array:
        """What is expected (B, Ny, Nx) of intensities (B, Ny, Nx), in FFT order."""
        fft = backend.xp.fft
        factor = _gaussian(backend.xp, tuple(intensity.shape[-2:]), float(self.sigma), np.dtype(intensity.dtype))
        spread = fft.irfft2(fft.rfft2(intensity) * factor, s=intensity.shape[-2:])
        return spread.astype(intensity.dtype, copy=False)

    def adjoint(self, backend: Backend, slope: Array) -> Array:
        """The same: the Gaussian is even."""
        fft = backend.xp.fft
        factor = _gaussian(backend.xp, tuple(slope.shape[-2:]), float(self.sigma), np.dtype(slope.dtype))
        return fft.irfft2(fft.rfft2(slope) * factor, s=slope.shape[-2:]).astype(slope.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Segments:
    """A detector of D segments, or virtual detectors: each counts what falls on its mask.

    Parameters
    ----------
    masks : ndarray (D, Ny, Nx)
        Sensitivity of each segment, in FFT order (the origin at pixel [0, 0]). Patterns then are (J, D, 1).
    """

    masks: Any

    def __post_init__(self) -> None:
        if np.ndim(self.masks) != 3:
            raise ParameterError(f"masks have {np.ndim(self.masks)} axes; expected (segments, rows, columns).")

    def expect(self, backend: Backend, intensity: Array) -> Array:
        """Counts (B, D, 1) of intensities (B, Ny, Nx)."""
        masks = backend.to_device(self.masks, intensity.dtype).reshape(len(self.masks), -1)
        return (intensity.reshape(len(intensity), -1) @ masks.T)[:, :, None]

    def adjoint(self, backend: Backend, slope: Array) -> Array:
        """Derivatives (B, Ny, Nx) by the intensities, of derivatives (B, D, 1) by the counts."""
        masks = backend.to_device(self.masks, slope.dtype).reshape(len(self.masks), -1)
        return (slope[:, :, 0] @ masks).reshape(len(slope), *self.masks.shape[1:])


@lru_cache(maxsize=8)
def _gaussian(xp: Any, shape: tuple[int, int], sigma: float, dtype: Any) -> Array:
    qy, qx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    return xp.asarray(np.exp(-2 * (np.pi * sigma) ** 2 * (qy**2 + qx**2)).astype(dtype))
