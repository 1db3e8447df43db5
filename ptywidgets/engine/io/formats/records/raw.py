"""Bare numbers, one pattern after the other: nothing in such a file says what they are, so it has to be given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.data.source import RawLayout
from ptywidgets.engine.io.arrays.stacks import PATTERN, Records
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.growing.records import GrowingRecords

KEY = "raw"
NAME = "bare numbers (.raw, .bin), with dtype and detector_shape given"


def understands(path: Path) -> bool:
    """Never: by content alone it cannot be told."""
    return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """Refused, with what has to be given."""
    raise ParameterError(
        f"{printable(path.name)} is to be read as bare numbers, which do not say what they are; pass "
        "read(path, dtype='<u2', detector_shape=(256, 256), scan_shape=(64, 64)), and header_bytes or gap_bytes where "
        "there are any."
    )


def read_raw(path: Path, layout: RawLayout) -> FileContents:
    """A stack (J, Qy, Qx), where the size of the file is exactly that of a whole number of patterns."""
    kind, record = np.dtype(layout.dtype), _record(layout)
    size = path.stat().st_size
    count, rest = divmod(size - layout.header_bytes, record.itemsize)
    if count >= 0 and rest + layout.gap_bytes == record.itemsize:  # no gap after the last one
        count, rest = count + 1, 0
    if count < 1 or rest:
        each = f"{sizes(layout.detector_shape)} of {kind.name}"
        gap = f" and {layout.gap_bytes} bytes after each" if layout.gap_bytes else ""
        raise FileFormatError(
            f"{printable(path.name)} has {size} bytes; expected {layout.header_bytes} and a whole number of times "
            f"{record.itemsize} (a pattern of {each}{gap}), got {max(count, 0)} times and {rest} more. Check dtype, "
            "detector_shape, header_bytes and gap_bytes."
        )
    return FileContents(Records(path, record, count, layout.header_bytes))


def growing_raw(path: Path, layout: RawLayout) -> FileContents:
    """A stack that grows while the file is written."""
    return FileContents(GrowingRecords(path, _record(layout), layout.header_bytes))


def _record(layout: RawLayout) -> np.dtype:
    """A pattern and what follows it."""
    fields = [(PATTERN, np.dtype(layout.dtype), layout.detector_shape)]
    return np.dtype([*fields, ("gap", f"V{layout.gap_bytes}")] if layout.gap_bytes else fields)
