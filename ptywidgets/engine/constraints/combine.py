"""Schedules: wrappers that say when, and how strongly, a constraint acts; the first three serve refinements too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.bricks import brick_of
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Parameter, whole_number
from ptywidgets.engine.core.protocols import Constraint, ReconstructionProblem, Refinement
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class Every:
    """Apply a constraint or a refinement only in every n-th iteration: ``Every(5, PurePhase())``."""

    n: int
    constraint: Constraint | Refinement

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole_number("n of Every", self.n, 1, unit="iterations"))
        _check_inner(self)

    def prepare(self, problem: Any) -> Callable[..., State]:  # what the inner one is given
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if (state.iteration + 1) % self.n == 0 else state


@dataclass(frozen=True)
class From:
    """Apply a constraint or a refinement from iteration `first` (counted from 0) on: ``From(20, ProbeAperture())``."""

    first: int
    constraint: Constraint | Refinement

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", whole_number("first of From", self.first, 0, unit="iterations"))
        _check_inner(self)

    def prepare(self, problem: Any) -> Callable[..., State]:  # what the inner one is given
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if state.iteration >= self.first else state


@dataclass(frozen=True)
class Until:
    """Apply a constraint or a refinement before iteration `last` (counted from 0): ``Until(10, PurePhase())``."""

    last: int
    constraint: Constraint | Refinement

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", whole_number("last of Until", self.last, 0, unit="iterations"))
        _check_inner(self)

    def prepare(self, problem: Any) -> Callable[..., State]:  # what the inner one is given
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if state.iteration < self.last else state


@dataclass(frozen=True)
class Relaxed:
    """Go only a share of the way to what a constraint asks for: ``Relaxed(0.5, Positivity())``."""

    share: float
    constraint: Constraint

    def __post_init__(self) -> None:
        share = Parameter("share of Relaxed", 1.0, low=0, high=1, type=float).check(self.share)
        object.__setattr__(self, "share", share)
        _check_inner(self)

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        apply = self.constraint.prepare(problem)
        share = np.float32(self.share)

        def relaxed(state: State) -> State:
            new = apply(state)
            return new.replace(
                object=state.object + share * (new.object - state.object),
                probe=state.probe + share * (new.probe - state.probe),
                positions=state.positions + self.share * (new.positions - state.positions),
            )

        return relaxed


def _check_inner(schedule: Any) -> None:
    """What a schedule is given: an instance, or a class that needs nothing, of which an instance is made."""
    if isinstance(schedule.constraint, str):
        name = type(schedule).__name__
        raise ParameterError(f"the constraint of {name} is {schedule.constraint!r}; expected one like PurePhase().")
    object.__setattr__(schedule, "constraint", brick_of("constraint", schedule.constraint, {}))


def acts_on(constraint: Any) -> str:
    """What a constraint acts on, also one within schedules; "object" where it does not say.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import ProbeCentre
    >>> acts_on(Every(2, From(3, ProbeCentre())))
    'probe'
    """
    return str(getattr(unwrapped(constraint), "acts_on", "object"))


def unwrapped(brick: Any) -> Any:
    """The constraint or refinement within schedules, also within those of one's own that do not say what they act on.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import ProbeCentre
    >>> unwrapped(Every(2, From(3, ProbeCentre())))
    ProbeCentre()
    """
    while not hasattr(brick, "acts_on") and hasattr(brick, "constraint"):
        brick = brick.constraint
    return brick
