"""Bad detector pixels repaired from their neighbours as the patterns are read."""

from __future__ import annotations

import dataclasses

import numpy as np

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import mend_dataset
from ptywidgets.engine.preprocess.defects.pixels import BadPixels


def repair_pixels(dataset: Dataset, mask: np.ndarray | BadPixels) -> Dataset:
    """The dataset with masked pixels replaced by the median of good neighbours, when it is read; nothing is loaded.

    Parameters
    ----------
    dataset : Dataset
    mask : ndarray (Qy, Qx) bool or BadPixels
        True where a pixel is bad. The vacuum pattern, from the same detector, is repaired too.

    Returns
    -------
    Dataset
        Of the same type of number.

    Examples
    --------
    >>> data = np.full((2, 2, 8, 8), 7, np.uint8)
    >>> data[..., 3, 3] = 255
    >>> repaired = repair_pixels(Dataset(data), data[0, 0] == 255)
    >>> repaired.pattern(0, 1)[3, 3].item(), repaired.dtype.name
    (7, 'uint8')
    """
    mask = np.asarray(mask.mask if isinstance(mask, BadPixels) else mask, bool)
    return mend_dataset(dataset, mask)


def repaired(dataset: Dataset) -> Dataset:
    """The dataset with the pixels that its mask leaves out repaired: for images, which cannot have holes.

    Positions that are left out stay so; see :func:`ptywidgets.engine.preprocess.fill_positions` for them.
    """
    return dataset if dataset.mask is None else dataclasses.replace(repair_pixels(dataset, ~dataset.mask), mask=None)
