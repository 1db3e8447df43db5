"""The waves that meet the specimen: the probe's modes, spread over the ensemble and moved to each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.core.protocols import Array, Backend
from ptywidgets.engine.models.parts.ensemble import PartialCoherence
from ptywidgets.engine.models.shift import FourierShift, NoShift, Shift, choose_shift


@dataclass(frozen=True)
class Incident:
    """A batch's incident waves, linear in the probe, with the adjoint."""

    shift: Shift
    ensemble: PartialCoherence | None
    nbytes: int  # of the waves of one position

    @classmethod
    def prepare(
        cls,
        backend: Backend,
        probe: Array,
        ensemble: PartialCoherence | None,
        fractions: Array | None,
        exact: bool = False,
        count: int | None = None,
    ) -> Incident:
        """For a probe (M, Ny, Nx), corner-centred, and a batch's fractions (B, 2) px; `exact` for no approximation.

        These are shifted as a batch of `count` positions would be, where they are a part of one.
        """
        waves = probe if ensemble is None else ensemble.spread(backend, probe)
        if not exact:
            return cls(choose_shift(backend, waves, fractions, count), ensemble, waves.nbytes)
        centred = backend.xp.fft.fftshift(waves, axes=(-2, -1))
        shift = NoShift(centred) if fractions is None else FourierShift(backend.fft2(centred), fractions)
        return cls(shift, ensemble, waves.nbytes)

    def waves(self, backend: Backend, places: Any) -> Array:
        """Waves (B, M, Ny, Nx) of a chunk, or (1, M, Ny, Nx) where all positions share them."""
        return self.shift.waves(backend, places)

    def tangent(self, backend: Backend, places: Any, axis: int) -> Array:
        """Derivative of :meth:`waves` by the positions along an axis, per px, of as many positions."""
        return self.shift.tangent(backend, places, axis)

    def zeros(self, backend: Backend) -> Array:
        """An accumulator for :meth:`collect`."""
        return self.shift.zeros(backend)

    def collect(self, backend: Backend, places: Any, by_waves: Array, sums: Array) -> None:
        """Add the gradients by the waves of a chunk (B, M, Ny, Nx) up."""
        self.shift.collect(backend, places, by_waves, sums)

    def adjoint(self, backend: Backend, sums: Array) -> Array:
        """Gradient by the probe (M, Ny, Nx), corner-centred, of what was collected."""
        by_waves = backend.xp.fft.ifftshift(self.shift.adjoint(backend, sums), axes=(-2, -1))
        return by_waves if self.ensemble is None else self.ensemble.gather(backend, by_waves)
