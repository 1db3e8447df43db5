"""Schedules: wrappers that say when, and how strongly, a constraint acts; the first three serve refinements too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.protocols import Constraint, Refinement

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State


@dataclass(frozen=True)
class Every:
    """Apply a constraint or a refinement only in every n-th iteration: ``Every(5, PurePhase())``."""

    n: int
    constraint: Constraint | Refinement

    def prepare(self, problem: Problem) -> Callable[..., State]:
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if (state.iteration + 1) % self.n == 0 else state


@dataclass(frozen=True)
class From:
    """Apply a constraint or a refinement from iteration `first` (counted from 0) on: ``From(20, ProbeAperture())``."""

    first: int
    constraint: Constraint | Refinement

    def prepare(self, problem: Problem) -> Callable[..., State]:
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if state.iteration >= self.first else state


@dataclass(frozen=True)
class Until:
    """Apply a constraint or a refinement before iteration `last` (counted from 0): ``Until(10, PurePhase())``."""

    last: int
    constraint: Constraint | Refinement

    def prepare(self, problem: Problem) -> Callable[..., State]:
        apply = self.constraint.prepare(problem)
        return lambda state, *batch: apply(state, *batch) if state.iteration < self.last else state


@dataclass(frozen=True)
class Relaxed:
    """Go only a share of the way to what a constraint asks for: ``Relaxed(0.5, Positivity())``."""

    share: float
    constraint: Constraint

    def prepare(self, problem: Problem) -> Callable[[State], State]:
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


def acts_on(constraint: Any) -> str:
    """What a constraint acts on, also one within schedules; "object" where it does not say.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import ProbeCentre
    >>> acts_on(Every(2, From(3, ProbeCentre())))
    'probe'
    """
    while not hasattr(constraint, "acts_on") and hasattr(constraint, "constraint"):
        constraint = constraint.constraint
    return str(getattr(constraint, "acts_on", "object"))
