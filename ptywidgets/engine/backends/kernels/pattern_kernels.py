"""Loops over whole patterns and scan images, of the direct methods: compiled by numba, or composed of numpy calls.

They release the interpreter lock, start no threads of their own and give the same results in both forms.
"""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np

from ptywidgets.engine.backends.kernels import numpy_patterns
from ptywidgets.engine.backends.kernels.kernels import compiled


class PatternKernels(Protocol):
    """Arrays are C-contiguous, of native numbers."""

    def moments(self, patterns: np.ndarray, middle: tuple[int, int], out: np.ndarray) -> bool:
        """out (n, 3) float64 = sums of p, p (row - middle) and p (column - middle) of patterns p (n, Qy, Qx), one at
        least; whether any p is negative."""

    def between(
        self,
        patterns: np.ndarray,
        first: np.ndarray,
        taps: np.ndarray,
        step: int,
        within: tuple[np.ndarray, np.ndarray],
        out: np.ndarray,
    ) -> None:
        """out (n, P) = sum_st taps[n, 0, s] taps[n, 1, t] p[n, first[n] + step (i, j) + (s, t)].

        The result's rows i have pixels j from within[0][i] to within[1][i], which out (float32) has one after another.
        first (n, 2) int64, taps (n, 2, T) float32. Beyond its edges a pattern is zero.
        """

    def add_images(self, images: np.ndarray, places: np.ndarray, shares: np.ndarray, target: np.ndarray) -> None:
        """Window of plane target[c] at (y, x) += shares[n, k] images[n], for (c, y, x) = places[n, k].

        images (n, Ry, Rx), shares (n, k) and target (C, Y, X) float32, places (n, k, 3) int64.
        """

    def sample(
        self, coefficients: np.ndarray, first: np.ndarray, steps: np.ndarray, fade: np.ndarray, out: np.ndarray
    ) -> None:
        """out (Y, X) = the cubic spline at first + y steps[0] + x steps[1], rows and columns of its coefficients.

        Closer to the edge than SPLINE_MARGIN, and beyond, it is the value of the nearest point further in times
        exp(-|fade d|^2), d being the way there. coefficients (H, W) and out float32, the others float64: first and
        fade (2,), steps (2, 2).
        """

    def products(
        self,
        table: np.ndarray,
        lit: np.ndarray,
        ends: tuple[np.ndarray, np.ndarray],
        counts: np.ndarray,
        pixels: np.ndarray,
        at: np.ndarray,
        data: np.ndarray,
    ) -> np.ndarray:
        """sum_K conj(b_m) b_n, (C, N + 1, N + 1) complex64, of side bands b (C, N, K) and, as the last, data (C, K).

        b_n = conj(at) table[minus_n + pixels] - at conj(table[plus_n + pixels]), with ends (C, N) minus and plus; of
        row c the first counts[c] are there, the others zero. table (T,), at (K,) and data complex64, the others int64;
        lit (P,) bool tells where the table's planes of P numbers may be other than zero.
        """

    def solve(self, matrix: np.ndarray, right: np.ndarray, added: np.ndarray) -> np.ndarray:
        """x (C, N) of (matrix + diag(added)) x = right; matrix (C, N, N), Hermitian and positive, and right (C, N) are
        complex64, added (C, N) is real."""

    def beams(
        self,
        table: np.ndarray,
        ends: tuple[np.ndarray, np.ndarray],
        pixels: np.ndarray,
        places: np.ndarray,
        at: np.ndarray,
        size: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """conj(at) table[ends[0] + pixels] and at conj(table[ends[1] + pixels]), (n, size) complex64, at `places` (K,)
        and zero elsewhere; as in :meth:`products` else."""

    def deconvolve(
        self, one: np.ndarray, other: np.ndarray, data: np.ndarray, which: np.ndarray, floor: float
    ) -> np.ndarray:
        """Sums (n, 5) complex64 of s |a|^2, s |b|^2, s conj(a) b, s conj(a) d and s conj(b) d over rows a of one and b
        of other, (n, P), and d = data[which], data (m, P), all complex64; s = 1 / (|a|^2 + |b|^2 + floor)."""


@functools.cache
def pattern_kernels(wanted: str = "auto") -> PatternKernels:
    """The kernels of a name; "auto" takes numba where it is installed.

    Examples
    --------
    >>> pattern_kernels("numpy").__name__
    'ptywidgets.engine.backends.kernels.numpy_patterns'
    """
    if compiled(wanted):
        from ptywidgets.engine.backends.kernels import numba_patterns

        return numba_patterns
    return numpy_patterns
