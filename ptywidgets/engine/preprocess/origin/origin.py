"""Where each pattern's origin lies: centre of mass, and the smooth surface that descan makes of it."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess.defects.frames import screened_or_warned
from ptywidgets.engine.preprocess.origin.origin_fit import ORIGIN_MODELS, fit_origin


def centre_of_mass(dataset: Dataset, mask: np.ndarray | None = None) -> np.ndarray:
    """Centre of mass of every pattern.

    Parameters
    ----------
    dataset : Dataset
        Read once, in chunks.
    mask : ndarray (Qy, Qx), optional
        Weights of the detector pixels. Those that the dataset's own mask leaves out have none.

    Returns
    -------
    ndarray (2, Ry, Rx) float64
        Row and column in detector pixels; where a position does not count, filled from its neighbours
        (:func:`ptywidgets.engine.preprocess.fill_positions`).

    Raises
    ------
    DataError
        When most patterns are empty, or have NaN or negative counts.

    Warns
    -----
    DataWarning
        When some are: they are left out.

    Examples
    --------
    >>> data = np.zeros((1, 2, 4, 4)); data[0, 0, 1, 2] = data[0, 1, 3, 0] = 5
    >>> centre_of_mass(Dataset(data)).tolist()
    [[[1.0, 3.0]], [[2.0, 0.0]]]
    """
    return moments(dataset, mask)[1]


def moments(dataset: Dataset, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Total counts (Ry, Rx) and centre of mass (2, Ry, Rx) px of every pattern, in one pass over the data.

    Positions that do not count are filled from their neighbours. What has to be left out besides is told in a warning.
    """
    screened = screened_or_warned(dataset, mask)
    return screened.totals, screened.com


def deflection(com: np.ndarray, model: str = "plane", robust: bool = True) -> np.ndarray:
    """What the specimen did to the centre of mass (2, Ry, Rx), px: the rotation is found from it.

    With the origin model "none" nothing would be left; a plane is taken off then, as :func:`prepare` does.
    """
    return com - fit_origin(com, "plane" if model == "none" else model, robust)


__all__ = ["ORIGIN_MODELS", "centre_of_mass", "deflection", "fit_origin", "moments"]
