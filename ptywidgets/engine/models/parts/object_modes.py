"""Object modes: a specimen that is in many states while it is looked at, whose patterns add.

Atoms move, and an electron sees them where they are at that moment. With K states of the object,

    I_j(k) = 1/K sum_k sum_m |F exit_wave(P_m(r - R_j), t exp(i D_k))|^2

where the D_k (K, S, Y, X) are what each state's phase has besides that of the object itself. A displacement that the
whole window shares only moves the probe, and is a matter of source size; what is new here is how atoms move against
each other. Loane, Xu and Silcox, Acta Cryst. A 47, 267 (1991), for frozen phonons; Thibault and Menzel, Nature 494, 68
(2013), for states that are found from the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, Backend, ExitWaveModel, GridChange

MOST = 64  # states
SHARPEST = 20.0  # by how much a frequency is raised at most


@dataclass(frozen=True, eq=False)
class ObjectModes:
    """K states of the object, all alike at the start.

    Parameters
    ----------
    count : int
        K; an even number, since states come in pairs whose displacements are opposite.
    displacement : float
        Root of the mean square of how far atoms are displaced along one axis at the start, A.
    phases : ndarray (K, S, Y, X) float, optional
        D, rad; the state's, once there is one.

    Examples
    --------
    >>> modes = ObjectModes(4, 0.08)
    >>> {name: value.shape for name, value in modes.first((1, 8, 8), (4, 4)).items()}
    {'object_modes': (4, 1, 8, 8), 'displacement': (8, 8)}
    """

    count: int
    displacement: float
    phases: Any = None

    def __post_init__(self) -> None:
        if self.count != int(self.count) or self.count % 2 or not 2 <= self.count <= MOST:
            raise ParameterError(f"count is {self.count!r} object modes; expected an even number from 2 to {MOST}.")
        if not 0 <= self.displacement < 10:
            raise ParameterError(f"displacement is {self.displacement!r} A; expected a number from 0 to 10.")

    def first(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, np.ndarray]:
        """The parameters at the start, for an object (S, Y, X): no state differs yet, and how far atoms may be."""
        return {
            "object_modes": np.zeros((self.count, *shape), np.float32),
            "displacement": np.full(shape[-2:], self.displacement, np.float32),
        }

    def bind(self, parameters: Mapping[str, Any]) -> ObjectModes:
        """With a state's phases."""
        return replace(self, phases=parameters["object_modes"]) if "object_modes" in parameters else self

    def resampled(self, parameters: Mapping[str, Any], change: GridChange) -> dict[str, np.ndarray]:
        """What differs from state to state, with nothing beyond, and displacements, with the usual one beyond."""
        found: dict[str, np.ndarray] = {}
        if "object_modes" in parameters:
            found["object_modes"] = np.array([change.on_object(phase, 0.0) for phase in parameters["object_modes"]])
        if "displacement" in parameters:
            far = parameters["displacement"]
            found["displacement"] = change.on_object(far[None], np.float32(np.median(far)))[0]
        return found

    def in_slices(self, parameters: Mapping[str, Any], shares: np.ndarray) -> dict[str, np.ndarray]:
        """Nothing: states of other slices are found anew."""
        return {}

    def dimmed(self, parameters: Mapping[str, Any], share: Any) -> dict[str, Any]:
        """Nothing: phases know no counts."""
        return {}


@dataclass(frozen=True)
class Configurations:
    """Exit waves behind each of K states, whose exit waves stand behind each other as modes: (B, K M, Ny, Nx).

    Transmissions are (K S, Y, X), the slices of one state after those of another. The adjoint goes forth through every
    state once more: what it needs of K exit waves would be K times the memory.
    """

    exit_wave: ExitWaveModel
    count: int

    def forward(
        self, backend: Backend, waves: Array, transmission: Array, corners: Any, watch: Any = None
    ) -> tuple[Array, Any]:
        """Exit waves (B, K M, Ny, Nx) behind all states, and the waves that entered."""
        waves = waves * self._share(waves)
        exits = None
        for k in range(self.count):
            one, _ = self.exit_wave.forward(backend, waves, self._of(transmission, k), corners, watch)
            if exits is None:
                exits = backend.xp.empty((len(one), self.count * one.shape[1], *one.shape[2:]), one.dtype)
            exits[:, k * one.shape[1] : (k + 1) * one.shape[1]] = one
        return exits, waves

    def tangent(
        self,
        backend: Backend,
        waves: Array,
        transmission: Array,
        corners: Any,
        by_waves: Array | None,
        by_transmission: Array | None,
    ) -> Array:
        """How exit waves change along directions of the waves and of the transmissions."""
        share = self._share(waves)
        waves, by_waves = waves * share, None if by_waves is None else by_waves * share
        changes = [
            self.exit_wave.tangent(
                backend,
                waves,
                self._of(transmission, k),
                corners,
                by_waves,
                None if by_transmission is None else self._of(by_transmission, k),
            ).copy()
            for k in range(self.count)
        ]
        return backend.xp.concatenate(changes, axis=1)

    def adjoint(
        self,
        backend: Backend,
        residual: Array,
        transmission: Array,
        corners: Any,
        tape: Any,
        gradient: Array,
        sources: Any = None,
    ) -> Array:
        """Gradient by the waves; that by the transmissions is added to `gradient`."""
        modes = residual.shape[1] // self.count
        parts = [residual[:, k * modes : (k + 1) * modes].copy() for k in range(self.count)]
        by_waves = backend.xp.zeros_like(parts[0])
        for k, part in enumerate(parts):
            here = self._of(transmission, k)
            _, known = self.exit_wave.forward(backend, tape, here, corners)
            by_waves += self.exit_wave.adjoint(backend, part, here, corners, known, self._of(gradient, k), sources)
        by_waves *= self._share(by_waves)
        return by_waves

    def _of(self, transmission: Array, k: int) -> Array:
        """The slices of one state."""
        slices = len(transmission) // self.count
        return transmission[k * slices : (k + 1) * slices]

    def _share(self, waves: Array) -> Any:
        return waves.real.dtype.type(self.count**-0.5)


def displaced_phases(obj: np.ndarray, displacement: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Phases D_k(r) = W(r - u(r) f_k(r)) - mean_k of an object's states, as atoms are displaced, in rad.

    What a coherent wave sees is the mean of all states, V. The states themselves are as much sharper as displacements
    would blur them: F[W] = F[V] exp(2 pi^2 u^2 k^2), the Debye-Waller factor's inverse (at most :data:`SHARPEST`), with
    u where the phase is. So V and u mean different things to the data: V what is coherent, u what is diffuse.

    Parameters
    ----------
    obj : ndarray (S, Y, X)
        Phase in rad, or complex transmission.
    displacement : ndarray (Y, X, 2)
        u, how far one unit of a field goes along rows and columns, px.
    fields : ndarray (K, 2, Y, X)
        From :func:`unit_fields`.

    Returns
    -------
    ndarray (K, S, Y, X) float32
        Their mean over K is 0.

    Examples
    --------
    >>> obj = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    >>> bool(np.allclose(displaced_phases(obj, np.zeros((8, 8, 2)), unit_fields(2, (8, 8), 2.0)), 0, atol=1e-6))
    True
    """
    grid = np.indices(obj.shape[-2:]).astype(np.float32)
    way = np.moveaxis(displacement, -1, 0)
    where = np.abs(np.angle(obj) if np.iscomplexobj(obj) else obj).sum(0) + np.finfo(np.float32).tiny
    inverse = _inverse_of_blur([np.average(u, weights=where) for u in way], obj.shape[-2:])
    found = np.empty((len(fields), *obj.shape), np.float32)
    for s, one in enumerate(obj):
        parts = (one.real, one.imag) if np.iscomplexobj(one) else (one,)
        sharp = [sfft.ifft2(sfft.fft2(part) * inverse).real for part in parts]
        splines = [ndimage.spline_filter(part, order=3, mode="mirror") for part in sharp]
        for k, field in enumerate(fields):
            places = grid - way * field
            moved = [
                ndimage.map_coordinates(spline, places, order=3, mode="mirror", prefilter=False) for spline in splines
            ]
            found[k, s] = moved[0] if len(moved) == 1 else np.angle((moved[0] + 1j * moved[1]) * one.conj())
    return found - found.mean(0)


def _inverse_of_blur(displacement: Sequence[float], shape: tuple[int, ...]) -> np.ndarray:
    """What undoes a Gaussian blur (px along rows and columns) in a spectrum (Y, X), up to the highest frequency that
    is known in all directions."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    power = 2 * np.pi**2 * ((displacement[0] * ky) ** 2 + (displacement[1] * kx) ** 2)
    return np.exp(np.minimum(power, np.log(SHARPEST))) * (np.hypot(ky, kx) <= 0.5)


@lru_cache(maxsize=4)
def unit_fields(count: int, shape: tuple[int, int], sigma: float, seed: int = 0) -> np.ndarray:
    """Smooth random fields (K, 2, Y, X) of unit variance, along rows and along columns; each odd one is its
    predecessor's opposite, so that the states' mean displacement is none.

    Parameters
    ----------
    sigma : float
        Standard deviation of the Gaussian that white noise is smoothed by, px: about the size of an atom, which
        then moves as a whole and independently of the next.
    """
    generator = np.random.default_rng(seed)
    white = generator.normal(size=(count // 2, 2, *shape))
    smooth = ndimage.gaussian_filter(white, (0, 0, sigma, sigma), mode="wrap")
    smooth /= np.sqrt((smooth**2).mean((0, 2, 3), keepdims=True))
    return np.stack([smooth, -smooth], axis=1).reshape(count, 2, *shape).astype(np.float32)


__all__ = ["Configurations", "ObjectModes", "displaced_phases", "unit_fields"]
