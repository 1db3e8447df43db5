"""The inner loops compiled by numba: each reads and writes every wave once.

The functions release the interpreter lock and start no threads of their own: numba's and OpenMP's pools spin while they
wait, and collapse when another process takes a core. Complex arrays are walked as pairs of real numbers, row by row,
which the compiler turns into vector instructions. The first call compiles; the result is kept on disk where it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at the first call, without the lock; fastmath lets sums be vectorised."""
    options = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(**options)(function)


def _real(array: np.ndarray) -> np.ndarray:
    return array.view(array.real.dtype)


@_compiled
def _multiply_cut(waves, field, corners, sign, out):  # type: ignore[no-untyped-def]
    same = waves.shape[0] == 1
    width = waves.shape[3]
    for b in range(corners.shape[0]):
        for m in range(waves.shape[1]):
            for y in range(waves.shape[2]):
                start = 2 * corners[b, 1]
                f = field[corners[b, 0] + y, start : start + width]
                p = waves[0 if same else b, m, y]
                q = out[b, m, y]
                for i in range(width // 2):
                    pr, pi, fr, fi = p[2 * i], p[2 * i + 1], f[2 * i], sign * f[2 * i + 1]
                    q[2 * i] = pr * fr - pi * fi
                    q[2 * i + 1] = pr * fi + pi * fr


@_compiled
def _paste_product(field, corners, waves, residual):  # type: ignore[no-untyped-def]
    same = waves.shape[0] == 1
    width = waves.shape[3]
    for b in range(corners.shape[0]):
        for m in range(waves.shape[1]):
            for y in range(waves.shape[2]):
                start = 2 * corners[b, 1]
                f = field[corners[b, 0] + y, start : start + width]
                p = waves[0 if same else b, m, y]
                x = residual[b, m, y]
                for i in range(width // 2):
                    pr, pi, xr, xi = p[2 * i], p[2 * i + 1], x[2 * i], x[2 * i + 1]
                    f[2 * i] += pr * xr + pi * xi
                    f[2 * i + 1] += pr * xi - pi * xr


@_compiled
def _add_windows(field, corners, image, gather):  # type: ignore[no-untyped-def]
    height, width = image.shape
    for b in range(corners.shape[0]):
        for y in range(height):
            f = field[corners[b, 0] + y, corners[b, 1] : corners[b, 1] + width]
            p = image[y]
            if gather:
                for i in range(width):
                    p[i] += f[i]
            else:
                for i in range(width):
                    f[i] += p[i]


@_compiled
def _ramp(waves, rows, columns):  # type: ignore[no-untyped-def]
    for b in range(waves.shape[0]):
        c = columns[b]
        for m in range(waves.shape[1]):
            for y in range(waves.shape[2]):
                rr, ri = rows[b, 2 * y], rows[b, 2 * y + 1]
                w = waves[b, m, y]
                for i in range(w.shape[0] // 2):
                    fr = rr * c[2 * i] - ri * c[2 * i + 1]
                    fi = rr * c[2 * i + 1] + ri * c[2 * i]
                    wr, wi = w[2 * i], w[2 * i + 1]
                    w[2 * i] = wr * fr - wi * fi
                    w[2 * i + 1] = wr * fi + wi * fr


@_compiled
def _modulus(far, amplitudes, row, tiny):  # type: ignore[no-untyped-def]
    total = 0.0
    width = amplitudes.shape[2]
    for b in range(far.shape[0]):
        for y in range(far.shape[2]):
            measured = amplitudes[b, y]
            for m in range(far.shape[1]):
                w = far[b, m, y]
                if m == 0:
                    for i in range(width):
                        row[i] = w[2 * i] * w[2 * i] + w[2 * i + 1] * w[2 * i + 1]
                else:
                    for i in range(width):
                        row[i] += w[2 * i] * w[2 * i] + w[2 * i + 1] * w[2 * i + 1]
            loss = row[0] - row[0]  # zero of the arrays' precision
            for i in range(width):
                modelled = np.sqrt(row[i])
                difference = measured[i] - modelled
                loss += difference * difference
                row[i] = difference / max(modelled, tiny)
            total += loss
            for m in range(far.shape[1]):
                w = far[b, m, y]
                for i in range(width):
                    w[2 * i] *= row[i]
                    w[2 * i + 1] *= row[i]
    return total


def multiply_cut(
    waves: np.ndarray, field: np.ndarray, corners: np.ndarray, conjugate: bool, out: np.ndarray
) -> None:
    sign = waves.real.dtype.type(-1 if conjugate else 1)
    _multiply_cut(_real(waves), _real(field), corners, sign, _real(out))


def paste_product(field: np.ndarray, corners: np.ndarray, waves: np.ndarray, residual: np.ndarray) -> None:
    _paste_product(_real(field), corners, _real(waves), _real(residual))


def paste_same(field: np.ndarray, corners: np.ndarray, image: np.ndarray) -> None:
    _add_windows(field, corners, image, False)


def sum_cuts(field: np.ndarray, corners: np.ndarray, sums: np.ndarray) -> None:
    _add_windows(field, corners, sums, True)


def ramp(waves: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    _ramp(_real(waves), _real(rows), _real(columns))


def modulus(far: np.ndarray, amplitudes: np.ndarray) -> float:
    row = np.empty(far.shape[-1], amplitudes.dtype)
    return float(_modulus(_real(far), amplitudes, row, np.finfo(amplitudes.dtype).tiny))
