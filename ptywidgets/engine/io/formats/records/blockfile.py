"""NanoMegas blockfiles (.blo): a raster of square patterns of bytes."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io.arrays.stacks import LARGEST, PATTERN, Records
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array

KEY = "blockfile"
NAME = "NanoMegas .blo"

_MARK = b"IMGBLO"
_FRAME_HEADER = 6  # bytes: a mark and the number of the pattern
_FRAME_MARK = b"\xaaU"
_HEADER = struct.Struct("<6sHIIIHHHHHddIHId")


def understands(path: Path) -> bool:
    """Whether the file begins with its mark."""
    return path.is_file() and first_bytes(path, len(_MARK)) == _MARK


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack of patterns in the order of the scan, and its rows and columns."""
    single_array(path, dataset)
    name, size = printable(path.name), path.stat().st_size
    start = first_bytes(path, _HEADER.size)
    if len(start) < _HEADER.size or not start.startswith(_MARK):
        raise FileFormatError(
            f"{name} has {size} bytes and begins with {start[:6]!r}; expected a header of {_HEADER.size} bytes with "
            f"{_MARK!r} in front. It is cut off or no blockfile."
        )
    (_, _, _, offset, _, side, _, columns, rows, rotation, step_x, step_y, voltage, _, length, _) = _HEADER.unpack(
        start
    )
    record = _FRAME_HEADER + side * side
    there = max(0, size - offset) // record
    wanted = rows * columns
    if min(side, rows, columns) < 1 or offset < _HEADER.size or there < 1 or record > LARGEST:
        raise FileFormatError(
            f"{name} has {size} bytes and says that {rows} x {columns} patterns of {side} x {side} bytes lie in it "
            f"from {offset} on; expected one at least. It is cut off or damaged; copy it again."
        )
    with path.open("rb") as file:
        file.seek(offset)
        mark = file.read(len(_FRAME_MARK))
    if mark != _FRAME_MARK:
        warnings.warn(
            f"the first pattern of {name} begins with {mark!r}; expected {_FRAME_MARK!r}. Look whether its "
            "patterns are whole: the file may be damaged.",
            DataWarning,
            stacklevel=3,
        )
    if there > wanted:
        warnings.warn(
            f"{name} has {there} patterns where its header says {rows} x {columns}; those after the first {wanted} are "
            "left out.",
            DataWarning,
            stacklevel=3,
        )
    kind = np.dtype([("header", f"V{_FRAME_HEADER}"), (PATTERN, "u1", (side, side))])
    entries = entry_if_set("energy", voltage, "V", "header: Beam_energy")
    for axis, step in ((0, step_y), (1, step_x)):
        found = entry_if_set("scan_step", step, "nm", f"header: S{'YX'[axis]}")
        entries += [CalibrationEntry(c.quantity, c.value, c.unit, c.where, axis) for c in found]
    metadata = {"scan rotation": f"{rotation / 100:g} deg"} if rotation else {}
    if length:
        metadata["camera length"] = f"{length} as stored, in a unit that the file does not say"
    return FileContents(
        Records(path, kind, min(there, wanted), offset),
        entries,
        None,
        metadata,
        scan_shape=(rows, columns),
        scan_from="its header",
    )
