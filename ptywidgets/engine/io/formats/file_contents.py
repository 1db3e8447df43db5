"""What a reader of one format hands over."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.arrays.axes import (
    AXES,
    Mark,
    axis_entries,
    found_order,
    given_order,
    listed,
    order_in_words,
    reordered,
    rising,
    turned_scan,
)
from ptywidgets.engine.io.arrays.lazy import ScanView
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, unit_of
from ptywidgets.engine.io.detect_format import printable


def single_array(path: Path, dataset: str | None) -> None:
    """Refuse the name of an array where the file holds one without a name."""
    if dataset is not None:
        raise FileFormatError(f"{printable(path.name)} holds a single array; leave out dataset={dataset!r}.")


@dataclass(frozen=True)
class FileContents:
    """Patterns and what the file states about them, before the user's own values are put on top."""

    # Lazy, of four axes, with one before them for a series: (Ry, Rx, Qy, Qx) unless `axes` or `order` say another; or
    # a stack (J, Qy, Qx) in the order of the scan.
    data: Any
    entries: list[CalibrationEntry] = field(default_factory=list)
    vacuum: np.ndarray | None = None  # as it is stored, its axes in the order of the detector's there
    metadata: dict[str, str] = field(default_factory=dict)
    at: str = ""  # path inside the file
    vacuum_at: str = ""  # of the vacuum pattern, inside the file
    axes: tuple[Mark, ...] = ()  # what is said about each of the four
    # The axis that holds each of (Ry, Rx, Qy, Qx), where the format itself fixes that; of three, of (J, Qy, Qx).
    order: tuple[int, ...] = ()
    order_from: str = ""  # why
    order_doubt: str = ""  # a warning where that is not certain, and the axes are not given
    scan_shape: tuple[int, int] | None = None  # (Ry, Rx) of a stack, where the file says it
    scan_from: str = ""  # where it does
    scan_axes: tuple[Mark, ...] = ()  # what is said of a stack's two scan axes
    scan_mask: np.ndarray | None = None  # (Ry, Rx), True where the position was visited, where not all were
    swapped: tuple[bool, bool] = (False, False)  # whether rows and columns of scan, and detector, were exchanged
    scan_turned: tuple[bool, bool] = (False, False)  # whether the scan's rows, and columns, were turned about
    mask_in: Path | None = None  # the file that a mask of the detector is looked for in, where it is another one

    def as_scan(self, scan_shape: tuple[int, int], data: Any = None) -> FileContents:
        """A stack (J, Qy, Qx) as (Ry, Rx, Qy, Qx), with what is said about its axes; `data` is that scan, where it is
        there already.

        Raises
        ------
        DataError
            When `scan_shape` does not go with it, or its first axis is one of the detector's.
        """
        marks = self.axes if len(self.axes) == 3 else (Mark(),) * 3
        if any(unit_of(mark.unit)[0] in ("inverse", "angle") for mark in marks[:1]):
            raise DataError(
                f"the axes of the stack are {listed(marks)}; expected the number of the pattern first: (J, Qy, Qx)."
            )
        scan = self.scan_axes if len(self.scan_axes) == 2 else (Mark(), Mark())
        data = ScanView.of(self.data, scan_shape) if data is None else data
        return replace(self, data=data, axes=(*scan, *marks[1:]), scan_axes=())

    def in_order(self, axes: str | Sequence[str] | None = None, what: str = "the data") -> FileContents:
        """The same with the axes of `data` in the order (Ry, Rx, Qy, Qx), and what they state among the entries.

        Parameters
        ----------
        axes : str, optional
            Names of the axes as stored, which win over what is said about them, such as "Qy Qx Ry Rx".
        what : str
            What it is, for messages.
        """
        if len(self.data.shape) != 4:
            return self  # refused by Dataset, which says how
        marks: Sequence[Mark] = self.axes if len(self.axes) == 4 else (Mark(),) * 4
        if axes is not None and len(named := given_order(axes)) == 4:  # three are of a stack, which is in order now
            order, why = named, "as was asked for"
        elif self.order:
            if self.order_doubt and axes is None:
                warnings.warn(self.order_doubt, DataWarning, stacklevel=3)
            order, why = self.order, self.order_from
        else:
            order, why = found_order(marks, what), f"its axes are called {listed(marks)}"
        metadata = dict(self.metadata)
        if order != (0, 1, 2, 3):
            metadata[AXES] = order_in_words(order, why)
        scan_swapped, detector_swapped = order[0] > order[1], order[2] > order[3]
        data, vacuum, mask = reordered(self.data, order), self.vacuum, self.scan_mask
        mask = mask.T if mask is not None and scan_swapped else mask
        vacuum = vacuum.T if vacuum is not None and detector_swapped else vacuum
        marks, against = rising(marks, order[:2])
        if any(against):
            words = " and ".join(name for name, turn in zip(("rows", "columns"), against, strict=True) if turn)
            metadata["scan"] = f"its {words} are in the reverse order of those stored, whose coordinates fall"
            warnings.warn(
                f"{what} has coordinates of the scan's {words} that fall ({listed([marks[a] for a in order[:2]])}): "
                f"they are turned about, so that the first is where the coordinate is lowest. Where the detector's "
                f"{words} are stored against the microscope's as well, turn these by flip=.",
                DataWarning,
                stacklevel=3,
            )
            data = turned_scan(data, *against)
            mask = None if mask is None else np.flip(mask, tuple(axis for axis in (0, 1) if against[axis]))
        if vacuum is not None and vacuum.shape != tuple(data.shape[2:]):
            # it was looked for by the shape that other axes have
            words = f"the vacuum pattern {printable(self.vacuum_at)} of {what} is {sizes(vacuum.shape)}"
            message = f"{words} and the detector {sizes(data.shape[2:])}; it is left out."
            warnings.warn(message, DataWarning, stacklevel=3)
            vacuum = None
            metadata.pop("vacuum", None)
        return FileContents(
            data=data,
            entries=[*self.entries, *axis_entries(marks, order)],
            vacuum=vacuum,
            metadata=metadata,
            at=self.at,
            vacuum_at="" if vacuum is None else self.vacuum_at,
            scan_mask=mask,
            swapped=(scan_swapped != self.swapped[0], detector_swapped != self.swapped[1]),
            scan_turned=against,
            mask_in=self.mask_in,
        )
