"""MATLAB files of version 5 (up to -v7); those of version 7.3 are HDF5.

MATLAB's own order of axes is [Qy Qx Ry Rx]; scipy.io.savemat stores an array of Python's with its axes as they are,
which is (Ry, Rx, Qy, Qx) as a rule. The header tells the two apart: scipy names as the platform what Python calls it.
Nothing tells what whoever called scipy has put first, so that such a file is opened with a warning, except where the
array has one of the names that MATLAB's programs look for and scipy has been used to write for these.

Read here and not by scipy, whose reader ends the process over some damaged files, and does not say how much memory a
packed array will take.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError, PtyError
from ptywidgets.engine.data.dataset_checks import check_memory, checked_pattern, sizes
from ptywidgets.engine.io.arrays.axes import AXES, ORDER, STACK
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.containers.several import chosen, chosen_pattern, vacuum_of
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.tree import Entry
from ptywidgets.engine.io.named_entries import matlab_entries

KEY = "matlab"
NAME = "MATLAB v5 (.mat)"
ORDERS = {3: ("Qy", "Qx", "J"), 4: ("Qy", "Qx", "Ry", "Rx"), 5: ("Qy", "Qx", "Ry", "Rx", "T")}  # of MATLAB
OF_PYTHON = {3: STACK, 4: ORDER, 5: ("T", *ORDER)}
OF_MATLAB = ("cbed", "dp")  # names that fold_slice and its relatives look for
FEW = 16  # pixels along either side: what has fewer is no detector, where another reading has more
SCALARS = 50  # numbers beside the array that are looked at
MOST_VARIABLES = 10_000
LONGEST_NAME = 4096
PIECE = 4_000_000  # bytes that are unpacked at once
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = (1, 2, 3, 4, 5)  # cells, structures, objects, text, sparse arrays
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _PACKED = 14, 15
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_TIGHTEST = 1100  # no array is packed into less than its bytes divided by this


def understands(path: Path) -> bool:
    """Whether the header is that of MATLAB v5, in either byte order."""
    start = first_bytes(path, 128)
    return len(start) == 128 and start.startswith(b"MATLAB 5.0 MAT-file") and start[126:] in (b"IM", b"MI")


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The array called `dataset`, or the only one of four axes; of three a stack, of five a series."""
    listed = variables(path)
    python = _of_scipy(path)
    # the detector is looked for last
    turned = [e if _in_order_of_python(e, python) else Entry(e.path, e.shape[::-1], e.dtype) for e in listed]
    found = chosen(turned, path, dataset, scan_shape is not None)
    entry = next(e for e in listed if e.path == found.path)
    data = variable(path, entry)
    numbers = scalars(path, [e for e in listed if e.shape == (1, 1)])
    metadata = {printable(name): f"{value:g}" for name, value in numbers.items()}
    metadata["reading"] = f"read whole, {sizes(data.shape)} {data.dtype}"
    entries = [c for name, value in numbers.items() for c in matlab_entries(name, value)]
    if data.ndim not in ORDERS:
        raise DataError(
            f"{printable(found.path)!r} in {printable(path.name)} has {data.ndim} axes, {sizes(data.shape)}; expected "
            "[Qy Qx Ry Rx], or a stack [Qy Qx J] with scan_shape."
        )
    own = _in_order_of_python(entry, python)
    names = OF_PYTHON[data.ndim] if own else ORDERS[data.ndim]
    order = tuple(names.index(name) for name in OF_PYTHON[data.ndim])
    beside = vacuum_of(listed, [data.shape[axis] for axis in order[-2:]])
    vacuum = None if beside is None else checked_pattern(variable(path, beside))
    at = "" if beside is None else beside.path
    if beside is not None:
        metadata["vacuum"] = beside.path
    doubt = _doubt(path, entry, own) if python and entry.path not in OF_MATLAB else ""
    if data.ndim == 5:
        data = data.transpose(order)
        if not own:
            metadata[AXES] = f"stored as [{' '.join(names)}], read as ({', '.join(OF_PYTHON[5])})"
        order = (0, 1, 2, 3)  # of each scan
    words = "the order of Python, in which scipy has stored it" if own else f"MATLAB's axes, [{' '.join(names)}]"
    words += "; scan rows one after the other" if data.ndim == 3 else ""
    return FileContents(
        data, entries, vacuum, metadata, found.path, at, order=order, order_from=words, order_doubt=doubt
    )


def _of_scipy(path: Path) -> bool:
    """Whether scipy has written the file: as the platform it gives os.name, and MATLAB an architecture of its own."""
    return re.search(rb"Platform: (posix|nt|java),", first_bytes(path, 116)) is not None


def _in_order_of_python(entry: Entry, scipy: bool) -> bool:
    """Whether an array is taken for (Ry, Rx, Qy, Qx) as stored; of 3 and of 5 axes likewise."""
    shape = entry.shape
    if not scipy or entry.path in OF_MATLAB or len(shape) not in ORDERS:
        return False
    first, last = shape[:2], shape[-2:]
    if min(last) < 2 <= min(first) or max(last) < FEW <= min(first):
        return False
    # a stack whose patterns are square by one reading alone
    return len(shape) != 3 or last[0] == last[1] or first[0] != first[1]


def _doubt(path: Path, entry: Entry, own: bool) -> str:
    """What the axes are taken for where that cannot be known, and what to pass if they are others."""
    n = len(entry.shape)
    taken, other = (OF_PYTHON[n], ORDERS[n]) if own else (ORDERS[n], OF_PYTHON[n])
    hint = "save it in the other order" if n == 5 else f"pass read(path, axes={' '.join(other)!r})"
    return (
        f"{entry} in {printable(path.name)}, which scipy has written, does not say what its axes are; they are taken "
        f"for ({', '.join(taken)}), in the order of {'Python' if own else 'MATLAB, because of its shape'}. If they are "
        f"({', '.join(other)}), {hint}."
    )


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The 2-D array called `dataset`, the one called vacuum or probe, or the only one, [Qy Qx]."""
    return checked_pattern(variable(path, chosen_pattern(variables(path), path, dataset)))


@dataclass(frozen=True)
class _Element:
    """A variable, and where it is."""

    entry: Entry  # of the size as in MATLAB
    at: int  # the byte at which its element begins
    stored: np.dtype | None  # a double that holds whole numbers may be kept as bytes; None of what is no array


def variables(path: Path) -> list[Entry]:
    """What is in the file: name, size as in MATLAB, and type; what is no array has the type of Python objects."""
    return [element.entry for element in _elements(path)]


def variable(path: Path, entry: Entry) -> np.ndarray:
    """One array, in memory."""
    element = next(e for e in _elements(path) if e.entry == entry)
    if element.stored is None or entry.dtype.kind not in "biuf":
        raise FileFormatError(
            f"{entry} in {printable(path.name)} is no array of real numbers; of complex ones save the absolute square."
        )
    count = math.prod(entry.shape)
    check_memory(
        count * (element.stored.itemsize + (0 if element.stored == entry.dtype else entry.dtype.itemsize)),
        f"{entry} of {printable(path.name)}, which is read whole,",
        "save it from MATLAB with '-v7.3', which is read piece by piece",
    )
    with _errors(path), path.open("rb") as file:
        stream, order, _ = _opened(file, element.at, path.stat().st_size)
        _header(stream, order)
        out = np.empty(count, element.stored)
        stream.into(out.view(np.uint8).data.cast("B"))
    return out.astype(entry.dtype, copy=False).reshape(entry.shape, order="F")


def scalars(path: Path, listed: list[Entry]) -> dict[str, float]:
    """Single numbers, by name."""
    numbers = [entry for entry in listed if entry.dtype.kind in "iuf"][:SCALARS]
    return {entry.path: float(variable(path, entry).ravel()[0]) for entry in numbers}


def _elements(path: Path) -> list[_Element]:
    """Every variable, after a look at whether its size goes with that of the file."""
    found: list[_Element] = []
    size, at = path.stat().st_size, 128
    with _errors(path), path.open("rb") as file:
        while at < size:
            stream, order, end = _opened(file, at, size)
            name, shape, dtype, stored, nbytes = _header(stream, order)
            entry = Entry(name, shape, dtype)
            if stored is not None:
                expected = math.prod(shape) * stored.itemsize
                if nbytes != expected or nbytes > _TIGHTEST * (end - at):
                    raise ValueError(
                        f"{entry} would take {expected} bytes where {nbytes} are, in {end - at} bytes of the file"
                    )
            if name:  # what has none are MATLAB's own tables
                found.append(_Element(entry, at, stored))
            if len(found) > MOST_VARIABLES:
                raise ValueError(f"more than {MOST_VARIABLES} variables")
            at = end
    return found


def _opened(file: BinaryIO, at: int, size: int) -> tuple[_Stream, str, int]:
    """The content of the variable that begins at byte `at`, its byte order, and the byte after it."""
    file.seek(126)
    order = "<" if file.read(2) == b"IM" else ">"
    file.seek(at)
    kind, nbytes = struct.unpack(f"{order}II", file.read(8))
    end = at + 8 + nbytes
    if end > size:
        raise ValueError(f"a variable of {nbytes} bytes would end at byte {end} of {size}")
    stream = _Stream(file, nbytes, kind == _PACKED)
    if kind == _PACKED:
        kind, _ = struct.unpack(f"{order}II", stream.read(8))
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind}; expected a variable")
    return stream, order, end


def _header(stream: _Stream, order: str) -> tuple[str, tuple[int, ...], np.dtype, np.dtype | None, int]:
    """Name, size, type, type as stored and number of bytes of a variable; the stream is then at its numbers."""
    nothing = np.dtype(object)
    flags, _ = struct.unpack(f"{order}II", _part(stream, order, 8))
    kind = flags & 0xFF
    if kind not in _CLASSES and kind not in _OTHERS:
        return "", (), nothing, None, 0
    shape = tuple(int(n) for n in np.frombuffer(_part(stream, order, 4 * 32), f"{order}i4"))
    name = _part(stream, order, LONGEST_NAME).decode("latin-1")
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"{printable(name)!r} is of size {shape}")
    if kind not in _CLASSES:
        return name, shape, nothing, None, 0
    if flags & _COMPLEX:
        return name, shape, np.dtype(np.complex128), None, 0
    dtype = np.dtype(bool) if flags & _LOGICAL else np.dtype(_CLASSES[kind])
    if 0 in shape:
        return name, shape, dtype, None, 0
    stored, nbytes = _tag(stream, order)
    if stored not in _STORED:
        raise ValueError(f"{printable(name)!r} holds numbers of type {stored}")
    return name, shape, dtype, np.dtype(f"{order}{_STORED[stored]}"), nbytes


def _tag(stream: _Stream, order: str) -> tuple[int, int]:
    """Type and number of bytes of a part of a variable; the stream is then at its content."""
    (word,) = struct.unpack(f"{order}I", stream.read(4))
    if word >> 16:  # a short one: both in these four bytes, and the content in the next four
        return word & 0xFFFF, word >> 16
    (nbytes,) = struct.unpack(f"{order}I", stream.read(4))
    return word, nbytes


def _part(stream: _Stream, order: str, most: int) -> bytes:
    """The content of a small part of a variable."""
    (word,) = struct.unpack(f"{order}I", stream.read(4))
    if word >> 16:
        return stream.read(4)[: word >> 16]
    (nbytes,) = struct.unpack(f"{order}I", stream.read(4))
    if nbytes > most:
        raise ValueError(f"{nbytes} bytes where {most} may be")
    return stream.read(-(-nbytes // 8) * 8)[:nbytes]


class _Stream:
    """Bytes of an element, packed or not; a ValueError when more are asked for than there are."""

    def __init__(self, file: BinaryIO, nbytes: int, packed: bool) -> None:
        self.file, self.left = file, nbytes
        self.unpacker = zlib.decompressobj() if packed else None
        self.waiting = b""

    def read(self, n: int) -> bytes:
        out = bytearray(n)
        self.into(memoryview(out))
        return bytes(out)

    def into(self, todo: memoryview) -> None:
        """Fill a buffer."""
        while len(todo):
            if self.unpacker is None:
                got = self.file.readinto(todo[: min(PIECE, self.left)])  # type: ignore[attr-defined]  # a buffered file
                self.left -= got
            else:
                unpacked = self._unpacked(min(len(todo), PIECE))
                got = len(unpacked)
                todo[:got] = unpacked
            if not got:
                raise ValueError(f"{len(todo)} bytes are missing")
            todo = todo[got:]

    def _unpacked(self, n: int) -> bytes:
        assert self.unpacker is not None
        while True:
            if not self.waiting and self.left:
                self.waiting = self.file.read(min(1 << 16, self.left))
                self.left -= len(self.waiting)
            ending = not self.waiting
            got = self.unpacker.decompress(self.waiting, n)
            self.waiting = self.unpacker.unconsumed_tail
            if got or ending or self.unpacker.eof:
                return got


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What may be wrong with a damaged file, in words."""
    try:
        yield
    except PtyError:
        raise
    except MemoryError as error:
        raise DataError(f"there is not enough memory for what is asked of {printable(path.name)}.") from error
    except (struct.error, zlib.error, ValueError, KeyError, IndexError, OverflowError, TypeError, OSError) as error:
        reason = printable(" ".join(str(error).split()) or type(error).__name__, 240)
        raise FileFormatError(
            f"{printable(path.name)} is cut off or damaged ({reason}); copy it again, or save it from MATLAB with "
            "'-v7.3'."
        ) from None
