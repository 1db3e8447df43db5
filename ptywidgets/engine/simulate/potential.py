"""Atoms to phase: sigma V of slices, infinite projection, in Fourier space.

V(k) = h^2 / (2 pi m e) sum_a f_a(k) exp(-2 pi i k r_a), times exp(-B k^2 / 4) where the thermal motion is averaged;
Kirkland, Advanced Computing in Electron Microscopy, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.calibration import both
from ptywidgets.engine.errors import ParameterError
from ptywidgets.engine.params import counted
from ptywidgets.engine.simulate.elements import atomic_number, scattering_factor
from ptywidgets.engine.simulate.specimen import Atoms
from ptywidgets.engine.units import interaction
from ptywidgets.engine.workers import worker_count

_VOLT_ANGSTROM = 47.87764  # h^2 / (2 pi m e) in V A^2


@counted(workers=1)
def phase_slices(
    atoms: Atoms,
    shape: tuple[int, int],
    sampling: float,
    energy: float,
    thickness: float | None = None,
    *,
    workers: int | None = None,
) -> np.ndarray:
    """Phase shifts sigma V of a specimen, slice by slice, with its thermal motion averaged.

    Each atom counts wholly in the slice that its centre lies in. For a snapshot of the motion pass
    ``atoms.displaced(generator)``, which is at rest; for a lattice at rest ``atoms.at_rest()``.

    Parameters
    ----------
    atoms : Atoms
        Displacements that are not 0 smear their atoms by exp(-B k^2 / 4).
    shape : (int, int)
        Pixels of the periodic result; pixel [0, 0] lies at y = x = 0.
    sampling : float
        Pixel size in A.
    energy : float
        Electron energy in eV.
    thickness : float, optional
        About how thick a slice is, in A: the cell's depth is divided into equal ones. None: one slice.

    Returns
    -------
    ndarray (S, Y, X) float32
        In rad, band-limited at the pixel.

    Examples
    --------
    >>> atoms = Atoms([[1, 5, 5], [3, 5, 5]], [14, 14], 0.08, (4, 10, 10))
    >>> slices = phase_slices(atoms, (50, 50), 0.2, 100e3, thickness=2)
    >>> slices.shape, bool(np.allclose(slices[0], slices[1]))
    ((2, 50, 50), True)
    """
    count = slice_count(atoms, thickness)
    depth = np.clip(np.floor(atoms.positions[:, 0] / atoms.cell[0] * count).astype(int), 0, count - 1)
    kinds = sorted({(int(z), float(b)) for z, b in zip(atoms.numbers, atoms.b_factors, strict=True)})
    k, unspread = _frequencies(shape, sampling)
    scale = _VOLT_ANGSTROM * interaction(energy) / sampling**2
    forms = {
        kind: (scattering_factor(kind[0], k) * np.exp(-kind[1] * k**2 / 4) * unspread * scale).astype(np.float32)
        for kind in kinds
    }
    out = np.zeros((count, *shape), np.float32)

    def fill(s: int) -> None:
        spectrum = np.zeros(k.shape, np.complex64)
        for kind in kinds:
            here = (depth == s) & (atoms.numbers == kind[0]) & (atoms.b_factors == kind[1])
            if here.any():
                spectrum += points_spectrum(atoms.positions[here, 1:] / sampling, shape) * forms[kind]
        out[s] = sfft.irfft2(spectrum, s=shape, workers=1)

    with ThreadPoolExecutor(workers or worker_count()) as pool:
        list(pool.map(fill, range(count)))
    return out


def slice_count(atoms: Atoms, thickness: float | None) -> int:
    """How many slices of about `thickness` A (None: all in one) the cell is divided into."""
    if thickness is not None and not thickness > 0:
        raise ParameterError(f"thickness is {thickness!r} A; expected the thickness of a slice, above 0, or None.")
    return 1 if thickness is None else max(1, round(atoms.cell[0] / thickness))


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
    k, unspread = _frequencies(shape, sampling)
    form = scattering_factor(atomic_number(element), k) * np.exp(-b_factor * k**2 / 4) * unspread
    tall, wide = both(sampling)
    spectrum = points_spectrum(atoms / np.array([tall, wide]), shape, weights, workers=worker_count())
    spectrum *= form * (_VOLT_ANGSTROM * interaction(energy) / (tall * wide))
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


def _frequencies(shape: tuple[int, int], sampling: float | tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
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
