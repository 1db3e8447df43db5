"""The composed model: forward through its parts, back through their adjoints, in cache-sized chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import (
    Array,
    Backend,
    DetectorModel,
    ExitWaveModel,
    GridChange,
    Loss,
    ModelBrick,
    Response,
    Specimen,
)
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses.losses import hessian_rows
from ptywidgets.engine.models.batch import batch_gradients
from ptywidgets.engine.models.geometry import Geometry, Where
from ptywidgets.engine.models.gradients import Gradients, WindowGradients
from ptywidgets.engine.models.incident import Incident
from ptywidgets.engine.models.parts.ensemble import PartialCoherence
from ptywidgets.engine.models.parts.object_modes import Configurations, ObjectModes
from ptywidgets.engine.models.parts.scattering import Background, Diffuse
from ptywidgets.engine.models.parts.slab import Slab

__all__ = ["DetectorWaves", "Geometry", "Gradients", "Model", "Where", "WindowGradients"]


@dataclass(frozen=True)
class DetectorWaves:
    """A chunk in the detector plane."""

    waves: Array  # (B, M, Ny, Nx)
    added: Array | None  # (B, Ny, Nx) intensity besides the waves', or None
    diffuse_counts: Array | None  # (B, C) electrons that each diffuse channel got
    tape: Any  # for the adjoint of the exit wave


@dataclass(frozen=True)
class Model:
    """specimen x exit wave x ensemble x detector, and what is added to the waves' intensities.

    Waves are held in the middle of their window while they are worked on: a window then is one contiguous block of the
    object, and the far field differs from that of a corner-centred wave only by a phase that no intensity sees. The
    probe's leading axis is M modes that add incoherently; the `ensemble` makes more of them, the same for every mode.
    """

    specimen: Specimen
    exit_wave: ExitWaveModel
    detector: DetectorModel
    ensemble: PartialCoherence | None = None
    diffuse: Diffuse | None = None
    background: Background | None = None
    response: Response | None = None
    object_modes: ObjectModes | None = None

    def __repr__(self) -> str:
        parts = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) is not None]
        return f"Model({', '.join(parts)})"

    def bind(self, parameters: Mapping[str, Any]) -> Model:
        """The model with a state's parameters in the place of those it was made with.

        Arrays go to the bricks that asked for them; a number goes to the part that has a field of its name, as
        ``exit_wave.tilt`` does.
        """
        model = self
        for part in ("diffuse", "background", "object_modes"):
            brick = getattr(self, part)
            if brick is not None:
                model = replace(model, **{part: brick.bind(parameters)})
        for name, value in parameters.items():
            part, _, attribute = name.partition(".")
            if attribute:
                plain = tuple(np.ravel(value).tolist()) if np.ndim(value) else float(value)
                model = replace(model, **{part: replace(getattr(model, part), **{attribute: plain})})
        return model

    def first_parameters(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, Any]:
        """Parameters at the start besides object, probe and positions, for an object (S, Y, X)."""
        return _joined(brick.first(shape, window) for brick in self.bricks)

    @property
    def bricks(self) -> tuple[ModelBrick, ...]:
        """The parts that have arrays of their own to find."""
        return tuple(brick for brick in (self.diffuse, self.background, self.object_modes) if brick is not None)

    def resampled(self, parameters: Mapping[str, Any], change: GridChange) -> dict[str, Any]:
        """What a state has found, in host memory, on another grid of as many slices."""
        return dict(parameters) | _joined(brick.resampled(parameters, change) for brick in self.bricks)

    def in_slices(self, parameters: Mapping[str, Any], shares: np.ndarray) -> dict[str, Any]:
        """The same where slices are shared out anew, (S', S) of each old one in each new one."""
        return dict(parameters) | _joined(brick.in_slices(parameters, shares) for brick in self.bricks)

    def dimmed(self, parameters: Mapping[str, Any], share: Any) -> dict[str, Any]:
        """What a state has found, for a share of all counts."""
        return dict(parameters) | _joined(brick.dimmed(parameters, share) for brick in self.bricks)

    @property
    def through(self) -> ExitWaveModel | Configurations:
        """The exit wave behind all that there is of the specimen: through each of its states."""
        return self.exit_wave if self.object_modes is None else Configurations(self.exit_wave, self.object_modes.count)

    def placed(self, geometry: Geometry) -> Geometry:
        """Where positions lie, with the shifts that their patterns have on this model's detector."""
        return replace(geometry, shifts=geometry.fractions) if self.detector.follows_window else geometry

    def incident(self, backend: Backend, probe: Array, fractions: Array | None, exact: bool = False) -> Incident:
        """What meets the specimen at each position of a batch, of a probe (M, Ny, Nx), corner-centred."""
        return Incident.prepare(backend, probe, self.ensemble, fractions, exact)

    def slab(
        self, backend: Backend, obj: Array, tds_strength: Array | None = None, phases: Array | None = None
    ) -> Slab:
        """What the waves go through, of an object (S, Y, X), or of windows (B, S, Ny, Nx) with their own `tds_strength`
        and `phases` of object modes."""
        if tds_strength is None and self.diffuse is not None:
            tds_strength = self.diffuse.tds_strength
        if phases is None and self.object_modes is not None:
            phases = self.object_modes.phases
            if phases is None:
                phases = backend.xp.zeros((self.object_modes.count, *obj.shape), obj.real.dtype)
        return Slab.prepare(backend, self.specimen, obj, self.diffuse, tds_strength, phases)

    def propagate_to_detector(self, backend: Backend, waves: Array, slab: Slab, where: Where) -> DetectorWaves:
        """A chunk's incident waves, carried to the detector plane."""
        diffuse_counts = watch = None
        if slab.emission is not None:
            diffuse_counts, watch = slab.watch(backend, where.corners, len(where.corners))
        exits, tape = self.through.forward(backend, waves, slab.transmission, where.corners, watch)
        far = self.detector.propagate(backend, exits, where.shifts)
        added = None
        if diffuse_counts is not None:
            shapes = self.diffuse.patterns(backend, far.shape[-2:], far.real.dtype)  # type: ignore[union-attr]  # without it nothing is given off
            added = (diffuse_counts @ shapes.reshape(len(shapes), -1)).reshape(len(far), *far.shape[-2:])
        if self.background is not None and self.background.pattern is not None:
            pattern = backend.to_device(self.background.pattern, far.real.dtype)
            added = pattern[None].repeat(len(far), 0) if added is None else added + pattern
        return DetectorWaves(far, added, diffuse_counts, tape)

    def expected(self, backend: Backend, far: DetectorWaves) -> Array:
        """Counts that are expected of a chunk: (B, Ny, Nx), or what the response makes of them."""
        intensity = (far.waves.real**2 + far.waves.imag**2).sum(1)
        if far.added is not None:
            intensity += far.added
        if self.response is None:
            return intensity
        mixed = self.response.expect(backend, intensity)
        # What rounding leaves of a dark pixel may be below nothing, and a loss would ask the world of its neighbours.
        return backend.xp.maximum(mixed, np.float32(1e-6) * mixed.max((-2, -1), keepdims=True))

    def residual(
        self, backend: Backend, far: DetectorWaves, amplitudes: Array, loss: Loss
    ) -> tuple[Any, Array, Array | None]:
        """Loss, residual waves (B, M, Ny, Nx) in the memory of the far field, and the loss's derivative (B, Ny, Nx) by
        the intensity where something is added to it, else None.

        What is added takes part as one more wave, of the root of its intensity: it has no phase, but the same formula.
        """
        xp = backend.xp
        waves = far.waves
        if self.response is not None:
            expected = self.expected(backend, far)
            derivative = self.response.adjoint(backend, loss.derivative(expected, amplitudes))
            waves *= -derivative[:, None]
            return loss.value(expected, amplitudes).sum(dtype=np.float64), waves, derivative
        if far.added is None:
            value, waves = loss.residual(backend, waves, amplitudes)
            return value, waves, None
        both = backend.empty("waves and more", (len(waves), waves.shape[1] + 1, *waves.shape[2:]), waves.dtype)
        root = xp.sqrt(xp.maximum(far.added, np.float32(1e-12)))
        both[:, :-1] = waves
        both[:, -1] = root
        value, both = loss.residual(backend, both, amplitudes)
        waves[...] = both[:, :-1]
        return value, waves, -both[:, -1].real / root

    def back(
        self,
        backend: Backend,
        residual: Array,
        derivative: Array | None,
        far: DetectorWaves,
        slab: Slab,
        where: Where,
        gradient: Array,
        emission: tuple[Array, Array] | None = None,
        seen: Array | None = None,
    ) -> Array:
        """Gradient by the incident waves (B, M, Ny, Nx); that by the transmission is added to `gradient`, and those
        by the emission (C, S, Y, X) and their weights, which count what is `seen` (B, Ny, Nx), to the two arrays of
        `emission`."""
        exits = self.detector.propagate_adjoint(backend, residual, where.shifts)
        sources = None
        if slab.emission is not None:
            by = self.by_diffuse_counts(backend, derivative)
            weights = self.by_diffuse_counts(backend, seen) if emission is not None else None
            sources = slab.sources(backend, where.corners, by, weights, emission)
        return self.through.adjoint(backend, exits, slab.transmission, where.corners, far.tape, gradient, sources)

    def hessian_block(
        self, backend: Backend, far: DetectorWaves, tangents: Array, amplitudes: Array, loss: Loss
    ) -> Any:
        """Second derivatives (K, K) of the loss along `tangents` of the waves, as :meth:`Backend.hessian_block`.

        What is added to the intensities is taken to stay; it changes with the square of a wave's amplitude in the
        specimen, which hardly moves.
        """
        xp = backend.xp
        if self.response is not None:
            return self._hessian_of_expected(backend, far, tangents, amplitudes, loss)
        if far.added is None:
            return backend.hessian_block(far.waves, tangents, amplitudes, loss)
        root = xp.sqrt(far.added)[:, None].astype(tangents.dtype)
        both = xp.concatenate([far.waves, root], axis=1)
        none = xp.zeros((len(tangents), *root.shape), root.dtype)
        return backend.hessian_block(both, xp.concatenate([tangents, none], axis=2), amplitudes, loss)

    def _hessian_of_expected(
        self, backend: Backend, far: DetectorWaves, tangents: Array, amplitudes: Array, loss: Loss
    ) -> Any:
        """The Hessian where the detector mixes pixels: intensities and their changes go through its response first."""
        response = self.response
        assert response is not None

        def mixed(one: Array, two: Array) -> Array:
            return response.expect(backend, (one.real * two.real + one.imag * two.imag).sum(1))

        rows = hessian_rows(loss, self.expected(backend, far), amplitudes, far.waves, tangents, mixed)
        return np.array([[float(value) for value in row] for row in rows])

    def by_diffuse_counts(self, backend: Backend, derivative: Array | None) -> Array:
        """Derivative (B, C) of the loss by the electrons that each channel gets."""
        assert derivative is not None and self.diffuse is not None  # whatever gives off electrons adds to the intensity
        shapes = self.diffuse.patterns(backend, derivative.shape[-2:], derivative.dtype)
        return derivative.reshape(len(derivative), -1) @ shapes.reshape(len(shapes), -1).T

    def intensities(self, backend: Backend, obj: Array, probe: Array, geometry: Geometry, batch: Any) -> np.ndarray:
        """Modelled patterns (B, Ny, Nx), corner-centred, on the host: the forward model on its own, always exact."""
        out: list[Any] = [None] * len(np.asarray(batch))

        def look(places: Any, far: DetectorWaves, _: None) -> None:
            for place, pattern in zip(places, backend.to_numpy(self.expected(backend, far)), strict=True):
                out[place] = pattern

        self._look(backend, obj, probe, self.placed(geometry).at(backend, batch), look, lambda: None, exact=True)
        return np.array(out)

    def value(
        self,
        backend: Backend,
        obj: Array,
        probe: Array,
        geometry: Geometry,
        patterns: Patterns,
        batch: Any,
        loss: Loss,
    ) -> float:
        """Loss over a batch of positions, without gradients."""
        batch = np.asarray(batch)

        def look(places: Any, far: DetectorWaves, total: list[Any]) -> None:
            measured = backend.amplitudes(patterns, batch[places], probe.real.dtype)
            total[0] += self.residual(backend, far, measured, loss)[0]

        totals = self._look(backend, obj, probe, self.placed(geometry).at(backend, batch), look, lambda: [0.0])
        return sum(float(total[0]) for total in totals)

    def _look(
        self,
        backend: Backend,
        obj: Array,
        probe: Array,
        where: Where,
        look: Callable[[Any, DetectorWaves, Any], None],
        make: Callable[[], Any],
        exact: bool = False,
    ) -> list[Any]:
        """Show the far field of every chunk of the positions to `look(places, far, what a worker makes)`."""
        incident = self.incident(backend, probe, where.fractions, exact)
        slab = self.slab(backend, obj)

        def task(places: Any, made: Any) -> None:
            look(
                places,
                self.propagate_to_detector(backend, incident.waves(backend, places), slab, where.part(places)),
                made,
            )

        return backend.map_reduce(task, backend.chunks(np.arange(len(where.corners)), incident.nbytes), make)

    def passed(self, xp: Any, slab: Slab, axis: int) -> Array:
        """|t|^2 through all slices, which are the axis `axis` of the transmission."""
        transmission = slab.one()
        if self.specimen.lossless and slab.absorption is None:
            shape = transmission.shape[:axis] + transmission.shape[axis + 1 :]
            return xp.ones(shape, transmission.real.dtype)
        intensity = transmission.real**2
        intensity += transmission.imag**2
        return intensity.prod(axis) if intensity.shape[axis] > 1 else intensity.squeeze(axis)

    def window_gradients(
        self, backend: Backend, obj: Array, waves: Array, where: Where, amplitudes: Array, loss: Loss
    ) -> WindowGradients:
        """Loss and gradients of a chunk, one position at a time, for rules that weigh positions by themselves.

        The windows of the object are stood on top of each other and taken for one tall object that no two positions
        share, so that specimen, exit wave and detector work on them as they do on the whole.
        """
        window = waves.shape[-2:]
        patches = backend.extract_patches(obj, where.corners, window)
        count = len(patches)
        tds_strength = phases = None
        if self.diffuse is not None and self.diffuse.tds_strength is not None:
            patches = patches.copy()  # the next patches take the same memory
            tds_strength = _windows(backend, self.diffuse.tds_strength, where.corners, window).swapaxes(0, 1)
        if self.object_modes is not None:
            patches = patches.copy()
            known = self.object_modes.phases
            shape = (count, self.object_modes.count, *patches.shape[1:])
            phases = (
                backend.xp.zeros(shape, patches.real.dtype)
                if known is None
                else _windows(backend, known, where.corners, window)
            )
        slab = self.slab(backend, patches, tds_strength, phases)
        tall = slab.tall(backend.xp)
        corners = np.stack([np.arange(count) * window[0], np.zeros(count, int)], axis=1)
        here = Where(corners, None, where.shifts)
        far = self.propagate_to_detector(backend, waves, tall, here)
        value, residual, derivative = self.residual(backend, far, amplitudes, loss)
        gradient = backend.empty("windows", tall.transmission.shape, tall.transmission.dtype)
        gradient[...] = 0
        by_waves = self.back(backend, residual, derivative, far, tall, here, gradient)
        by_windows = gradient.reshape(-1, count, *window).swapaxes(0, 1)
        return WindowGradients(
            loss=value,
            object=slab.adjoint(backend, self.specimen, by_windows),
            waves=by_waves,
            passed=self.passed(backend.xp, slab, 1),
        )

    def correct(
        self,
        backend: Backend,
        obj: Array,
        slab: Slab | None,
        waves: Array,
        where: Where,
        amplitudes: Array,
        loss: Loss,
        step: Array,
    ) -> Any:
        """Loss of a chunk whose windows share no pixel; each window of the object goes `step` (Ny, Nx) along its
        gradient, in place.

        The incident `waves` become their gradients, and `amplitudes` |t|^2 through all slices, or anything where that
        is 1 everywhere. With a `slab`, which :meth:`plain` gives, waves go through the whole object's transmission,
        which is kept up to date; else through each window's own.
        """
        if slab is None:
            g = self.window_gradients(backend, obj, waves, where, amplitudes, loss)
            change = g.object
            change *= step
            backend.add_patches(obj, where.corners, change)
            waves[...] = g.waves
            amplitudes[...] = g.passed
            return g.loss
        shifts = where.shifts if self.detector.follows_window else None  # else the waves have leaned already
        far = self.propagate_to_detector(backend, waves, slab, Where(where.corners, None, shifts))
        value, residual, _ = self.residual(backend, far, amplitudes, loss)
        exits = self.detector.propagate_adjoint(backend, residual, shifts)
        self.specimen.correct(backend, obj, slab.transmission, where.corners, waves, exits, step, amplitudes)
        return value

    def plain(self, backend: Backend, obj: Array) -> Slab | None:
        """What waves go through where that is one slice of the specimen and nothing besides, else None."""
        if self.exit_wave.slices > 1 or self.diffuse is not None or self.object_modes is not None:
            return None
        return self.slab(backend, obj)

    def gradients(
        self,
        backend: Backend,
        obj: Array,
        probe: Array,
        geometry: Geometry,
        patterns: Patterns,
        batch: Any,
        loss: Loss,
        *,
        with_probe: bool = True,
        with_others: bool = False,
    ) -> Gradients:
        """Loss and gradients over the positions of `batch`; `patterns` are all measured ones, on the device."""
        return batch_gradients(
            self, backend, obj, probe, geometry, patterns, batch, loss, with_probe=with_probe, with_others=with_others
        )


def _windows(backend: Backend, maps: Array, corners: Any, window: tuple[int, int]) -> Array:
    """Windows (B, N, S, Ny, Nx) of N maps (N, S, Y, X), in memory of their own."""
    flat = backend.extract_patches(
        backend.xp.ascontiguousarray(maps).reshape(-1, *maps.shape[2:]), corners, window
    ).copy()
    return flat.reshape(len(flat), len(maps), -1, *window)


def _joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What several bricks say, in one."""
    return {name: value for part in parts for name, value in part.items()}
