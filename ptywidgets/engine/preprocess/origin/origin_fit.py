"""The smooth surface that descan makes of the patterns' origin."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import look_up
from ptywidgets.engine.preprocess.defects.fill import fill_positions

ORIGIN_MODELS = ("constant", "plane", "parabola", "none")


def fit_origin(
    com: np.ndarray, model: str = "plane", robust: bool = True, known: np.ndarray | None = None
) -> np.ndarray:
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
    known : ndarray (Ry, Rx) bool, optional
        True where a position counts; the surface goes on beyond.

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
    model = look_up("origin model", model, ORIGIN_MODELS)
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
    used = np.ones(len(measured), bool) if known is None else known.ravel()
    measured = np.where(used[:, None], measured, 0)
    keep = used
    for _ in range(5 if robust else 1):
        kept = basis * keep[:, None]
        coefficients = np.linalg.pinv(kept.T @ basis, hermitian=True) @ (kept.T @ measured)
        deviation = np.hypot(*(measured - basis @ coefficients).T)
        limit = 2.5 * np.median(deviation[used]) * 1.2  # 1.2: median to rms of a two-dimensional normal deviation
        new = used & (deviation <= max(limit, 1e-9))
        if not robust or new.sum() < 3 * len(terms) or (new == keep).all():
            break
        keep = new
    return (basis @ coefficients).T.reshape(com.shape)


def fill_com(com: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Centres of mass (2, Ry, Rx) with the unknown ones interpolated: descan as a smooth surface that goes on, and what
    the specimen does as :func:`ptywidgets.engine.preprocess.fill_positions` fills any map.

    At an edge descan would end with a step of its own else, which looks like a turned detector.

    Examples
    --------
    >>> com = np.indices((5, 6)) * 0.5
    >>> known = np.ones((5, 6), bool); known[:, 5] = False
    >>> fill_com(np.where(known, com, np.nan), known)[1, 0].round(6).tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    if known.all():
        return com
    smooth = fit_origin(com, "parabola" if known.sum() >= 36 else "plane", known=known)
    return smooth + fill_positions(com - smooth, known)


__all__ = ["ORIGIN_MODELS", "fill_com", "fit_origin"]
