"""The plan: how long, in what batches, by which algorithm, under which constraints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.algorithms import GradientDescent
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.params import Params, param

AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Plan(Params):
    """What to do with a problem; cheap to make, compare, print and save.

    Parameters
    ----------
    iterations, batch, loss, seed
        See the declarations below; the same sentences are the widgets' tool tips.
    algorithm : Algorithm
        The rule of one step.
    constraints : tuple of Constraint
        Applied in this order after every iteration.
    refinements : tuple of Refinement
        What else is fitted, after every batch: positions, aberrations, thickness, diffuse scattering.

    Examples
    --------
    >>> Plan(iterations=10).replace(batch=64).batch
    64
    >>> Plan(iteration=10)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.errors.ParameterError: unknown parameter of Plan 'iteration'; did you mean 'iterations'? ...
    """

    iterations: int = param(64, low=1, high=100000, doc="How many times every pattern is used.")
    batch: int | None = param(
        512,
        low=1,
        high=1000000,
        doc="Patterns per update; none means all at once. Small batches converge faster, large ones lower.",
    )
    loss: str = param(
        AUTOMATIC,
        choices=(AUTOMATIC, *LOSSES),
        doc="How far modelled patterns are from measured ones; automatic: that of the problem.",
    )
    seed: int = param(0, low=0, high=2**31, doc="Seed of the random order of the patterns.")
    algorithm: Any = dataclasses.field(default_factory=GradientDescent)
    constraints: tuple[Any, ...] = dataclasses.field(default_factory=lambda: default_constraints("complex"))
    refinements: tuple[Any, ...] = ()
