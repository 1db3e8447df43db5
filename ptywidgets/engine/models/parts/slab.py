"""What waves go through: each slice's transmission, and what it gives off incoherently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.core.protocols import Array, Backend, Specimen
from ptywidgets.engine.models.parts.scattering import Diffuse


@dataclass(frozen=True)
class Slab:
    """Slices (S, Y, X), or windows of them (B, S, Ny, Nx); of K object modes the transmissions of all, K S of them."""

    transmission: Array  # complex, all that a wave meets
    bare: Array  # complex, the specimen's own
    absorption: Array | None = None  # float, what diffuse scattering leaves of the amplitude
    emission: Array | None = None  # (C, S, Y, X) float, what it gives off
    turns: Array | None = None  # (K, S, Y, X) complex of modulus 1: what object modes make of the transmission

    @classmethod
    def prepare(
        cls,
        backend: Backend,
        specimen: Specimen,
        obj: Array,
        diffuse: Diffuse | None,
        tds_strength: Array | None,
        phases: Array | None = None,
    ) -> Slab:
        """Of an object, of the diffuse channels' strength there, and of the phases (K, S, Y, X) of object modes."""
        xp = backend.xp
        bare = specimen.transmission(backend, obj)
        transmission, absorption, emission, turns = bare, None, None, None
        if diffuse is not None and tds_strength is not None:
            tds_strength = backend.to_device(tds_strength, bare.real.dtype)
            absorption = diffuse.absorption(xp, tds_strength)
            transmission, emission = bare * absorption, diffuse.emission(xp, tds_strength)
        if phases is not None:
            turns = xp.exp(1j * backend.to_device(phases, bare.real.dtype)).astype(bare.dtype, copy=False)
            transmission = _turned(transmission, turns)
        return cls(transmission, bare, absorption, emission, turns)

    def one(self) -> Array:
        """The transmission (S, Y, X) of one object mode, or the only one."""
        return self.transmission if self.turns is None else self.transmission[..., : self.turns.shape[-3], :, :]

    def tall(self, xp: Any) -> Slab:
        """Windows (B, S, Ny, Nx) stood on top of each other: one object (S, B Ny, Nx)."""

        def stand(array: Array) -> Array:  # (..., B, S, Ny, Nx)
            moved = xp.ascontiguousarray(array.swapaxes(-4, -3))
            return moved.reshape(*moved.shape[:-3], -1, moved.shape[-1])

        transmission = stand(self.transmission)
        return Slab(transmission, transmission, None, None if self.emission is None else stand(self.emission))

    def tangent(self, backend: Backend, specimen: Specimen, direction: Array) -> Array:
        """How the transmission changes along a direction of the object."""
        change = specimen.tangent(backend, self.bare, direction)
        change = change if self.absorption is None else change * self.absorption
        return change if self.turns is None else _turned(change, self.turns)

    def adjoint(self, backend: Backend, specimen: Specimen, gradient: Array) -> Array:
        """Gradient by the object, of one by the transmission: the adjoint of :meth:`tangent`."""
        if self.turns is not None:
            gradient = (self.turns.conj() * gradient.reshape(self.turns.shape)).sum(-4)
        if self.absorption is not None:
            gradient = gradient * self.absorption
        return specimen.transmission_adjoint(backend, self.bare, gradient)

    def watch(self, backend: Backend, corners: Any, count: int) -> tuple[Array, Callable[[int, Array], None]]:
        """Electrons (B, C) that the channels get, which grow as each slice's incident waves are shown."""
        emission = self.emission
        assert emission is not None
        diffuse_counts = backend.xp.zeros((count, len(emission)), emission.dtype)

        def watch(s: int, waves: Array) -> None:
            light = (waves.real**2 + waves.imag**2).sum(1)  # (B or 1, Ny, Nx)
            windows = backend.extract_patches(emission[:, s], corners, light.shape[-2:])
            diffuse_counts[...] += (windows * light[:, None]).sum((-2, -1))

        return diffuse_counts, watch

    def sources(
        self,
        backend: Backend,
        corners: Any,
        by_diffuse_counts: Array,
        weights: Array | None = None,
        sums: tuple[Array, Array] | None = None,
    ) -> Callable[[int, Array], Array]:
        """What the channels' electrons add to the gradient by the waves that enter each slice: -e E psi.

        On the way, derivatives by the emission are added to the two arrays (C, S, Y, X) of `sums`: those of the loss
        and, of all that a channel's electron brings to the detector, `weights`.
        """
        emission = self.emission
        assert emission is not None

        def sources(s: int, waves: Array) -> Array:
            if sums is not None:
                light = (waves.real**2 + waves.imag**2).sum(1)[:, None]
                for by, target in zip((by_diffuse_counts, weights), sums, strict=True):
                    slices = backend.xp.ascontiguousarray(target[:, s])
                    backend.add_patches(slices, corners, by[:, :, None, None].astype(light.dtype) * light)
                    target[:, s] = slices
            windows = backend.extract_patches(emission[:, s], corners, waves.shape[-2:])
            weight = (windows * by_diffuse_counts[:, :, None, None]).sum(1)
            return waves * (-weight[:, None]).astype(waves.real.dtype, copy=False)

        return sources


def _turned(transmission: Array, turns: Array) -> Array:
    """Transmissions of all object modes (K S, Y, X), of what they have in common (S, Y, X)."""
    all_modes = turns * transmission[..., None, :, :, :]
    return all_modes.reshape(*all_modes.shape[:-4], -1, *all_modes.shape[-2:])
