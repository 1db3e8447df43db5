"""MRC stacks, and the 4D-STEM movies of Direct Electron cameras with what lies beside them.

An MRC file says how many images of what size and type it holds. A movie ``X_movie.mrc`` has ``X_info.txt`` beside it,
which says how it was scanned, and ``X_scan_coordinates.csv`` where the beam did not go row by row.

Bytes (mode 0) have a sign by the standard, and none in the files of many cameras. Where nothing in the file says which,
and a few of its patterns have bytes above 127, it is told how they are taken: as numbers from 0 to 255 where many of
them would be far below zero with a sign, which neither counts nor the noise around zero are; else as the standard says.
"""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io.arrays.placed import Placed
from ptywidgets.engine.io.arrays.stacks import LARGEST, Records
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array
from ptywidgets.engine.io.formats.records.de_scan import INFO, SCAN, DEInfo, frame_numbers, read_coordinates, read_info

KEY = "mrc"
NAME = "MRC .mrc, Direct Electron movies"

_HEADER = 1024  # bytes
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_NOT_READ = {
    3: "complex numbers",
    4: "complex numbers",
    16: "colours",
    17: "colours",
    101: "numbers of 4 bits, two to a byte",
}
_WIDEST = 4  # bytes of a pixel
_SUFFIXES = (".mrc", ".mrcs")
_LOOKED_AT = 3  # patterns of bytes: the first, one in the middle, the last
_FAR_BELOW = 192  # a byte below it and above 127 is -65 or less with a sign
_MANY = 0.2  # of the bytes above 127 are so far below zero
_NEGATIVE = -8.0  # no mean of counts or of noise around zero is below it
_IMOD = 1146047817  # in a header that says by a flag whether bytes have a sign
_MOVIE = re.compile(r"(.*)_movie(\.mrcs?)", re.IGNORECASE | re.DOTALL)
_TOLD = {  # of the metadata: keys of the info file, and the unit of the value
    "camera length": ("Instrument Project Camera Length (centimeters)", "cm"),
    "scan rotation": ("Scan - Rotation", "deg"),
    "dwell time": ("Scan - Dwell Time (microseconds)", "us"),
    "frames per second": ("Frames Per Second", ""),
    "camera": ("Camera Model", ""),
    "microscope": ("Instrument Project Name", ""),
    "magnification": ("Instrument Project Magnification", ""),
    "scan type": ("Scan - Type", ""),
}


@dataclass(frozen=True)
class _Header:
    columns: int
    rows: int
    patterns: int
    mode: int
    extended: int  # bytes after the header
    order: str  # of bytes, "<" or ">"
    marked: bool  # whether it says that it is one
    signed: bool | None  # bytes; None where it says nothing

    def dtype(self, info: DEInfo | None) -> np.dtype:
        """Of a pixel in the file."""
        if self.mode == 0 and (self.signed is False or (self.signed is None and info is not None and info.unsigned)):
            return np.dtype("u1")
        return np.dtype(self.order + _TYPES[self.mode])


def understands(path: Path) -> bool:
    """Whether it, or the movie that it lies beside, begins as MRC files do; old ones by name and size together."""
    try:
        movie = _movie(path)
        header = _header(movie)
        if header is None or not (header.marked or movie.suffix.lower() in _SUFFIXES):
            return False
        if header.marked or header.mode in _NOT_READ:
            return True
        return movie.stat().st_size == _HEADER + header.extended + _pattern_bytes(header) * header.patterns
    except OSError:
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack; a scan, or a series of them, where the files beside it say where each pattern was taken."""
    single_array(path, dataset)
    movie = _movie(path)
    header = _header(movie)
    name = printable(movie.name)
    if header is None:
        raise FileFormatError(
            f"{name} does not begin with the header of an MRC file, of {_HEADER} bytes with the number of columns, "
            "rows and images and the type of a pixel; it is cut off, damaged or something else."
        )
    if header.mode in _NOT_READ:
        raise FileFormatError(
            f"{name} holds {_NOT_READ[header.mode]} (mode {header.mode}); expected whole or real numbers: save it as "
            "mode 1, 2 or 6."
        )
    info_path = _beside(movie, INFO)
    info = None if info_path is None else read_info(info_path)
    stack = _stack(movie, header, info)
    if info is None or info_path is None:
        return FileContents(stack, scan_shape=None)
    if info.image_size not in (None, (header.columns, header.rows)):
        warnings.warn(
            f"{printable(info_path.name)} is about images of {info.image_size} columns and rows, but those of {name} "
            f"are {(header.columns, header.rows)}; is it of another movie? Check the calibration.",
            DataWarning,
            stacklevel=3,
        )
    entries, metadata = _stated(info)
    found = FileContents(stack, entries, None, metadata)
    scan_path = _beside(movie, SCAN)
    coordinates = None if scan_path is None else read_coordinates(scan_path)
    placed = frame_numbers(info, coordinates, len(stack), name)
    if placed is None:
        return found
    if placed.numbers is None:
        return FileContents(stack, entries, None, metadata, scan_shape=placed.shape, scan_from=placed.why)
    visited = np.asarray((placed.numbers >= 0).reshape(-1, *placed.shape).any(axis=0))
    metadata["scan order"] = placed.why
    mask = None if visited.all() else visited
    return FileContents(Placed(stack, placed.numbers), entries, None, metadata, scan_mask=mask)


def _stack(path: Path, header: _Header, info: DEInfo | None) -> Records:
    """As many whole patterns as are there."""
    name, size = printable(path.name), path.stat().st_size
    offset = _HEADER + header.extended
    there = max(0, size - offset) // _pattern_bytes(header)
    if there < 1:
        raise FileFormatError(
            f"{name} has {size} bytes; expected {offset} and {header.patterns} images of {header.rows} x "
            f"{header.columns} pixels, {_pattern_bytes(header)} bytes each. It is cut off or damaged; copy it again."
        )
    if there != header.patterns:
        words = (
            "the others are missing: the recording was broken off, or the file is cut off"
            if there < header.patterns
            else "those after them are left out"
        )
        warnings.warn(
            f"{name} has {there} patterns where its header says {header.patterns}; {words}.", DataWarning, stacklevel=4
        )
    count, dtype = min(there, header.patterns), header.dtype(info)
    if header.mode == 0 and header.signed is None and dtype.kind == "i":
        dtype = _of_bytes(path, header, count, offset)
    return Records(path, np.dtype((dtype, (header.rows, header.columns))), count, offset)


def _of_bytes(path: Path, header: _Header, count: int, offset: int) -> np.dtype:
    """Type of bytes of which the file does not say whether they have a sign; told where that makes a difference."""
    stack = Records(path, np.dtype((np.uint8, (header.rows, header.columns))), count, offset)
    numbers = sorted({0, count // 2, count - 1})[:_LOOKED_AT]
    patterns = [np.asarray(stack[number]) for number in numbers]
    stack.close()
    high = np.concatenate([pattern[pattern > 127] for pattern in patterns])
    if not high.size:
        return np.dtype("i1")
    with_sign = float(np.mean([pattern.view(np.int8).mean() for pattern in patterns]))
    unsigned = bool((high < _FAR_BELOW).mean() > _MANY or with_sign < _NEGATIVE)
    taken, other, kind = ("0 to 255", "-128 to 127", "i1") if unsigned else ("-128 to 127", "0 to 255", "u1")
    where = f", header_bytes={offset}, scan_shape=(rows, columns)"
    warnings.warn(
        f"{printable(path.name)} holds bytes and does not say whether they have a sign. They are taken as {taken}, "
        f"{'because many would be far below zero otherwise' if unsigned else 'as MRC has it'}; if they are {other}, "
        f"pass read(path, dtype={kind!r}, detector_shape={(header.rows, header.columns)}{where}).",
        DataWarning,
        stacklevel=5,
    )
    return np.dtype("u1" if unsigned else "i1")


def _pattern_bytes(header: _Header) -> int:
    return header.rows * header.columns * np.dtype(_TYPES[header.mode]).itemsize


def _header(path: Path) -> _Header | None:
    """What the file says; None where that cannot be."""
    start = first_bytes(path, _HEADER)
    if len(start) < _HEADER:
        return None
    marked = start[208:211] == b"MAP"
    orders = "><" if start[212] == 0x11 else "<>"
    for order in orders:
        columns, rows, patterns, mode = struct.unpack_from(order + "4i", start)
        (extended,) = struct.unpack_from(order + "i", start, 92)
        stamp, flags = struct.unpack_from(order + "2i", start, 152)
        sizes_right = min(columns, rows, patterns) >= 1 and 0 <= extended <= path.stat().st_size - _HEADER
        sizes_right = sizes_right and rows * columns * _WIDEST <= LARGEST
        if sizes_right and (mode in _TYPES or mode in _NOT_READ):
            signed = bool(flags & 1) if stamp == _IMOD else None
            return _Header(columns, rows, patterns, mode, extended, order, marked, signed)
    return None


def _movie(path: Path) -> Path:
    """The file with the patterns, of those that belong together."""
    for ending in (INFO, SCAN):
        if path.name.lower().endswith(ending):
            for suffix in _SUFFIXES:
                movie = path.with_name(f"{path.name[: -len(ending)]}_movie{suffix}")
                if movie.is_file():
                    return movie
    return path


def _beside(movie: Path, ending: str) -> Path | None:
    """The file of that ending that belongs to a movie."""
    named = _MOVIE.fullmatch(movie.name)
    if named is None:
        return None
    file = movie.with_name(named[1] + ending)
    return file if file.is_file() else None


def _stated(info: DEInfo) -> tuple[list[CalibrationEntry], dict[str, str]]:
    entries = []
    key = "Instrument Accelerating Voltage (V)"
    entries += entry_if_set("energy", info.number(key), "V", f"info: {key}")
    for axis, letter in enumerate("YX"):
        for quantity, key, unit in (
            ("scan_step", f"Specimen Pixel Size {letter} (nanometers)", "nm"),
            ("q_pixel", f"Diffraction Pixel Size {letter}", "1/nm"),
        ):
            found = entry_if_set(quantity, info.number(key), unit, f"info: {key}")
            entries += [CalibrationEntry(c.quantity, c.value, c.unit, c.where, axis) for c in found]
    metadata: dict[str, Any] = {}
    for name, (key, unit) in _TOLD.items():
        text = info.values.get(key, "")
        if text and text not in ("-1", "0", "Unknown"):
            metadata[name] = printable(f"{text} {unit}".rstrip())
    return entries, metadata
