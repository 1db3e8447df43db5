"""The plan: how long, in what batches, by which algorithm, under which constraints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.algorithms.gradient import GradientDescent
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.losses.losses import LOSSES
from ptywidgets.engine.solve.registry import algorithm_of, constraints_of, refinements_of

AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Plan(Params):
    """What to do with a problem; cheap to make, compare, print and save.

    Parameters
    ----------
    iterations, batch, loss, seed
        See the declarations below; the same sentences are the widgets' tool tips.
    algorithm : Algorithm, str or type
        The rule of one step; "PIE" or the class stand for one with its defaults.
    constraints : sequence of Constraint, str or type
        Applied in this order after every iteration; one alone, or None, will do.
    refinements : sequence of Refinement, str or type
        What else is fitted, after every batch: positions, aberrations, thickness, diffuse scattering.

    Raises
    ------
    ParameterError
        For what is not known, does not fit, or is out of its range.

    Examples
    --------
    >>> Plan(iterations=10).replace(batch=64).batch
    64
    >>> Plan(algorithm="pie", constraints="positivity").constraints
    (Positivity(),)
    >>> Plan(iteration=10)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: unknown parameter of Plan 'iteration'; did you mean 'iterations'? ...
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

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "algorithm", algorithm_of(self.algorithm))
        object.__setattr__(self, "constraints", constraints_of(self.constraints))
        object.__setattr__(self, "refinements", refinements_of(self.refinements))
