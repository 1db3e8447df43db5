"""Orientation: the right one of eight, also where curl alone ties or misleads, and doubt is said."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, prepare
from ptywidgets.engine.calibrate import find_orientation
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.preprocess import wrapped_angle


def away(angle, truth):
    return abs(wrapped_angle(angle - truth))


@pytest.mark.parametrize("rotation, transpose, defocus", [(-15.0, False, 300.0), (120.0, True, -300.0)])
def test_the_right_one_of_eight(variant, rotation, transpose, defocus):
    found = find_orientation(
        variant("particles", rotation=rotation, transpose=transpose, defocus=defocus, dose=1e5, scan=16)
    )
    assert len(found.candidates) == 8
    assert away(found.rotation, rotation) < 1 and found.transpose == transpose
    assert found.flip_resolved and found.confidence > 0.9
    assert sum(c.confidence for c in found.candidates) == pytest.approx(1)


def test_each_candidate_is_another_quarter_or_transpose():
    found = find_orientation(samples.ducky("tiny"))
    for transpose in (False, True):
        angles = np.array([c.rotation for c in found.candidates if c.transpose == transpose])
        np.testing.assert_allclose(np.diff(np.sort(angles % 360)), 90, atol=1e-6)
    assert all(c.phase.shape == (12, 12) and c.phase.dtype == np.float32 for c in found.candidates)


def test_twins_tie_in_everything_but_the_look_of_atoms():
    dataset = samples.ducky("tiny")
    measurement = prepare(dataset)
    found = find_orientation(bright_field(dataset, measurement))
    assert not found.flip_resolved and "cannot tell" in found.message
    best = found.candidates[found.best]
    twin = next(c for c in found.candidates if c.transpose == best.transpose and away(c.rotation, best.rotation) > 179)
    assert twin.confidence == pytest.approx(best.confidence)
    assert twin.curl == pytest.approx(best.curl)
    np.testing.assert_allclose(twin.phase, -best.phase, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_of_the_defocus_tells_the_twins_apart(sign):
    optics = Optics(semiangle=20, aberrations=Aberrations(defocus=sign))
    found = find_orientation(samples.ducky("tiny"), optics=optics)
    assert found.flip_resolved
    assert away(found.rotation, -15 if sign > 0 else 165) < 1


def test_where_curl_misleads_the_bright_field_does_not(variant):
    dataset = variant("lattice", rotation=-15.0, defocus=300.0)
    measurement = prepare(dataset)
    assert away(measurement.rotation_fit.rotation, -15) % 180 > 10
    found = find_orientation(dataset, measurement)
    assert away(found.rotation, -15) % 180 < 1.5 and not found.transpose


def test_no_structure_is_said():
    dataset = samples.ducky("tiny")
    mean = dataset.mean_pattern()
    flat = np.random.default_rng(0).poisson(np.broadcast_to(mean / mean.sum() * 2e4, dataset.shape))
    found = find_orientation(type(dataset)(flat, dataset.calibration))
    assert "by hand" in found.message
