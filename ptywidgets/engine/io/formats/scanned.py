"""A stack of patterns as a scan: how many rows and columns, where the scan begins, and which positions are blank."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, ParameterError, ScanShapeUnknown
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.arrays.axes import AXES, given_order, order_in_words, reordered
from ptywidgets.engine.io.arrays.lazy import likely_scan_shape
from ptywidgets.engine.io.arrays.stacks import Synchronised
from ptywidgets.engine.io.formats.file_contents import FileContents

FRAMES = "frames"  # the key of the metadata that says which patterns of a stack were taken


def scanned(
    found: FileContents,
    scan_shape: tuple[int, int] | None,
    sync_offset: int | None,
    name: str,
    axes: str | Sequence[str] | None = None,
) -> FileContents:
    """Contents of a stack (J, Qy, Qx) as those of a scan (Ry, Rx, Qy, Qx); of a scan as they are.

    Parameters
    ----------
    found : FileContents
    scan_shape : (Ry, Rx), optional
        As given; else what the file says.
    sync_offset : int, optional
        Patterns skipped at the start; below 0 blanks put before the first. With it a scan may be longer or shorter
        than the stack: positions without a pattern are zeros, and left out by `scan_mask`.
    name : str
        Of the file, for messages.
    axes : str, optional
        As given to `read`: where the columns of the scan come first, the stack runs down each of them, and comes back
        as (Rx, Ry, Qy, Qx), to be put in order after this. Three names, of which one is J, say how the stack itself is
        stored, and it is put in order here.

    Raises
    ------
    DataError
        When the number of patterns does not go with the shape, or no shape is known.
    """
    order = None if axes is None else given_order(axes)
    if order is not None and len(order) == 3:
        found = _in_order(found, order, "as was asked for", axes, name)
    elif len(found.order) == 3:
        found = _in_order(found, found.order, found.order_from, axes, name)
    data = found.data
    if len(data.shape) != 3:
        if sync_offset:
            raise DataError(
                f"sync_offset is {sync_offset} but the data of {name} are a scan already, {sizes(data.shape)}; it is "
                "for stacks of patterns, whose scan may begin late: leave it out, and crop the scan."
            )
        return found
    patterns = int(data.shape[0])
    told = found.scan_shape if scan_shape is None else _checked(scan_shape)
    if told is None and patterns == 1:
        raise DataError(
            f"{name} holds a single pattern, {sizes(data.shape[1:])}, and no scan; as a vacuum pattern it belongs to "
            "data: read(data, vacuum=path)."
        )
    if told is None:
        raise ScanShapeUnknown(
            f"{name} is a stack of {patterns} patterns, {sizes(data.shape)}, and does not say how they were scanned",
            likely_scan_shape(patterns),
        )
    if order is not None and len(order) == 4 and order[0] > order[1]:
        told = told[::-1]
    if sync_offset is not None:
        return _synchronised(found, told, _whole(sync_offset), name)
    rows, columns = told
    if scan_shape is not None and rows * columns != patterns:
        raise DataError(
            f"{name} holds {patterns} diffraction patterns but scan_shape={_checked(scan_shape)} has {rows * columns} "
            f"scan positions; pass the rows and columns that the scan has, such as {likely_scan_shape(patterns)}, or, "
            "where it was cut short or patterns lie before or after it, the number of the pattern that it begins with: "
            "sync_offset=0 for the first. Positions without a pattern are left out then."
        )
    if rows * columns != patterns:
        rows = _rows_that_are_there(found, told, patterns, name)
        left = patterns - rows * columns
        words = f"{rows} of {told[0]} rows of the scan are in the file"
        words += f"; the last {left} patterns, of a row that was begun, are left out" if left else ""
        warnings.warn(
            f"{name} has {patterns} patterns where {found.scan_from} says {sizes(told)}: {words}.",
            DataWarning,
            stacklevel=3,
        )
        cut = Synchronised(data, 0, rows * columns) if left else data
        found = replace(found, data=cut, metadata={**found.metadata, FRAMES: words})
    return found.as_scan((rows, columns))


def _in_order(
    found: FileContents, order: tuple[int, ...], why: str, axes: str | Sequence[str] | None, name: str
) -> FileContents:
    """A stack with its axes as (J, Qy, Qx), whatever else is said about them."""
    if len(found.data.shape) != 3:
        raise DataError(
            f"axes is {axes!r}, which names the three axes of a stack, but the data of {name} are "
            f"{sizes(found.data.shape)}; expected the four names Ry, Rx, Qy, Qx in the order of the array, such as "
            "axes='Qy Qx Ry Rx'."
        )
    marks, swapped = found.axes, order[1] > order[2]
    metadata = {key: words for key, words in found.metadata.items() if key != AXES}
    if order != (0, 1, 2):
        metadata[AXES] = order_in_words(order, why)
    return replace(
        found,
        data=reordered(found.data, order),
        axes=tuple(marks[axis] for axis in order) if len(marks) == 3 else (),
        order=(0, 1, 2, 3),
        order_from="",
        vacuum=found.vacuum.T if found.vacuum is not None and swapped else found.vacuum,
        swapped=(False, swapped),
        metadata=metadata,
    )


def check_scan_shape(data: Any, scan_shape: tuple[int, int] | None) -> None:
    """Refuse a scan shape that was given for data (Ry, Rx, Qy, Qx) of another one."""
    if scan_shape is not None and tuple(int(n) for n in data.shape[:2]) != _checked(scan_shape):
        raise DataError(
            f"scan_shape is {tuple(scan_shape)} but the data already are {sizes(data.shape)}; leave it out."
        )


def _rows_that_are_there(found: FileContents, told: tuple[int, int], patterns: int, name: str) -> int:
    """Whole rows of a scan that was cut short."""
    rows, columns = told
    if patterns < columns or patterns > rows * columns:
        raise DataError(
            f"{name} has {patterns} patterns but {found.scan_from} says {sizes(told)} = {rows * columns}; pass the "
            f"rows and columns of the scan, read(path, scan_shape={likely_scan_shape(patterns)}), or, where patterns "
            f"lie before or after it, scan_shape={told} with sync_offset, the number of patterns to skip."
        )
    return patterns // columns


def _synchronised(found: FileContents, shape: tuple[int, int], offset: int, name: str) -> FileContents:
    patterns, wanted = int(found.data.shape[0]), math.prod(shape)
    if offset >= patterns or offset <= -wanted:
        raise DataError(
            f"sync_offset is {offset} with {patterns} patterns and {wanted} positions, which leaves none; expected a "
            f"number from {1 - wanted} to {patterns - 1}."
        )
    window: Any = Synchronised(found.data, offset, wanted)
    measured = window.measured()
    after = max(0, patterns - offset - wanted)
    said = [f"{offset} skipped at the start"] if offset > 0 else []
    said += [f"{-offset} blanks put before the first"] if offset < 0 else []
    said += [f"{after} left out at the end"] if after else []
    said += [f"{int((~measured).sum())} positions without a pattern"] if not measured.all() else []
    if after:
        words = f"{after} of {patterns} patterns, after the end of the scan, are left out"
        warnings.warn(f"{name}: {words} by scan_shape and sync_offset.", DataWarning, stacklevel=4)
    metadata = {**found.metadata, FRAMES: "; ".join(said) or "all taken"}
    mask = None if measured.all() else measured.reshape(shape)
    return replace(found, data=window, metadata=metadata, scan_mask=mask).as_scan(shape)


def _checked(scan_shape: Any) -> tuple[int, int]:
    try:
        ry, rx = (operator.index(n) for n in scan_shape)
    except (TypeError, ValueError):
        ry = rx = 0
    if ry < 1 or rx < 1:
        raise DataError(f"scan_shape is {scan_shape!r}; expected two whole numbers (rows, columns).")
    return ry, rx


def _whole(offset: Any) -> int:
    if isinstance(offset, bool) or not isinstance(offset, (int, np.integer)):
        raise ParameterError(
            f"sync_offset is {offset!r}; expected a whole number of patterns, above 0 to skip them at the start of the "
            "file and below 0 to put blanks before the first."
        )
    return int(offset)
