"""Total variation: the nearest object with short and few edges.

    min_x 1/2 sum |x - V|^2 + w sum |grad x|

is solved in its dual by accelerated gradient projection (Rudin, Osher & Fatemi, Physica D 60, 259 (1992); Chambolle, J.
Math. Imaging Vis. 20, 89 (2004); Beck & Teboulle, IEEE Trans. Image Process. 18, 2419 (2009)): x = V - D^T p with
|p| <= w, D the differences of neighbouring pixels. Nothing flows over the edge, so every sum stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.constraints.depth import thicknesses
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State

_ONE = 1.0


@dataclass(frozen=True)
class TotalVariation(Params):
    """Flatten what is noise and keep edges: the total variation of the object is made smaller.

    Real and imaginary part of a complex object are taken together, |grad O| having both. Without a weight in depth
    every slice is treated by itself. With one, the variation along the beam is added to that in the plane, or, if
    joined, counts as the third direction of one gradient. Slopes along the beam go by the distances of the slices, and
    need a model that has them.
    """

    weight: float = param(0.02, unit="rad", low=0, high=1, step=0.001, doc="Weight of the variation in the plane.")
    depth_weight: float = param(0.0, unit="rad", low=0, high=1, step=0.001, doc="Weight of that along the beam.")
    joint: bool = param(False, doc="Whether plane and depth make one gradient of three directions.")
    iterations: int = param(20, low=1, high=1000, doc="Steps of the solver, which begins anew each time.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        thick = thicknesses(problem)
        distances = np.array([1.0]) if thick is None else (thick[1:] + thick[:-1]) / 2
        slopes = problem.backend.to_device((distances.mean() / distances).astype(np.float32))[:, None, None]
        in_depth = problem.object_shape[0] > 1 and thick is not None and self.depth_weight > 0

        def apply(state: State) -> State:
            if not (self.weight or in_depth):
                return state
            smooth = denoised(
                problem.backend.xp,
                state.object,
                self.weight,
                self.depth_weight if in_depth else 0.0,
                joint=self.joint,
                slopes=slopes,
                iterations=self.iterations,
            )
            return state.replace(object=smooth)

        return apply


def denoised(
    xp: Any,
    field: Array,
    weight: float,
    depth_weight: float = 0.0,
    *,
    joint: bool = False,
    slopes: Any = 1.0,
    iterations: int = 20,
) -> Array:
    """The total-variation denoised field, real or complex.

    Parameters
    ----------
    xp : module
        numpy or cupy, whose array `field` is.
    field : array (S, Y, X)
        What is denoised.
    weight, depth_weight : float
        Of the variation in each slice and along the first axis.
    joint : bool
        Whether the three directions make one gradient, with lengths sqrt(weight^2 |in plane|^2 + depth_weight^2 |in
        depth|^2), instead of two whose lengths are added.
    slopes : float or array (S - 1, 1, 1)
        What differences along the first axis are multiplied by.
    iterations : int
        Steps of the solver.

    Returns
    -------
    array (S, Y, X), as `field`

    Examples
    --------
    >>> step = np.repeat([0.0, 1.0], 4)[None, None]
    >>> denoised(np, step, 0.4, iterations=200).round(3)[0, 0, ::4].tolist()  # each side moves by 0.4 / 4
    [0.1, 0.9]
    """
    joint = joint and weight > 0 and depth_weight > 0
    groups = [([-2, -1], weight), ([0], depth_weight)] if not joint else [([-2, -1, 0], weight)]
    groups = [(axes, radius) for axes, radius in groups if radius > 0]
    scale: dict[int, Any] = {axis: _ONE for axes, _ in groups for axis in axes}
    if 0 in scale:
        scale[0] = xp.asarray(slopes * (depth_weight / weight if joint else 1), field.real.dtype)
    if not scale:
        return field
    bound = sum(4 * float(xp.max(xp.asarray(s))) ** 2 for s in scale.values())  # of |D|^2
    real = field.real.dtype.type
    dual = {axis: xp.zeros(_less_one(field.shape, axis), field.dtype) for axis in scale}
    ahead, spare = ({axis: xp.zeros_like(p) for axis, p in dual.items()} for _ in range(2))
    rest, momentum = xp.empty_like(field), 1.0
    for _ in range(iterations):
        _take_back(field, ahead, scale, rest)
        for axis, new in spare.items():
            before, behind = _neighbours(rest, axis)
            xp.subtract(behind, before, out=new)
            new *= scale[axis] * real(1 / bound)
            new += ahead[axis]
        for group, radius in groups:
            _project(xp, spare, group, radius, field.shape)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        for axis, new in spare.items():  # dual <- new, ahead <- new + push (new - dual), each in memory of another
            xp.subtract(new, dual[axis], out=ahead[axis])
            ahead[axis] *= real((momentum - 1) / following)
            ahead[axis] += new
        dual, spare, momentum = spare, dual, following
    _take_back(field, dual, scale, rest)
    return rest


def _less_one(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Shape of the differences along an axis."""
    sizes = list(shape)
    sizes[axis] -= 1
    return tuple(sizes)


def _neighbours(field: Array, axis: int) -> tuple[Array, Array]:
    """Views of all pixels that have a next one, and of those next ones."""
    full = [slice(None)] * field.ndim
    first, last = list(full), list(full)
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return field[tuple(first)], field[tuple(last)]


def _take_back(field: Array, dual: dict[int, Array], scale: dict[int, Any], out: Array) -> None:
    """out = field - D^T p, with D the scaled differences."""
    out[...] = field
    for axis, p in dual.items():
        flow = p if scale[axis] is _ONE else p * scale[axis]
        before, behind = _neighbours(out, axis)
        before += flow
        behind -= flow


def _project(xp: Any, dual: dict[int, Array], group: list[int], radius: float, shape: tuple[int, ...]) -> None:
    """Shorten the vectors of a group to a radius, in place; a vector has its components at the same first pixel."""
    length = xp.zeros(shape, dual[group[0]].real.dtype)
    inside = {axis: tuple(slice(0, n) for n in dual[axis].shape) for axis in group}
    for axis in group:
        p = dual[axis]
        for part in (p.real, p.imag) if p.dtype.kind == "c" else (p,):
            length[inside[axis]] += part * part
    xp.sqrt(length, out=length)
    xp.maximum(length, length.dtype.type(radius), out=length)
    xp.divide(length.dtype.type(radius), length, out=length)
    for axis in group:
        dual[axis] *= length[inside[axis]]
