"""The inner loops compiled by numba: each reads and writes every wave once.

The functions release the interpreter lock and start no threads of their own: numba's and OpenMP's pools spin while they
wait, and collapse when another process takes a core. Complex arrays are walked as pairs of real numbers, row by row,
which the compiler turns into vector instructions. The first call compiles; the result is kept on disk where it can be.
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
from ptywidgets.engine.core.amplitudes import amplitude_floor, rounding_share

_COUNTS = [np.dtype(name) for name in ("u1", "u2", "u4", "i2", "i4", "i8", "f4", "f8")]  # compiled for, when met
_1, _2 = np.uint64(1), np.uint64(2)  # an unsigned index cannot be negative, so that nobody has to look
_NO_MASK = np.ones((1, 1), bool)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at the first call, without the lock; fastmath lets sums be vectorised."""
    try:
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy", cache=True)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only container
        return numba.njit(function, nogil=True, fastmath=True, error_model="numpy")


def _real(array: np.ndarray) -> np.ndarray:
    return array.view(array.real.dtype)


@_compiled
def _multiply_patches(waves, field, corners, out):
    same = waves.shape[0] == 1
    for b in range(corners.shape[0]):
        c, first = 0 if same else b, np.uint64(2 * corners[b, 1])
        for m in range(waves.shape[1]):
            for y in range(waves.shape[2]):
                row = corners[b, 0] + y
                for i in range(np.uint64(waves.shape[3]) // _2):
                    k, n = _2 * i, _2 * i + _1
                    pr, pi, fr, fi = waves[c, m, y, k], waves[c, m, y, n], field[row, first + k], field[row, first + n]
                    out[b, m, y, k] = pr * fr - pi * fi
                    out[b, m, y, n] = pr * fi + pi * fr


@_compiled
def _multiply_patches_adjoint(residual, field, corners, waves, gradient):
    same = waves.shape[0] == 1
    for b in range(corners.shape[0]):
        c, first = 0 if same else b, np.uint64(2 * corners[b, 1])
        for m in range(waves.shape[1]):
            for y in range(waves.shape[2]):
                row = corners[b, 0] + y
                for i in range(np.uint64(waves.shape[3]) // _2):
                    k, n = _2 * i, _2 * i + _1
                    pr, pi, xr, xi = waves[c, m, y, k], waves[c, m, y, n], residual[b, m, y, k], residual[b, m, y, n]
                    gradient[row, first + k] += pr * xr + pi * xi
                    gradient[row, first + n] += pr * xi - pi * xr
                for i in range(np.uint64(waves.shape[3]) // _2):
                    k, n = _2 * i, _2 * i + _1
                    fr, fi, xr, xi = (
                        field[row, first + k],
                        field[row, first + n],
                        residual[b, m, y, k],
                        residual[b, m, y, n],
                    )
                    residual[b, m, y, k] = fr * xr + fi * xi
                    residual[b, m, y, n] = fr * xi - fi * xr


@_compiled
def _add_same_patch(field, corners, image, top, bottom):
    """Row by row of the field, which stays in the nearest cache while all windows are added that reach it."""
    begin = end = 0  # of the windows that reach a row
    for row in range(top, bottom):
        while end < corners.shape[0] and corners[end, 0] <= row:
            end += 1
        while begin < end and corners[begin, 0] + image.shape[0] <= row:
            begin += 1
        for b in range(begin, end):
            y, first = row - corners[b, 0], np.uint64(corners[b, 1])
            for i in range(np.uint64(image.shape[1])):
                field[row, first + i] += image[y, i]


@_compiled
def _sum_patches(field, corners, sums, top, bottom, line):
    """`line` (X,) takes each row of the field, or the intensities of one of pairs of numbers."""
    begin, end, width, pairs = 0, 0, np.uint64(len(line)), field.shape[1] > len(line)
    for row in range(top, bottom):
        while end < corners.shape[0] and corners[end, 0] <= row:
            end += 1
        while begin < end and corners[begin, 0] + sums.shape[0] <= row:
            begin += 1
        if pairs and begin < end:
            for i in range(width):
                re, im = field[row, _2 * i], field[row, _2 * i + _1]
                line[i] = re * re + im * im
        elif begin < end:
            for i in range(width):
                line[i] = field[row, i]
        for b in range(begin, end):
            y, first = row - corners[b, 0], np.uint64(corners[b, 1])
            for i in range(np.uint64(sums.shape[1])):
                sums[y, i] += line[first + i]


@_compiled
def _extract_patches(field, corners, out):
    for b in range(out.shape[0]):
        for s in range(out.shape[1]):
            for y in range(out.shape[2]):
                source = field[s, corners[b, 0] + y, corners[b, 1] : corners[b, 1] + out.shape[3]]
                target = out[b, s, y]
                for i in range(out.shape[3]):
                    target[i] = source[i]


@_compiled
def _add_patches(field, corners, patches):
    for b in range(patches.shape[0]):
        for s in range(patches.shape[1]):
            for y in range(patches.shape[2]):
                target = field[s, corners[b, 0] + y, corners[b, 1] : corners[b, 1] + patches.shape[3]]
                source = patches[b, s, y]
                for i in range(patches.shape[3]):
                    target[i] += source[i]


_exactly = numba.njit(nogil=True, error_model="numpy", cache=True)  # without fastmath, also where it is inlined


@_exactly  # the reduction of the angle is lost if sums are reordered
def _cosine_and_sine(phase):
    """By quarter turns and polynomials, which, unlike library calls, become vector instructions; coefficients of
    S. L. Moshier's Cephes library."""
    quarter = np.rint(phase * np.float32(0.6366197723675814))
    r = ((phase - quarter * np.float32(1.5703125)) - quarter * np.float32(4.837512969970703e-4)) - (
        quarter * np.float32(7.549789948768648e-8)
    )
    r2 = r * r
    sine = ((np.float32(-1.9515295891e-4) * r2 + np.float32(8.3321608736e-3)) * r2 - np.float32(1.6666654611e-1)) * (
        r2 * r
    ) + r
    cosine = (
        ((np.float32(2.443315711809948e-5) * r2 - np.float32(1.388731625493765e-3)) * r2)
        + np.float32(4.166664568298827e-2)
    ) * (r2 * r2) + (np.float32(1) - np.float32(0.5) * r2)
    turn = np.int32(quarter) & 3
    c = sine if turn & 1 else cosine
    s = cosine if turn & 1 else sine
    return -c if turn == 1 or turn == 2 else c, -s if turn >= 2 else s


@_exactly
def _phase_factor(phase, out):
    for i in range(phase.shape[0]):
        out[2 * i], out[2 * i + 1] = _cosine_and_sine(phase[i])


@_compiled
def _phase_gradient(transmission, gradient, out):
    for i in range(out.shape[0]):
        out[i] = transmission[2 * i] * gradient[2 * i + 1] - transmission[2 * i + 1] * gradient[2 * i]


@_compiled
def _correct(field, corners, waves, residual, step, passed, change):
    """`change` (2 Nx,) takes what a row's modes ask for together."""
    width = np.uint64(step.shape[1])
    for b in range(corners.shape[0]):
        first = np.uint64(2 * corners[b, 1])
        for y in range(step.shape[0]):
            row = corners[b, 0] + y
            change[:] = 0
            for m in range(waves.shape[1]):
                for i in range(width):
                    k, n = _2 * i, _2 * i + _1
                    pr, pi, xr, xi = waves[b, m, y, k], waves[b, m, y, n], residual[b, m, y, k], residual[b, m, y, n]
                    fr, fi = field[row, first + k], field[row, first + n]
                    change[k] += pr * xr + pi * xi
                    change[n] += pr * xi - pi * xr
                    waves[b, m, y, k] = fr * xr + fi * xi
                    waves[b, m, y, n] = fr * xi - fi * xr
            for i in range(width):
                k, n = _2 * i, _2 * i + _1
                fr, fi = field[row, first + k], field[row, first + n]
                passed[b, y, i] = fr * fr + fi * fi
                field[row, first + k] = fr + step[y, i] * change[k]
                field[row, first + n] = fi + step[y, i] * change[n]


@_compiled
def _correct_phase(phase, field, corners, waves, residual, step, change):
    """`change` (Nx,) takes what a row's modes ask for together."""
    width = np.uint64(step.shape[1])
    for b in range(corners.shape[0]):
        first, start = np.uint64(corners[b, 1]), np.uint64(2 * corners[b, 1])
        for y in range(step.shape[0]):
            row = corners[b, 0] + y
            change[:] = 0
            for m in range(waves.shape[1]):
                for i in range(width):
                    k, n = _2 * i, _2 * i + _1
                    pr, pi, xr, xi = waves[b, m, y, k], waves[b, m, y, n], residual[b, m, y, k], residual[b, m, y, n]
                    fr, fi = field[row, start + k], field[row, start + n]
                    br, bi = fr * xr + fi * xi, fr * xi - fi * xr
                    change[i] += pr * bi - pi * br
                    waves[b, m, y, k] = br
                    waves[b, m, y, n] = bi
            for i in range(width):
                phase[row, first + i] += step[y, i] * change[i]
            for i in range(width):
                cosine, sine = _cosine_and_sine(phase[row, first + i])
                field[row, start + _2 * i] = cosine
                field[row, start + _2 * i + _1] = sine


@_compiled
def _ramp(waves, slopes, rows, columns, angles, turns):
    """`turns` takes cosine and sine of the `angles` (Ny + Nx,) of each row and then of each column."""
    height, width = np.uint64(len(rows)), np.uint64(len(columns))
    for b in range(waves.shape[0]):
        for i in range(height):
            angles[i] = slopes[b, 0] * rows[i]
        for i in range(width):
            angles[height + i] = slopes[b, 1] * columns[i]
        if angles.itemsize == 4:
            _phase_factor(angles, turns)
        else:
            for i in range(height + width):
                turns[_2 * i], turns[_2 * i + _1] = np.cos(angles[i]), np.sin(angles[i])
        for y in range(height):
            rr, ri = turns[_2 * y], turns[_2 * y + _1]
            for m in range(waves.shape[1]):
                for i in range(width):
                    k, n, c = _2 * i, _2 * i + _1, _2 * (height + i)
                    fr, fi = rr * turns[c] - ri * turns[c + _1], rr * turns[c + _1] + ri * turns[c]
                    wr, wi = waves[b, m, y, k], waves[b, m, y, n]
                    waves[b, m, y, k] = wr * fr - wi * fi
                    waves[b, m, y, n] = wr * fi + wi * fr


@_compiled
def _amplitudes(counts, indices, origin, mask, masked, out):
    """A row in FFT order is a run from the origin on and one that ends before it; each may wrap around the edge."""
    qy, qx = counts.shape[1], counts.shape[2]
    ny, nx = out.shape[1], out.shape[2]
    half_y, half_x = (ny + 1) // 2, (nx + 1) // 2
    nothing, zero = counts[0, 0, 0] - counts[0, 0, 0], out[0, 0, 0] - out[0, 0, 0]
    for b in range(out.shape[0]):
        j = indices[b]
        for y in range(ny):
            row = (origin[j, 0] + (y if y < half_y else y - ny)) % qy
            for part in range(4):
                first, length = (0, half_x) if part < 2 else (half_x, nx - half_x)
                start = (origin[j, 1] + (0 if part < 2 else half_x - nx)) % qx
                before = max(min(length, qx - start), 0)
                if part % 2 == 0:
                    length = before
                else:
                    first, length, start = first + before, length - before, 0
                to, source = np.uint64(first), np.uint64(start)
                for i in range(np.uint64(length)):
                    out[b, y, to + i] = max(counts[j, row, source + i], nothing)
                if masked:
                    for i in range(np.uint64(length)):
                        if not mask[row, source + i]:
                            out[b, y, to + i] = -1
            for i in range(np.uint64(nx)):
                value = out[b, y, i]
                out[b, y, i] = np.sqrt(max(value, zero)) if value >= zero else value


@_compiled
def _modulus(far, amplitudes, rows, least, share):
    total = 0.0
    width = np.uint64(amplitudes.shape[2])
    zero = least - least  # of the arrays' precision
    for b in range(far.shape[0]):
        energy = 0.0
        for y in range(far.shape[2]):
            part = zero
            for i in range(width):
                measured = max(amplitudes[b, y, i], zero)
                part += measured * measured
            energy += part
        rows[0, 0] = least + share * energy / (far.shape[2] * amplitudes.shape[2])
        rounding = rows[0, 0]  # of the arrays' precision, too
        for y in range(far.shape[2]):
            for i in range(width):
                re, im = far[b, 0, y, _2 * i], far[b, 0, y, _2 * i + _1]
                rows[0, i] = re * re + im * im
            for m in range(1, far.shape[1]):
                for i in range(width):
                    re, im = far[b, m, y, _2 * i], far[b, m, y, _2 * i + _1]
                    rows[0, i] += re * re + im * im
            loss = zero
            for i in range(width):
                measured, modelled = amplitudes[b, y, i], np.sqrt(rows[0, i])
                difference = measured - modelled if measured >= zero else zero
                loss += difference * difference
                rows[0, i] = difference * modelled / (rows[0, i] + rounding)
            total += loss
            for m in range(far.shape[1]):
                for i in range(width):
                    far[b, m, y, _2 * i] *= rows[0, i]
                    far[b, m, y, _2 * i + _1] *= rows[0, i]
    return total


@_compiled
def _add_4_to_2(o, p, w, v, a, b, c, d):
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]  # out of the loop, where the compiler could not know that they stay
    v0, v1, v2, v3 = v[0], v[1], v[2], v[3]
    for i in range(o.shape[0]):
        ai, bi, ci, di = a[i], b[i], c[i], d[i]
        o[i] += w0 * ai + w1 * bi + w2 * ci + w3 * di
        p[i] += v0 * ai + v1 * bi + v2 * ci + v3 * di


@_compiled
def _add_4(o, w, a, b, c, d):
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    for i in range(o.shape[0]):
        o[i] += w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i]


@_compiled
def _accumulate(weights, source, target, clear):
    """target (+)= weights @ source, in tiles of 2 by 4 rows and of columns that fit the cache; weights in fours."""
    last = source.shape[0] - 1
    for start in range(0, source.shape[1], 2048):
        stop = min(source.shape[1], start + 2048)
        for j in range(0, target.shape[0], 2):
            pair = j + 1 < target.shape[0]
            o = target[j, start:stop]
            p = target[j + 1 if pair else j, start:stop]
            if clear:
                o[:] = 0
                p[:] = 0
            for k in range(0, weights.shape[1], 4):  # rows beyond the last have no weight
                a, b = source[k, start:stop], source[min(k + 1, last), start:stop]
                c, d = source[min(k + 2, last), start:stop], source[min(k + 3, last), start:stop]
                if pair:
                    _add_4_to_2(o, p, weights[j, k : k + 4], weights[j + 1, k : k + 4], a, b, c, d)
                else:
                    _add_4(o, weights[j, k : k + 4], a, b, c, d)


def multiply_patches(waves: np.ndarray, field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
    _multiply_patches(_real(waves), _real(field), corners, _real(out))


def multiply_patches_adjoint(
    residual: np.ndarray, field: np.ndarray, corners: np.ndarray, waves: np.ndarray, gradient: np.ndarray
) -> None:
    _multiply_patches_adjoint(_real(residual), _real(field), corners, _real(waves), _real(gradient))


def extract_patches(field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
    _extract_patches(field, corners, out)


def add_patches(field: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> None:
    _add_patches(field, corners, patches)


def phase_factor(phase: np.ndarray, out: np.ndarray) -> None:
    if phase.dtype == np.float32 and phase.flags.c_contiguous:
        _phase_factor(phase.reshape(-1), _real(out.reshape(-1)))
    else:
        numpy_kernels.phase_factor(phase, out)


def phase_gradient(transmission: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
    if gradient.flags.c_contiguous:
        _phase_gradient(_real(transmission.reshape(-1)), _real(gradient.reshape(-1)), out.reshape(-1))
    else:
        numpy_kernels.phase_gradient(transmission, gradient, out)


def correct(
    field: np.ndarray,
    corners: np.ndarray,
    waves: np.ndarray,
    residual: np.ndarray,
    step: np.ndarray,
    passed: np.ndarray,
) -> None:
    change = np.empty(2 * step.shape[1], step.dtype)
    _correct(_real(field), corners, _real(waves), _real(residual), step, passed, change)


def correct_phase(
    phase: np.ndarray,
    field: np.ndarray,
    corners: np.ndarray,
    waves: np.ndarray,
    residual: np.ndarray,
    step: np.ndarray,
) -> None:
    if phase.dtype == np.float32:
        change = np.empty(step.shape[1], step.dtype)
        _correct_phase(phase, _real(field), corners, _real(waves), _real(residual), step, change)
    else:
        numpy_kernels.correct_phase(phase, field, corners, waves, residual, step)


def add_same_patch(field: np.ndarray, corners: np.ndarray, image: np.ndarray, rows: tuple[int, int]) -> None:
    _add_same_patch(field, corners, image, *rows)


def sum_patches(field: np.ndarray, corners: np.ndarray, sums: np.ndarray, rows: tuple[int, int]) -> None:
    _sum_patches(_real(field), corners, sums, *rows, np.empty(field.shape[1], sums.dtype))


def ramp(waves: np.ndarray, slopes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    turns = np.empty(len(rows) + len(columns), waves.dtype)
    _ramp(_real(waves), slopes, rows, columns, np.empty(len(turns), waves.real.dtype), _real(turns))


def amplitudes(counts: np.ndarray, indices: np.ndarray, origin: np.ndarray, mask: Any, out: np.ndarray) -> None:
    counts = np.asarray(counts)  # of a memory map, the plain array
    if not (counts.flags.c_contiguous and counts.dtype.isnative and counts.dtype in _COUNTS):
        counts, origin, indices = counts[indices], origin[indices], np.arange(len(indices))
        counts = np.ascontiguousarray(counts, counts.dtype if counts.dtype in _COUNTS else out.dtype)
    _amplitudes(counts, indices, origin, _NO_MASK if mask is None else mask, mask is not None, out)


def modulus(far: np.ndarray, amplitudes: np.ndarray) -> float:
    rows = np.empty((1, far.shape[-1]), amplitudes.dtype)
    dtype = rows.dtype
    return float(_modulus(_real(far), amplitudes, rows, amplitude_floor(dtype) ** 2, rounding_share(dtype) ** 2))


def residual(far: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    from ptywidgets.engine.backends.kernels import numba_losses  # compiles, which the amplitude loss does not need

    return numba_losses.residual(far, amplitudes, loss)


def hessian_block(far: np.ndarray, tangents: np.ndarray, amplitudes: np.ndarray, loss: Any) -> np.ndarray:
    from ptywidgets.engine.backends.kernels import numba_losses

    return numba_losses.hessian_block(far, tangents, amplitudes, loss)


def accumulate(weights: np.ndarray, source: np.ndarray, target: np.ndarray, clear: bool) -> None:
    padded = np.zeros((len(weights), -(-len(source) // 4) * 4), source.dtype)
    padded[:, : len(source)] = weights
    _accumulate(padded, source, target, clear)
