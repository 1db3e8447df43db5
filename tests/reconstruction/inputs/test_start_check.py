"""A run that begins a little wrong ends where the right one does, says what it has changed, and keeps what is held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Aberrations, Optics, ParameterError
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.start_changes import changes, in_words
from ptywidgets.engine.checks.start_check import HELD, moved
from ptywidgets.engine.constraints import Until
from ptywidgets.engine.metrics import compare_to_truth
from ptywidgets.engine.refinements import RefineAffine, RefineOptics, RefinePositions
from ptywidgets.reconstruction.inputs.start_check import SOURCE

pytestmark = pytest.mark.usefixtures("no_thread_survives")
DEFOCUS, ROTATION, STEP = 350.0, -15.0, 2.0  # of the small duck


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("small", dose=1e5)


def started(duck, *, defocus=1.0, rotation=0.0, step=1.0, **options):
    dataset = duck.with_calibration(scan_step=STEP * step)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=DEFOCUS * defocus))
    recon = Reconstruction(dataset, optics=optics, **options)
    recon.prepare(rotation=ROTATION + rotation, transpose=False)
    return recon


def correlation(recon):
    phase, positions = samples.ducky_truth("small")
    pixel = samples.ducky("small").calibration.sampling((96, 96))[0]
    return compare_to_truth(
        recon.object, recon.positions, phase, positions, sampling=recon.sampling[0], truth_sampling=pixel
    ).correlation


@pytest.fixture(scope="module")
def right(duck):
    return correlation(started(duck).run())


def test_a_right_start_is_left_alone_and_nothing_is_said(duck):
    recon = started(duck).run(1)
    assert (recon.rotation, recon.optics.aberrations["defocus"], recon.calibration.scan_step) == (-15, 350, 2)
    assert recon.message == ""


@pytest.mark.parametrize(
    "error, told",
    [
        ({"defocus": 1.1}, "The defocus, given as 385 A, is 3"),
        ({"rotation": 3.0}, "The rotation, given as -12.0 degrees, is -1"),
        ({"step": 1.05}, "The scan step, given as 2.1 A, is "),
    ],
    ids=["defocus", "rotation", "step"],
)
def test_a_wrong_one_ends_where_the_right_one_does(duck, right, error, told):
    recon = started(duck, **error).run()
    assert recon.message.startswith(told) and recon.message.endswith("by the counts.")
    assert correlation(recon) > right - 0.005


def miscalibrated(duck, vacuum=True, defocus=DEFOCUS, **wrong):
    known = {name: by * getattr(duck.calibration, name) for name, by in wrong.items()}
    dataset = (duck if vacuum else replace(duck, vacuum=None)).with_calibration(**known)
    recon = Reconstruction(dataset, optics=Optics.from_dataset(dataset, aberrations=Aberrations(defocus=defocus)))
    if defocus is not None:
        recon.prepare(rotation=ROTATION, transpose=False)
    return recon


@pytest.mark.parametrize("vacuum", [True, False])
@pytest.mark.parametrize("by", [0.95, 1.05])
def test_a_detector_pixel_that_is_wrong_is_corrected_and_not_the_step(duck, right, vacuum, by):
    """Semi-angle, scan step and defocus were given right, and the disk agrees with them on another pixel."""
    recon = miscalibrated(duck, vacuum, q_pixel=by).run()
    known = recon.calibration
    assert known.q_pixel == pytest.approx(0.0375, rel=0.01)
    assert (known.scan_step, known.semiangle) == (STEP, 20.0)
    assert recon.optics.aberrations["defocus"] == pytest.approx(DEFOCUS, rel=0.01)
    assert recon.message.startswith(f"The detector pixel, given as {0.0375 * by:.4g} 1/A, is 0.037")
    assert recon.status == "finished" and not recon.doubts
    assert correlation(recon) > right - 0.005


def test_a_defocus_that_was_found_with_a_wrong_pixel_goes_along(duck):
    recon = miscalibrated(duck, defocus=None, q_pixel=1.05).run(1)
    assert recon.calibration.q_pixel == pytest.approx(0.0375, rel=0.01) and recon.calibration.scan_step == STEP
    assert recon.optics.aberrations["defocus"] == pytest.approx(DEFOCUS, rel=0.03)


@pytest.mark.parametrize("wrong", [{"q_pixel": 1.05, "semiangle": 1.05}, {"scan_step": 0.95}], ids=str)
def test_what_only_a_scale_tells_is_doubtful(duck, wrong):
    recon = miscalibrated(duck, defocus=None if "scan_step" in wrong else DEFOCUS, **wrong)
    stated = recon.calibration
    recon.run()
    assert recon.status == "doubtful" and [finding.name for finding in recon.doubts] == ["scale of lengths"]
    for words in ("the scan step is ", "detector pixel and semi-angle are ", "if detector pixel and semi-angle are"):
        assert words in recon.message
    assert (recon.calibration.q_pixel, recon.calibration.semiangle) == (stated.q_pixel, stated.semiangle)
    recon.run(1)
    assert recon.status == "doubtful", "nothing has been said about it"
    recon.dataset = recon.dataset.with_calibration(scan_step=recon.calibration.scan_step)
    recon.run(1)
    assert recon.status == "finished", "somebody has given the step"


def test_the_other_side_of_a_scale_can_be_given(duck):
    recon = miscalibrated(duck, q_pixel=1.05, semiangle=1.05).run(1)
    (found,) = recon.doubts
    gives = {name: float(value) for name, value in (one.split("=") for one in found.gives)}
    recon = Reconstruction(duck.with_calibration(**gives), optics=Optics(vacuum=duck.vacuum, semiangle=20))
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=DEFOCUS))
    recon.prepare(rotation=ROTATION, transpose=False)
    recon.run(1)
    assert recon.status == "finished" and recon.calibration.scan_step == STEP


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_lens_that_explains_but_the_mean_of_the_patterns_is_not_taken(share):
    """Of patterns that are mostly their mean, as with a background that no model has: a coma of 4000 A was."""
    duck = samples.ducky("tiny")
    data = np.asarray(duck.data, float)
    weak = data.mean((0, 1)) + share * (data - data.mean((0, 1)))
    recon = Reconstruction(replace(duck, data=np.random.default_rng(2).poisson(weak).astype(np.uint16)), defocus=250)
    recon.prepare(rotation=ROTATION, transpose=False)
    recon.run(1)
    assert recon.optics.aberrations == Aberrations(defocus=250)
    assert (recon.rotation, recon.calibration) == (ROTATION, duck.calibration)


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_patterns_that_are_all_alike_change_nothing_and_end_in_doubt(schedule):
    """With a vacuum pattern's aperture there is much to explain in the mean, and any lens but the given one does."""
    duck = samples.ducky("tiny")
    mean = np.asarray(duck.data, float).mean((0, 1))
    noise = replace(duck, data=np.random.default_rng(2).poisson(mean, duck.shape).astype(np.uint16))
    recon = Reconstruction(noise, defocus=250, schedule=schedule)
    recon.prepare(rotation=ROTATION, transpose=False)
    recon.run(5 if schedule == "manual" else None)
    assert recon.optics.aberrations == Aberrations(defocus=250)
    assert (recon.rotation, recon.calibration) == (ROTATION, duck.calibration)
    assert recon.status == "doubtful" and "The data show no specimen" in recon.message


def test_estimates_say_what_was_changed(duck):
    recon = started(duck)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None))
    recon.calibrate()
    offsets = Offsets({"C10": 30.0, "C12a": 25.0, "C21b": -9e3}, 1.04 * np.eye(2), aperture=1.1)
    told = changes(offsets, recon.measurement, recon.optics, recon._check.given_names)
    recon._check.take_offsets(offsets, told)
    estimates = {d.name: d for d in recon.estimates}
    lens = recon.optics.aberrations
    values = {"defocus": lens["defocus"], "astigmatism": lens["C12"], "coma": lens["C21"], "scan step": 2.08}
    for name, value in (values | {"semi-angle": 22.0}).items():
        assert estimates[name].value == pytest.approx(value), name
        assert estimates[name].source == SOURCE and estimates[name].uncertainty is None
        assert estimates[name].sentence in [change.sentence for change in told]
    assert "given as 2 A, is 2.08 A" in estimates["scan step"].sentence
    assert "found as" in estimates["defocus"].sentence and estimates["rotation"].source != SOURCE
    for words in ("defocus", "astigmatism", "coma", "semi-angle", "scan step"):
        assert words in in_words(told).lower()
    small = changes(Offsets({"C12a": 1.5}, np.eye(2)), recon.measurement, recon.optics)
    assert in_words(small) == "", "what a run does not see is not worth a word"


def test_what_is_given_is_told_as_given_and_what_is_found_as_found(duck):
    recon = started(duck)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None))
    recon.calibrate()
    recon.update_optics(C12a=40.0, C12b=0.0)
    assert {"astigmatism"} == {"astigmatism", "coma", "defocus"} & set(recon._check.given_names)
    told = changes(
        Offsets({"C10": 30.0, "C12a": 25.0}, np.eye(2)), recon.measurement, recon.optics, recon._check.given_names
    )
    assert "defocus, found as" in in_words(told).lower() and "astigmatism, given as 40 A" in in_words(told)


def test_a_rotation_alone_leaves_the_scan_step_as_it_is(duck):
    recon = started(duck)
    angle = np.radians(1.234)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    after = moved(recon.measurement, Offsets({}, turn * (1 + 1e-16)))
    assert after.calibration.scan_step == STEP and after.rotation != recon.rotation


def test_what_is_held_is_kept_and_costs_the_image(duck, right):
    recon = started(duck, step=1.05, hold=HELD).run()
    assert recon.calibration.scan_step == pytest.approx(2.1)
    assert recon.status == "doubtful" and "The scan step, given as 2.1 A, is 1.99 A" in recon.message
    assert correlation(recon) < right - 0.01


@pytest.mark.parametrize(
    "hold, error, told",
    [
        ("scan_step", {"step": 1.05}, "The scan step, given as 2.1 A, is "),
        ("rotation", {"rotation": 3.0}, "The rotation, given as -12.0 degrees, is -1"),
        ("aberrations", {"defocus": 1.1}, "The defocus, given as 385 A, is 3"),
    ],
    ids=["step", "rotation", "defocus"],
)
def test_what_the_counts_say_against_what_is_held_is_told(duck, tmp_path, hold, error, told):
    recon = started(duck, hold=hold, **error)
    before = (recon.rotation, recon.optics.aberrations["defocus"], recon.calibration.scan_step)
    recon.run(1)
    after = (recon.rotation, recon.optics.aberrations["defocus"], recon.calibration.scan_step)
    kept = {"rotation": 0, "aberrations": 1, "scan_step": 2}[hold]
    assert after[kept] == before[kept]
    assert recon.status == "doubtful" and told in recon.message and "It is held and was not changed" in recon.message
    for other in (recon.copy(), Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=recon.dataset)):
        assert other.run(1).status == "doubtful" and other.message == recon.message
    recon.hold = ()
    recon.prepare(rotation=ROTATION, transpose=False)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=DEFOCUS))
    recon.set_calibration(scan_step=STEP)
    recon.run(1)
    assert recon.status == "finished" and recon.doubts == ()


def test_a_semiangle_that_is_held_against_the_disk_is_told(duck):
    recon = miscalibrated(duck, vacuum=False, semiangle=1.15)
    recon.hold = ("semiangle", "q_pixel", "scan_step")
    recon.run(1)
    assert recon.optics.semiangle == pytest.approx(23.0) and recon.status == "doubtful"
    assert "The semi-angle, given as 23 mrad, is 20" in recon.message


def test_a_pixel_that_is_wrong_is_corrected_where_the_step_is_held(duck):
    recon = miscalibrated(duck, q_pixel=1.05)
    recon.hold = "scan_step"
    recon.run(1)
    assert recon.calibration.q_pixel == pytest.approx(0.0375, rel=0.01) and recon.calibration.scan_step == STEP
    assert recon.status == "finished" and recon.message.startswith("The detector pixel, given as")


def test_a_right_start_that_is_held_is_no_matter(duck):
    recon = started(duck, hold=HELD).run(1)
    assert recon.status == "finished" and recon.message == ""


def test_names_to_hold_are_checked(duck):
    recon = Reconstruction(duck, hold=["rotation"])
    assert recon.hold == ("rotation",)
    recon.hold = "scan_step"
    assert recon.hold == ("scan_step",), "a single name will do"
    for wrong in (5, None, (3,)):
        with pytest.raises(ParameterError, match="expected names of what is to be kept, of aberrations, rotation"):
            recon.hold = wrong
    assert recon.hold == ("scan_step",)
    with pytest.raises(ParameterError, match="scan_step"):
        recon.hold = ("step",)


def test_a_stop_during_the_check_is_told(duck):
    recon = started(duck, step=1.05)
    recon.observe(lambda change: "Checking" in change["new"] and recon.request_stop(), "message")
    recon.run()
    assert recon.status == "stopped" and recon.calibration.scan_step == pytest.approx(2.1)
    assert recon.message == "Stopped before the first iteration, while the start was checked: nothing was changed."


def test_a_plan_of_ones_own_changes_nothing_that_was_given(duck):
    recon = started(duck, defocus=1.1, rotation=3.0, schedule="manual").run(1)
    assert (recon.rotation, recon.optics.aberrations["defocus"]) == (-12, pytest.approx(385))
    other = started(duck, defocus=1.1, schedule="manual")
    other.update_plan(refinements=(RefineOptics("defocus"),))
    assert other.run(1).optics.aberrations["defocus"] == pytest.approx(385)


def test_before_positions_are_looked_at_the_whole_scan_is_right(duck):
    """Each position by itself hardly sees an error of the whole scan, and moves by noise."""
    recon = started(duck, step=1.05, schedule="manual")
    recon.update_plan(refinements=(RefinePositions(),))
    recon.run(1)
    assert recon.calibration.scan_step == pytest.approx(STEP, rel=0.012)
    assert recon.optics.aberrations["defocus"] == DEFOCUS


def test_it_is_saved_and_goes_on_as_it_was_corrected(duck, tmp_path):
    from ptywidgets import write

    file = write(tmp_path / "duck.h5", duck.with_calibration(scan_step=2.1))
    recon = Reconstruction.open(file, defocus=DEFOCUS)
    recon.prepare(rotation=ROTATION + 3.0, transpose=False)
    recon.run(2)
    again = Reconstruction.load(recon.save(tmp_path / "result.h5"))
    assert again.calibration.scan_step == recon.calibration.scan_step == pytest.approx(STEP, rel=0.015)
    assert again.rotation == pytest.approx(recon.rotation)
    assert again.object.shape == recon.object.shape
    assert again.run(1).iteration == 3


@pytest.mark.parametrize("refinements", [(RefineAffine(limit=0.1),), (Until(6, RefineAffine()), RefinePositions())])
def test_positions_that_grow_have_room(duck, refinements):
    """A scan that is larger than was said, and is found by the plan alone."""
    recon = started(duck, step=0.94, hold=HELD)
    narrow = recon.copy().run(1).object.shape
    recon.update_plan(refinements=refinements)
    recon.run(6)
    assert recon.status in ("finished", "doubtful")
    assert min(np.subtract(recon.object.shape, narrow)) > 8
    extent = np.ptp(recon.positions, axis=0) / np.ptp(recon.problem.initial_positions, axis=0)
    assert (extent > 1.01).all()


def test_room_is_made_when_a_plan_begins_to_move_positions(duck, tmp_path):
    recon = started(duck, hold=HELD).run(3)
    before, positions = recon.object, recon.positions
    recon.update_plan(refinements=(RefinePositions(limit_total=1.0),))
    recon.run(1)
    room = (np.subtract(recon.object.shape, before.shape) // 2).tolist()
    assert min(room) > 2
    aside = (recon.positions - positions).mean(0) / recon.sampling
    np.testing.assert_allclose(aside, room, atol=0.1)
    again = Reconstruction.load(recon.save(tmp_path / "result.h5"), duck)
    assert again.object.shape == recon.object.shape and again.run(1).iteration == 5
    recon.update_plan(refinements=())  # the room stays, as the object has it
    assert recon.run(1).object.shape == again.object.shape
    another = Reconstruction.load(recon.save(tmp_path / "result.h5"), duck)
    assert another.object.shape == recon.object.shape and another.copy().object.shape == recon.object.shape
