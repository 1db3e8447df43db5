"""Stacks of patterns (J, Qy, Qx) that stay in their files: records of one length, several files, frames left out.

Records are read and not mapped into memory: a file that is cut or whose disk goes away while it is in use is then an
error that says so, where a map would end the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.core.files import files_of, listed_files
from ptywidgets.engine.data.array_views import by_pattern, whole_key
from ptywidgets.engine.io.arrays.file_bytes import FileBytes, opened_again
from ptywidgets.engine.io.detect_format import printable

PATTERN = "pattern"  # the field of a record that holds it
LARGEST = 2**31 - 70_000  # bytes of a pattern: what numpy can describe as a record, with a header before it
MOST_OPEN = 8  # files of a series
PIECE = 16_000_000  # bytes that are read at once: between them the thread can be interrupted
Decode = Callable[[np.ndarray], np.ndarray]


class Stack:
    """What stacks share: an index of the first axis becomes runs of whole patterns, the rest is taken from them."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    ndim = 3
    by_pattern = True  # single patterns are read as quickly as many

    def _patterns(self, first: int, end: int) -> np.ndarray:
        """Patterns `first` to `end`, (n, Qy, Qx), in native byte order; the caller may keep and change them."""
        raise NotImplementedError

    def __getitem__(self, key: Any) -> np.ndarray:
        frames, *rest = whole_key(key, 3)
        if not isinstance(frames, (slice, int, np.integer)):
            return np.asarray(self)[key]
        one, many = (0, *rest), (slice(None), *rest)
        if not isinstance(frames, slice):
            at = range(self.shape[0])[int(frames)]
            return self._patterns(at, at + 1)[one]
        wanted = range(self.shape[0])[frames]
        if not len(wanted):
            return np.empty((0, *self.shape[1:]), self.dtype)[many]
        if wanted.step == 1:
            return self._patterns(wanted[0], wanted[-1] + 1)[many]
        return np.stack([self._patterns(at, at + 1)[0] for at in wanted])[many]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._patterns(0, self.shape[0]).astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]


class Records(Stack):
    """Patterns in records of one length, one after the other in a file; slicing is safe from any thread.

    Parameters
    ----------
    path : path
    record : numpy.dtype
        One record: a structured type with the field "pattern", a sub-array (Qy, Qx) of numbers; what else is in a
        record are other fields, which are skipped. A plain type with a sub-array is a record that is all pattern.
    count : int
        Number of records.
    offset : int
        Bytes before the first.
    decode : callable, optional
        Patterns (n, Qy, Qx) from the field's content (n, ...), of a format that packs or rearranges pixels; a function
        of a module, so that the stack can be pickled.

    Raises
    ------
    FileFormatError
        When the file is not long enough for that; later, when it has become shorter.

    Examples
    --------
    >>> import tempfile
    >>> record = np.dtype([("header", "V6"), ("pattern", ">u2", (2, 2))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.raw"
    ...     two = np.zeros(2, record)
    ...     two["pattern"] = np.arange(8).reshape(2, 2, 2)
    ...     _ = path.write_bytes(b"head" + two.tobytes())
    ...     stack = Records(path, record, 2, 4)
    ...     stack.shape, str(stack.dtype), stack[1].tolist()
    ((2, 2, 2), 'uint16', [[4, 5], [6, 7]])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        record: np.dtype,
        count: int,
        offset: int = 0,
        decode: Decode | None = None,
    ) -> None:
        self.file = FileBytes(path)
        self.path, self.input_files = self.file.path, self.file.input_files
        self.record = record if record.names else np.dtype([(PATTERN, record)])
        self.count, self.offset, self.decode = int(count), int(offset), decode
        inside, start = self.record.fields[PATTERN][:2]  # type: ignore[index]  # a structured type has fields
        self._after = self.record.itemsize - start - inside.itemsize  # bytes, which the last record may lack
        size = self.file.size
        needed = self.offset + self.count * self.record.itemsize - self._after
        if self.count < 1 or self.record.itemsize < 1 or self.offset < 0 or needed > size:
            raise FileFormatError(
                f"{printable(self.path.name)} has {size} bytes; expected {max(needed, 0)} or more, for "
                f"{max(self.count, 0)} patterns of {self.record.itemsize} bytes after {self.offset}. It is cut off or "
                "damaged; copy it again."
            )
        field = self.record[PATTERN]
        one = np.zeros((1, *field.shape), field.base)
        shape, dtype = (one.shape, one.dtype) if decode is None else ((made := decode(one)).shape, made.dtype)
        self.shape = (self.count, *(int(n) for n in shape[1:]))  # type: ignore[assignment]  # of two axes, checked below
        self.dtype = dtype.newbyteorder("=")
        if len(self.shape) != 3 or 0 in self.shape:
            raise FileFormatError(
                f"a pattern of {printable(self.path.name)} is {tuple(self.shape[1:])}; expected rows and columns of "
                "one pixel at least. The file is damaged."
            )

    def longer(self, count: int) -> Records:
        """The same with more records, of a file that has grown; it is not opened again."""
        other = object.__new__(type(self))  # a copy would be opened anew
        vars(other).update(vars(self))
        other.count, other.shape = int(count), (int(count), *self.shape[1:])
        return other

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        step = max(1, PIECE // self.record.itemsize)
        for edge in range(first, end, step):
            stop = min(end, edge + step)
            field = self._records(edge, stop)[PATTERN]
            out[edge - first : stop - first] = field if self.decode is None else self.decode(field)
        return out

    def _records(self, first: int, end: int) -> np.ndarray:
        records = np.empty(end - first, self.record)
        left = self._fill(self.offset + first * self.record.itemsize, records)
        if left > (self._after if end == self.count else 0):
            raise self._shorter(first, end)
        return records

    def _fill(self, at: int, records: np.ndarray) -> int:
        """Read records from byte `at` of the file on; the number of bytes that are not there."""
        return self.file.read([(at, records.view(np.uint8).data.cast("B"))])

    def _shorter(self, first: int, end: int) -> FileFormatError:
        return self.file.shorter(f"patterns {first} to {end - 1}")

    def __reduce__(self) -> Any:
        return opened_again, (Records, self.path, self.file.size, (self.record, self.count, self.offset, self.decode))

    def __repr__(self) -> str:
        return f"Records({self.path.name!r}, shape={self.shape}, dtype={self.dtype})"

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        self.file.close()


class Scattered(Records):
    """Patterns of one size and type at any places of a file, such as the pages of a TIFF.

    Parameters
    ----------
    path : path
    record : numpy.dtype
        A pattern: a sub-array (Qy, Qx) of numbers.
    places : sequence of int
        The byte at which each begins.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.raw"
    ...     _ = path.write_bytes(bytes(range(20)))
    ...     Scattered(path, np.dtype(("u1", (2, 2))), [9, 2])[...].tolist()
    [[[9, 10], [11, 12]], [[2, 3], [4, 5]]]
    """

    def __init__(self, path: str | os.PathLike[str], record: np.dtype, places: Sequence[int]) -> None:
        self.places = np.asarray(places, np.int64)
        if not len(self.places) or self.places.min() < 0:
            raise FileFormatError(f"{printable(Path(path).name)} names places of patterns that cannot be.")
        super().__init__(path, record, 1, int(self.places.max()))  # where the last one is, all are
        self.count = len(self.places)
        self.shape = (self.count, *self.shape[1:])

    def _records(self, first: int, end: int) -> np.ndarray:
        records = np.empty(end - first, self.record)
        for number, at in enumerate(self.places[first:end]):
            if self._fill(int(at), records[number : number + 1]):
                raise self._shorter(first + number, first + number + 1)
        return records

    def __reduce__(self) -> Any:
        return opened_again, (Scattered, self.path, self.file.size, (self.record[PATTERN], self.places))


class Joined(Stack):
    """Several stacks one after the other, such as the files of a series; only the last few of them are kept open.

    Parameters
    ----------
    parts : sequence of stacks
    also : sequence of path
        Files that belong to them without holding patterns, so that these are not written over either.

    Examples
    --------
    >>> both = Joined([np.zeros((2, 4, 4), np.uint8), np.ones((3, 4, 4), np.uint8)])
    >>> both.shape, both[1:3].sum((1, 2)).tolist()
    ((5, 4, 4), [0, 16])
    """

    def __init__(self, parts: Sequence[Any], also: Sequence[str | os.PathLike[str]] = ()) -> None:
        self.parts = tuple(parts)
        self.input_files = listed_files((*files_of(*self.parts), *also))
        self._open: list[int] = []  # numbers of the parts read last
        detectors = {tuple(int(n) for n in part.shape[1:]) for part in self.parts}
        types = {np.dtype(part.dtype).newbyteorder("=") for part in self.parts}
        if len(detectors) != 1 or len(types) != 1:
            shapes = ", ".join(f"{tuple(part.shape)} {part.dtype}" for part in self.parts[:4])
            raise DataError(f"the parts of the data are {shapes}; expected patterns of one size and type in all.")
        self.by_pattern = all(by_pattern(part) for part in self.parts)
        self.edges = np.concatenate([[0], np.cumsum([int(part.shape[0]) for part in self.parts])])
        self.shape = (int(self.edges[-1]), *detectors.pop())  # type: ignore[assignment]  # of two axes
        self.dtype = types.pop()

    @staticmethod
    def of(parts: Sequence[Any]) -> Any:
        """The stacks as one; the only one as it is."""
        return parts[0] if len(parts) == 1 else Joined(parts)

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        edges = pairwise(int(edge) for edge in self.edges)
        for number, (part, (start, stop)) in enumerate(zip(self.parts, edges, strict=True)):
            low, high = max(first, start), min(end, stop)
            if low < high:
                out[low - first : high - first] = part[low - start : high - start]
                self._used(number)
        return out

    def _used(self, at: int) -> None:
        """Close what was read long ago: a series may have more files than may be open, each with chunks in memory."""
        last = [*(n for n in self._open if n != at), at]
        old, self._open = last[:-MOST_OPEN], last[-MOST_OPEN:]
        for number in old:
            getattr(self.parts[number], "close", bool)()


class Ordered(Stack):
    """Patterns of a stack in another order; some may be left out.

    Parameters
    ----------
    stack : stack
    order : array of int (J,)
        Number in the stack of each pattern.

    Examples
    --------
    >>> stack = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((4, 1, 1), np.uint8)
    >>> Ordered(stack, [2, 3, 0])[:, 0, 0].tolist()
    [2, 3, 0]
    """

    def __init__(self, stack: Any, order: Any) -> None:
        self.stack, self.order = stack, np.array(order, np.int64)
        self.shape = (len(self.order), *(int(n) for n in stack.shape[1:]))  # type: ignore[assignment]  # of two axes
        self.by_pattern = by_pattern(stack)
        self.dtype = np.dtype(stack.dtype).newbyteorder("=")

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        wanted = self.order[first:end]
        edges = [0, *(np.flatnonzero(np.diff(wanted) != 1) + 1).tolist(), len(wanted)]
        for low, high in pairwise(edges):  # runs that lie one after the other are read at once
            out[low:high] = self.stack[int(wanted[low]) : int(wanted[low]) + high - low]
        return out


class Synchronised(Stack):
    """`count` patterns of a stack from number `offset` on; those before its first and after its last are zeros.

    Examples
    --------
    >>> stack = np.arange(1, 4, dtype=np.uint8)[:, None, None] * np.ones((3, 1, 1), np.uint8)
    >>> Synchronised(stack, 1, 3)[:, 0, 0].tolist(), Synchronised(stack, -1, 3)[:, 0, 0].tolist()
    ([2, 3, 0], [0, 1, 2])
    """

    def __init__(self, stack: Any, offset: int, count: int) -> None:
        self.stack, self.offset = stack, int(offset)
        self.shape = (int(count), *(int(n) for n in stack.shape[1:]))  # type: ignore[assignment]  # of two axes
        self.by_pattern = by_pattern(stack)
        self.dtype = np.dtype(stack.dtype).newbyteorder("=")

    def measured(self) -> np.ndarray:
        """Which of the patterns are in the stack, (count,) bool."""
        places = np.arange(self.shape[0]) + self.offset
        return (places >= 0) & (places < int(self.stack.shape[0]))

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.zeros((end - first, *self.shape[1:]), self.dtype)
        low = max(first + self.offset, 0)
        high = min(end + self.offset, int(self.stack.shape[0]))
        if low < high:
            out[low - self.offset - first : high - self.offset - first] = self.stack[low:high]
        return out


__all__ = ["LARGEST", "PATTERN", "Joined", "Ordered", "Records", "Scattered", "Stack", "Synchronised"]
