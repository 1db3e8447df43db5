"""How a scan is cut into shards, and the part of the object that a shard's windows lie in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import Array


def cut(positions: np.ndarray, shards: int) -> list[np.ndarray]:
    """Indices of positions (J, 2), cut into so many blocks of as many positions, each as compact as cuts along the axes
    make it: what a block sees of the object is small, and few of its pixels are another one's, too.

    Examples
    --------
    >>> line = np.stack([np.zeros(6), np.arange(6.0)], axis=1)
    >>> [block.tolist() for block in cut(line, 3)]
    [[0, 1], [2, 3], [4, 5]]
    """
    return _cut(positions, np.arange(len(positions)), max(1, min(shards, len(positions))))


def _cut(positions: np.ndarray, indices: np.ndarray, shards: int) -> list[np.ndarray]:
    if shards == 1:
        return [np.sort(indices)]
    own = positions[indices]
    along = int(np.argmax(np.ptp(own, axis=0)))
    # Of positions in a row the other axis decides, so that a cut between two rows is a straight one.
    order = indices[np.lexsort((own[:, 1 - along], own[:, along]))]
    first = shards // 2
    at = round(len(order) * first / shards)
    return _cut(positions, order[:at], first) + _cut(positions, order[at:], shards - first)


@dataclass(frozen=True)
class Box:
    """A rectangle of the object's pixels."""

    first: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def around(cls, corners: np.ndarray, window: tuple[int, int]) -> Box:
        """That of windows which begin at `corners` (B, 2).

        Examples
        --------
        >>> Box.around(np.array([[3, 4], [5, 4]]), (8, 8))
        Box(first=(3, 4), shape=(10, 8))
        """
        (y0, x0), (y1, x1) = corners.min(0).tolist(), corners.max(0).tolist()
        return cls((y0, x0), (y1 - y0 + window[0], x1 - x0 + window[1]))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where its pixels are among the object's."""
        (y, x), (ny, nx) = self.first, self.shape
        return slice(y, y + ny), slice(x, x + nx)

    def of(self, field: Array) -> Array:
        """A view of a field's pixels (..., Y, X)."""
        rows, columns = self.slices
        return field[..., rows, columns]


def is_map(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a parameter of the model is a map over an object (S, Y, X).

    Examples
    --------
    >>> is_map(np.zeros((2, 1, 9, 8)), (1, 9, 8)), is_map(np.zeros((4, 4)), (1, 9, 8)), is_map(0.5, (1, 9, 8))
    (True, False, False)
    """
    return np.ndim(value) > 1 and tuple(np.shape(value)[-2:]) == tuple(shape[-2:])


def divided(parameters: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters that are maps over an object (S, Y, X), and all others."""
    maps = {name: value for name, value in parameters.items() if is_map(value, shape)}
    return maps, {name: value for name, value in parameters.items() if name not in maps}


def nbytes(value: Any) -> int:
    """Bytes of all arrays in what is sent or comes back.

    Examples
    --------
    >>> nbytes((np.zeros(4), {"a": np.zeros(2, np.float32)}, "words", None))
    40
    """
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(nbytes, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(nbytes, value))
    return nbytes(vars(value)) if hasattr(value, "__dataclass_fields__") else 0
