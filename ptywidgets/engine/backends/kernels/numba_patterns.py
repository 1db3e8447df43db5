"""The loops over patterns compiled by numba: each pattern is read once, as the numbers that it was recorded in."""

# numba infers the types of the loops from what they are called with.
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: ANN001, ANN202, D103

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ptywidgets.engine.backends.kernels import numpy_patterns
from ptywidgets.engine.backends.kernels.numpy_patterns import SPLINE_MARGIN

_NUMBERS = [np.dtype(name) for name in ("u1", "u2", "u4", "i2", "i4", "f4", "f8")]  # compiled for, when met
_1, _2 = np.uint64(1), np.uint64(2)  # an unsigned index cannot be negative, so that nobody has to look
_16, _32, _48, _64, _80, _96, _112, _128 = (np.uint64(16 * n) for n in range(1, 9))
_ROUNDED = np.float32(1e-6)  # of a pivot, below which it is the rounding's
_FADED = np.float32(20)  # exponent beyond which there is nothing left in single precision


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy", cache=True)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy")


def _known(patterns: np.ndarray) -> bool:
    return bool(patterns.flags.c_contiguous and patterns.dtype.isnative and patterns.dtype in _NUMBERS)


@_compiled
def _moments(patterns, bits, rows, columns, out):
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
def _between(patterns, first, taps, step, starts, stops, patch, lines, out):
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
def _add_images(images, places, shares, target):
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
def _sample(coefficients, first, steps, fade, margin, out):
    one, sixth = np.float32(1), np.float32(1 / 6)
    last_y, last_x = coefficients.shape[0] - 1 - margin, coefficients.shape[1] - 1 - margin
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            row = first[0] + steps[0, 0] * y + steps[1, 0] * x
            column = first[1] + steps[0, 1] * y + steps[1, 1] * x
            down, right = min(max(row, margin), last_y), min(max(column, margin), last_x)
            off_y, off_x = np.float32((row - down) * fade[0]), np.float32((column - right) * fade[1])
            beyond = off_y * off_y + off_x * off_x
            if beyond > _FADED:
                out[y, x] = 0
                continue
            i, j = np.uint64(down), np.uint64(right)
            v, u = np.float32(down - i), np.float32(right - j)
            w, t = one - v, one - u
            a0, a3 = w * w * w * sixth, v * v * v * sixth
            a1, a2 = a3 + w - a0 - a0, a0 + v - a3 - a3  # the four add up to 1, and their moments to v
            b0, b3 = t * t * t * sixth, u * u * u * sixth
            b1, b2 = b3 + t - b0 - b0, b0 + u - b3 - b3
            total = beyond - beyond
            for s in range(4):
                k = i + np.uint64(s) - _1
                share = a0 if s == 0 else a1 if s == 1 else a2 if s == 2 else a3
                total += share * (
                    b0 * coefficients[k, j - _1]
                    + b1 * coefficients[k, j]
                    + b2 * coefficients[k, j + _1]
                    + b3 * coefficients[k, j + _2]
                )
            out[y, x] = total * np.exp(-beyond) if beyond > 0 else total


@_compiled
def _products(table, lit, near, ends, counts, fours, at, data, bands, sums, shown, out):
    """Four pixels of a detector row at a time, with all the side bands that are not zero there.

    Side bands go by sixteens: `bands` has the four real and the four imaginary parts of sixteen, and so on; `sums` for
    each m sixteen real and sixteen imaginary parts, and so on. With distances that are known to the compiler it need
    not look, sixteen by sixteen, whether what is written may be what is read.
    """
    last, length = np.uint64(out.shape[1] - 1), np.uint64(sums.shape[1])
    for c in range(out.shape[0]):
        count = np.uint64(counts[c])
        for m in range(count + _1):
            for n in range(length):
                sums[m, n] = 0
        for g in range(fours.shape[0]):
            start, stop, pixel = fours[g, 0], fours[g, 1], fours[g, 2]
            found = 0
            for n in range(count):
                left, right = lit[np.uint64(near[0, c, n] + pixel)], lit[np.uint64(near[1, c, n] + pixel)]
                one, two = _2 * np.uint64(ends[0, c, n] + pixel), _2 * np.uint64(ends[1, c, n] + pixel)
                place = _128 * (n // _16) + n % _16
                if left and right:
                    for i in range(4):
                        k, j = _2 * np.uint64(i), place + _16 * np.uint64(i)
                        a, b, x, y = table[one + k], table[one + k + _1], table[two + k], table[two + k + _1]
                        bands[j] = at[g, 0, i] * (a - x) + at[g, 1, i] * (b - y)
                        bands[j + _64] = at[g, 0, i] * (b + y) - at[g, 1, i] * (a + x)
                elif left:
                    for i in range(4):
                        k, j = _2 * np.uint64(i), place + _16 * np.uint64(i)
                        a, b = table[one + k], table[one + k + _1]
                        bands[j] = at[g, 0, i] * a + at[g, 1, i] * b
                        bands[j + _64] = at[g, 0, i] * b - at[g, 1, i] * a
                elif right:
                    for i in range(4):
                        k, j = _2 * np.uint64(i), place + _16 * np.uint64(i)
                        x, y = table[two + k], table[two + k + _1]
                        bands[j] = -at[g, 0, i] * x - at[g, 1, i] * y
                        bands[j + _64] = at[g, 0, i] * y - at[g, 1, i] * x
                else:
                    for i in range(8):
                        bands[place + _16 * np.uint64(i)] = 0
                    continue
                shown[found] = n
                found += 1
            place = _128 * (count // _16) + count % _16
            for i in range(4):
                k, j = _2 * np.uint64(min(start + i, stop - 1)), place + _16 * np.uint64(i)
                share = np.float32(start + i < stop)
                bands[j], bands[j + _64] = share * data[c, k], share * data[c, k + _1]
            shown[found] = count
            for f in range(found + 1):
                m = shown[f]
                j = _128 * (m // _16) + m % _16
                r0, r1, r2, r3 = bands[j], bands[j + _16], bands[j + _32], bands[j + _48]
                i0, i1, i2, i3 = bands[j + _64], bands[j + _80], bands[j + _96], bands[j + _112]
                for block in range(m // _16 + _1):
                    for i in range(16):
                        n, j = _32 * block + np.uint64(i), _128 * block + np.uint64(i)
                        x0, x1, x2, x3 = bands[j], bands[j + _16], bands[j + _32], bands[j + _48]
                        y0, y1, y2, y3 = bands[j + _64], bands[j + _80], bands[j + _96], bands[j + _112]
                        sums[m, n] += r0 * x0 + i0 * y0 + r1 * x1 + i1 * y1 + r2 * x2 + i2 * y2 + r3 * x3 + i3 * y3
                        sums[m, n + _16] += (
                            r0 * y0 - i0 * x0 + r1 * y1 - i1 * x1 + r2 * y2 - i2 * x2 + r3 * y3 - i3 * x3
                        )
        for m in range(count + _1):
            row = last if m == count else m
            for n in range(m + _1):
                column = last if n == count else n
                j = _32 * (n // _16) + n % _16
                out[c, row, _2 * column], out[c, row, _2 * column + _1] = sums[m, j], sums[m, j + _16]
                out[c, column, _2 * row], out[c, column, _2 * row + _1] = sums[m, j], -sums[m, j + _16]


@_compiled
def _solve(matrix, right, added, lower, column, out):
    """Cholesky's L, with conj(right) as one more row, of which it makes L^-1 right; rows go by sixteens as above."""
    size = np.uint64(right.shape[1] // 2)
    for c in range(right.shape[0]):
        for m in range(size + _1):
            for n in range(min(m + _1, size)):
                j = _32 * (n // _16) + n % _16
                if m == size:
                    lower[m, j], lower[m, j + _16] = right[c, _2 * n], -right[c, _2 * n + _1]
                else:
                    lower[m, j], lower[m, j + _16] = matrix[c, m, _2 * n], matrix[c, m, _2 * n + _1]
        for n in range(size):
            j = _32 * (n // _16) + n % _16
            lower[n, j] += np.float32(added[c, n])
        for n in range(size):
            here = _32 * (n // _16) + n % _16
            least = _ROUNDED * (matrix[c, n, _2 * n] + np.float32(added[c, n]))
            share = np.float32(1) / np.sqrt(max(lower[n, here], least))
            for m in range(n, size + _1):
                j = _32 * (m // _16) + m % _16
                lower[m, here] *= share
                lower[m, here + _16] *= share
                column[j], column[j + _16] = lower[m, here], lower[m, here + _16]
            column[here] = column[here + _16] = 0  # what is done already stays
            lower[n, here + _16] = share  # where the diagonal, which is real, has room
            for m in range(n + _1, size + _1):
                a, b = lower[m, here], lower[m, here + _16]
                for block in range((n + _1) // _16, m // _16 + _1):
                    for i in range(16):
                        j = _32 * block + np.uint64(i)
                        lower[m, j] -= a * column[j] + b * column[j + _16]
                        lower[m, j + _16] -= b * column[j] - a * column[j + _16]
        for back in range(size):
            n = size - _1 - back
            here = _32 * (n // _16) + n % _16
            a, b = lower[size, here], -lower[size, here + _16]
            for m in range(n + _1, size):
                x, y = out[c, _2 * m], out[c, _2 * m + _1]
                a -= lower[m, here] * x + lower[m, here + _16] * y
                b -= lower[m, here] * y - lower[m, here + _16] * x
            out[c, _2 * n], out[c, _2 * n + _1] = a * lower[n, here + _16], b * lower[n, here + _16]


@_compiled
def _beams(table, minus, plus, runs, at, one, other):
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
def _deconvolve(ones, others, data, which, floor, sums):
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


def add_images(images: np.ndarray, places: np.ndarray, shares: np.ndarray, target: np.ndarray) -> None:
    _add_images(images, places, shares, target)


def sample(coefficients: np.ndarray, first: np.ndarray, steps: np.ndarray, fade: np.ndarray, out: np.ndarray) -> None:
    _sample(coefficients, first, steps, fade, SPLINE_MARGIN, out)


def products(
    table: np.ndarray,
    lit: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    counts: np.ndarray,
    pixels: np.ndarray,
    at: np.ndarray,
    data: np.ndarray,
) -> np.ndarray:
    # Whole fours are read, so up to three numbers beyond a run; at is zero there, and the table must go on.
    if max(int(e.max()) for e in ends) + int(pixels.max()) + 3 >= len(table):
        return numpy_patterns.products(table, lit, ends, counts, pixels, at, data)
    start, stop, pixel = _runs(pixels).T
    parts = -(-(stop - start) // 4)
    run = np.repeat(np.arange(len(parts)), parts)
    off = 4 * (np.arange(len(run)) - (np.cumsum(parts) - parts)[run])
    fours = np.stack([start[run] + off, stop[run], pixel[run] + off], axis=1)
    each = fours[:, :1] + np.arange(4)
    shares = np.where(each < fours[:, 1:2], at[np.minimum(each, len(at) - 1)], 0)
    shares = np.ascontiguousarray(np.stack([shares.real, shares.imag], 1), np.float32)
    around = np.append(lit, np.zeros(3, bool))
    around = around[:-3] | around[1:-2] | around[2:-1] | around[3:]
    both = np.stack(ends)
    count, size = ends[0].shape
    width = -(-(size + 1) // 16) * 16
    bands, sums = np.zeros(8 * width, np.float32), np.empty((size + 1, 2 * width), np.float32)
    out = np.zeros((count, size + 1, size + 1), np.complex64)
    own = bands, sums, np.empty(size + 1, np.uint64), out.view(np.float32)
    _products(table.view(np.float32), around, both % len(lit), both, counts, fours, shares, data.view(np.float32), *own)
    return out


def solve(matrix: np.ndarray, right: np.ndarray, added: np.ndarray) -> np.ndarray:
    size = right.shape[1]
    width = 2 * -(-(size + 1) // 16) * 16
    right, out = np.ascontiguousarray(right), np.empty(right.shape, np.complex64)
    lower, column = np.zeros((size + 1, width), np.float32), np.zeros(width, np.float32)
    _solve(matrix.view(np.float32), right.view(np.float32), added, lower, column, out.view(np.float32))
    return out


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
