"""Moving the probe by a fraction of a pixel, P_j(r) = P(r - d_j), and its exact adjoint.

Two operators do it, both linear in P:

* :class:`FourierShift` multiplies the spectrum by exp(-2 pi i k.d): exact for every wave, two more FFTs a position.
* :class:`ChebyshevShift` expands the same factor in Chebyshev polynomials of d (Jacobi-Anger),

      exp(-i pi k t) = sum_n (2 - delta_n0) (-i)^n J_n(pi k) T_n(t),   t = 2 d in [-1, 1],

  for rows times columns, as far as needed. Then P_j = sum_r c_r(d_j) B_r with R images B_r, made once for a batch,
  and a position costs R multiplications a pixel, in one matrix product, where an FFT would cost several times that.
  The adjoint adds c_r(d_j) g_j up in R images and takes them back through the same factors, once for a batch.

The terms fall off like (k/2)^n with their total degree n, and J_a J_b of rows and columns is larger than J_n of one of
them. So how many a probe needs depends on how far out its spectrum reaches: :func:`choose_shift` takes as few as keep
the wave's relative error below :data:`TOLERANCE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from scipy.special import jv

from ptywidgets.engine.core.protocols import Array, Backend

# Of the norm of the wave, at the worst fraction of a pixel; the mean over fractions is a third of it. What counting
# leaves uncertain in an amplitude is half an electron an illuminated pixel: with a million electrons in a thousand
# pixels that is 2e-2, ten times more.
TOLERANCE = 2e-3
DEGREES = range(2, 9)
TERM = 0.1  # what an image costs a position, forth and back, where the exact shift costs 2 transforms

Terms = tuple[tuple[int, int], ...]  # orders (a, b) of the polynomials in rows and columns


class Shift(Protocol):
    """The movement of a batch's probe; `places` are positions of a chunk, counted in the batch."""

    def waves(self, backend: Backend, places: Any) -> Array: ...

    def tangent(self, backend: Backend, places: Any, axis: int) -> Array: ...

    def zeros(self, backend: Backend) -> Array: ...

    def collect(self, backend: Backend, places: Any, by_waves: Array, sums: Array) -> None: ...

    def adjoint(self, backend: Backend, sums: Array) -> Array: ...


@dataclass(frozen=True)
class NoShift:
    """All positions on whole pixels: every wave is the probe."""

    probe: Array  # (M, Ny, Nx), window-centred

    def waves(self, backend: Backend, places: Any) -> Array:
        """The probe as (1, M, Ny, Nx), for all positions."""
        return self.probe[None]

    def tangent(self, backend: Backend, places: Any, axis: int) -> Array:
        """Derivative (1, M, Ny, Nx) of the waves by the positions along an axis, per px."""
        spectrum = backend.fft2(self.probe.copy())
        spectrum *= _derivative(backend, spectrum, axis)
        return backend.ifft2(spectrum)[None]

    def zeros(self, backend: Backend) -> Array:
        """An accumulator for :meth:`collect`."""
        return backend.xp.zeros_like(self.probe)

    def collect(self, backend: Backend, places: Any, by_waves: Array, sums: Array) -> None:
        """Add the gradients by the waves of a chunk (B, M, Ny, Nx) up."""
        sums += by_waves.sum(0)

    def adjoint(self, backend: Backend, sums: Array) -> Array:
        """Gradient by the window-centred probe (M, Ny, Nx)."""
        return sums


@dataclass(frozen=True)
class FourierShift:
    """The exact shift of a band-limited wave, by a ramp on its spectrum."""

    spectrum: Array  # (M, Ny, Nx) of the window-centred probe
    fractions: Array  # (B, 2) px

    def waves(self, backend: Backend, places: Any) -> Array:
        """Moved waves (B, M, Ny, Nx)."""
        fractions = self.fractions[places]
        waves = backend.empty("waves", (len(fractions), *self.spectrum.shape), self.spectrum.dtype)
        waves[...] = self.spectrum
        backend.ramp(waves, fractions, *self._slopes(backend, -1))
        return backend.ifft2(waves)

    def tangent(self, backend: Backend, places: Any, axis: int) -> Array:
        """Derivative (B, M, Ny, Nx) of the waves by the fractions along an axis: of F^-1[-2 pi i k ...], per px."""
        fractions = self.fractions[places]
        waves = backend.empty("moving waves", (len(fractions), *self.spectrum.shape), self.spectrum.dtype)
        waves[...] = self.spectrum * _derivative(backend, self.spectrum, axis)
        backend.ramp(waves, fractions, *self._slopes(backend, -1))
        return backend.ifft2(waves)

    def zeros(self, backend: Backend) -> Array:
        """An accumulator for :meth:`collect`."""
        return backend.xp.zeros_like(self.spectrum)

    def collect(self, backend: Backend, places: Any, by_waves: Array, sums: Array) -> None:
        """Add the spectra of the gradients by the waves up, moved back; works in the memory of `by_waves`."""
        spectra = backend.fft2(by_waves)
        backend.ramp(spectra, self.fractions[places], *self._slopes(backend, 1))
        sums += spectra.sum(0)

    def adjoint(self, backend: Backend, sums: Array) -> Array:
        """Gradient by the window-centred probe (M, Ny, Nx)."""
        return backend.ifft2(sums)

    def _slopes(self, backend: Backend, sign: int) -> tuple[Array, Array]:
        rows, columns = ((sign * 2 * np.pi) * backend.xp.fft.fftfreq(n) for n in self.spectrum.shape[-2:])
        return rows, columns


@dataclass(frozen=True)
class ChebyshevShift:
    """The shift as a sum of R fixed images with weights that depend on the fraction of the pixel."""

    images: Array  # (R, M, Ny, Nx)
    factors: Array  # (R, 1, Ny, Nx): image r is F^-1 [factor r x spectrum]
    terms: Terms
    fractions: Array  # (B, 2) px
    weights: Array  # (B, R), T_a(2 dy) T_b(2 dx)

    @classmethod
    def prepare(cls, backend: Backend, spectrum: Array, terms: Terms, fractions: Array) -> ChebyshevShift:
        """For a probe with this spectrum (M, Ny, Nx), window-centred, and a batch's fractions (B, 2) px."""
        factors = _factors_on(backend.xp, spectrum.dtype, spectrum.shape[-2:], terms)
        images = backend.empty("images", (len(factors), *spectrum.shape), spectrum.dtype)
        backend.xp.multiply(factors, spectrum, out=images)
        weights = _polynomials(backend.xp, terms, fractions).prod(-1).astype(spectrum.real.dtype)
        return cls(backend.ifft2(images), factors, terms, fractions, weights)

    def waves(self, backend: Backend, places: Any) -> Array:
        """Moved waves (B, M, Ny, Nx)."""
        return backend.combine(self.weights[places], self.images)

    def tangent(self, backend: Backend, places: Any, axis: int) -> Array:
        """Derivative (B, M, Ny, Nx) of the waves by the fractions along an axis, per px."""
        xp, fractions = backend.xp, self.fractions[places]
        orders = xp.asarray(self.terms)[:, axis]
        slopes = 2 * _chebyshev_slopes(xp, 2 * fractions[:, axis], _degree(self.terms))[:, orders]
        weights = slopes * _polynomials(xp, self.terms, fractions)[..., 1 - axis]
        return backend.combine(weights.astype(self.weights.dtype), self.images)

    def zeros(self, backend: Backend) -> Array:
        """An accumulator for :meth:`collect`."""
        return backend.zeros(self.images.shape, self.images.dtype)

    def collect(self, backend: Backend, places: Any, by_waves: Array, sums: Array) -> None:
        """Add the gradients by the waves up, by their weights."""
        backend.combine_adjoint(self.weights[places], by_waves, sums)

    def adjoint(self, backend: Backend, sums: Array) -> Array:
        """Gradient by the window-centred probe (M, Ny, Nx)."""
        spectra = backend.fft2(sums)
        spectra *= self.factors.conj()
        return backend.ifft2(spectra.sum(0))


def _derivative(backend: Backend, spectrum: Array, axis: int) -> Array:
    """-2 pi i k along an axis, in FFT order, to multiply spectra (M, Ny, Nx) with."""
    k = backend.xp.fft.fftfreq(spectrum.shape[axis - 2])
    return (-2j * np.pi * (k[:, None] if axis == 0 else k[None])).astype(spectrum.dtype)


def _polynomials(xp: Any, terms: Terms, fractions: Array) -> Array:
    """T_a(2 dy) and T_b(2 dx) (B, R, 2) of the terms."""
    return xp.cos(xp.arccos(xp.clip(2 * fractions, -1, 1))[:, None, :] * xp.asarray(terms))


def _chebyshev_slopes(xp: Any, x: Array, degree: int) -> Array:
    """Derivatives T_a'(x) = a U_a-1(x) of the polynomials up to a degree (B, degree + 1), at x (B,)."""
    second = [xp.zeros_like(x), xp.ones_like(x)]  # U_-1, U_0
    for _ in range(degree - 1):
        second.append(2 * x * second[-1] - second[-2])
    return xp.stack([a * u for a, u in enumerate(second)], axis=1)


def choose_shift(backend: Backend, probe: Array, fractions: Array | None, count: int | None = None) -> Shift:
    """The cheapest shift that is right for a probe (M, Ny, Nx), corner-centred, and a batch's fractions (B, 2) px.

    With `count` that which is the cheapest for so many positions: as it would be for a batch that these are a part of.
    """
    centred = backend.xp.fft.fftshift(probe, axes=(-2, -1))
    if fractions is None:
        return NoShift(centred)
    spectrum = backend.fft2(centred)
    if probe.dtype == np.complex64:  # a computation in double precision wants to be exact
        energy = backend.to_numpy((spectrum.real**2 + spectrum.imag**2).sum(0))
        terms = fewest_terms(energy)
        # The images cost 2 transforms each for a batch, the exact shift 2 for a position.
        count = len(fractions) if count is None else count
        if terms is not None and len(terms) * (2 + TERM * count) <= 2 * count:
            return ChebyshevShift.prepare(backend, spectrum, terms, fractions)
    return FourierShift(spectrum, fractions)


def fewest_terms(energy: np.ndarray, tolerance: float = TOLERANCE) -> Terms | None:
    """The fewest terms that shift waves of this power spectrum (Ny, Nx) well enough, or None.

    Examples
    --------
    >>> k = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None])
    >>> [len(fewest_terms((k < radius) * 1.0)) for radius in (0.1, 0.25, 0.5)]
    [6, 13, 19]
    """
    spectrum = energy.astype(np.float32, copy=False).ravel()
    least = tolerance**2 * float(spectrum.sum(dtype=np.float64))
    for terms in _sets():
        if (_squared_errors(energy.shape, terms) @ spectrum).max() <= least:
            return terms
    return None


@lru_cache(maxsize=1)
def _sets() -> list[Terms]:
    """All terms up to each degree, and with those of the next one that are of rows and columns both."""
    sets = []
    for degree in DEGREES:
        terms = tuple((a, b) for a in range(degree + 1) for b in range(degree + 1 - a))
        sets += [terms, (*terms, *((a, degree + 1 - a) for a in range(1, degree + 1)))]
    return sets


def _degree(terms: Terms) -> int:
    return max(max(orders) for orders in terms)


@lru_cache(maxsize=8)
def _factors(shape: tuple[int, int], terms: Terms) -> np.ndarray:
    """Jacobi-Anger factors (R, Ny, Nx) complex128 of the terms, in FFT order."""
    rows, columns = (
        [(2 if n else 1) * (-1j) ** n * jv(n, np.pi * np.fft.fftfreq(size)) for n in range(_degree(terms) + 1)]
        for size in shape
    )
    return np.array([np.outer(rows[a], columns[b]) for a, b in terms])


@lru_cache(maxsize=16)
def _factors_on(xp: Any, dtype: Any, shape: tuple[int, int], terms: Terms) -> Array:
    """The same (R, 1, Ny, Nx) of an array library and a precision, for spectra (M, Ny, Nx)."""
    return xp.asarray(_factors(shape, terms).astype(dtype))[:, None]


@lru_cache(maxsize=32)
def _squared_errors(shape: tuple[int, int], terms: Terms) -> np.ndarray:
    """Squared error (6, Ny Nx) float32 of the shift factor at each frequency, for the worst fractions of a pixel."""
    factors = _factors(shape, terms)
    ky, kx = (np.fft.fftfreq(n) for n in shape)
    errors = []
    for dy, dx in ((0.5, 0.5), (0.5, -0.5), (0.5, 0.0), (0.0, 0.5), (0.35, 0.35), (0.35, -0.35)):
        ay, ax = np.arccos(2 * dy), np.arccos(2 * dx)
        weights = [np.cos(a * ay) * np.cos(b * ax) for a, b in terms]
        exact = np.outer(np.exp(-2j * np.pi * ky * dy), np.exp(-2j * np.pi * kx * dx))
        errors.append((np.abs(np.tensordot(weights, factors, 1) - exact) ** 2).ravel())
    return np.array(errors, np.float32)
