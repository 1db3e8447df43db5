"""Lists of scan positions: whether they are a raster, of how many rows and columns, and its steps."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.io.arrays.axes import EVEN, Mark
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.hdf5.tree import walk

ASIDE = 0.25  # of a step: positions farther from a raster than that are none
_MOST = 20_000_000  # positions


def raster_shape(y: np.ndarray, x: np.ndarray) -> tuple[int, int] | None:
    """Rows and columns of the raster that positions (J,) run through row by row, each row the same way; else None.

    Examples
    --------
    >>> y, x = np.divmod(np.arange(12.0), 4)
    >>> raster_shape(y, x), raster_shape(x, y), raster_shape(y, np.random.default_rng(0).random(12))
    ((3, 4), None, None)
    """
    if x.size < 4 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    step = x[1] - x[0]
    if step == 0:
        return None
    back = np.flatnonzero(np.abs(x[2:] - x[0]) < abs(step) / 2)
    columns = int(back[0]) + 2 if len(back) else 0
    if columns < 2 or x.size % columns:
        return None
    shape = x.size // columns, columns
    for values, axis in ((y.reshape(shape), 0), (x.reshape(shape), 1)):
        lines = np.moveaxis(values, axis, -1)
        ideal = lines.mean(0)
        along = (ideal[-1] - ideal[0]) / (len(ideal) - 1)
        straight = ideal[0] + along * np.arange(len(ideal))
        if along == 0 or np.abs(lines - straight).max() > ASIDE * abs(along):
            return None
    return shape


def translation(file: h5py.File, patterns: int) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Path, y and x (J,) of the list of positions of a file (CXI's translation, x, y and z in m); None without one."""
    for name, found in walk(file):
        if not isinstance(found, h5py.Dataset) or not name.endswith("/translation") or found.dtype.kind != "f":
            continue
        if found.ndim != 2 or found.shape[0] != patterns or not 2 <= found.shape[1] <= 3 or patterns > _MOST:
            continue
        if found.is_virtual or found.external:
            continue
        values = np.asarray(found[()], np.float64)
        return name, values[:, 1], values[:, 0]
    return None


def position_marks(y: np.ndarray, x: np.ndarray, scan_shape: tuple[int, int], name: str, unit: str = "m") -> list[Mark]:
    """What positions (J,) say about the two axes of a scan.

    Each row of the scan is expected to have the same columns, at equal steps.
    """
    rows, columns = scan_shape
    y, x = y.reshape(rows, columns), x.reshape(rows, columns)
    if rows > 1 and columns > 1 and np.ptp(x[:, 0]) > np.ptp(x[0]) and np.ptp(y[0]) > np.ptp(y[:, 0]):
        raise DataError(
            f"{printable(name)!r} says that of {rows} x {columns} positions columns come first: its x changes "
            f"from row to row. Expected y to do that; check scan_shape=({rows}, {columns})."
        )
    marks = []
    for axis, values, label in ((0, y, "y"), (1, x, "x")):
        lines = np.moveaxis(values, axis, -1)
        mean = lines.mean(0)
        mark = Mark.of_coordinates(mean, label, unit, f"{name}, {label}")
        apart = float(np.abs(lines - mean).max())
        if mark.step is not None and not mark.uneven and apart > EVEN * abs(mark.step):
            share = apart / abs(mark.step) if mark.step else np.inf
            mark = replace(mark, uneven=f"positions up to {share:.2g} steps beside a raster, steps")
        if mark.step is not None and mark.step < 0:  # a stage's axes may point against the image's
            mark = replace(mark, step=-mark.step)
        marks.append(mark)
    return marks
