"""Least squares for maximum likelihood: every position says how far the batch should go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, Backend, Loss
from ptywidgets.engine.core.state import State
from ptywidgets.engine.losses.losses import AmplitudeLoss
from ptywidgets.engine.models.gradients import WindowGradients
from ptywidgets.engine.problem.problem import Problem

KEPT_BYTES = 400_000_000  # of windows that a batch may keep for its second look; larger ones are computed again
RIDGE = 0.05  # of a position's mean curvature: one that sees nothing asks for no step
FREE = 3.0  # roots of counts that every pixel may ask for: six times what counting leaves uncertain
TRIMMED = 0.1  # share of the positions at either end whose steps are cut to the others'


@dataclass(frozen=True)
class LSQML(Params):
    """A batch shares two directions, and each of its positions finds its best step along them by least squares.

    With chi_j the correction that the pattern of position j asks of its exit wave, the directions are

        dO = sum_j conj(P_j) chi_j / (W + damping max W),    dP = sum_j conj(O_j) chi_j / (w + damping max w)

    (for a potential, t = exp(iV), dV = sum Im(conj(P_j t_j) chi_j) / (...), and dO = i t dV), with W the illumination
    and w the coverage of the batch. Position j wants the steps a, b that minimise |chi_j - a P_j dO_j - b dP_j O_j|^2,
    two equations. The object moves by the mean of a, weighted by each position's light in the pixel, the probe by the
    mean of b, both with the extremes cut; M. Odstrcil, A. Menzel and M. Guizar-Sicairos, Opt. Express 26, 3108 (2018).

    Chi is the residual wave, for losses other than that of amplitudes times the best common step of the pattern, as
    there. Batches (`Plan.batch`) should light the object evenly; small ones are fast at first and amplify noise.

    `momentum` is the accelerated variant, after every iteration: v <- (1 - f) v + u, with u the iteration's way, and
    object and probe go on by momentum x v. The friction f is half of how fast successive ways lose their likeness,
    f = -log(correlation) / 2. Where the loss has risen or ways are opposed, v is forgotten.
    """

    object_step: float = param(0.7, low=0.001, high=2, step=0.01, doc="Share of the object's best step.")
    probe_step: float = param(0.7, low=0, high=2, step=0.01, doc="Share of the probe's best step.")
    damping: float = param(
        0.1, low=1e-4, high=1, log=True, doc="Of the most: what poorly illuminated pixels are divided by."
    )
    momentum: float = param(0.0, low=0, high=1, step=0.05, doc="How far to go on along the last iterations' way.")
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")

    def advance(self, problem: Problem, state: State, batch: Any) -> State:
        """The state after one batch."""
        with_probe = not self.hold_probe and state.iteration >= self.probe_from and self.probe_step > 0
        look = _Look(problem, state, np.asarray(batch), with_probe)
        first = look.directions(self.damping)
        if "object" in problem.held:
            first.object *= 0
        wanted = look.steps(first)
        changes = {"object": state.object + np.float32(self.object_step) * first.object * look.spread(wanted[:, 0])}
        if with_probe:
            length = np.float32(self.probe_step * _trimmed(wanted[:, 1]).mean())
            changes["probe"] = state.probe + length * first.probe
        after = state.replace(partial_loss=state.partial_loss + first.loss, **changes)
        return after if self.momentum == 0 else self._accelerated(problem, state, after, len(look.batch))

    def _accelerated(self, problem: Problem, before: State, after: State, batch: int) -> State:
        """After an iteration's last batch, go on along the way of this and of earlier ones."""
        old = {
            name: before.recall(self, name) for name in ("seen", "loss", *(f"{w} {k}" for w in _BOTH for k in _KEPT))
        }
        if before.batch == 0 or old["seen"] is None or _other_shape(old, before):
            old |= {"seen": 0.0} | {f"{what} start": getattr(before, what) for what in _BOTH}
        if _other_shape(old, before):
            old |= {f"{what} {name}": None for what in _BOTH for name in ("way", "velocity")}
        seen = float(old["seen"]) + batch
        if seen < problem.count:
            return after.remember(self, **(old | {"seen": np.float64(seen)}))
        falls = old["loss"] is None or after.partial_loss < float(old["loss"])
        keep: dict[str, Any] = {"loss": np.float64(after.partial_loss)}
        changes = {}
        for what in _BOTH:
            way = getattr(after, what) - old[f"{what} start"]
            keep[f"{what} way"] = keep[f"{what} velocity"] = way
            likeness = _likeness(way, old[f"{what} way"])
            if falls and likeness > 0:
                friction = min(1.0, -np.log(likeness) / 2)
                velocity = np.float32(1 - friction) * old[f"{what} velocity"] + way
                keep[f"{what} velocity"] = velocity
                changes[what] = getattr(after, what) + np.float32(self.momentum) * velocity
        return after.replace(**changes).remember(self, **keep)


_BOTH = ("object", "probe")
_KEPT = ("start", "way", "velocity")


def _other_shape(old: dict[str, Any], state: State) -> bool:
    """Whether what was kept is of an object or a probe of another shape."""
    kept = [(array, what) for what in _BOTH for name in _KEPT if (array := old[f"{what} {name}"]) is not None]
    return any(array.shape != getattr(state, what).shape for array, what in kept)


def _likeness(one: Array, two: Array | None) -> float:
    """Correlation of two ways, at most 1; 0 where there is none."""
    if two is None:
        return 0.0
    product, first, second = (float(_dots(a[None], b[None])[0]) for a, b in ((one, two), (one, one), (two, two)))
    return min(1.0, product / np.sqrt(first * second)) if first * second > 0 else 0.0


def _trimmed(steps: np.ndarray) -> np.ndarray:
    """Steps with the extremes cut to what the others ask for."""
    return steps.clip(*np.quantile(steps, (TRIMMED, 1 - TRIMMED)))


def _dots(one: Array, two: Array) -> Array:
    """Re <one, two> (B,) over all axes but the first, along which one of them may have one entry for all."""
    rows = [array.reshape(len(array), -1) for array in (one, two)]
    first, second = (row.view(row.real.dtype) for row in rows)
    return (first[:, None, :] @ second[:, :, None])[:, 0, 0]


@dataclass
class _Sums:
    """What a worker adds up in the first look, and after it the batch's directions."""

    object: Array  # (S, Y, X), as the object
    illumination: Array  # (1, Y, X) float
    probe: Array  # what the incident waves collect; then (M, Ny, Nx), corner-centred
    coverage: Array  # (Ny, Nx) float
    loss: Any = 0.0

    def __iadd__(self, other: _Sums) -> _Sums:
        for name in ("object", "illumination", "probe", "coverage", "loss"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


class _Look:
    """A batch, looked at twice: for its directions, and for the steps that its positions want."""

    def __init__(self, problem: Problem, state: State, batch: np.ndarray, with_probe: bool) -> None:
        self.problem, self.state, self.batch, self.with_probe = problem, state, batch, with_probe
        self.backend, xp = problem.backend, problem.backend.xp
        self.where = problem.geometry(state.positions).at(self.backend, batch)
        self.model = problem.model_at(state)
        self.incident = self.model.incident(self.backend, state.probe, self.where.fractions)
        self.light = xp.fft.fftshift((state.probe.real**2 + state.probe.imag**2).sum(0))
        self.loss: Any = problem.loss if isinstance(problem.loss, AmplitudeLoss) else _WholeStep(problem.loss, problem)
        if self.model.response is not None:
            problem.curvature_bound  # noqa: B018  # found now: it asks all positions, which no chunk's task can
        self.chunks = self.backend.chunks(np.arange(len(batch)), self.incident.nbytes)
        window = state.object[:, : self.light.shape[0], : self.light.shape[1]]
        self.keep = len(batch) * (window.nbytes + state.probe.nbytes + self.light.nbytes) <= KEPT_BYTES
        self.kept: dict[int, WindowGradients] = {}

    def directions(self, damping: float) -> _Sums:
        """The first look: the batch's loss, and its gradients over what its pixels saw."""
        backend, incident, state = self.backend, self.incident, self.state
        xp = backend.xp

        def task(places: Any, sums: _Sums) -> None:
            g = self.gradients(places, incident.waves(backend, places))
            corners = self.where.corners[places]
            sums.loss += g.loss
            backend.add_patches(sums.object, corners, g.object)
            backend.add_same_patch(sums.illumination[0], corners, self.light)
            if self.with_probe:
                sums.coverage += g.passed.sum(0)
                incident.collect(backend, places, g.waves, sums.probe)

        def make() -> _Sums:
            return _Sums(
                object=xp.zeros_like(state.object),
                illumination=xp.zeros((1, *state.object.shape[-2:]), self.light.dtype),
                probe=incident.zeros(backend),
                coverage=xp.zeros_like(self.light),
            )

        total, *others = backend.map_reduce(task, self.chunks, make)
        for part in others:
            total += part
        damping = np.float32(damping)
        total.loss = float(total.loss)
        total.object /= total.illumination + damping * total.illumination.max()
        self.illumination = total.illumination
        if self.with_probe:
            coverage = xp.fft.ifftshift(total.coverage)
            total.probe = incident.adjoint(backend, total.probe) / (coverage + damping * coverage.max())
        return total

    def steps(self, directions: _Sums) -> np.ndarray:
        """The second look: the best steps (B, 2) of each position along the object's and the probe's direction."""
        backend, model = self.backend, self.model
        slab = model.slab(backend, self.state.object)
        transmission = slab.transmission
        by_object = slab.tangent(backend, model.specimen, directions.object)
        moved = model.incident(backend, directions.probe, self.where.fractions) if self.with_probe else None
        known = 2 if self.with_probe else 1
        matrix, right = np.zeros((len(self.batch), known, known)), np.zeros((len(self.batch), known))

        def task(places: Any, _: None) -> None:
            corners = self.where.corners[places]
            waves = self.incident.waves(backend, places).copy()
            g = self.gradients(places, waves)
            asked = [_dots(backend.extract_patches(directions.object, corners, self.light.shape), g.object)]
            changes = []
            if moved is not None:
                by_waves = moved.waves(backend, places).copy()
                asked.append(_dots(by_waves, g.waves))
                changes = [model.through.tangent(backend, waves, transmission, corners, by_waves, None).copy()]
            changes.insert(0, model.through.tangent(backend, waves, transmission, corners, None, by_object))
            for a, one in enumerate(changes):
                right[places, a] = backend.to_numpy(asked[a])
                for b, two in enumerate(changes[: a + 1]):
                    matrix[places, a, b] = matrix[places, b, a] = backend.to_numpy(_dots(one, two))

        backend.map_reduce(task, self.chunks, lambda: None)
        mean = np.einsum("jaa->a", matrix) / len(matrix)
        matrix += np.diag(RIDGE * mean + np.finfo(np.float32).tiny)
        return np.linalg.solve(matrix, right[..., None])[..., 0]

    def gradients(self, places: Any, waves: Array) -> WindowGradients:
        """Of each position of a chunk; from the first look where there is room to keep them."""
        first = int(places[0])
        if first in self.kept:
            return self.kept.pop(first)
        problem, backend = self.problem, self.backend
        measured = backend.amplitudes(problem.patterns, self.batch[places], self.light.dtype)
        here = self.where.part(places)
        g = self.model.window_gradients(backend, self.state.object, waves, here, measured, self.loss)
        if self.keep:
            self.kept[first] = WindowGradients(g.loss, g.object.copy(), g.waves.copy(), g.passed)
        return g

    def spread(self, steps: np.ndarray) -> Array:
        """The object's step in every pixel (1, Y, X): the mean of positions' steps by the light they put there."""
        xp = self.backend.xp
        weighted = xp.zeros_like(self.illumination)
        steps = self.backend.to_device(_trimmed(steps), self.light.dtype)
        for places in self.chunks:
            self.backend.add_patches(
                weighted, self.where.corners[places], steps[places][:, None, None, None] * self.light[None, None]
            )
        return weighted / (self.illumination + np.float32(1e-6) * self.illumination.max())


@dataclass(frozen=True)
class _WholeStep:
    """A loss whose residual waves are as long as the way down, as they are for the amplitude loss by themselves.

    They are divided by how much the loss bends: one number for a pattern, so that pixels keep their weights. No pixel
    that is too dark asks for more than its way to where it matches, or :data:`FREE` where that is shorter, times how
    much the loss bends there: the Poisson loss, which has no bottom in the dark, would else follow the darkest pixels
    alone. What counting makes of a pixel mostly stays below that: a mean of 0.05 counts is met to 2 %.
    """

    loss: Loss
    problem: Problem

    def value(self, intensity: Array, amplitude: Array) -> Array:
        """Loss of each pixel."""
        return self.loss.value(intensity, amplitude)

    def derivative(self, intensity: Array, amplitude: Array) -> Array:
        """Where a detector mixes pixels there is no length of one's own: the derivative over the curvature bound."""
        return self.loss.derivative(intensity, amplitude) / np.float32(self.problem.curvature_bound)

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]:
        """Loss and residual waves, in the memory of `far`."""
        xp = backend.xp
        intensity = xp.maximum((far.real**2 + far.imag**2).sum(1), np.finfo(far.real.dtype).tiny)
        counts = amplitudes * amplitudes
        curvature = self.loss.curvature(counts, amplitudes) / 2
        modulus = xp.sqrt(intensity)
        way = xp.maximum(amplitudes - modulus, np.float32(FREE)) / modulus * curvature
        bright = intensity > counts
        curvature = xp.where(bright, xp.maximum(curvature, self.loss.curvature(intensity, amplitudes) / 2), curvature)
        asked = -self.loss.derivative(intensity, amplitudes)
        value, chi = self.loss.residual(backend, far, amplitudes)
        chi *= xp.where(bright | (asked <= way), 1, way / xp.where(asked > way, asked, 1))[:, None].astype(asked.dtype)
        square = (chi.real**2 + chi.imag**2).sum(1)
        length = square.sum((1, 2)) / ((curvature * square).sum((1, 2)) + np.finfo(square.dtype).tiny)
        chi *= length[:, None, None, None]
        return value, chi
