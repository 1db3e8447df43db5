"""The ptychographical iterative engine: one position after the other, each from what the last one left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.batches import disjoint
from ptywidgets.engine.params import Params, param
from ptywidgets.engine.protocols import Array

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State


@dataclass(frozen=True)
class PIE(Params):
    """Every position corrects its own window of the object at once; the probe follows after every batch.

    O_j += a conj(P) chi_j / ((1 - g) |P|^2 + g max |P|^2), and for a potential V_j += a Im(conj(P t) chi_j) over the
    same. g = 1 is ePIE (Maiden and Rodenburg, Ultramicroscopy 109, 1256, 2009), smaller ones are rPIE (Maiden, Johnson
    and Li, Optica 4, 736, 2017). Positions whose windows do not overlap are worked on at the same time, which gives the
    same object as one after the other. The probe is corrected by the mean over a batch (`Plan.batch`), so that many
    positions share one shifted set of probes; batches of some dozens are good. Steps are divided by
    :attr:`Problem.stiffness`, so that they mean the same for every loss.
    """

    object_step: float = param(0.5, low=0.001, high=2, step=0.01, doc="Share of a position's correction of the object.")
    probe_step: float = param(0.5, low=0, high=2, step=0.01, doc="Share of a batch's mean correction of the probe.")
    regularization: float = param(
        0.2, low=0.001, high=1, step=0.01, doc="1: ePIE; towards 0: badly lit pixels move as fast as others, noise too."
    )
    decay: float = param(
        0.0, low=0, high=10, step=0.05, doc="Steps fall as 1 / (1 + decay x iteration), which averages noise out."
    )
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")

    def advance(self, problem: Problem, state: State, batch: Any) -> State:
        """The state after one batch, worked through in groups of positions whose windows do not overlap."""
        backend, model = problem.backend, problem.model_at(state)
        xp = backend.xp
        with_probe = not self.hold_probe and state.iteration >= self.probe_from and self.probe_step > 0
        slow = 1 / (1 + self.decay * state.iteration) / problem.stiffness
        batch = np.asarray(batch)
        geometry = problem.geometry(state.positions)
        where = geometry.at(backend, batch)
        incident = model.incident(backend, state.probe, where.fractions)
        light = xp.fft.fftshift((state.probe.real**2 + state.probe.imag**2).sum(0))
        step = self._over(light, slow * self.object_step / model.passage.slices)  # which move for the same residual
        obj = state.object.copy()
        parts: list[_Sums] = []

        def task(places: Any, sums: _Sums) -> None:
            here = where.part(places)
            measured = backend.amplitudes(problem.patterns, batch[places], light.dtype)
            g = model.window_gradients(backend, obj, incident.waves(backend, places), here, measured, problem.loss)
            sums.loss += g.loss
            change = g.object
            change *= step
            backend.paste(obj, here.corners, change)
            if with_probe:
                incident.collect(backend, places, g.waves, sums.waves)
                sums.passed += g.passed

        for group in disjoint(where.corners, light.shape):
            portions = backend.portions(group, incident.nbytes)
            parts = backend.map_reduce(
                task, portions, lambda: _Sums(incident.zeros(backend), xp.zeros_like(light)), parts
            )
        total, *others = parts
        for part in others:
            total += part
        changes: dict[str, Any] = {"object": obj}
        if with_probe:
            gradient = incident.adjoint(backend, total.waves)
            changes["probe"] = state.probe + gradient * self._over(
                xp.fft.ifftshift(total.passed), slow * self.probe_step
            )
        return state.replace(partial_loss=state.partial_loss + float(total.loss), **changes)

    def _over(self, seen: Array, step: float) -> Array:
        """`step` over ((1 - g) seen + g max seen)."""
        g = np.float32(self.regularization)
        return np.float32(step) / ((1 - g) * seen + g * seen.max())


@dataclass
class _Sums:
    """What a worker adds up for the probe."""

    waves: Array  # what the incident waves collect
    passed: Array  # (Ny, Nx) float
    loss: Any = 0.0

    def __iadd__(self, other: _Sums) -> _Sums:
        self.loss += other.loss
        self.waves += other.waves
        self.passed += other.passed
        return self
