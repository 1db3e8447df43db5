"""A radial shape of diffuse scattering that is found from the data: B(k) = sum_i w_i h_i(|k|), w_i >= 0.

The h_i are hats, 1 at one knot and 0 at the others. Knots lie in the dark field, evenly in log k; nearer to the middle,
where the waves outshine whatever is diffuse, the shape goes on flat.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.integrate import trapezoid

LEARNED = "learned"  # in the place of an element
KNOTS = 10
FLAT_TO = 1.5  # radii of the aperture
FALLS = 3.0  # power of 1 / k that the shape begins with
FINE = 4000  # radii of an integral


@lru_cache(maxsize=8)
def knots(aperture: float, reach: float) -> np.ndarray:
    """Radii (K,) in 1/A, from where it is dark to the farthest corner of the detector.

    Examples
    --------
    >>> knots(0.5, 3.0)[[0, -1]].tolist()
    [0.75, 3.0]
    """
    nearest = FLAT_TO * aperture if 0 < FLAT_TO * aperture < 0.5 * reach else reach / KNOTS
    radii = np.geomspace(nearest, reach, KNOTS)
    radii[[0, -1]] = nearest, reach
    return radii


@lru_cache(maxsize=8)
def hat_functions(aperture: float, reach: float, window: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    """h (K, Ny, Nx) in FFT order, over the number of detector pixels in a unit of reciprocal area."""
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(window, extent, strict=True))
    k, at = np.hypot(ky[:, None], kx[None]), knots(aperture, reach)
    return np.array([np.interp(k, at, one, right=0.0) for one in np.eye(KNOTS)]) / (extent[0] * extent[1])


@lru_cache(maxsize=8)
def areas(aperture: float, reach: float) -> np.ndarray:
    """What each hat holds (K,): the integral of h_i over all directions and radii, 1/A^2."""
    k, at = np.linspace(0, reach, FINE), knots(aperture, reach)
    return np.array([trapezoid(2 * np.pi * k * np.interp(k, at, one), k) for one in np.eye(KNOTS)])


def first_profile(aperture: float, reach: float) -> np.ndarray:
    """Weights (K,) at the start, which fall as diffuse scattering does; the shape they make holds one electron.

    Examples
    --------
    >>> bool(np.isclose(first_profile(0.5, 3.0) @ areas(0.5, 3.0), 1))
    True
    """
    weights = knots(aperture, reach) ** -FALLS
    return weights / (weights @ areas(aperture, reach))


__all__ = ["KNOTS", "LEARNED", "areas", "first_profile", "hat_functions", "knots"]
