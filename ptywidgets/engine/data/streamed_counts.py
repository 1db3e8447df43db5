"""Counts that are larger than the memory: patterns that stay where they are, and are read ahead of whoever works.

A reconstruction says in what order it will take the positions. They are read in that order by a thread of their own, a
few pieces ahead, while others compute; what is in memory is a few pieces, whatever the size of the data.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.files import files_of
from ptywidgets.engine.core.workers import WorkerPool

PIECE = 48_000_000  # bytes of counts that are read at once, at most
AHEAD, BEHIND = 2, 1  # pieces that are kept beside the one at work: those to come, and those that a slow worker is at
SHARE = 1 / 48  # of the memory that is free, for a piece


class _Source:
    """Where patterns are read from."""

    def __init__(self, data: Any, order: np.ndarray) -> None:
        self.data, self.order = data, order
        self.dtype = np.dtype(data.dtype).newbyteorder("=")
        self.shape = (len(order), int(data.shape[2]), int(data.shape[3]))

    def patterns(self, indices: np.ndarray) -> np.ndarray:
        """Patterns read now; neighbours along a scan row at once, in the order in which they lie in the file."""
        out = np.empty((len(indices), *self.shape[1:]), self.dtype)
        columns = int(self.data.shape[1])
        places = self.order[indices]
        by_place = np.argsort(places, kind="stable")
        sorted_places = places[by_place]
        breaks = np.flatnonzero((np.diff(sorted_places) != 1) | (sorted_places[1:] % columns == 0)) + 1
        for run in np.split(by_place, breaks):
            if not len(run):
                continue
            y, x = divmod(int(places[run[0]]), columns)
            if len(run) == 1:
                out[run[0]] = self.data[y, x]
            else:
                out[run] = self.data[y, x : x + len(run)]
        return out


class _Ahead:
    """What was announced: pieces in the order in which they will be asked for, and those of them that are in memory."""

    def __init__(self, source: _Source, most: int, batches: Sequence[np.ndarray]) -> None:
        self.source, self.lock = source, threading.Lock()
        self.pieces: list[np.ndarray] = []  # of indices, each ascending
        for batch in batches:
            ascending = np.sort(np.asarray(batch))
            if len(ascending):
                self.pieces += np.array_split(ascending, -(-len(ascending) // most))
        self.piece_of = np.full(len(source.order), -1, np.int32)
        self.row_of = np.zeros(len(source.order), np.int32)  # of a pattern within its piece
        for number, piece in enumerate(self.pieces):
            self.piece_of[piece] = number
            self.row_of[piece] = np.arange(len(piece))
        self.read: dict[int, Future[np.ndarray] | np.ndarray] = {}
        if self.pieces:
            with self.lock:
                self._ask_for(0)

    def _ask_for(self, number: int) -> None:
        """Have a piece read, and those after it; forget those that nobody is at any more. With the lock held."""
        count = len(self.pieces)
        wanted = [(number + n) % count for n in range(min(AHEAD + 1, count))]
        kept = {*wanted, *(number - n for n in range(1, BEHIND + 1))}
        for old in [one for one in self.read if one not in kept]:
            found = self.read.pop(old)
            if isinstance(found, Future):
                found.cancel()
        for one in wanted:
            if one not in self.read:
                self.read[one] = _submitted(self.source, self.pieces[one])

    def piece(self, number: int) -> np.ndarray | None:
        """The patterns of a piece, waited for; None where it was read and forgotten, and others are further on."""
        with self.lock:
            if number not in self.read:
                front = max(self.read, default=number)
                if front - len(self.pieces) // 2 < number < front and front - number <= 2 * (AHEAD + BEHIND + 1):
                    return None  # a slow worker's: what others are at stays
                self._ask_for(number)
            elif number + AHEAD < len(self.pieces) and number + AHEAD not in self.read:
                self._ask_for(number)
            found = self.read[number]
        if not isinstance(found, Future):
            return found
        try:
            block = found.result()
        except CancelledError:  # others have gone on, and it was not begun
            return None
        with self.lock:
            if self.read.get(number) is found:
                self.read[number] = block
        return block

    def stop(self) -> None:
        """Forget what is not being read yet."""
        with self.lock:
            for found in self.read.values():
                if isinstance(found, Future):
                    found.cancel()


class StreamedCounts:
    """Patterns (J, Qy, Qx) of a scan that stay on disk; indexing reads them. Safe from any thread.

    Parameters
    ----------
    data : array (Ry, Rx, Qy, Qx)
        Where slices are read from: an array of a file, or a memory map.
    order : array of int (J,), optional
        Which scan positions, counted row by row; by default all of them.
    piece : int, optional
        Bytes of counts that are read at once; by default as many as suit the memory that is free.

    Raises
    ------
    DataError
        When reading fails, in the words of the file.

    Examples
    --------
    >>> scan = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    >>> counts = StreamedCounts(scan, [0, 2, 3, 5])
    >>> counts.shape, counts[1:3].sum((1, 2)).tolist()
    ((4, 2, 2), [38, 54])
    >>> counts.read_ahead([np.array([1, 3]), np.array([0, 2])])
    >>> block, rows = counts.block([3, 1])
    >>> block[rows].sum((1, 2)).tolist()
    [86, 38]
    """

    ndim = 3

    def __init__(self, data: Any, order: Any = None, *, piece: int | None = None) -> None:
        ry, rx, qy, qx = (int(n) for n in data.shape)
        places = np.arange(ry * rx) if order is None else np.array(order, np.int64)
        if places.ndim != 1 or not len(places) or places.min() < 0 or places.max() >= ry * rx:
            raise DataError(f"the scan positions are {places.shape}; expected numbers from 0 to {ry * rx - 1}.")
        self._source = _Source(data, places)
        self.shape, self.dtype = self._source.shape, self._source.dtype
        one = qy * qx * self.dtype.itemsize
        free = memory.available_memory()
        most = PIECE if free is None else min(PIECE, free * SHARE)
        self.piece = max(1, int((most if piece is None else piece) // one))  # patterns
        self._files = {} if getattr(data, "is_copy", False) else {path: _written(path) for path in files_of(data)}
        self._most: np.ndarray | None = None
        # Replaced as a whole: whoever reads meanwhile has one that belongs together.
        self._ahead = _Ahead(self._source, self.piece, ())

    @property
    def nbytes(self) -> int:
        """Bytes of all patterns, on disk or wherever they are."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def held_bytes(self) -> int:
        """Bytes of them that are in memory at once, at most."""
        one = math.prod(self.shape[1:]) * self.dtype.itemsize
        return min(self.nbytes, (AHEAD + BEHIND + 1) * self.piece * one)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """One pattern, or a copy of several: by a slice, an array of numbers or of bool."""
        if isinstance(key, (int, np.integer)):
            return self._source.patterns(np.array([range(len(self))[int(key)]]))[0]
        if isinstance(key, slice):
            return self._source.patterns(np.arange(len(self))[key])
        wanted = np.asarray(key)
        if wanted.dtype.kind == "b" and wanted.shape == (len(self),):
            wanted = np.flatnonzero(wanted)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise DataError("counts that stay on disk are indexed by pattern alone: counts[indices][:, rows, columns].")
        return self._source.patterns(np.arange(len(self))[wanted])

    # ---------------------------------------------------------------- ahead of whoever works

    def read_ahead(self, batches: Sequence[np.ndarray]) -> None:
        """Begin to read patterns in the order in which they will be asked for: batch after batch, each ascending.

        What was announced before is forgotten. Patterns that nobody has announced are read when they are asked for.

        Raises
        ------
        DataError
            When a file that is read was written to since: patterns of before and after would be mixed.
        """
        for path, first in self._files.items():
            now = _written(path)
            if first is not None and now is not None and now[0] == first[0] and now != first:
                raise DataError(
                    f"{path.name} has been written to since these data were prepared; read it again, by "
                    "read(path, follow=True) where it is still being written."
                )
        before, self._ahead = self._ahead, _Ahead(self._source, self.piece, batches)
        before.stop()

    def block(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """Patterns as a block (N, Qy, Qx) and the row in it of each index: block[rows] are counts[indices].

        Of what was announced, the block is the piece that was read ahead, and nothing is copied.
        """
        return self._block(self._ahead, np.asarray(indices))

    def _block(self, ahead: _Ahead, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = ahead.piece_of[wanted]
        if len(wanted) and (numbers == numbers[0]).all() and numbers[0] >= 0:
            piece = ahead.piece(int(numbers[0]))
            if piece is not None:
                return piece, ahead.row_of[wanted]
        elif len(wanted) > 1 and numbers.min() >= 0 and len(parts := np.unique(numbers)) == 2:  # across an edge
            out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
            for part in parts:
                here = np.flatnonzero(numbers == part)
                few, rows = self._block(ahead, wanted[here])
                out[here] = few[rows]
            return out, np.arange(len(wanted))
        return self._source.patterns(wanted), np.arange(len(wanted))

    def max_pattern(self) -> np.ndarray:
        """The most counts (Qy, Qx) of each detector pixel, in any pattern; read once."""
        if self._most is None:
            most = self[0]
            for first in range(0, len(self), self.piece):
                most = np.maximum(most, self[first : first + self.piece].max(0))
            self._most = most
        return self._most

    def __reduce__(self) -> Any:
        return StreamedCounts, (self._source.data, self._source.order)

    def __repr__(self) -> str:
        j, qy, qx = self.shape
        return f"StreamedCounts({j} of {qy} x {qx}, {self.dtype}, {self.piece} at once)"


def _written(path: Path) -> tuple[tuple[int, int], int, int] | None:
    """Which file it is, how large, and when it was written to; None where there is none any more."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns


def is_streamed(counts: Any) -> bool:
    """Whether counts are read while others work, instead of being in memory."""
    return isinstance(counts, StreamedCounts)


@cache
def _reader(process: int) -> WorkerPool:
    """The one thread that reads ahead, of each process: a forked one has not got its parent's."""
    return WorkerPool(1, "ptywidgets-read")


def _submitted(source: _Source, indices: np.ndarray) -> Future[np.ndarray] | np.ndarray:
    try:
        return _reader(os.getpid()).submit(source.patterns, indices)
    except RuntimeError:  # the main thread has ended, and there are no new tasks
        return source.patterns(indices)


__all__ = ["StreamedCounts", "is_streamed"]
