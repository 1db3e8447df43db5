"""When a run ends by itself, and which of its states is the best: wrappers around any generator of states."""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.solve.plan import Plan

PATIENCE = 2  # iterations without a clearly better likelihood
LITTLE = 0.02  # of all that was gained in the likelihood: what adds less is not worth its while
FAINT = 0.002  # the same, of what an object is worth against none, for runs that begin with an image and gain little
SLOW = 0.02  # share by which the error of an iteration has to fall where nothing can be held out


def best_until(
    states: Generator[State, Plan | None, None],
    best: State,
    *,
    better: Callable[[State], bool],
    ended: Callable[[State], bool],
) -> Generator[State, Plan | None, None]:
    """The same states, until one has ended it: in its place comes the best one, and it is the last.

    Where the states end by themselves before that, so does this. A plan that is sent is passed on.

    Parameters
    ----------
    states : generator of State
        Such as :func:`ptywidgets.engine.steps` gives, begun or not.
    best : State
        The best before the first one.
    better : callable
        Whether a state at the end of an iteration is as good as any before, or hardly worse.
    ended : callable
        Whether that state is the last.

    Yields
    ------
    State

    Examples
    --------
    >>> from ptywidgets.engine import Plan, steps
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> least = lambda state: state.losses[-1] == min(state.losses)
    >>> run = best_until(
    ...     steps(problem, Plan(iterations=9)), problem.start(), better=least, ended=lambda state: state.iteration == 4
    ... )
    >>> last = list(run)[-1]
    >>> last.iteration == 1 + int(np.argmin(last.losses)) <= 4
    True
    """
    new: Plan | None = None
    try:
        while True:
            try:
                state = states.send(new)
            except StopIteration:
                return
            if state.at_iteration_end:
                if better(state):
                    best = state
                if ended(state):
                    yield best
                    return
            new = yield state
    finally:
        states.close()


def settled(state: State, begin: int, nothing: Callable[[], float | None] = lambda: None) -> bool:
    """Whether going on fits little but noise: hardly anything better for some iterations since `begin`.

    `nothing` tells the misfit of an empty object, where the run began with another one.
    """
    if len(state.losses) - begin <= PATIENCE:
        return False
    misfits, losses = state.misfits[begin:], state.losses[begin:]
    if np.isfinite(misfits).all():
        return _is_little(min(misfits[:-PATIENCE]) - min(misfits[-PATIENCE:]), state, nothing)
    return losses[-1] > (1 - SLOW) ** PATIENCE * losses[-1 - PATIENCE]


def as_good(state: State, begin: int, nothing: Callable[[], float | None]) -> bool:
    """Whether held-out counts are as well explained as in any iteration since `begin`, or hardly worse; without any,
    always."""
    misfits = state.misfits[begin:]
    if np.isfinite(misfits).all():
        return _is_little(misfits[-1] - min(misfits), state, nothing)
    return True


def _is_little(difference: float, state: State, nothing: Callable[[], float | None]) -> bool:
    """Whether a difference of held-out likelihoods means little: the first iterations tell what structure is worth,
    or, of a run that began with an image, what an empty object lacks."""
    least = float(np.nanmin(state.misfits))
    if difference < LITTLE * (float(np.nanmax(state.misfits)) - least):
        return True
    lacking = nothing()
    return lacking is not None and difference < FAINT * (lacking - least)


__all__ = ["SLOW", "as_good", "best_until", "settled"]
