"""Room about a scan for positions that move: as much as a plan's refinements may ask for, and a problem with it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.constraints.combine import acts_on, unwrapped
from ptywidgets.engine.core.state import State
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.problem import Problem

AFFINE = 0.05  # by which a scan may grow, or turn in rad
FARTHEST = 0.25  # of the scan's extent: who lets positions move farther does not mean it


@dataclass(frozen=True)
class Margin:
    """More pixels about an object of the same ones: a :class:`~ptywidgets.engine.core.protocols.GridChange`."""

    pixels: tuple[tuple[int, int], ...]  # before and behind, along each axis (S, Y, X)

    def on_object(self, maps: np.ndarray, beyond: float) -> np.ndarray:
        return np.pad(maps, self.pixels, constant_values=maps.dtype.type(beyond))

    def on_detector(self, pattern: np.ndarray, beyond: float) -> np.ndarray:
        return pattern


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
    >>> bool(np.allclose(state.positions - larger.initial_positions, 0))
    True
    """
    state = problem.resample_state(state)
    pixels = [math.ceil(room / s) for s in problem.sampling]
    if not any(pixels):
        return problem, state
    aside = np.array(pixels) * np.array(problem.sampling)

    host = problem.backend.to_numpy
    margin = Margin(((0, 0), *((n, n) for n in pixels)))
    known = {name: np.asarray(host(value)) for name, value in state.parameters.items()}
    larger = replace(
        problem,
        initial_object=margin.on_object(problem.initial_object, problem.vacuum),
        initial_positions=problem.initial_positions + aside,
    )
    state = state.replace(
        object=margin.on_object(np.asarray(host(state.object)), problem.vacuum),
        positions=state.positions + aside,
        parameters=problem.model.resampled(known, margin),
        memory={},
    )
    return larger, larger.on_device(state)


__all__ = ["moves_positions", "room_for", "with_room"]
