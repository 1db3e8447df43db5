"""A scan larger, turned or sheared as a whole: all positions move by one affine map, and the object with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.problem.batches import spread
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements.position_derivatives import position_derivatives
from ptywidgets.engine.refinements.positions import AFFINE

# Scale, rotation and two shears, each as the displacement (rows, columns) that a place (rows, columns) gets.
MAPS = tuple(np.array(m, float) for m in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]))
RIDGE = 1e-3  # of each map's own curvature
AT_LEAST = 1e-7  # a smaller change of the scan is none
HALVINGS = 3  # of a step that does not explain the patterns better, before it is none


@dataclass(frozen=True)
class RefineAffine(Params):
    """Scale, rotation and shear of all positions, by a Gauss-Newton step in these four numbers; no shift.

    An object that was reconstructed with a distorted scan is distorted alike, and then resists: what a single position
    wants hardly tells. So the object is carried along, O(r) -> O(r - D r), and what is left is what the data say: how
    much larger or smaller features should be against the probe. The probe must be known for that, as a change of scale
    is much like one of defocus: hold it, or refine it no further than its aperture tells.
    """

    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the Gauss-Newton step.")
    limit: float = param(0.01, low=0, high=0.2, step=0.001, doc="Largest change of the scan's size at a time.")
    sample: int = param(64, low=1, high=1000000, doc="Positions that measure the curvature, spread over the scan.")

    acts_on = "positions"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        middle = problem.initial_positions.mean(0)

        def apply(state: State, batch: Any) -> State:
            batch = np.asarray(batch)
            places = state.positions - middle
            slopes = position_derivatives(problem, state, batch)
            around = _gradients(problem, state.object)
            directions = [Direction(_carried(problem, around, middle, m), None, places @ m.T) for m in MAPS]
            down = [
                float(np.sum(slopes.positions * d.positions[batch])) + Direction(slopes.object).dot(Direction(d.object))
                for d in directions
                if d.positions is not None
            ]
            sample = spread(state.positions, batch, self.sample)
            hessian = problem.curvature(state, sample, directions) / 2 * (len(batch) / len(sample))
            hessian += np.diag(RIDGE * np.diag(hessian) + np.finfo(float).tiny)
            change = self.step * np.tensordot(np.linalg.solve(hessian, np.array(down)), np.array(MAPS), 1)
            change *= min(1.0, self.limit / max(float(np.linalg.norm(change, 2)), AT_LEAST))
            before = problem.value(state, sample)
            for _ in range(HALVINGS):  # near the middle the object, sampled as it is, says less than the step is long
                if np.linalg.norm(change, 2) < AT_LEAST:
                    break
                moved = _stretched(problem, state, middle, change)
                if problem.value(moved, sample) < before:
                    return moved
                change = change / 2
            return state

        return apply


def _stretched(problem: Problem, state: State, middle: np.ndarray, change: np.ndarray) -> State:
    """The state with all positions, and the object with them, at middle + (1 + change) (r - middle)."""
    matrix = np.eye(2) + change
    before = np.reshape(state.parameters.get(AFFINE, np.eye(2)), (2, 2))
    return state.replace(
        positions=problem.inside(middle + (state.positions - middle) @ matrix.T),
        object=_distorted(problem, state.object, middle, change),
        parameters={**state.parameters, AFFINE: (matrix @ before).ravel()},
    )


def _gradients(problem: Problem, obj: Array) -> tuple[Array, Array]:
    """Derivatives of an object along rows and columns, per A."""
    xp = problem.backend.xp
    found = []
    for axis in (-2, -1):
        derivative = xp.roll(obj, -1, axis) - xp.roll(obj, 1, axis)
        derivative *= np.float32(0.5 / problem.sampling[axis])
        ends = derivative.swapaxes(axis, 0)
        ends[0] = ends[-1] = 0
        found.append(derivative)
    return found[0], found[1]


def _carried(problem: Problem, around: tuple[Array, Array], middle: np.ndarray, matrix: np.ndarray) -> Array:
    """How an object changes that is carried along by displacements matrix . (r - middle): -D . grad O."""
    xp, real = problem.backend.xp, around[0].real.dtype
    rows, columns = (xp.arange(n) * d for n, d in zip(around[0].shape[-2:], problem.sampling, strict=True))
    y, x = rows[:, None] - middle[0], columns[None] - middle[1]
    down, right = ((a * y + b * x).astype(real) for a, b in matrix)
    return -(around[0] * down + around[1] * right)


def _distorted(problem: Problem, obj: Array, middle: np.ndarray, change: np.ndarray) -> Array:
    """The object (S, Y, X) with what was at r at middle + (1 + change) (r - middle)."""
    backend = problem.backend
    host, pixel = backend.to_numpy(obj), np.array(problem.sampling)
    inverse = np.linalg.inv(np.eye(2) + change) * (pixel[None] / pixel[:, None])  # of pixels
    centre = middle / pixel
    offset = centre - inverse @ centre

    def moved(image: np.ndarray) -> np.ndarray:
        return ndimage.affine_transform(image, inverse, offset, order=3, mode="nearest", output=image.dtype)

    def slice_by_slice(parts: np.ndarray) -> np.ndarray:
        return np.stack([moved(part) for part in parts])

    if not np.iscomplexobj(host):
        return backend.to_device(slice_by_slice(host))
    both = slice_by_slice(np.ascontiguousarray(host.real)) + 1j * slice_by_slice(np.ascontiguousarray(host.imag))
    return backend.to_device(both.astype(host.dtype))
