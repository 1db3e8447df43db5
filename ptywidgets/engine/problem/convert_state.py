"""A state goes on under another model of the same data: other slices, other modes, another kind of object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.optics.modes import more_modes, orthogonalise
from ptywidgets.engine.problem.problem import Problem


def convert_state(problem: Problem, old: Problem, state: State) -> State:
    """What a state of one problem says in terms of another one with the same data and probe window.

    A specimen in S slices is shared out among as many as there are now, each taking what lies in its depth, so that
    the projection stays; that is also how a single slice begins to be thick. Modes that are new are faint ones made
    from the strongest, and modes that are not wanted any more leave their counts to the others. What the new model has
    to find besides, and the old one had not, begins as it does at a start.

    Parameters
    ----------
    problem : Problem
        The new one.
    old : Problem
        Whose state it is.
    state : State

    Returns
    -------
    State
        On the new problem's device; the algorithm's memory is gone.
    """
    host = old.backend.to_numpy
    obj, probe = host(state.object), host(state.probe)
    specimen, before = problem.model.specimen, old.model.specimen
    if specimen.object_type != before.object_type:
        obj = specimen.from_transmission(host(before.transmission(old.backend, state.object)))
    slices = problem.object_shape[0]
    known = {name: host(value) for name, value in state.parameters.items()}
    if slices != len(obj):
        shares = depth_shares(_depths(old.model_at(state), len(obj)), _depths(problem.model, slices))
        obj = split_slices(obj, shares)
        known = old.model.in_slices(known, shares)
    modes = len(problem.initial_probe)
    if modes > len(probe):
        probe = more_modes(probe, modes)
    elif modes < len(probe):
        kept = orthogonalise(probe)[:modes]
        probe = kept * np.float32(np.linalg.norm(probe) / np.linalg.norm(kept))
    window = tuple(probe.shape[-2:])
    first = problem.model.first_parameters((slices, *obj.shape[-2:]), window)
    kept_parameters = {
        name: known[name] if name in known and np.shape(known[name]) == np.shape(value) else value
        for name, value in first.items()
    }
    if "aberrations" in known:  # what the probe, which goes on, was turned by
        kept_parameters["aberrations"] = known["aberrations"]
    kept_parameters |= refined_numbers(problem.model, old.model, known)
    return problem.on_device(
        state.replace(
            object=obj,
            probe=probe,
            parameters=kept_parameters,
            memory={},
            slice_thickness=problem.slice_thickness,
        )
    )


def refined_numbers(model: Model, old: Model, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a state's parameters those of the form "part.field" that another model goes on with.

    Parameters
    ----------
    model, old : Model
        The new one, and the one whose state it is, both as they were made.
    known : Mapping
        The state's parameters.

    Returns
    -------
    dict
        Each in the shape of the new model's field; thicknesses of another number of slices add up to what was found.
    """
    kept: dict[str, Any] = {}
    for name, value in known.items():
        part, _, attribute = name.partition(".")
        now, before = (getattr(getattr(m, part, None), attribute, None) if attribute else None for m in (model, old))
        if now is None or before is None:
            continue
        if name == "exit_wave.thickness" and len(now) != len(before):
            if np.isclose(sum(now), sum(before)) and sum(before):
                kept[name] = np.asarray(now, float) * (float(np.sum(value)) / sum(before))
        elif np.shape(now) == np.shape(value) and np.allclose(now, before, rtol=1e-9, atol=0):
            kept[name] = value
    return kept


def depth_shares(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Shares (S', S) of each old slice that lie in each new one; columns add to 1.

    Parameters
    ----------
    old, new : ndarray (S + 1,), (S' + 1,)
        Depths of the slices' faces, as parts of the whole.

    Examples
    --------
    >>> depth_shares(np.array([0, 1.0]), np.array([0, 0.5, 1.0])).tolist()
    [[0.5], [0.5]]
    >>> depth_shares(np.array([0, 0.5, 1.0]), np.array([0, 0.25, 1.0])).tolist()
    [[0.5, 0.0], [0.5, 1.0]]
    """
    low = np.maximum(new[:-1, None], old[None, :-1])
    high = np.minimum(new[1:, None], old[None, 1:])
    return np.maximum(high - low, 0) / np.diff(old)


def split_slices(obj: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Slices (S', Y, X) that together do what the given ones (S, Y, X) do."""
    if np.iscomplexobj(obj):
        logarithm = np.log(np.maximum(np.abs(obj), 1e-6)) + 1j * np.angle(obj)
        return np.exp(np.tensordot(shares, logarithm, 1)).astype(obj.dtype)
    return np.tensordot(shares, obj, 1).astype(obj.dtype)


def _depths(model: Model, slices: int) -> np.ndarray:
    """Faces of a model's slices, as parts of the whole thickness."""
    thickness: Any = getattr(model.exit_wave, "thickness", None)
    if thickness is None or len(thickness) != slices or not sum(thickness) > 0:
        return np.linspace(0, 1, slices + 1)
    return np.concatenate([[0], np.cumsum(thickness)]) / sum(thickness)
