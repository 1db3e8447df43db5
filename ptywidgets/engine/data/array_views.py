"""Parts and sums of arrays that stay where they are until they are sliced: crops, bins, one scan of a series; and where
the values of a memory map are."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.core.files import files_of
from ptywidgets.engine.data.masks import nearest_good

_CHUNK = 64e6  # bytes that are read at once where several rows are summed


def whole_key(key: Any, ndim: int) -> list[Any]:
    """An index with one entry for each axis.

    Examples
    --------
    >>> whole_key((0, ..., 1), 4)
    [0, slice(None, None, None), slice(None, None, None), 1]
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    for at, part in enumerate(parts):
        if part is Ellipsis:
            parts[at : at + 1] = [slice(None)] * (ndim - len(parts) + 1)
            break
    return parts + [slice(None)] * (ndim - len(parts))


def by_pattern(data: Any) -> bool:
    """Whether single patterns of an array are read about as quickly as all in their order: it is in memory, or in a
    file as it is, not compressed and not in chunks. An array that says nothing of it has to be taken for slow."""
    return isinstance(data, np.ndarray) or bool(getattr(data, "by_pattern", False))


def cropped(data: Any, window: tuple[tuple[int, int], ...]) -> Any:
    """A window of an array, ((first, end) of each axis); a view where the array is one of numpy's."""
    if isinstance(data, np.ndarray):
        return data[tuple(slice(first, end) for first, end in window)]
    if isinstance(data, CroppedArray):
        window = tuple((o + first, o + end) for o, (first, end) in zip(data.starts, window, strict=True))
        data = data.data
    return CroppedArray(data, window)


class _View:
    """What the views share: slices are read, anything else is taken from the whole."""

    data: Any
    shape: tuple[int, ...]
    dtype: np.dtype
    ndim = 4
    chunks: tuple[int, ...] | None = None
    chunk_offset = 0  # rows of the first chunk that the view does not begin with

    @property
    def input_files(self) -> tuple[Path, ...]:
        """The files that are read."""
        return files_of(self.data)

    @property
    def by_pattern(self) -> bool:
        """Whether single patterns, anywhere in the scan, are read about as quickly as all in their order."""
        return by_pattern(self.data)

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, 4)
        if len(parts) != 4 or not all(isinstance(p, (slice, int, np.integer)) for p in parts):
            return np.asarray(self)[key]
        ranges = [range(n)[part] for n, part in zip(self.shape, parts, strict=True)]
        runs, within = [], []
        for place in ranges:
            if isinstance(place, int):
                runs.append((place, place + 1))
                within.append(0)
            elif not len(place):
                return np.empty([len(r) for r in ranges if not isinstance(r, int)], self.dtype)
            else:
                low, high = min(place[0], place[-1]), max(place[0], place[-1]) + 1
                runs.append((low, high))
                within.append(slice(None) if place.step == 1 else slice(None, None, place.step))  # type: ignore[arg-type]  # a range, as whole numbers are above
        return self._read(tuple(runs))[tuple(within)]

    def _read(self, runs: tuple[tuple[int, int], ...]) -> np.ndarray:
        """The block from first to end of each axis."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._read(tuple((0, n) for n in self.shape)).astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]


class CroppedArray(_View):
    """A window of an array (Ry, Rx, Qy, Qx)."""

    def __init__(self, data: Any, window: tuple[tuple[int, int], ...]) -> None:
        self.data, self.starts = data, tuple(first for first, _ in window)
        self.shape = tuple(end - first for first, end in window)
        self.dtype = np.dtype(data.dtype).newbyteorder("=")
        self.chunks = getattr(data, "chunks", None)
        if self.chunks:
            self.chunk_offset = (getattr(data, "chunk_offset", 0) + self.starts[0]) % self.chunks[0]

    def _read(self, runs: tuple[tuple[int, int], ...]) -> np.ndarray:
        key = tuple(slice(o + first, o + end) for o, (first, end) in zip(self.starts, runs, strict=True))
        return np.asarray(self.data[key]).astype(self.dtype, copy=False)


class BinnedArray(_View):
    """Sums over blocks of an array (Ry, Rx, Qy, Qx), in a type that holds them; what fills no block is left out.

    Examples
    --------
    >>> binned = BinnedArray(np.full((4, 4, 4, 4), 200, np.uint8), (2, 1, 2, 2))
    >>> binned.shape, binned.dtype.name, int(binned[0, 0, 0, 0])
    ((2, 4, 2, 2), 'uint16', 1600)
    """

    def __init__(self, data: Any, bins: tuple[int, int, int, int]) -> None:
        self.data, self.bins = data, bins
        self.shape = tuple(int(n) // b for n, b in zip(data.shape, bins, strict=True))
        self.dtype = summed_dtype(data.dtype, math.prod(bins))
        chunks = getattr(data, "chunks", None)
        if chunks and chunks[0] > bins[0]:
            self.chunks = (chunks[0] // math.gcd(chunks[0], bins[0]), *chunks[1:])

    @property
    def by_pattern(self) -> bool:
        """No: what is read is more than what is made of it."""
        return False

    def _read(self, runs: tuple[tuple[int, int], ...]) -> np.ndarray:
        (y0, y1), others = runs[0], runs[1:]
        inner = [(first * b, end * b) for (first, end), b in zip(others, self.bins[1:], strict=True)]
        row = math.prod(end - first for first, end in inner) * np.dtype(self.data.dtype).itemsize * self.bins[0]
        count = max(1, int(_CHUNK // max(row, 1)))
        out = np.empty((y1 - y0, *(end - first for first, end in others)), self.dtype)
        for start in range(y0, y1, count):
            stop = min(y1, start + count)
            key = (slice(start * self.bins[0], stop * self.bins[0]), *(slice(*run) for run in inner))
            out[start - y0 : stop - y0] = binned(np.asarray(self.data[key]), self.bins, self.dtype)
        return out


class SeriesView(_View):
    """One scan of a series (T, Ry, Rx, Qy, Qx), or the sum of all.

    Examples
    --------
    >>> series = np.arange(3, dtype=np.uint8)[:, None, None, None, None] * np.ones((1, 2, 2, 4, 4), np.uint8)
    >>> int(SeriesView(series, 2)[0, 0, 0, 0]), int(SeriesView(series, "sum")[0, 0, 0, 0])
    (2, 3)
    """

    def __init__(self, data: Any, choose: int | str) -> None:
        self.data, self.choose = data, choose
        self.shape = tuple(int(n) for n in data.shape[1:])
        self.dtype = summed_dtype(data.dtype, int(data.shape[0]) if choose == "sum" else 1)
        chunks = getattr(data, "chunks", None)
        self.chunks = None if chunks is None else tuple(chunks[1:])

    @property
    def by_pattern(self) -> bool:
        """Of one scan as of the series; not of a sum."""
        return self.choose != "sum" and by_pattern(self.data)

    def _read(self, runs: tuple[tuple[int, int], ...]) -> np.ndarray:
        key = tuple(slice(*run) for run in runs)
        if self.choose != "sum":
            one = (int(self.choose), *key)
            return np.asarray(self.data[one]).astype(self.dtype, copy=False)
        out = np.zeros([end - first for first, end in runs], self.dtype)
        for number in range(int(self.data.shape[0])):
            one = (number, *key)
            out += np.asarray(self.data[one])
        return out


class FlippedArray(_View):
    """An array (Ry, Rx, Qy, Qx) whose detector rows, or columns, run the other way; or those of its scan.

    Examples
    --------
    >>> flipped = FlippedArray(np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2), rows=True, columns=False)
    >>> flipped[0, 0].tolist(), flipped[0, 0, 0, 1].tolist()
    ([[2, 3], [0, 1]], 3)
    """

    def __init__(
        self, data: Any, rows: bool, columns: bool, scan_rows: bool = False, scan_columns: bool = False
    ) -> None:
        self.data, self.turned = data, (bool(scan_rows), bool(scan_columns), bool(rows), bool(columns))
        self.shape = tuple(int(n) for n in data.shape)
        self.dtype = np.dtype(data.dtype).newbyteorder("=")
        self.chunks = getattr(data, "chunks", None)
        if self.chunks:
            offset = getattr(data, "chunk_offset", 0)
            self.chunk_offset = -(self.shape[0] + offset) % self.chunks[0] if scan_rows else offset

    def _read(self, runs: tuple[tuple[int, int], ...]) -> np.ndarray:
        key, turned = [], []
        for (first, end), n, flip in zip(runs, self.shape, self.turned, strict=True):
            key.append(slice(n - end, n - first) if flip else slice(first, end))
            turned.append(slice(None, None, -1) if flip else slice(None))
        return np.asarray(self.data[tuple(key)])[tuple(turned)].astype(self.dtype, copy=False)


def binned(block: np.ndarray, bins: tuple[int, ...], dtype: Any = None) -> np.ndarray:
    """Sums over blocks of an array of as many axes as `bins`; what fills no block is left out.

    Examples
    --------
    >>> binned(np.arange(5, dtype=np.uint8), (2,)).tolist()
    [1, 5]
    """
    shape = [n // b for n, b in zip(block.shape, bins, strict=True)]
    out = np.zeros(shape, summed_dtype(block.dtype, math.prod(bins)) if dtype is None else dtype)
    for places in itertools.product(*(range(b) for b in bins)):
        out += block[tuple(slice(p, n * b, b) for p, n, b in zip(places, shape, bins, strict=True))]
    return out


def summed_dtype(dtype: Any, count: int) -> np.dtype:
    """The smallest type of the same kind that holds the sum of `count` numbers, single precision at least.

    Examples
    --------
    >>> summed_dtype("u1", 4).name, summed_dtype("i2", 16).name, summed_dtype("f2", 2).name, summed_dtype("u2", 1).name
    ('uint16', 'int32', 'float32', 'uint16')
    """
    own = np.dtype(dtype).newbyteorder("=")
    if own.kind == "b" and count > 1:
        own = np.dtype(np.uint8)
        return own if count <= np.iinfo(own).max else np.dtype(np.uint32)
    if count == 1:
        return own
    if own.kind == "f":
        return np.promote_types(own, np.float32)
    highest = count * int(np.iinfo(own).max)
    sizes = [np.dtype(f"{own.kind}{n}") for n in (1, 2, 4, 8)]
    return next((t for t in sizes if np.iinfo(t).max >= highest), np.dtype(np.float64))


@dataclass(frozen=True)
class MappedArray:
    """Where a memory map's values are: what is pickled in its stead, for numpy would pickle the values."""

    path: str
    offset: int  # bytes
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    size: int  # bytes of the whole file

    @classmethod
    def of(cls, array: np.ndarray) -> MappedArray | None:
        """Of a memory map, or of one whole block of one; None for what is none."""
        if not isinstance(array, np.memmap) or array.filename is None:
            return None
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            return None
        root: Any = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap):
            return None
        offset = root.offset + array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        path = os.path.abspath(array.filename)
        return cls(path, int(offset), array.dtype, array.shape, order, os.path.getsize(path))

    def open(self) -> np.ndarray:
        """The array again, mapped for reading."""
        name = os.path.basename(self.path)
        try:
            size = os.path.getsize(self.path)
        except OSError as error:
            raise DataError(f"{name} is no longer where it was: {self.path} ({error.strerror}).") from None
        if size != self.size:
            raise FileFormatError(f"{name} has been replaced since it was opened; read it again.")
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)


class RepairedArray:
    """An array (Ry, Rx, Qy, Qx) whose bad pixels are repaired as it is sliced."""

    def __init__(self, data: Any, mask: np.ndarray) -> None:
        self.data, self.mask = data, mask
        self.shape, self.dtype, self.ndim = tuple(data.shape), np.dtype(data.dtype), 4
        self.chunks = getattr(data, "chunks", None)
        self._bad = np.flatnonzero(mask)
        self._near = np.ravel_multi_index(nearest_good(mask), mask.shape)

    def repair(self, patterns: np.ndarray) -> np.ndarray:
        """A copy of patterns (..., Qy, Qx) with their bad pixels repaired."""
        out = np.array(patterns)
        flat = out.reshape(*out.shape[:-2], -1)
        values = np.median(flat[..., self._near], axis=-1)
        flat[..., self._bad] = np.rint(values) if out.dtype.kind in "iu" else values
        return out

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, 4)
        if len(parts) != 4 or not all(isinstance(p, (slice, int, np.integer)) for p in parts):
            return np.asarray(self)[key]
        block = self.repair(np.asarray(self.data[tuple(parts[:2])]))
        return block[(slice(None),) * (block.ndim - 2) + tuple(parts[2:])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:, :].astype(dtype or self.dtype, copy=False)


__all__ = [
    "BinnedArray",
    "CroppedArray",
    "FlippedArray",
    "MappedArray",
    "RepairedArray",
    "SeriesView",
    "binned",
    "by_pattern",
    "cropped",
    "summed_dtype",
    "whole_key",
]
