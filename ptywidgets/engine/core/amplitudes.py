"""Amplitudes, square roots of counts, as patterns, losses and the loops of every backend take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def amplitude_floor(dtype: Any) -> Any:
    """The least amplitude that is divided by: A over it stays finite, and times a darker wave it comes to nothing.

    Examples
    --------
    >>> bool(np.float32(1e6) / amplitude_floor(np.float32) < np.finfo(np.float32).max)
    True
    """
    return np.sqrt(np.finfo(dtype).tiny)


def rounding_share(dtype: Any) -> Any:
    """What transforms may round a wave by, of the root mean square of its pattern's amplitudes: 100 epsilon.

    Where no intensity is modelled, as outside the aperture with an empty object, the wave is that rounding only, and
    A / |Psi| - 1 would make it as long as A, with a phase that means nothing and differs between batches.

    Examples
    --------
    >>> float(rounding_share(np.float64))
    2.220446049250313e-14
    """
    return 100 * np.finfo(dtype).eps


def amplitudes(counts: np.ndarray, indices: np.ndarray, origin: np.ndarray, mask: Any, out: np.ndarray) -> None:
    """out (B, Ny, Nx) = square roots of counts[indices], in FFT order from each one's origin; -1 where masked."""
    rows, columns = (_segments(out.shape[axis], counts.shape[axis]) for axis in (1, 2))
    for b, (index, (y, x)) in enumerate(zip(indices.tolist(), origin[indices].tolist(), strict=True)):
        pattern, target = counts[index], out[b]
        for to_rows, from_rows in rows(y):
            for to_columns, from_columns in columns(x):
                part = target[to_rows, to_columns]
                np.copyto(part, pattern[from_rows, from_columns], casting="unsafe")
                if mask is not None:
                    np.copyto(part, 1, where=~mask[from_rows, from_columns])
                np.sqrt(np.maximum(part, 0, out=part), out=part)
                if mask is not None:
                    np.copyto(part, -1, where=~mask[from_rows, from_columns])


def _segments(used: int, full: int) -> Callable[[int], list[tuple[slice, slice]]]:
    """For an origin, the pieces (target, source) of a row in FFT order, of `used` pixels out of `full`."""
    half = (used + 1) // 2

    def pieces(origin: int) -> list[tuple[slice, slice]]:
        found = []
        for first, length, start in ((0, half, origin % full), (half, used - half, (origin - used + half) % full)):
            before = min(length, full - start)
            for offset, count, source in ((0, before, start), (before, length - before, 0)):
                if count:
                    to = first + offset
                    found.append((slice(to, to + count), slice(source, source + count)))
        return found

    return pieces
