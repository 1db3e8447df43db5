"""Positions that a scan did not keep to: each by itself, or all of them by one affine map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.params import Params, param
from ptywidgets.engine.refinements.position_slopes import position_slopes

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State

EDGE = 0.499  # px, how far a position may be from the last whole pixel that its window can be cut at


@dataclass(frozen=True)
class RefinePositions(Params):
    """Every position takes its own Gauss-Newton step, within limits; the mean of the scan stays where it was.

    Works with every model, algorithm and loss; see :func:`position_slopes`. A window is never moved out of the object:
    give the problem room (`object_padding`) where the outermost positions are to move. The scan's scale and the defocus
    are found together badly: hold the whole affine map where the defocus is in doubt, and only the mean, with a probe
    that is known, where the scan is.
    """

    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the Gauss-Newton step.")
    limit_step: float = param(0.5, unit="A", low=0, high=1000, step=0.05, doc="Largest move at a time.")
    limit_total: float = param(3.0, unit="A", low=0, high=1000, step=0.1, doc="Largest distance from where it began.")
    hold: str = param("mean", choices=("mean", "affine"), doc="What of the scan as a whole stays as it was.")
    damping: float = param(0.05, low=0, high=10, log=True, doc="Of the mean curvature: what dark positions obey less.")

    acts_on = "positions"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        first = problem.first_positions
        whole = np.ones((len(first), 1)) if self.hold == "mean" else np.column_stack([np.ones(len(first)), first])
        left, size, _ = np.linalg.svd(whole, full_matrices=False)
        held = left[:, size > 1e-9 * size[0]]  # (J, 1 to 3), displacements that the scan makes as a whole

        def apply(state: State, batch: Any) -> State:
            batch = np.asarray(batch)
            wanted = self.step * position_slopes(problem, state, batch).steps(self.damping)
            moved = state.positions - first
            moved[batch] += shortened(wanted, self.limit_step)
            moved = shortened(moved - held @ (held.T @ moved), self.limit_total)
            return state.replace(positions=inside(problem, first + moved))

        return apply


def shortened(steps: np.ndarray, limit: float) -> np.ndarray:
    """Vectors (J, 2), none longer than a limit.

    Examples
    --------
    >>> shortened(np.array([[0.0, 4.0], [0.3, 0.4]]), 2.0).tolist()
    [[0.0, 2.0], [0.3, 0.4]]
    """
    length = np.maximum(np.hypot(*steps.T), np.finfo(float).tiny)
    return steps * np.minimum(1, limit / length)[:, None]


def inside(problem: Problem, positions: np.ndarray) -> np.ndarray:
    """Positions (J, 2) in A, brought back so far that every window lies in the object."""
    half = np.array([n // 2 for n in problem.window])
    last = np.array(problem.object_shape[-2:]) - np.array(problem.window)
    pixel = np.array(problem.sampling)
    return positions.clip((half - EDGE) * pixel, (half + last + EDGE) * pixel)
