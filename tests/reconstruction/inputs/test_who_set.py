"""Who set which number: what was found stays found until somebody sets another value, and the rest was given."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.preprocess import Preparation
from ptywidgets.reconstruction.inputs.who_set import WhoSet, found_by
from ptywidgets.testing.starts import with_alternatives

LENS = Aberrations(defocus=200, C12a=20, C30=1e4)
FOUND = WhoSet().with_found({"C10": LENS["C10"], "C12a": LENS["C12a"]})


@pytest.fixture(scope="module")
def start():
    return with_alternatives(calibrate(samples.ducky("tiny")))


def test_it_is_a_value():
    with pytest.raises(FrozenInstanceError):
        FOUND.start = None
    assert WhoSet() == WhoSet() != FOUND


def test_before_anything_is_found_every_number_was_given():
    assert WhoSet().found(LENS) == frozenset()
    assert dict(WhoSet().given(LENS)) == dict(LENS)
    assert WhoSet().given_since(LENS) == {} and WhoSet().taken(0.0, False, LENS) is None


@pytest.mark.parametrize(
    ("lens", "given"),
    [
        (Aberrations(), Aberrations()),  # nobody has given a defocus
        (Aberrations(C10=0.0), Aberrations(C10=0.0)),  # in focus
        (Aberrations(C30=1e4), Aberrations(C30=1e4)),
    ],
)
def test_a_defocus_that_nobody_gave_is_told_from_one_of_zero(lens, given):
    told = WhoSet().given(lens)
    assert (dict(told), told.known) == (dict(given), given.known)


def test_what_was_found_is_given_as_soon_as_another_value_is_set():
    assert FOUND.found(LENS) == {"C10", "C12a"}
    changed = LENS.replace(C12a=25)
    assert FOUND.found(changed) == {"C10"}
    given = FOUND.given(changed)
    assert {n: v for n, v in given.cartesian.items() if v} == {"C12a": 25.0, "C30": 1e4} and not given.known


def test_rotation_and_transpose_are_found_as_long_as_they_are_the_same():
    used = Preparation(rotation=12.0, transpose=True)
    who = FOUND.with_found_turn(used, ["rotation", "transpose"])
    assert who.found_names(LENS, used) == ("C10", "C12a", "rotation", "transpose")
    assert who.found_names(LENS, used.replace(rotation=13.0)) == ("C10", "C12a", "transpose")
    assert WhoSet().with_found_turn(used, ["transpose"]).found_names(LENS, used) == ("transpose",)


def test_what_the_program_moves_stays_found_and_what_was_given_stays_given():
    given = Aberrations(defocus=200, C12a=20)
    who = WhoSet().with_found({"C10": given["C10"]})
    moved = Aberrations(defocus=230, C12a=22, C21a=300)
    after = who.with_moved(given, moved)
    assert after.found(moved) == {"C10", "C21a"}  # coma was neither found nor given before
    assert after.found(moved.replace(defocus=200)) == {"C21a"}


def test_what_somebody_set_outlives_a_move_of_the_program(start):
    now = start.optics.aberrations
    who = WhoSet().with_start(start, now, True)
    own = now.replace(C30=5e3)
    assert who.given_since(own) == {"C30": 5e3}
    moved = own.replace(C12a=own["C12a"] + 10)
    assert who.with_moved(own, moved).given_since(moved) == pytest.approx({"C30": 5e3})


def test_a_start_that_is_taken_has_its_first_alternative_in_use(start):
    lens, turn = start.optics.aberrations, (start.measurement.rotation, start.measurement.transpose)
    who = WhoSet().with_found(found_by(start)).with_start(start, lens, True)
    assert who.offered is None and who.taken(*turn, lens) == 0
    assert who.found_start.found == set(found_by(start)) == who.found(lens)
    assert who.taken(turn[0] + 1, turn[1], lens) is None
    assert who.taken(turn[0], not turn[1], lens) is None
    assert who.taken(*turn, lens.replace(defocus=lens["defocus"] + 10)) is None
    assert who.taken(None, None, lens) is None


def test_a_start_that_is_only_offered_waits_whole_for_somebody_to_choose(start):
    who = WhoSet().with_start(start, LENS, False)
    assert who.offered is start and who.in_use is None
    assert who.found_start == WhoSet().with_start(start, LENS, True).found_start
    assert WhoSet().with_start(replace(start, alternatives=()), LENS, False).offered is None


def test_the_choice_of_an_alternative_is_in_use_and_what_was_given_before_is_remembered(start):
    who = WhoSet().with_start(start, start.optics.aberrations, True).with_taken(2, (30.0, True), LENS, {"C30": 1e4})
    assert who.taken(30.005, True, LENS) == 2
    assert who.given_since(LENS) == {"C30": 1e4}
    assert who.given_since(LENS.replace(C12a=7)) == {"C30": 1e4, "C12a": 7.0}
    assert who.given_since(LENS.replace(defocus=7)) == {"C30": 1e4}  # each alternative has a defocus of its own


def test_a_lens_that_was_given_holds_nothing_that_was_found():
    who = FOUND.with_given(LENS)
    assert who.found(LENS) == frozenset() and dict(who.given(LENS)) == dict(LENS)
    assert who.given_since(LENS.replace(C12a=21)) == {"C12a": 21.0}
