"""Known correlations: of equals, of noise, of a known signal in noise; the published threshold curves."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, ParameterError
from ptywidgets.engine.metrics import Ring, frc, fsc, half_bit, information_threshold, one_bit


def test_correlation_falls_where_the_signal_ends():
    generator = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    image = np.fft.ifft2(np.fft.fft2(generator.normal(size=(128, 128))) * (k < 0.2)).real
    halves = [image + 0.05 * generator.normal(size=image.shape) for _ in range(2)]
    ring = frc(*halves, sampling=2.0)
    assert ring.resolution() == pytest.approx(2 / 0.2, rel=0.1)
    assert ring.mean(0.01, 0.09) > 0.95 and abs(ring.mean(0.12)) < 0.1


def test_oblong_pixels_and_images():
    image = np.random.default_rng(0).normal(size=(40, 90))
    ring = frc(image, image, (1.0, 0.5))
    np.testing.assert_allclose(ring.correlation, 1)
    assert ring.frequency[-1] <= 0.5


def test_shapes_must_agree():
    with pytest.raises(DataError, match="one shape"):
        frc(np.zeros((4, 4)), np.zeros((4, 5)))


def test_the_shells_of_equal_volumes_correlate_fully_and_those_of_noise_do_not():
    one, two = np.random.default_rng(0).normal(size=(2, 24, 48, 40))
    same = fsc(one, one, (3.0, 1.0, 1.5))
    np.testing.assert_allclose(same.correlation, 1)
    noise = fsc(one, two, (3.0, 1.0, 1.5), taper=False)
    # the correlation of n independent pairs scatters by 1 / sqrt(n), and half of the frequencies are independent
    assert (np.abs(noise.correlation) < 5 / np.sqrt(noise.counts / 2)).all()
    assert abs(noise.mean()) < 0.02


def test_shells_end_where_the_coarsest_voxel_does_unless_partial_ones_are_wanted():
    volume = np.random.default_rng(0).normal(size=(16, 64, 64))
    assert fsc(volume, volume, (4.0, 0.5, 0.5)).frequency[-1] == pytest.approx(0.125, abs=0.02)
    assert fsc(volume, volume, (4.0, 0.5, 0.5), partial=True).frequency[-1] == pytest.approx(1.0, abs=0.02)


def test_shells_count_every_frequency_once():
    volume = np.random.default_rng(0).normal(size=(20, 20, 20))
    shells = fsc(volume, volume, 2.0)
    k = np.fft.fftfreq(20, 2.0)
    lengths = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    within = (lengths > 0.5 * shells.frequency[0]) & (lengths < shells.frequency[-1] + 0.5 * shells.frequency[0])
    assert shells.counts.sum() == within.sum()


def test_two_slices_are_a_volume_too():
    volume = np.random.default_rng(0).normal(size=(2, 32, 32))
    np.testing.assert_allclose(fsc(volume, volume, (20.0, 1.0, 1.0), partial=True).correlation, 1)


@pytest.mark.parametrize("snr", [0.1, 0.5, 1.0, 4.0])
def test_the_correlation_is_snr_by_one_plus_snr(snr):
    generator = np.random.default_rng(1)
    signal, one, two = generator.normal(size=(3, 32, 32, 32))
    shells = fsc(np.sqrt(snr) * signal + one, np.sqrt(snr) * signal + two, taper=False)
    assert shells.mean() == pytest.approx(snr / (1 + snr), abs=0.02)
    known = Ring(np.arange(1, 4.0), np.array([snr / (1 + snr), 0.0, 1.0]), np.array([8, 12, 20]))
    np.testing.assert_allclose(known.snr, [snr, 0, np.inf])


def test_the_threshold_curves_are_the_published_ones():
    n = np.array([1, 4, 25, 400, 10_000])
    root = np.sqrt(n)
    np.testing.assert_allclose(half_bit(n), (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), atol=1e-4)
    np.testing.assert_allclose(one_bit(n), (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root), atol=1e-4)
    assert half_bit(np.array(1)) == pytest.approx(1) and half_bit(np.array(1e18)) == pytest.approx(0.1716, abs=1e-4)
    assert one_bit(np.array(1e18)) == pytest.approx(1 / 3)


def test_the_threshold_of_many_frequencies_is_the_correlation_at_that_information():
    for bits in (0.25, 0.5, 1, 2):
        half = (2**bits - 1) / 2
        assert information_threshold(np.array(1e20), bits) == pytest.approx(half / (1 + half))
    with pytest.raises(ParameterError, match="more than 0"):
        information_threshold(np.array([3]), 0)


def test_resolution_at_a_curve_lies_where_it_is_crossed():
    frequency = np.arange(1, 101) / 100
    counts = np.full(100, 10_000)
    ring = Ring(frequency, 1 - frequency, counts)
    assert 1 / ring.resolution(half_bit) == pytest.approx(1 - half_bit(counts)[0], abs=1e-6)
    assert 1 / ring.resolution(0.3) == pytest.approx(0.7, abs=1e-6)
    assert ring.resolution(one_bit) > ring.resolution(half_bit)


def test_volumes_must_be_of_one_shape():
    with pytest.raises(DataError, match="one shape"):
        fsc(np.zeros((4, 4, 4)), np.zeros((4, 4, 5)))
    with pytest.raises(DataError, match="one shape"):
        fsc(np.zeros((4, 4)), np.zeros((4, 4)))
