"""Threads of pools, and whether they are at work: whoever ends the process has to know."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

BUSY: set[int] = set()  # identifiers of threads that do a part of somebody's work at this moment


@contextmanager
def helping() -> Iterator[None]:
    """Within it, the calling thread of a pool is at work.

    Examples
    --------
    >>> with helping():
    ...     threading.get_ident() in BUSY
    True
    >>> threading.get_ident() in BUSY
    False
    """
    own = threading.get_ident()
    BUSY.add(own)
    try:
        yield
    finally:
        BUSY.discard(own)


__all__ = ["BUSY", "helping"]
