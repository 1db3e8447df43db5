"""Preconditioned conjugate gradients with a Gauss-Newton step: no step size to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.problem.batches import along_the_scan

SUMS = ("loss", "object", "probe", "illumination", "coverage")
RIDGE = 1e-4  # of each direction's own curvature; keeps directions apart that are nearly the same


@dataclass(frozen=True)
class ConjugateGradient(Params):
    """Goes to the lowest point that object's gradient, probe's gradient and the last step span together.

    The gradients are divided by what their pixels see, the diagonal of the Gauss-Newton Hessian: z = G / (W + damping
    max W). How far to go along z_O, z_P and the last step d follows from the loss's Gauss-Newton matrix H in these
    three directions, H c = <G, directions>: Newton's step in a plane of three dimensions. For a quadratic loss that is
    the method of conjugate gradients (Hestenes and Stiefel, J. Res. NBS 49, 409, 1952; with z for the gradient, and
    with object and probe free to move at their own pace). Of several probe modes, the first one and all others are two
    directions more, since gradients hardly change how the intensity is shared. H is a few numbers, so some of the
    positions are enough to measure it. A step is made when all positions have been seen, whatever `Plan.batch` is,
    which says only how soon a run can be stopped. Where the loss rises all the same, half of the last step is taken
    back.
    """

    damping: float = param(
        0.05, low=1e-4, high=1, log=True, doc="Of the most: what poorly illuminated pixels are divided by."
    )
    sample: int = param(64, low=1, high=1000000, doc="Positions that measure the curvature, spread over the scan.")
    lower_bound: float | None = param(
        None, unit="rad", doc="Bound of a potential: pixels there that would fall stay. None: no bound."
    )
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")

    def advance(self, problem: ReconstructionProblem, state: State, batch: Any) -> State:
        """The state with what a batch says added up, and with the step made when it was the last one."""
        batch = np.asarray(batch)
        with_probe = not self.hold_probe and state.iteration >= self.probe_from
        g = problem.gradients(state, batch, with_probe=with_probe)
        state = state.replace(partial_loss=state.partial_loss + g.loss)
        seen = len(batch)
        kept = {name: state.recall(self, name) for name in ("object", "probe", "loss")}
        if state.batch and state.recall(self, "seen") is not None:  # sums of this iteration, not of one given up
            seen += int(state.recall(self, "seen"))
            g = g + Gradients(**{name: state.recall(self, f"sum_{name}") for name in SUMS})
        if seen < problem.count:
            sums = {f"sum_{name}": getattr(g, name) for name in SUMS}
            return state.remember(self, **kept, seen=np.int64(seen), **sums)
        if kept["loss"] is not None and g.loss > float(kept["loss"]):
            return self._half_way_back(state)
        return self._step(problem, state, g)

    def _step(self, problem: ReconstructionProblem, state: State, g: Gradients) -> State:
        """The step that all positions together ask for."""
        free = self._free(state.object, g.object)
        directions = self._directions(state, g, free, problem.modes)
        every = max(1, problem.count // self.sample)
        sample = along_the_scan(state.positions)[state.iteration % every :: every]
        hessian = problem.curvature(state, sample, directions) * (problem.count / len(sample))
        derivative = np.array([d.dot(Direction(g.object, g.probe)) for d in directions])
        lengths = _lengths(hessian, 2 * derivative)  # G is minus half the gradient
        obj, probe = state.object, state.probe
        for length, d in zip(np.asarray(lengths, np.float32), directions, strict=True):
            obj = obj if d.object is None else obj + length * d.object
            probe = probe if d.probe is None else probe + length * d.probe
        if self.lower_bound is not None and free is not None:
            obj = obj.clip(np.float32(self.lower_bound))
        return state.replace(object=obj, probe=probe).remember(
            self, object=state.object, probe=state.probe, loss=np.float64(g.loss)
        )

    def _directions(self, state: State, g: Gradients, free: Array | None, modes: int) -> list[Direction]:
        """Preconditioned gradients, the shares of several `modes`, and the way that the last step went."""
        along = g.object / (g.illumination + np.float32(self.damping) * g.illumination.max())
        directions = [Direction(object=along if free is None else along * free)]
        if g.probe is not None and g.coverage is not None:
            seen = g.coverage + np.float32(self.damping) * g.coverage.max()
            directions.append(Direction(probe=g.probe / seen))
            if modes > 1:  # the first one, and all others, as a whole
                first = state.probe * np.float32(0)
                first[::modes] = state.probe[::modes]
                directions += [Direction(probe=first), Direction(probe=state.probe - first)]
        last_object, last_probe = state.recall(self, "object"), state.recall(self, "probe")
        if last_object is not None and last_object.shape == state.object.shape:
            moved = state.object - last_object
            last = Direction(
                object=moved if free is None else moved * free,
                probe=None if g.probe is None or last_probe is None else state.probe - last_probe,
            )
            if last.dot(last) > 0:
                directions.append(last)
        return directions

    def _free(self, obj: Array, gradient: Array) -> Array | None:
        """Where a bounded potential may move, as 0 and 1; None where there is no bound."""
        if self.lower_bound is None or np.iscomplexobj(obj):
            return None
        return ((obj > np.float32(self.lower_bound)) | (gradient > 0)).astype(obj.dtype)

    def _half_way_back(self, state: State) -> State:
        """Half of the last step, and no memory of it; constraints that are convex hold there, too."""
        half = np.float32(0.5)
        obj = state.object - half * (state.object - state.recall(self, "object"))
        probe = state.probe - half * (state.probe - state.recall(self, "probe"))
        return state.replace(object=obj, probe=probe).remember(self)


def _lengths(hessian: np.ndarray, derivative: np.ndarray) -> np.ndarray:
    """Solve bend c = slope with each direction scaled to curvature 1."""
    scale = 1 / np.sqrt(np.maximum(np.diag(hessian), np.finfo(float).tiny))
    scaled = hessian * scale[:, None] * scale[None] + RIDGE * np.eye(len(hessian))
    return scale * np.linalg.solve(scaled, scale * derivative)
