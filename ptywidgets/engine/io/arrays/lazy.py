"""Arrays that stay on disk until they are sliced."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.core.files import files_of, listed_files
from ptywidgets.engine.data.array_views import by_pattern, whole_key
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, open_hdf5, readable_dataset, resolve

PIECE = 8_000_000  # bytes that are read at once, where chunks are not larger


class LazyArray:
    """An HDF5 dataset that is read slice by slice.

    The file is kept open for reading, without a lock on it, and opened anew in a forked process. Slicing is safe
    from any thread, pickling carries the path and not the data, and axes of length one beyond the fourth are dropped.
    """

    def __init__(
        self, path: str | os.PathLike[str], name: str, *, allow_external: bool = False, squeeze: bool = False
    ) -> None:
        self.path, self.name = Path(os.path.abspath(path)), name  # also when the working folder is another
        self.allow_external, self.squeeze = allow_external, squeeze
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._file: h5py.File | None = None
        self._found: h5py.Dataset | None = None
        self._descriptor, self._size = -1, 0  # of the open file that the values are in, and its bytes then
        self._expected: tuple[tuple[int, ...], np.dtype] | None = None
        with self._lock, hdf5_errors(self.path):
            dataset = self._dataset()
            full = tuple(int(n) for n in dataset.shape)
            self._expected = full, dataset.dtype
            self._dropped = dropped_axes(full) if squeeze else ()
            keep = [axis for axis in range(len(full)) if axis not in self._dropped]
            self.shape = tuple(full[axis] for axis in keep)
            self.chunks = tuple(dataset.chunks[axis] for axis in keep) if dataset.chunks else None
            self.by_pattern = self.chunks is None and not dataset.is_virtual
            self.dtype = dataset.dtype.newbyteorder("=")
            self.input_files = listed_files((self.path, *files_of(dataset)))
        self.ndim = len(self.shape)

    def _dataset(self) -> h5py.Dataset:
        if not self._file:
            self._file = open_hdf5(self.path, trusted=True)  # who makes one has read the structure
            found = resolve(self._file, self.name, self.path, self.allow_external)
            self._found = readable_dataset(found, self.path, self.allow_external)
            self._descriptor, self._size = _descriptor_of(self._found.file)
            if self._expected not in (None, (self._found.shape, self._found.dtype)):
                raise FileFormatError(f"{self.path.name} has been replaced since it was opened; read it again.")
        assert self._found is not None
        return self._found

    def __getitem__(self, key: Any) -> np.ndarray:
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._file, self._found = os.getpid(), threading.RLock(), None, None
        with self._lock, hdf5_errors(self.path):
            block = self._read(self._dataset(), self._full_key(key))
            if self._size and os.fstat(self._descriptor).st_size < self._size:  # beyond the end the library reads zeros
                raise FileFormatError(
                    f"{printable(self.path.name)} has become shorter since it was opened; read it again."
                )
        return np.asarray(block).astype(self.dtype, copy=False)

    def _read(self, dataset: h5py.Dataset, key: Any) -> Any:
        """A block, in pieces of whole chunks: between them others have a turn, and the thread can be interrupted."""
        rows, *rest = whole_key(key, dataset.ndim)
        if not isinstance(rows, slice):
            return dataset[key]
        start, stop, step = rows.indices(dataset.shape[0])
        chunk = dataset.chunks[0] if dataset.chunks else 1
        row_bytes = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
        piece = max(1, PIECE // max(1, row_bytes * chunk)) * chunk
        if step != 1 or stop - start <= piece or not all(isinstance(part, slice) for part in rest):
            return dataset[key]
        edges = [start, *range((start // piece + 1) * piece, stop, piece), stop]
        lengths = [len(range(*part.indices(n))) for part, n in zip(rest, dataset.shape[1:], strict=True)]
        whole = np.empty((stop - start, *lengths), dataset.dtype)
        for first, last in pairwise(edges):
            part = (slice(first, last), *rest)
            whole[first - start : last - start] = dataset[part]
        return whole

    def _full_key(self, key: Any) -> Any:
        if not self._dropped:
            return key
        parts = whole_key(key, self.ndim)
        for axis in self._dropped:
            parts.insert(axis, 0)
        return tuple(parts)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> Any:
        path = Path(os.path.abspath(self.path))  # another process may work in another folder
        return _reopen, (path, self.name, self.allow_external, self.squeeze, self._expected)

    def __repr__(self) -> str:
        return f"LazyArray({self.path.name!r}, {self.name!r}, shape={self.shape}, dtype={self.dtype})"

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        with self._lock:
            if self._file and self._pid == os.getpid():
                self._file.close()
            self._file = self._found = None


def hold_hdf5(until: float, release: bool = False) -> bool:
    """Take the one lock that h5py has for everything, and keep it; whether that worked before `until` (monotonic, s).

    Kept to the end of the process by the thread that takes the interpreter down, it cannot be held by another one that
    will never give it back. With `release` it is given back: then it only tells whether it can be had.
    """
    lock = getattr(h5py._objects, "phil", None)
    if lock is None:
        return True
    while not (got := lock.acquire(False)) and time.monotonic() < until:
        time.sleep(0.01)
    if got and release:
        lock.release()
    return bool(got)


def _descriptor_of(file: h5py.File) -> tuple[int, int]:
    """The library's handle of an open file, and the file's bytes; 0 where that is no handle that can be asked."""
    with contextlib.suppress(OSError, RuntimeError, ValueError, NotImplementedError):
        handle = file.id.get_vfd_handle()
        status = os.fstat(handle)
        if os.path.samestat(status, os.stat(file.filename)):
            return handle, status.st_size
    return -1, 0


def _reopen(path: Path, name: str, allow_external: bool, squeeze: bool, expected: Any) -> LazyArray:
    array = LazyArray(path, name, allow_external=allow_external, squeeze=squeeze)
    if array._expected != expected:
        raise FileFormatError(f"{path.name} has been replaced since it was opened; read it again.")
    return array


def dropped_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of length one to drop so that four are left; none when that cannot be.

    Examples
    --------
    >>> dropped_axes((2, 2, 1, 256, 256)), dropped_axes((1, 5, 8, 8)), dropped_axes((2, 2, 2, 8, 8))
    ((2,), (), ())
    """
    extra = len(shape) - 4
    ones = tuple(axis for axis in range(2, len(shape) - 2) if shape[axis] == 1) if extra > 0 else ()
    return ones[:extra] if 0 < extra <= len(ones) else ()


class ScanView:
    """A stack (J, Qy, Qx) seen as (Ry, Rx, Qy, Qx), without a copy."""

    def __init__(self, stack: Any, scan_shape: tuple[int, int]) -> None:
        self.stack = stack
        self.shape = (*scan_shape, *(int(n) for n in stack.shape[1:]))
        self.dtype = stack.dtype
        self.ndim = 4
        self.by_pattern = by_pattern(stack)

    @staticmethod
    def of(stack: Any, scan_shape: tuple[int, int]) -> Any:
        """The view, or a reshaped array where the stack is one."""
        ry, rx = checked_scan_shape(int(stack.shape[0]), scan_shape)
        if isinstance(stack, np.ndarray):
            return stack.reshape(ry, rx, *stack.shape[1:])
        return ScanView(stack, (ry, rx))

    def __getitem__(self, key: Any) -> np.ndarray:
        y, x, *rest = whole_key(key, 4)
        columns = self.shape[1]
        if not isinstance(y, slice):
            start = range(self.shape[0])[y] * columns
            if not isinstance(x, slice):
                one = (start + range(columns)[x], *rest)
                return np.asarray(self.stack[one])
            return self._of_row(start, x, rest)
        y0, y1, step = y.indices(self.shape[0])
        if step != 1:
            raise DataError(f"a step of {step} along the scan's slow axis; a stack is read in steps of 1.")
        if isinstance(x, slice) and y1 > y0 and len(range(columns)[x]) <= columns // 2:  # row by row, which reads less
            return np.stack([self._of_row(row * columns, x, rest) for row in range(y0, y1)])
        block = np.asarray(self.stack[y0 * columns : max(y0, y1) * columns])
        rows = (slice(None), x, *rest)
        return block.reshape(max(0, y1 - y0), columns, *self.shape[2:])[rows]

    def _of_row(self, start: int, x: slice, rest: list[Any]) -> np.ndarray:
        """Patterns of a row that begins at pattern `start`: as many are read as lie between the first and the last."""
        wanted = range(self.shape[1])[x]
        low, high = (min(wanted), max(wanted) + 1) if len(wanted) else (0, 0)
        within = (slice(None, None, x.step), *rest)
        return np.asarray(self.stack[start + low : start + high])[within]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)


def checked_scan_shape(patterns: int, scan_shape: Any) -> tuple[int, int]:
    """`scan_shape` as (Ry, Rx) whose product is the number of patterns."""
    try:
        ry, rx = (int(n) for n in scan_shape)
    except (TypeError, ValueError):
        raise DataError(f"scan_shape is {scan_shape!r}; expected two whole numbers (rows, columns).") from None
    if ry < 1 or rx < 1 or ry * rx != patterns:
        raise DataError(
            f"{patterns} diffraction patterns but {ry} x {rx} = {ry * rx} scan positions; pass "
            f"scan_shape={likely_scan_shape(patterns)} or crop."
        )
    return ry, rx


def likely_scan_shape(patterns: int) -> tuple[int, int]:
    """The most nearly square raster with that many positions.

    Examples
    --------
    >>> likely_scan_shape(1681), likely_scan_shape(12)
    ((41, 41), (3, 4))
    """
    rows = int(patterns**0.5)
    while rows > 1 and patterns % rows:
        rows -= 1
    return max(rows, 1), patterns // max(rows, 1)
