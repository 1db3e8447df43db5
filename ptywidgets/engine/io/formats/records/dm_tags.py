"""The tree of tags in a DigitalMicrograph file (.dm3, .dm4): small values, and where the large ones lie.

A file says how many tags there are, how long their names and values, and how deep they lie within each other. None of
that is believed before it has been held against the size of the file and the limits below.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.detect_format import printable

DEEPEST = 40  # groups within groups
MOST_TAGS = 1_000_000
MOST_FIELDS = 256  # of a structure
SMALL = 16_384  # bytes of an array that is taken along; a longer one is only found
_GROUP, _VALUE = 20, 21
_STRUCTURE, _STRING, _ARRAY = 15, 18, 20
_NUMBERS = {  # type of a value: numpy's
    2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "u1", 11: "i8", 12: "u8",
}  # fmt: skip
Place = tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """An array that stays in the file."""

    offset: int
    count: int
    itemsize: int  # bytes
    code: str  # numpy's type of an item with its byte order; empty for structures
    text: str = ""  # what a short array of small numbers is as letters: text is stored so

    @property
    def nbytes(self) -> int:
        """Length in the file."""
        return self.count * self.itemsize


@dataclass
class Tags:
    """What is in the file, by the names of the groups it lies in; a group or value without a name has its number."""

    values: dict[Place, Any]
    order: str  # of the bytes of values, "<" or ">"
    version: int

    def get(self, *path: str) -> Any:
        """The value there, None where there is none."""
        return self.values.get(path)

    def under(self, *path: str) -> dict[Place, Any]:
        """Values below a group, by the rest of their path."""
        return {found[len(path) :]: value for found, value in self.values.items() if found[: len(path)] == path}


def is_dm(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes starts as one of version 3 or 4 does.

    Examples
    --------
    >>> is_dm(bytes([0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 1, 1, 0]), 25), is_dm(bytes(14), 25)
    (True, False)
    """
    version = int.from_bytes(start[:4], "big")
    if version not in (3, 4) or len(start) < (14 if version == 3 else 18):
        return False
    width = 4 if version == 3 else 8
    order = int.from_bytes(start[4 + width : 8 + width], "big")
    return order in (0, 1) and all(flag in (0, 1) for flag in start[8 + width : 10 + width])


def read_tags(path: Path) -> Tags:
    """All tags of a file.

    Raises
    ------
    FileFormatError
        When it is not what it should be, or holds more than could be meant.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _Reader(file, size, path.name)
        try:
            return reader.tags()
        except (struct.error, ValueError, OverflowError) as error:
            raise reader.damaged(f"its tags cannot be read, {error}") from None


class _Reader:
    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.file, self.size, self.name = file, size, name
        self.values: dict[Place, Any] = {}
        self.count = 0

    def damaged(self, words: str) -> FileFormatError:
        return FileFormatError(
            f"{printable(self.name)} is a DigitalMicrograph file that is cut off or damaged ({printable(words)}); copy "
            "it again."
        )

    def tags(self) -> Tags:
        (self.version,) = self._unpack(">I")
        if self.version not in (3, 4):
            raise self.damaged(f"version {self.version}; expected 3 or 4")
        self.length = "Q" if self.version == 4 else "I"
        self._unpack(">" + self.length)  # of the whole, which some programs get wrong
        self.order = "<" if self._unpack(">I")[0] == 1 else ">"
        self._group((), 0)
        return Tags(self.values, self.order, self.version)

    def _unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.file.read(struct.calcsize(form)))

    def _lengths(self, n: int) -> tuple[int, ...]:
        return self._unpack(f">{n}{self.length}")

    def _group(self, path: Place, depth: int) -> None:
        if depth > DEEPEST:
            raise self.damaged(f"groups within groups more than {DEEPEST} deep")
        self._unpack(">BB")  # sorted, open
        (count,) = self._lengths(1)
        if count * 3 > self.size - self.file.tell():
            raise self.damaged(f"{count} tags in a group, for which it has no room")
        for number in range(count):
            self.count += 1
            if self.count > MOST_TAGS:
                raise self.damaged(f"more than {MOST_TAGS} tags")
            kind, length = self._unpack(">BH")
            if kind not in (_GROUP, _VALUE):
                raise self.damaged(f"a tag of kind {kind}; expected {_GROUP} or {_VALUE}")
            name = self.file.read(length)
            if len(name) != length:
                raise self.damaged("it ends within a name")
            if self.version == 4:
                self._unpack(">Q")  # bytes that follow
            at = (*path, name.decode("latin-1") if name else str(number))
            if kind == _GROUP:
                self._group(at, depth + 1)
            else:
                value = self._value()
                self.values.setdefault(at, value)

    def _value(self) -> Any:
        if self.file.read(4) != b"%%%%":
            raise self.damaged("a value without its mark %%%%")
        (count,) = self._lengths(1)
        if not 1 <= count <= 3 + 2 * MOST_FIELDS:
            raise self.damaged(f"a value described by {count} numbers")
        info = self._lengths(count)
        if info[0] in _NUMBERS:
            return self._number(_NUMBERS[info[0]])
        if info[0] == _STRING and count == 2:
            return self._text(np.dtype("u1"), info[1])
        if info[0] == _STRUCTURE:
            types, _ = self._fields(info[1:])
            return tuple(self._number(kind) for kind in types)
        if info[0] == _ARRAY and count >= 3:
            return self._array(info)
        raise self.damaged(f"a value of type {info[0]}")

    def _array(self, info: tuple[int, ...]) -> Any:
        if info[1] in _NUMBERS and len(info) == 3:
            kind = np.dtype(self.order + _NUMBERS[info[1]])
            if kind.itemsize <= 2 and info[2] * kind.itemsize <= SMALL and kind.kind in "iu":
                start = self.file.tell()
                text = self._text(kind, info[2])
                self.file.seek(start)
                return replace(self._skipped(info[2], kind.itemsize, kind.str), text=text)
            return self._skipped(info[2], kind.itemsize, kind.str)
        if info[1] == _STRUCTURE and len(info) >= 5:
            types, used = self._fields(info[2:])
            if len(info) == 3 + used:
                return self._skipped(info[-1], sum(np.dtype(kind).itemsize for kind in types), "")
        raise self.damaged("an array of a type that cannot be")

    def _fields(self, info: tuple[int, ...]) -> tuple[list[str], int]:
        """Types of the fields of a structure, and how many numbers described them."""
        if len(info) < 2 or info[1] > MOST_FIELDS or len(info) < 2 + 2 * info[1]:
            raise self.damaged("a structure whose fields are not described")
        codes = info[3 : 3 + 2 * info[1] : 2]
        if any(code not in _NUMBERS for code in codes):
            raise self.damaged("a structure within a structure")
        return [_NUMBERS[code] for code in codes], 2 + 2 * info[1]

    def _skipped(self, count: int, itemsize: int, code: str) -> Stored:
        found = Stored(self.file.tell(), count, itemsize, code)
        if found.offset + found.nbytes > self.size:
            raise self.damaged(
                f"an array of {found.nbytes} bytes from {found.offset} on, where the file has {self.size}"
            )
        self.file.seek(found.offset + found.nbytes)
        return found

    def _number(self, kind: str) -> Any:
        dtype = np.dtype(self.order + kind)
        content = self.file.read(dtype.itemsize)
        if len(content) != dtype.itemsize:
            raise self.damaged("it ends within a number")
        return np.frombuffer(content, dtype)[0].item()

    def _text(self, kind: np.dtype, count: int) -> str:
        if count * kind.itemsize > min(self.size - self.file.tell(), 64 * SMALL):
            raise self.damaged(f"a text of {count} letters")
        content = self.file.read(count * kind.itemsize)
        if kind.itemsize == 1:
            return content.decode("latin-1")
        return content.decode("utf-16-le" if self.order == "<" else "utf-16-be", "replace")


def text_of(value: Any) -> str:
    """A value as text; empty where it is none.

    Examples
    --------
    >>> text_of(2.5), text_of("nm"), text_of(None), text_of((1, 2))
    ('2.5', 'nm', '', '')
    """
    if isinstance(value, (str, int, float)):
        return str(value).strip("\0 ")
    return value.text.strip("\0 ") if isinstance(value, Stored) else ""
