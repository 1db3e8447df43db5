"""A scale of lengths is put on the number that is wrong where something tells which, and on none in silence."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Calibration, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.checks.doubts import SEVERE
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.scale import judge_scale
from ptywidgets.engine.checks.start_changes import changes
from ptywidgets.engine.checks.start_check import lens, moved
from ptywidgets.engine.preprocess.disk.disk import measure_disk

TRUE = {"scan_step": 2.0, "q_pixel": 0.0375, "semiangle": 20.0}
DEFOCUS = 350.0
ALL = ("semiangle", "q_pixel", "scan_step", "defocus")


@pytest.fixture(scope="module")
def disk():
    return measure_disk(samples.ducky("small").vacuum)


def stated(defocus=DEFOCUS, **wrong):
    """A calibration and a lens that are wrong by factors, and what a check makes of them: the step that fits, and the
    defocus that fits with the detector pixel as it is stated."""
    known = Calibration(energy=80e3, **{name: value * wrong.get(name, 1.0) for name, value in TRUE.items()})
    s = 1 / (wrong.get("scan_step", 1.0) * wrong.get("q_pixel", 1.0))
    fits = DEFOCUS / wrong.get("q_pixel", 1.0) ** 2
    optics = Optics(semiangle=known.semiangle, aberrations=Aberrations(defocus=defocus))
    return Offsets({"C10": defocus - fits}, s * np.eye(2)), known, optics


@pytest.mark.parametrize("by", [0.9, 0.95, 1.05, 1.1])
@pytest.mark.parametrize("vacuum", [True, False])
def test_a_detector_pixel_that_the_disk_contradicts_is_the_one_that_is_wrong(disk, by, vacuum):
    offsets, known, optics = stated(q_pixel=by)
    if vacuum:
        optics = optics.replace(vacuum=samples.ducky("small").vacuum)
    scale = judge_scale(offsets, known, optics, disk, ALL)
    assert scale.finding is None
    assert known.q_pixel * scale.offsets.pixel == pytest.approx(TRUE["q_pixel"])
    assert scale.offsets.scale == pytest.approx(1.0)
    after = lens(optics, scale.offsets)
    assert (after.semiangle, after.aberrations["defocus"]) == (pytest.approx(20.0), pytest.approx(DEFOCUS))


def test_a_defocus_that_was_found_with_the_wrong_pixel_follows_it(disk):
    offsets, known, optics = stated(defocus=DEFOCUS / 1.1**2, q_pixel=1.1)
    scale = judge_scale(offsets, known, optics, disk, ("semiangle", "q_pixel", "scan_step"))
    assert lens(optics, scale.offsets).aberrations["defocus"] == pytest.approx(DEFOCUS)


@pytest.mark.parametrize("by", [0.9, 0.95, 1.05, 1.1])
def test_a_step_that_everything_else_contradicts_is_the_one_that_is_wrong(disk, by):
    offsets, known, optics = stated(scan_step=by)
    scale = judge_scale(offsets, known, optics, disk, ALL)
    assert scale.finding is None and scale.offsets is offsets


@pytest.mark.parametrize(
    "wrong, given",
    [
        ({"scan_step": 1.05}, ("semiangle", "q_pixel", "scan_step")),  # the defocus was found, and fits any scale
        ({"scan_step": 1.05}, ("semiangle", "scan_step")),  # the pixel was found from the disk and the semi-angle
        ({"q_pixel": 1.05, "semiangle": 1.05}, ALL),  # a camera length that was calibrated with a wrong semi-angle
        ({"q_pixel": 0.9, "semiangle": 0.9}, ("q_pixel", "scan_step")),
    ],
)
def test_what_nothing_tells_is_in_question_together(disk, wrong, given):
    offsets, known, optics = stated(**wrong)
    if "defocus" not in given:  # it was found, and fits
        optics = optics.replace(aberrations=Aberrations(defocus=DEFOCUS / wrong.get("q_pixel", 1.0) ** 2))
        offsets = Offsets({}, offsets.affine)
    scale = judge_scale(offsets, known, optics, disk, given)
    assert scale.offsets is offsets
    found = scale.finding
    assert found is not None and found.name in SEVERE and found.verdict == "bad"
    s = offsets.scale
    for words in (
        f"the scan step is {s * known.scan_step:.3g} A, not {known.scan_step:.3g}",
        f"detector pixel and semi-angle are {s * known.q_pixel:.4g} 1/A",
        f"not {known.q_pixel:.4g} and {known.semiangle:.3g}",
    ):
        assert words in found.sentence
    assert f"q_pixel={s * known.q_pixel:.4g}" in found.gives and "Give q_pixel=" in found.advice()
    assert "--q-pixel" in found.advice("command line") and "--semiangle" in found.advice("command line")
    problem_says = changes(offsets, _measurement(known), optics, given, told=False)
    told = next(change.sentence for change in problem_says if change.name == "scan step")
    assert told.endswith(", if detector pixel and semi-angle are right.")


def _measurement(known):
    return prepare(samples.ducky("tiny").with_calibration(scan_step=known.scan_step, q_pixel=known.q_pixel), rotation=0)


def test_what_is_held_is_not_changed(disk):
    offsets, known, optics = stated(q_pixel=1.05)
    assert judge_scale(offsets, known, optics, disk, ALL, hold=["q_pixel"]).offsets is offsets
    scale = judge_scale(offsets, known, optics, disk, ALL, hold=["aberrations"])
    assert scale.offsets.pixel != 1 and not any(scale.offsets.aberrations.values())
    offsets, known, optics = stated(q_pixel=1.05, semiangle=1.05)
    assert judge_scale(offsets, known, optics, disk, ALL, hold=["q_pixel", "semiangle"]).finding is None


def test_a_step_that_stays_is_no_matter_of_scale(disk):
    _, known, optics = stated()
    offsets = Offsets({"C10": 20.0}, np.eye(2), aperture=1.05)
    scale = judge_scale(offsets, known, optics, disk, ALL)
    assert scale.offsets is offsets and scale.finding is None


def test_the_scale_changes_no_pattern(disk):
    """The same problem twice: what the counts are compared with is alike, but for the unit of length."""
    duck = samples.ducky("tiny")
    known = duck.calibration
    one = make_problem(
        prepare(duck, rotation=-15.0),
        Optics(semiangle=20, rolloff=2, aberrations=Aberrations(defocus=250, C12a=20, C21b=500)),
        model=single_slice("potential"),
    )
    s = 1.1
    other = make_problem(
        prepare(duck.with_calibration(scan_step=s * known.scan_step, q_pixel=known.q_pixel / s), rotation=-15.0),
        Optics(
            semiangle=20 / s,
            rolloff=2 / s,
            aberrations=Aberrations(defocus=250 * s**2, C12a=20 * s**2, C21b=500 * s**3),
        ),
        model=single_slice("potential"),
    )
    np.testing.assert_allclose(other.initial_probe, one.initial_probe, atol=2e-3 * np.abs(one.initial_probe).max())
    np.testing.assert_allclose(other.initial_positions, s * one.initial_positions, rtol=1e-6)
    after = moved(one.measurement, Offsets({}, np.eye(2), pixel=1 / s))
    assert after.calibration.q_pixel == pytest.approx(known.q_pixel / s)
    assert after.sampling == pytest.approx(other.sampling)
