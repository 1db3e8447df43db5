"""Alternatives of the start: kept, taken by hand, followed by the run, and forgotten with the data."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Dataset, Reconstruction, samples
from ptywidgets.engine import Aberrations, ParameterError
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.calibrate.chosen import CHOSEN
from ptywidgets.engine.calibrate.estimates import SET_SINCE
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.start_changes import changes
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.reconstruction.inputs import calibrator, unknown
from ptywidgets.testing.starts import example_alternatives, with_alternatives


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture
def offered(monkeypatch):
    """Every search offers five alternatives, the first of which is what it has found."""

    def search(data, **known):
        return with_alternatives(calibrate(data, **known))

    monkeypatch.setattr(calibrator, "calibrate", search)
    monkeypatch.setattr(unknown, "calibrate", search)


@pytest.fixture
def recon(ducky, offered):
    recon = Reconstruction(ducky)
    recon.calibrate()
    yield recon
    recon.stop()


def sources(recon):
    return {estimate.name: estimate.source for estimate in recon.estimates}


# ---------------------------------------------------------------- kept


def test_a_start_brings_them_and_the_first_is_in_use(recon):
    assert len(recon.start_alternatives) == 5 and recon.taken_alternative == 0
    assert len(recon.start_landscape) == 900


def test_a_start_without_any_leaves_none_of_another_one(recon, monkeypatch):
    monkeypatch.setattr(
        calibrator,
        "calibrate",
        lambda data, **known: replace(calibrate(data, **known), alternatives=(), landscape=None),
    )
    recon.calibrate()
    assert recon.start_alternatives == () and recon.start_landscape is None and recon.taken_alternative is None
    with pytest.raises(ParameterError, match=r"no alternatives to take: calibrate\(\)"):
        recon.take_alternative(0)


def test_other_data_forget_them(recon, ducky):
    recon.take_alternative(1)
    recon.dataset = Dataset(ducky.data.copy(), ducky.calibration, vacuum=ducky.vacuum)
    assert recon.start_alternatives == () and recon.start_landscape is None and recon.taken_alternative is None
    assert recon.unknown == ("defocus", "rotation", "transpose"), "what was chosen was found in other data"


def test_a_copy_has_them_too(recon):
    recon.take_alternative(2)
    for twin in (copy.copy(recon), pickle.loads(pickle.dumps(recon))):
        assert twin.start_alternatives == recon.start_alternatives and twin.taken_alternative == 2
        twin.take_alternative(0)
        assert recon.taken_alternative == 2


def test_what_was_taken_is_saved_and_the_others_are_not(recon, ducky, tmp_path):
    recon.take_alternative(1)
    again = Reconstruction.load(recon.run(1).save(tmp_path / "taken.h5"), ducky)
    assert (again.rotation, again.transpose) == (recon.rotation, recon.transpose)
    assert again.optics.aberrations == recon.optics.aberrations
    assert again.estimates == recon.estimates and again.start_alternatives == () and again.taken_alternative is None


def test_nobody_gives_them(ducky):
    for name in ("start_alternatives", "start_landscape"):
        with pytest.raises(ParameterError, match=name):
            Reconstruction(ducky, **{name: ()})


# ---------------------------------------------------------------- taken


def test_another_one_is_taken_and_told(recon):
    found = recon.optics.aberrations
    one = recon.start_alternatives[1]
    recon.take_alternative(1)
    assert (recon.rotation, recon.transpose) == (one.rotation, one.transpose)
    assert recon.measurement.preparation.rotation == recon.preparation.rotation == one.rotation
    assert recon.optics.aberrations == Aberrations(defocus=one.defocus), "astigmatism and coma belong to the other one"
    assert recon.taken_alternative == 1
    assert {name for name, source in sources(recon).items() if source == CHOSEN} >= {"rotation", "transpose", "defocus"}
    assert "start 2 of 5" in recon.message and "14 %" in recon.message and f"{one.rotation:.1f}" in recon.message
    assert found["C12"] or found["C21"], "the test would say nothing"


def test_turned_by_half_a_turn_all_that_was_found_changes_sign(recon):
    found = recon.optics.aberrations
    recon.take_alternative(2)
    for name, value in found.cartesian.items():
        assert recon.optics.aberrations.cartesian[name] == pytest.approx(-value, abs=1e-6)


def test_the_first_is_what_was_found(recon):
    lens, rotation, estimates = recon.optics.aberrations, recon.rotation, recon.estimates
    recon.take_alternative(3)
    recon.take_alternative(0)
    assert recon.optics.aberrations == lens and recon.rotation == rotation and recon.estimates == estimates
    assert recon.taken_alternative == 0


def told(recon):
    return {estimate.name: estimate for estimate in recon.estimates}


@pytest.mark.parametrize("there", [1, 2, 3])
def test_there_and_back_estimates_are_of_what_is_in_use(recon, there):
    """After it the astigmatism, the coma, the aperture and the scan step were told as the search had found them."""
    found = told(recon)
    recon.update_optics(C12=30.0, phi12=0.4, semiangle=21.0)
    offsets = Offsets({"C10": 10.0}, 1.03 * np.eye(2))
    recon._check.take_offsets(offsets, changes(offsets, recon.measurement, recon.optics))
    step = recon.calibration.scan_step
    for number in (there, 0):
        recon.take_alternative(number)
        now = told(recon)
        assert now["scan step"].value == pytest.approx(step), "which no alternative changes"
        assert (now["astigmatism"].value, now["astigmatism"].source) == (pytest.approx(30.0), SET_SINCE)
        assert now["astigmatism"].uncertainty is None and now["semi-angle"].source == SET_SINCE
        lens = recon.optics.aberrations
        assert (now["semi-angle"].value, lens["C12"]) == (21.0, pytest.approx(30.0))
        assert now["defocus"].value == pytest.approx(lens["defocus"]) and now["rotation"].value == recon.rotation
    assert {name: now[name] for name in ("rotation", "transpose", "defocus", "coma")} == {
        name: found[name] for name in ("rotation", "transpose", "defocus", "coma")
    }
    recon.update_optics(C12a=recon._inputs.who.found_start.aberrations["C12a"], C12b=0.0)
    recon.optics = recon.optics.replace(aberrations=recon._inputs.who.found_start.aberrations)
    assert told(recon)["astigmatism"] == found["astigmatism"]


def test_what_is_listed_is_what_is_taken():
    """Of the first and of the same turned round, too, which have been made finer since the search saw them."""
    recon = Reconstruction(samples.ducky("tiny", dose=1e3))
    assert recon.calibrate().fit.found and len(recon.start_alternatives) > 2
    for number, one in enumerate(recon.start_alternatives):
        recon.take_alternative(number)
        lens = recon.optics.aberrations
        assert (recon.rotation, recon.transpose) == (pytest.approx(one.rotation, abs=0.01), one.transpose)
        assert lens["defocus"] == pytest.approx(one.defocus, abs=0.1)
        assert {n: lens[n] for n in ("C12", "C21")} == pytest.approx({n: one.aberrations[n] for n in ("C12", "C21")})
    first, turned = (recon.start_alternatives[number].defocus for number in (0, 1))
    assert turned == pytest.approx(-first)


def test_given_aberrations_are_kept_also_when_given_afterwards(ducky, offered):
    recon = Reconstruction(ducky)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None, C30=2e4))
    recon.calibrate()
    recon.take_alternative(1)
    assert recon.optics.aberrations["C30"] == pytest.approx(2e4) and recon.optics.aberrations["C21"] == 0
    recon.take_alternative(0)
    recon.update_optics(C12a=33.0)
    assert recon.taken_alternative is None, "somebody has changed it since"
    recon.take_alternative(1)
    assert recon.optics.aberrations["C12a"] == pytest.approx(33) and recon.optics.aberrations["C30"] == pytest.approx(
        2e4
    )


def test_given_aberrations_outlive_every_alternative(recon):
    recon.update_optics(C30=1e4)
    for index in (1, 2, 3, 1, 0):
        recon.take_alternative(index)
        assert recon.optics.aberrations["C30"] == pytest.approx(1e4), index
    found = recon.estimates
    assert recon.taken_alternative == 0 and found, "what was given does not hide what was found"


def test_turned_by_hand_what_was_found_is_not_taken_for_given(recon):
    """orient() gives what was found the opposite sign; the alternatives are still those of the start."""
    lens, rotation = recon.optics.aberrations, recon.rotation
    recon.orient(rotation + 180, recon.transpose)
    assert recon.optics.aberrations["defocus"] == pytest.approx(-lens["defocus"])
    recon.take_alternative(0)
    assert recon.optics.aberrations == lens and recon.rotation == rotation
    recon.orient(rotation + 180, recon.transpose)
    recon.take_alternative(1)
    assert recon.optics.aberrations == Aberrations(defocus=recon.start_alternatives[1].defocus)


def test_corrected_before_a_run_what_was_found_is_not_taken_for_given(recon):
    lens = recon.optics.aberrations
    recon.update_optics(C30=1e4)
    before = recon.optics.aberrations
    offsets = Offsets({"C10": 10.0, "C12a": 20.0, "C21b": -300.0}, np.eye(2))
    recon._check.take_offsets(offsets, changes(offsets, recon.measurement, recon.optics))
    assert recon.optics.aberrations.cartesian["C12a"] == pytest.approx(before.cartesian["C12a"] + 20)
    recon.take_alternative(0)
    assert recon.optics.aberrations.cartesian == pytest.approx(before.cartesian), "what the program has changed stays"
    recon.take_alternative(2)
    for name, value in lens.cartesian.items():
        wanted = 1e4 if name == "C30" else -value
        assert recon.optics.aberrations.cartesian[name] == pytest.approx(wanted, abs=1e-6), name


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_other_data_forget_what_was_found_and_nothing_else(ducky, offered, after):
    recon = Reconstruction(ducky)
    if not after:
        recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None, C30=1e5))
    recon.calibrate()
    if after:
        recon.update_optics(C30=1e5)
    recon.crop(scan=(0, 10, 0, 12))
    assert recon.optics.aberrations == Aberrations(defocus=None, C30=1e5)
    assert recon.unknown == ("defocus", "rotation", "transpose")


def test_other_data_keep_a_given_defocus_and_forget_a_found_coma(ducky, offered):
    recon = Reconstruction(ducky)
    recon.calibrate(defocus=250)
    assert recon.optics.aberrations["C12"] or recon.optics.aberrations["C21"], "the test would say nothing"
    recon.crop(scan=(0, 10, 0, 12))
    assert recon.optics.aberrations == Aberrations(defocus=250)


def test_half_a_turn_reverses_what_was_found_and_nothing_that_was_given(recon):
    recon.update_optics(C30=1e5)
    found, rotation = recon.optics.aberrations.cartesian, recon.rotation
    for sign in (-1, 1):
        recon.orient(recon.rotation + 180, recon.transpose)
        now = recon.optics.aberrations.cartesian
        assert now["C30"] == pytest.approx(1e5)
        assert all(now[n] == pytest.approx(sign * v, abs=1e-6) for n, v in found.items() if n != "C30")
        assert "opposite sign" in recon.message and abs(recon.preparation.rotation) <= 180
    assert recon.rotation == pytest.approx(rotation)


def test_a_search_keeps_the_aperture_that_somebody_has_drawn(ducky, offered):
    recon = Reconstruction(Dataset(ducky.data, ducky.calibration))
    recon.optics = recon.optics.replace(semiangle=21.0, rolloff=1.5)
    recon.calibrate()
    assert (recon.optics.semiangle, recon.optics.rolloff) == (21.0, 1.5)


def test_the_run_follows_and_begins_anew(recon):
    recon.run(2)
    recon.take_alternative(1)
    recon.run(1)
    assert recon.iteration == 1, "it went on with the object of the other orientation"
    assert recon.problem.measurement.rotation == recon.start_alternatives[1].rotation
    assert recon.problem.measurement.transpose == recon.start_alternatives[1].transpose
    assert recon.taken_alternative == 1


def test_a_start_that_is_looked_for_again_is_not_told_what_was_chosen(recon, monkeypatch):
    asked = []
    search = calibrator.calibrate
    monkeypatch.setattr(calibrator, "calibrate", lambda data, **known: asked.append(known) or search(data, **known))
    recon.take_alternative(1)
    recon.calibrate()
    assert "aberrations" not in asked[0] and asked[0]["preparation"].rotation is None
    assert recon.taken_alternative == 0


@pytest.mark.parametrize("index", [5, -1, 1.0, "1", None, True])
def test_what_is_none_of_them_is_refused(recon, index):
    before = recon.measurement, recon.optics
    with pytest.raises(ParameterError, match="none of the 5 that there are; expected a whole number from 0 to 4"):
        recon.take_alternative(index)
    assert (recon.measurement, recon.optics) == before


def test_none_is_taken_during_a_run(recon):
    recon.update_plan(iterations=10_000)
    recon.start()
    with pytest.raises(ParameterError, match="cannot take another start while the reconstruction is running; stop it"):
        recon.take_alternative(1)
    recon.stop()
    recon.take_alternative(1)
    assert recon.taken_alternative == 1


def test_another_rotation_set_by_hand_is_none_of_them(recon):
    recon.prepare(rotation=recon.rotation + 20)
    assert recon.taken_alternative is None
    recon.take_alternative(0)
    assert recon.taken_alternative == 0


# ---------------------------------------------------------------- before a run


def test_a_run_that_has_to_ask_offers_them_and_goes_on_with_the_one_that_is_chosen(ducky, offered, monkeypatch):
    monkeypatch.setattr(unknown, "question", lambda start: AskingError("Cannot tell {named}; {set}.", "rotation"))
    recon = Reconstruction(ducky)
    with pytest.raises(AskingError):
        recon.run(1)
    assert len(recon.start_alternatives) == 5 and recon.taken_alternative is None and recon.estimates == ()
    assert recon.unknown, "nothing was taken over yet"
    recon.take_alternative(1)
    assert recon.unknown == () and recon.estimates and recon.taken_alternative == 1
    assert recon.run(1).iteration == 1
    assert recon.rotation == recon.start_alternatives[1].rotation


def test_what_is_given_while_a_run_asks_is_kept(ducky, offered, monkeypatch):
    monkeypatch.setattr(unknown, "question", lambda start: AskingError("Cannot tell {named}; {set}.", "rotation"))
    recon = Reconstruction(ducky)
    with pytest.raises(AskingError):
        recon.run(1)
    recon.update_optics(C12a=33.0, C30=1e4)
    recon.take_alternative(1)
    assert recon.optics.aberrations.cartesian["C12a"] == pytest.approx(33)
    assert recon.optics.aberrations["C30"] == pytest.approx(1e4)
    assert recon.optics.aberrations["defocus"] == recon.start_alternatives[1].defocus


def test_a_run_that_finds_its_start_offers_them(ducky, offered):
    recon = Reconstruction(ducky).run(1)
    assert recon.taken_alternative == 0 and len(recon.start_alternatives) == 5


def test_a_measurement_of_ones_own_stays(ducky, monkeypatch):
    """Only the defocus is chosen then."""

    def search(data, **known):
        start = calibrate(data, **known)
        own = start.measurement.rotation, start.measurement.transpose
        pair = (example_alternatives(*own, 250.0)[0], example_alternatives(*own, 475.0)[0])
        return replace(start, alternatives=pair)

    monkeypatch.setattr(unknown, "calibrate", search)
    recon = Reconstruction(ducky)
    recon.prepare(rotation=-15.0, transpose=False)
    given = recon.measurement
    recon.measurement = given = replace(given)
    recon.run(1)
    recon.take_alternative(1)
    assert recon.measurement is given and recon.optics.aberrations["defocus"] == 475.0
    assert recon.taken_alternative == 1
