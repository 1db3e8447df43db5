"""The loops of the direct methods in numpy, in chunks that stay in the cache; BLAS is kept on the calling thread."""

# ruff: noqa: D103 (what each function gives is told in pattern_kernels.py)

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.linalg import lapack

SPLINE_MARGIN = 12  # of spline coefficients, which the edge of an image no longer tells beyond
_CHUNK = 250_000  # numbers that are worked on at a time
_BLAS_SIZE = 200_000  # multiplications below which BLAS stays on the calling thread; its own pool would fight ours

_BLAS_COMPLEX = 60_000  # the same of complex numbers


def moments(patterns: np.ndarray, middle: tuple[int, int], out: np.ndarray) -> bool:
    count, qy, qx = patterns.shape
    rows, columns = (np.arange(n, dtype=np.float32) - m for n, m in zip((qy, qx), middle, strict=True))
    right = np.stack([np.ones(qx, np.float32), columns], axis=1)
    chunk = max(1, _CHUNK // (qy * qx))
    lines = max(1, _BLAS_SIZE // (2 * qx))
    negative = False
    for first in range(0, count, chunk):
        part = patterns[first : first + chunk]
        negative |= part.dtype.kind in "fi" and bool(part.min() < 0)
        flat = part.reshape(-1, qx).astype(np.float32, copy=False)
        sums = np.concatenate([flat[start : start + lines] @ right for start in range(0, len(flat), lines)])
        profiles = sums.reshape(-1, qy, 2)
        into = out[first : first + chunk]
        into[:, 0], into[:, 2] = profiles.sum(1, dtype=np.float64).T
        into[:, 1] = (profiles[..., 0] * rows).sum(1, dtype=np.float64)
    return negative


def between(
    patterns: np.ndarray,
    first: np.ndarray,
    taps: np.ndarray,
    step: int,
    within: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    side, reach = len(within[0]), taps.shape[-1]
    width = step * (side - 1) + reach
    inside = (np.arange(side) >= within[0][:, None]) & (np.arange(side) < within[1][:, None])
    chunk = max(1, _CHUNK // width**2)
    for start in range(0, len(patterns), chunk):
        part = slice(start, start + chunk)
        patches = np.zeros((len(first[part]), width, width), np.float32)
        low = np.maximum(first[part], 0)
        high = np.minimum(first[part] + width, patterns.shape[1:])
        from_, to = low - first[part], high - first[part]
        for n in np.flatnonzero((high > low).all(1)):
            (y0, x0), (y1, x1), (t, l), (b, r) = low[n], high[n], from_[n], to[n]
            patches[n, t:b, l:r] = patterns[start + n, y0:y1, x0:x1]
        down, right = (_bands(taps[part, axis], step, side) for axis in (0, 1))
        out[part] = (down @ patches @ right.swapaxes(1, 2))[:, inside]


def _bands(taps: np.ndarray, step: int, side: int) -> np.ndarray:
    """Matrices (n, side, W) whose every row has the T weights `step` places further on."""
    count, reach = taps.shape
    width = step * (side - 1) + reach
    rows = np.zeros((count, side, width + step), np.float32)
    rows[..., :reach] = taps[:, None]
    return rows.reshape(count, -1)[:, : side * width].reshape(count, side, width)


def add_images(images: np.ndarray, places: np.ndarray, shares: np.ndarray, target: np.ndarray) -> None:
    ny, nx = images.shape[1:]
    work = np.empty((ny, nx), np.float32)
    for image, spots, parts in zip(images, places.tolist(), shares, strict=True):
        for (plane, y, x), share in zip(spots, parts, strict=True):
            np.multiply(image, share, out=work)
            target[plane, y : y + ny, x : x + nx] += work


def sample(coefficients: np.ndarray, first: np.ndarray, steps: np.ndarray, fade: np.ndarray, out: np.ndarray) -> None:
    y, x = np.indices(out.shape)
    index = first[:, None, None] + steps[0][:, None, None] * y + steps[1][:, None, None] * x
    last = np.array(coefficients.shape) - 1 - SPLINE_MARGIN
    inside = np.clip(index, SPLINE_MARGIN, last[:, None, None])
    beyond = ((index - inside) * fade[:, None, None]) ** 2
    ndimage.map_coordinates(coefficients, inside, output=out, order=3, prefilter=False)
    out *= np.exp(-beyond.sum(0))


def products(
    table: np.ndarray,
    lit: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    counts: np.ndarray,
    pixels: np.ndarray,
    at: np.ndarray,
    data: np.ndarray,
) -> np.ndarray:
    count, size = ends[0].shape
    out = np.zeros((count, size + 1, size + 1), np.complex64)
    chunk = max(1, _CHUNK // ((size + 1) * len(pixels)))
    few = max(8, _BLAS_COMPLEX // (size + 1) ** 2)
    for first in range(0, count, chunk):
        part = slice(first, first + chunk)
        one, other = (table.take(e[part, :, None] + pixels) for e in ends)
        there = np.arange(size) < counts[part, None]
        side = (at.conj() * one - at * other.conj()) * there[..., None]
        bands = np.concatenate([side, data[part, None]], axis=1)
        conjugate = bands.conj()
        for start in range(0, len(pixels), few):
            of_pixels = slice(start, start + few)
            out[part] += conjugate[..., of_pixels] @ bands[..., of_pixels].swapaxes(1, 2)
    return out


def solve(matrix: np.ndarray, right: np.ndarray, added: np.ndarray) -> np.ndarray:
    out = np.empty_like(right)
    for one, of, more, x in zip(matrix, right, added, out, strict=True):
        x[:] = lapack.cposv(one + np.diag(more), of[:, None])[1][:, 0]
    return out


def beams(
    table: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    pixels: np.ndarray,
    places: np.ndarray,
    at: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    one, other = (np.zeros((len(ends[0]), size), np.complex64) for _ in range(2))
    one[:, places] = table.take(ends[0][:, None] + pixels) * at.conj()
    other[:, places] = table.take(ends[1][:, None] + pixels).conj() * at
    return one, other


def deconvolve(one: np.ndarray, other: np.ndarray, data: np.ndarray, which: np.ndarray, floor: float) -> np.ndarray:
    powers = [w.real**2 + w.imag**2 for w in (one, other)]
    share = 1 / (powers[0] + powers[1] + np.float32(floor))
    first, second = share * one.conj(), share * other.conj()
    fields = data[which]
    sums = [*((share * p).sum(1) for p in powers), *((a * b).sum(1) for a, b in ((first, other), (first, fields)))]
    return np.stack([*sums, (second * fields).sum(1)], axis=1).astype(np.complex64)
