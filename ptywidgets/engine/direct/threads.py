"""Work that is shared between two threads: the compiled loops release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 2


def shared(work: Callable[[slice], object], count: int) -> None:
    """Let every thread do `work` on a part of `count` things.

    Examples
    --------
    >>> squares = [0] * 5
    >>> def work(part): squares[part] = [n * n for n in range(5)[part]]
    >>> shared(work, 5)
    >>> squares
    [0, 1, 4, 9, 16]
    """
    ends = [n * count // THREADS for n in range(THREADS + 1)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, map(slice, ends[:-1], ends[1:])))
