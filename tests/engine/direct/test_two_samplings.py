"""Rows and columns that differ in scan step and detector pixel: every direct method sees the same duck."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets import samples
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.direct import bright_field, corrected, dpc, obf, parallax, ssb, wdd
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.dpc.dpc import integrate_field, integrate_iteratively
from ptywidgets.engine.direct.sidebands.overlaps import Aperture, Overlaps, Table, exact_beams
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess import prepare
from ptywidgets.engine.preprocess.rotation import integrate, unrotate_vectors

KINDS = [
    {},
    {"scan_step": (2.0, 1.5)},
    {"q_pixel": (0.0375, 0.03)},
    {"scan_step": (2.0, 1.5), "q_pixel": (0.0375, 0.03)},
]
WORST = {"dpc": 0.88, "ssb": 0.95, "obf": 0.94, "wdd": 0.89, "parallax": 0.86}


@pytest.fixture(scope="module", params=range(len(KINDS)), ids=["equal", "scan", "detector", "both"])
def duck(request):
    kind = KINDS[request.param]
    dataset = samples.ducky("small", **kind)
    phase, positions = samples.ducky_truth("small", **kind)
    return dataset, prepare(dataset), phase, positions


def beside_truth(image, duck):
    """A direct image and the truth, looked up in the frame of the scan, blurred alike and without their means."""
    dataset, _, phase, positions = duck
    pixel = np.array(dataset.calibration.sampling(dataset.detector_shape))
    grid = [np.arange(n) * s for n, s in zip(image.phase.shape, image.sampling, strict=True)]
    extent = [(n - 1) * s / 2 for n, s in zip(dataset.scan_shape, dataset.calibration.scan_steps, strict=True)]
    places = np.stack(np.meshgrid(*[g - e for g, e in zip(grid, extent, strict=True)], indexing="ij"))
    places = unrotate_vectors(places, -15.0) + ((positions.max(0) + positions.min(0)) / 2)[:, None, None]
    truth = ndimage.map_coordinates(ndimage.gaussian_filter(phase, 0.6 / pixel), places / pixel[:, None, None], order=1)
    inner = [ndimage.gaussian_filter(a, 1)[3:-3, 3:-3].ravel() for a in (image.phase, truth)]
    return [values - values.mean() for values in inner]


def correlation(image, duck):
    return np.corrcoef(*beside_truth(image, duck))[0, 1]


def error(image, duck):
    """Of the phase in rad, as a share of the true one."""
    found, truth = beside_truth(image, duck)
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


def test_the_duck_is_seen(duck):
    dataset, measurement, *_ = duck
    bright = bright_field(dataset, measurement)
    options = {"measurement": measurement, "aberrations": {"defocus": 350.0}, "upsampling": 1}
    aligned = parallax(bright)
    images = {
        "dpc": dpc(measurement),
        "ssb": ssb(dataset, **options),
        "obf": obf(dataset, **options),
        "wdd": wdd(dataset, **options),
        "parallax": corrected(aligned, factor=1),
    }
    steps = dataset.calibration.scan_steps
    for name, image in images.items():
        assert image.sampling == pytest.approx(steps)
        assert correlation(image, duck) > WORST[name], name
    assert aligned.rotation == pytest.approx(-15, abs=0.5)
    assert aligned.aberrations["defocus"] == pytest.approx(350, abs=8)
    fine = corrected(aligned)
    assert fine.sampling == pytest.approx([s / (fine.phase.shape[0] / 24) for s in steps])
    assert correlation(fine, duck) > WORST["parallax"]


@pytest.mark.parametrize("kind", KINDS[1:], ids=["scan", "detector", "both"])
def test_with_one_number_for_both_it_is_not(kind):
    """What the two numbers are good for."""
    dataset = samples.ducky("small", **kind)
    truth, known = samples.ducky_truth("small", **kind), dataset.calibration
    wrong = dataset.with_calibration(scan_step=known.scan_steps[0], q_pixel=known.q_pixels[0])
    found = []
    for data in (dataset, wrong):
        measurement = prepare(data, rotation=-15.0)
        image = ssb(data, measurement=measurement, aberrations={"defocus": 350.0}, upsampling=1)
        found.append(error(image, (dataset, measurement, *truth)))
    assert found[0] < 0.35 and found[1] > 1.25 * found[0], found


def test_the_bright_field_is_a_disk_in_angles():
    dataset = samples.ducky("tiny", q_pixel=(0.05, 0.03))
    bright = bright_field(dataset, prepare(dataset))
    assert bright.q_pixels == (0.05, 0.03) and bright.scan_step == 1.5
    reach = np.abs(bright.tilts).max(0)
    assert np.hypot(*bright.tilts.T).max() <= bright.radius
    assert (bright.radius - reach < [0.05, 0.03]).all()
    assert len(bright.tilts) == pytest.approx(np.pi * bright.radius**2 / (0.05 * 0.03), rel=0.03)


@pytest.mark.parametrize("steps", [(2.0, 1.25), (1.0, 1.0)])
def test_a_known_field_is_integrated(steps):
    y, x = np.meshgrid(np.arange(32) * steps[0], np.arange(40) * steps[1], indexing="ij")
    ky, kx = 2 * np.pi * 2 / (32 * steps[0]), 2 * np.pi * 3 / (40 * steps[1])
    phase = np.sin(ky * y + kx * x)
    field = np.stack([ky * np.cos(ky * y + kx * x), kx * np.cos(ky * y + kx * x)]) / (2 * np.pi)
    np.testing.assert_allclose(integrate(field, steps), phase, atol=1e-10)
    np.testing.assert_allclose(integrate_field(field, steps, edges="periodic"), phase, atol=1e-10)
    slow = integrate_iteratively(field, steps, iterations=200)[0]
    assert np.corrcoef(slow.ravel(), phase.ravel())[0, 1] > 0.98


def test_the_table_of_overlaps_is_that_of_its_formula():
    bright = BrightField(np.zeros((1, 4, 4), np.float32), np.zeros((1, 2)), (0.05, 0.03), 1.0, 80e3, 0.479, 0.0, False)
    aperture = Aperture(0.479, 0.503, 20.0, 2.0, 80e3)
    aberrations = Aberrations(defocus=80)
    table = Table.make(aperture, bright.q_pixels, 16)
    index = np.stack(np.meshgrid(np.arange(-8, 9), np.arange(-14, 15), indexing="ij"), -1).reshape(-1, 2)
    tilts = index * [0.05, 0.03]
    q = np.array([0.21, -0.14]), np.array([0.05, 0.33])
    fast = Overlaps.of(table, aberrations, tilts).beams(*q)
    for one, other in zip(fast, exact_beams(aperture, aberrations, tilts, *q), strict=True):
        assert np.abs(one - other).mean() < 0.01 and np.abs(other).mean() > 0.1


def test_the_simulated_truth_has_both():
    kind = {"scan_step": (1.5, 1.2), "q_pixel": (0.05, 0.04)}
    dataset = samples.ducky("tiny", **kind)
    assert dataset.calibration == Calibration(80e3, **kind, semiangle=20)
    _, positions = samples.ducky_truth("tiny", **kind)
    assert np.linalg.norm(positions[12] - positions[0]) == pytest.approx(1.5)
    assert np.linalg.norm(positions[1] - positions[0]) == pytest.approx(1.2)
