"""Work that is shared between two threads: the compiled loops release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 2


def shared(work: Callable[[slice], object], count: int, at_once: int | None = None) -> None:
    """Let every thread do `work` on a part of `count` things, or on portions of it, of `at_once` things at most.

    Examples
    --------
    >>> squares = [0] * 5
    >>> def work(part): squares[part] = [n * n for n in range(5)[part]]
    >>> shared(work, 5, at_once=2)
    >>> squares
    [0, 1, 4, 9, 16]
    """
    ends = [n * count // THREADS for n in range(THREADS + 1)]
    portion = at_once or max(1, count)

    def in_turn(first: int, end: int) -> None:
        for begin in range(first, end, portion):
            work(slice(begin, min(begin + portion, end)))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(in_turn, ends[:-1], ends[1:]))
