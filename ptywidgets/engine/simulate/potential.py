"""Atoms to phase: sigma V of slices, each in infinite projection; see :mod:`ptywidgets.engine.atoms.atomic_phase`."""

from __future__ import annotations

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.atoms.atomic_phase import VOLT_ANGSTROM, half_frequencies, points_spectrum
from ptywidgets.engine.atoms.elements import scattering_factor
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.engine.simulate.specimen import Atoms


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
    k, unspread = half_frequencies(shape, sampling)
    scale = VOLT_ANGSTROM * interaction(energy) / sampling**2
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

    with WorkerPool(workers) as pool:
        list(pool.map(fill, range(count)))
    return out


def slice_count(atoms: Atoms, thickness: float | None) -> int:
    """How many slices of about `thickness` A (None: all in one) the cell is divided into."""
    if thickness is not None and not thickness > 0:
        raise ParameterError(f"thickness is {thickness!r} A; expected the thickness of a slice, above 0, or None.")
    return 1 if thickness is None else max(1, round(atoms.cell[0] / thickness))
