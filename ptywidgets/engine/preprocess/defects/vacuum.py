"""A scan of vacuum patterns averaged, each brought to one origin, with a word about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.hooks import answers
from ptywidgets.engine.preprocess.defects.frames import screen
from ptywidgets.engine.preprocess.origin.origin import fit_origin


@answers("vacuum_of_scan")
def vacuum_of_scan(patterns: Any, mask: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """The mean (Qy, Qx) of a scan or stack of vacuum patterns, each brought to one origin, and a sentence about it.

    Parameters
    ----------
    patterns : array-like, (Ry, Rx, Qy, Qx) or (J, Qy, Qx)
        Read once in chunks, and once more where descan moves the disk.
    mask : ndarray (Qy, Qx) bool, optional
        True where a detector pixel counts.

    Examples
    --------
    >>> mean, sentence = vacuum_of_scan(np.random.default_rng(0).poisson(9, (4, 16, 16)))
    >>> mean.shape, sentence
    ((16, 16), 'The vacuum pattern is the mean of 4 patterns.')
    """
    shape = tuple(patterns.shape)
    if len(shape) not in (3, 4):
        raise DataError(f"the vacuum pattern has {len(shape)} axes; expected (Qy, Qx), (J, Qy, Qx) or a 4-D scan.")
    whole = Dataset(patterns, mask=mask) if len(shape) == 4 else Dataset.from_stack(patterns, (1, shape[0]), mask=mask)
    screened = screen(whole)
    dataset, counted = screened.dataset, screened.dataset.scan_mask
    origin = fit_origin(screened.com, "plane" if len(shape) == 4 else "none")
    shifts = np.rint(origin.mean((1, 2))[:, None, None] - origin).astype(int)
    still = not shifts.any()
    total, seen = np.zeros(dataset.detector_shape), 0
    good = None if dataset.mask is None else dataset.mask
    for first, block in dataset.rows():
        for y, line in enumerate(block, first):
            kept = slice(None) if counted is None else counted[y]
            seen += len(line[kept])
            if still:
                total += line[kept].sum(0, dtype=np.float64)
            else:
                moves = shifts[:, y, kept].T
                for pattern, move in zip(line[kept], moves, strict=True):
                    total += np.roll(pattern if good is None else np.where(good, pattern, 0), move, (0, 1))
    mean = total / seen
    if still and good is not None:
        mean[~good] = np.nan
    words = f"The vacuum pattern is the mean of {seen} patterns"
    if not still:
        words += f", moved by up to {np.abs(shifts).max()} px to one origin"
    return mean, f"{words}." + (f" {' '.join(screened.notes)}" if screened.notes else "")
