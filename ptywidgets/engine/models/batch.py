"""Loss and gradients summed over a batch of positions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend, Loss
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.models.geometry import Geometry
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.models.parts.slab import Slab

if TYPE_CHECKING:
    from ptywidgets.engine.models.composed import DetectorWaves, Model


@dataclass
class _Sums:
    """Accumulators of one worker."""

    transmission: Array  # (S, Y, X) complex
    waves: Array | None  # what the incident waves collect
    others: dict[str, Array] = field(default_factory=dict)  # of those that :func:`_zeros` names
    loss: Any = 0.0

    def __iadd__(self, other: _Sums) -> _Sums:
        self.loss += other.loss
        self.transmission += other.transmission
        if self.waves is not None:
            self.waves += other.waves
        for name in self.others:
            self.others[name] += other.others[name]
        return self


def batch_gradients(
    model: Model,
    backend: Backend,
    obj: Array,
    probe: Array,
    geometry: Geometry,
    patterns: Patterns,
    batch: Any,
    loss: Loss,
    *,
    with_probe: bool,
    with_others: bool,
) -> Gradients:
    """See :meth:`Model.gradients`."""
    xp = backend.xp
    batch = np.asarray(batch)
    where = model.placed(geometry).at(backend, batch)
    slab = model.slab(backend, obj)
    incident = model.incident(backend, probe, where.fractions)
    light = xp.fft.fftshift((probe.real**2 + probe.imag**2).sum(0))
    even = model.specimen.lossless and slab.absorption is None  # then every pixel passes everything

    def sums() -> _Sums:
        return _Sums(
            transmission=xp.zeros_like(slab.transmission),
            waves=incident.zeros(backend) if with_probe else None,
            others=_zeros(model, backend, slab, light) if with_others else {},
        )

    def task(places: Any, sums: _Sums) -> None:
        here = where.part(places)
        far = model.propagate_to_detector(backend, incident.waves(backend, places), slab, here)
        measured = backend.amplitudes(patterns, batch[places], light.dtype)
        curvature = _curvature_by_intensity(model, backend, far, loss) if sums.others else None
        seen = _seen(model, backend, measured) if sums.others else None
        value, residual, derivative = model.residual(backend, far, measured, loss)
        sums.loss += value
        if sums.others:
            _add_others(slab, far, derivative, seen, curvature, sums.others)
        emission = _emission(sums.others)
        by_waves = model.back(backend, residual, derivative, far, slab, here, sums.transmission, emission, seen)
        if with_probe:
            incident.collect(backend, places, by_waves, sums.waves)

    chunks = backend.chunks(np.arange(len(batch)), incident.nbytes)
    total, *rest = backend.map_reduce(task, chunks, sums)
    for part in rest:
        total += part
    illumination = xp.zeros(slab.transmission.shape[-2:], light.dtype)
    backend.add_same_patch(illumination, where.corners, light)
    by_probe = coverage = None
    if with_probe:
        by_probe = incident.adjoint(backend, total.waves)
        coverage = xp.full_like(light, len(batch)) if even else xp.zeros_like(light)
        if not even:
            slices = slab.one()
            backend.sum_patches(slices[0] if len(slices) == 1 else model.passed(xp, slab, 0), where.corners, coverage)
            coverage = xp.fft.ifftshift(coverage)
    others, weights = _of_parameters(model, backend, slab, total)
    if with_others and model.object_modes is not None:
        others["object_modes"], weights["object_modes"] = _of_object_modes(backend, slab, total, illumination)
    return Gradients(
        loss=float(total.loss),
        object=slab.adjoint(backend, model.specimen, total.transmission),
        probe=by_probe,
        illumination=illumination[None] * np.float32(model.exit_wave.slices),
        coverage=coverage,
        others=others,
        weights=weights,
    )


def _zeros(model: Model, backend: Backend, slab: Slab, light: Array) -> dict[str, Array]:
    xp = backend.xp
    found: dict[str, Array] = {}
    if slab.emission is not None:
        found["emission"], found["emission weight"] = xp.zeros_like(slab.emission), xp.zeros_like(slab.emission)
        channels = (len(slab.emission), *light.shape)
        for name in ("channel", "channel weight", "channel curvature"):
            found[name] = xp.zeros(channels, light.dtype)
    if model.background is not None:
        for name in ("background", "background weight", "background curvature"):
            found[name] = xp.zeros_like(light)
    return found


def _emission(sums: dict[str, Array]) -> tuple[Array, Array] | None:
    """Where the derivatives by the emission and their weights are added up."""
    return (sums["emission"], sums["emission weight"]) if "emission" in sums else None


def _curvature_by_intensity(model: Model, backend: Backend, far: DetectorWaves, loss: Loss) -> Array | None:
    """Second derivative (B, Ny, Nx) of the loss by the intensity where the model fits; None where pixels are mixed."""
    if model.response is not None:
        return None
    xp = backend.xp
    intensity = xp.maximum(model.expected(backend, far), np.float32(1e-6))
    return loss.curvature(intensity, xp.sqrt(intensity)) / (4 * intensity)


def _seen(model: Model, backend: Backend, measured: Array) -> Array:
    """How much of what reaches each pixel (B, Ny, Nx) is measured: all, nothing where a mask leaves it out."""
    seen = (measured >= 0).astype(measured.dtype)
    return seen if model.response is None else model.response.adjoint(backend, seen).clip(0)


def _add_others(
    slab: Slab,
    far: DetectorWaves,
    derivative: Array | None,
    seen: Array | None,
    curvature: Array | None,
    sums: dict[str, Array],
) -> None:
    """Derivatives by what is added to the intensity, and by as much as each adds to the measured pixels."""
    assert derivative is not None and seen is not None
    window = derivative.shape[-2:]
    if "background" in sums:
        sums["background"] += derivative.sum(0)
        sums["background weight"] += seen.sum(0)
        if curvature is not None:
            sums["background curvature"] += (curvature * seen).sum(0)
    if slab.emission is None or far.diffuse_counts is None:
        return
    for name, values in (("channel", derivative), ("channel weight", seen)):
        flat = far.diffuse_counts.T @ values.reshape(len(values), -1)
        sums[name] += flat.reshape(-1, *window)
    if curvature is not None:
        flat = (far.diffuse_counts**2).T @ (curvature * seen).reshape(len(seen), -1)
        sums["channel curvature"] += flat.reshape(-1, *window)


def _of_parameters(model: Model, backend: Backend, slab: Slab, total: _Sums) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gradients and weights by the model's parameters, of the sums."""
    xp, sums = backend.xp, total.others
    others: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    if "background" in sums:
        others["background"], weights["background"] = sums["background"], sums["background weight"]
        weights["background curvature"] = sums["background curvature"]
    if "emission" in sums and model.diffuse is not None:
        tds_strength = backend.to_device(model.diffuse.tds_strength, slab.absorption.dtype)  # type: ignore[union-attr]  # diffuse scattering absorbs
        by_emission = model.diffuse.emission_adjoint(xp, tds_strength, sums["emission"])
        # |t| = exp(-R / 2), and the sum G is minus half of the gradient: dL = -2 Re<G, dt> = Re<G, t> dR.
        product = slab.transmission.real * total.transmission.real + slab.transmission.imag * total.transmission.imag
        others["tds_strength"] = by_emission + product.reshape(-1, *tds_strength.shape[1:]).sum(0)[None]
        weights["tds_strength"] = model.diffuse.emission_adjoint(xp, tds_strength, sums["emission weight"])
        others["channel"], weights["channel"] = sums["channel"], sums["channel weight"]
        weights["channel curvature"] = sums["channel curvature"]
    return others, weights


def _of_object_modes(backend: Backend, slab: Slab, total: _Sums, illumination: Array) -> tuple[Array, Array]:
    """Gradient by each mode's phases (K, S, Y, X), and the light that each of their pixels gets."""
    assert slab.turns is not None
    t, g = slab.transmission, total.transmission
    # dt = i t dD, and the sum G is minus half of the gradient: dL = -2 Re<G, dt> = 2 Im(conj(G) t) dD.
    derivative = (2 * (g.real * t.imag - g.imag * t.real)).reshape(slab.turns.shape)
    light = illumination / np.float32(len(slab.turns))
    return derivative, backend.xp.broadcast_to(light, derivative.shape)
