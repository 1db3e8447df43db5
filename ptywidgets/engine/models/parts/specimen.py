"""Specimens: what is unknown, and the transmission function that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend


@dataclass(frozen=True)
class ComplexObject:
    """Amplitude and phase are free: t = O, complex64 (S, Y, X), 1 where there is nothing."""

    object_type = "complex"
    lossless = False  # whether |t| = 1

    def initial(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape, np.complex64)

    def from_transmission(self, transmission: np.ndarray) -> np.ndarray:
        """The object with this transmission: the inverse of :meth:`transmission`."""
        return transmission.astype(np.complex64)

    def transmission(self, backend: Backend, obj: Array) -> Array:
        return obj

    def tangent(self, backend: Backend, transmission: Array, direction: Array) -> Array:
        """How t changes along a direction of O: dt = dO."""
        return direction

    def transmission_adjoint(self, backend: Backend, transmission: Array, gradient: Array) -> Array:
        """Gradient by O of a real function, given its gradient by t: the adjoint of :meth:`tangent`."""
        return gradient

    def correct(
        self,
        backend: Backend,
        obj: Array,
        transmission: Array,
        corners: Any,
        waves: Array,
        residual: Array,
        step: Array,
        passed: Array,
    ) -> None:
        """A step of one slice along the gradient of each window by itself; :meth:`Backend.correct`."""
        backend.correct(obj[0], corners, waves, residual, step, passed)  # the transmission is the object


@dataclass(frozen=True)
class PotentialObject:
    """The specimen only shifts the phase: t = exp(iV); V float32 (S, Y, X) in rad, positive for atoms, 0 in vacuum."""

    object_type = "potential"
    lossless = True

    def initial(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, np.float32)

    def from_transmission(self, transmission: np.ndarray) -> np.ndarray:
        """The phase of a transmission, in (-pi, pi]."""
        return np.angle(transmission).astype(np.float32)

    def transmission(self, backend: Backend, obj: Array) -> Array:
        return backend.phase_factor(obj)

    def tangent(self, backend: Backend, transmission: Array, direction: Array) -> Array:
        """How t changes along a direction of V: dt = i t dV."""
        out = backend.xp.empty_like(transmission)
        backend.xp.multiply(transmission.imag, -direction, out=out.real)
        backend.xp.multiply(transmission.real, direction, out=out.imag)
        return out

    def transmission_adjoint(self, backend: Backend, transmission: Array, gradient: Array) -> Array:
        """dL = Re<g, i t dV>, so the gradient by V is Im(conj(t) g)."""
        return backend.phase_gradient(transmission, gradient)

    def correct(
        self,
        backend: Backend,
        obj: Array,
        transmission: Array,
        corners: Any,
        waves: Array,
        residual: Array,
        step: Array,
        passed: Array,
    ) -> None:
        """A step of one slice along the gradient of each window by itself; :meth:`Backend.correct_phase`."""
        backend.correct_phase(obj[0], transmission[0], corners, waves, residual, step)


SPECIMENS: dict[str, type[ComplexObject] | type[PotentialObject]] = {
    "complex": ComplexObject,
    "potential": PotentialObject,
}
