"""A shard's counts: read by the worker itself from the file that the data are in, or else sent to it."""

from __future__ import annotations

import math
import os
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, InsufficientMemory, PtyError
from ptywidgets.engine.data.array_views import MappedArray, by_pattern
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.data.streamed_counts import StreamedCounts
from ptywidgets.engine.preprocess.in_reach import fits_in_memory
from ptywidgets.engine.preprocess.measurement import Measurement

BLOCK = 64_000_000  # bytes that are read at once
PATTERNS = 64  # that a checksum is made of at once
SAMPLE = 16  # patterns of a shard that are compared where the client does not hold all of them in memory


@dataclass(frozen=True)
class Elsewhere:
    """A worker's answer where it does not see a file."""

    path: str


@dataclass(frozen=True)
class Stored:
    """Counts that lie in files: enough for a worker that sees them to read those of a shard, and to know them again."""

    array: bytes  # the array-like of the whole scan, pickled: it holds the path and not the values
    files: tuple[tuple[str, int], ...]  # path and size in bytes; -1 of what is no plain file
    scan_shape: tuple[int, int]
    dtype: np.dtype
    in_memory: bool  # whether the client holds all counts, so that all can be compared

    @classmethod
    def of(cls, dataset: Dataset | None, measurement: Measurement, counts: Any) -> Stored | None:
        """Where the counts (J, Qy, Qx) of a measurement lie; None where that is in memory, or not as in the file."""
        if dataset is None or not dataset.is_lazy:
            return None
        if dataset.scan_shape != measurement.scan_shape or dataset.detector_shape != tuple(counts.shape[1:]):
            return None
        data: Any = dataset.data
        if isinstance(data, np.ndarray):
            data = MappedArray.of(data)
            if data is None:
                return None
        files = [Path(path) for path in dataset.inputs]
        array = pickle.dumps(data)
        if not files or len(array) > dataset.nbytes // 4 + 65536:  # values would travel in it
            return None
        known = tuple((str(path), os.path.getsize(path) if path.is_file() else -1) for path in files)
        held = isinstance(counts, np.ndarray) and not _is_mapped(counts)
        stored = cls(array, known, dataset.scan_shape, np.dtype(counts.dtype), held)
        places = measurement.scan_indices[[0, -1]]
        mine = np.stack([np.asarray(counts[n]) for n in (0, -1)])
        return stored if np.array_equal(stored.read(places), mine, equal_nan=mine.dtype.kind == "f") else None

    def open(self) -> Any:
        """The array of the whole scan."""
        found = pickle.loads(self.array)
        return found.open() if isinstance(found, MappedArray) else found

    def streamed(self, data: Any, places: np.ndarray) -> StreamedCounts | None:
        """The same as :meth:`read` of an opened array, without reading, of what is too large for this process's
        memory; None where it is not.

        Raises
        ------
        DataError
            When it is, and the patterns do not lie one by one in the file.
        """
        nbytes = len(places) * math.prod(data.shape[2:]) * self.dtype.itemsize
        if fits_in_memory(nbytes):
            return None
        if by_pattern(data):
            return StreamedCounts(data, places)
        check_memory(
            nbytes,
            "a worker's part of the counts",
            "have more workers, or write the data once as they are: ptywidgets convert IN OUT.h5",
        )
        return None

    def read(self, places: np.ndarray) -> np.ndarray:
        """Counts (B, Qy, Qx) at places of the scan (B,), ascending, counted row by row."""
        data = self.open()
        rows, columns = np.divmod(places, self.scan_shape[1])
        (y0, y1), (x0, x1) = ((int(n.min()), int(n.max()) + 1) for n in (rows, columns))
        out = np.empty((len(places), *data.shape[2:]), self.dtype)
        step = max(1, BLOCK // max(1, (x1 - x0) * out[0].nbytes))
        for top in range(y0, y1, step):
            within = np.flatnonzero((rows >= top) & (rows < top + step))
            if len(within):
                block = np.asarray(data[top : min(top + step, y1), x0:x1])
                out[within] = block[rows[within] - top, columns[within] - x0]
        return out

    def compared(self, count: int) -> np.ndarray:
        """Which patterns of a shard of so many are compared."""
        if self.in_memory:
            return np.arange(count)
        return np.unique(np.linspace(0, count - 1, SAMPLE).astype(int))


def read_shard(stored: Stored, places: np.ndarray, expected: int) -> np.ndarray | StreamedCounts | Elsewhere:
    """A shard's counts, read by a worker, or where they are too large for its memory, read as it works; where it does
    not see a file, that it does not.

    Raises
    ------
    DataError
        When the worker sees another file by that name.
    """
    for path, size in stored.files:
        if not os.path.exists(path):
            return Elsewhere(path)
        if size >= 0 and os.path.getsize(path) != size:
            raise another(path, f"has {os.path.getsize(path)} bytes, and not {size}")
    path = stored.files[0][0]
    try:
        data = stored.open()
        large = stored.streamed(data, places)
        counts = stored.read(places) if large is None else large
    except InsufficientMemory:
        raise
    except (OSError, PtyError, IndexError) as error:
        raise another(path, f"cannot be read as these data ({error})") from None
    if checksum(counts, stored.compared(len(counts))) != expected:
        raise another(path, "holds other patterns")
    return counts


def another(path: str, words: str) -> DataError:
    """The error where a worker sees another file."""
    return DataError(
        f"{path} is another file on a worker: it {words}. Let all workers see the same files, or read the data into "
        "memory first (dataset.load()): then they are sent."
    )


def checksum(counts: Any, indices: np.ndarray) -> int:
    """CRC-32 of the values of some patterns, whatever the byte order they are stored in.

    Examples
    --------
    >>> checksum(np.arange(3, dtype=">u2"), np.arange(2)) == checksum(np.arange(2, dtype="<u2"), np.arange(2))
    True
    """
    found = 0
    for part in np.array_split(indices, max(1, len(indices) // PATTERNS)):
        few = np.asarray(counts[part])
        plain = np.ascontiguousarray(few, few.dtype.newbyteorder("<"))
        found = zlib.crc32(plain.view(np.uint8).data if plain.size else b"", found)
    return found


def _is_mapped(array: Any) -> bool:
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


def taken(counts: Any, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """Some of the patterns in memory of their own, as they are sent; indices ascend."""
    return np.ascontiguousarray(counts[np.asarray(indices)])
