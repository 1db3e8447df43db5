"""From atoms to a data set, with the truth beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from ptywidgets.engine.core.errors import CalibrationError, ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.calibration import Calibration, both
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.simulate.multislice import Scattered, frozen_phonons, multislice
from ptywidgets.engine.simulate.potential import phase_slices, slice_count
from ptywidgets.engine.simulate.single_slice import poisson_counts
from ptywidgets.engine.simulate.specimen import Atoms
from ptywidgets.engine.simulate.window import Window


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated data set and what is true of it; scan and detector axes are parallel."""

    dataset: Dataset
    phase: np.ndarray  # (S, Y, X) float32 rad, thermal motion averaged, on the reconstruction's grid
    thickness: float  # of one slice of `phase`, A
    sampling: float  # of `phase`, A
    positions: np.ndarray  # (J, 2) A, y and x, from pixel [0, 0] of `phase`
    probe: np.ndarray  # (Ny, Nx) complex64 corner-centred, sum of squares 1, in the plane of the first slice
    dark_fields: np.ndarray  # (A, Ry, Rx) fractions of the incident electrons
    annuli: tuple[tuple[float, float], ...]  # inner and outer angle of each dark field, mrad
    detected: np.ndarray  # (Ry, Rx) fraction of the incident electrons that fall on the detector
    total: np.ndarray  # (Ry, Rx) fraction within all simulated angles
    b_factor: float  # mean Debye-Waller factor of the atoms, A^2
    atoms: Atoms


@counted(binning=1, pixels=1, snapshots=0, workers=1)
def simulate_dataset(
    atoms: Atoms,
    calibration: Calibration,
    optics: Optics,
    *,
    scan: tuple[int, int] = (16, 16),
    detector: tuple[int, int] = (96, 96),
    binning: int = 1,
    pixels: int | None = None,
    thickness: float | None = 2.0,
    truth_thickness: float | None = None,
    snapshots: int = 0,
    annuli: tuple[tuple[float, float], ...] = (),
    dose: float | None = None,
    generator: np.random.Generator | None = None,
    name: str = "simulation",
    workers: int | None = None,
    watch: Callable[[int], None] | None = None,
) -> Simulation:
    """4D-STEM data of atoms by multislice, in the middle of their cell.

    Parameters
    ----------
    atoms : Atoms
    calibration : Calibration
        Energy, scan step and detector pixel.
    optics : Optics
        Semi-angle and aberrations, of the probe where the beam enters.
    scan, detector : (int, int)
        Positions, and pixels of a pattern, which is square.
    binning, pixels : int
        See :class:`Window`; None takes twice the detector's pixels times the binning.
    thickness : float, optional
        About that of the slices that are simulated, in A; None: the whole in one.
    truth_thickness : float, optional
        About that of the slices of the truth; as `thickness` when not given.
    snapshots : int
        Of the thermal motion (32 are usual). 0 takes the time-averaged potential, which has no diffuse scattering.
    annuli : tuple of (float, float)
        Inner and outer angles (mrad) of annular dark fields.
    dose : float, optional
        Electrons per A^2: counts uint16 with Poisson noise. None: noise-free fractions of the incident electrons.
    generator : numpy.random.Generator
        Needed with snapshots or a dose.
    name : str
    workers : int
        Threads.
    watch : callable, optional
        Called with the number of snapshots done.

    Returns
    -------
    Simulation

    Raises
    ------
    CalibrationError
        When energy, scan step or detector pixel are not given, or the detector's pixels are not square.
    ParameterError
        When the generator is missing, or the detector is not square.

    Examples
    --------
    >>> from ptywidgets.engine.simulate import mos2
    >>> calibration = Calibration(energy=80e3, scan_step=0.5, q_pixel=0.08)
    >>> done = simulate_dataset(mos2((16, 16)), calibration, Optics(semiangle=25), scan=(2, 3), detector=(32, 32))
    >>> done.dataset.shape, done.phase.shape[0], round(done.sampling, 3)
    ((2, 3, 32, 32), 4, 0.391)
    """
    if calibration.missing:
        raise CalibrationError(f"the simulation needs {', '.join(calibration.missing)}; set them in the Calibration.")
    energy, steps, q_pixel = calibration.require("energy"), calibration.scan_steps, calibration.require("q_pixel")
    if detector[0] != detector[1]:
        raise ParameterError(f"the detector is {detector[0]} x {detector[1]} pixels; expected as many rows as columns.")
    if generator is None:
        if snapshots or dose is not None:
            raise ParameterError("snapshots and counts are drawn: pass generator=numpy.random.default_rng(1).")
        generator = np.random.default_rng(0)
    phonons, counting = generator.spawn(2)
    window = Window(detector, q_pixel, pixels or next_fast_len(2 * binning * detector[0]), binning)
    positions = raster(atoms, scan, steps)
    shape = grid_shape(atoms, window.sampling)
    if snapshots:
        result = frozen_phonons(
            atoms, shape, positions, window, optics, energy, thickness,
            snapshots=snapshots, generator=phonons, annuli=annuli, workers=workers, watch=watch,
        )  # fmt: skip
    else:
        phases = phase_slices(atoms, shape, window.sampling, energy, thickness, workers=workers)
        depth = atoms.cell[0] / len(phases)
        result = multislice(phases, positions, window, optics, energy, depth, annuli=annuli, workers=workers)
    return _with_truth(
        result, atoms, calibration, optics, window, scan, positions, annuli, name,
        truth_thickness or thickness, None if dose is None else dose * steps[0] * steps[1], counting, snapshots,
    )  # fmt: skip


def raster(atoms: Atoms, scan: tuple[int, int], step: float | tuple[float, float]) -> np.ndarray:
    """Positions (J, 2) in A of a scan in the middle of the atoms' cell, slow axis first; the step is one number, or one
    from row to row and one from column to column.

    Examples
    --------
    >>> raster(Atoms([[0, 0, 0]], [6], 0, (1, 10, 10)), (2, 2), 1.0).tolist()
    [[4.5, 4.5], [4.5, 5.5], [5.5, 4.5], [5.5, 5.5]]
    """
    along = zip(atoms.cell[1:], scan, both(step), strict=True)
    axes = [side / 2 + apart * (np.arange(n) - (n - 1) / 2) for side, n, apart in along]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def grid_shape(atoms: Atoms, sampling: float) -> tuple[int, int]:
    """Pixels that hold the atoms' cell, rounded up to what transforms quickly; the rest is vacuum.

    Examples
    --------
    >>> grid_shape(Atoms([[0, 0, 0]], [6], 0, (1, 10, 10.1)), 0.1)
    (100, 105)
    """
    height, width = (next_fast_len(int(np.ceil(side / sampling - 1e-6))) for side in atoms.cell[1:])
    return height, width


def _with_truth(
    result: Scattered,
    atoms: Atoms,
    calibration: Calibration,
    optics: Optics,
    window: Window,
    scan: tuple[int, int],
    positions: np.ndarray,
    annuli: tuple[tuple[float, float], ...],
    name: str,
    thickness: float | None,
    electrons: float | None,
    generator: np.random.Generator,
    snapshots: int,
) -> Simulation:
    energy, detector = calibration.energy, window.detector
    assert energy is not None
    sampling = 1 / (window.q_pixel * detector[0])
    probe = window.probe(optics, energy)
    vacuum = window.detected((np.abs(probe) ** 2)[None])[0].astype(np.float32)
    patterns, detected = result.patterns, result.patterns.sum((1, 2), dtype=np.float64)
    if electrons is not None:
        patterns, vacuum = poisson_counts(patterns * electrons, generator), vacuum * np.float32(electrons)
    dataset = Dataset(
        data=patterns.reshape(*scan, *detector),
        calibration=calibration.replace(semiangle=optics.semiangle),
        vacuum=vacuum,
        name=name,
        metadata={
            "specimen": f"{len(atoms)} atoms, {atoms.cell[0]:.1f} A thick",
            "snapshots of the thermal motion": str(snapshots),
            "electrons per position": "noise-free" if electrons is None else f"{electrons:g}",
        },
    )
    return Simulation(
        dataset=dataset,
        phase=phase_slices(atoms, grid_shape(atoms, sampling), sampling, energy, thickness),
        thickness=atoms.cell[0] / slice_count(atoms, thickness),
        sampling=sampling,
        positions=positions,
        probe=make_probe(optics, detector, (sampling, sampling), energy),
        dark_fields=result.dark_fields.reshape(-1, *scan),
        annuli=annuli,
        detected=detected.reshape(scan),
        total=result.total.reshape(scan),
        b_factor=float(atoms.b_factors.mean()),
        atoms=atoms,
    )
