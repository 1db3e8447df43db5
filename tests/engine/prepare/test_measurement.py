"""Measurements: counts are moved, never interpolated; positions and numbers are public and right."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Calibration, CalibrationError, Dataset, Optics, prepare
from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.prepare import reorient
from ptywidgets.engine.prepare.twin import resolve_twin


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture(scope="module")
def measurement(ducky):
    return prepare(ducky)


def test_counts_are_only_moved(ducky, measurement):
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
    assert turned.amplitudes is measurement.amplitudes
    np.testing.assert_allclose(turned.positions, again.positions)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_defocus_tells_the_twins_apart(ducky, measurement, sign):
    optics = Optics.from_dataset(ducky, aberrations=Aberrations(defocus=sign * samples.ducky_defocus("tiny")))
    for start in (measurement.rotation, measurement.rotation + 180):
        turned = reorient(measurement, measurement.preparation.replace(rotation=start))
        test = resolve_twin(turned, optics)
        assert test.resolved
        difference = (test.rotation + 15 + 180) % 360 - 180
        assert abs(difference) < 2 if sign > 0 else abs(abs(difference) - 180) < 2


def test_without_defocus_the_twins_cannot_be_told(ducky, measurement):
    symmetric = replace(
        measurement, amplitudes=np.broadcast_to(measurement.amplitudes[:1], measurement.amplitudes.shape)
    )
    vacuum = np.fft.fftshift(measurement.amplitudes[0] ** 2)
    vacuum = vacuum + np.roll(vacuum[::-1, ::-1], (1, 1), (0, 1))
    amplitudes = np.broadcast_to(np.sqrt(np.fft.ifftshift(vacuum))[None], measurement.amplitudes.shape).astype(
        np.float32
    )
    test = resolve_twin(replace(symmetric, amplitudes=amplitudes, shifts=0 * measurement.shifts), Optics(vacuum=vacuum))
    assert not test.resolved and "equally well" in test.message


def test_incomplete_calibration():
    with pytest.raises(CalibrationError, match="energy"):
        prepare(Dataset(np.ones((2, 2, 8, 8)), calibration=Calibration(scan_step=1, q_pixel=0.1)))
