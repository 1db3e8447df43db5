"""The phase that atoms of one element shift an electron by: sigma V in infinite projection, in Fourier space.

V(k) = h^2 / (2 pi m e) sum_a f_a(k) exp(-2 pi i k r_a), times exp(-B k^2 / 4) where the thermal motion is averaged;
Kirkland, Advanced Computing in Electron Microscopy, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.atoms.elements import atomic_number, scattering_factor
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.data.calibration import both

VOLT_ANGSTROM = 47.87764  # h^2 / (2 pi m e) in V A^2


def projected_phase(
    atoms: np.ndarray,
    shape: tuple[int, int],
    sampling: float | tuple[float, float],
    energy: float,
    *,
    element: str = "C",
    weights: np.ndarray | None = None,
    b_factor: float = 0.5,
) -> np.ndarray:
    """Phase shift sigma V of atoms of one element in projection.

    Parameters
    ----------
    atoms : ndarray (A, 2)
        Row and column positions in A.
    shape : (int, int)
        Pixels of the periodic result.
    sampling : float or (float, float)
        Pixel size in A.
    energy : float
        Electron energy in eV.
    weights : ndarray (A,), optional
        How many atoms lie above one another at each position.
    b_factor : float
        Debye-Waller factor in A^2.

    Returns
    -------
    ndarray (Y, X) float32
        In rad, band-limited at the pixel.

    Examples
    --------
    >>> phase = projected_phase(np.array([[5.0, 5.0]]), (50, 50), 0.2, 80e3)
    >>> np.unravel_index(phase.argmax(), phase.shape) == (25, 25)
    True
    """
    k, unspread = half_frequencies(shape, sampling)
    form = scattering_factor(atomic_number(element), k) * np.exp(-b_factor * k**2 / 4) * unspread
    tall, wide = both(sampling)
    spectrum = points_spectrum(atoms / np.array([tall, wide]), shape, weights, workers=worker_count())
    spectrum *= form * (VOLT_ANGSTROM * interaction(energy) / (tall * wide))
    return np.ascontiguousarray(sfft.irfft2(spectrum, s=shape, workers=worker_count()), np.float32)


def points_spectrum(
    points: np.ndarray, shape: tuple[int, int], weights: np.ndarray | None = None, *, workers: int = 1
) -> np.ndarray:
    """Half spectrum (Y, X // 2 + 1) of points (A, 2) in pixels, each spread by a cubic B-spline on half pixels."""
    fine = (2 * shape[0], 2 * shape[1])
    grid = np.zeros(fine[0] * fine[1], np.float32)
    for offsets, share in _spline_shares(2 * np.asarray(points, float)):
        flat = offsets[:, 0] % fine[0] * fine[1] + offsets[:, 1] % fine[1]
        np.add.at(grid, flat, (share if weights is None else share * weights).astype(np.float32))
    # along the columns only for the frequencies that are kept
    half = sfft.rfft(grid.reshape(fine), axis=1, workers=workers)[:, : shape[1] // 2 + 1]
    rows = np.r_[0 : (shape[0] + 1) // 2, fine[0] - shape[0] // 2 : fine[0]]
    return sfft.fft(half, axis=0, workers=workers)[rows]


def half_frequencies(shape: tuple[int, int], sampling: float | tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """|k| (Y, X // 2 + 1) in 1/A, and what undoes the B-spline: 1 / sinc^4, 0 from half a pixel's frequency on."""
    tall, wide = both(sampling)
    ky = np.fft.fftfreq(shape[0], tall)[:, None]
    kx = np.fft.rfftfreq(shape[1], wide)[None]
    k = np.hypot(ky, kx)
    spread = (np.sinc(ky * tall / 2) * np.sinc(kx * wide / 2)) ** 4
    return k, (k < 0.5 / max(tall, wide)) / spread


def _spline_shares(points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Grid points (A, 2) and weights (A,) of the 16 neighbours among which a cubic B-spline shares each point."""
    base = np.floor(points).astype(int)
    t = points - base
    basis = [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]
    for i in range(4):
        for j in range(4):
            yield base + np.array([i - 1, j - 1]), basis[i][:, 0] * basis[j][:, 1]
