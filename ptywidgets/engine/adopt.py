"""A state goes on under another model of the same data: other slices, other modes, another kind of object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.modes import first_modes, orthogonalise

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State


def adopt(problem: Problem, old: Problem, state: State) -> State:
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
    if slices != len(obj):
        obj = share_out(obj, depth_shares(_depths(old, len(obj)), _depths(problem, slices)))
    modes = len(problem.first_probe)
    if modes > len(probe):
        ordered = orthogonalise(probe)
        fresh = first_modes(ordered[0], modes - len(probe) + 1)
        probe = np.concatenate([fresh[:1], ordered[1:], fresh[1:]])
    elif modes < len(probe):
        kept = orthogonalise(probe)[:modes]
        probe = kept * np.float32(np.linalg.norm(probe) / np.linalg.norm(kept))
    window = tuple(probe.shape[-2:])
    first = problem.model.first_parameters((slices, *obj.shape[-2:]), window)
    known = {name: host(value) for name, value in state.parameters.items()}
    kept_parameters = {
        name: known[name] if name in known and np.shape(known[name]) == np.shape(value) else value
        for name, value in first.items()
    }
    return problem.on_device(state.replace(object=obj, probe=probe, parameters=kept_parameters, memory={}))


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


def share_out(obj: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Slices (S', Y, X) that together do what the given ones (S, Y, X) do."""
    if np.iscomplexobj(obj):
        logarithm = np.log(np.maximum(np.abs(obj), 1e-6)) + 1j * np.angle(obj)
        return np.exp(np.tensordot(shares, logarithm, 1)).astype(obj.dtype)
    return np.tensordot(shares, obj, 1).astype(obj.dtype)


def _depths(problem: Problem, slices: int) -> np.ndarray:
    """Faces of a problem's slices, as parts of the whole thickness."""
    thickness: Any = getattr(problem.model.passage, "thickness", None)
    if thickness is None or len(thickness) != slices or not sum(thickness) > 0:
        return np.linspace(0, 1, slices + 1)
    return np.concatenate([[0], np.cumsum(thickness)]) / sum(thickness)
