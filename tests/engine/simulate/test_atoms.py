"""Elements, atoms, crystals and their phase against published numbers, geometry and direct sums."""

import numpy as np
import pytest

from ptywidgets.engine import ParameterError
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.simulate import (
    Atoms,
    atomic_number,
    gold_particle,
    mos2,
    nanotube,
    phase_slices,
    scattering_factor,
    scattering_table,
    silicon_110,
    strontium_titanate,
)

BOHR = 0.529177  # A


def test_hydrogen_is_the_closed_form():
    """f = a0 (1 + x / 2) / (1 + x)^2 with x = (pi a0 k)^2, of the 1s density by the Mott-Bethe formula."""
    k = np.linspace(0, 2, 41)
    x = (np.pi * BOHR * k) ** 2
    np.testing.assert_allclose(scattering_factor("H", k), BOHR * (1 + x / 2) / (1 + x) ** 2, rtol=0.02)


def test_every_element_tends_to_its_nucleus():
    """Electrons no longer screen at high k: f -> Z / (2 pi^2 a0 k^2). A wrong digit would break the smooth course."""
    share = [
        scattering_factor(z, np.array(10.0)) * 2 * np.pi**2 * BOHR * 100 / z
        for z in range(1, len(scattering_table()) + 1)
    ]
    assert len(share) == 103
    assert min(share) > 0.9 and max(share) < 1.03
    assert np.abs(np.diff(share[3:])).max() < 0.005


@pytest.mark.parametrize(
    ("element", "at_zero"), [("C", 2.51), ("Si", 5.81), ("Mo", 10.29), ("Au", 10.55), ("U", 19.10)]
)
def test_forward_scattering(element, at_zero):
    assert float(scattering_factor(element, np.array(0.0))) == pytest.approx(at_zero, abs=0.01)


def test_unknown_elements():
    with pytest.raises(ParameterError, match="did you mean 'Mo'"):
        atomic_number("Moo")
    with pytest.raises(ParameterError, match="1 to 103"):
        atomic_number(104)


def neighbours(atoms, count):
    """Sorted distances (A) from the atom nearest to the middle."""
    middle = np.linalg.norm(atoms.positions - np.array(atoms.cell) / 2, axis=1).argmin()
    distances = np.linalg.norm(atoms.positions - atoms.positions[middle], axis=1)
    return np.sort(distances)[1 : count + 1]


@pytest.mark.parametrize(
    ("atoms", "bond", "count", "density"),
    [
        (silicon_110((5 * 5.431, 7 * 5.431 / 2**0.5), 8 * 5.431 / 2**0.5), 5.431 * 3**0.5 / 4, 4, 8 / 5.431**3),
        (strontium_titanate((31.24, 31.24), 31.24), None, 0, 5 / 3.905**3),
        (gold_particle(24, 40), 4.078 / 2**0.5, 12, None),
        (nanotube(10, 10, 40), 1.42, 3, None),
    ],
)
def test_crystals_have_their_bonds_and_density(atoms, bond, count, density):
    if bond is not None:
        np.testing.assert_allclose(neighbours(atoms, count), bond, rtol=0.01)
        assert neighbours(atoms, count + 1)[-1] > 1.2 * bond
    if density is not None:
        assert len(atoms) / np.prod(atoms.cell) == pytest.approx(density, rel=0.01)


def test_molybdenum_disulfide():
    sheet = mos2((40, 40), angle=8)
    molybdenum, sulfur = (sheet.positions[sheet.numbers == z] for z in (42, 16))
    assert len(sulfur) / len(molybdenum) == pytest.approx(2, rel=0.03)
    assert len(molybdenum) / 1600 == pytest.approx(2 / (3**0.5 * 3.16**2), rel=0.03)
    middle = molybdenum[np.linalg.norm(molybdenum[:, 1:] - 20, axis=1).argmin()]
    np.testing.assert_allclose(np.sort(np.linalg.norm(sulfur - middle, axis=1))[:6], 2.40, atol=0.01)
    doped = mos2((40, 40), tungsten=0.3, vacancies=0.2, generator=np.random.default_rng(1))
    assert (doped.numbers == 74).any() and (doped.numbers == 16).sum() < len(sulfur)


def test_turning_back_is_the_identity_and_keeps_distances():
    ball = gold_particle(16, 30)
    turned = ball.rotated(33, "y").rotated(-20, "x")
    np.testing.assert_allclose(turned.rotated(20, "x").rotated(-33, "y").positions, ball.positions)
    np.testing.assert_allclose(
        np.linalg.norm(turned.positions - 15, axis=1), np.linalg.norm(ball.positions - 15, axis=1)
    )
    with pytest.raises(ParameterError, match="unknown axis"):
        ball.rotated(10, "w")


def test_dopants_replace_strontium():
    atoms = strontium_titanate((20, 20), 20, dopants={(5, 10, 10): "Bi", (15, 3, 3): 57})
    assert sorted(atoms.numbers[(atoms.numbers == 83) | (atoms.numbers == 57)]) == [57, 83]


def test_phase_is_the_direct_fourier_sum():
    atoms = Atoms([[0.5, 5.03, 5.11], [0.5, 3.3, 7.77], [2.5, 1.0, 9.9]], [14, 79, 8], [0.1, 0, 0.05], (3, 10, 10))
    ky, kx = np.fft.fftfreq(100, 0.1)[:, None], np.fft.fftfreq(100, 0.1)[None]
    k = np.hypot(ky, kx)
    slices = phase_slices(atoms, (100, 100), 0.1, 80e3, 1.0)
    assert slices.shape == (3, 100, 100) and not slices[1].any()
    direct = np.zeros((3, 100, 100), complex)
    for (z, y, x), number, b in zip(atoms.positions, atoms.numbers, atoms.b_factors, strict=True):
        form = scattering_factor(number, k) * np.exp(-b * k**2 / 4)
        direct[int(z)] += form * np.exp(-2j * np.pi * (ky * y + kx * x))
    direct *= 47.87764 * interaction(80e3) / 0.01
    band = k < 2 / 3 * 5
    difference = np.abs(np.fft.fft2(slices) - direct) * band
    assert difference.max() < 3e-3 * np.abs(direct * band)[:, k > 3].max()
    np.testing.assert_allclose(slices.sum(0), phase_slices(atoms, (100, 100), 0.1, 80e3)[0], atol=1e-5)


def test_the_smeared_phase_is_the_mean_of_snapshots():
    atoms = Atoms(np.tile([[1.0, 5.0, 5.0]], (4000, 1)), np.full(4000, 6), 0.1, (2, 10, 10))
    snapshot = phase_slices(atoms.displaced(np.random.default_rng(3)), (64, 64), 10 / 64, 80e3)
    np.testing.assert_allclose(snapshot / 4000, phase_slices(atoms, (64, 64), 10 / 64, 80e3) / 4000, atol=3e-3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([[0, 0, 0]], [6, 6], 0, (1, 1, 1)), "2 atomic numbers"),
        (([[0, 0, 0]], [6], 0, (1, 0, 1)), "above 0"),
        (([[0, 0, 0]], [6], -1, (1, 1, 1)), "0 or more"),
    ],
)
def test_impossible_atoms(fields, message):
    with pytest.raises(ParameterError, match=message):
        Atoms(*fields)
