"""An array of four axes as it lies in a file, read in the pieces that a slice needs.

It may be stored with the scan last: then the values of one detector pixel lie together, (Ry, Rx) plane after plane,
and one pattern is as many small pieces as it has pixels. Nothing is mapped into memory: a file that is cut while it is
in use is then an error that says so, where a map would end the process.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.array_views import whole_key
from ptywidgets.engine.io.arrays.file_bytes import FileBytes, opened_again
from ptywidgets.engine.io.detect_format import printable

PIECE = 16_000_000  # bytes that are read at once: between them the thread can be interrupted
SKIPPED = 8192  # bytes between two pieces that are rather read than skipped
SHARE = 4  # planes are read whole where at least one in so many of their bytes is wanted


class Planes:
    """An array (n0, n1, n2, n3) that lies in a file without gaps, its last axis fastest.

    Slicing is safe from any thread.

    Parameters
    ----------
    path : path
    dtype : numpy.dtype
        Of a number in the file, with its byte order.
    shape : tuple of four int
        In the order of the file.
    offset : int
        Bytes before the first number.

    Raises
    ------
    FileFormatError
        When the file is not long enough for that; later, when it has become shorter.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "four"
    ...     _ = path.write_bytes(b"head" + np.arange(24, dtype=">u2").tobytes())
    ...     array = Planes(path, np.dtype(">u2"), (2, 2, 2, 3), 4)
    ...     array.shape, str(array.dtype), array[:, :, 1, 2].tolist()
    ((2, 2, 2, 3), 'uint16', [[5, 11], [17, 23]])
    """

    ndim = 4
    chunks = None
    by_pattern = True  # where the detector comes last; who puts the axes into another order says nothing of it

    def __init__(
        self, path: str | os.PathLike[str], dtype: Any, shape: tuple[int, int, int, int], offset: int = 0
    ) -> None:
        self.file, self.offset = FileBytes(path), int(offset)
        self.path, self.input_files = self.file.path, self.file.input_files
        self.stored = np.dtype(dtype)
        self.dtype = self.stored.newbyteorder("=")
        self.shape = tuple(int(n) for n in shape)
        size = self.file.size
        needed = self.offset + math.prod(self.shape) * self.stored.itemsize
        if len(self.shape) != 4 or min(self.shape) < 1 or self.offset < 0 or needed > size:
            raise FileFormatError(
                f"{printable(self.path.name)} has {size} bytes; expected {max(needed, 0)} or more, for "
                f"{' x '.join(map(str, self.shape))} numbers of {self.stored.itemsize} bytes after {self.offset}. "
                "It is cut off or damaged; copy it again."
            )

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, 4)
        if len(parts) != 4 or not all(isinstance(part, (slice, int, np.integer)) for part in parts):
            return np.asarray(self)[key]
        places = [range(n)[part] for n, part in zip(self.shape, parts, strict=True)]
        runs: list[tuple[int, int]] = []
        within: list[Any] = []
        for place in places:
            if isinstance(place, int):
                runs.append((place, place + 1))
                within.append(0)
            elif not len(place):
                return np.empty([len(p) for p in places if not isinstance(p, int)], self.dtype)
            else:
                low, high = min(place[0], place[-1]), max(place[0], place[-1])
                runs.append((low, high + 1))
                within.append(slice(place[0] - low, None, place.step))
        return self._read(runs)[tuple(within)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._read([(0, n) for n in self.shape]).astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def _read(self, runs: list[tuple[int, int]]) -> np.ndarray:
        """The block from first to end of each axis, in native byte order; the caller may keep and change it."""
        (y0, y1), (x0, x1) = runs[2:]
        rows, columns = self.shape[2:]
        out = np.empty([end - first for first, end in runs], self.dtype)
        flat = out.reshape(-1, y1 - y0, x1 - x0)
        plane = rows * columns * self.stored.itemsize
        wanted = ((y1 - y0 - 1) * columns + x1 - x0) * self.stored.itemsize  # from the first byte to the last
        through = plane - wanted <= SKIPPED or SHARE * wanted >= plane
        # what is held of a plane, from the first byte that is wanted
        if through:
            held = rows, columns
        else:
            held = y1 - y0, columns if y1 - y0 > 1 else x1 - x0
        step = max(1, PIECE // (math.prod(held) * self.stored.itemsize))
        done = 0
        for first, end in self._runs_of_planes(runs[0], runs[1]):
            for edge in range(first, end, step):
                buffer = np.empty((min(step, end - edge), *held), self.stored)
                start = self.offset + edge * plane + (y0 * columns + x0) * self.stored.itemsize
                self._fill(buffer, start, plane, wanted, through)
                flat[done : done + len(buffer)] = buffer[:, : y1 - y0, : x1 - x0]
                done += len(buffer)
        return out

    def _runs_of_planes(self, first: tuple[int, int], second: tuple[int, int]) -> Iterator[tuple[int, int]]:
        across = self.shape[1]
        if second == (0, across):
            yield first[0] * across, first[1] * across
        else:
            yield from ((n * across + second[0], n * across + second[1]) for n in range(*first))

    def _fill(self, buffer: np.ndarray, start: int, plane: int, wanted: int, through: bool) -> None:
        """Bytes of consecutive planes, from the first that is wanted of each; whole planes where that is quicker."""
        count, each = len(buffer), buffer[0].nbytes
        todo = buffer.reshape(-1).view(np.uint8).data.cast("B")
        if through:
            places = [(start, todo[: (count - 1) * plane + wanted])]
        else:
            places = [(start + n * plane, todo[n * each : n * each + wanted]) for n in range(count)]
        if self.file.read(places):
            raise self.file.shorter("some of its patterns")

    def __reduce__(self) -> Any:
        return opened_again, (Planes, self.path, self.file.size, (self.stored, self.shape, self.offset))

    def __repr__(self) -> str:
        return f"Planes({self.path.name!r}, shape={self.shape}, dtype={self.dtype})"

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        self.file.close()
