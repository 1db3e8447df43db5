"""When a specimen is taken for thick, and what that changes of the lens."""

from dataclasses import replace

import pytest

from ptywidgets import samples
from ptywidgets.engine.calibrate import calibrate, depth
from ptywidgets.engine.calibrate.calibration_arguments import Given
from ptywidgets.engine.calibrate.coarse.thick import ThickFit
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit
from ptywidgets.engine.calibrate.depth import Lens, in_depth, one_plane
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS

FOUND = ThicknessFit(300.0, 20.0, 240.0, 9.0, 0.3, 6, (), False)


@pytest.fixture(scope="module")
def start():
    return calibrate(samples.ducky("tiny"))


@pytest.fixture
def lens(start):
    return Lens(start.measurement, start.optics, start.fit, start.search, told=True)


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the multislice reconstructions, which find what is told here."""
    asked = []

    def found(measurement, optics, *, either=False, progress=None):
        asked.append(("thickness", either))
        return FOUND

    def middle(measurement, optics, thickness, *, progress=None):
        asked.append(("middle", thickness))
        return ThickFit(230.0, 230.0 + thickness / 2, 2.0, thickness, 11, 0.1, ())

    monkeypatch.setattr(depth, "find_thickness", found)
    monkeypatch.setattr(depth, "thick_defocus", middle)
    return asked


def look(lens, start, refinement=None, **given):
    wanted = start.measurement.preparation
    refinement = start.refinement if refinement is None else refinement
    known = Given(None, None, None, None, None, None, wanted, None, None, True, TERMS)
    return in_depth(lens, wanted, replace(known, **given), refinement, lambda words: None)


def unsure(lens, sigma=150.0):
    return replace(
        lens, fit=replace(lens.fit, uncertainties={**lens.fit.uncertainties, "C10": sigma, "defocus": sigma})
    )


def test_nothing_is_looked_for_where_one_plane_tells_the_defocus(lens, start, asked):
    assert start.refinement.accepted and look(lens, start) is lens and not asked


def test_a_thickness_is_looked_for_where_one_plane_leaves_the_defocus_unsure(lens, start, asked):
    found = look(unsure(lens), start)
    assert asked == [("thickness", False)]
    assert found.thickness is FOUND and found.slices == depth.SLICES
    assert found.optics.aberrations["defocus"] == found.fit.aberrations["defocus"] == 240
    assert 9 < found.fit.uncertainties["defocus"] < 40
    assert found.fit.uncertainties["C21a"] > lens.fit.uncertainties["C21a"]  # found with one plane


def test_and_where_one_plane_does_not_describe_the_data(lens, start, asked):
    look(lens, start, replace(start.refinement, accepted=False))
    assert asked == [("thickness", False)]


@pytest.mark.parametrize("given", [{"defocus": 240.0}, {"refine": False}, {"thickness": 20.0}])
def test_what_is_given_is_not_looked_for(lens, start, asked, given):
    assert look(unsure(lens), start, **given).slices == 0 and not asked


def test_of_a_thickness_that_is_given_the_middle_is_found(lens, start, asked):
    thick = 4 * one_plane(start.measurement.calibration)
    found = look(lens, start, thickness=thick)
    assert asked == [("middle", thick)] and found.slices == 11 and found.thickness is None
    assert found.optics.aberrations["defocus"] == 230


def test_slices_that_explain_no_more_change_nothing(lens, start, asked, monkeypatch):
    doubtful = replace(FOUND, left=0.9)
    monkeypatch.setattr(depth, "find_thickness", lambda *_, **__: doubtful)
    before = unsure(lens)
    found = look(before, start)
    assert found.thickness is doubtful and found == replace(before, thickness=doubtful)


def test_slices_can_tell_which_of_two_opposite_rotations_is_true(lens, start, monkeypatch):
    monkeypatch.setattr(depth, "find_thickness", lambda *_, **__: replace(FOUND, turned=True, defocus=-240.0))
    found = look(replace(unsure(lens), told=False), start)
    apart = abs(found.measurement.rotation - start.measurement.rotation)
    assert found.told and apart == pytest.approx(180, abs=1e-6) and found.search.by_slices
    assert found.measurement.rotation_fit.flip_resolved and found.optics.aberrations["defocus"] == -240
    kept = look(replace(unsure(lens), told=True), start)  # known otherwise
    assert kept.measurement.rotation == start.measurement.rotation
