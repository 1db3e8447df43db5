"""Electrons that a pattern holds besides the waves: thermal diffuse scattering, and a background.

**Thermal diffuse scattering.** Atoms that vibrate by themselves take electrons out of the coherent wave and spread them
over the detector. To second order in the displacements every atom gives off a pattern of one shape, B(k), however the
beam is placed, with a strength that follows the beam's intensity at the atom. So, with psi_s the waves that enter slice
s and rho_c(r) >= 0 the strength of channel c,

    t_s = t_s^0 exp(-sum_c rho_cs / 2)                      what leaves the coherent wave ...
    E_cs = (1 - exp(-R)) rho_cs / R,   R = sum_c rho_cs
    q_jc = sum_s sum_r sum_m |psi_jms|^2 E_cs                ... is what is given off,
    I_j(k) = sum_m |Psi_jm|^2 + sum_c B_c(k) q_jc + b(k)     and it arrives: B_c adds to 1 over all k.

No electron is lost or made, and there is no more Fourier transform than without. The atoms are Einstein's (no phonons
that move neighbours together), and what was scattered is not scattered again: right up to some tens of nanometres.
Hall and Hirsch, Proc. R. Soc. A 286, 158 (1965), for f^2 (1 - exp(-2 M)).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from ptywidgets.engine.atoms.atomic_phase import projected_phase
from ptywidgets.engine.atoms.elements import scattering_factor
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, Backend, GridChange
from ptywidgets.engine.models.parts.learned_shape import LEARNED, first_profile, hat_functions

FIRST_STRENGTH = 1e-3  # of a channel's map: what grows by factors must not begin at nothing
BEYOND = 40.0  # 1/A, to where electrons are counted that miss the detector


@dataclass(frozen=True, eq=False)
class Diffuse:
    """Thermal diffuse scattering in C channels, each of one element's shape or of one that is learned.

    Parameters
    ----------
    elements : tuple of str
        Whose form factor each channel has: an element, or a formula whose atoms swing alike, ("Mo", "S") or ("MoS2",);
        "learned" for a radial shape that is found from the data.
    b_factor : array_like (C,)
        Debye-Waller factors B = 8 pi^2 u^2 of the channels, A^2, with u the rms displacement along one axis; one
        number serves for all.
    extent : (float, float)
        Size of the window in A.
    tds_strength : ndarray (C, S, Y, X) float, optional
        Share of the electrons at a pixel that leave the coherent wave there; the state's, once there is one.
    aperture : float
        Radius of the probe's aperture, 1/A: electrons come from all over it, and a channel's shape is spread by it.
    energy : float, optional
        Of the electrons, eV: heavy atoms scatter slow ones further than the form factor of the Born approximation says.
    reach : float
        Farthest corner of the detector, 1/A: to where a learned shape goes.
    profile : ndarray (L, K) float, optional
        Weights of the L learned shapes; the state's, once there is one.
    """

    elements: tuple[str, ...]
    b_factor: Any
    extent: tuple[float, float]
    tds_strength: Any = None
    aperture: float = 0.0
    energy: float | None = None
    reach: float = 0.0
    profile: Any = None

    def __post_init__(self) -> None:
        if LEARNED in self.elements and not self.reach > self.aperture:
            raise ParameterError(
                f"reach is {self.reach:g} 1/A and the aperture {self.aperture:g} 1/A; a learned shape needs a detector "
                "that sees beyond the aperture."
            )
        b = np.broadcast_to(np.asarray(self.b_factor, float), (len(self.elements),))
        if not self.elements or not (b > 0).all():
            raise ParameterError(f"b_factor is {self.b_factor!r}; expected a number of A^2 above 0 for each element.")

    def first(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, np.ndarray]:
        """The parameters at the start, for an object (S, Y, X)."""
        b = np.broadcast_to(np.asarray(self.b_factor, np.float64), (len(self.elements),)).copy()
        tds_strength = np.full((len(self.elements), *shape), FIRST_STRENGTH, np.float32)
        learned = [first_profile(self.aperture, self.reach) for element in self.elements if element == LEARNED]
        return {"tds_strength": tds_strength, "b_factor": b, **({"profile": np.array(learned)} if learned else {})}

    def bind(self, parameters: Mapping[str, Any]) -> Diffuse:
        """With a state's strength and factors."""
        if "tds_strength" not in parameters:
            return self
        profile = parameters.get("profile", self.profile)
        return replace(self, tds_strength=parameters["tds_strength"], b_factor=parameters["b_factor"], profile=profile)

    def resampled(self, parameters: Mapping[str, Any], change: GridChange) -> dict[str, np.ndarray]:
        """The strength, with nothing beyond, and never below 0."""
        if "tds_strength" not in parameters:
            return {}
        maps = np.array([change.on_object(channel, 0.0) for channel in parameters["tds_strength"]])
        return {"tds_strength": np.maximum(maps, 0)}

    def in_slices(self, parameters: Mapping[str, Any], shares: np.ndarray) -> dict[str, np.ndarray]:
        """The strength, which adds up over the depth."""
        if "tds_strength" not in parameters:
            return {}
        strength = parameters["tds_strength"]
        return {"tds_strength": np.moveaxis(np.tensordot(strength, shares, (1, 1)), -1, 1).astype(strength.dtype)}

    def dimmed(self, parameters: Mapping[str, Any], share: Any) -> dict[str, Any]:
        """Nothing: the strength is a share of the probe's counts."""
        return {}

    def absorption(self, xp: Any, tds_strength: Array) -> Array:
        """What is left of the wave's amplitude (S, Y, X), of a strength (C, S, Y, X)."""
        return xp.exp(np.float32(-0.5) * tds_strength.sum(0)).astype(tds_strength.dtype, copy=False)

    def emission(self, xp: Any, tds_strength: Array) -> Array:
        """What is given off (C, S, Y, X): E of the strength."""
        total = tds_strength.sum(0)
        ratio = -xp.expm1(-total) / xp.maximum(total, np.finfo(tds_strength.dtype).tiny)
        return tds_strength * xp.where(total > 0, ratio, 1).astype(tds_strength.dtype, copy=False)[None]

    def emission_adjoint(self, xp: Any, tds_strength: Array, gradient: Array) -> Array:
        """Gradient by the strength of what has this `gradient` by the emission, both (C, S, Y, X)."""
        total = xp.maximum(tds_strength.sum(0), np.finfo(tds_strength.dtype).tiny)
        ratio = -xp.expm1(-total) / total
        derivative = (xp.exp(-total) - ratio) / total  # d ratio / d total; -1/2 where there is nothing
        derivative = xp.where(total > 1e-4, derivative, -0.5 + total / 3)
        return ratio[None] * gradient + derivative[None] * (gradient * tds_strength).sum(0)[None]

    def patterns(self, backend: Backend, window: tuple[int, int], dtype: Any) -> Array:
        """B_c (C, Ny, Nx) in FFT order: the share of the electrons that one gives off which reaches each pixel."""
        b = np.broadcast_to(np.asarray(self.b_factor, float), (len(self.elements),)).tolist()
        weights = iter(self.weights(backend.to_numpy))
        shapes = [
            np.tensordot(next(weights), self.hat_functions(window), 1) if e == LEARNED else self.shape_of(e, f, window)
            for e, f in zip(self.elements, b, strict=True)
        ]
        return backend.to_device(np.array(shapes), dtype)

    def weights(self, host: Callable[[Any], np.ndarray] = np.asarray) -> np.ndarray:
        """Weights (L, K) of the learned shapes, as they are or as they begin."""
        if self.profile is not None:
            return host(self.profile)
        return np.array([first_profile(self.aperture, self.reach) for e in self.elements if e == LEARNED])

    def hat_functions(self, window: tuple[int, int]) -> np.ndarray:
        """What learned shapes are made of (K, Ny, Nx), in FFT order."""
        return hat_functions(self.aperture, self.reach, tuple(window), self.extent)

    def shape_of(self, element: str, b_factor: float, window: tuple[int, int]) -> np.ndarray:
        """B of one channel (Ny, Nx) float64 in FFT order, with another factor."""
        return _thermal_shape(element, b_factor, tuple(window), self.extent, self.aperture, self.energy)


@dataclass(frozen=True, eq=False)
class Background:
    """The same electrons in every pattern, from the camera's noise floor, stray beams or inelastic scattering.

    Parameters
    ----------
    pattern : ndarray (Ny, Nx) float, optional
        Mean counts in FFT order; the state's, once there is one.
    first_counts : float
        In a pixel at the start.
    """

    pattern: Any = None
    first_counts: float = 1e-3

    def first(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, np.ndarray]:
        """The parameters at the start."""
        return {"background": np.full(window, self.first_counts, np.float32)}

    def bind(self, parameters: Mapping[str, Any]) -> Background:
        """With a state's pattern."""
        return replace(self, pattern=parameters["background"]) if "background" in parameters else self

    def resampled(self, parameters: Mapping[str, Any], change: GridChange) -> dict[str, np.ndarray]:
        """The pattern, with the least that there is anywhere beyond."""
        if "background" not in parameters:
            return {}
        return {"background": change.on_detector(parameters["background"], float(parameters["background"].min()))}

    def in_slices(self, parameters: Mapping[str, Any], shares: np.ndarray) -> dict[str, np.ndarray]:
        """Nothing: it comes from no slice."""
        return {}

    def dimmed(self, parameters: Mapping[str, Any], share: Any) -> dict[str, Any]:
        """So much less in every pattern."""
        return {"background": parameters["background"] * share} if "background" in parameters else {}


def thermal_profile(element: str, b_factor: float, k: np.ndarray, energy: float | None = None) -> np.ndarray:
    """f(k)^2 (1 - exp(-B k^2 / 2)), what an atom of this element scatters diffusely, A^2; k in 1/A.

    Of a formula it is the sum over its atoms. With an energy, f is that of the whole phase shift of an atom, |F[exp(iv)
    - 1]| over the interaction constant, of which the Born approximation is the first order: an atom that moves as it is
    takes all of its scattering along, so that the formula stays exact.

    Examples
    --------
    >>> bool(thermal_profile("C", 0.5, np.array([0.0, 1.0]))[0] == 0)
    True
    >>> bool(np.isclose(thermal_profile("MoS2", 0.5, 1.0), thermal_profile("Mo", 0.5, 1.0)
    ...     + 2 * thermal_profile("S", 0.5, 1.0)))
    True
    """
    k = np.asarray(k, float)
    squares = np.zeros_like(k)
    for symbol, count in atoms_of(element):
        square = scattering_factor(symbol, k) ** 2
        if energy is not None:
            square = square * np.interp(k, *_beyond_born(symbol, float(energy)))
        squares = squares + count * square
    return squares * -np.expm1(-b_factor * k**2 / 2)


@lru_cache(maxsize=32)
def _beyond_born(symbol: str, energy: float) -> tuple[np.ndarray, np.ndarray]:
    """|f|^2 of the whole phase over that of its first order, at k (1/A): of one atom on a fine grid, ring by ring."""
    pixels, sampling = 320, 0.04  # holds an atom, and reaches to 12 1/A
    middle = np.array([[pixels * sampling / 2] * 2])
    phase = projected_phase(middle, (pixels, pixels), sampling, energy, element=symbol, b_factor=0.0).astype(float)
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(pixels, sampling)] * 2, indexing="ij"))
    ring = np.rint(k * pixels * sampling).astype(int).ravel()
    whole, first = (
        np.bincount(ring, (np.abs(np.fft.fft2(wave)) ** 2).ravel()) for wave in (np.exp(1j * phase) - 1, phase)
    )
    last = int(0.8 * 0.5 / sampling * pixels * sampling)  # the grid's own limit is felt beyond
    return np.arange(last) / (pixels * sampling), whole[:last] / first[:last]


def atoms_of(formula: str) -> list[tuple[str, int]]:
    """Symbols and numbers of a chemical formula.

    Examples
    --------
    >>> atoms_of("SrTiO3")
    [('Sr', 1), ('Ti', 1), ('O', 3)]
    """
    found = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if not found or "".join(s + n for s, n in found) != formula:
        raise ParameterError(f"{formula!r} is no chemical formula; expected such as 'Si' or 'MoS2'.")
    return [(symbol, int(number or 1)) for symbol, number in found]


@lru_cache(maxsize=64)
def _thermal_shape(
    element: str,
    b_factor: float,
    window: tuple[int, int],
    extent: tuple[float, float],
    aperture: float,
    energy: float | None,
) -> np.ndarray:
    """The profile on detector pixels (Ny, Nx), as a share of what goes anywhere, spread by the aperture.

    Averaged over positions of the probe, |F[psi v]|^2 is the convolution of |F psi|^2 and |F v|^2.
    """
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(window, extent, strict=True))
    radius = np.r_[0, np.geomspace(1e-3, BEYOND, 4000)]
    everywhere = trapezoid(2 * np.pi * radius * thermal_profile(element, b_factor, radius, energy), radius)
    if aperture <= 0:
        sharp = thermal_profile(element, b_factor, np.hypot(ky[:, None], kx[None]), energy)
        return sharp / (everywhere * extent[0] * extent[1])
    wide = tuple(2 * n for n in window)  # what comes in over the edge has to be there
    wy, wx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(wide, extent, strict=True))
    radii = np.hypot(wy[:, None], wx[None])
    disk = np.clip((aperture - radii) * max(extent) + 0.5, 0, 1)
    spectrum = np.fft.rfft2(thermal_profile(element, b_factor, radii, energy)) * np.fft.rfft2(disk / disk.sum())
    spread = np.maximum(np.fft.irfft2(spectrum, s=wide), 0)
    rows, columns = (np.fft.fftfreq(n, 1 / n).astype(int) for n in window)
    return spread[rows[:, None], columns[None]] / (everywhere * extent[0] * extent[1])
