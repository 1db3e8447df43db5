"""Whether the parts of a measurement belong together: as many patterns as positions, and as scan points that count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess.measurement import Measurement


def check_measurement(measurement: Measurement) -> None:
    """Raise DataError where patterns, positions, shifts and scan are not of one number, or positions are not finite.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.preprocess import prepare
    >>> measurement = prepare(samples.ducky("tiny"))
    >>> check_measurement(replace(measurement, positions=measurement.positions[:-1]))
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.DataError: the measurement has 144 patterns but 143 positions; ...
    """
    count = len(measurement.patterns)
    counted = scan_count(measurement)
    for what, number in (
        ("positions", _rows(measurement.positions, "positions")),
        ("shifts of the origin", count if measurement.shifts is None else _rows(measurement.shifts, "shifts")),
        ("scan positions that count", counted),
    ):
        if number != count:
            raise DataError(
                f"the measurement has {count} patterns but {number} {what}; expected one for each: prepare(dataset), "
                "or measurement_of(patterns, positions, ...) for a scan that is no grid."
            )


def check_belongs(measurement: Measurement, dataset: Dataset) -> None:
    """Raise DataError where a measurement is not of a dataset: other scan, other detector, other calibration.

    One whose positions were given, as :func:`~ptywidgets.engine.preprocess.measurement_of` makes it, has as many as the
    scan, and no raster.
    """
    check_measurement(measurement)
    detector = tuple(int(n) for n in measurement.patterns.counts.shape[-2:])
    facts: tuple[tuple[str, Any, Any], ...] = (("detector", detector, dataset.detector_shape),)
    by_hand = tuple(measurement.scan_shape) == (math.prod(dataset.scan_shape), 1) != dataset.scan_shape
    if not by_hand:
        facts = (
            ("scan", tuple(measurement.scan_shape), dataset.scan_shape),
            *facts,
            ("calibration", measurement.calibration, dataset.calibration),
        )
    for what, got, expected in facts:
        if got != expected:
            raise DataError(
                f"the measurement is of other data: its {what} is {got}, that of the data {expected}; set `dataset` "
                "first, or prepare() these data."
            )
    for what in () if by_hand else ("com_measured", "origin"):
        shape = np.shape(getattr(measurement, what))
        if shape != (2, *dataset.scan_shape):
            raise DataError(f"{what} of the measurement is {shape}; expected {(2, *dataset.scan_shape)}.")


def scan_count(measurement: Measurement) -> int:
    """Scan positions that count: those that a scan mask leaves in, or all of them."""
    mask = getattr(measurement, "scan_mask", None)
    return math.prod(measurement.scan_shape) if mask is None else int(np.count_nonzero(mask))


def _rows(values: Any, what: str) -> int:
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise DataError(f"the {what} are {array.shape} {array.dtype}; expected (row, column) of every pattern, (J, 2).")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(1)).sum())
        raise DataError(f"{bad} of the {what} are NaN or infinite; expected finite numbers.")
    return len(array)


__all__ = ["check_belongs", "check_measurement", "scan_count"]
