"""Who is next, where some have to wait for others: places of a batch, handed out to worker threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np


class Turns:
    """Places in groups, each to be taken once, after those of lower number that it clashes with are done.

    Whole groups one after the other would have to wait for their slowest, at every one of them. Sets of places are the
    bits of numbers: while a thread looks for work, it keeps the others from theirs.

    Examples
    --------
    >>> turns = Turns([3, 1], np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], bool), workers=2)
    >>> turns.take(), turns.take()
    (slice(0, 2, None), slice(2, 3, None))
    >>> turns.done(slice(2, 3))
    >>> turns.take(), turns.take()
    (slice(3, 4, None), None)
    """

    def __init__(self, sizes: Sequence[int], clash: np.ndarray, workers: int) -> None:
        packed = np.packbits(np.tril(clash, -1), axis=1, bitorder="little")
        self._before = [int.from_bytes(row.tobytes(), "little") for row in packed]  # whom each one has to wait for
        self._ends = np.repeat(np.cumsum(sizes), sizes).tolist()  # of the group that each one is in
        self._most = np.repeat([-(-size // workers) for size in sizes], sizes).tolist()  # a worker's share of it
        self._left = self._undone = (1 << len(packed)) - 1
        self._news = threading.Condition()

    def take(self) -> slice | None:
        """The first places of a group that nothing is in the way of, once there are some; None when none are left."""
        with self._news:
            while self._left:
                lowest = (self._left & -self._left).bit_length() - 1
                for first in range(lowest, len(self._before)):
                    if self._ready(first):
                        last = first + 1
                        while last < min(first + self._most[first], self._ends[first]) and self._ready(last):
                            last += 1
                        self._left &= ~_bits(first, last)
                        return slice(first, last)
                self._news.wait()
        return None

    def done(self, places: slice) -> None:
        """Whoever waits for these places need not any longer."""
        with self._news:
            self._undone &= ~_bits(places.start, places.stop)
            self._news.notify_all()

    def stop(self) -> None:
        """Nobody takes any more."""
        with self._news:
            self._left = 0
            self._news.notify_all()

    def _ready(self, place: int) -> bool:
        return bool(self._left >> place & 1) and not self._before[place] & self._undone


def _bits(first: int, last: int) -> int:
    """Those from `first` to before `last`."""
    return (1 << last) - (1 << first)
