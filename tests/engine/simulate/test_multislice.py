"""The multislice against closed forms, and the window's detector."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Calibration, CalibrationError, Optics, ParameterError, make_probe
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.simulate import (
    Atoms,
    Window,
    diffraction_patterns,
    frozen_phonons,
    grid_shape,
    mos2,
    multislice,
    phase_slices,
    scattering_factor,
    simulate_dataset,
)

PLANE = Optics(semiangle=0.01, rolloff=0)  # an aperture of one frequency: a plane wave
ENERGY = 300e3
LENS = Optics(semiangle=20, aberrations=Aberrations(defocus=60))


def born(element, window, k):
    """|gamma lambda f / L^2|^2: what an atom scatters out of a plane wave of one electron in a square of side L."""
    return (47.87764 * interaction(ENERGY) * scattering_factor(element, k) / window.extent**2) ** 2


def frequencies(window):
    axes = [(np.arange(n) - n // 2) * window.q_pixel for n in window.detector]
    return np.hypot(axes[0][:, None], axes[1][None])


def test_a_weak_atom_scatters_its_scattering_factor_squared():
    window = Window((64, 64), 0.05, 192)
    atom = Atoms([[0.5, 7.77, 12.34]], [1], 0.0, (1, 20, 20))
    phases = phase_slices(atom, (192, 192), window.sampling, ENERGY)
    pattern = multislice(phases, [[7.0, 3.0]], window, PLANE, ENERGY).patterns[0]
    k = frequencies(window)
    scattered = k > 0
    np.testing.assert_allclose(pattern[scattered], born("H", window, k)[scattered], rtol=0.03)


def test_an_atom_that_swings_scatters_diffusely():
    """f^2 in all, f^2 exp(-2M) of it coherently, so f^2 (1 - exp(-2M)) diffusely, 2M = B k^2 / 2."""
    window = Window((64, 64), 0.05, 192)
    atom = Atoms([[0.5, 10, 10]], [1], 0.1, (1, 20, 20))
    grid = (192, 192)
    every = frozen_phonons(
        atom, grid, [[10, 10]], window, PLANE, ENERGY, snapshots=16, generator=np.random.default_rng(1)
    )
    coherent = multislice(phase_slices(atom, grid, window.sampling, ENERGY), [[10, 10]], window, PLANE, ENERGY)
    k = frequencies(window)
    seen = k > 0.2
    diffuse = (every.patterns - coherent.patterns)[0][seen]
    expected = (born("H", window, k) * (1 - np.exp(-atom.b_factors[0] * k**2 / 2)))[seen]
    np.testing.assert_allclose(diffuse.sum(), expected.sum(), rtol=0.01)
    np.testing.assert_allclose(diffuse, expected, atol=0.03 * expected.max())


def test_electrons_are_conserved():
    sheet = mos2((20, 20))
    window = Window((96, 96), 0.05, 384)
    phases = phase_slices(sheet, (384, 384), window.sampling, 80e3, 1.8)
    result = multislice(phases, [[10, 10], [10.4, 9.1]], window, LENS, 80e3, sheet.cell[0] / 4, annuli=((0, 250),))
    np.testing.assert_allclose(result.total, 1, atol=1e-3)
    assert (result.total <= 1 + 1e-5).all()
    assert (result.patterns.sum((1, 2)) < result.total).all()
    np.testing.assert_allclose(result.dark_fields[0], result.total, atol=1e-3)


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_vacuum_of_any_thickness_shows_the_centred_aperture(binning):
    window = Window((32, 32), 0.08, 48 * binning, binning)
    result = multislice(np.zeros((4, 60, 72)), [[3.3, 2.2], [0, 0]], window, LENS, 80e3, 25.0)
    vacuum = window.detected((np.abs(window.probe(LENS, 80e3)) ** 2)[None])
    np.testing.assert_allclose(result.patterns, np.repeat(vacuum, 2, 0), atol=1e-6)
    pixels = np.arange(32)
    assert (vacuum[0].sum(1) * pixels).sum() == pytest.approx(16) == (vacuum[0].sum(0) * pixels).sum()


def test_vacuum_in_front_is_a_change_of_focus():
    window = Window((32, 32), 0.08, 96)
    phase = phase_slices(mos2((12.5, 12.5)), (96, 96), window.sampling, 80e3)
    behind = np.concatenate([np.zeros((2, 96, 96), np.float32), phase])
    after = multislice(behind, [[6, 6]], window, LENS, 80e3, 15.0)
    refocused = Optics(semiangle=20, aberrations=Aberrations(defocus=30))
    np.testing.assert_allclose(after.patterns, multislice(phase, [[6, 6]], window, refocused, 80e3).patterns, atol=1e-6)


def test_one_slice_is_the_engines_single_slice():
    window = Window((96, 96), 0.05, 96)
    grid = window.sampling * np.arange(144)
    phase = 0.4 * np.exp(-((grid[:, None] - 15) ** 2 + (grid[None] - 14) ** 2) / 4)
    positions = np.array([[14.5, 15.2], [15.0, 13.87]])
    probe = make_probe(LENS, (96, 96), (window.sampling, window.sampling), 80e3)
    single = diffraction_patterns(phase, probe, positions / window.sampling)
    np.testing.assert_allclose(
        multislice(phase[None], positions, window, LENS, 80e3).patterns, single, atol=2e-4 * single.max()
    )


def test_moving_specimen_and_probe_together_changes_nothing():
    window = Window((48, 48), 0.08, 144, 2)
    sheet = mos2((12, 12), vacuum=1.0)
    moved = Atoms(sheet.positions + np.array([0, 3.21, -1.37]), sheet.numbers, sheet.displacements, sheet.cell)
    here, there = (
        multislice(phase_slices(atoms, (160, 160), window.sampling, 80e3, 1.5), [at], window, LENS, 80e3, 1.5).patterns
        for atoms, at in ((sheet, [6.0, 6.0]), (moved, [9.21, 4.63]))
    )
    assert np.abs(here - there).sum() < 2e-3


def test_snapshots_are_seeded_and_do_not_depend_on_the_threads():
    window = Window((32, 32), 0.1, 64)
    sheet = mos2((10, 10))
    runs = [
        frozen_phonons(
            sheet, (64, 64), [[5, 5], [5, 6]], window, LENS, 80e3, 3.5,
            snapshots=3, generator=np.random.default_rng(seed), annuli=((40, 80),), workers=workers,
        )
        for seed, workers in ((7, 2), (7, 1), (8, 2))
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0].patterns, runs[1].patterns)
    np.testing.assert_array_equal(runs[0].dark_fields, runs[1].dark_fields)
    assert np.abs(runs[0].patterns - runs[2].patterns).max() > 0


def test_the_truth_describes_the_data():
    """The single-slice model with the truth's phase, probe and positions gives the simulated patterns."""
    calibration = Calibration(energy=80e3, scan_step=0.7, q_pixel=0.05)
    done = simulate_dataset(
        mos2((36, 36), vacuum=0.5), calibration, LENS, scan=(3, 4), detector=(64, 64), thickness=None,
        annuli=((60, 85), (25, 60)),
    )  # fmt: skip
    assert done.phase.shape == (1, *grid_shape(done.atoms, done.sampling)) and done.dark_fields.shape == (2, 3, 4)
    patterns = diffraction_patterns(done.phase[0], done.probe, done.positions / done.sampling)
    data = done.dataset.data.reshape(12, 64, 64)
    assert np.abs(patterns - data).sum() / data.sum() < 0.05
    assert done.detected.max() < done.total.max() <= 1
    assert done.b_factor == pytest.approx(8 * np.pi**2 * 0.0769**2, rel=0.02)


def test_counts_follow_the_dose():
    calibration = Calibration(energy=80e3, scan_step=0.5, q_pixel=0.1)
    options = {"scan": (3, 3), "detector": (32, 32), "snapshots": 2, "dose": 1e4}
    done, again = (
        simulate_dataset(mos2((12, 12)), calibration, LENS, generator=np.random.default_rng(4), **options)
        for _ in range(2)
    )
    assert done.dataset.dtype == np.uint16
    np.testing.assert_array_equal(done.dataset.data, again.dataset.data)
    assert done.dataset.mean_pattern().sum() == pytest.approx(2500 * done.detected.mean(), rel=0.03)
    assert done.dataset.vacuum.sum() == pytest.approx(2500, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Window((96, 96), 0.05, 100, 2), ParameterError, "pass pixels=288"),
        (lambda: Window((96, 96), 0.05, 192).probe(Optics(), 80e3), CalibrationError, "ideal aperture"),
        (lambda: Window((8, 8), 0.05, 8).probe(LENS, 80e3), ParameterError, "pass more pixels"),
        (lambda: Window((8, 8), 0.05, 64).annuli(((50, 900),), 80e3), ParameterError, "annulus"),
        (lambda: phase_slices(mos2((5, 5)), (8, 8), 0.6, 80e3, -1), ParameterError, "thickness is -1"),
        (
            lambda: multislice(np.zeros((1, 64, 64)), np.zeros(2), Window((8, 8), 0.1, 32), LENS, 80e3),
            ParameterError,
            "expected \\(J, 2\\)",
        ),
        (lambda: simulate_dataset(mos2((5, 5)), Calibration(energy=80e3), LENS), CalibrationError, "scan_step"),
        (
            lambda: simulate_dataset(mos2((5, 5)), Calibration(80e3, 0.5, 0.1), LENS, snapshots=2),
            ParameterError,
            "default_rng",
        ),
    ],
)
def test_errors_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
