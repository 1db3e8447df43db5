"""Residuals and Hessians of losses compiled by numba, from the formulas that :mod:`ptywidgets.engine.losses.losses`
gives.

The two kernels are kept on disk; which of the built-in formulas they call is an argument, since numba keeps no function
that it was handed. (Numba looks at the age of this file only: touch it after a change of the formulas.) Any other loss
is worked out by numpy.
"""

# numba infers the types of the loops from what they are called with.
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN202, D103

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ptywidgets.engine.backends.kernels import numpy_kernels
from ptywidgets.engine.losses.losses import LOSSES, AmplitudeLoss, AnscombeLoss, IntensityLoss, PoissonLoss

_1, _2 = np.uint64(1), np.uint64(2)
_KINDS = {AmplitudeLoss: 0, AnscombeLoss: 1, PoissonLoss: 2, IntensityLoss: 3}
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit(function, cache=True, **_OPTIONS)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(function, **_OPTIONS)


def _pixels(loss: Any) -> tuple[Any, Any]:
    """Loops over a row: the residual's factor, in place of the intensities, with the loss; and, in place of them, one
    over their roots, with the Hessian's two weights: of changes of the modulus alone, and of all changes."""
    value_at, derivative_at, curvature_at, secant_curvature_at = (
        numba.njit(formula, **_OPTIONS)
        for formula in (loss.value_at, loss.derivative_at, loss.curvature_at, loss.secant_curvature_at)
    )

    @numba.njit(**_OPTIONS)
    def residual(row, measured, floor):
        zero, total = floor - floor, 0.0
        for i in range(row.shape[0]):
            good = measured[i] >= zero
            intensity, amplitude = max(row[i], floor), max(measured[i], zero)
            total += value_at(intensity, amplitude) if good else zero
            row[i] = -derivative_at(intensity, amplitude) if good else zero
        return total

    @numba.njit(**_OPTIONS)
    def weights(row, measured, floor, along, across):
        zero = floor - floor
        for i in range(row.shape[0]):
            good = measured[i] >= zero
            intensity, amplitude = max(row[i], floor), max(measured[i], zero)
            derivative, curvature = max(derivative_at(intensity, amplitude), zero), curvature_at(intensity, amplitude)
            majorizer_curvature = max(
                secant_curvature_at(intensity, amplitude) if amplitude * amplitude > intensity else curvature, zero
            )
            along[i] = majorizer_curvature - (derivative + derivative) if good else zero
            across[i] = derivative + derivative if good else zero
            row[i] = np.sqrt(intensity) / intensity

    return residual, weights


_amplitude_residual, _amplitude_hessian = _pixels(AmplitudeLoss)
_anscombe_residual, _anscombe_hessian = _pixels(AnscombeLoss)
_poisson_residual, _poisson_hessian = _pixels(PoissonLoss)
_intensity_residual, _intensity_hessian = _pixels(IntensityLoss)


@_compiled
def _residual(far, amplitudes, kind, row, floor):
    total = 0.0
    for b in range(far.shape[0]):
        for y in range(far.shape[2]):
            row[:] = 0
            for m in range(far.shape[1]):
                w = far[b, m, y]
                for i in range(row.shape[0]):
                    row[i] += w[2 * i] * w[2 * i] + w[2 * i + 1] * w[2 * i + 1]
            measured = amplitudes[b, y]
            if kind == 0:
                total += _amplitude_residual(row, measured, floor)
            elif kind == 1:
                total += _anscombe_residual(row, measured, floor)
            elif kind == 2:
                total += _poisson_residual(row, measured, floor)
            else:
                total += _intensity_residual(row, measured, floor)
            for m in range(far.shape[1]):
                w = far[b, m, y]
                for i in range(row.shape[0]):
                    w[2 * i] *= row[i]
                    w[2 * i + 1] *= row[i]
    return total


@_compiled
def _hessian(far, tangents, amplitudes, kind, rows, changes, floor, matrix):
    row, along, across, width = rows[0], rows[1], rows[2], np.uint64(rows.shape[1])
    for b in range(far.shape[0]):
        for y in range(far.shape[2]):
            row[:] = 0
            for m in range(far.shape[1]):
                for i in range(width):
                    wr, wi = far[b, m, y, _2 * i], far[b, m, y, _2 * i + _1]
                    row[i] += wr * wr + wi * wi
            measured = amplitudes[b, y]
            if kind == 0:
                _amplitude_hessian(row, measured, floor, along, across)
            elif kind == 1:
                _anscombe_hessian(row, measured, floor, along, across)
            elif kind == 2:
                _poisson_hessian(row, measured, floor, along, across)
            else:
                _intensity_hessian(row, measured, floor, along, across)
            changes[:] = 0  # of the modulus
            for k in range(tangents.shape[0]):
                for m in range(far.shape[1]):
                    for i in range(width):
                        wr, wi = far[b, m, y, _2 * i], far[b, m, y, _2 * i + _1]
                        tr, ti = tangents[k, b, m, y, _2 * i], tangents[k, b, m, y, _2 * i + _1]
                        changes[k, i] += (wr * tr + wi * ti) * row[i]
                for n in range(k + 1):
                    total = floor - floor
                    for i in range(width):
                        total += along[i] * changes[k, i] * changes[n, i]
                    for m in range(far.shape[1]):
                        for i in range(width):
                            tr, ti = tangents[k, b, m, y, _2 * i], tangents[k, b, m, y, _2 * i + _1]
                            ur, ui = tangents[n, b, m, y, _2 * i], tangents[n, b, m, y, _2 * i + _1]
                            total += across[i] * (tr * ur + ti * ui)
                    matrix[k, n] += total


def residual(far: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    if type(loss) not in _KINDS:
        return numpy_kernels.residual(far, amplitudes, loss)
    dtype = far.real.dtype
    row = np.empty(far.shape[-1], dtype)
    return float(
        _residual(far.view(dtype), amplitudes, _KINDS[type(loss)], row, dtype.type(loss.intensity_floor(dtype)))
    )


def hessian_block(far: np.ndarray, tangents: np.ndarray, amplitudes: np.ndarray, loss: Any) -> np.ndarray:
    if type(loss) not in _KINDS:
        return numpy_kernels.hessian_block(far, tangents, amplitudes, loss)
    dtype, count = far.real.dtype, len(tangents)
    rows, floor = np.empty((3 + count, far.shape[-1]), dtype), dtype.type(loss.intensity_floor(dtype))
    matrix = np.zeros((count, count))
    kind = _KINDS[type(loss)]
    _hessian(far.view(dtype), tangents.view(dtype), amplitudes, kind, rows[:3], rows[3:], floor, matrix)
    return matrix + np.tril(matrix, -1).T


assert set(_KINDS) == set(LOSSES.values())
