"""Finds where one field lies on another: whole pixels by correlation, fractions by Gauss-Newton steps.

A real field is fitted by gain * truth(r - s) + a + b.r, a complex one by c truth(r - s) exp(i g.r): the phase is never
unwrapped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.metrics.truth.fields import Field

_STEPS, _ENOUGH = 12, 1e-4  # of the fits; px
_SLOPE = 0.1  # px, half the distance over which derivatives are taken
_STALE = 0.1  # px from where derivatives were taken, beyond which they are taken anew


def planes(pixels: np.ndarray, ramp: bool) -> np.ndarray:
    """Orthonormal columns (P, 1 or 3) that span a constant and, maybe, ramps over pixels (2, P)."""
    columns = [np.ones(pixels.shape[1])]
    if ramp:
        columns += list(pixels - pixels.mean(1, keepdims=True))
    return np.linalg.qr(np.stack(columns, 1))[0]


def without(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Values (..., P) without their part in an orthonormal basis (P, B)."""
    return values - (values @ basis) @ basis.T


def shift_of_real(
    values: np.ndarray, field: Field, mask: np.ndarray, ramp: bool, reach: int, any_sign: bool
) -> np.ndarray:
    """Shift (2,) in pixels at which values (P,) at the pixels of a mask (Y, X) match a field best."""
    pixels = np.array(np.nonzero(mask), float)
    basis = planes(pixels, ramp)
    measured = without(values, basis)
    shift = _whole_shift(measured, field, mask, reach, "either" if any_sign else "positive")
    best = without(field.at(pixels, shift)[0], basis)
    at = np.full(2, np.inf)
    for _ in range(_STEPS):
        if np.abs(shift - at).max() > _STALE:
            at, slopes = shift, [without(_slope(field, pixels, shift, axis)[0], basis) for axis in (0, 1)]
        # measured = gain (best + slopes . step): linear in the gain and in gain * step
        (gain, *scaled), *_ = np.linalg.lstsq(np.stack([best, *slopes], 1), measured, rcond=None)
        step = np.clip(np.array(scaled) / gain, -0.5, 0.5) if gain else np.zeros(2)
        shift, best, moved = _search(shift, best, step, lambda s: without(field.at(pixels, s)[0], basis), measured)
        if moved < _ENOUGH:
            break
    return shift


def _search(
    shift: np.ndarray,
    best: np.ndarray,
    step: np.ndarray,
    look: Callable[[np.ndarray], np.ndarray],
    measured: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Go the step, or half of it and so on, until the correlation grows: where, what is there, how far it was."""
    reached = _correlation(measured, best)
    for _ in range(6):
        trial = look(shift + step)
        if abs(_correlation(measured, trial)) > abs(reached):
            return shift + step, trial, float(np.abs(step).max())
        step = step / 2
    return shift, best, 0.0


def shift_of_complex(
    values: np.ndarray, field: Field, mask: np.ndarray, ramp: bool, reach: int
) -> tuple[np.ndarray, np.ndarray, complex]:
    """Shift (2,) px, ramp (2,) rad/px and factor c at which complex values (P,) match a field best."""
    pixels = np.array(np.nonzero(mask), float)
    slope = np.zeros(2)
    shift = np.zeros(2)
    if ramp:  # where there is much vacuum, it says the ramp before anything is known of the shift
        slope = _spectral_peak(values, mask) - _spectral_peak(field.at(pixels, shift)[0], mask)
    for _ in range(3):
        turned = values * np.exp(-1j * slope @ pixels)
        shift = _whole_shift(turned - turned.mean(), field, mask, reach, "complex").astype(float)
        if not ramp:
            break
        before = slope
        slope = _spectral_peak(values * field.at(pixels, shift)[0].conj(), mask)
        if np.abs(slope - before).max() < 1e-3:
            break
    centre = pixels.mean(1)

    def model(parameters: np.ndarray) -> np.ndarray:
        wave = field.at(pixels, parameters[:2])[0]
        return wave * np.exp(1j * parameters[2:] @ (pixels - centre[:, None]))

    def misfit(wave: np.ndarray) -> float:
        return -(abs(np.vdot(wave, values)) ** 2) / float(np.vdot(wave, wave).real)

    now = np.r_[shift, slope]
    wave = model(now)
    at = np.full(2, np.inf)
    for _ in range(_STEPS):
        c = np.vdot(wave, values) / np.vdot(wave, wave)
        turn = np.exp(1j * now[2:] @ (pixels - centre[:, None]))
        if np.abs(now[:2] - at).max() > _STALE:
            at, slopes = now[:2], [_slope(field, pixels, now[:2], axis)[0] for axis in (0, 1)]
        columns = [wave, 1j * wave, *(c * turn * s for s in slopes)]
        if ramp:
            columns += [1j * c * wave * (p - m) for p, m in zip(pixels, centre, strict=True)]
        design = np.stack(columns, 1)
        normal, right = (design.conj().T @ design).real, (design.conj().T @ (values - c * wave)).real
        scale = np.sqrt(np.diag(normal))
        scale = np.where(scale > 0, scale, 1)
        step = np.linalg.lstsq(normal / np.outer(scale, scale), right / scale, rcond=1e-12)[0] / scale
        change = np.zeros(4)
        change[: len(step) - 2] = step[2:]
        change[:2] = np.clip(change[:2], -0.5, 0.5)
        for _ in range(6):
            trial = model(now + change)
            if misfit(trial) < misfit(wave):
                now, wave = now + change, trial
                break
            change = change / 2
        else:
            break
        if np.abs(change[:2]).max() < _ENOUGH and np.abs(change[2:]).max() * max(mask.shape) < _ENOUGH:
            break
    c = np.vdot(wave, values) / np.vdot(wave, wave)
    return now[:2], now[2:], complex(c * np.exp(-1j * now[2:] @ centre))


def _slope(field: Field, pixels: np.ndarray, shift: np.ndarray, axis: int) -> np.ndarray:
    """Derivative of the field's values by the shift along an axis."""
    by = _SLOPE * np.eye(2)[axis]
    return (field.at(pixels, shift + by) - field.at(pixels, shift - by)) / (2 * _SLOPE)


def _whole_shift(values: np.ndarray, field: Field, mask: np.ndarray, reach: int, sign: str) -> np.ndarray:
    """Whole shift (2,), at most `reach`, at which values of zero mean on a mask correlate best with a field."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    low = np.array([rows[0], columns[0]])
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    wide = np.meshgrid(*(np.arange(-reach, n + reach) + b for n, b in zip(box.shape, low, strict=True)), indexing="ij")
    places = np.stack([w.ravel() for w in wide]).astype(float)
    truth = field.at(places, np.zeros(2))[0].reshape(wide[0].shape)
    truth = truth - truth.mean()
    shape = [sfft.next_fast_len(n) for n in truth.shape]
    kept = slice(0, 2 * reach + 1)
    picture = np.zeros(box.shape, values.dtype)
    picture[box] = values

    def against(what: np.ndarray, other: np.ndarray) -> np.ndarray:
        return sfft.ifft2(np.conj(sfft.fft2(what, shape)) * sfft.fft2(other, shape))[kept, kept]

    count = np.count_nonzero(box)
    inside = box.astype(float)
    power = against(inside, np.abs(truth) ** 2).real - np.abs(against(inside, truth)) ** 2 / count
    correlation = against(picture, truth) / np.sqrt(np.maximum(power, 1e-9 * power.max() + 1e-300))
    score = correlation.real if sign == "positive" else np.abs(correlation)
    place = np.array(np.unravel_index(score.argmax(), score.shape))
    return reach - place.astype(float)


def _spectral_peak(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Ramp (2,) in rad/px of the plane wave that is strongest in values (P,) on a mask."""
    picture = np.zeros(mask.shape, complex)
    picture[mask] = values
    shape = [sfft.next_fast_len(2 * n) for n in mask.shape]
    power = np.abs(sfft.fft2(picture, shape, workers=worker_count()))
    place = np.unravel_index(power.argmax(), power.shape)
    return np.array([2 * np.pi * np.fft.fftfreq(n)[p] for n, p in zip(shape, place, strict=True)])


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-300))
