"""A problem of more rows goes on with what was found from fewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Optics, Plan, iterate, make_problem, prepare
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.preprocess.measurement import in_whole_scan
from ptywidgets.engine.problem.grown import grown_state, grown_training, places_in
from ptywidgets.engine.solve.schedule import prepared_for_schedule


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("tiny")


def problem_of(duck, rows, **options):
    part = prepare(duck[:rows], rotation=-15, transpose=False)
    optics = Optics.from_dataset(duck).replace(aberrations={"defocus": 250})
    return make_problem(in_whole_scan(part, duck.scan_shape), optics, whole_scan=True, **options)


def test_the_object_is_in_one_place(duck):
    few, all_of_them = problem_of(duck, 5), problem_of(duck, 12)
    assert few.object_shape == all_of_them.object_shape
    np.testing.assert_allclose(few.initial_positions, all_of_them.initial_positions[: 5 * 12])
    np.testing.assert_allclose(few.scan_middle, all_of_them.scan_middle)
    complete = make_problem(prepare(duck, rotation=-15, transpose=False), Optics.from_dataset(duck))
    np.testing.assert_allclose(complete.initial_positions, all_of_them.initial_positions)


def test_a_state_goes_on(duck):
    few, more = problem_of(duck, 5), problem_of(duck, 8)
    *_, state = iterate(few, Plan(iterations=2))
    state = state.replace(positions=state.positions + np.array([0.25, 0]))
    grown = grown_state(more, few, state)
    assert len(grown.positions) == 96 and grown.iteration == 2 and grown.order is None
    np.testing.assert_array_equal(grown.object, state.object)
    np.testing.assert_allclose(grown.positions, more.initial_positions + np.array([0.25, 0]))
    *_, last = iterate(more, Plan(iterations=4), grown)
    assert last.iteration == 4 and len(last.losses) == 4


def test_what_is_held_out_stays_so_and_more_is(duck):
    few, more = problem_of(duck, 5), problem_of(duck, 12)
    first = prepared_for_schedule(few)
    grown = grown_training(more, first)
    assert grown.loss == first.loss
    assert set(first.held_out.indices) <= set(grown.held_out.indices)
    assert len(grown.held_out.indices) == len(prepared_for_schedule(more).held_out.indices) >= 48
    again = np.searchsorted(grown.held_out.indices, first.held_out.indices)
    np.testing.assert_array_equal(grown.held_out.patterns.counts[again], first.held_out.patterns.counts)
    left = grown.patterns.substitutes.patterns.counts
    np.testing.assert_array_equal(left + grown.held_out.patterns.counts, more.patterns.counts[grown.held_out.indices])
    assert len(set(grown.held_out.indices)) == len(grown.held_out.indices)
    assert np.isfinite(grown.misfit(grown.start()))


def test_another_scan_or_another_place_is_refused(duck):
    few, more = problem_of(duck, 5), problem_of(duck, 8)
    with pytest.raises(DataError, match="same scan only"):
        places_in(few.measurement, prepare(duck[:5]))
    other = replace(more, initial_object=more.initial_object[:, :-1])
    with pytest.raises(DataError, match="begin anew"):
        grown_state(other, few, few.start())
