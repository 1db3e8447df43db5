"""Exit-wave models: how waves go through the specimen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, Backend

Watch = Callable[[int, Array], None]
Sources = Callable[[int, Array], Array]


@dataclass(frozen=True)
class SingleSlice:
    """One multiplication: psi = P t. Right while the specimen is thinner than the depth of field."""

    slices = 1
    thickness = None

    def forward(
        self, backend: Backend, waves: Array, transmission: Array, corners: Any, watch: Watch | None = None
    ) -> tuple[Array, Any]:
        """Exit waves (B, M, Ny, Nx) behind the windows of `transmission` (1, Y, X), and what the adjoint needs."""
        if watch is not None:
            watch(0, waves)
        return backend.multiply_patches(waves, transmission[0], corners), waves

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
            return backend.multiply_patches(by_waves, transmission[0], corners)
        exits = backend.multiply_patches(waves, by_transmission[0], corners)
        if by_waves is not None:
            by_object, exits = exits, backend.empty("changed exits", exits.shape, exits.dtype)
            exits[...] = by_object  # the next product takes the same memory
            exits += backend.multiply_patches(by_waves, transmission[0], corners)
        return exits

    def adjoint(
        self,
        backend: Backend,
        residual: Array,
        transmission: Array,
        corners: Any,
        tape: Any,
        gradient: Array,
        sources: Sources | None = None,
    ) -> Array:
        """Gradient by the waves, in the memory of `residual`; that by the transmission is added to `gradient`."""
        by_waves = backend.multiply_patches_adjoint(residual, transmission[0], corners, tape, gradient[0])
        if sources is not None:
            by_waves += sources(0, tape)
        return by_waves


@dataclass(frozen=True)
class Multislice:
    """Slices with free space between them: psi_s+1 = F^-1[ H_s F[psi_s t_s] ], and no space behind the last.

    H_s(k) = exp(-i pi lambda dz_s k^2 - 2 pi i dz_s (k_y tan theta_y + k_x tan theta_x)), the Fresnel propagator for a
    specimen tilted by theta; Cowley and Moodie, Acta Cryst. 10, 609 (1957), with the tilt as in Chen et al., Acta
    Cryst. A 53, 576 (1997). Of the waves that enter the slices, every n-th is kept for the adjoint, with
    n such that they fit; those between are worked out again.

    Parameters
    ----------
    thickness : tuple of float
        Of each slice, A; the waves go from one slice's plane to the next one's over the first one's thickness.
    wavelength : float
        A.
    extent : (float, float)
        Size of the window (rows, columns) in A, which is the same however many detector pixels are in use.
    tilt : (float, float)
        Of the specimen against the beam (rows, columns), mrad.
    tape_bytes : int
        What the kept waves of a chunk may take.

    Examples
    --------
    >>> exit_wave = Multislice((20.0, 20.0, 20.0), wavelength=0.02, extent=(20.0, 20.0))
    >>> exit_wave.slices, exit_wave.depths.tolist()
    (3, [0.0, 20.0, 40.0])
    """

    thickness: tuple[float, ...]
    wavelength: float
    extent: tuple[float, float]
    tilt: tuple[float, float] = (0.0, 0.0)
    tape_bytes: int = 1_000_000_000

    def __post_init__(self) -> None:
        if not self.thickness or not all(np.isfinite(t) for t in self.thickness):
            raise ParameterError(
                f"thickness is {self.thickness!r}; expected one number in A for each slice, such as (20.0,) * 10."
            )

    @property
    def slices(self) -> int:
        """Number of slices S."""
        return len(self.thickness)

    @property
    def depths(self) -> np.ndarray:
        """Where each slice lies behind the first one (S,), A."""
        return np.concatenate([[0.0], np.cumsum(self.thickness[:-1])])

    def forward(
        self, backend: Backend, waves: Array, transmission: Array, corners: Any, watch: Watch | None = None
    ) -> tuple[Array, Any]:
        """Exit waves (B, M, Ny, Nx) behind `transmission` (S, Y, X), and the waves that entered some of the slices."""
        every = self._every(backend, len(corners) * waves[0].nbytes)
        tape = {0: waves}
        for s in range(self.slices):
            if watch is not None:
                watch(s, waves)
            exits = backend.multiply_patches(waves, transmission[s], corners)
            if s == self.slices - 1:
                break
            waves = self._forth(backend, exits, s, f"slice {s + 1}" if (s + 1) % every == 0 else "between")
            if (s + 1) % every == 0:
                tape[s + 1] = waves
        return exits, tape

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
        change = by_waves
        for s in range(self.slices):
            exits = None if change is None else backend.multiply_patches(change, transmission[s], corners).copy()
            if by_transmission is not None:
                here = backend.multiply_patches(waves, by_transmission[s], corners)
                exits = here.copy() if exits is None else exits + here
            if s == self.slices - 1:
                return exits
            change = self._forth(backend, exits, s, "changed")
            waves = self._forth(backend, backend.multiply_patches(waves, transmission[s], corners), s, "between")
        raise AssertionError("there is at least one slice")

    def adjoint(
        self,
        backend: Backend,
        residual: Array,
        transmission: Array,
        corners: Any,
        tape: Any,
        gradient: Array,
        sources: Sources | None = None,
    ) -> Array:
        """Gradient by the waves, in the memory of `residual`; that by the transmission is added to `gradient`."""
        known: dict[int, Array] = {}
        for s in reversed(range(self.slices)):
            if s not in tape and s not in known:
                residual = residual.copy()  # its memory may be that of the products
                known = self._again(backend, transmission, corners, tape, s)
            entered = tape[s] if s in tape else known[s]
            residual = backend.multiply_patches_adjoint(residual, transmission[s], corners, entered, gradient[s])
            if sources is not None:
                residual += sources(s, entered)
            if s:
                spectrum = backend.fft2(residual)
                spectrum *= self._propagator(backend, s - 1, residual)[1]
                residual = backend.ifft2(spectrum)
        return residual

    def _again(self, backend: Backend, transmission: Array, corners: Any, tape: Any, last: int) -> dict[int, Array]:
        """The waves that entered the slices after the nearest one that was kept, up to `last`."""
        first = max(s for s in tape if s < last)
        waves, known = tape[first], {}
        for s in range(first, last):
            exits = backend.multiply_patches(waves, transmission[s], corners)
            known[s + 1] = waves = self._forth(backend, exits, s, f"again {s - first}")
        return known

    def _forth(self, backend: Backend, exits: Array, s: int, name: str) -> Array:
        """From behind slice s to the next one; the result stays under its name."""
        spectrum = backend.fft2(exits)
        kept = backend.empty(name, spectrum.shape, spectrum.dtype)
        backend.xp.multiply(spectrum, self._propagator(backend, s, spectrum)[0], out=kept)
        return backend.ifft2(kept)

    def _every(self, backend: Backend, wave_bytes: int) -> int:
        """Every how many slices a wave is kept: all, or so few that they and those between them take least."""
        if self.slices * wave_bytes <= self.tape_bytes:
            return 1
        return max(2, int(np.ceil(np.sqrt(self.slices))))

    def _propagator(self, backend: Backend, s: int, waves: Array) -> tuple[Array, Array]:
        """H_s and its conjugate (Ny, Nx), on the device and of the waves' precision."""
        shape = tuple(waves.shape[-2:])
        tilt = (float(self.tilt[0]), float(self.tilt[1]))
        arguments = (shape, self.extent, self.wavelength, float(self.thickness[s]), tilt)
        return _propagators(backend.xp, np.dtype(waves.dtype), *arguments)


@lru_cache(maxsize=64)
def _propagators(
    xp: Any,
    dtype: Any,
    shape: tuple[int, int],
    extent: tuple[float, float],
    wavelength: float,
    distance: float,
    tilt: tuple[float, float],
) -> tuple[Array, Array]:
    one = fresnel(shape, extent, wavelength, distance, tilt).astype(dtype)
    return xp.asarray(one), xp.asarray(one.conj())


def fresnel(
    shape: tuple[int, int],
    extent: tuple[float, float],
    wavelength: float,
    distance: float,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """The Fresnel propagator (Ny, Nx) complex128 in FFT order over a distance in A; `tilt` in mrad.

    Examples
    --------
    >>> there, back = (fresnel((8, 8), (10.0, 10.0), 0.02, z) for z in (50.0, -50.0))
    >>> bool(np.allclose(there * back, 1))
    True
    """
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(shape, extent, strict=True))
    slopes = np.tan(np.asarray(tilt) * 1e-3)
    phase = np.pi * wavelength * distance * (ky[:, None] ** 2 + kx[None] ** 2)
    phase = phase + 2 * np.pi * distance * (ky[:, None] * slopes[0] + kx[None] * slopes[1])
    return np.exp(-1j * phase)
