"""Rows and columns that differ: start, disk and reconstruction from data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.checks.doctor import examine
from ptywidgets.engine.core.errors import CalibrationError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.metrics import compare_to_truth
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import find_rotation, prepare
from ptywidgets.engine.preprocess.disk.disk import calibrate_detector, measure_disk
from ptywidgets.engine.preprocess.rotation import curl_share, rotation_curves, unrotate_vectors
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.simulate import mos2, simulate_dataset
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan

TWO = {"scan_step": (2.0, 1.5), "q_pixel": (0.0375, 0.03)}
TINY = {"scan_step": (1.5, 1.2), "q_pixel": (0.05, 0.04)}


def gradient(steps):
    """Field of a few atoms on a scan with two steps, in the scan frame."""
    y, x = np.meshgrid(np.arange(32) * steps[0], np.arange(40) * steps[1], indexing="ij")
    phase = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 18) for a, b in ((20, 14), (35, 33), (44, 20)))
    return np.stack(np.gradient(phase, *steps))


@pytest.mark.parametrize("transpose", [False, True])
def test_the_rotation_of_a_field_on_two_steps(transpose):
    steps = (2.0, 1.3)
    field = unrotate_vectors(gradient(steps), 25.0, transpose)
    fit = find_rotation(field, steps=steps)
    assert fit.rotation == pytest.approx(25, abs=0.5) and fit.transpose == transpose
    assert fit.solenoidal_share < 0.01 < find_rotation(field).solenoidal_share
    assert curl_share(field, 25.0, transpose, steps) < 0.01 < curl_share(field, 25.0, transpose)
    curves = rotation_curves(field, np.arange(-180.0, 180.0), steps)
    assert abs(curves.angles[curves.curl[int(transpose)].argmin()]) in (25.0, 155.0)


def test_the_start_is_found():
    start = calibrate(samples.ducky("small", **TWO))
    assert start.measurement.rotation == pytest.approx(-15, abs=0.3) and not start.measurement.transpose
    assert start.optics.aberrations["defocus"] == pytest.approx(350, abs=7)
    assert start.optics.aberrations["C12"] < 10
    assert "0.0375 x 0.03 1/A" in str(start)


def test_the_semiangle_is_found_from_the_disk():
    dataset = samples.ducky("small", **TWO)
    bare = Dataset(dataset.data, dataset.calibration.replace(semiangle=None), vacuum=dataset.vacuum)
    assert calibrate(bare, refine=False).measurement.calibration.semiangle == pytest.approx(20, rel=0.02)
    disk = measure_disk(dataset.vacuum, dataset.calibration.relative_pixels)
    assert disk.is_round and disk.ellipticity == pytest.approx(1.25, rel=0.02)
    assert not measure_disk(dataset.vacuum).is_round
    found = calibrate_detector(disk, 80e3, semiangle=20, rolloff=2.0)
    assert found.q_pixel == pytest.approx((0.0375, 0.03), rel=0.02)


def test_an_ellipse_of_the_lens_is_told_from_one_of_the_pixels():
    y, x = np.mgrid[:96, :96]
    tall, wide = 1.25**0.5, 0.8**0.5
    turned = unrotate_vectors(np.stack([(y - 48.0) * tall, (x - 47.0) * wide]), 30.0)
    pattern = 1 / (1 + np.exp(2 * (np.hypot(turned[0] / 1.1, turned[1] * 1.1) - 16)))
    disk = measure_disk(pattern, (tall, wide))
    ellipticity, angle = disk.distortion
    assert ellipticity == pytest.approx(1.21, abs=0.01) and not disk.is_round
    assert angle == pytest.approx(30, abs=1)


def test_the_doctor_finds_nothing():
    findings = {f.name: f for f in examine(samples.ducky("small", **TWO))}
    assert "steps of 2 x 1.5 A, detector pixels of 0.0375 x 0.03 1/A" in findings["calibration"].sentence
    assert findings["disk and semi-angle"].verdict == "good", findings["disk and semi-angle"].sentence
    assert findings["dose"].value == pytest.approx(1e5, rel=0.02)


@pytest.mark.parametrize("kind", [{}, TINY], ids=["equal", "both"])
def test_the_duck_is_reconstructed(kind):
    dataset = samples.ducky("tiny", **kind)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=samples.ducky_defocus("tiny")))
    problem = make_problem(prepare(dataset, rotation=-15.0), optics)
    *_, state = iterate(problem, Plan(iterations=25, batch=36))
    phase, positions = samples.ducky_truth("tiny", **kind)
    pixel = dataset.calibration.sampling(dataset.detector_shape)
    assert problem.sampling == pixel
    found = compare_to_truth(
        state.object, state.positions, phase, positions, sampling=problem.sampling, truth_sampling=pixel
    )
    assert found.correlation > 0.95


def test_multislice_simulations_take_two_steps_and_refuse_two_pixels():
    from ptywidgets.engine.data.calibration import Calibration

    known = Calibration(energy=80e3, scan_step=(0.5, 0.4), q_pixel=0.08)
    atoms, optics = mos2((16, 16)), Optics(semiangle=25)
    done = simulate_dataset(atoms, known, optics, scan=(2, 3), detector=(32, 32))
    assert np.diff(done.positions, axis=0)[[0, 2]].round(9).tolist() == [[0.0, 0.4], [0.5, -0.8]]
    with pytest.raises(CalibrationError, match=r"q_pixel is 0.08 x 0.06 1/A along rows and columns"):
        simulate_dataset(atoms, known.replace(q_pixel=(0.08, 0.06)), optics, scan=(2, 3), detector=(32, 32))
