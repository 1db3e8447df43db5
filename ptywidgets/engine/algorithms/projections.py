"""Projections: exit waves are moved between what was measured and what one object and one probe can make."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.losses.losses import AmplitudeLoss
from ptywidgets.engine.problem.problem import Problem


@dataclass(frozen=True)
class Projections(Params):
    """Difference map, RAAR, RRR and charge flipping as one: a rescue where the probe is far off, not for a last digit.

    With psi the exit waves of all positions, Pi_O psi the nearest that one object and one probe make, and Pi_F psi the
    nearest with the counts that were measured (where psi may be rounding only, it only gets nearer: AmplitudeLoss),

        psi <- (1 - a - b) psi + a Pi_O psi + b Pi_F[ c Pi_O psi + (1 - c) psi ].

    Three numbers name the method: :func:`difference_map`, :func:`raar`, :func:`rrr`, :func:`charge_flipping`. V. Elser,
    J. Opt. Soc. Am. A 20, 40 (2003); P. Thibault et al., Science 321, 379 (2008); D. R. Luke, Inverse Probl. 21, 37
    (2005).

    Pi_F is the same for every loss, since each is least where the counts are met; the loss says only how the error is
    told. What a mask leaves out stays as modelled. Pi_O is found by turns, `overlaps` times: the object for the present
    probe, O += sum_j conj(P_j) r_j / (W + damping max W) with r_j = psi_j - P_j O and the exactly shifted P_j and
    W = sum_j |P_j|^2 (a potential turns by the whole phase of that, not by its first order), then the probe for this
    object, with the exact adjoint of its shifts. Thin specimens get there at once; thick ones come nearer by one step
    through all slices. Object and probe move when all positions have been seen, whatever `Plan.batch` is, which says
    only how soon a run can be stopped. The exit waves are kept, twice: J M Ny Nx 16 bytes, and a DataError says so
    where they do not fit. Noise keeps reflections from settling, so hand over to another algorithm when the error no
    longer falls.

    Examples
    --------
    >>> from ptywidgets.engine import ConjugateGradient, Plan, iterate
    >>> from ptywidgets.testing import example_problem
    >>> plan = Plan(iterations=8, algorithm=raar(0.8), constraints=())
    >>> *_, state = iterate(example_problem(), plan)
    >>> *_, state = iterate(example_problem(), plan.replace(iterations=12, algorithm=ConjugateGradient()), state)
    >>> state.losses[-1] < 0.5 * state.losses[0]
    True
    """

    a: float = param(-0.8, low=-2, high=2, step=0.05, doc="Weight of the waves that object and probe make.")
    b: float = param(0.9, low=0, high=2, step=0.05, doc="Weight of the waves that have the measured counts.")
    c: float = param(2.0, low=0, high=3, step=0.05, doc="How far object and probe go into those; 2: a reflection.")
    overlaps: int = param(2, low=1, high=20, doc="How often object and probe are found in turn, every time.")
    damping: float = param(
        0.01, low=1e-6, high=1, log=True, doc="Of the most: what poorly illuminated pixels are divided by."
    )
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")

    def advance(self, problem: Problem, state: State, batch: Any) -> State:
        """The state with a batch's exit waves moved; with object and probe found anew when it was the last one."""
        batch = np.asarray(batch)
        present, future, seen = self._waves(problem, state)
        corners = problem.geometry(state.positions).corners
        kept = state.recall(self, "corners")
        same = np.zeros(problem.count, bool) if kept is None else (np.asarray(kept) == corners).all(1)
        loss = self._move(problem, state, batch, present, future, same)
        state = state.replace(partial_loss=state.partial_loss + loss)
        seen += len(batch)
        if seen < problem.count:
            return state.remember(self, waves=present, moved=future, corners=kept, seen=np.int64(seen))
        obj, probe = self._overlap(problem, state, future)
        return state.replace(object=obj, probe=probe).remember(self, waves=future, corners=corners)

    def _waves(self, problem: Problem, state: State) -> tuple[Array | None, Array, int]:
        """Exit waves (J, M, Ny, Nx) of the last iteration, if any; those of this one; how many of them are done.

        Those of this iteration are filled in place, position by position: a state in the middle of an iteration knows
        how many it may rely on, and what comes after would be the same again.
        """
        model, backend = problem.model_at(state), problem.backend
        one = model.incident(backend, state.probe, None).nbytes // (int(np.prod(problem.window)) * state.probe.itemsize)
        states = 1 if model.object_modes is None else model.object_modes.count
        shape = (problem.count, one * states, *problem.window)
        present, moved = state.recall(self, "waves"), state.recall(self, "moved")
        if present is not None and present.shape != shape:
            present = None
        if state.batch and moved is not None and moved.shape == shape:  # of this iteration, not of one given up
            return present, moved, int(state.recall(self, "seen"))
        if present is None:  # later ones take the place of those before them
            check_memory(
                2 * math.prod(shape) * state.probe.itemsize,
                f"{type(self).__name__}, which keeps {problem.count} x {shape[1]} exit waves of {shape[2]} x "
                f"{shape[3]} pixels twice,",
                "use PIE or ConjugateGradient, which keep none, or crop the scan or the patterns",
                backend,
            )
        return present, backend.xp.zeros(shape, state.probe.dtype), 0

    def _move(
        self, problem: Problem, state: State, batch: np.ndarray, present: Array | None, future: Array, same: np.ndarray
    ) -> float:
        """Fill a batch's places in `future`; returns the loss of what object and probe make.

        A position without a past, or whose window has moved, begins with what object and probe make.
        """
        backend, model = problem.backend, problem.model_at(state)
        where = problem.geometry(state.positions).at(backend, batch)
        incident, slab = model.incident(backend, state.probe, where.fractions), model.slab(backend, state.object)
        a, b, c = (np.float32(n) for n in (self.a, self.b, self.c))
        counts = AmplitudeLoss()

        def task(places: Any, total: list[Any]) -> None:
            here, which = where.part(places), batch[places]
            far = model.propagate_to_detector(backend, incident.waves(backend, places), slab, here)
            measured = backend.amplitudes(problem.patterns, which, far.waves.real.dtype)
            total[0] += problem.loss.value(model.expected(backend, far), measured).sum(dtype=np.float64)
            made = far.waves.copy()
            old = made
            if present is not None and same[which].any():
                old = model.detector.propagate(backend, present[which], here.shifts).copy()
                new = np.flatnonzero(~same[which])
                old[new] = made[new]
            mixed = c * made + (1 - c) * old
            _, change, _ = model.residual(backend, replace(far, waves=mixed.copy()), measured, counts)
            moved = (1 - a - b) * old + a * made + b * (mixed + change)
            future[which] = model.detector.propagate_adjoint(backend, moved, here.shifts)

        chunks = backend.chunks(np.arange(len(batch)), incident.nbytes)
        return float(sum(total[0] for total in backend.map_reduce(task, chunks, lambda: [0.0])))

    def _overlap(self, problem: Problem, state: State, waves: Array) -> tuple[Array, Array]:
        """Object and probe that make exit waves (J, M, Ny, Nx) nearest to these, from the present ones."""
        model = problem.model_at(state)
        for _ in range(self.overlaps):
            if "object" not in problem.held:
                state = state.replace(object=state.object + self._object_step(problem, model, state, waves))
            if self.hold_probe or state.iteration < self.probe_from:
                continue
            look = self._look(problem, state, waves, of_probe=True)
            state = state.replace(probe=state.probe + look.incident * self._over(look.seen))
        return state.object, state.probe

    def _object_step(self, problem: Problem, model: Any, state: State, waves: Array) -> Array:
        """How the object moves to come nearest to these exit waves with the present probe."""
        backend = problem.backend
        look = self._look(problem, state, waves, of_probe=False)
        slab = model.slab(backend, state.object)
        step = look.transmission * self._over(look.seen * np.float32(model.exit_wave.slices))
        if model.specimen.lossless and slab.turns is None:  # the phase of the mean, however far it is
            turned = slab.transmission.conj() * (slab.transmission + step)
            step = backend.xp.arctan2(turned.imag, turned.real)
        elif slab.absorption is not None or slab.turns is not None:
            step = slab.adjoint(backend, model.specimen, step)
        return step.astype(state.object.dtype)

    def _look(self, problem: Problem, state: State, waves: Array, of_probe: bool) -> _Look:
        """What the exit waves ask of the object, or of the probe, with how well each pixel of it is seen."""
        backend, model = problem.backend, problem.model_at(state)
        xp = backend.xp
        where = problem.geometry(state.positions).at(backend, np.arange(problem.count))
        incident, slab = model.incident(backend, state.probe, where.fractions), model.slab(backend, state.object)
        passed = model.passed(xp, slab, 0) if of_probe else None
        field = problem.window if of_probe else problem.object_shape[-2:]

        def sums() -> _Look:
            collected = incident.zeros(backend) if of_probe else None
            return _Look(xp.zeros_like(slab.transmission), collected, xp.zeros(field, state.probe.real.dtype))

        def task(places: Any, look: _Look) -> None:
            corners = where.corners[places]
            lit = incident.waves(backend, places)
            if passed is None:
                light = (lit.real**2 + lit.imag**2).sum(1)
                if len(light) < len(places):
                    backend.add_same_patch(look.seen, corners, light[0])
                else:
                    backend.add_patches(look.seen[None], corners, light[:, None])
            else:
                backend.sum_patches(passed, corners, look.seen)
            exits, tape = model.through.forward(backend, lit, slab.transmission, corners)
            rest = waves[places] - exits
            by_waves = model.through.adjoint(backend, rest, slab.transmission, corners, tape, look.transmission)
            if of_probe:
                incident.collect(backend, places, by_waves, look.incident)

        total, *others = backend.map_reduce(task, backend.chunks(np.arange(problem.count), incident.nbytes), sums)
        for other in others:
            total += other
        if of_probe:
            total.incident, total.seen = incident.adjoint(backend, total.incident), xp.fft.ifftshift(total.seen)
        return total

    def _over(self, seen: Array) -> Array:
        """One over how well pixels are seen."""
        return 1 / (seen + np.float32(self.damping) * seen.max())


@dataclass
class _Look:
    """What a worker adds up."""

    transmission: Array  # (S, Y, X) complex
    incident: Array | None  # what the incident waves collect
    seen: Array  # (Y, X) or (Ny, Nx) float

    def __iadd__(self, other: _Look) -> _Look:
        self.transmission += other.transmission
        self.seen += other.seen
        if self.incident is not None:
            self.incident += other.incident
        return self


def difference_map(alpha: float = 1.0, **options: Any) -> Projections:
    """Elser's difference map, or from it (alpha = 1) on to alternating projections (0): (-alpha, 1, 1 + alpha).

    Examples
    --------
    >>> difference_map().c, difference_map(alpha=0).a
    (2.0, 0.0)
    """
    return Projections(a=0.0 - _share("alpha", alpha, 1), b=1.0, c=1 + alpha, **options)


def raar(beta: float = 0.9, **options: Any) -> Projections:
    """Luke's relaxed averaged alternating reflections, (1 - 2 beta, beta, 2); beta = 0.9 is ``Projections()``.

    Towards 1 it gets out of worse starts, and leaves more noise.

    Examples
    --------
    >>> raar(0.5) == Projections(a=0.0, b=0.5, c=2.0)
    True
    """
    return Projections(a=1 - 2 * _share("beta", beta, 1), b=beta, c=2.0, **options)


def rrr(gamma: float = 0.5, **options: Any) -> Projections:
    """Elser's relax-reflect-reflect, a difference map of smaller steps: (-gamma, gamma, 2).

    Examples
    --------
    >>> rrr(1.0) == difference_map()
    True
    """
    return Projections(a=0.0 - _share("gamma", gamma, 2), b=gamma, c=2.0, **options)


def charge_flipping(**options: Any) -> Projections:
    """Oszlanyi and Suto's charge flipping, Acta Cryst. A 60, 134 (2004): (0, 1, 2). It wanders and does not settle.

    Examples
    --------
    >>> charge_flipping(hold_probe=True).a
    0.0
    """
    return Projections(a=0.0, b=1.0, c=2.0, **options)


def _share(name: str, value: float, most: float) -> float:
    if not 0 <= value <= most:
        raise ParameterError(f"{name} is {value!r}; expected a number between 0 and {most}.")
    return float(value)
