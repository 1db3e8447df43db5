"""The ptychographical iterative engine: one position after the other, each from what the last one left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.batches import clashes, disjoint, runs
from ptywidgets.engine.problem.problem import Problem

AHEAD_BYTES = 16_000_000  # of waves that are made for positions to come: a visit should find them in a cache


@dataclass(frozen=True)
class PIE(Params):
    """Every position corrects its own window of the object at once; the probe follows after every batch.

    O_j += a conj(P) chi_j / ((1 - g) |P|^2 + g max |P|^2), and for a potential V_j += a Im(conj(P t) chi_j) over the
    same. g = 1 is ePIE (Maiden and Rodenburg, Ultramicroscopy 109, 1256, 2009), smaller ones are rPIE (Maiden, Johnson
    and Li, Optica 4, 736, 2017). Positions whose windows do not overlap are worked on at the same time, which gives the
    same object as one after the other. The probe is corrected by the mean over a batch (`Plan.batch`), so that many
    positions share one shifted set of probes; batches of some dozens are good. Steps are divided by
    :attr:`Problem.curvature_bound`, so that they mean the same for every loss.
    """

    object_step: float = param(0.5, low=0.001, high=2, step=0.01, doc="Share of a position's correction of the object.")
    probe_step: float = param(0.5, low=0, high=2, step=0.01, doc="Share of a batch's mean correction of the probe.")
    regularization: float = param(
        0.2,
        low=0.001,
        high=1,
        step=0.01,
        doc="1: ePIE; towards 0: poorly illuminated pixels move as fast as others, noise too.",
    )
    decay: float = param(
        0.0, low=0, high=10, step=0.05, doc="Steps fall as 1 / (1 + decay x iteration), which averages noise out."
    )
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")

    def advance(self, problem: Problem, state: State, batch: Any) -> State:
        """The state after one batch, worked through in groups of positions whose windows do not overlap."""
        with_probe = not self.hold_probe and state.iteration >= self.probe_from and self.probe_step > 0
        slow = 1 / (1 + self.decay * state.iteration) / problem.curvature_bound
        xp = problem.backend.xp
        light = xp.fft.fftshift((state.probe.real**2 + state.probe.imag**2).sum(0))
        step = self._over(light, slow * self.object_step / problem.model.exit_wave.slices)  # they move for one residual
        if "object" in problem.held:
            step = step * 0
        sweep = _Sweep(problem, state, np.asarray(batch), step)
        total = sweep.run(with_probe)
        changes: dict[str, Any] = {"object": sweep.object}
        if total is not None:
            gradient = sweep.incident.adjoint(problem.backend, total.waves)
            changes["probe"] = state.probe + gradient * self._over(
                xp.fft.ifftshift(total.passed), slow * self.probe_step
            )
        return state.replace(partial_loss=state.partial_loss + sweep.loss, **changes)

    def _over(self, seen: Array, step: float) -> Array:
        """`step` over ((1 - g) seen + g max seen)."""
        g = np.float32(self.regularization)
        return np.float32(step) / ((1 - g) * seen + g * seen.max())


@dataclass
class _Sums:
    """What a worker adds up for the probe."""

    waves: Array  # what the incident waves collect
    passed: Array  # (Ny, Nx) float

    def __iadd__(self, other: _Sums) -> _Sums:
        self.waves += other.waves
        self.passed += other.passed
        return self


class _Sweep:
    """One visit to every position of a batch, which corrects a copy of the object."""

    def __init__(self, problem: Problem, state: State, batch: np.ndarray, step: Array) -> None:
        self.problem, self.batch, self.step = problem, batch, step
        backend, self.model = problem.backend, problem.model_at(state)
        self.where = problem.geometry(state.positions).at(backend, batch)
        self.incident = self.model.incident(backend, state.probe, self.where.fractions)
        self.modes = self.incident.nbytes // state.probe[0].nbytes
        self.dtype = state.probe.dtype
        self.object = state.object.copy()
        self.slab = self.model.plain(backend, self.object)
        self.even = self.slab is not None and self.model.specimen.lossless  # then every pixel passes everything
        self.loss = 0.0
        self.sums: list[_Sums] = []

    def run(self, with_probe: bool) -> _Sums | None:
        """All visits; what they say of the probe, where that is asked for."""
        for groups in runs(disjoint(self.where.corners, self.step.shape), AHEAD_BYTES // self.incident.nbytes):
            self.visit(groups, with_probe)
        if not with_probe:
            return None
        total, *others = self.sums
        for part in others:
            total += part
        return total

    def visit(self, groups: list[np.ndarray], with_probe: bool) -> None:
        """Groups one after the other; what does not depend on the object is done for all of them before and after."""
        backend, incident, window = self.problem.backend, self.incident, self.step.shape
        run = np.concatenate(groups)
        where = self.where.part(run)
        waves = backend.xp.empty((len(run), self.modes, *window), self.dtype)
        measured = backend.xp.empty((len(run), *window), self.step.dtype)
        losses: list[Any] = [0.0] * len(run)

        def look(places: Any, _: None) -> None:
            own = slice(places[0], places[-1] + 1)
            waves[own] = incident.waves(backend, run[own])
            if self.slab is not None:
                self.model.detector.apply_shift_ramp(backend, waves[own], where.part(own).shifts)
            measured[own] = backend.amplitudes(self.problem.patterns, self.batch[run[own]], measured.dtype)

        def correct(own: slice) -> None:
            here, loss = where.part(own), self.problem.loss
            losses[own.start] = self.model.correct(
                backend, self.object, self.slab, waves[own], here, measured[own], loss, self.step
            )

        def gather(places: Any, sums: _Sums) -> None:
            own = slice(places[0], places[-1] + 1)
            if self.slab is not None:
                self.model.detector.apply_shift_ramp(backend, waves[own], where.part(own).shifts, -1)
            incident.collect(backend, run[own], waves[own], sums.waves)
            sums.passed += len(run[own]) if self.even else measured[own].sum(0)

        chunks = backend.chunks(np.arange(len(run)), incident.nbytes)
        backend.map_reduce(look, chunks, lambda: None)
        backend.map_ordered(correct, [len(group) for group in groups], clashes(where.corners, window))
        self.loss += float(sum(losses))
        if with_probe:
            self.sums = backend.map_reduce(
                gather, chunks, lambda: _Sums(incident.zeros(backend), backend.xp.zeros_like(self.step)), self.sums
            )
