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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from ptywidgets.engine.errors import ParameterError
from ptywidgets.engine.protocols import Array, Backend

FIRST_STRENGTH = 1e-3  # of a channel's map: what grows by factors must not begin at nothing
BEYOND = 40.0  # 1/A, to where electrons are counted that miss the detector


@dataclass(frozen=True, eq=False)
class Diffuse:
    """Thermal diffuse scattering in C channels, each of one element's shape.

    Parameters
    ----------
    elements : tuple of str
        Whose form factor each channel has, such as ("Mo", "S").
    b_factor : array_like (C,)
        Debye-Waller factors B = 8 pi^2 u^2 of the channels, A^2, with u the rms displacement along one axis; one
        number serves for all.
    extent : (float, float)
        Size of the window in A.
    strength : ndarray (C, S, Y, X) float, optional
        Share of the electrons at a pixel that leave the coherent wave there; the state's, once there is one.
    """

    elements: tuple[str, ...]
    b_factor: Any
    extent: tuple[float, float]
    strength: Any = None

    def __post_init__(self) -> None:
        b = np.broadcast_to(np.asarray(self.b_factor, float), (len(self.elements),))
        if not self.elements or not (b > 0).all():
            raise ParameterError(f"b_factor is {self.b_factor!r}; expected a number of A^2 above 0 for each element.")

    def first(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, np.ndarray]:
        """The parameters at the start, for an object (S, Y, X)."""
        b = np.broadcast_to(np.asarray(self.b_factor, np.float64), (len(self.elements),)).copy()
        strength = np.full((len(self.elements), *shape), FIRST_STRENGTH, np.float32)
        return {"strength": strength, "b_factor": b}

    def bind(self, parameters: Mapping[str, Any]) -> Diffuse:
        """With a state's strength and factors."""
        if "strength" not in parameters:
            return self
        return replace(self, strength=parameters["strength"], b_factor=parameters["b_factor"])

    def absorption(self, xp: Any, strength: Array) -> Array:
        """What is left of the wave's amplitude (S, Y, X), of a strength (C, S, Y, X)."""
        return xp.exp(np.float32(-0.5) * strength.sum(0)).astype(strength.dtype, copy=False)

    def emission(self, xp: Any, strength: Array) -> Array:
        """What is given off (C, S, Y, X): E of the strength."""
        total = strength.sum(0)
        ratio = -xp.expm1(-total) / xp.maximum(total, np.finfo(strength.dtype).tiny)
        return strength * xp.where(total > 0, ratio, 1).astype(strength.dtype, copy=False)[None]

    def emission_adjoint(self, xp: Any, strength: Array, gradient: Array) -> Array:
        """Gradient by the strength of what has this `gradient` by the emission, both (C, S, Y, X)."""
        total = xp.maximum(strength.sum(0), np.finfo(strength.dtype).tiny)
        ratio = -xp.expm1(-total) / total
        slope = (xp.exp(-total) - ratio) / total  # d ratio / d total; -1/2 where there is nothing
        slope = xp.where(total > 1e-4, slope, -0.5 + total / 3)
        return ratio[None] * gradient + slope[None] * (gradient * strength).sum(0)[None]

    def patterns(self, backend: Backend, window: tuple[int, int], dtype: Any) -> Array:
        """B_c (C, Ny, Nx) in FFT order: the share of the electrons that one gives off which reaches each pixel."""
        b = np.broadcast_to(np.asarray(self.b_factor, float), (len(self.elements),)).tolist()
        shapes = [_thermal_shape(e, f, tuple(window), self.extent) for e, f in zip(self.elements, b, strict=True)]
        return backend.to_device(np.array(shapes), dtype)


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


def thermal_profile(element: str, b_factor: float, k: np.ndarray) -> np.ndarray:
    """f(k)^2 (1 - exp(-B k^2 / 2)), what an atom of this element scatters diffusely, A^2; k in 1/A.

    Examples
    --------
    >>> bool(thermal_profile("C", 0.5, np.array([0.0, 1.0]))[0] == 0)
    True
    """
    from ptywidgets.engine.simulate import scattering_factor

    k = np.asarray(k, float)
    return scattering_factor(element, k) ** 2 * -np.expm1(-b_factor * k**2 / 2)


@lru_cache(maxsize=64)
def _thermal_shape(element: str, b_factor: float, window: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    """The profile on detector pixels (Ny, Nx), as a share of what goes anywhere."""
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(window, extent, strict=True))
    radius = np.r_[0, np.geomspace(1e-3, BEYOND, 4000)]
    everywhere = trapezoid(2 * np.pi * radius * thermal_profile(element, b_factor, radius), radius)
    return thermal_profile(element, b_factor, np.hypot(ky[:, None], kx[None])) / (everywhere * extent[0] * extent[1])
