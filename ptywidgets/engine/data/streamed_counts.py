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
from typing import Any

import numpy as np

from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.workers import WorkerPool

PIECE = 48_000_000  # bytes of counts that are read at once, at most
AHEAD, BEHIND = 2, 1  # pieces that are kept beside the one at work: those to come, and those that a slow worker is at
SHARE = 1 / 48  # of the memory that is free, for a piece


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
        self.data = data
        self.order = np.arange(ry * rx) if order is None else np.array(order, np.int64)
        if self.order.ndim != 1 or not len(self.order) or self.order.min() < 0 or self.order.max() >= ry * rx:
            raise DataError(f"the scan positions are {self.order.shape}; expected numbers from 0 to {ry * rx - 1}.")
        self.shape = (len(self.order), qy, qx)
        self.dtype = np.dtype(data.dtype).newbyteorder("=")
        one = qy * qx * self.dtype.itemsize
        free = memory.available_memory()
        most = PIECE if free is None else min(PIECE, free * SHARE)
        self.piece = max(1, int((most if piece is None else piece) // one))  # patterns
        self._most: np.ndarray | None = None
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pieces: list[np.ndarray] = []  # of indices, each ascending, in the order in which they will be asked for
        self._piece_of = np.full(len(self.order), -1, np.int32)
        self._row_of = np.zeros(len(self.order), np.int32)  # of a pattern within its piece
        self._read: dict[int, Future[np.ndarray] | np.ndarray] = {}

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
            return self._patterns(np.array([range(len(self))[int(key)]]))[0]
        if isinstance(key, slice):
            return self._patterns(np.arange(len(self))[key])
        wanted = np.asarray(key)
        if wanted.dtype.kind == "b" and wanted.shape == (len(self),):
            wanted = np.flatnonzero(wanted)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise DataError("counts that stay on disk are indexed by pattern alone: counts[indices][:, rows, columns].")
        return self._patterns(np.arange(len(self))[wanted])

    def _patterns(self, indices: np.ndarray) -> np.ndarray:
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

    # ---------------------------------------------------------------- ahead of whoever works

    def read_ahead(self, batches: Sequence[np.ndarray]) -> None:
        """Begin to read patterns in the order in which they will be asked for: batch after batch, each ascending.

        What was announced before is forgotten. Patterns that nobody has announced are read when they are asked for.
        """
        pieces: list[np.ndarray] = []
        for batch in batches:
            ascending = np.sort(np.asarray(batch))
            pieces += np.array_split(ascending, -(-len(ascending) // self.piece)) if len(ascending) else []
        with self._lock:
            self._pieces, self._read = pieces, {}
            self._piece_of[:] = -1
            for number, piece in enumerate(pieces):
                self._piece_of[piece] = number
                self._row_of[piece] = np.arange(len(piece))
            self._ask_for(0)

    def _ask_for(self, number: int) -> None:
        """Have a piece read, and those after it; forget those that nobody is at any more. With the lock held."""
        count = len(self._pieces)
        wanted = [(number + n) % count for n in range(min(AHEAD + 1, count))]
        kept = {*wanted, *(number - n for n in range(1, BEHIND + 1))}
        for old in [one for one in self._read if one not in kept]:
            found = self._read.pop(old)
            if isinstance(found, Future):
                found.cancel()
        for one in wanted:
            if one not in self._read:
                self._read[one] = _submitted(self, self._pieces[one])

    def _piece(self, number: int) -> np.ndarray | None:
        """The patterns of a piece, waited for; None where it was read and forgotten, and others are further on."""
        with self._lock:
            if number not in self._read:
                front = max(self._read, default=number)
                if front - len(self._pieces) // 2 < number < front and front - number <= 2 * (AHEAD + BEHIND + 1):
                    return None  # a slow worker's: what others are at stays
                self._ask_for(number)
            elif number + AHEAD < len(self._pieces) and number + AHEAD not in self._read:
                self._ask_for(number)
            found = self._read[number]
            indices = self._pieces[number]
        if not isinstance(found, Future):
            return found
        try:
            block = found.result()
        except CancelledError:  # others have gone on, and it was not begun
            return None
        with self._lock:
            if self._read.get(number) is found and self._pieces[number] is indices:
                self._read[number] = block
        return block

    def block(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """Patterns as a block (N, Qy, Qx) and the row in it of each index: block[rows] are counts[indices].

        Of what was announced, the block is the piece that was read ahead, and nothing is copied.
        """
        wanted = np.asarray(indices)
        numbers = self._piece_of[wanted]
        if len(wanted) and (numbers == numbers[0]).all() and numbers[0] >= 0:
            rows, piece = self._row_of[wanted].copy(), self._piece(int(numbers[0]))
            if piece is not None:
                return piece, rows
        elif len(wanted) > 1 and numbers.min() >= 0 and len(parts := np.unique(numbers)) == 2:  # across an edge
            out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
            for part in parts:
                here = np.flatnonzero(numbers == part)
                few, rows = self.block(wanted[here])
                out[here] = few[rows]
            return out, np.arange(len(wanted))
        return self._patterns(wanted), np.arange(len(wanted))

    def max_pattern(self) -> np.ndarray:
        """The most counts (Qy, Qx) of each detector pixel, in any pattern; read once."""
        if self._most is None:
            most = self[0]
            for first in range(0, len(self), self.piece):
                most = np.maximum(most, self[first : first + self.piece].max(0))
            self._most = most
        return self._most

    def __reduce__(self) -> Any:
        return StreamedCounts, (self.data, self.order)

    def __repr__(self) -> str:
        j, qy, qx = self.shape
        return f"StreamedCounts({j} of {qy} x {qx}, {self.dtype}, {self.piece} at once)"


def is_streamed(counts: Any) -> bool:
    """Whether counts are read while others work, instead of being in memory."""
    return isinstance(counts, StreamedCounts)


@cache
def _reader(process: int) -> WorkerPool:
    """The one thread that reads ahead, of each process: a forked one has not got its parent's."""
    return WorkerPool(1, "ptywidgets-read")


def _submitted(counts: StreamedCounts, indices: np.ndarray) -> Future[np.ndarray] | np.ndarray:
    try:
        return _reader(os.getpid()).submit(counts._patterns, indices)
    except RuntimeError:  # the main thread has ended, and there are no new tasks
        return counts._patterns(indices)


__all__ = ["StreamedCounts", "is_streamed"]
