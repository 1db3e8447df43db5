"""Memory that begins where a cache line does: vector instructions that straddle two lines take a quarter longer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LINE = 64  # bytes, also of the widest vector registers


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
