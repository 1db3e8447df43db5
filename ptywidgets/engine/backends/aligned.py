"""Memory that begins where a cache line does, since vector instructions that straddle two lines take a quarter longer,
and that is used again: pages that come anew from the system are zeroed first, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LINE = 64  # bytes, also of the widest vector registers
KEPT = 31 << 20  # bytes of an array that is not given back to the system when it is freed: 32 MiB are the most


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Uninitialised memory, as :func:`numpy.empty` gives it, from a multiple of 64 bytes on.

    Examples
    --------
    >>> aligned((3, 5), np.complex64).ctypes.data % 64
    0
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    buffer = np.empty(size + LINE, np.uint8)
    first = -buffer.ctypes.data % LINE
    return buffer[first : first + size].view(dtype).reshape(shape)


def keep_freed_memory() -> None:
    """Let arrays of up to :data:`KEPT` bytes come from memory that this process has had before.

    The GNU C library hands larger blocks back to the system as they are freed, until one of that size was freed once:
    it goes by the largest that it has seen (its dynamic threshold). Elsewhere this does nothing.
    """
    np.empty(KEPT, np.uint8)  # freed at once, and never touched
