"""The smooth surface that descan makes of the patterns' origin."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.errors import unknown_name

ORIGIN_MODELS = ("constant", "plane", "parabola", "none")


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


__all__ = ["ORIGIN_MODELS", "fit_origin"]
