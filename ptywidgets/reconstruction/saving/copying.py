"""Copies of a reconstruction, in this process or in another one: what it is made of, and one that is made of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.state import State

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

# A copy runs by itself, and has no watchers, locks or threads of the other's. What it saves goes nowhere, before it is
# told where: two that save to one path would overwrite each other.
TRAITS = ("status", "iteration", "message", "autosave")
ATTRIBUTES = (
    *("_session", "_work", "mailbox", "_made_in"),
    *("_wrapped", "_trait_values", "_trait_notifiers", "_trait_validators", "_cross_validation_lock"),
    *("_problem", "_coarse", "_bright"),  # made again from the rest
)


def parts(recon: Reconstruction) -> dict[str, Any]:
    """What a reconstruction is made of at this moment, with the arrays of its state in the host's memory."""
    with recon._session.still():
        return _parts(recon)


def _parts(recon: Reconstruction) -> dict[str, Any]:
    problem, state = recon._problem, recon._state
    own = {name: value for name, value in vars(recon).items() if name not in ATTRIBUTES}
    own["_measured"] = dict(recon._measured)
    own["_state"] = None if problem is None or state is None else on_host(problem.backend, state)
    traits = {name: getattr(recon, name) for name in recon.trait_names() if name not in TRAITS}
    return {"traits": traits, "own": own, "session": {"target": recon._session.target, "stages": recon._session.stages}}


def restored(kind: type[Reconstruction], found: dict[str, Any]) -> Reconstruction:
    """An idle reconstruction of these parts."""
    recon = kind()
    recon._trait_values.update(found["traits"])  # they come from one that has checked them, and nobody observes yet
    for name, value in found["own"].items():
        object.__setattr__(recon, name, value)
    for name, value in found["session"].items():
        setattr(recon._session, name, value)
    state: State | None = recon._state
    if state is not None and recon._composed is not None:
        now = recon.composition, recon.object_type
        recon._trait_values["composition"], recon._trait_values["object_type"] = recon._composed
        recon._problem = recon._make_problem()  # of the model that the state belongs to
        recon._trait_values["composition"], recon._trait_values["object_type"] = now
        recon._state = recon._problem.on_device(state)
        recon._trait_values["iteration"] = state.iteration
    idle = "empty" if recon.dataset is None else "ready" if state is None else "stopped"
    recon._trait_values["status"] = recon._session.status = idle
    return recon


def on_host(backend: Any, state: State) -> State:
    """A state whose arrays are numpy's; what algorithms keep for themselves is copied, as some change it in place."""
    to_numpy = backend.to_numpy
    return state.replace(
        object=to_numpy(state.object),
        probe=to_numpy(state.probe),
        memory={name: np.array(to_numpy(array)) for name, array in state.memory.items()},
        parameters={name: to_numpy(value) for name, value in state.parameters.items()},
    )


__all__ = ["parts", "restored"]
