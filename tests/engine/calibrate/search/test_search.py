"""A start by likelihood: right where other methods are wrong, and silent where nothing stands out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Dataset, Optics, prepare
from ptywidgets.engine.calibrate import calibrate, find_orientation
from ptywidgets.engine.calibrate.agreed import _mean, _rotation_scale
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.calibrate.estimates import CANNOT, untold
from ptywidgets.engine.calibrate.search import search as search_module
from ptywidgets.engine.calibrate.search import trial as trial_module
from ptywidgets.engine.calibrate.search.search import _is_proven, search
from ptywidgets.engine.calibrate.search.trial import Points, Trials
from ptywidgets.engine.calibrate.search.verdict import FRINGES
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.testing.judging import judged
from ptywidgets.testing.variants import recipe, simulated

TO_ATOMS = {"crystal_a": 5.0, "crystal_b": 20.0, "crystal_c": 5.0}  # A of defocus from the entrance; of b C30, too


@pytest.fixture(scope="module")
def ducky():
    dataset = samples.ducky("tiny", dose=1e5)
    return prepare(dataset, rotation=0.0, transpose=False), Optics.from_dataset(dataset)


@pytest.mark.parametrize("name", ["crystal_a", "crystal_b", "crystal_c"])
def test_lattices_that_the_scan_undersamples_are_found(simulated_set, name):
    dataset, truth = simulated_set(name)
    start = calibrate(dataset)
    lens, sigma = start.optics.aberrations, start.fit.uncertainties
    assert start.measurement.transpose == truth["transpose"]
    off = wrapped_angle(start.measurement.rotation - truth["rotation_deg"])
    assert abs(off) < 3 * start.estimate("rotation").uncertainty < 1
    true = -truth["aberrations"]["C10"] - TO_ATOMS[name]
    assert abs(lens["defocus"] - true) < 3 * sigma["defocus"] < 25
    assert question(start) is None
    assert start.alternatives[0].rotation == pytest.approx(start.measurement.rotation, abs=1)
    assert len(start.landscape) > (100 if start.search.thorough else 0)
    bright = bright_field(dataset, start.measurement)
    compared = find_orientation(bright, start.measurement, start.optics, trials=start.alternatives)
    assert compared.transpose == truth["transpose"] and compared.confidence > 0.9
    assert abs(wrapped_angle(compared.rotation - truth["rotation_deg"])) < 1
    if name == "crystal_a":
        alone = find_orientation(bright, start.measurement, start.optics)
        assert abs(wrapped_angle(alone.rotation - truth["rotation_deg"])) > 10, "the test would say nothing"
        assert "The bright field alone speaks for" in compared.message


def test_the_whole_range_is_searched_where_nothing_is_proposed(ducky):
    found = search(*ducky)
    assert found.thorough and found.told and found.flip_told
    assert abs(wrapped_angle(found.best.rotation + 15)) < 0.5 and not found.best.transpose
    assert found.best.values[0] == pytest.approx(-237.6, rel=0.05)
    assert sum(a.probability for a in found.alternatives) == pytest.approx(1)
    assert found.alternatives[0].probability > 0.99


@pytest.mark.parametrize("told", [True, False])
def test_the_whole_block_is_asked_where_a_smaller_one_of_large_windows_does_not_tell(ducky, monkeypatch, told):
    asked = []

    def verdict(trials, wells, *others):
        asked.append((trials.side, len(trials)))
        return replace(judge(trials, wells, *others), told=told)

    judge = search_module.verdict
    monkeypatch.setattr(search_module, "verdict", verdict)
    monkeypatch.setattr(trial_module, "WINDOW", 20)
    found = search(*ducky)
    assert asked == [(8, 64), (11, 121)][: 1 if told else 2]
    assert abs(wrapped_angle(found.best.rotation + 15)) < 0.5 and found.told == told


def test_a_wrong_proposal_is_tried_and_not_believed(ducky):
    wrong = Points(np.array([40.0]), np.array([True]), np.array([[300.0, 0, 0, 0, 0]]))
    found = search(*ducky, proposals=wrong, trusted=True)
    assert found.thorough and abs(wrapped_angle(found.best.rotation + 15)) < 0.5 and not found.best.transpose


def test_a_right_proposal_saves_the_whole_range(ducky):
    right = Points(np.array([-14.0]), np.array([False]), np.array([[-230.0, 0, 0, 0, 0]]))
    found = search(*ducky, proposals=right, trusted=True)
    assert not found.thorough and found.told and abs(found.best.rotation + 15) < 0.5


def test_what_is_known_is_held(ducky):
    found = search(*ducky, rotation=165.0, transpose=False)
    assert found.best.rotation == 165 and found.best.values[0] == pytest.approx(237.6, rel=0.05)
    found = search(*ducky, defocus=237.6)
    assert found.best.values[0] == -237.6 and abs(wrapped_angle(found.best.rotation + 15)) < 0.5


def test_noise_alone_tells_nothing_and_is_asked_about():
    dataset = samples.ducky("tiny", dose=1e4)
    mean = np.asarray(dataset.data, float).mean((0, 1))
    noise = np.random.default_rng(5).poisson(np.broadcast_to(mean, dataset.shape)).astype(np.uint16)
    start = calibrate(Dataset(noise, calibration=dataset.calibration))
    assert not start.fit.found and start.estimate("defocus").value is None
    assert start.estimate("rotation").source == start.estimate("transpose").source == "cannot tell"
    assert not start.optics.aberrations.known
    assert "the data cannot tell" in str(question(start)).lower()


def test_half_a_turn_that_is_not_told_is_a_question():
    start = calibrate(samples.ducky("tiny", dose=1e5))
    assert question(start) is None
    estimates = [replace(d, source="undecided") if d.name == "180-degree ambiguity" else d for d in start.estimates]
    words = str(question(replace(start, estimates=tuple(estimates))))
    assert "two opposite rotations" in words and "-15.0 with a defocus of" in words and "165.0 with" in words


def test_where_two_methods_disagree_the_uncertainty_covers_both():
    assert _mean(0.0, 1.0, 1.0) == pytest.approx((0, np.sqrt(0.5)))
    shift, sigma = _mean(10.0, 1.0, 1.0)
    assert shift == 5 and sigma == pytest.approx(5)
    assert _mean(7.0, np.inf, 2.0) == (7.0, 2.0) and _mean(7.0, 2.0, np.inf) == (0.0, 2.0)


def test_an_astigmatism_larger_than_the_defocus_makes_the_rotation_less_sure():
    """Images move by C10 k + C12 conj(k): with a C12 twice as large a rotation was 3.3 of its sigmas off."""
    values = {"C10": -100.0, "C12a": 0.0, "C12b": 0.0}
    assert _rotation_scale(values, depth=50.0) == 1
    assert _rotation_scale({**values, "C12b": 200.0}, depth=50.0) == pytest.approx(5**0.5)
    assert _rotation_scale({**values, "C10": 0.0, "C12a": 75.0}, depth=50.0) == pytest.approx(3.0)


def test_the_order_of_a_scan_says_nothing_to_the_search(ducky):
    measurement, optics = ducky
    turned = replace(measurement, preparation=measurement.preparation.replace(rotation=None), rotation=77.0)
    one, other = (search(m, optics, transpose=False).best for m in (measurement, turned))
    assert one.rotation == other.rotation and one.values.tolist() == other.values.tolist()


@pytest.mark.parametrize("left", ["a corner", "half", "few"])
def test_a_block_of_which_a_part_is_left_out_stays_within_its_object(left):
    mask = {"a corner": np.zeros((12, 12), bool), "half": np.ones((12, 12), bool), "few": np.ones((12, 12), bool)}[left]
    if left == "a corner":
        mask[3:5, 3:5] = True
    else:
        mask[:, : 6 if left == "half" else 2] = False
    dataset = samples.ducky("tiny", dose=1e5).with_scan_mask(mask, confirm=True)
    measurement = prepare(dataset, rotation=0.0, transpose=False)
    trials = Trials(measurement, Optics.from_dataset(dataset), side=11)
    assert trials.grid.max(1) == pytest.approx(-trials.grid.min(1))
    turns = Points(np.arange(0, 360, 30.0), np.zeros(12, bool), np.full((12, 1), -240.0))
    first, _ = trials._places(turns)
    assert first.min() >= 0 and (first + trials.n).max() <= trials.size
    start = calibrate(dataset)
    assert (
        not start.fit.found
        or abs(wrapped_angle(start.measurement.rotation + 15)) < 3 * start.fit.uncertainties["rotation"]
    )


def test_a_handful_of_positions_is_told_within_its_uncertainties_or_not_at_all():
    start = calibrate(samples.ducky("tiny")[:5, :5])
    off = wrapped_angle(start.measurement.rotation + 15)
    assert not start.fit.found or abs(off) < 3 * start.fit.uncertainties["rotation"]


def test_what_is_given_is_kept_to_the_last_digit():
    for defocus in (240.0, 0.0):
        start = calibrate(samples.ducky("tiny"), defocus=defocus, rotation=-15.0)
        assert start.optics.aberrations["defocus"] == defocus


@pytest.mark.parametrize("wrong", [{"defocus": float("nan")}, {"thickness": -30.0}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ParameterError, match="expected a"):
        calibrate(samples.ducky("tiny"), **wrong)


def test_patterns_that_are_all_alike_tell_nothing():
    tiny = samples.ducky("tiny")
    alike = np.broadcast_to(np.asarray(tiny.data)[0, 0], tiny.shape).copy()
    start = calibrate(Dataset(alike, calibration=tiny.calibration))
    assert not start.fit.found and question(start) is not None


def test_a_scan_that_is_too_small_is_told_before_any_search():
    few, told = samples.ducky("tiny")[:4], []
    start = calibrate(few, progress=told.append)
    assert not any("spectra" in words or "trial" in words for words in told)
    assert start.search is None and start.estimate("rotation").source == "cannot tell"
    assert "4 x 12 scan positions are too few" in start.estimate("rotation").sentence
    assert "4 x 12 scan positions are too few to find defocus (A), rotation (degrees)" in str(question(start))
    told.clear()
    given = calibrate(few, rotation=-15, defocus=250, progress=told.append)
    assert any("trial" in words for words in told) and given.optics.aberrations["defocus"] == 250


def test_no_number_is_asked_for_that_could_be_taken_for_advice():
    start = calibrate(samples.ducky("tiny")[:4])
    asked = question(start)
    assert "give defocus=... and prepare(rotation=...), with what the microscope was set to" in str(asked)
    assert "give --defocus ... and --rotation=..., with" in asked.told("command line")
    told = asked.told("widget")  # where the fields are is known once the widgets are imported
    assert '"defocus"' in told and '"rotation"' in told and "with what the microscope was set to" in told


def test_the_next_best_is_not_the_best_turned_by_half_a_turn(ducky):
    found = search(*ducky)
    readings = tuple(
        replace(found.alternatives[0], rotation=r, defocus=d)
        for r, d in ((10.0, 300.0), (-170.0, -300.0), (77.0, 99.0))
    )
    unsure = replace(found, alternatives=readings, poor=False, at_edge=False)
    first, other = "10.0 degrees with a defocus of 300 A", "77.0 degrees with a defocus of 99 A"
    assert untold(unsure) == f"{first} explains the counts hardly better than {other}"
    assert "better than no specimen" in untold(replace(unsure, alternatives=readings[:2]))
    assert "better than no specimen" in untold(replace(unsure, explained=0.01))


@pytest.mark.parametrize("side", [slice(None, 48), slice(48, None)])
def test_a_disk_of_which_one_half_is_masked_is_the_reason(side):
    dataset = samples.ducky("small")
    mask = np.ones(dataset.detector_shape, bool)
    mask[:, side] = False
    start = calibrate(dataset.with_mask(mask))
    asked = str(question(start))
    assert "of the bright-field disk is masked, on one side of it" in asked and "energy" not in asked
    assert start.estimate("defocus").value is None and "is masked" in start.estimate("defocus").sentence


@pytest.mark.parametrize("cut", [-0.8, -0.6, -0.4, -0.2])
def test_a_disk_that_is_masked_on_one_side_is_never_told_wrong(cut):
    """With a quarter of it masked the search was sure of another orientation."""
    dataset = samples.ducky("small")
    columns = np.arange(dataset.detector_shape[1]) - 48
    mask = np.broadcast_to(columns >= cut * 12.8, dataset.detector_shape)
    start = calibrate(dataset.with_mask(mask))
    right = abs(wrapped_angle(start.measurement.rotation + 15)) < 1
    assert (start.fit.found and right) or "is masked" in str(question(start))


def test_a_beam_stop_in_the_middle_of_the_disk_does_no_harm():
    dataset = samples.ducky("small")
    y, x = np.indices(dataset.detector_shape) - 48
    start = calibrate(dataset.with_mask(np.hypot(y, x) > 5))
    assert start.fit.found and abs(wrapped_angle(start.measurement.rotation + 15)) < 1


@pytest.mark.parametrize("seed", [10255, 10305])
def test_a_coma_with_which_trials_explain_less_is_not_told(seed):
    """Lattices coarser than the scan: the linear fit is sure of a coma of an alias, 9000 A (+- 300) for 700."""
    made = recipe(seed)
    start = calibrate(simulated(made).dataset)
    judgement = judged(made, start)
    assert start.fit.found and not judgement.wrong_and_sure
    coma = start.estimate("coma")
    assert coma.source == CANNOT and coma.value is None and "cannot tell the coma" in coma.sentence
    assert judgement.found["C21a"] is judgement.found["C21b"] is None


def test_a_lattice_that_is_hardly_resolved_tells_nothing_by_itself():
    """Of the first reflections alone bright atoms and bright gaps look alike, and many an alias of a coarse scan fits
    them: one was turned by 180 degrees and sure, the other one 16 degrees off, with the other transpose."""
    made = recipe(10210)
    start = calibrate(simulated(made).dataset)
    judgement = judged(made, start)
    assert start.search.unresolved and not start.search.flip_told and start.refinement.fringes > FRINGES
    assert not start.fit.found and not judgement.wrong_and_sure
    assert "one spatial frequency" in str(question(start))


def test_fringes_leave_what_two_methods_agree_on(ducky):
    measurement, optics = ducky
    found = replace(search(measurement, optics), told=True, poor=False)
    alone, agreed = (replace(found, favoured=one).with_fringes(0.9) for one in (False, True))
    assert (alone.told, agreed.told) == (False, True) and not agreed.flip_told and agreed.unresolved
    assert found.with_fringes(0.5) is found


def test_an_astigmatism_larger_than_the_defocus_does_not_exchange_the_transpose():
    """C10 -156 A with C12 207 A looks like C10 207 A with C12 156 A and the other transpose: curl and linear fit took
    that, and were sure. The search has the right one; only half a turn is open."""
    made = recipe(10444)
    variant = simulated(made)
    start = calibrate(variant.dataset, thickness=variant.thickness)
    judgement = judged(made, start)
    assert judgement.told and judgement.open_turn and not judgement.wrong
    first = start.alternatives[0]
    turned = abs(wrapped_angle(first.rotation - variant.truth["rotation"]))
    assert not first.transpose and min(turned, 180 - turned) < 3
    assert abs(abs(first.defocus) - 156) < 15 and abs(first.aberrations["C12"] - 207) < 20
    assert "opposite rotations" in str(question(start))


@pytest.mark.parametrize("seed", [10485, 10510, 10615, 10918])
def test_a_lattice_with_an_astigmatism_of_the_size_of_the_depth_of_field_is_found(seed):
    """Without its astigmatism the truth is one of the first forty points of the grid: another was told, and sure."""
    made = recipe(seed)
    start = calibrate(simulated(made).dataset)
    judgement = judged(made, start)
    assert judgement.told and not judgement.wrong and start.search.thorough
    assert max(abs(start.fit.aberrations.cartesian[n] - made.aberrations.cartesian[n]) for n in ("C12a", "C12b")) < 25


def test_the_reading_that_the_grid_has_not_is_tried():
    """Strong phases: half a turn on, with the opposite lens, the counts are explained half as well. The grid had only
    that, and another orientation was told, and sure."""
    made = recipe(11190)
    judgement = judged(made, calibrate(simulated(made).dataset))
    assert judgement.told and not judgement.wrong


def test_a_proposal_that_explains_little_is_not_taken_without_a_search():
    """Two methods agreed on an orientation 50 degrees off that explained a fifth of what is no noise."""
    trials = SimpleNamespace(nothing=1.0, noise=0.2)
    assert _is_proven(trials, own=0.55, next_best=0.8, times=2.0)
    assert not _is_proven(trials, own=0.55, next_best=0.75, times=2.0)  # hardly more than another
    assert not _is_proven(trials, own=0.65, next_best=0.95, times=2.0)  # a bit of what there is
    made = recipe(11300)  # 134 degrees off, where curl and linear fit agreed
    assert not judged(made, calibrate(simulated(made).dataset)).wrong_and_sure


@pytest.mark.parametrize("peaks, told", [(1.0, True), (-1.0, False)])
def test_a_flip_that_counts_hardly_tell_is_told_where_atoms_agree(ducky, peaks, told):
    measurement, optics = ducky
    found = replace(search(measurement, optics), flip_margin=4.0, flip_told=False)
    after = found.with_atoms(peaks)
    assert after.flip_told is told and after.best.rotation == found.best.rotation
    weaker = replace(found, flip_margin=1.0).with_atoms(peaks)
    assert weaker.flip_told and (weaker.best.rotation == found.best.rotation) is (peaks > 0)


def test_the_plane_of_a_thick_specimen_of_which_nobody_knows_is_not_its_middle():
    """183 A thick: the best plane is 51 A from the middle, and was told to 5 A."""
    made = recipe(10784)
    start = calibrate(simulated(made).dataset)
    judgement = judged(made, start)
    assert not judgement.wrong_and_sure
    assert judgement.deviation("defocus") is None or judgement.deviation("defocus") < 3
    assert "defocus" in str(question(start))
