"""Measured patterns as the detector gave them: small numbers, and for each pattern the pixel that is its origin.

Nobody copies all data as floating-point amplitudes: a backend takes the square roots of a chunk when it works on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.amplitudes import amplitudes as square_roots
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.protocols import Backend
from ptywidgets.engine.data.streamed_counts import is_streamed


@dataclass(frozen=True, eq=False)
class Substitutes:
    """Other counts for a few of the patterns, such as what is left of them when some are held out."""

    rows: np.ndarray  # (J,) int, on the host: which row of `patterns` stands in for each pattern; -1 for none
    patterns: Patterns  # K of them
    factor: float  # of their amplitudes, to be as bright as the others

    def among(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """Places among `indices` where another pattern stands in, and its row."""
        rows = self.rows[np.asarray(indices)]
        places = np.flatnonzero(rows >= 0)
        return places, rows[places]


@dataclass(frozen=True, eq=False, repr=False)
class Patterns:
    """Counts of J diffraction patterns, and how they are to be read; nothing is copied or moved.

    Pattern j begins at the detector pixel ``origin[j]``, which becomes [0, 0]; the others follow in the order of an
    FFT, wrapping around the detector's edges. A window smaller than the detector leaves out high frequencies.

    Parameters
    ----------
    counts : array (J, Qy, Qx)
        Counts or intensities, real, in whatever type they come: a numpy array, a memory map, a device's array, or
        :class:`~ptywidgets.engine.data.streamed_counts.StreamedCounts`, which stay on disk.
    origin : ndarray (J, 2) int
        Detector pixel [row, column] of the zero frequency; whole pixels, and any of them: they are taken modulo Qy, Qx.
    window : (Ny, Nx), optional
        Pixels in use about the origin; by default the whole detector.
    mask : ndarray (Qy, Qx) bool, optional
        True where a detector pixel counts; amplitudes of others are -1, which a loss takes for not measured.
    substitutes : Substitutes, optional
        Other counts for some of the patterns.

    Examples
    --------
    >>> counts = np.zeros((1, 4, 4), np.uint8)
    >>> counts[0, 1, 2] = 9  # the beam, at row 1 and column 2
    >>> patterns = Patterns(counts, origin=np.array([[1, 2]]))
    >>> patterns
    Patterns(1 of 4 x 4, uint8)
    >>> patterns.amplitudes()[0, 0].tolist()
    [3.0, 0.0, 0.0, 0.0]
    >>> patterns.crop((2, 2)).amplitudes().tolist()
    [[[3.0, 0.0], [0.0, 0.0]]]
    """

    counts: Any
    origin: Any
    window: tuple[int, int] | None = None
    mask: Any = None
    substitutes: Substitutes | None = None

    def __post_init__(self) -> None:
        shape, kind = tuple(self.counts.shape), np.dtype(self.counts.dtype).kind
        if len(shape) != 3 or 0 in shape or kind not in "biuf":
            raise DataError(
                f"the counts are {shape} {self.counts.dtype}; expected real numbers (J, Qy, Qx), one pattern at least."
            )
        if isinstance(self.origin, (np.ndarray, list, tuple)):
            origin = np.asarray(self.origin)
            if origin.dtype.kind not in "iu":
                raise DataError(f"origins are {origin.dtype}; expected whole pixels: round them, keep the rest apart.")
            object.__setattr__(self, "origin", np.ascontiguousarray(origin, np.int64))
        if tuple(self.origin.shape) != (shape[0], 2):
            raise DataError(f"origins are {tuple(self.origin.shape)}; expected (row, column) of {shape[0]} patterns.")
        window = shape[1:] if self.window is None else tuple(int(n) for n in self.window)
        if len(window) != 2 or any(not 0 < n <= full for n, full in zip(window, shape[1:], strict=True)):
            raise DataError(f"the window is {window}; expected two numbers of pixels within the detector, {shape[1:]}.")
        object.__setattr__(self, "window", window)
        if self.mask is not None and (tuple(self.mask.shape) != shape[1:] or np.dtype(self.mask.dtype).kind != "b"):
            raise DataError(
                f"the mask is {tuple(self.mask.shape)} {self.mask.dtype}; expected bool of {shape[1:]}, the detector, "
                "True where a pixel counts."
            )
        if self.substitutes is not None:
            rows, others = self.substitutes.rows, len(self.substitutes.patterns)
            if np.shape(rows) != (shape[0],) or (len(rows) and not -1 <= rows.min() <= rows.max() < others):
                raise DataError(
                    f"the substitutes name {np.shape(rows)} rows of {others} patterns; expected one for each of the "
                    f"{shape[0]} patterns, -1 where nothing stands in."
                )

    @classmethod
    def centred(cls, counts: Any) -> Patterns:
        """Patterns (J, Ny, Nx) whose origin is at [0, 0] already."""
        return cls(counts, np.zeros((len(counts), 2), np.int64))

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(J, Ny, Nx) of the amplitudes."""
        assert self.window is not None
        return (len(self), *self.window)

    @property
    def nbytes(self) -> int:
        """Bytes of the counts."""
        return math.prod(self.counts.shape) * np.dtype(self.counts.dtype).itemsize

    @property
    def held_bytes(self) -> int:
        """Bytes of the counts that are in memory at once: all, but of those that stay on disk."""
        return int(self.counts.held_bytes) if is_streamed(self.counts) else self.nbytes

    def crop(self, window: tuple[int, int]) -> Patterns:
        """The same with only the central `window` (Ny, Nx) frequencies in use; no data are touched."""
        others = self.substitutes
        if others is not None:
            others = replace(others, patterns=others.patterns.crop(window))
        return replace(self, window=window, substitutes=others)

    def take(self, indices: Any) -> Patterns:
        """Some of the patterns, copied in their own type."""
        indices = np.asarray(indices)
        others = self.substitutes
        if others is not None:
            others = replace(others, rows=others.rows[indices])
        return replace(self, counts=self.counts[indices], origin=self.origin[indices], substitutes=others)

    def on(self, backend: Backend) -> Patterns:
        """The same on a device, in their own type; no copy where they are there already."""
        mask = None if self.mask is None else backend.to_device(self.mask)
        others = self.substitutes
        if others is not None:
            others = replace(others, patterns=others.patterns.on(backend))
        counts = self.counts if is_streamed(self.counts) else backend.to_device(self.counts)
        return replace(self, counts=counts, origin=backend.to_device(self.origin), mask=mask, substitutes=others)

    def on_host(self, backend: Backend) -> Patterns:
        """The same in the host's memory, from the device of a backend; no copy where they are there already."""
        others, to_numpy = self.substitutes, backend.to_numpy
        if others is not None:
            others = replace(others, patterns=others.patterns.on_host(backend))
        mask = None if self.mask is None else to_numpy(self.mask)
        counts = self.counts if is_streamed(self.counts) else to_numpy(self.counts)
        return replace(self, counts=counts, origin=to_numpy(self.origin), mask=mask, substitutes=others)

    def read_ahead(self, batches: Sequence[np.ndarray]) -> None:
        """Say in what order the patterns will be asked for: those on disk are read meanwhile, others are there."""
        if is_streamed(self.counts):
            self.counts.read_ahead(batches)

    def few(self, indices: np.ndarray) -> tuple[Any, Any, Any]:
        """Some patterns, where they are: an array of counts, rows of it, and the origins of its rows.

        Those in memory are the whole array and `indices`; of those on disk, what was read of them.
        """
        if not is_streamed(self.counts):
            return self.counts, indices, self.origin
        block, rows = self.counts.block(indices)
        origin = np.zeros((len(block), 2), np.int64)
        origin[rows] = np.asarray(self.origin)[indices]
        return block, rows, origin

    def max_counts(self) -> float:
        """The most counts of a pixel that the mask leaves in, anywhere on the detector; at least 0."""
        if is_streamed(self.counts):
            counts = self.counts.max_pattern()
            counts = counts if self.mask is None else counts[self.mask]
        else:
            counts = self.counts if self.mask is None else self.counts.max(0)[self.mask]
        return max(0.0, float(counts.max())) if counts.size else 0.0

    def amplitudes(self, indices: Any = None, dtype: Any = np.float32) -> np.ndarray:
        """Square roots of the counts, on the host: origin at [0, 0], and -1 where the mask leaves a pixel out.

        Parameters
        ----------
        indices : int array (B,), optional
            Which patterns; by default all, which takes J Ny Nx numbers of memory.
        dtype : numpy.dtype
            float32 or float64.

        Returns
        -------
        ndarray (B, Ny, Nx)
        """
        indices = np.arange(len(self)) if indices is None else np.asarray(indices)
        out = np.empty((len(indices), *self.shape[1:]), dtype)
        counts, rows, origin = self.few(indices)
        square_roots(counts, rows, origin, self.mask, out)
        if self.substitutes is not None:
            places, others = self.substitutes.among(indices)
            if len(places):
                out[places] = self.substitutes.patterns.amplitudes(others, dtype) * out.dtype.type(
                    self.substitutes.factor
                )
        return out

    def __repr__(self) -> str:
        j, ny, nx = self.shape
        qy, qx = self.counts.shape[1:]
        cut = "" if (ny, nx) == (qy, qx) else f" within {qy} x {qx}"
        masked = "" if self.mask is None else f", {int((~self.mask).sum())} pixels masked"
        return f"Patterns({j} of {ny} x {nx}{cut}, {self.counts.dtype}{masked})"


def fft_rows(origin: Any, used: int, full: int, xp: Any = np) -> Any:
    """Detector rows (or columns) of the `used` frequencies about each origin (B,), in FFT order: (B, used).

    Examples
    --------
    >>> fft_rows(np.array([4]), 3, 5).tolist()
    [[4, 0, 3]]
    """
    frequencies = xp.arange(used)
    frequencies = xp.where(frequencies < (used + 1) // 2, frequencies, frequencies - used)
    return (origin[:, None] + frequencies) % full
