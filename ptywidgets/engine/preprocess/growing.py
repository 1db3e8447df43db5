"""The measurement of a scan that is still being written: of each row patterns are read, and summed, once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import check_memory, sizes
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.preprocess.defects.frames import PatternSums, pattern_sums, screen
from ptywidgets.engine.preprocess.measurement import Measurement, Preparation, in_whole_scan, prepared


class GrowingMeasurement:
    """Measurements of more and more rows of one scan.

    What is fitted (descan, rotation) is fitted again to all rows that are there, which takes no reading.

    Examples
    --------
    >>> import tempfile
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.io import read
    >>> duck = samples.ducky("tiny")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     patterns = np.asarray(duck.data, "<u2").reshape(12, -1)
    ...     path = f"{folder}/scan.raw"
    ...     patterns[:8].tofile(path)
    ...     layout = {"dtype": "<u2", "detector_shape": (64, 64), "scan_shape": (12, 12)}
    ...     dataset = read(path, follow=True, energy=80e3, scan_step=1.5, q_pixel=0.02, **layout)
    ...     GrowingMeasurement().of(dataset, Preparation(rotation=0)).rows_there >= 7
    True
    """

    def __init__(self) -> None:
        self._data: Any = None  # which array they are rows of
        self._counts: np.ndarray | None = None
        self._rows = 0  # that are held
        self._sums: tuple[np.ndarray | None, PatternSums] | None = None  # with the mask that they were summed with

    def of(self, dataset: Dataset, preparation: Preparation) -> Measurement:
        """The measurement of the rows that are there now.

        Parameters
        ----------
        dataset : Dataset
            The same as before, with more rows, or another one; its calibration, masks and vacuum are as they are now.
        preparation : Preparation

        Raises
        ------
        CalibrationError, DataError
            As :func:`ptywidgets.engine.preprocess.prepare` does.
        """
        dataset.calibration.check_complete()
        part = measured_rows(dataset)
        counts = self._read(dataset, part.scan_shape[0])
        screened = screen(dataclasses.replace(part, data=counts), summed=self._summed)
        return in_whole_scan(prepared(screened, preparation), dataset.scan_shape)

    def _read(self, dataset: Dataset, rows: int) -> np.ndarray:
        """Patterns (rows, Rx, Qy, Qx) in memory, in their own type; those that are held are not read again."""
        if self._counts is None or self._data is not dataset.data:
            check_memory(dataset.nbytes, f"the whole scan ({sizes(dataset.shape)} {dataset.dtype})", "bin the detector")
            self._data, self._rows, self._sums = dataset.data, 0, None
            self._counts = np.zeros(dataset.shape, dataset.dtype)  # takes memory as it is filled
        if rows > self._rows:
            first, columns = self._rows, dataset.scan_shape[1]
            new = dataclasses.replace(dataset, scan_mask=None).crop(scan=(first, rows, 0, columns))
            for row, block in new.rows():
                self._counts[first + row : first + row + len(block)] = block
            self._rows = rows
        return self._counts[:rows]

    def _summed(self, dataset: Dataset, weights: np.ndarray | None = None) -> PatternSums:
        """Sums of all rows, of which those that are new are summed."""
        rows, known = dataset.scan_shape[0], self._sums
        if known is None or not _same(known[0], dataset.mask) or len(known[1].seen) > rows:
            found = pattern_sums(dataset, weights)
        elif len(known[1].seen) == rows:
            found = known[1]
        else:
            begun = len(known[1].seen)
            new = dataclasses.replace(dataset, data=np.asarray(dataset.data)[begun:], scan_mask=None)
            more = pattern_sums(new, weights)
            parts = ((getattr(known[1], name), getattr(more, name)) for name in ("seen", "repaired", "negative"))
            found = PatternSums(*(np.concatenate(pair) for pair in parts))
        self._sums = dataset.mask, found
        return found


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


__all__ = ["GrowingMeasurement"]
