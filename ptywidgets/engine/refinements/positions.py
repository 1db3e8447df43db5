"""Positions that a scan did not keep to: each by itself, or all of them by one affine map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements.position_derivatives import position_derivatives

AFFINE = "affine"  # of a state's parameters: what RefineAffine has found, four numbers, row by row


@dataclass(frozen=True)
class RefinePositions(Params):
    """Every position takes its own Gauss-Newton step, within limits; the mean of the scan stays where it was.

    Works with every model, algorithm and loss; see :func:`position_derivatives`. A window is never moved out of the
    object: a :class:`~ptywidgets.Reconstruction` has the room that a plan needs, and
    ``make_problem(object_padding=...)`` gives it. The scan's scale and the defocus are found together badly: hold the
    whole affine map where the defocus is in doubt, and only the mean, with a probe that is known, where the scan is.

    Not for a scan step or a rotation that is a few per cent off. Each position by itself hardly sees such an error,
    since the object has been made with it, and what moves them then is noise. The whole scan comes first:
    :func:`ptywidgets.engine.checks.start_check.check_start` before the run, which a Reconstruction asks where its
    plan moves positions, or :class:`RefineAffine`. What the latter has found is not counted here, neither as a
    distance from where a position began nor as a map that is held.
    """

    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the Gauss-Newton step.")
    limit_step: float = param(0.5, unit="A", low=0, high=1000, step=0.05, doc="Largest move at a time.")
    limit_total: float = param(3.0, unit="A", low=0, high=1000, step=0.1, doc="Largest distance from where it began.")
    hold: str = param("mean", choices=("mean", "affine"), doc="What of the scan as a whole stays as it was.")
    damping: float = param(0.05, low=0, high=10, log=True, doc="Of the mean curvature: what dark positions obey less.")

    acts_on = "positions"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        first = problem.initial_positions
        whole = np.ones((len(first), 1)) if self.hold == "mean" else np.column_stack([np.ones(len(first)), first])
        left, size, _ = np.linalg.svd(whole, full_matrices=False)
        held = left[:, size > 1e-9 * size[0]]  # (J, 1 to 3), displacements that the scan makes as a whole

        def apply(state: State, batch: Any) -> State:
            batch = np.asarray(batch)
            wanted = self.step * position_derivatives(problem, state, batch).steps(self.damping)
            base = mapped(state, first)
            moved = state.positions - base
            moved[batch] += shortened(wanted, self.limit_step)
            moved = shortened(moved - held @ (held.T @ moved), self.limit_total)
            return state.replace(positions=problem.inside(base + moved))

        return apply


def mapped(state: State, first: np.ndarray) -> np.ndarray:
    """Where positions (J, 2) began, by the affine map that :class:`RefineAffine` has found for them."""
    found = state.parameters.get(AFFINE)
    if found is None:
        return first
    middle = first.mean(0)
    return middle + (first - middle) @ np.reshape(found, (2, 2)).T


def shortened(steps: np.ndarray, limit: float) -> np.ndarray:
    """Vectors (J, 2), none longer than a limit.

    Examples
    --------
    >>> shortened(np.array([[0.0, 4.0], [0.3, 0.4]]), 2.0).tolist()
    [[0.0, 2.0], [0.3, 0.4]]
    """
    length = np.maximum(np.hypot(*steps.T), np.finfo(float).tiny)
    return steps * np.minimum(1, limit / length)[:, None]
