"""How many threads work at once, and the pools in which they do: one rule for every part of the engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

from ptywidgets.engine.core.errors import ParameterError

VARIABLE = "PTYWIDGETS_NUM_THREADS"
MOST = 1024  # more take longer to start than they save
BUSY: set[int] = set()  # identifiers of threads that do a part of somebody's work now: who ends the process must know
# Held while a thread is begun. An exception that is raised from outside in a thread (PyThreadState_SetAsyncExc) may
# reach the one that it is beginning instead: CPython 3.11 gives a new thread the identifier of its parent at first. The
# new one would end before it has said that it runs, and be waited for for ever. Re-entrant: a finalizer may begin one.
STARTING = threading.RLock()
if hasattr(os, "register_at_fork"):  # a forked child does not find it held by a thread that it has not got
    os.register_at_fork(before=STARTING.acquire, after_in_parent=STARTING.release, after_in_child=STARTING.release)


def worker_count() -> int:
    """Return the number of threads that share a computation.

    That is what the environment variable ``PTYWIDGETS_NUM_THREADS`` says; without it the number of cores that this
    process may use, which on a shared machine or in a container is often less than the machine has. Pools of threads
    that are there already keep their size when the variable changes.

    Returns
    -------
    int
        1 or more.

    Raises
    ------
    ParameterError
        When the variable is not a whole number from 1 to 1024.

    Examples
    --------
    >>> worker_count() >= 1
    True
    """
    return _counted(os.environ.get(VARIABLE, ""))


class WorkerPool(ThreadPoolExecutor):
    """A pool of threads whose work can be ended with the process.

    Parameters
    ----------
    workers : int, optional
        How many threads at most; without it :func:`worker_count`.
    name : str
        What the names of its threads begin with.
    initializer : callable, optional
        Called by each thread when it begins.

    Examples
    --------
    >>> with WorkerPool(2, "ptywidgets-example") as pool:
    ...     list(pool.map(abs, [-1, -2]))
    [1, 2]
    """

    def __init__(
        self, workers: int | None = None, name: str = "ptywidgets", initializer: Callable[[], object] | None = None
    ) -> None:
        super().__init__(workers or worker_count(), name, initializer)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As in concurrent.futures. RuntimeError once the main thread has ended: then nobody helps any more."""
        with STARTING:
            return super().submit(_busy, fn, args, kwargs)


def _busy(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    own = threading.get_ident()
    BUSY.add(own)
    try:
        return call(*args, **kwargs)
    finally:
        BUSY.discard(own)


def usable_cores() -> int:
    """Return how many cores this process may use.

    Examples
    --------
    >>> 1 <= usable_cores() <= os.cpu_count()
    True
    """
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        return max(1, os.cpu_count() or 1)


@cache
def _counted(text: str) -> int:
    if not text.strip():
        return usable_cores()
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST:
        raise ParameterError(
            f"the environment variable {VARIABLE} is {text!r}; expected a whole number of threads from 1 to {MOST}, or "
            "unset it to use every core."
        )
    return number


__all__ = ["BUSY", "STARTING", "VARIABLE", "WorkerPool", "usable_cores", "worker_count"]
