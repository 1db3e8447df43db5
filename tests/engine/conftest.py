"""Simulated data of known orientation and optics, of several specimens: what the tests of the start are tried on; and a
small problem."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, make_probe, read
from ptywidgets.engine.preprocess import scan_positions
from ptywidgets.engine.simulate import diffraction_patterns, poisson_counts, projected_phase
from ptywidgets.testing import example_problem

ENERGY, SEMIANGLE = 80e3, 20.0


@pytest.fixture(scope="module")
def problem():
    return example_problem("potential")


def film(field, generator):
    """Amorphous carbon."""
    atoms = generator.uniform(0, field, (int(2 * field**2), 2))
    return atoms, np.ones(len(atoms))


def particles(field, generator):
    """Balls of carbon on nothing, with phases of two radians."""
    atoms = []
    for _ in range(int(field**2 / 600) + 2):
        radius = generator.uniform(4, 9)
        directions = generator.normal(size=(int(20 * radius**2), 2))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        distance = radius * np.sqrt(generator.uniform(0, 1, (len(directions), 1)))
        atoms.append(generator.uniform(0, field, 2) + directions * distance)
    joined = np.concatenate(atoms) % field
    return joined, np.ones(len(joined))


def lattice(field, generator):
    """A square lattice of columns of different length, as fine as the scan resolves."""
    along = np.arange(0, field, 3.9)
    atoms = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
    return atoms + generator.normal(0, 0.08, atoms.shape), generator.integers(2, 8, len(atoms))


SPECIMENS = {"film": film, "particles": particles, "lattice": lattice}


def simulated(
    specimen="film",
    *,
    rotation=-15.0,
    transpose=False,
    dose=None,
    descan=0.0,
    jitter=0.0,
    scan=18,
    seed=0,
    binning=1,
    **aberrations,
):
    """A dataset of 84 x 84 patterns, 2 A apart; `aberrations` as of :class:`Aberrations`.

    With `binning` a pixel of the detector takes in so many samples on a side, as real pixels do, in a wider window.
    """
    generator = np.random.default_rng(seed)
    detector, step = 84 * binning, 2.0
    calibration = Calibration(energy=ENERGY, scan_step=step, q_pixel=0.0375 / binning, semiangle=SEMIANGLE)
    pixel = calibration.sampling((detector, detector))[0]
    positions = scan_positions((scan, scan), step, rotation, transpose)
    positions = positions + jitter * generator.normal(size=positions.shape)
    pixels = int(np.ceil(np.ptp(positions, axis=0).max() / pixel)) + detector + 8
    shape = (pixels, pixels)
    if specimen is None:
        phase = np.zeros(shape, np.float32)
    else:
        atoms, weights = SPECIMENS[specimen](pixels * pixel, generator)
        phase = projected_phase(atoms, shape, pixel, ENERGY, weights=weights)
    optics = Optics(semiangle=SEMIANGLE, aberrations=Aberrations(**aberrations))
    counts = 1.0 if dose is None else dose * step**2
    probe = make_probe(optics, (detector, detector), (pixel, pixel), ENERGY, counts)
    y, x = np.meshgrid(*[np.linspace(-1, 1, scan)] * 2, indexing="ij")
    wander = descan * np.stack([x - 2 * y, -x - 3 * y])  # detector pixels
    shifts = binning * wander.reshape(2, -1).T + (binning - 1) / 2
    patterns = summed(diffraction_patterns(phase, probe, positions / pixel + pixels // 2, shifts), binning)
    middle = np.array([[pixels // 2, pixels // 2]]), np.full((1, 2), (binning - 1) / 2)
    vacuum = summed(diffraction_patterns(np.zeros(shape, np.float32), probe, *middle), binning)[0]
    if dose is not None:
        patterns = poisson_counts(patterns, generator)
        vacuum = generator.poisson(16 * vacuum)
    calibration = calibration.replace(q_pixel=0.0375)
    return Dataset(patterns.reshape(scan, scan, 84, 84), calibration, vacuum=vacuum.astype(np.float32))


def summed(patterns, binning):
    """Sums over squares of pixels."""
    j, y, x = patterns.shape
    return patterns.reshape(j, y // binning, binning, x // binning, binning).sum((2, 4))


@pytest.fixture(scope="session")
def variant():
    """The function that simulates a variant."""
    return simulated


@pytest.fixture
def simulated_set(shared):
    def load(name):
        folder = shared / "data" / "simulated"
        truth = json.loads((folder / f"{name}_meta.json").read_text())
        known = {"energy": truth["energy_eV"], "semiangle": truth["semiangle_mrad"]}
        return read(folder / f"{name}.h5", vacuum=folder / f"{name}_vacuum-probe.h5", **known), truth

    return load
