"""How many threads work at once: one rule for every part of the engine."""

from __future__ import annotations

import os
from functools import cache

from ptywidgets.engine.core.errors import ParameterError

VARIABLE = "PTYWIDGETS_NUM_THREADS"
MOST = 1024  # more take longer to start than they save


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


__all__ = ["VARIABLE", "usable_cores", "worker_count"]
