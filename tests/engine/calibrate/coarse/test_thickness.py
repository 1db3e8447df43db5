"""How thick a specimen is: found from either side, with the defocus, or not clear."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ptywidgets.engine.calibrate.coarse.thick import depth_of_field, with_defocus
from ptywidgets.engine.calibrate.coarse.thickness import CLEAR, find_thickness
from ptywidgets.engine.calibrate.estimates import CANNOT, about_thickness
from ptywidgets.engine.core.errors import CalibrationError
from ptywidgets.engine.preprocess.rotation import wrapped_angle

THICKNESS, MIDDLE = 100.0, 130.0  # A


@pytest.fixture(scope="module")
def found(crystal):
    measurement, optics = crystal
    return find_thickness(measurement, with_defocus(optics, MIDDLE + 15), either=True)


def test_thickness_and_defocus_are_found_together(found):
    assert found.clear and found.turned is False
    assert found.thickness == pytest.approx(THICKNESS, rel=0.15)
    assert abs(found.thickness - THICKNESS) < 3 * found.uncertainty < 0.5 * THICKNESS
    assert found.defocus == pytest.approx(MIDDLE, abs=3 * found.defocus_uncertainty) and found.defocus_uncertainty < 15
    depth = depth_of_field(24, 200e3)
    assert 0.3 * depth < found.thickness / found.slices <= 0.45 * depth
    begun = [thickness for thickness, _, _ in found.tried]
    assert begun == sorted(begun, reverse=True) and begun[0] == pytest.approx(11 * depth)


def test_it_is_told_where_the_scan_is_turned_by_180_degrees(crystal):
    measurement, optics = crystal
    ends = measurement.positions.min(0) + measurement.positions.max(0)
    turned = replace(
        measurement, positions=ends - measurement.positions, rotation=wrapped_angle(measurement.rotation + 180)
    )
    found = find_thickness(turned, with_defocus(optics, -MIDDLE), either=True)
    assert found.turned is True and found.thickness == pytest.approx(THICKNESS, rel=0.15)
    assert found.defocus == pytest.approx(MIDDLE, abs=15)


def test_what_is_looked_at_is_said_and_can_be_stopped(crystal):
    class Stop(Exception):
        pass

    said = []

    def progress(words):
        said.append(words)
        if len(said) == 2:
            raise Stop

    with pytest.raises(Stop):
        find_thickness(*crystal, progress=progress)
    assert said[0] == "how well a thin specimen describes the patterns" and " A and less" in said[1]


def test_an_unknown_semi_angle_is_asked_for(crystal):
    measurement, optics = crystal
    unknown = replace(measurement, calibration=replace(measurement.calibration, semiangle=None))
    with pytest.raises(CalibrationError, match="semi"):
        find_thickness(unknown, optics)


def test_what_is_not_clear_is_not_told(found):
    (estimate,) = about_thickness(found)
    assert estimate.value == found.thickness and "several slices, all alike" in estimate.sentence
    (estimate,) = about_thickness(replace(found, left=CLEAR + 0.01))
    assert estimate.value is None and estimate.source == CANNOT
    assert about_thickness(None) == []
