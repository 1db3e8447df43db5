"""What grows: patterns of a file that is being written, and the scan that they are of, row by row.

Nothing is read half. Of records only those count that lie wholly in the file, and the last of them once something
follows it or the file has been still for a moment, since a writer may make room first and fill it then. A row of the
scan counts when all its patterns do, and where room for the whole scan was made beforehand, when something has been
written behind it.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.arrays.stacks import Stack
from ptywidgets.engine.io.detect_format import printable

STILL = 0.5  # s without a change, after which what stands at a file's end is taken for whole
OLD = 10.0  # s: a file that was changed longer ago is still at once; clocks of file servers may be off by less
DARK = 4  # rows in turn that may have nothing in them and yet be followed by others


class WatchedFile:
    """Size and last change of a file that somebody else writes.

    Parameters
    ----------
    path : path
    shrinks : bool
        Whether the file of a sound writer may become shorter, as one of HDF5 that is closed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.raw"
    ...     _ = path.write_bytes(b"abc")
    ...     file = WatchedFile(path)
    ...     _ = path.write_bytes(b"abcde")
    ...     file.look(), file.still < 5
    (5, True)
    """

    def __init__(self, path: Path, shrinks: bool = False) -> None:
        self.path, self.shrinks = path, shrinks
        status = self._status()
        self.size = status.st_size
        self._file = status.st_dev, status.st_ino
        self._mark = status.st_size, status.st_mtime_ns
        age = time.time() - status.st_mtime
        self._since = time.monotonic() - (age if age > OLD else 0.0)

    def look(self) -> int:
        """Bytes that the file has now.

        Raises
        ------
        FileFormatError
            When it is gone, another one, or shorter than before.
        """
        status = self._status()
        if (status.st_dev, status.st_ino) != self._file:
            raise FileFormatError(
                f"{printable(self.path.name)} has been replaced by another file while it was followed; read it again."
            )
        if status.st_size < self.size and not self.shrinks:
            raise FileFormatError(
                f"{printable(self.path.name)} has become shorter while it was followed, from {self.size} to "
                f"{status.st_size} bytes: it is being written anew, or was cut. Read it again."
            )
        self.size, mark = status.st_size, (status.st_size, status.st_mtime_ns)
        if mark != self._mark:
            self._mark = mark
            self.touch()
        return self.size

    def touch(self) -> None:
        """It has changed just now."""
        self._since = time.monotonic()

    @property
    def still(self) -> float:
        """Seconds since it was last seen to change."""
        return time.monotonic() - self._since

    def _status(self) -> os.stat_result:
        try:
            return self.path.stat()
        except OSError as error:
            raise FileFormatError(
                f"{printable(self.path.name)} cannot be followed any more ({error.strerror}); is it still where it was?"
            ) from None


class Growing(Stack):
    """Patterns (J, Qy, Qx) of a file that is being written; J is how many are whole, by the latest :meth:`look`.

    Parameters
    ----------
    path : path
        For messages.
    detector : (Qy, Qx)
    dtype : numpy.dtype
    """

    sized = True  # whether a pattern that there is room for was written, as far as the size of the file can tell
    input_files: tuple[Path, ...] = ()

    def __init__(self, path: Path, detector: tuple[int, ...], dtype: np.dtype) -> None:
        self.path = path
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.shape = (0, int(detector[0]), int(detector[1]))

    @property
    def name(self) -> str:
        """Of the file, as it may be printed."""
        return printable(self.path.name)

    @property
    def count(self) -> int:
        """Whole patterns."""
        return self.shape[0]

    @property
    def still(self) -> float:
        """Seconds since the file was last seen to change."""
        raise NotImplementedError

    def look(self) -> int:
        """Look at the file again, and return how many patterns are whole.

        Raises
        ------
        FileFormatError
            When it is gone, replaced or shorter than before.
        """
        raise NotImplementedError

    def written(self, index: int) -> bool:
        """Whether anything stands where a pattern belongs, beside what room for it is filled with."""
        return bool(self._patterns(index, index + 1).any())

    def finish(self) -> int:
        """Nothing more will come: whole patterns, with the last of them."""
        return self.look()

    def close(self) -> None:
        """Close the file; the next slice opens it again."""

    def _take(self, count: int) -> int:
        self.shape = (max(self.count, count), *self.shape[1:])
        return self.count


class GrowingScan(Stack):
    """The patterns of a whole scan (Ry Rx, Qy, Qx), of which those in whole rows can be read; others are zeros.

    Parameters
    ----------
    source : Growing
    scan_shape : (Ry, Rx)
    offset : int
        Patterns of the file before the first of the scan.

    Examples
    --------
    >>> import tempfile
    >>> from ptywidgets.engine.io.growing.records import GrowingRecords
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.raw"
    ...     _ = path.write_bytes(bytes(range(1, 8)))  # seven of 3 x 4 patterns of one pixel
    ...     scan = GrowingScan(GrowingRecords(path, np.dtype(("u1", (1, 1)))), (3, 4))
    ...     scan.look(), scan[:, 0, 0].tolist()
    (1, [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0])
    """

    def __init__(self, source: Growing, scan_shape: tuple[int, int], offset: int = 0) -> None:
        self.source, self.scan_shape, self.offset = source, (int(scan_shape[0]), int(scan_shape[1])), int(offset)
        self.input_files = source.input_files
        self.shape = (math.prod(self.scan_shape), *source.shape[1:])
        self.dtype = source.dtype
        self.rows = 0  # whole ones
        self.finished = False  # nothing more is expected, by whoever has said so

    @property
    def complete(self) -> bool:
        """Whether all rows are there."""
        return self.rows == self.scan_shape[0]

    @property
    def begun(self) -> int:
        """Patterns of the row that was begun last."""
        return max(0, min(self.source.count - self.offset, self.shape[0]) - self.rows * self.scan_shape[1])

    @property
    def surplus(self) -> int:
        """Patterns behind the end of the scan."""
        return max(0, self.source.count - self.offset - self.shape[0])

    @property
    def words(self) -> str:
        """How much is there, such as "37 of 128 rows"."""
        return f"{self.rows} of {self.scan_shape[0]} rows"

    def look(self) -> int:
        """Look at the file again, and return the number of whole rows, from the first on.

        Raises
        ------
        FileFormatError
            When it is gone, replaced or shorter than before.
        """
        count = self.source.look() - self.offset
        whole = min(count // self.scan_shape[1], self.scan_shape[0])
        if whole > self.rows:
            self.rows = self._written(whole, count)
        return self.rows

    def finish(self) -> int:
        """Nothing more will come: what is there is taken as it is, also where it is zeros."""
        count = self.source.finish() - self.offset
        self.rows = max(self.rows, min(count // self.scan_shape[1], self.scan_shape[0]))
        self.finished = True
        return self.rows

    def mask(self) -> np.ndarray:
        """(Ry, Rx) bool, True in whole rows."""
        mask = np.zeros(self.scan_shape, bool)
        mask[: self.rows] = True
        return mask

    def _written(self, whole: int, count: int) -> int:
        """Of `whole` rows that the file has room for, those that were written, or had to be passed on the way."""
        for rows in range(whole, max(whole - 2, self.rows), -1):  # as a rule the file grows as it is written
            if self._is_written(rows, count):
                return rows
        found, empty = self.rows, 0
        for rows in range(self.rows + 1, whole + 1):
            if self._is_written(rows, count):
                found, empty = rows, 0
            elif (empty := empty + 1) > DARK:
                break
        return found

    def _is_written(self, rows: int, count: int) -> bool:
        """Whether the first `rows` are whole: something was written behind them, or nothing more is being written."""
        end = rows * self.scan_shape[1]
        if end < count and self.source.written(self.offset + end):
            return True
        ends = (self.source.sized and end == count) or self.source.still >= STILL
        return ends and self.source.written(self.offset + end - 1)

    def _patterns(self, first: int, end: int) -> np.ndarray:
        last = self.rows * self.scan_shape[1]
        if end <= last:
            return self.source[self.offset + first : self.offset + end]
        out = np.zeros((end - first, *self.shape[1:]), self.dtype)
        if first < last:
            out[: last - first] = self.source[self.offset + first : self.offset + last]
        return out

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        self.source.close()

    def __repr__(self) -> str:
        return f"GrowingScan({self.source.name!r}, {self.words}, shape={self.shape}, dtype={self.dtype})"


def growing_scan(data: Any) -> GrowingScan | None:
    """The growing scan that lies behind views of an array; None where there is none."""
    for _ in range(100):
        if data is None or isinstance(data, (GrowingScan, np.ndarray)):
            break
        data = getattr(data, "data", getattr(data, "stack", None))
    return data if isinstance(data, GrowingScan) else None


__all__ = ["STILL", "Growing", "GrowingScan", "WatchedFile", "growing_scan"]
