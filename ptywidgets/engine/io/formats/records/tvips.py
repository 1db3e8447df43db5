"""TVIPS streams (.tvips): a recording in one file, or cut into _000.tvips, _001.tvips and so on.

Only the first part has a header. How the beam was moved is not in it: it is a stack of patterns.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io.arrays.stacks import LARGEST, PATTERN, Joined, Records
from ptywidgets.engine.io.calibration_entries import entry_if_set
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array

KEY = "tvips"
NAME = "TVIPS .tvips"

_HEADER = struct.Struct("<13I")
_SMALLEST, _LARGEST_HEADER = 52, 65_536  # bytes of a header
_MARK = b"TVIPS"  # fills the rest of the header
_FRAME_HEADER_1 = 12  # bytes, in version 1; version 2 says it
_WIDEST = 65_536  # pixels
_MOST_PARTS = 1000  # the number of a part has three digits
_PART = re.compile(r"(.*_)(\d{3})(\.tvips)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class _Header:
    size: int  # bytes
    columns: int
    rows: int
    itemsize: int
    frame_header: int  # bytes before each pattern
    binning: int
    kilovolts: int
    length: int  # camera length or magnification

    @property
    def record(self) -> np.dtype:
        """One pattern with what stands before it."""
        pattern = (PATTERN, f"<u{self.itemsize}", (self.rows, self.columns))
        return np.dtype([("header", f"V{self.frame_header}"), pattern] if self.frame_header else [pattern])


def understands(path: Path) -> bool:
    """Whether it, or the first part that lies beside it, begins as such a recording.

    What the program itself writes has its name in the header; of what others write the file's name has to say it.
    """
    try:
        first = _first(path)
        if _header(first) is not None:
            return path.suffix.lower() == ".tvips" or first_bytes(path, _SMALLEST + 5)[_SMALLEST:] == _MARK
        return path.is_file() and first == path and _number(path) > 0  # of which the first part is missing
    except OSError:
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack of all patterns of all parts."""
    single_array(path, dataset)
    parts = _parts(path)
    header = _header(parts[0])
    if header is None:
        raise FileFormatError(
            f"{printable(parts[0].name)} does not begin with the header of a recording, which says its version (1 or "
            "2), the size of a pattern and 8 or 16 bits; it is cut off, damaged or something else."
        )
    stacks = []
    for part in parts:
        first, last = part is parts[0], part is parts[-1]
        stacks.append(_stack(part, header, header.size if first else 0, may_be_empty=last and not first))
    metadata = {"parts": str(len(parts))} if len(parts) > 1 else {}
    if header.binning > 1:
        metadata["detector binning"] = str(header.binning)
    if header.length:
        metadata["camera length or magnification"] = f"{header.length} as stored, in a unit that the file does not say"
    entries = entry_if_set("energy", header.kilovolts, "keV", "header: high tension")
    return FileContents(Joined.of([stack for stack in stacks if stack is not None]), entries, None, metadata)


def _stack(path: Path, header: _Header, offset: int, may_be_empty: bool) -> Any:
    """The patterns of one part, whole ones; None where the last part has none yet."""
    size = path.stat().st_size
    count, rest = divmod(size - offset, header.record.itemsize)
    name = printable(path.name)
    words = f"{header.rows} x {header.columns} pixels of {header.itemsize} bytes and a header of {header.frame_header}"
    if count < 1 and not (may_be_empty and size == 0):
        raise FileFormatError(
            f"{name} has {size} bytes; expected {offset} and one pattern at least, {words}. It is cut off or damaged; "
            "copy it again."
        )
    if rest:
        warnings.warn(
            f"{name} ends within a pattern: {rest} bytes after {count} patterns ({words}) are left out. The recording "
            "was broken off, or the file is cut off.",
            DataWarning,
            stacklevel=4,
        )
    return Records(path, header.record, count, offset) if count else None


def _header(path: Path) -> _Header | None:
    """What the first part says; None where it says what cannot be."""
    start = first_bytes(path, _HEADER.size)
    if len(start) < _HEADER.size:
        return None
    size, version, columns, rows, bits, _, _, binning, _, _, kilovolts, length, frame_header = _HEADER.unpack(start)
    if version == 1:
        frame_header = _FRAME_HEADER_1
    right = (
        version in (1, 2)
        and _SMALLEST <= size <= _LARGEST_HEADER
        and 1 <= columns <= _WIDEST
        and 1 <= rows <= _WIDEST
        and bits in (8, 16)
        and rows * columns * bits // 8 <= LARGEST
        and frame_header <= _LARGEST_HEADER
        and path.stat().st_size >= size
    )
    return _Header(size, columns, rows, bits // 8, frame_header, binning, kilovolts, length) if right else None


def _number(path: Path) -> int:
    """Of a part; 0 of what is no part."""
    named = _PART.fullmatch(path.name)
    return 0 if named is None else int(named[2])


def _first(path: Path) -> Path:
    """The part with the header."""
    named = _PART.fullmatch(path.name)
    if named is None or named[2] == "000":
        return path
    first = path.with_name(f"{named[1]}000{named[3]}")
    return first if first.is_file() else path


def _parts(path: Path) -> list[Path]:
    """All parts of the recording that `path` is one of."""
    named = _PART.fullmatch(path.name)
    if named is None:
        return [path]
    prefix, number, suffix = named.groups()
    found = {}
    for name in os.listdir(path.parent):
        part = _PART.fullmatch(name)
        if part is not None and part[1] == prefix and part[3] == suffix and (path.parent / name).is_file():
            found[int(part[2])] = path.parent / name
    missing = [n for n in range(max(found)) if n not in found]
    if missing:
        raise FileFormatError(
            f"{printable(path.name)} is part {int(number)} of a recording of which {printable(prefix)}"
            f"{missing[0]:03d}{suffix} is not beside it; copy all parts into one folder."
        )
    return [found[n] for n in sorted(found)[:_MOST_PARTS]]
