"""Passages: how waves go through the specimen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.protocols import Array, Backend


@dataclass(frozen=True)
class Thin:
    """One multiplication: psi = P t. Right while the specimen is thinner than the depth of field."""

    slices = 1

    def transmit(self, backend: Backend, waves: Array, transmission: Array, corners: Any) -> tuple[Array, Any]:
        """Exit waves (B, M, Ny, Nx) behind the windows of `transmission` (1, Y, X), and what the adjoint needs."""
        return backend.multiply_cut(waves, transmission[0], corners), waves

    def tangent(
        self,
        backend: Backend,
        waves: Array,
        transmission: Array,
        corners: Any,
        by_waves: Array | None,
        by_transmission: Array | None,
    ) -> Array:
        """How exit waves change along directions of the waves and of the transmission; at least one is given."""
        if by_transmission is None:
            return backend.multiply_cut(by_waves, transmission[0], corners)
        exits = backend.multiply_cut(waves, by_transmission[0], corners)
        if by_waves is not None:
            exits = exits.copy()  # the next product takes the same memory
            exits += backend.multiply_cut(by_waves, transmission[0], corners)
        return exits

    def transmit_adjoint(
        self, backend: Backend, residual: Array, transmission: Array, corners: Any, tape: Any, gradient: Array
    ) -> Array:
        """Gradient by the waves, in the memory of `residual`; that by the transmission is added to `gradient`."""
        return backend.multiply_cut_adjoint(residual, transmission[0], corners, tape, gradient[0])
