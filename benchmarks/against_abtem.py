"""The simulator beside abTEM 1.0, an independent program: ``python -m pytest benchmarks/against_abtem.py``.

The figures are in docs/simulation.md.

abTEM shares an atom between pixels linearly, which damps high frequencies; hence the fine sampling where each
program makes its own potential.
"""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Optics
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.simulate import Atoms, Window, frozen_phonons, mos2, multislice, phase_slices, silicon_110

abtem = pytest.importorskip("abtem", reason="abtem is not installed")
ase = pytest.importorskip("ase", reason="abtem is not installed")

SIDE = 26.0  # A, of the cell and of the window
POSITIONS = np.array([[13.0, 13.0], [14.3, 12.23]])


def molybdenum_disulfide():
    return mos2((SIDE, SIDE)), 80e3, 100.0, 1.78


def silicon():
    """10 nm; moved so that no atom lies on a border between slices."""
    crystal = silicon_110((SIDE - 0.5, SIDE - 0.5), 96.0)
    moved = crystal.positions + np.array([0.5, 0.3, 0.3])
    return Atoms(moved, crystal.numbers, crystal.displacements, (96.5, SIDE, SIDE)), 200e3, 50.0, 1.93


def optics(defocus):
    return Optics(semiangle=20, rolloff=0, aberrations=Aberrations(defocus=defocus))


def as_ase(atoms):
    depth, height, width = atoms.cell
    return ase.Atoms(atoms.numbers, atoms.positions[:, [1, 2, 0]], cell=[height, width, depth], pbc=True)


def far_fields(potential, window, positions, energy, defocus):
    """Patterns (J, n, n) by abTEM, all simulated angles, in FFT order, of one electron each."""
    n = window.pixels
    probe = abtem.Probe(energy=energy, semiangle_cutoff=20, defocus=defocus, gpts=n, extent=window.extent, soft=False)
    waves = probe.multislice(potential, scan=abtem.CustomScan(positions), lazy=False)
    far = np.abs(np.fft.fft2(np.asarray(waves.array), axes=(-2, -1))) ** 2
    return far / (np.abs(np.fft.fft2(np.asarray(probe.build(lazy=False).array))) ** 2).sum()


def compared(ours, theirs):
    """Largest relative L1 difference of the patterns, and the smallest correlation."""
    pairs = list(zip(ours, theirs, strict=True))
    difference = max(np.abs(a - b).sum() / b.sum() for a, b in pairs)
    return float(difference), float(min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs))


@pytest.mark.parametrize("specimen", [molybdenum_disulfide, silicon])
def test_the_same_potential_gives_the_same_patterns(specimen, record_property):
    atoms, energy, defocus, thickness = specimen()
    window = Window((96, 96), 1 / SIDE, 208)
    phases = phase_slices(atoms.at_rest(), (208, 208), window.sampling, energy, thickness)
    step = atoms.cell[0] / len(phases)
    ours = multislice(phases, POSITIONS, window, optics(defocus), energy, step)
    potential = abtem.PotentialArray(phases / interaction(energy), slice_thickness=step, sampling=window.sampling)
    theirs = window.detected(far_fields(potential, window, POSITIONS, energy, defocus))
    difference, correlation = compared(ours.patterns, theirs)
    record_property("difference", difference)
    assert difference < 2e-3 and correlation > 0.99999


@pytest.mark.parametrize(("specimen", "most"), [(molybdenum_disulfide, 0.002), (silicon, 0.01)])
def test_the_same_atoms_give_the_same_patterns(specimen, most, record_property):
    atoms, energy, defocus, thickness = specimen()
    window = Window((96, 96), 1 / SIDE, 416)
    phases = phase_slices(atoms.at_rest(), (416, 416), window.sampling, energy, thickness)
    ours = multislice(phases, POSITIONS, window, optics(defocus), energy, atoms.cell[0] / len(phases))
    potential = abtem.Potential(
        as_ase(atoms), gpts=416, slice_thickness=atoms.cell[0] / len(phases), parametrization="kirkland"
    )
    theirs = window.detected(far_fields(potential, window, POSITIONS, energy, defocus))
    difference, correlation = compared(ours.patterns, theirs)
    record_property("difference", difference)
    assert difference < most and correlation > 0.9999


@pytest.mark.parametrize(("angles", "own_potential"), [((40.0, 70.0), True), ((60.0, 180.0), False)])
def test_frozen_phonons_scatter_as_much_into_the_dark_field(angles, own_potential, record_property):
    """The mean over 9 positions of 8 snapshots by each program, within three standard errors.

    At high angles, where its linear shares would damp it by a tenth, abTEM takes our potential of its snapshots.
    """
    atoms, energy, defocus, thickness = molybdenum_disulfide()
    window = Window((96, 96), 1 / SIDE, 416)
    axis = 13 + np.array([-1.3, 0, 1.3])
    positions = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    ring = window.annuli((angles,), energy)[0]
    ours = [
        frozen_phonons(
            atoms, (416, 416), positions, window, optics(defocus), energy, thickness,
            snapshots=1, generator=seed, annuli=(angles,),
        ).dark_fields.mean()
        for seed in np.random.default_rng(5).spawn(8)
    ]  # fmt: skip
    sigmas = {"Mo": atoms.displacements.min(), "S": atoms.displacements.max()}
    theirs = []
    for snapshot in abtem.FrozenPhonons(as_ase(atoms), 8, sigmas=sigmas, seed=11):
        if own_potential:
            potential = abtem.Potential(snapshot, gpts=416, slice_thickness=thickness, parametrization="kirkland")
        else:
            moved = Atoms(snapshot.positions[:, [2, 0, 1]], snapshot.numbers, 0.0, atoms.cell)
            volts = phase_slices(moved, (416, 416), window.sampling, energy, thickness) / interaction(energy)
            potential = abtem.PotentialArray(volts, slice_thickness=thickness, sampling=window.sampling)
        far = far_fields(potential, window, positions, energy, defocus).mean(0)
        theirs.append(float(far.ravel() @ ring))
    error = np.hypot(np.std(ours, ddof=1), np.std(theirs, ddof=1)) / 8**0.5
    record_property("dark field", (float(np.mean(ours)), float(np.mean(theirs)), float(error)))
    assert abs(np.mean(ours) - np.mean(theirs)) < 3 * error
    averaged = phase_slices(atoms, (416, 416), window.sampling, energy, thickness)
    coherent = multislice(averaged, positions, window, optics(defocus), energy, thickness, annuli=(angles,))
    record_property("coherent", float(coherent.dark_fields.mean()))
    assert coherent.dark_fields.mean() < np.mean(theirs) - 3 * error  # or else the comparison would say nothing
