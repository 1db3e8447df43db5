"""What ends a run and keeps its best state wraps any generator of states; it knows no schedule and no algorithm."""

from dataclasses import dataclass

import pytest

from ptywidgets.engine import Plan
from ptywidgets.engine.solve.termination import best_until


@dataclass(frozen=True)
class Moment:
    """A state as far as it is looked at."""

    iteration: int
    at_iteration_end: bool
    misfit: float


def moments(*misfits, sent=None, closed=None):
    """Two batches an iteration; keeps the plans that are sent, and whether it was closed."""
    try:
        for number, misfit in enumerate(misfits, 1):
            for end in (False, True):
                plan = yield Moment(number - (not end), end, misfit)
                if plan is not None:
                    sent.append(plan)
    finally:
        if closed is not None:
            closed.append(True)


def wrapped(states, last, start=Moment(0, True, 9.0)):
    least = [start.misfit]

    def better(state):
        least.append(state.misfit)
        return state.misfit == min(least)

    return best_until(states, start, better=better, ended=lambda state: state.iteration == last)


def test_the_best_state_is_the_last():
    states = list(wrapped(moments(5.0, 3.0, 4.0, 4.5, 1.0), last=4))
    assert [(state.iteration, state.misfit) for state in states] == [
        *((0, 5.0), (1, 5.0), (1, 3.0), (2, 3.0), (2, 4.0), (3, 4.0), (3, 4.5)),
        (2, 3.0),
    ]


def test_what_came_before_may_be_the_best():
    start = Moment(7, True, 1.0)
    assert list(wrapped(moments(5.0, 3.0), last=2, start=start))[-1] is start


def test_states_that_end_by_themselves_are_passed_on():
    assert list(wrapped(moments(5.0, 3.0, 4.0), last=9)) == list(moments(5.0, 3.0, 4.0))


def test_plans_are_passed_on():
    sent, plan = [], Plan(iterations=5)
    states = wrapped(moments(5.0, 3.0, sent=sent), last=9)
    next(states)
    states.send(plan)
    assert sent == [plan]


@pytest.mark.parametrize("last", [1, 9])
def test_the_states_are_closed_with_it(last):
    closed = []
    states = wrapped(moments(5.0, 3.0, closed=closed), last)
    next(states), next(states)
    states.close()
    assert closed == [True]


def test_the_middle_of_an_iteration_is_not_judged():
    asked = []
    states = best_until(
        moments(5.0, 3.0),
        Moment(0, True, 9.0),
        better=lambda state: asked.append(state) or True,
        ended=lambda state: asked.append(state) or False,
    )
    list(states)
    assert len(asked) == 4 and all(state.at_iteration_end for state in asked)
