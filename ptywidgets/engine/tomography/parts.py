"""A series' state and those of its views: what is of one view has its number before its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.tomography.projection import Projection
from ptywidgets.engine.tomography.tilt import Tilt

if TYPE_CHECKING:
    from ptywidgets.engine.tomography.series import TiltSeries


def of_view(series: TiltSeries, state: State, number: int) -> State:
    """The state of one view: its slices A V, its probe, its positions, what it has found by itself."""
    obj = series.project(state.object, number, state)
    return own_part(series, state, number).replace(object=obj, slice_thickness=series.views[number].slice_thickness)


def own_part(series: TiltSeries, state: State, number: int) -> State:
    """The same with the whole volume as its object: no projection is worked out."""
    probe, positions = series.parts(number)
    return state.replace(
        probe=state.probe[probe],
        positions=state.positions[positions],
        order=None,
        parameters=_own(state.parameters, number),
        memory=_own(state.memory, number),
    )


def found_projection(made: Projection, angles: Any, latest: dict[int, Projection], number: int) -> Projection:
    """A view's projection with other angles (x, y, z) than it was made with; None: with those.

    The latest one of each view is kept, as its matrices take longer to make than to apply.
    """
    if angles is None:
        return made
    tilt = Tilt(*np.asarray(angles, float).tolist())
    found = latest.get(number)
    if found is None or found.tilt != tilt:
        found = latest[number] = replace(made, tilt=tilt)
    return found


def put_back(series: TiltSeries, state: State, number: int, before: State, after: State) -> State:
    """The series' state with what has become of one view's; only what is another object has changed."""
    probe, positions = series.parts(number)
    changes: dict[str, Any] = {"partial_loss": after.partial_loss}
    if after.object is not before.object:
        change = series.on_host(series.projection(state, number).expand, after.object - before.object)
        changes["object"] = state.object + change
    if after.probe is not before.probe:
        changes["probe"] = state.probe.copy()
        changes["probe"][probe] = after.probe
    if after.positions is not before.positions:
        changes["positions"] = state.positions.copy()
        changes["positions"][positions] = after.positions
    for name in ("parameters", "memory"):
        changes[name] = _with_own(getattr(state, name), number, getattr(after, name))
    return state.replace(**changes)


def _own(values: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What is of one view, by its own names."""
    prefix = f"{number} "
    return {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}


def _with_own(values: Mapping[str, Any], number: int, own: Mapping[str, Any]) -> dict[str, Any]:
    """All views' values with those of one replaced."""
    prefix = f"{number} "
    kept = {name: value for name, value in values.items() if not name.startswith(prefix)}
    return kept | {prefix + name: value for name, value in own.items()}
