"""Work that is shared between threads: the compiled loops release the interpreter lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import wait
from functools import cache
from itertools import pairwise

from ptywidgets.engine.core.workers import WorkerPool, worker_count

_helper = threading.local()  # `is_one` is set in the threads that help


def shared(work: Callable[[slice], object], count: int, at_once: int | None = None) -> None:
    """Let every thread do `work` on a part of `count` things, or on chunks of it, of `at_once` things at most.

    Examples
    --------
    >>> squares = [0] * 5
    >>> def work(part): squares[part] = [n * n for n in range(5)[part]]
    >>> shared(work, 5, at_once=2)
    >>> squares
    [0, 1, 4, 9, 16]
    """
    threads = worker_count()
    ends = [n * count // threads for n in range(threads + 1)]
    chunk = at_once or max(1, count)

    stop = threading.Event()  # one part has failed, or was interrupted: the others are of no use

    def one_by_one(first: int, end: int) -> None:
        for begin in range(first, end, chunk):
            if stop.is_set():
                return
            work(slice(begin, min(begin + chunk, end)))

    if getattr(_helper, "is_one", False):  # nobody is left to help
        one_by_one(0, count)
        return
    first, *rest = pairwise(ends)
    try:
        others = [_helpers().submit(one_by_one, *part) for part in rest]
    except RuntimeError:  # no pool takes work any more once the main thread has ended, but other threads may go on
        one_by_one(0, count)
        return
    try:
        one_by_one(*first)
    except BaseException:
        stop.set()
        raise
    finally:
        wait(others)
    for other in others:
        other.result()


@cache
def _helpers() -> WorkerPool:
    """The other threads, which stay: to start and to end some takes longer than many a piece of work."""
    return WorkerPool(max(1, worker_count() - 1), "ptywidgets-direct", lambda: setattr(_helper, "is_one", True))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a forked process has none of them
