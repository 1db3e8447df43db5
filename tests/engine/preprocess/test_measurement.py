"""Measurements: counts are moved, never interpolated; positions and numbers are public and right."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Calibration, CalibrationError, DataError, Dataset, Optics, prepare
from ptywidgets.engine.calibrate.flip import resolve_flip
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess import bad_pixels, reorient


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture(scope="module")
def measurement(ducky):
    return prepare(ducky)


def test_counts_are_only_moved(ducky, measurement):
    assert np.shares_memory(measurement.patterns.counts, ducky.data)
    for j in (0, 17, 143):
        counts = np.sort(np.rint(measurement.amplitudes[j] ** 2).ravel())
        np.testing.assert_array_equal(counts, np.sort(ducky.data.reshape(144, -1)[j]))


def test_origin_lands_in_the_corner(measurement):
    n = measurement.amplitudes.shape[-1]
    k = np.fft.fftfreq(n, 1 / n)
    intensity = measurement.amplitudes.astype(float) ** 2
    com = np.stack([(intensity.sum(2) @ k), (intensity.sum(1) @ k)]) / intensity.sum((1, 2))
    rest = com.T - measurement.shifts - (measurement.com_measured - measurement.origin).reshape(2, -1).T
    assert np.abs(rest).max() < 0.02  # a count at the very edge may wrap
    assert np.abs(measurement.shifts).max() <= 0.5


def test_descan_and_rotation_are_found(measurement):
    assert np.ptp(measurement.origin[0]) == pytest.approx(2 * 3 * 0.64, abs=0.1)  # the plane that the sample put in
    assert measurement.rotation == pytest.approx(-15, abs=1.0)
    assert not measurement.transpose


def test_positions_are_in_angstrom_about_their_middle(measurement):
    assert measurement.positions.shape == (144, 2)
    np.testing.assert_allclose(measurement.positions.mean(0), 0, atol=1e-9)
    assert np.linalg.norm(measurement.positions[1] - measurement.positions[0]) == pytest.approx(1.5)
    assert measurement.sampling == pytest.approx((1 / (64 * 0.05),) * 2)


def test_given_rotation_is_used_and_the_found_one_still_told(ducky):
    measurement = prepare(ducky, rotation=20.0, transpose=True)
    assert (measurement.rotation, measurement.transpose) == (20.0, True)
    assert measurement.rotation_fit.rotation != 20.0


def test_reorient_reads_no_data(ducky, measurement):
    turned = reorient(measurement, measurement.preparation.replace(rotation=40.0))
    again = prepare(ducky, rotation=40.0)
    assert turned.patterns is measurement.patterns
    np.testing.assert_allclose(turned.positions, again.positions)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_defocus_tells_the_twins_apart(ducky, measurement, sign):
    optics = Optics.from_dataset(ducky, aberrations=Aberrations(defocus=sign * samples.ducky_defocus("tiny")))
    for start in (measurement.rotation, measurement.rotation + 180):
        turned = reorient(measurement, measurement.preparation.replace(rotation=start))
        test = resolve_flip(turned, optics)
        assert test.resolved
        difference = (test.rotation + 15 + 180) % 360 - 180
        assert abs(difference) < 2 if sign > 0 else abs(abs(difference) - 180) < 2


def test_without_defocus_the_twins_cannot_be_told(ducky, measurement):
    vacuum = np.fft.fftshift(measurement.amplitudes[0] ** 2)
    vacuum = vacuum + np.roll(vacuum[::-1, ::-1], (1, 1), (0, 1))
    patterns = Patterns.centred(np.broadcast_to(np.fft.ifftshift(vacuum), measurement.patterns.shape))
    test = resolve_flip(replace(measurement, patterns=patterns, shifts=0 * measurement.shifts), Optics(vacuum=vacuum))
    assert not test.resolved and "equally well" in test.message


def test_incomplete_calibration():
    with pytest.raises(CalibrationError, match="energy"):
        prepare(Dataset(np.ones((2, 2, 8, 8)), calibration=Calibration(scan_step=1, q_pixel=0.1)))


def test_files_are_read_once_and_memory_maps_not_at_all(ducky, tmp_path):
    counts = np.asarray(ducky.data).astype(np.uint16)
    np.save(tmp_path / "counts.npy", counts)
    mapped = np.load(tmp_path / "counts.npy", mmap_mode="r")
    patterns = prepare(Dataset(mapped, ducky.calibration), rotation=-15.0).patterns
    assert np.shares_memory(patterns.counts, mapped) and patterns.counts.dtype == np.uint16

    class Slices:
        shape, dtype, seen = counts.shape, counts.dtype, 0

        def __getitem__(self, key):
            block = counts[key]
            self.seen += block.size
            return block

    lazy = Slices()
    patterns = prepare(Dataset(lazy, ducky.calibration), rotation=-15.0).patterns
    assert lazy.seen == counts.size + counts[0, 0].size  # the first was looked at to see whether it can be
    np.testing.assert_array_equal(patterns.counts.reshape(counts.shape), counts)


def test_masked_pixels_count_nowhere(ducky, measurement):
    broken = np.array(ducky.data)
    broken[:, :, 5, 50] = 60000
    mask = np.ones(ducky.detector_shape, bool)
    mask[5, 50] = False
    clean = np.where(mask, ducky.data, 0)
    masked, expected = (
        prepare(Dataset(broken, ducky.calibration, mask=mask)),
        prepare(Dataset(clean, ducky.calibration)),
    )
    assert masked.mean_intensity == expected.mean_intensity
    assert masked.rotation == pytest.approx(expected.rotation, abs=1e-9)
    np.testing.assert_allclose(masked.com_measured, expected.com_measured, rtol=1e-6)
    assert (masked.patterns.amplitudes() < 0).sum() == len(masked.patterns)
    assert masked.patterns.amplitudes().max() == expected.patterns.amplitudes().max()
    assert bad_pixels(Dataset(broken)).hot[5, 50]
    assert not Dataset(broken).with_mask(bad_pixels(Dataset(broken))).mask[5, 50]


def test_masked_pixels_may_hold_anything(ducky):
    mask = np.ones(ducky.detector_shape, bool)
    mask[3, 4] = False
    for nonsense in (np.nan, -5.0):
        broken = np.array(ducky.data, np.float32)
        broken[:, :, 3, 4] = nonsense
        dataset = Dataset(broken, ducky.calibration, mask=mask)
        dataset.check()
        assert np.isfinite(prepare(dataset).patterns.amplitudes()).all()


def test_a_mask_of_another_shape_is_refused(ducky):
    with pytest.raises(DataError, match="64 x 63 bool but the detector is 64 x 64; expected True"):
        ducky.with_mask(np.ones((64, 63), bool))
    with pytest.raises(DataError, match="pass ~mask"):
        ducky.with_mask(np.zeros((64, 64), bool))
