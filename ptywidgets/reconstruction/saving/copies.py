"""Copies of a reconstruction, in this process or in another one: what it is made of, and one that is made of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.state import State

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

# A copy runs by itself, and has no watchers, locks or threads of the other's. What it saves goes nowhere, before it is
# told where: two that save to one path would overwrite each other. A cluster's client belongs to this process.
TRAITS = ("status", "iteration", "message", "autosave", "client")
PARTS = {  # and what a copy takes over of each; the rest is made again
    "_inputs": ("stale", "who", "prepared", "asked", "uncropped", "also_read"),
    "_unknown": ("found_words",),
    "_images": ("began_from",),
    "_maker": ("made_of", "room"),
    "_session": ("target", "stages"),
    "_check": ("_scale", "_held"),
    "_work": ("outcome", "_standing"),
    "_files": ("warned",),
}
ATTRIBUTES = (
    *("_wrapped", "_trait_values", "_trait_notifiers", "_trait_validators", "_cross_validation_lock", "snapshots"),
    *(*PARTS, "_calibrator", "_made_in", "_result", "_settings", "_waves", "_following"),
)


def copied(recon: Reconstruction) -> Reconstruction:
    """An idle one that goes on from the same state, and by itself: the two share the counts, which nobody changes.

    Of one that runs, the copy has the latest state. It does not run, saves nowhere by itself, and is watched by
    nobody. How the latest run has ended, and what of it is to be doubted, the copy says, too. A subclass is copied as
    Python copies objects: with its attributes, and without calling its `__init__`; what it watches by `@observe` of
    traitlets it goes on watching.

    Examples
    --------
    >>> from ptywidgets import Reconstruction, samples
    >>> recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny")).run(2)
    >>> other = recon.copy()
    >>> other.run(1).iteration, recon.iteration
    (3, 2)
    """
    return restored(type(recon), parts(recon))


def parts(recon: Reconstruction) -> dict[str, Any]:
    """What a reconstruction is made of at this moment, with the arrays of its state in the host's memory."""
    with recon._session.still():
        return _parts(recon)


def _parts(recon: Reconstruction) -> dict[str, Any]:
    problem, state = recon.result.whole, recon.result.state
    own = {part: {name: getattr(getattr(recon, part), name) for name in names} for part, names in PARTS.items()}
    tilts = recon._inputs.tilts
    return {
        "traits": {name: getattr(recon, name) for name in recon.trait_names() if name not in TRAITS},
        "attributes": {name: value for name, value in vars(recon).items() if name not in ATTRIBUTES},
        "parts": own,
        "message": "" if recon._session.active else recon.message,  # of a run that goes on it is about that
        "tilts": (tilts.lead, dict(tilts.prepared)),
        "state": None if problem is None or state is None else on_host(problem.backend, state),
    }


def restored(kind: type[Reconstruction], found: dict[str, Any]) -> Reconstruction:
    """An idle reconstruction of these parts."""
    recon = _bare(kind)
    recon._trait_values.update(found["traits"])  # they come from one that has checked them, and nobody observes yet
    for name, value in found["attributes"].items():
        object.__setattr__(recon, name, value)
    for part, values in found["parts"].items():
        for name, value in values.items():
            setattr(getattr(recon, part), name, value)
    recon._inputs.tilts.lead, recon._inputs.tilts.prepared = found["tilts"]
    state: State | None = found["state"]
    if state is not None and recon._maker.made_of is not None:
        problem = recon._maker.make(recon._maker.made_of)  # which is not what is set now, where the state is stale
        recon.result.take(problem, problem.on_device(state))
        recon._trait_values["iteration"] = state.iteration
    recon._trait_values["status"] = recon._session.status = idle_status(recon)
    recon._trait_values["message"] = found["message"]
    recon._following.new_dataset()
    return recon


def _bare(kind: type[Reconstruction]) -> Reconstruction:
    """One without anything, whatever the `__init__` of a subclass asks for."""
    recon = kind.__new__(kind)
    ours = next(one for one in kind.__mro__ if one.__module__.startswith("ptywidgets.") and "__init__" in vars(one))
    vars(ours)["__init__"](recon)
    return recon


def idle_status(recon: Reconstruction) -> str:
    """The status of one that does not run, by what there is and how it has ended."""
    if recon.result.state is None:
        return recon._work.idle
    outcome = recon._work.outcome
    return outcome if outcome in ("finished", "doubtful") else "stopped"


def on_host(backend: Any, state: State) -> State:
    """A state whose arrays are numpy's; what algorithms keep for themselves is copied, as some change it in place."""
    to_numpy = backend.to_numpy
    return state.replace(
        object=to_numpy(state.object),
        probe=to_numpy(state.probe),
        memory={name: np.array(to_numpy(array)) for name, array in state.memory.items()},
        parameters={name: to_numpy(value) for name, value in state.parameters.items()},
    )


__all__ = ["copied", "idle_status", "parts", "restored"]
