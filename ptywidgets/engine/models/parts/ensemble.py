"""Ensembles: electrons that differ before they meet the specimen, whose patterns add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, Backend


@dataclass(frozen=True)
class PartialCoherence:
    """A source of some size and electrons of some spread in focus: each probe mode becomes K modes, weighted.

    The source, and as well vibrations of probe against specimen, moves the probe by Gaussian steps of `source_size`
    along either axis; the `focal_spread` changes its defocus. Both averages are taken by Gauss-Hermite quadrature,
    P_k = sqrt(w_k) F^-1[ exp(-2 pi i k.d_k + i pi lambda C_k k^2) F P ], which is exact for patterns that depend on
    each as a polynomial of degree 2 `order` - 1.

    Parameters
    ----------
    source_size : float
        Standard deviation of the source in the specimen's plane, along each axis, A.
    focal_spread : float
        Standard deviation of the defocus, A.
    wavelength : float
        A.
    extent : (float, float)
        Size of the window in A.
    order : int
        Points along each axis that is spread.

    Examples
    --------
    >>> PartialCoherence(0.4, 0.0, wavelength=0.04, extent=(20.0, 20.0)).count
    9
    """

    source_size: float
    focal_spread: float
    wavelength: float
    extent: tuple[float, float]
    order: int = 3

    def __post_init__(self) -> None:
        if self.source_size < 0 or self.focal_spread < 0:
            raise ParameterError(
                f"source_size is {self.source_size:g} A and focal_spread {self.focal_spread:g} A; neither is negative."
            )

    @property
    def count(self) -> int:
        """Modes K that each mode becomes."""
        return self.order ** (2 * (self.source_size > 0) + (self.focal_spread > 0))

    def spread(self, backend: Backend, probe: Array) -> Array:
        """Waves (M K, Ny, Nx) of a probe (M, Ny, Nx)."""
        spectra = backend.fft2(probe.copy())[:, None] * self._factors(backend, probe)[None]
        return backend.ifft2(spectra.reshape(-1, *probe.shape[-2:]))

    def gather(self, backend: Backend, waves: Array) -> Array:
        """The adjoint of :meth:`spread`: (M K, Ny, Nx) to (M, Ny, Nx)."""
        factors = self._factors(backend, waves)
        spectra = backend.fft2(waves.copy()).reshape(-1, len(factors), *waves.shape[-2:])
        return backend.ifft2((spectra * factors.conj()[None]).sum(1))

    def _factors(self, backend: Backend, waves: Array) -> Array:
        arguments = (float(self.source_size), float(self.focal_spread), self.wavelength, self.extent, self.order)
        return _factors(backend.xp, np.dtype(waves.dtype), tuple(waves.shape[-2:]), *arguments)


@lru_cache(maxsize=8)
def _factors(
    xp: Any,
    dtype: Any,
    shape: tuple[int, int],
    source: float,
    focal: float,
    wavelength: float,
    extent: tuple[float, float],
    order: int,
) -> Array:
    """Factors (K, Ny, Nx) of the spectrum, in FFT order; the squares of each one's modulus add to 1."""
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(shape, extent, strict=True))
    ky, kx = ky[:, None], kx[None]
    points, weights = np.polynomial.hermite_e.hermegauss(order)
    weights = weights / weights.sum()
    spots = list(zip(points, weights, strict=True))
    still = [(0.0, 1.0)]
    sideways, along = spots if source > 0 else still, spots if focal > 0 else still
    factors = [
        np.sqrt(wy * wx * wz)
        * np.exp(-2j * np.pi * source * (ky * y + kx * x) + 1j * np.pi * wavelength * focal * z * (ky**2 + kx**2))
        for y, wy in sideways
        for x, wx in sideways
        for z, wz in along
    ]
    return xp.asarray(np.array(factors), dtype=dtype)
