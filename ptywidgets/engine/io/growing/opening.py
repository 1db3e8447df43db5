"""Opening a file that is still being written: what it will be, and its first row."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError, ParameterError
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.io.arrays.lazy import ScanView
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.growing.stack import OLD, Growing, GrowingScan

FIRST_ROW = 30.0  # s that are waited for it
PAUSE = 0.05  # s between two looks
T = TypeVar("T")


def when_begun(opened: Callable[[], T], path: Path, seconds: float = FIRST_ROW) -> T:
    """What `opened()` returns, once enough of a file is there to tell what it is.

    Raises
    ------
    FileFormatError
        What it raises at last, or at once for a file that nobody has written to for a while.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return opened()
        except FileFormatError:
            status = path.stat()
            old = status.st_size and time.time() - status.st_mtime > OLD
            if old or path.is_dir() or time.monotonic() > until:
                raise
        check_stop()
        time.sleep(PAUSE)


def as_growing_scan(
    found: FileContents,
    scan_shape: tuple[int, int] | None,
    sync_offset: int | None,
    axes: str | Sequence[str] | None,
    name: str,
    seconds: float = FIRST_ROW,
) -> FileContents:
    """Contents whose stack grows as those of a scan (Ry, Rx, Qy, Qx), at least one row of which is there.

    Raises
    ------
    ParameterError, DataError
        When the scan is not known, or stored in another order, or its first row has not come in time.
    """
    source = found.data
    assert isinstance(source, Growing)
    shape = found.scan_shape if scan_shape is None else scan_shape
    if shape is None:
        raise ParameterError(
            f"{name} does not say how long the scan will be; a file that is followed while it is written needs that: "
            "read(path, follow=True, scan_shape=(rows, columns))."
        )
    if axes is not None:
        raise ParameterError(
            f"axes is {axes!r}, and {name} is followed while it is written, which goes row by row of the scan; open it "
            "when it is complete: leave out follow."
        )
    if sync_offset is not None and sync_offset < 0:
        raise ParameterError(
            f"sync_offset is {sync_offset}; of a file that is followed patterns at the start can be skipped, 0 or more "
            "of them, but no blanks put before it. Open it when it is complete: leave out follow."
        )
    scan = GrowingScan(source, (int(shape[0]), int(shape[1])), sync_offset or 0)
    if min(scan.scan_shape) < 1:
        raise DataError(f"scan_shape is {tuple(shape)}; expected rows and columns of the scan, 1 or more of each.")
    until = time.monotonic() + seconds
    while not scan.look():
        if time.monotonic() > until:
            raise DataError(
                f"the first row of {name} is not complete: {max(source.count - scan.offset, 0)} of "
                f"{scan.scan_shape[1]} patterns are there, after {seconds:.0f} s. Open it again when the scan has "
                "begun, and check scan_shape."
            )
        check_stop()
        time.sleep(PAUSE)
    if scan.surplus:
        warnings.warn(
            f"{name} has {scan.surplus} patterns more than a scan of {scan.scan_shape[0]} x {scan.scan_shape[1]}; they "
            "are left out. Check scan_shape, or skip those at the start by sync_offset.",
            DataWarning,
            stacklevel=3,
        )
    return replace(found.as_scan(scan.scan_shape, ScanView(scan, scan.scan_shape)), scan_mask=None)


def check_followed(found: FileContents, name: str) -> None:
    """Refuse a scan whose rows are not stored one after the other, the first one first."""
    if found.swapped[0] or any(found.scan_turned):
        raise DataError(
            f"the scan in {name} is not stored row by row from its first row on, by what the file says of its axes; it "
            "cannot be followed while it is written. Open it when it is complete: leave out follow."
        )


def cannot_follow(path: Path, what: str) -> FileFormatError:
    """The error for a format of which nobody knows what is whole while it is written."""
    return FileFormatError(
        f"{printable(path.name)} is {what}, which cannot be followed while it is written; open it when it is complete: "
        "leave out follow."
    )


__all__ = ["FIRST_ROW", "as_growing_scan", "cannot_follow", "check_followed", "when_begun"]
