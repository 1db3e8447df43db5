"""Regularisation that the data tell: what is noise, and how strong each spatial frequency of the phase is.

Least squares for i phi with L on the diagonal of the normal equations is the best linear estimate, a Wiener filter,
where L = noise / power of the phase at that frequency. Two kinds of noise are told apart. What the weak-phase model
misses grows with the signal, and a fit hides it among the frequencies: its L rises as |Q|, as if the power fell as
1 / |Q|. Counting noise is known from the counts, and independent of the signal; there the power is that of a first
solution in the neighbourhood of each frequency, so that a lattice keeps its spots and the frequencies between are let
go. The power is what is found and what may have been missed, |x|^2 and the variance of x: a step of expectation
maximisation, Dempster, Laird and Rubin, J. R. Stat. Soc. B 39, 1 (1977), taken ROUNDS times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.direct.sidebands.folding import Equations
from ptywidgets.engine.direct.threads import shared

ROUNDS = 2
NEIGHBOURS = 1.5  # sigma, in frequencies of the scan
KEPT = 256e6  # bytes of normal equations, beyond which they are made anew for each round
Diagonal = Callable[[Equations], np.ndarray]  # L (C, N) of equations


class Chunks:
    """Normal equations chunk by chunk on two threads, kept where there is room: they may be solved again."""

    def __init__(self, make: Callable[[np.ndarray], Equations], chunks: list[np.ndarray], nbytes: float) -> None:
        self.make, self.chunks = make, chunks
        self.kept: dict[int, Equations] | None = {} if nbytes <= KEPT else None

    def each(self, work: Callable[[Equations], Any]) -> list[Any]:
        """The results of `work`, in order."""
        results: list[Any] = [None] * len(self.chunks)

        def done(part: slice) -> None:
            n = part.start
            equations = self.kept.get(n) if self.kept is not None else None
            if equations is None:
                equations = self.make(self.chunks[n])
                if self.kept is not None:
                    self.kept[n] = equations
            results[n] = work(equations)

        shared(done, len(self.chunks), at_once=1)
        return results


def rising(strength: float) -> Diagonal:
    """L = `strength` |Q|, and 1 where there is no frequency."""
    return lambda e: np.where(np.isfinite(e.radius), strength * e.radius, 1.0)


def learnt(chunks: Chunks, first: float, counting: float, pixels: int, shape: tuple[int, int]) -> Diagonal:
    """L from the data.

    Parameters
    ----------
    chunks : Chunks
        Equations of all frequencies, or of a sample.
    first : float
        Strength with which the first solution is found, and which is the least: see :func:`rising`.
    counting : float
        Variance of the weighted data by counting; 0 where it is not known.
    pixels : int
        Of the detector, in the equations.
    shape : (int, int)
        Of the fine image.
    """
    start = rising(first)
    left, freedom, projected, trace, spread = sum(chunks.each(lambda e: _tally(e, start(e), pixels)))
    # What a first solution leaves over, so that it holds what the weak-phase model misses too.
    noise = left / max(1, freedom)
    signal = (projected - noise * trace) / max(spread, 1e-30)
    counting = min(counting, noise)
    if not signal > 0:
        return rising(first * 100)
    # Half: an image has its power in fewer and stronger frequencies than the law has.
    whole, law = (rising(first + 0.5 * (noise - known) / signal) for known in (0.0, counting))
    if not counting > 0:
        return whole
    diagonal = whole
    for _ in range(ROUNDS):
        power = _smooth_power(chunks.each(_found(diagonal)), noise, shape)
        diagonal = _with_power(law, counting, power)
    return diagonal


def _with_power(law: Diagonal, noise: float, power: np.ndarray) -> Diagonal:
    """The law's L, and noise over power (Y, X)."""
    return lambda e: law(e) + np.where(np.isfinite(e.radius), noise / power[e.rows, e.columns], 0)


def _tally(e: Equations, diagonal: np.ndarray, pixels: int) -> np.ndarray:
    """Sums that tell noise from signal."""
    found = np.isfinite(e.radius)
    radius = np.where(found, e.radius, 1.0)
    x = e.solve(diagonal)
    # x* M x - 2 x* r of the solution of (M + L) x = r.
    fitted = (e.right.conj() * x).real.sum(dtype=float) + (diagonal * (x.real**2 + x.imag**2)).sum(dtype=float)
    left = e.power.sum(dtype=float) - fitted
    trace = np.einsum("cnn->", e.matrix).real
    spread = ((e.matrix.real**2 + e.matrix.imag**2).sum(1) * found / radius).sum()
    return np.array([left, len(x) * pixels - found.sum(), (np.abs(e.right) ** 2).sum(), trace, spread])


def _found(diagonal: Diagonal) -> Callable[[Equations], tuple[np.ndarray, ...]]:
    """Rows, columns, |x|^2 and, for noise of 1, about the variance of x, of all frequencies of equations."""

    def found(e: Equations) -> tuple[np.ndarray, ...]:
        there, added = np.isfinite(e.radius), diagonal(e)
        x = e.solve(added)
        variance = 1 / (np.einsum("cnn->cn", e.matrix).real + added)
        return e.rows[there], e.columns[there], (x.real**2 + x.imag**2)[there], variance[there]

    return found


def _smooth_power(parts: list[tuple[np.ndarray, ...]], noise: float, shape: tuple[int, int]) -> np.ndarray:
    """Power (Y, X) float32 of the phase, the mean over each frequency's neighbours."""
    rows, columns, squared, variance = (np.concatenate(of) for of in zip(*parts, strict=True))
    fields = np.zeros((2, *shape), np.float32)
    for y, x in ((rows, columns), (-rows, -columns)):  # a real phase
        fields[0, y, x], fields[1, y, x] = squared + noise * variance, 1

    def smoothed(which: slice) -> None:
        fields[which] = ndimage.gaussian_filter(fields[which], (0, NEIGHBOURS, NEIGHBOURS), mode="wrap", truncate=3)

    shared(smoothed, 2)
    power, there = fields
    return np.maximum(power / np.maximum(there, 1e-6), 1e-12 * max(float(power.max()), 1e-30))
