"""Alternatives of a start: what of a search is drawn, and what goes along with a choice by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine import Aberrations
from ptywidgets.engine.calibrate import Estimate
from ptywidgets.engine.calibrate.alternatives import Alternative, Landscape
from ptywidgets.engine.calibrate.chosen import CHOSEN, FoundStart, chosen_aberrations, chosen_estimates
from ptywidgets.engine.calibrate.estimates import GIVEN
from ptywidgets.testing.starts import example_alternatives, example_landscape

LENS = Aberrations(defocus=300, C12a=20.0, C12b=-5.0, C21a=700.0, C30=1e4, C23=900.0)
FOUND = frozenset(["C10", "C12a", "C12b", "C21a", "C21b"])
START = FoundStart(141.0, True, LENS, FOUND, ())


def many(count=20_000, seed=3):
    rng = np.random.default_rng(seed)
    turns, sides = rng.uniform(-180, 180, count), rng.uniform(-900, 900, count)
    return Landscape(turns, rng.random(count) < 0.5, sides, rng.uniform(0.3, 0.9, count))


# ---------------------------------------------------------------- what is drawn


def test_a_few_points_are_all_drawn_the_best_on_top():
    landscape = example_landscape()
    seen = landscape.thinned()
    assert len(seen) == len(landscape) == 900
    assert (np.diff(seen.misfit) <= 0).all()
    assert set(zip(seen.rotation, seen.defocus, seen.transpose, seen.misfit, strict=True)) == set(
        zip(landscape.rotation, landscape.defocus, landscape.transpose, landscape.misfit, strict=True)
    )


@pytest.mark.parametrize("most", [4, 100, 1600])
def test_of_many_points_the_best_of_each_place_are_drawn(most):
    landscape = many()
    seen = landscape.thinned(most)
    assert most / 4 <= len(seen) <= most
    rows = int((most / 4) ** 0.5)
    places = np.clip(((landscape.rotation + 180) / 360 * 2 * rows).astype(int), 0, 2 * rows - 1)
    low, high = landscape.defocus.min(), landscape.defocus.max()
    heights = np.clip(((landscape.defocus - low) / (high - low) * rows).astype(int), 0, rows - 1)
    best = {
        landscape.misfit[(places == p) & (heights == h) & (landscape.transpose == t)].min()
        for p, h, t in set(zip(places.tolist(), heights.tolist(), landscape.transpose.tolist(), strict=True))
    }
    assert set(seen.misfit.tolist()) == best


def test_points_without_a_misfit_are_not_drawn_and_count_for_nothing():
    turns = np.array([0.0, 10.0, 20.0])
    landscape = Landscape(turns, turns > 5, turns, np.array([0.5, np.nan, 0.4]))
    assert landscape.span[0] == 0.4 and len(landscape.thinned()) == 2
    nothing = Landscape(turns, turns > 5, turns, np.full(3, np.nan))
    assert np.isnan(nothing.span).all() and len(nothing.thinned()) == 0


def test_points_that_are_all_alike_have_one_colour():
    turns = np.array([0.0, 10.0])
    assert Landscape(turns, turns > 5, turns, np.array([0.5, 0.5])).quality.tolist() == [0.0, 0.0]


def test_a_few_that_are_far_worse_do_not_hide_the_rest():
    landscape = example_landscape()
    spoilt = landscape.misfit.copy()
    spoilt[np.argsort(spoilt)[-90:]] = 50.0
    worse = Landscape(landscape.rotation, landscape.transpose, landscape.defocus, spoilt)
    assert worse.span[1] == pytest.approx(landscape.span[1], rel=0.01)


# ---------------------------------------------------------------- what goes along


@pytest.mark.parametrize(
    "rotation, transpose, defocus, sign",
    [
        (143.0, True, 280.0, 1),
        (-39.5, True, -300.0, -1),
        (-39.5, True, 300.0, 0),  # turned by 180 degrees, and not the other reading of the data
        (141.0, True, -300.0, 0),
        (141.0, False, 300.0, 0),
        (18.4, True, 354.0, 0),
    ],
)
def test_what_was_found_goes_along_with_its_orientation_alone(rotation, transpose, defocus, sign):
    one = Alternative(rotation, transpose, defocus, 0.5, 0.1)
    lens = chosen_aberrations(one, START, LENS, FOUND)
    assert lens["defocus"] == defocus and lens.known
    for name in FOUND - {"C10"}:
        assert lens[name] == pytest.approx(sign * LENS[name], abs=1e-9)
    for name in ("C30", "C23", "phi23"):
        assert lens[name] == LENS[name], "given ones stay"


def test_aberrations_of_its_own_come_with_an_alternative():
    own = Aberrations(defocus=354, C12a=3.0, C12b=4.0, C30=77.0)
    lens = chosen_aberrations(Alternative(18.4, False, 354.0, 0.5, 0.1, own), START, LENS, FOUND)
    assert (lens["defocus"], lens["C12a"], lens["C12b"], lens["C21"]) == pytest.approx((354, 3, 4, 0))
    assert lens["C30"] == LENS["C30"], "given ones stay"


def test_a_choice_by_hand_is_told_and_what_was_given_stays_given():
    estimates = tuple(
        Estimate(name, value, 1.0, unit, source, "Before.")
        for name, value, unit, source in (
            ("descan", 2.0, "px", "from the centre of mass"),
            ("rotation", 141.0, "degrees", "from the bright field"),
            ("transpose", True, "", GIVEN),
            ("180-degree ambiguity", "unresolved", "", "undecided"),
            ("defocus", 300.0, "A", "from the bright field"),
            ("astigmatism", 20.6, "A", "from the bright field"),
            ("coma", 700.0, "A", GIVEN),
        )
    )
    start = FoundStart(141.0, True, LENS, frozenset(["C10", "C12a", "C12b"]), estimates)
    alternatives = (Alternative(141.0, True, 300.0, 0.5, 0.9), Alternative(18.4, True, 354.0, 0.51, 0.1))
    lens = chosen_aberrations(alternatives[1], start, LENS, start.found)
    told = {d.name: d for d in chosen_estimates(alternatives, 1, start, lens)}
    assert list(told) == [d.name for d in estimates]
    changed = {name for name, d in told.items() if d.source == CHOSEN}
    assert changed == {"rotation", "180-degree ambiguity", "defocus", "astigmatism"}
    assert told["descan"] == estimates[0] and told["transpose"] == estimates[2]
    assert (told["rotation"].value, told["rotation"].uncertainty) == (18.4, None)
    assert "start 2 of 2" in told["rotation"].sentence and "10 %" in told["rotation"].sentence
    assert told["defocus"].value == 354.0
    assert told["astigmatism"].value is None and "left out" in told["astigmatism"].sentence, "0 was not found"


def test_the_made_up_ones_are_alternatives():
    alternatives = example_alternatives()
    assert [one.probability for one in alternatives] == sorted((one.probability for one in alternatives), reverse=True)
    assert {one.transpose for one in alternatives} == {False, True}
