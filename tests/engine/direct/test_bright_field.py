"""The stack of tilted images: descan undone, pixels summed, frames right; and a direct image on the object's pixels."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, CalibrationError, DataError, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.core.units import energy_of_wavelength, wavelength
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.direct import BrightField, DirectImage, bright_field, start_object

CALIBRATION = Calibration(energy=80e3, scan_step=2.0, q_pixel=0.05, semiangle=20.0)


def wandering(move=3.0, shape=(32, 32)):
    """A cone of light about an origin that moves in a plane: each pixel's value tells its distance from the origin."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    data = np.empty((5, 6, *shape), np.float32)
    for i in range(5):
        for j in range(6):
            centre = 15.2 + move * (i / 4 - 0.5), 16.1 - move * (j / 5 - 0.5)
            data[i, j] = np.clip(12 - np.hypot(y - centre[0], x - centre[1]), 0, None)
    return Dataset(data, CALIBRATION)


def test_descan_is_gone_to_a_fraction_of_a_pixel():
    bright = bright_field(wandering(), radius=6)
    away = np.hypot(*bright.tilts.T) / 0.05
    far = away > 1.5  # linear interpolation rounds the tip of the cone
    expected = np.broadcast_to((12 - away)[far, None, None], bright.images[far].shape)
    np.testing.assert_allclose(bright.images[far], expected, atol=0.12)
    assert bright.images.dtype == np.float32 and bright.q_pixel == 0.05 and bright.radius == pytest.approx(0.3)


def test_binning_sums_counts():
    one, two = (bright_field(wandering(0.0), radius=6, binning=b) for b in (1, 2))
    assert two.q_pixel == 0.1 and len(two.images) < 0.4 * len(one.images)
    central = np.abs(two.tilts).max(1) < 0.01
    near = np.abs(one.tilts).max(1) < 0.11
    assert two.images[central].mean() == pytest.approx(4 * one.images[near].mean(), rel=0.2)


def test_pixels_beyond_the_detector_are_dark():
    bright = bright_field(wandering(0.0, (20, 32)), radius=14)
    assert (bright.images[bright.tilts[:, 0] > 0.55] == 0).all()


def test_radius_comes_from_the_semiangle_and_else_from_the_disk():
    dataset = samples.ducky("tiny")
    told = bright_field(dataset).radius
    assert told == pytest.approx(20e-3 / wavelength(80e3))
    blind = bright_field(dataset.with_calibration(semiangle=None))
    assert blind.radius == pytest.approx(told, rel=0.08)  # a soft edge is at half height inside the semi-angle


def test_orientation_is_the_measurements_or_found_or_given():
    dataset = samples.ducky("tiny")
    measurement = prepare(dataset, rotation=-12.5)
    assert bright_field(dataset, measurement).rotation == -12.5
    assert bright_field(dataset).rotation == pytest.approx(-15, abs=1)
    given = bright_field(dataset, rotation=33.0, transpose=True)
    assert (given.rotation, given.transpose) == (33.0, True)
    assert given.turned(10.0).rotation == 10.0 and given.turned(10.0).transpose
    with pytest.raises(DataError, match="prepare this dataset"):
        bright_field(wandering(), measurement)
    with pytest.raises(CalibrationError):
        bright_field(wandering().with_calibration(q_pixel=None))


@pytest.mark.parametrize("rotation, transpose", [(0.0, False), (30.0, False), (30.0, True), (-120.0, True)])
def test_frames_turn_there_and_back(rotation, transpose):
    bright = BrightField(np.zeros((1, 6, 8), np.float32), np.zeros((1, 2)), 0.05, 2.0, 80e3, 0.4, rotation, transpose)
    vectors = np.random.default_rng(0).normal(size=(2, 5))
    np.testing.assert_allclose(bright.to_detector(bright.to_scan(vectors)), vectors)
    q = bright.frequencies()
    assert q.shape == (2, 6, 5)
    np.testing.assert_allclose(np.hypot(*q)[:, 0], np.abs(np.fft.fftfreq(6, 2.0)))
    np.testing.assert_allclose(bright.to_scan(q)[1, 0], np.fft.rfftfreq(8, 2.0), atol=1e-12)


def test_whole_numbers_are_taken_for_counts():
    dataset = wandering()
    assert not bright_field(dataset, radius=6).counted
    assert bright_field(Dataset(dataset.data.astype(np.uint16), CALIBRATION), radius=6).counted


def test_light_is_told_by_its_wavelength():
    bright = BrightField(
        np.zeros((1, 6, 8), np.float32), np.zeros((1, 2)), 0.05, 2.0, energy_of_wavelength(6300.0), 0.4, 0.0, False
    )
    assert bright.wavelength == pytest.approx(6300)


@pytest.mark.parametrize("transpose", [False, True])
def test_a_direct_image_lands_where_the_scan_was(transpose):
    """A bump at one scan position must be at that position's place in the object, and its sense must be kept."""
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0, transpose=transpose)
    optics = Optics(semiangle=20, aberrations=Aberrations(defocus=250))
    problem = make_problem(measurement, optics, model=single_slice("potential"))
    phase = np.zeros((12, 12), np.float32)
    phase[3, 8] = 1
    image = DirectImage(phase, (1.5, 1.5), "bump", -15.0, transpose)
    obj = start_object(image, problem)
    assert obj.shape == problem.object_shape and obj.dtype == np.float32
    peak = np.unravel_index(obj[0].argmax(), obj.shape[1:]) * np.array(problem.sampling)
    wanted = problem.initial_positions[3 * 12 + 8]
    assert np.abs(peak - wanted).max() < 0.75
    fine = np.zeros((24, 24), np.float32)
    fine[6, 16] = 1
    again = start_object(DirectImage(fine, (0.75, 0.75), "bump", -15.0, transpose), problem)
    peak = np.unravel_index(again[0].argmax(), obj.shape[1:]) * np.array(problem.sampling)
    assert np.abs(peak - wanted).max() < 0.4
    wave = start_object(image, make_problem(measurement, optics, model=single_slice("complex")))
    np.testing.assert_allclose(np.abs(wave), 1, atol=1e-5)
    assert np.angle(wave).max() == pytest.approx(1, abs=0.2)
