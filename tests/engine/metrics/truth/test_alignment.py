"""Known shifts, ramps, offsets and scales are found and taken off, and nothing else is."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, ParameterError
from ptywidgets.engine.metrics import align

SHAPE = (96, 80)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def smooth(seed=0, shape=SHAPE, cutoff=0.25, spread=0.4):
    """Periodic noise without frequencies above `cutoff` (cycles per px), with the rms `spread`."""
    noise = np.random.default_rng(seed).normal(size=shape)
    k = np.hypot(np.fft.fftfreq(shape[-2])[:, None], np.fft.fftfreq(shape[-1]))
    image = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((k / (0.6 * cutoff)) ** 2)) * (k < cutoff)).real
    return spread * image / image.std()


def moved(image, shift):
    """image(r - shift), shift in pixels; exact for what is periodic."""
    k = [np.fft.fftfreq(n) for n in image.shape[-2:]]
    out = np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (k[0][:, None] * shift[0] + k[1] * shift[1])))
    return out if np.iscomplexobj(image) else out.real


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, -0.52), (5.25, -6.8)])
@pytest.mark.parametrize("ramp", [(0.0, 0.0), (0.004, -0.01), (0.21, 0.35)])
@pytest.mark.parametrize("spread", [0.1, 1.2])
def test_a_transmission_that_was_moved_turned_and_scaled_is_laid_back(shift, ramp, spread):
    """With ramps of several turns over the field, and phases that wrap."""
    truth = np.exp(1j * smooth(spread=spread) - 0.1 * np.abs(smooth(1)))
    result = 1.7 * moved(truth, shift) * np.exp(1j * (0.9 + ramp[0] * Y + ramp[1] * X))
    found = align(result, truth, 0.5)
    np.testing.assert_allclose(found.gauge.shift, np.multiply(shift, 0.5), atol=0.005 * 0.5)
    np.testing.assert_allclose(np.multiply(found.gauge.ramp, 0.5), ramp, atol=1e-5)
    assert np.angle(np.exp(1j * (found.gauge.offset - 0.9))) == pytest.approx(0, abs=1e-3)
    assert found.gauge.scale == pytest.approx(1.7, rel=1e-3)
    assert found.correlation > 0.9999 and found.relative_rms < 0.01
    np.testing.assert_allclose(found.result, found.truth, atol=0.02)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, -0.52), (5.25, -6.8)])
@pytest.mark.parametrize("ramp", [(0.0, 0.0), (0.02, -0.03)])
def test_a_phase_that_was_moved_and_tilted_is_laid_back(shift, ramp):
    truth = smooth()
    result = moved(truth, shift) + 0.3 + ramp[0] * Y + ramp[1] * X
    found = align(result, truth, (0.5, 0.25))
    np.testing.assert_allclose(found.gauge.shift, np.multiply(shift, (0.5, 0.25)), atol=0.001)
    np.testing.assert_allclose(np.multiply(found.gauge.ramp, (0.5, 0.25)), ramp, atol=1e-5)
    assert found.gauge.offset == pytest.approx(0.3, abs=1e-3)
    assert found.rms < 1e-3 and found.contrast == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(found.result[found.mask], found.truth[found.mask], atol=0.01)


def test_the_scale_of_a_potential_is_told_and_taken_off_only_when_asked():
    truth = smooth()
    result = 0.6 * moved(truth, (0.5, 0.5)) + 0.2
    kept, scaled = align(result, truth), align(result, truth, scale=True)
    assert kept.contrast == scaled.contrast == pytest.approx(0.6, abs=1e-3)
    assert kept.gauge.scale == 1 and scaled.gauge.scale == pytest.approx(0.6, abs=1e-3)
    assert kept.relative_rms == pytest.approx(0.4, abs=2e-3) and kept.relative_rms_scaled < 2e-3
    assert np.std((kept.result - 0.6 * kept.truth)[kept.mask]) < 1e-3
    np.testing.assert_allclose(scaled.result[scaled.mask], scaled.truth[scaled.mask], atol=0.01)
    assert "scale 0.6" in str(scaled) and "scale" not in str(kept.gauge)


def test_a_potential_may_keep_its_ramp():
    truth = smooth()
    found = align(truth + 0.02 * Y, truth, ramp=False)
    assert found.gauge.ramp == (0, 0) and found.rms > 0.1


def test_noise_is_reported_as_what_it_is():
    truth = smooth(shape=(128, 128))
    noise = np.random.default_rng(5).normal(scale=0.2, size=truth.shape)
    found = align(moved(truth, (1.3, 0.4)) + noise, truth)
    assert found.rms == pytest.approx(0.2, rel=0.02) and found.relative_rms == pytest.approx(0.5, rel=0.05)
    assert found.correlation == pytest.approx(1 / np.sqrt(1 + 0.5**2), abs=0.01)
    np.testing.assert_allclose(found.gauge.shift, (1.3, 0.4), atol=0.05)
    waves = align(np.exp(1j * (moved(truth, (1.3, 0.4)) + noise)), np.exp(1j * truth))
    assert waves.rms == pytest.approx(0.2, rel=0.03)


def test_a_finer_truth_loses_what_the_result_cannot_show():
    coarse = smooth(shape=(48, 48), cutoff=0.3)
    spectrum = np.fft.fft2(coarse)
    padded = np.zeros((144, 144), complex)
    rows = np.fft.fftfreq(48, 1 / 48).astype(int)
    padded[np.ix_(rows, rows)] = spectrum
    fine = np.fft.ifft2(padded).real * 9
    k = np.hypot(np.fft.fftfreq(144)[:, None], np.fft.fftfreq(144))
    beyond = np.fft.ifft2(np.fft.fft2(np.random.default_rng(3).normal(size=fine.shape)) * (k > 0.25)).real
    found = align(coarse, fine + beyond, 0.6, 0.2)
    assert found.rms < 1e-3
    np.testing.assert_allclose(found.gauge.shift, 0, atol=0.005)
    whole = np.exp(1j * fine)
    assert align(np.exp(1j * coarse), whole, 0.6, 0.2).correlation > 0.99


def test_a_cut_off_leaves_noise_above_it_out():
    truth = smooth(cutoff=0.12)
    k = np.hypot(np.fft.fftfreq(SHAPE[0])[:, None], np.fft.fftfreq(SHAPE[1]))
    noise = np.fft.ifft2(np.fft.fft2(np.random.default_rng(2).normal(size=SHAPE)) * (k > 0.25)).real
    assert align(truth + noise, truth, cutoff=0.16).rms < 0.01 < 0.3 < align(truth + noise, truth).rms


def test_black_and_white_may_be_exchanged_only_when_allowed():
    truth = smooth()
    for result, true in ((-moved(truth, (2.5, 1)), truth), (np.exp(-1j * moved(truth, (2.5, 1))), np.exp(1j * truth))):
        found = align(result, true, either_sign=True)
        assert found.gauge.sign == -1 and found.correlation > 0.999
        np.testing.assert_allclose(found.gauge.shift, (2.5, 1), atol=0.01)
        assert align(result, true).correlation < 0.7


def test_only_the_mask_is_compared():
    truth = smooth()
    result = moved(truth, (0.4, 1.2))
    mask = (Y - 48) ** 2 + (X - 40) ** 2 < 28**2
    result[~mask] = np.random.default_rng(0).normal(size=SHAPE)[~mask]
    found = align(result, truth, mask=mask)
    assert found.rms < 1e-3
    np.testing.assert_allclose(found.gauge.shift, (0.4, 1.2), atol=0.005)


def test_a_stack_has_one_shift_and_a_constant_for_each_slice():
    truth = np.stack([smooth(seed, spread=0.2) for seed in range(3)])
    constants = np.array([0.1, -0.3, 0.25])
    result = moved(truth, (1.4, -0.7)) + constants[:, None, None]
    found = align(result, truth)
    np.testing.assert_allclose(found.gauge.offsets, constants, atol=1e-3)
    np.testing.assert_allclose(found.gauge.shift, (1.4, -0.7), atol=0.005)
    assert found.correlation > 0.9999 and found.rms < 2e-3 and found.result.shape == truth.shape
    waves = align(np.exp(1j * result), np.exp(1j * truth))
    assert waves.correlation == pytest.approx(found.correlation, abs=1e-4)
    assert waves.gauge.offset == pytest.approx(0.05, abs=1e-3)


def test_the_ramp_of_a_stack_belongs_to_its_first_slice():
    truth = np.stack([smooth(seed, spread=0.2) for seed in range(3)])
    result = truth.copy()
    result[0] += 0.01 * Y - 0.02 * X
    found = align(result, truth, ramp=True)
    np.testing.assert_allclose(found.gauge.ramp, (0.01, -0.02), atol=1e-4)
    assert found.rms < 2e-3 and align(result, truth).rms > 0.1


def test_a_shift_in_depth_is_found():
    fine = np.zeros((24, *SHAPE))
    fine[6:18] = [smooth(seed, spread=0.1) for seed in range(12)]
    result = np.roll(fine, 3, 0).reshape(8, 3, *SHAPE).sum(1)
    found = align(moved(result, (0.6, 0.3)), fine, thickness=6.0, truth_thickness=2.0)
    assert found.gauge.depth_shift == pytest.approx(6, abs=0.05) and found.correlation > 0.999
    np.testing.assert_allclose(found.gauge.shift, (0.6, 0.3), atol=0.01)
    part = align(result, fine, thickness=6.0, truth_thickness=2.0)
    assert np.allclose(part.truth.sum(0), fine.sum(0), atol=0.01)  # phases add up, however they are cut
    with pytest.raises(DataError, match="thickness"):
        align(result, fine)


def test_a_flat_result_shows_nothing():
    truth = smooth()
    for result, true in ((np.full(SHAPE, 0.4), truth), (np.full(SHAPE, 2j), np.exp(1j * truth))):
        found = align(result, true)
        assert found.correlation == found.contrast == 0 and found.rms == pytest.approx(found.spread)


def test_nonsense_is_refused():
    with pytest.raises(DataError, match="1 NaN"):
        align(np.where((Y == 3) & (X == 4), np.nan, 1.0), smooth())
    with pytest.raises(DataError, match=r"\(Y, X\)"):
        align(np.zeros(4), np.zeros((4, 4)))
    with pytest.raises(DataError, match="mask"):
        align(np.zeros((32, 32)), np.zeros((32, 32)), mask=np.zeros((32, 31), bool))
    with pytest.raises(ParameterError, match="sampling"):
        align(np.zeros((32, 32)), np.zeros((32, 32)), sampling=-1)
