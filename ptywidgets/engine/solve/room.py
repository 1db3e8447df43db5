"""Room about a scan for positions that move: as much as a plan's refinements may ask for, and a problem with it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.constraints.combine import acts_on, unwrapped
from ptywidgets.engine.core.state import State
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.problem import Problem

AFFINE = 0.05  # by which a scan may grow, or turn in rad
FARTHEST = 0.25  # of the scan's extent: who lets positions move farther does not mean it


def moves_positions(refinements: Iterable[Any]) -> bool:
    """Whether one of these refines positions.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import Until
    >>> from ptywidgets.engine.refinements import RefineAffine, RefineOptics
    >>> moves_positions([RefineOptics()]), moves_positions([Until(8, RefineAffine())])
    (False, True)
    """
    return any(acts_on(one) == "positions" for one in refinements)


def room_for(refinements: Iterable[Any], measurement: Measurement) -> float:
    """Room in A about the windows of the outermost positions that these refinements may need; 0 where none moves any.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import prepare
    >>> from ptywidgets.engine.refinements import RefineAffine, RefinePositions
    >>> measurement = prepare(samples.ducky("tiny"))
    >>> room_for((), measurement), room_for((RefinePositions(limit_total=0.7),), measurement)
    (0.0, 0.7)
    >>> 0.5 < room_for((RefineAffine(),), measurement) < 1.5
    True
    """
    extent = float(np.hypot(*np.ptp(measurement.positions, axis=0)))
    wanted = 0.0
    for one in refinements:
        if acts_on(one) != "positions":
            continue
        limit = getattr(
            unwrapped(one), "limit_total", None
        )  # of single positions; one map of all moves the corners farthest
        wanted += AFFINE * extent / 2 if limit is None else float(limit)
    return min(wanted, FARTHEST * extent)


def with_room(problem: Problem, state: State, room: float) -> tuple[Problem, State]:
    """Problem and state with so much more room about the object, A, on all sides; the state at the full window.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> larger, state = with_room(problem, problem.start(), 2.0)
    >>> [after - before for before, after in zip(problem.object_shape[1:], state.object.shape[1:])]
    [14, 14]
    >>> bool(np.allclose(state.positions - larger.first_positions, 0))
    True
    """
    state = problem.resample_state(state)
    pixels = [math.ceil(room / s) for s in problem.sampling]
    if not any(pixels):
        return problem, state
    around = [(n, n) for n in pixels]
    aside = np.array(pixels) * np.array(problem.sampling)

    def padded(array: Any, value: float) -> np.ndarray:
        host = np.asarray(problem.backend.to_numpy(array))
        return np.pad(host, [(0, 0)] * (host.ndim - 2) + around, constant_values=host.dtype.type(value))

    parameters = dict(state.parameters)
    for name in ("tds_strength", "object_modes", "displacement"):
        if name in parameters:
            beyond = float(np.median(problem.backend.to_numpy(parameters[name]))) if name == "displacement" else 0.0
            parameters[name] = problem.backend.to_device(padded(parameters[name], beyond))
    larger = replace(
        problem,
        first_object=padded(problem.first_object, problem.vacuum),
        first_positions=problem.first_positions + aside,
    )
    state = state.replace(
        object=problem.backend.to_device(padded(state.object, problem.vacuum)),
        positions=state.positions + aside,
        parameters=parameters,
        memory={},
    )
    return larger, state


__all__ = ["moves_positions", "room_for", "with_room"]
