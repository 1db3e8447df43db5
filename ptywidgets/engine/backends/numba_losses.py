"""Residuals and bends of losses compiled by numba, from the formulas that :mod:`ptywidgets.engine.losses` gives.

The two kernels are kept on disk; which of the built-in formulas they call is an argument, since numba keeps no function
that it was handed. (Numba looks at the age of this file only: touch it after a change of the formulas.) Any other loss
is worked out by numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ptywidgets.engine.backends import numpy_kernels
from ptywidgets.engine.losses import LOSSES, AmplitudeLoss, AnscombeLoss, IntensityLoss, PoissonLoss

_KINDS = {AmplitudeLoss: 0, AnscombeLoss: 1, PoissonLoss: 2, IntensityLoss: 3}
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit(function, cache=True, **_OPTIONS)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(function, **_OPTIONS)


def _pixels(loss: Any) -> tuple[Any, Any]:
    """Loops over a row: the residual's factor, in place of the intensities, with the loss; and the bend."""
    value_at, slope_at, curvature_at, secant_at = (
        numba.njit(formula, **_OPTIONS) for formula in (loss.value_at, loss.slope_at, loss.curvature_at, loss.secant_at)
    )

    @numba.njit(**_OPTIONS)
    def residual(row, measured, least):  # type: ignore[no-untyped-def]
        zero, total = least - least, 0.0
        for i in range(row.shape[0]):
            good = measured[i] >= zero
            intensity, amplitude = max(row[i], least), max(measured[i], zero)
            total += value_at(intensity, amplitude) if good else zero
            row[i] = -slope_at(intensity, amplitude) if good else zero
        return total

    @numba.njit(**_OPTIONS)
    def bend(row, half, square, measured, least):  # type: ignore[no-untyped-def]
        zero, total = least - least, 0.0
        for i in range(row.shape[0]):
            good = measured[i] >= zero
            intensity, amplitude = max(row[i], least), max(measured[i], zero)
            along = half[i] / intensity * half[i]
            across = max(square[i] - along, zero)
            slope, curvature = slope_at(intensity, amplitude), curvature_at(intensity, amplitude)
            stretch = secant_at(intensity, amplitude) if amplitude * amplitude > intensity else curvature
            slope = max(slope, zero)
            here = max(stretch, zero) * along + (slope + slope) * across
            total += here if good else zero
        return total

    return residual, bend


_amplitude_residual, _amplitude_bend = _pixels(AmplitudeLoss)
_anscombe_residual, _anscombe_bend = _pixels(AnscombeLoss)
_poisson_residual, _poisson_bend = _pixels(PoissonLoss)
_intensity_residual, _intensity_bend = _pixels(IntensityLoss)


@_compiled
def _residual(far, amplitudes, kind, row, least):  # type: ignore[no-untyped-def]
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
                total += _amplitude_residual(row, measured, least)
            elif kind == 1:
                total += _anscombe_residual(row, measured, least)
            elif kind == 2:
                total += _poisson_residual(row, measured, least)
            else:
                total += _intensity_residual(row, measured, least)
            for m in range(far.shape[1]):
                w = far[b, m, y]
                for i in range(row.shape[0]):
                    w[2 * i] *= row[i]
                    w[2 * i + 1] *= row[i]
    return total


@_compiled
def _bend(far, tangent, amplitudes, kind, rows, least):  # type: ignore[no-untyped-def]
    total = 0.0
    row, half, square = rows[0], rows[1], rows[2]
    for b in range(far.shape[0]):
        for y in range(far.shape[2]):
            rows[:] = 0
            for m in range(far.shape[1]):
                w, t = far[b, m, y], tangent[b, m, y]
                for i in range(row.shape[0]):
                    wr, wi, tr, ti = w[2 * i], w[2 * i + 1], t[2 * i], t[2 * i + 1]
                    row[i] += wr * wr + wi * wi
                    half[i] += wr * tr + wi * ti
                    square[i] += tr * tr + ti * ti
            measured = amplitudes[b, y]
            if kind == 0:
                total += _amplitude_bend(row, half, square, measured, least)
            elif kind == 1:
                total += _anscombe_bend(row, half, square, measured, least)
            elif kind == 2:
                total += _poisson_bend(row, half, square, measured, least)
            else:
                total += _intensity_bend(row, half, square, measured, least)
    return total


def residual(far: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    if type(loss) not in _KINDS:
        return numpy_kernels.residual(far, amplitudes, loss)
    dtype = far.real.dtype
    row = np.empty(far.shape[-1], dtype)
    return float(_residual(far.view(dtype), amplitudes, _KINDS[type(loss)], row, dtype.type(loss.least(dtype))))


def bend(far: np.ndarray, tangent: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    if type(loss) not in _KINDS:
        return numpy_kernels.bend(far, tangent, amplitudes, loss)
    dtype = far.real.dtype
    rows, least = np.empty((3, far.shape[-1]), dtype), dtype.type(loss.least(dtype))
    return float(_bend(far.view(dtype), tangent.view(dtype), amplitudes, _KINDS[type(loss)], rows, least))


assert set(_KINDS) == set(LOSSES.values())
