"""How the loss bends along directions of object, probe and positions: what a step's length is taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.incident import Incident

if TYPE_CHECKING:
    from ptywidgets.engine.problem.problem import Problem


@dataclass(frozen=True)
class Direction:
    """Where to go: a change of the object, of the probe, of the positions, or of several together."""

    object: Array | None = None  # (S, Y, X), as the object
    probe: Array | None = None  # (M, Ny, Nx) complex, corner-centred
    positions: np.ndarray | None = None  # (J, 2) A

    def dot(self, other: Direction) -> float:
        """Re <self, other> over what both move."""
        total = 0.0
        for name in ("object", "probe", "positions"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None:
                product = mine.real * theirs.real
                if np.iscomplexobj(mine):
                    product += mine.imag * theirs.imag
                total += float(product.sum(dtype=np.float64))
        return total


def curvature(problem: Problem, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
    """Matrix (K, K) of the loss's second derivatives along K directions, summed over the positions of a batch.

    With Psi the waves in the detector plane, I = sum_m |Psi|^2, Xi = dPsi along a direction and dI = 2 Re sum conj(Psi)
    Xi, the loss l(I) bends by l'' dI^2 + 2 l' sum_m |Xi|^2. What could make that negative is left out (the Gauss-
    Newton approximation and the positive part of the rest), so the matrix is positive semi-definite.

    Parameters
    ----------
    problem : Problem
    state : State
    batch : array_like of int
        Positions; a fair sample of them is enough for the length of a step.
    directions : sequence of Direction

    Returns
    -------
    ndarray (K, K) float64
    """
    backend, model, loss = problem.backend, problem.model_at(state), problem.loss
    batch = np.asarray(batch)
    where = problem.geometry(state.positions).at(backend, batch)
    slab = model.slab(backend, state.object)
    incident = model.incident(backend, state.probe, where.fractions)
    tangents = [
        (
            None if d.probe is None else model.incident(backend, d.probe, where.fractions),
            None if d.object is None else slab.tangent(backend, model.specimen, d.object),
            None if d.positions is None else backend.to_device(d.positions[batch] / np.array(problem.sampling)),  # px
        )
        for d in directions
    ]
    count = len(directions)

    def task(places: Any, sums: np.ndarray) -> None:
        here = where.part(places)
        waves = _kept(backend, "waves that fall in", incident.waves(backend, places))
        far = model.propagate_to_detector(backend, waves, slab, here)
        far = replace(far, waves=_kept(backend, "waves at the detector", far.waves))
        measured = backend.amplitudes(problem.patterns, batch[places], far.waves.real.dtype)
        changes = backend.empty("changes", (count, *far.waves.shape), far.waves.dtype)
        for change, (moved, by_transmission, shifts) in zip(changes, tangents, strict=True):
            by_waves = None if moved is None else _kept(backend, "changed waves", moved.waves(backend, places))
            if shifts is not None:
                aside = _aside(backend, incident, places, shifts[places].astype(waves.real.dtype))
                by_waves = aside if by_waves is None else by_waves + aside
            exits = model.through.tangent(backend, waves, slab.transmission, here.corners, by_waves, by_transmission)
            change[...] = model.detector.propagate(backend, exits, here.shifts)
            if shifts is not None and model.detector.follows_window:
                step = shifts[places].astype(waves.real.dtype)[..., None, None, None]
                change += sum(model.detector.moving(backend, far.waves, axis) * step[:, axis] for axis in (0, 1))
        sums += model.hessian_block(backend, far, changes, measured, loss)

    chunks = backend.chunks(np.arange(len(batch)), incident.nbytes)
    parts = backend.map_reduce(task, chunks, lambda: np.zeros((count, count)))
    return np.asarray(sum(parts))


def _kept(backend: Backend, name: str, values: Array) -> Array:
    """A copy, since the memory of the values is used again."""
    out = backend.empty(name, values.shape, values.dtype)
    out[...] = values
    return out


def _aside(backend: Backend, incident: Incident, places: Any, shifts: Array) -> Array:
    """Change (B, M, Ny, Nx) of a chunk's waves as each moves by its shift (B, 2) px."""
    down = incident.tangent(backend, places, 0) * shifts[:, 0, None, None, None]
    return down + incident.tangent(backend, places, 1) * shifts[:, 1, None, None, None]
