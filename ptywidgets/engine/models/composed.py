"""The composed model: forward through its parts, back through their adjoints, in cache-sized portions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.models.geometry import Geometry, Where
from ptywidgets.engine.models.shift import FourierShift, NoShift, choose_shift
from ptywidgets.engine.patterns import Patterns
from ptywidgets.engine.protocols import Array, Backend, DetectorModel, Loss, Passage, Specimen

__all__ = ["Geometry", "Gradients", "Model", "Where", "WindowGradients"]


@dataclass(frozen=True)
class Gradients:
    """What a batch says: the loss, the direction that lowers it, and how well each pixel was seen.

    With residual waves chi in the detector plane, `object` and `probe` are the sums of A^H chi, that is minus half the
    gradient of ``loss`` for the amplitude loss. `illumination` and `coverage` are the diagonals of the Gauss-Newton
    Hessian by the transmission and by the probe, with positions taken at whole pixels. All arrays are the caller's.
    """

    loss: float
    object: Array  # (S, Y, X) complex64 or float32, as the object
    probe: Array | None  # (M, Ny, Nx) complex64, corner-centred, or None when the probe is held
    illumination: Array  # (1, Y, X) float32, the same for every slice
    coverage: Array | None  # (Ny, Nx) float32, corner-centred as the probe, or None when the probe is held

    def __add__(self, other: Gradients) -> Gradients:
        """What two batches say together."""
        by_probe = None if self.probe is None or other.probe is None else self.probe + other.probe
        coverage = None if self.coverage is None or other.coverage is None else self.coverage + other.coverage
        seen = self.illumination + other.illumination
        return Gradients(self.loss + other.loss, self.object + other.object, by_probe, seen, coverage)


@dataclass(frozen=True)
class WindowGradients:
    """The same for each position of a portion by itself, on its window; in a worker's memory until its next portion."""

    loss: Any
    object: Array  # (B, S, Ny, Nx), as the object
    waves: Array  # (B, M, Ny, Nx) by the incident waves
    passed: Array  # (Ny, Nx) float, sum over the portion of |t|^2 through all slices


@dataclass
class _Sums:
    """Accumulators of one worker."""

    transmission: Array  # (S, Y, X) complex
    illumination: Array  # (Y, X) float
    waves: Array | None  # what the shift collects
    coverage: Array | None  # (Ny, Nx) float
    loss: Any = 0.0

    def __iadd__(self, other: _Sums) -> _Sums:
        self.loss += other.loss
        self.transmission += other.transmission
        self.illumination += other.illumination
        if self.waves is not None and self.coverage is not None:
            self.waves += other.waves
            self.coverage += other.coverage
        return self


@dataclass(frozen=True)
class Model:
    """specimen x passage x detector; the ensemble is the probe's leading axis, M modes that add incoherently.

    Waves are held in the middle of their window while they are worked on: a window then is one contiguous block of the
    object, and the far field differs from that of a corner-centred wave only by a phase that no intensity sees.
    """

    specimen: Specimen
    passage: Passage
    detector: DetectorModel

    def far_field(self, backend: Backend, waves: Array, transmission: Array, where: Where) -> tuple[Array, Any]:
        """Waves in the detector plane (B, M, Ny, Nx) of a portion's incident waves, and the tape for the adjoint."""
        exits, tape = self.passage.transmit(backend, waves, transmission, where.corners)
        return self.detector.propagate(backend, exits, where.shifts), tape

    def intensities(self, backend: Backend, obj: Array, probe: Array, geometry: Geometry, batch: Any) -> np.ndarray:
        """Modelled patterns (B, Ny, Nx), corner-centred, on the host: the forward model on its own, always exact."""
        centred = backend.xp.fft.fftshift(probe, axes=(-2, -1))
        where = geometry.at(backend, batch)
        shift = NoShift(centred) if where.fractions is None else FourierShift(backend.fft2(centred), where.fractions)
        transmission = self.specimen.transmission(backend, obj)
        out = np.empty((len(where.corners), *probe.shape[-2:]), centred.real.dtype)

        def task(places: Any, _: None) -> None:
            far, _tape = self.far_field(backend, shift.waves(backend, places), transmission, where.part(places))
            out[places] = backend.to_numpy((far.real**2 + far.imag**2).sum(1))

        backend.map_reduce(task, backend.portions(np.arange(len(out)), probe.nbytes), lambda: None)
        return out

    def passed(self, xp: Any, transmission: Array, axis: int) -> Array:
        """|t|^2 through all slices, which are the axis `axis` of the transmission."""
        if self.specimen.lossless:
            shape = transmission.shape[:axis] + transmission.shape[axis + 1 :]
            return xp.ones(shape, transmission.real.dtype)
        return (transmission.real**2 + transmission.imag**2).prod(axis)

    def window_gradients(
        self,
        backend: Backend,
        obj: Array,
        waves: Array,
        where: Where,
        amplitudes: Array,
        loss: Loss,
    ) -> WindowGradients:
        """Loss and gradients of a portion, one position at a time, for rules that weigh positions by themselves.

        The windows of the object are stood on top of each other and taken for one tall object that no two positions
        share, so that specimen, passage and detector work on them as they do on the whole.
        """
        xp = backend.xp
        window = waves.shape[-2:]
        cuts = backend.cut(obj, where.corners, window)
        transmission = self.specimen.transmission(backend, cuts)
        count, slices = cuts.shape[:2]
        tall = xp.ascontiguousarray(transmission.swapaxes(0, 1)).reshape(slices, count * window[0], window[1])
        corners = np.stack([np.arange(count) * window[0], np.zeros(count, int)], axis=1)
        far, tape = self.far_field(backend, waves, tall, Where(corners, None, where.shifts))
        value, residual = loss.residual(backend, far, amplitudes)
        residual = self.detector.propagate_adjoint(backend, residual, where.shifts)
        gradient = backend.empty("windows", tall.shape, tall.dtype)
        gradient[...] = 0
        by_waves = self.passage.transmit_adjoint(backend, residual, tall, corners, tape, gradient)
        by_windows = gradient.reshape(slices, count, *window).swapaxes(0, 1)
        return WindowGradients(
            loss=value,
            object=self.specimen.transmission_adjoint(backend, transmission, by_windows),
            waves=by_waves,
            passed=self.passed(xp, transmission, 1).sum(0),
        )

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
    ) -> Gradients:
        """Loss and gradients over the positions of `batch`; `patterns` are all measured ones, on the device."""
        xp = backend.xp
        transmission = self.specimen.transmission(backend, obj)
        batch = np.asarray(batch)
        where = geometry.at(backend, batch)
        shift = choose_shift(backend, probe, where.fractions)
        light = xp.fft.fftshift((probe.real**2 + probe.imag**2).sum(0))
        lossless = self.specimen.lossless
        passed = None if lossless or not with_probe else self.passed(xp, transmission, 0)

        def sums() -> _Sums:
            return _Sums(
                transmission=xp.zeros_like(transmission),
                illumination=xp.zeros(transmission.shape[-2:], light.dtype),
                waves=shift.zeros(backend) if with_probe else None,
                coverage=xp.zeros_like(light) if with_probe else None,
            )

        def task(places: Any, sums: _Sums) -> None:
            here = where.part(places)
            far, tape = self.far_field(backend, shift.waves(backend, places), transmission, here)
            value, residual = loss.residual(backend, far, backend.amplitudes(patterns, batch[places], light.dtype))
            sums.loss += value
            residual = self.detector.propagate_adjoint(backend, residual, here.shifts)
            by_waves = self.passage.transmit_adjoint(
                backend, residual, transmission, here.corners, tape, sums.transmission
            )
            backend.paste_same(sums.illumination, here.corners, light)
            if sums.coverage is not None:
                shift.collect(backend, places, by_waves, sums.waves)
                if passed is None:
                    sums.coverage += len(here.corners)
                else:
                    backend.sum_cuts(passed, here.corners, sums.coverage)

        total, *others = backend.map_reduce(task, backend.portions(np.arange(len(batch)), probe.nbytes), sums)
        for part in others:
            total += part
        by_probe = coverage = None
        if with_probe:
            by_probe = xp.fft.ifftshift(shift.adjoint(backend, total.waves), axes=(-2, -1))
            coverage = xp.fft.ifftshift(total.coverage)
        return Gradients(
            loss=float(total.loss),
            object=self.specimen.transmission_adjoint(backend, transmission, total.transmission),
            probe=by_probe,
            illumination=total.illumination[None],
            coverage=coverage,
        )
