"""The loop: a short generator that a script, a lesson or a widget's thread can drive."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.solve.plan import AUTOMATIC, Plan


def steps(
    problem: ReconstructionProblem, plan: Plan, state: State | None = None
) -> Generator[State, Plan | None, None]:
    """Work through the plan and yield the state after every batch.

    Sending a new plan changes how it goes on: `algorithm` at once, `iterations`, `batch`, `loss`, `constraints` and
    `refinements` from the next iteration.

    Parameters
    ----------
    problem : Problem
        Measured patterns, model, starting values.
    plan : Plan
        What to do.
    state : State, optional
        Where to go on, also in the middle of an iteration; by default the problem's start.

    Yields
    ------
    State
        Valid until the next one is asked for.
    """
    given, loss = problem, AUTOMATIC
    begun = False
    state = problem.start() if state is None else state
    generator = np.random.default_rng(plan.seed)
    if state.random is not None:
        generator.bit_generator.state = state.random
    described: Any = None  # the constraints that are prepared
    constraints: list[Any] = []
    refined: Any = None  # the refinements that are prepared
    refinements: list[Any] = []
    while state.iteration < plan.iterations:
        order = state.order
        if order is None:
            order = problem.order(state, plan, generator)
            state = state.replace(order=order, batch=0, partial_loss=0.0, random=generator.bit_generator.state)
        batches = problem.batches(order, plan.batch, plan)
        if state.batch >= len(batches):  # stopped in the middle of an iteration, which had smaller batches
            state = state.replace(batch=0, partial_loss=0.0)
        if plan.loss != loss:
            loss = plan.loss
            problem = given if loss == AUTOMATIC else given.with_loss(loss)
            described = refined = None
            state = state.replace(memory={}) if begun else state  # of steps that another loss asked for
        begun = True
        if plan.constraints is not described:
            described = plan.constraints
            constraints = [problem.constrained(constraint) for constraint in described]
        if plan.refinements is not refined:
            refined = plan.refinements
            refinements = [problem.refined(refinement) for refinement in refined]
        while state.batch < len(batches):
            index = state.batch
            held = {name: getattr(state, name) for name in problem.held}
            state = problem.advance(_holding(plan.algorithm, held), state, batches[index])
            state = state.replace(batch=index + 1, **held)
            for refine in refinements:
                state = refine(state, batches[index]).replace(**held)
            if state.batch == len(batches):
                state = _finish(problem, state, constraints, held)
            check_stop()
            new = yield state
            plan = new or plan
            if state.order is None:
                break


def iterate(
    problem: ReconstructionProblem, plan: Plan, state: State | None = None
) -> Generator[State, Plan | None, None]:
    """Like :func:`steps`, yielding only at the end of every iteration.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Optics, Plan, iterate, make_problem, prepare
    >>> data = samples.ducky("tiny")
    >>> problem = make_problem(prepare(data), Optics.from_dataset(data))
    >>> for state in iterate(problem, Plan(iterations=3)):
    ...     pass
    >>> len(state.losses), state.losses[2] < state.losses[0]
    (3, True)
    """
    inner = steps(problem, plan, state)
    new = None
    while True:
        try:
            state = inner.send(new)
        except StopIteration:
            return
        new = None
        if state.at_iteration_end:
            new = yield state


def _holding(algorithm: Any, held: Mapping[str, Any]) -> Any:
    """An algorithm that does not work on a probe that is held; one that cannot leave it alone finds it as it was."""
    if "probe" in held and getattr(algorithm, "hold_probe", True) is False:
        return algorithm.replace(hold_probe=True)
    return algorithm


def _finish(problem: ReconstructionProblem, state: State, constraints: list[Any], held: Mapping[str, Any]) -> State:
    for apply in constraints:
        state = apply(state).replace(**held)
    loss = state.partial_loss / (problem.mean_intensity * problem.count)
    return state.replace(
        iteration=state.iteration + 1,
        batch=0,
        order=None,
        partial_loss=0.0,
        losses=(*state.losses, loss),
        misfits=(*state.misfits, problem.misfit(state)),
    )
