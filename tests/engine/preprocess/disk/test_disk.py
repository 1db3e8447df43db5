"""The bright-field disk: simulated ones come back, whatever is in the pattern beside them."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import CalibrationError, DataError, Optics, make_probe, read
from ptywidgets.engine.calibrate.calibration import calibrate_by_disk
from ptywidgets.engine.data.detectors import INSIDE, disk_semiangle
from ptywidgets.engine.io import read_pattern
from ptywidgets.engine.optics.probe import aperture_amplitude
from ptywidgets.engine.preprocess import calibrate_detector, measure_disk
from ptywidgets.testing import variants


def disk_pattern(centre, radius, rolloff=1.5, shape=(64, 64), ratio=1.0, angle=0.0):
    """A disk at half height at `radius`, with pixels that integrate; `ratio` and `angle` (degrees) of an ellipse."""
    part = (np.arange(5) - 2) / 5
    y, x = (np.add.outer(np.arange(n), part).ravel() - c for n, c in zip(shape, centre, strict=True))
    t = np.radians(angle)
    along, across = np.cos(t) * y[:, None] + np.sin(t) * x[None], -np.sin(t) * y[:, None] + np.cos(t) * x[None]
    rho = np.hypot(along / np.sqrt(ratio), across * np.sqrt(ratio))
    fine = aperture_amplitude(radius + INSIDE * rolloff, rolloff, rho) ** 2
    return fine.reshape(shape[0], 5, shape[1], 5).mean((1, 3))


@pytest.mark.parametrize(
    "centre, radius, rolloff, shape",
    [
        ((31.2, 33.7), 12.3, 0.3, (64, 64)),
        ((30.0, 20.4), 12.3, 3.0, (64, 48)),
        ((15.6, 16.1), 4.3, 1.0, (32, 32)),
        ((66.4, 61.2), 30.4, 3.0, (128, 128)),
        ((130.3, 120.9), 90.2, 3.0, (256, 256)),
    ],
)
def test_disks_come_back_to_a_twentieth_of_a_pixel(centre, radius, rolloff, shape):
    disk = measure_disk(disk_pattern(centre, radius, rolloff, shape))
    assert disk.centre == pytest.approx(centre, abs=0.05)
    assert disk.radius == pytest.approx(radius, abs=0.05)
    assert disk.is_round and not disk.is_smeared and disk.contrast > 0.99


def test_noise_is_told_by_the_uncertainties():
    generator = np.random.default_rng(1)
    clean = disk_pattern((31.2, 33.7), 12.3)
    misses = []
    for _ in range(12):
        disk = measure_disk(generator.poisson(5e4 * clean / clean.sum()))
        sigma = [*disk.centre_uncertainty, disk.radius_uncertainty]
        error = [disk.centre[0] - 31.2, disk.centre[1] - 33.7, disk.radius - 12.3]
        assert np.abs(error).max() < 0.05 and max(sigma) < 0.03
        misses.append(np.array(error) / sigma)
    assert 0.4 < np.sqrt(np.mean(np.square(misses))) < 2.2


@pytest.mark.parametrize("counts, error", [(3000, 0.25), (300, 0.9)])
def test_few_counts_still_show_the_disk(counts, error):
    generator = np.random.default_rng(2)
    clean = disk_pattern((61.2, 66.4), 24.4, shape=(128, 128))
    found = [measure_disk(generator.poisson(counts * clean / clean.sum())) for _ in range(6)]
    assert np.sqrt(np.mean([(d.centre[0] - 61.2) ** 2 + (d.centre[1] - 66.4) ** 2 for d in found])) < error
    assert np.sqrt(np.mean([(d.radius - 24.4) ** 2 for d in found])) < error


def test_what_else_is_in_the_pattern_does_not_move_the_disk():
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:64, :64]
    pattern = disk_pattern((31.2, 33.7), 12.3)
    pattern *= 1 + 0.3 * np.sin(y / 4) * np.cos(x / 3) + 0.2 * (x - 32) / 12  # contrast within the disk
    pattern += 0.1 / (1 + ((y - 30) ** 2 + (x - 30) ** 2) / 300)  # diffuse background
    pattern = generator.poisson(1000 * pattern).astype(float)
    pattern[[3, 25, 45, 21, 60], [5, 30, 40, 28, 60]] = 1e5  # hot pixels, on the edge too
    pattern[30, 44] = 0
    disk = measure_disk(pattern)
    assert disk.centre == pytest.approx((31.2, 33.7), abs=0.15) and disk.radius == pytest.approx(12.3, abs=0.1)
    assert abs(disk.radius - 12.3) < 4 * disk.radius_uncertainty + 0.03


@pytest.mark.parametrize("ratio, angle", [(1.05, 30.0), (1.1, -60.0), (1.03, 90.0)])
def test_an_ellipse_is_measured_and_said(ratio, angle):
    disk = measure_disk(disk_pattern((31.2, 33.7), 15.3, ratio=ratio, angle=angle))
    assert disk.ellipticity == pytest.approx(ratio, abs=0.005)
    assert abs((disk.ellipse_angle - angle + 90) % 180 - 90) < 3
    assert disk.radius == pytest.approx(15.3, abs=0.05)
    assert not disk.is_round and "ellipse" in disk.message
    assert "ellipse" in calibrate_detector(disk, 80e3, semiangle=20).message


def test_its_profile_is_the_disk():
    pattern = disk_pattern((31.2, 33.7), 12.3, ratio=1.1, angle=20)
    y, x = np.ogrid[:64, :64]
    assert np.abs(measure_disk(pattern).profile(y, x) - pattern).max() < 0.1


@pytest.mark.parametrize("semiangle, rolloff", [(20.0, 2.0), (12.0, 1.0), (30.0, 0.5)])
def test_calibration_of_the_engines_own_aperture(semiangle, rolloff):
    sampling, energy = (0.25, 0.25), 80e3
    probe = make_probe(Optics(semiangle=semiangle, rolloff=rolloff), (128, 128), sampling, energy)
    disk = measure_disk(np.fft.fftshift(np.abs(np.fft.fft2(probe)) ** 2))
    q_pixel = 1 / (128 * 0.25)
    by_pixel = calibrate_detector(disk, energy, q_pixel=q_pixel, rolloff=rolloff)
    assert by_pixel.semiangle == pytest.approx(semiangle, rel=0.01)
    by_angle = calibrate_detector(disk, energy, semiangle=semiangle, rolloff=rolloff)
    assert by_angle.q_pixel == pytest.approx(q_pixel, rel=0.01)
    assert 0 < by_angle.relative_uncertainty < 0.01


@pytest.mark.parametrize("seed", [6, 9, 14, 28, 34, 41, 50, 55, 61])
def test_a_semiangle_from_the_disk_is_as_sure_as_it_says(seed):
    """Particles, films and thick specimens, with and without vacuum: the edge is soft, and scattering moves it."""
    made = variants.recipe(seed)
    dataset = variants.simulated(made).dataset
    unknown = replace(dataset, calibration=dataset.calibration.replace(semiangle=None))
    _, estimates = calibrate_by_disk(unknown)
    told = next(d for d in estimates if d.name == "semi-angle")
    assert abs(told.value - made.semiangle) < 3 * told.uncertainty
    assert told.uncertainty < 0.03 * made.semiangle


def test_calibration_goes_into_the_dataset():
    dataset = samples.ducky("tiny").with_calibration(q_pixel=None)
    found = calibrate_detector(measure_disk(dataset.vacuum), 80e3, semiangle=20, rolloff=2)
    calibrated = dataset.with_calibration(**found.changes)
    assert calibrated.calibration.q_pixel == pytest.approx(0.05, rel=0.01)
    assert disk_semiangle(measure_disk(dataset.vacuum).radius, calibrated.calibration, 2) == pytest.approx(20)


@pytest.mark.parametrize("given", [{}, {"semiangle": 20, "q_pixel": 0.02}, {"semiangle": 1, "rolloff": 2.1}])
def test_calibration_says_what_it_needs(given):
    disk = measure_disk(disk_pattern((31, 33), 12))
    with pytest.raises(CalibrationError, match="semi-angle"):
        calibrate_detector(disk, 80e3, **given)


@pytest.mark.parametrize(
    "pattern, words",
    [
        (np.zeros((32, 32)), "the same everywhere"),
        (np.full((32, 32), np.nan), "NaN"),
        (np.ones((3, 3)), "at least 6"),
        (np.random.default_rng(0).poisson(1000, (64, 64)), "no bright-field disk"),
    ],
)
def test_a_pattern_without_a_disk_is_refused(pattern, words):
    with pytest.raises(DataError, match=words):
        measure_disk(pattern)


@pytest.mark.parametrize("name, semiangle", [("small", 20), ("small_dose1e4", 20), ("sto", 25)])
def test_multislice_data_agree_with_their_vacuum(simulated, name, semiangle):
    dataset = read(simulated / f"{name}.h5", energy=300e3 if name == "sto" else 80e3, semiangle=semiangle)
    vacuum = measure_disk(read_pattern(simulated / f"{name}_vacuum-probe.h5"))
    mean = measure_disk(dataset.mean_pattern())
    assert mean.centre == pytest.approx(vacuum.centre, abs=0.02)
    assert mean.radius == pytest.approx(vacuum.radius, abs=0.15 if name == "sto" else 0.02)
    found = calibrate_detector(vacuum, dataset.calibration.energy, semiangle=semiangle)
    assert found.q_pixel == pytest.approx(dataset.calibration.q_pixel, rel=0.01)
