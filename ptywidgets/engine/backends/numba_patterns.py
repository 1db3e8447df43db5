"""The loops over patterns compiled by numba: each pattern is read once, as the numbers that it was recorded in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ptywidgets.engine.backends import numpy_patterns

_NUMBERS = [np.dtype(name) for name in ("u1", "u2", "u4", "i2", "i4", "f4", "f8")]  # compiled for, when met


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy", cache=True)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy")


def _known(patterns: np.ndarray) -> bool:
    return bool(patterns.flags.c_contiguous and patterns.dtype.isnative and patterns.dtype in _NUMBERS)


@_compiled
def _moments(patterns, bits, rows, columns, out):  # type: ignore[no-untyped-def]
    every = bits[0, 0, 0]
    for n in range(patterns.shape[0]):
        total, down, right = 0.0, 0.0, 0.0
        for y in range(patterns.shape[1]):
            row, bit = patterns[n, y], bits[n, y]
            line, moment = np.float32(0), np.float32(0)
            for x in range(patterns.shape[2]):
                value = np.float32(row[x])
                line += value
                moment += value * columns[x]
                every |= bit[x]
            total += line
            down += line * rows[y]
            right += moment
        out[n, 0], out[n, 1], out[n, 2] = total, down, right
    return every < 0


@_compiled
def _between(patterns, first, taps, step, starts, stops, patch, lines, out):  # type: ignore[no-untyped-def]
    side, reach, width = len(starts), taps.shape[2], patch.shape[1]
    qy, qx = patterns.shape[1], patterns.shape[2]
    for n in range(patterns.shape[0]):
        y0, x0 = first[n, 0], first[n, 1]
        whole = y0 >= 0 and x0 >= 0 and y0 + width <= qy and x0 + width <= qx
        if not whole:
            patch[:] = 0
        left, right = max(0, -x0), min(width, qx - x0)
        for y in range(max(0, -y0), min(width, qy - y0)):
            source = patterns[n, y0 + y]
            line = patch[y]
            for x in range(left, right):
                line[x] = source[x0 + x]
        for y in range(side):
            line, top = lines[y], step * y
            line[:] = 0
            for s in range(0, reach, 4):  # four at once, so that the sum stays in a register
                a, b, c, d = taps[n, 0, s], taps[n, 0, s + 1], taps[n, 0, s + 2], taps[n, 0, s + 3]
                p, q, r, v = patch[top + s], patch[top + s + 1], patch[top + s + 2], patch[top + s + 3]
                for x in range(width):
                    line[x] += a * p[x] + b * q[x] + c * r[x] + d * v[x]
        place = 0
        for y in range(side):
            count = stops[y] - starts[y]
            into = out[n, place : place + count]
            into[:] = 0
            for s in range(0, reach, 4):
                a, b, c, d = taps[n, 1, s], taps[n, 1, s + 1], taps[n, 1, s + 2], taps[n, 1, s + 3]
                line = lines[y, step * starts[y] + s :]
                if step == 1:  # told apart for the vector instructions
                    for x in range(count):
                        into[x] += a * line[x] + b * line[x + 1] + c * line[x + 2] + d * line[x + 3]
                else:
                    for i in range(count):
                        x = step * i
                        into[i] += a * line[x] + b * line[x + 1] + c * line[x + 2] + d * line[x + 3]
            place += count


@_compiled
def _paste(images, places, shares, target):  # type: ignore[no-untyped-def]
    width = images.shape[2]
    for n in range(images.shape[0]):
        for k in range(places.shape[1]):
            plane, top, left = places[n, k, 0], places[n, k, 1], places[n, k, 2]
            share = shares[n, k]
            for y in range(images.shape[1]):
                line = target[plane, top + y, left : left + width]
                image = images[n, y]
                for x in range(width):
                    line[x] += share * image[x]


@_compiled
def _differences(table, minus, plus, runs, at, out):  # type: ignore[no-untyped-def]
    for n in range(minus.shape[0]):
        for k in range(runs.shape[0]):
            start, stop, pixel = runs[k, 0], runs[k, 1], runs[k, 2]
            one, two = table[2 * (minus[n] + pixel) :], table[2 * (plus[n] + pixel) :]
            a, into = at[2 * start : 2 * stop], out[n, 2 * start : 2 * stop]
            for i in range(stop - start):
                real, imag = a[2 * i], a[2 * i + 1]
                into[2 * i] = real * (one[2 * i] - two[2 * i]) + imag * (one[2 * i + 1] - two[2 * i + 1])
                into[2 * i + 1] = real * (one[2 * i + 1] + two[2 * i + 1]) - imag * (one[2 * i] + two[2 * i])


@_compiled
def _beams(table, minus, plus, runs, at, one, other):  # type: ignore[no-untyped-def]
    for n in range(minus.shape[0]):
        one[n] = 0
        other[n] = 0
        for k in range(runs.shape[0]):
            start, stop, pixel, place = runs[k, 0], runs[k, 1], runs[k, 2], runs[k, 3]
            a = at[2 * start : 2 * stop]
            left, right = table[2 * (minus[n] + pixel) :], table[2 * (plus[n] + pixel) :]
            first, second = one[n, 2 * place :], other[n, 2 * place :]
            for i in range(stop - start):
                real, imag = a[2 * i], a[2 * i + 1]
                first[2 * i] = real * left[2 * i] + imag * left[2 * i + 1]
                first[2 * i + 1] = real * left[2 * i + 1] - imag * left[2 * i]
                second[2 * i] = real * right[2 * i] + imag * right[2 * i + 1]
                second[2 * i + 1] = imag * right[2 * i] - real * right[2 * i + 1]


@_compiled
def _deconvolve(ones, others, data, which, floor, sums):  # type: ignore[no-untyped-def]
    for n in range(ones.shape[0]):
        one, other, field = ones[n], others[n], data[which[n]]
        zero = floor - floor
        s0, s1, cr, ci, fr, fi, gr, gi = zero, zero, zero, zero, zero, zero, zero, zero
        for x in range(ones.shape[1] // 2):
            ar, ai, br, bi = one[2 * x], one[2 * x + 1], other[2 * x], other[2 * x + 1]
            dr, di = field[2 * x], field[2 * x + 1]
            p, q = ar * ar + ai * ai, br * br + bi * bi
            share = 1 / (p + q + floor)
            s0 += share * p
            s1 += share * q
            cr += share * (ar * br + ai * bi)
            ci += share * (ar * bi - ai * br)
            fr += share * (ar * dr + ai * di)
            fi += share * (ar * di - ai * dr)
            gr += share * (br * dr + bi * di)
            gi += share * (br * di - bi * dr)
        sums[n, 0], sums[n, 1] = s0, zero
        sums[n, 2], sums[n, 3] = s1, zero
        sums[n, 4], sums[n, 5] = cr, ci
        sums[n, 6], sums[n, 7] = fr, fi
        sums[n, 8], sums[n, 9] = gr, gi


def moments(patterns: np.ndarray, middle: tuple[int, int], out: np.ndarray) -> bool:
    if not _known(patterns):
        return numpy_patterns.moments(patterns, middle, out)
    rows, columns = (np.arange(n, dtype=np.float32) - m for n, m in zip(patterns.shape[1:], middle, strict=True))
    if patterns.dtype.kind == "u":
        _moments(patterns, patterns, rows, columns, out)
        return False
    # A negative number has its first bit set; so has -0.0, which is none.
    bits = patterns.view(f"i{patterns.dtype.itemsize}")
    return bool(_moments(patterns, bits, rows, columns, out)) and bool(patterns.min() < 0)


def between(
    patterns: np.ndarray,
    first: np.ndarray,
    taps: np.ndarray,
    step: int,
    within: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    if not _known(patterns):
        numpy_patterns.between(patterns, first, taps, step, within, out)
        return
    side = len(within[0])
    padded = np.zeros((*taps.shape[:2], -(-taps.shape[2] // 4) * 4), np.float32)
    padded[..., : taps.shape[2]] = taps
    width = step * (side - 1) + padded.shape[-1]
    patch, lines = np.empty((width, width), np.float32), np.empty((side, width), np.float32)
    _between(patterns, first, padded, step, *within, patch, lines, out)


def paste(images: np.ndarray, places: np.ndarray, shares: np.ndarray, target: np.ndarray) -> None:
    _paste(images, places, shares, target)


def differences(
    table: np.ndarray, minus: np.ndarray, plus: np.ndarray, pixels: np.ndarray, at: np.ndarray, out: np.ndarray
) -> None:
    _differences(table.view(np.float32), minus, plus, _runs(pixels), at.view(np.float32), out.view(np.float32))


def beams(
    table: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    pixels: np.ndarray,
    places: np.ndarray,
    at: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    one, other = (np.empty((len(ends[0]), size), np.complex64) for _ in range(2))
    real = (a.view(np.float32) for a in (at, one, other))
    _beams(table.view(np.float32), *ends, _runs(pixels, places), *real)
    return one, other


def deconvolve(one: np.ndarray, other: np.ndarray, data: np.ndarray, which: np.ndarray, floor: float) -> np.ndarray:
    sums = np.empty((len(one), 5), np.complex64)
    real = [a.view(np.float32) for a in (one, other, data)]
    _deconvolve(*real, which, np.float32(floor), sums.view(np.float32))
    return sums


def _runs(*numbers: np.ndarray) -> np.ndarray:
    """Start, stop and first numbers (R, ...) of runs in which all numbers (K,) go up by one: pixels of a row."""
    breaks = np.any([np.diff(n) != 1 for n in numbers], axis=0)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    return np.stack([starts, np.append(starts[1:], len(numbers[0])), *(n[starts] for n in numbers)], axis=1)
