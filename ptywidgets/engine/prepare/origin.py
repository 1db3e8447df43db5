"""Where each pattern's origin lies: centre of mass, and the smooth surface that descan makes of it."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import unknown_name
from ptywidgets.engine.prepare.frames import screened_or_warned

ORIGIN_MODELS = ("constant", "plane", "parabola", "none")


def centre_of_mass(dataset: Dataset, mask: np.ndarray | None = None) -> np.ndarray:
    """Centre of mass of every pattern.

    Parameters
    ----------
    dataset : Dataset
        Read once, in portions.
    mask : ndarray (Qy, Qx), optional
        Weights of the detector pixels. Those that the dataset's own mask leaves out have none.

    Returns
    -------
    ndarray (2, Ry, Rx) float64
        Row and column in detector pixels; where a position does not count, filled from its neighbours
        (:func:`ptywidgets.engine.prepare.fill_positions`).

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


def fit_origin(com: np.ndarray, model: str = "plane", robust: bool = True) -> np.ndarray:
    """Smooth origin of the patterns: what the scan coils did, without what the specimen did.

    Linear least squares on the scan indices; with `robust`, points beyond 2.5 times the median deviation are left out
    in a few rounds, so that a heavy particle does not tilt the plane.

    Parameters
    ----------
    com : ndarray (2, Ry, Rx)
        Measured centre of mass, px.
    model : {"plane", "parabola", "constant", "none"}
        The surface; "none" takes the centre of mass itself, which also removes the signal.
    robust : bool
        Leave outliers out.

    Returns
    -------
    ndarray (2, Ry, Rx)
        Fitted origin in detector pixels.

    Examples
    --------
    >>> y, x = np.mgrid[:5, :6]
    >>> com = np.stack([10 + 0.5 * y - 0.2 * x, 12 - 0.1 * y])
    >>> bool(np.allclose(fit_origin(com), com))
    True
    """
    if model not in ORIGIN_MODELS:
        raise unknown_name("origin model", model, ORIGIN_MODELS)
    if model == "none":
        return com.copy()
    ny, nx = com.shape[1:]
    y, x = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    terms = [np.ones_like(y)]
    if model in ("plane", "parabola"):
        terms += [t for t, n in ((y, ny), (x, nx)) if n > 1]
    if model == "parabola":
        terms += [t for t, n in ((y * y, ny), (x * x, nx), (x * y, min(ny, nx))) if n > 2]
    basis = np.stack([t.ravel() for t in terms], axis=1)
    measured = com.reshape(2, -1).T
    keep = np.ones(len(measured), bool)
    for _ in range(5 if robust else 1):
        kept = basis * keep[:, None]
        coefficients = np.linalg.pinv(kept.T @ basis, hermitian=True) @ (kept.T @ measured)
        deviation = np.hypot(*(measured - basis @ coefficients).T)
        limit = 2.5 * np.median(deviation) * 1.2  # 1.2: median to rms of a two-dimensional normal deviation
        new = deviation <= max(limit, 1e-9)
        if not robust or new.sum() < 3 * len(terms) or (new == keep).all():
            break
        keep = new
    return (basis @ coefficients).T.reshape(com.shape)


def deflection(com: np.ndarray, model: str = "plane", robust: bool = True) -> np.ndarray:
    """What the specimen did to the centre of mass (2, Ry, Rx), px: the rotation is found from it.

    With the origin model "none" nothing would be left; a plane is taken off then, as :func:`prepare` does.
    """
    return com - fit_origin(com, "plane" if model == "none" else model, robust)
