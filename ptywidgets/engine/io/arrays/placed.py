"""Patterns of a stack at the positions of a scan where they were taken, in whatever order that was."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.data.array_views import by_pattern, whole_key

BLANK = -1  # the number of no pattern


class Placed:
    """A stack (J, Qy, Qx) as a scan (Ry, Rx, Qy, Qx), or as a series of scans (T, Ry, Rx, Qy, Qx).

    Parameters
    ----------
    stack : array-like
    numbers : ndarray of int, (Ry, Rx) or (T, Ry, Rx)
        Of the pattern at each position; -1 where there is none, which is then zeros.

    Examples
    --------
    >>> stack = np.arange(1, 4, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    >>> Placed(stack, np.array([[2, -1], [0, 1]]))[:, :, 0, 0].tolist()
    [[3, 0], [1, 2]]
    """

    def __init__(self, stack: Any, numbers: np.ndarray) -> None:
        self.stack, self.numbers = stack, np.asarray(numbers, np.int64)
        self.shape = (*self.numbers.shape, *(int(n) for n in stack.shape[1:]))
        self.dtype = np.dtype(stack.dtype).newbyteorder("=")
        self.ndim = len(self.shape)
        self.by_pattern = by_pattern(stack)

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, self.ndim)
        if len(parts) != self.ndim or not all(isinstance(part, (slice, int, np.integer)) for part in parts):
            return np.asarray(self)[key]
        numbers = self.numbers[tuple(parts[: self.ndim - 2])]
        block = self._patterns(np.ravel(numbers)).reshape(*numbers.shape, *self.shape[-2:])
        within = (..., *parts[-2:])
        return block[within]

    def _patterns(self, numbers: np.ndarray) -> np.ndarray:
        out = np.zeros((len(numbers), *self.shape[-2:]), self.dtype)
        edges = np.flatnonzero(np.diff(numbers) != 1) + 1  # runs that lie one after the other are read at once
        for start, end in zip([0, *edges], [*edges, len(numbers)], strict=True):
            if start == end:
                continue
            first = int(numbers[start])
            if first >= 0:
                out[start:end] = self.stack[first : first + int(end - start)]
            elif end - start > 1:  # a blank before pattern 0
                out[start + 1 : end] = self.stack[: int(end - start) - 1]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]
