"""The simulator against direct sums, and the ducky against what it promises."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Optics, ParameterError, make_probe
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.simulate import diffraction_patterns, poisson_counts, projected_phase, scattering_factor


def test_projected_phase_is_the_direct_fourier_sum():
    atoms = np.array([[5.03, 5.11], [3.3, 7.77]])
    ky, kx = np.fft.fftfreq(50, 0.2)[:, None], np.fft.rfftfreq(50, 0.2)[None]
    k = np.hypot(ky, kx)
    form = scattering_factor("C", k) * np.exp(-0.5 * k**2 / 4) * (k < 2.5)
    spectrum = sum(np.exp(-2j * np.pi * (ky * y + kx * x)) for y, x in atoms) * form
    direct = np.fft.irfft2(spectrum * 47.87764 * interaction(80e3) / 0.04, s=(50, 50))
    np.testing.assert_allclose(projected_phase(atoms, (50, 50), 0.2, 80e3), direct, atol=2e-3 * direct.max())


def test_vacuum_gives_back_the_aperture_and_all_counts():
    probe = make_probe(Optics(semiangle=20), (64, 64), (0.3, 0.3), 80e3, 1000.0)
    patterns = diffraction_patterns(np.zeros((80, 80), np.float32), probe, np.array([[32.0, 32.0], [35.4, 41.7]]))
    aperture = np.fft.fftshift(np.abs(np.fft.fft2(probe, norm="ortho")) ** 2)
    np.testing.assert_allclose(patterns, np.broadcast_to(aperture, patterns.shape), atol=1e-3)
    np.testing.assert_allclose(patterns.sum((1, 2)), 1000, rtol=1e-5)


def test_descan_moves_the_pattern():
    probe = make_probe(Optics(semiangle=20), (64, 64), (0.3, 0.3), 80e3)
    phase = np.zeros((70, 70), np.float32)
    here, there = diffraction_patterns(phase, probe, np.full((2, 2), 33.0), np.array([[0.0, 0.0], [3.0, -2.0]]))
    np.testing.assert_allclose(there, np.roll(here, (3, -2), (0, 1)), atol=1e-6)


def test_windows_must_lie_inside():
    probe = make_probe(Optics(semiangle=20), (64, 64), (0.3, 0.3), 80e3)
    with pytest.raises(ParameterError, match="outside"):
        diffraction_patterns(np.zeros((80, 80), np.float32), probe, np.array([[2.0, 32.0]]))


def test_counts_are_seeded_and_have_the_right_mean():
    mean = np.full((20, 16, 16), 3.0)
    counts = poisson_counts(mean, np.random.default_rng(5))
    np.testing.assert_array_equal(counts, poisson_counts(mean, np.random.default_rng(5)))
    assert counts.mean() == pytest.approx(3, abs=0.1) and counts.var() == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_ducky(size):
    dataset = samples.ducky(size)
    assert not dataset.calibration.missing
    assert dataset.vacuum is not None and dataset.dtype == np.uint16
    dose = dataset.mean_pattern().sum() / dataset.calibration.scan_step**2
    assert dose == pytest.approx(1e5, rel=0.01)


def test_tutorial_size():
    size = samples.SIZES["full"]
    assert (size.scan, size.detector, size.scan_step, size.q_pixel, size.defocus) == (41, 200, 4.0, 0.025, 500.0)


def test_unknown_size():
    with pytest.raises(ParameterError, match="did you mean 'small'"):
        samples.ducky("smal")
