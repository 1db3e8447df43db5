"""Constraints on positions that a reconstruction refines; displacements are counted from where they began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State

_BIWEIGHT = 4.685  # residuals of more than so many standard deviations have no weight (Tukey)
_ROUNDS = 50


@dataclass(frozen=True)
class PositionMean(Params):
    """Keep the mean of all positions where it was: else they could drift together with the object."""

    acts_on = "positions"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        mean = problem.initial_positions.mean(0)
        return lambda state: state.replace(positions=state.positions - (state.positions.mean(0) - mean))


@dataclass(frozen=True)
class PositionAffine(Params):
    """Only what a scan does as a whole: shift, rotation, scale and shear, fitted so that outliers do not count."""

    share: float = param(1.0, low=0, high=1, step=0.05, doc="How far to go to the fit; 0 leaves positions free.")

    acts_on = "positions"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        first = problem.initial_positions

        def apply(state: State) -> State:
            fitted = first + affine_part(first, state.positions - first)
            return state.replace(positions=state.positions + self.share * (fitted - state.positions))

        return apply


@dataclass(frozen=True)
class PositionDistance(Params):
    """No position farther than a limit from where it began; it is brought back on the straight line."""

    limit: float = param(2.0, unit="A", low=0, high=1000, doc="Largest displacement.")

    acts_on = "positions"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        first = problem.initial_positions

        def apply(state: State) -> State:
            moved = state.positions - first
            distance = np.maximum(np.hypot(*moved.T), np.finfo(float).tiny)
            return state.replace(positions=first + moved * np.minimum(1, self.limit / distance)[:, None])

        return apply


def affine_part(places: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """The affine function of the place that fits displacements best, at every place.

    Least squares with Tukey's biweight, reweighted until it rests, from a start that goes by absolute values. On a line
    the least change that explains the displacements is taken.

    Parameters
    ----------
    places, displacements : ndarray (J, 2)
        In A.

    Returns
    -------
    ndarray (J, 2)
        In A.

    Examples
    --------
    >>> places = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> (affine_part(places, 0.1 * places).round(6) + 0.0).tolist()
    [[0.0, 0.0], [0.0, 0.1], [0.1, 0.0], [0.1, 0.1]]
    """
    centred = places - places.mean(0)
    design = np.column_stack([np.ones(len(places)), centred / max(np.abs(centred).max(), np.finfo(float).tiny)])
    floor = max(1e-9 * np.abs(displacements).max(), 1e-12)

    def fit(weights: np.ndarray) -> np.ndarray:
        root = np.sqrt(weights)[:, None]
        return design @ np.linalg.lstsq(root * design, root * displacements, rcond=1e-10)[0]

    fitted = fit(np.ones(len(places)))
    for turn in range(_ROUNDS):
        distance = np.hypot(*(displacements - fitted).T)
        scale = max(float(np.median(distance)) / 1.1774, floor)  # 1.1774: median of a Rayleigh distribution
        if turn < _ROUNDS // 2:
            weights = 1 / np.maximum(distance, scale)
            weights /= weights.max()
        else:
            weights = (1 - (distance / (_BIWEIGHT * scale)).clip(0, 1) ** 2) ** 2
        before, fitted = fitted, fit(weights)
        if turn >= _ROUNDS // 2 and np.abs(fitted - before).max() <= floor:
            break
    return fitted
