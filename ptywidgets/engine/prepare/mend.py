"""Bad detector pixels mended from their neighbours as the patterns are read."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError
from ptywidgets.engine.io.lazy import whole_key
from ptywidgets.engine.prepare.pixels import BadPixels
from ptywidgets.engine.source import Repair


def mend_pixels(dataset: Dataset, mask: np.ndarray | BadPixels) -> Dataset:
    """The dataset with masked pixels replaced by the median of good neighbours, when it is read; nothing is loaded.

    Parameters
    ----------
    dataset : Dataset
    mask : ndarray (Qy, Qx) bool or BadPixels
        True where a pixel is bad. The vacuum pattern, from the same detector, is mended too.

    Returns
    -------
    Dataset
        Of the same type of number.

    Examples
    --------
    >>> data = np.full((2, 2, 8, 8), 7, np.uint8)
    >>> data[..., 3, 3] = 255
    >>> mended = mend_pixels(Dataset(data), data[0, 0] == 255)
    >>> mended.pattern(0, 1)[3, 3].item(), mended.dtype.name
    (7, 'uint8')
    """
    mask = np.asarray(mask.mask if isinstance(mask, BadPixels) else mask, bool)
    if mask.shape != dataset.detector_shape:
        raise DataError(
            f"the mask of bad pixels is {mask.shape} but the detector is {dataset.detector_shape}; "
            "make it from these data with bad_pixels(dataset)."
        )
    if not mask.any():
        return dataset
    if mask.all():
        raise DataError("the mask calls every pixel bad; expected True for bad pixels only.")
    mended = MendedArray(dataset.data, mask)
    vacuum = None if dataset.vacuum is None else mended.mend(dataset.vacuum)
    done = Repair(tuple(int(n) for n in np.flatnonzero(mask)))
    source = dataset.source.then(done)
    if vacuum is not None and source.vacuum is not None:
        source = source.replace(vacuum=source.vacuum.now(vacuum))
    return dataclasses.replace(dataset, data=mended, vacuum=vacuum, source=source)


def mended(dataset: Dataset) -> Dataset:
    """The dataset with the pixels that its mask leaves out mended: for pictures, which cannot have holes.

    Positions that are left out stay so; see :func:`ptywidgets.engine.prepare.fill_positions` for them.
    """
    return dataset if dataset.mask is None else dataclasses.replace(mend_pixels(dataset, ~dataset.mask), mask=None)


class MendedArray:
    """An array (Ry, Rx, Qy, Qx) whose bad pixels are mended as it is sliced."""

    def __init__(self, data: Any, mask: np.ndarray, neighbours: int = 8) -> None:
        self.data, self.mask = data, mask
        self.shape, self.dtype, self.ndim = tuple(data.shape), np.dtype(data.dtype), 4
        self.chunks = getattr(data, "chunks", None)
        good = np.argwhere(~mask)
        count = min(neighbours, len(good))
        _, nearest = cKDTree(good).query(np.argwhere(mask), k=count)
        self._bad = np.flatnonzero(mask)
        self._near = np.ravel_multi_index(tuple(good[nearest.reshape(-1, count)].transpose(2, 0, 1)), mask.shape)

    def mend(self, patterns: np.ndarray) -> np.ndarray:
        """A copy of patterns (..., Qy, Qx) with their bad pixels mended."""
        out = np.array(patterns)
        flat = out.reshape(*out.shape[:-2], -1)
        values = np.median(flat[..., self._near], axis=-1)
        flat[..., self._bad] = np.rint(values) if out.dtype.kind in "iu" else values
        return out

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, 4)
        if len(parts) != 4 or not all(isinstance(p, (slice, int, np.integer)) for p in parts):
            return np.asarray(self)[key]
        block = self.mend(np.asarray(self.data[tuple(parts[:2])]))
        return block[(slice(None),) * (block.ndim - 2) + tuple(parts[2:])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:, :].astype(dtype or self.dtype, copy=False)
