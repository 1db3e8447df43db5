"""One field laid on another: shift, ramp, constants and depth are found, taken off, and the rest is measured."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.metrics.truth.fields import Field, depth_weights
from ptywidgets.engine.metrics.truth.fits import planes, shift_of_complex, shift_of_real, without
from ptywidgets.engine.metrics.truth.gauge import Alignment, Gauge

_SLICES = 2  # that a result may be off in depth
_FLAT = 1e-12  # rad rms: what varies less shows nothing


def match(
    result: np.ndarray,
    field: Field,
    mask: np.ndarray,
    pixel: np.ndarray,
    reach: int,
    ramp: bool | None = None,
    scale: bool = False,
    either_sign: bool = False,
    depths: tuple[float, float] | None = None,
) -> Alignment:
    """Lay a result on a truth that is ready to be looked up; see :func:`ptywidgets.engine.metrics.align`.

    Parameters
    ----------
    result : ndarray (Y, X) or (S, Y, X)
        Complex only as a single slice.
    field : Field
        The truth.
    mask : ndarray (Y, X) bool
    pixel : ndarray (2,)
        A.
    reach : int
        Pixels that the result may be off.
    depths : (float, float), optional
        A: thickness of a slice of the result and of one of the truth.
    """
    if mask.shape != result.shape[-2:] or mask.dtype.kind != "b" or np.count_nonzero(mask) < 16:
        raise DataError(
            f"the mask is {mask.shape} {mask.dtype} with {np.count_nonzero(mask)} pixels; expected bool of "
            f"{result.shape[-2:]}, True at 16 pixels or more."
        )
    whole = np.array(np.nonzero(np.ones_like(mask)), float)
    free = result.ndim == 2 if ramp is None else ramp
    if not np.isfinite(result).all():
        raise DataError(
            f"the result has {np.count_nonzero(~np.isfinite(result))} NaN or infinite pixels; replace them."
        )
    if np.iscomplexobj(result):
        return _match_transmission(result, field, mask, whole, pixel, reach, free, either_sign)
    stack = result.reshape(-1, *mask.shape)
    values = stack[:, mask]
    shift = shift_of_real(values.sum(0), field.total(), mask, free, reach, either_sign)
    pixels = np.array(np.nonzero(mask), float)
    bases = [planes(pixels, free and s == 0) for s in range(len(stack))]
    measured = np.stack([without(v, b) for v, b in zip(values, bases, strict=True)])
    slices = field.at(whole, shift)
    weights, deeper = _depth_fit(measured, slices[:, mask.ravel()], bases[-1], depths)
    everywhere = np.tensordot(weights, slices, 1).reshape(stack.shape)
    true = np.stack([without(v, b) for v, b in zip(everywhere[:, mask], bases, strict=True)])
    sign = -1 if either_sign and float((measured * true).sum()) < 0 else 1
    figures = _figures(sign * measured, true)
    contrast = figures["contrast"]
    factor = contrast if scale and contrast else 1.0
    # with its contrast, or else a slope that the truth has here by chance would pass for a ramp of the result
    rest = sign * values - contrast * everywhere[:, mask]
    offsets, slope = _planes_of(rest, pixels, free)
    surface = np.array(offsets)[:, None] * np.ones(whole.shape[1])
    surface[0] += slope @ whole
    aligned = (sign * stack - surface.reshape(stack.shape)) / factor
    gauge = _gauge(offsets, slope, shift, pixel, scale=factor, sign=sign, depth_shift=deeper)
    return Alignment(aligned.reshape(result.shape), everywhere.reshape(result.shape), mask, gauge, **figures)


def _match_transmission(
    result: np.ndarray,
    field: Field,
    mask: np.ndarray,
    whole: np.ndarray,
    pixel: np.ndarray,
    reach: int,
    ramp: bool,
    either_sign: bool,
) -> Alignment:
    """A single complex slice."""
    best = None
    pixels = np.array(np.nonzero(mask), float)
    for sign in (1, -1) if either_sign else (1,):
        values = result if sign == 1 else result.conj()
        shift, slope, factor = shift_of_complex(values[mask], field, mask, ramp, reach)
        wave = factor * field.at(pixels, shift)[0] * np.exp(1j * slope @ pixels)
        misfit = float((np.abs(values[mask] - wave) ** 2).sum())
        if best is None or misfit < best[0]:
            best = (misfit, sign, shift, slope, factor)
    assert best is not None
    _, sign, shift, slope, factor = best
    values = result if sign == 1 else result.conj()
    truth = field.at(whole, shift)[0].reshape(mask.shape)
    aligned = values * np.exp(-1j * slope @ whole).reshape(mask.shape) / factor
    true = np.angle(truth[mask])
    measured = true + np.angle(aligned[mask] * truth[mask].conj())
    basis = planes(pixels, ramp)
    figures = _figures(without(measured, basis)[None], without(true, basis)[None])
    gauge = _gauge((float(np.angle(factor)),), slope, shift, pixel, scale=abs(factor), sign=sign)
    return Alignment(aligned, truth, mask, gauge, **figures)


def _figures(measured: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Correlation and differences of two phases that have lost their constants."""
    cross, power, own = float((measured * true).sum()), float((true**2).sum()), float((measured**2).sum())
    seen = min(power, own) > _FLAT**2 * true.size
    contrast = cross / power if seen else 0.0
    rms = float(np.sqrt(np.mean((measured - true) ** 2)))
    scaled = float(np.sqrt(np.mean((measured / contrast - true) ** 2))) if contrast else math.inf
    return {
        "correlation": cross / math.sqrt(power * own) if seen else 0.0,
        "rms": rms,
        "contrast": contrast,
        "rms_scaled": scaled,
        "spread": math.sqrt(power / true.size),
    }


def _depth_fit(
    measured: np.ndarray, true: np.ndarray, basis: np.ndarray, depths: tuple[float, float] | None
) -> tuple[np.ndarray, float]:
    """How the true slices (T, P) are shared out to those of a result (S, P), and its shift in depth in A."""
    count, true_count = len(measured), len(true)
    if depths is None:
        if count != true_count:
            raise DataError(
                f"the result has {count} slices and the truth {true_count}; pass thickness= and truth_thickness= (A), "
                "or compare their sums."
            )
        return np.eye(count), 0.0
    if count == 1:
        return np.ones((1, true_count)), 0.0
    true = without(true, basis)
    cross, gram = measured @ true.T, true @ true.T

    def weights(shift: float) -> np.ndarray:
        return depth_weights(count, depths[0], true_count, depths[1], shift)

    def cost(shift: float) -> float:
        w = weights(float(shift))
        return -float((w * cross).sum()) / math.sqrt(max(float(np.einsum("st,tu,su->", w, gram, w)), 1e-300))

    step = min(depths) / 4
    grid = np.arange(-(_SLICES * max(depths) // step), _SLICES * max(depths) // step + 1) * step
    start = grid[np.argmin([cost(shift) for shift in grid])]
    fit = optimize.minimize_scalar(cost, bounds=(start - step, start + step), method="bounded", options={"xatol": 1e-3})
    shift = float(fit.x) if cost(fit.x) < cost(start) else float(start)
    return weights(shift), shift


def _planes_of(rest: np.ndarray, pixels: np.ndarray, ramp: bool) -> tuple[tuple[float, ...], np.ndarray]:
    """Constants of all slices of (S, P) at pixel [0, 0], and the ramp (2,) of the first, per pixel."""
    offsets = rest.mean(1)
    slope = np.zeros(2)
    if ramp:
        design = np.c_[np.ones(pixels.shape[1]), pixels.T]
        (offsets[0], *slope), *_ = np.linalg.lstsq(design, rest[0], rcond=None)
    return tuple(float(o) for o in offsets), np.array(slope)


def _gauge(offsets: tuple[float, ...], slope: np.ndarray, shift: np.ndarray, pixel: np.ndarray, **more: float) -> Gauge:
    """In A, from pixels."""
    v, u = (float(g) for g in slope / pixel)
    y, x = (float(s) for s in shift * pixel)
    return Gauge(offsets, (v, u), (y, x), **more)  # type: ignore[arg-type]  # the caller names the fields
