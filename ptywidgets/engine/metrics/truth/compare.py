"""A reconstruction beside a known truth on another grid, laid there by its positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import Delaunay

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.metrics.truth.alignment import phases
from ptywidgets.engine.metrics.truth.fields import low_pass, make_field
from ptywidgets.engine.metrics.truth.gauge import Alignment
from ptywidgets.engine.metrics.truth.matching import match
from ptywidgets.engine.metrics.truth.positions import position_errors

SHARE = 0.6  # of the highest frequency that the reconstruction's pixels hold
_REACH = 4  # pixels that a reconstruction may be off beyond what its positions say


def compare_to_truth(
    obj: np.ndarray,
    positions: np.ndarray,
    truth: np.ndarray,
    truth_positions: np.ndarray,
    *,
    sampling: float | Sequence[float],
    truth_sampling: float | Sequence[float],
    cutoff: float | None = None,
    ramp: bool | None = None,
    scale: bool = False,
    either_sign: bool = False,
    thickness: float | None = None,
    truth_thickness: float | None = None,
) -> Alignment:
    """Compare a reconstruction with the truth where it was scanned.

    The affine map that takes its positions to the true ones best (least squares) takes its pixels to the truth: a
    rotation or a magnification of all positions is not held against the image. Inside the hull of the positions,
    drawn in by 0.6 / sqrt(J), phases are compared as by :func:`align`, after a soft low-pass of both.

    Parameters
    ----------
    obj : ndarray (Y, X) or (S, Y, X)
        Transmission, or phase in rad.
    positions : ndarray (J, 2)
        A, from its pixel [0, 0], as in a State.
    truth : ndarray (Y, X) or (S, Y, X)
        Likewise; periodic, or larger than what was scanned.
    truth_positions : ndarray (J, 2)
        A, from pixel [0, 0] of the truth.
    sampling, truth_sampling : float or (float, float)
        A per pixel (row, column).
    cutoff : float, optional
        1/A, of the low-pass; by default 0.6 of the highest frequency of the reconstruction's pixels.
    ramp, scale, either_sign
        As in :func:`align`.
    thickness, truth_thickness : float, optional
        A of a slice: compare slice by slice. Without them the sums over slices are compared.

    Returns
    -------
    Alignment
        On the pixels of the reconstruction.

    Raises
    ------
    DataError
        When positions do not go together, or too few lie in the object.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> truth = low_pass(generator.normal(size=(96, 96)), np.ones(2), 0.1)
    >>> places = generator.uniform(20, 75, (80, 2))
    >>> found = compare_to_truth(np.exp(0.1j * truth), places, 0.1 * truth, places, sampling=1, truth_sampling=1)
    >>> round(found.correlation, 4), round(found.contrast, 3)
    (1.0, 1.0)
    """
    obj, truth = np.asarray(obj), np.asarray(truth)
    pixel, true_pixel = (np.broadcast_to(np.asarray(s, float), 2) for s in (sampling, truth_sampling))
    laid = position_errors(positions, truth_positions, affine=True)
    sliced = thickness is not None and truth_thickness is not None
    picture, true = phases(obj), phases(truth)
    if not sliced:
        picture, true = (a.sum(0) if a.ndim == 3 else a for a in (picture, true))
    magnified = pixel * laid.scale  # A of the truth
    cutoff = SHARE * 0.5 / float(magnified.max()) if cutoff is None else cutoff
    true = true.reshape(-1, *true.shape[-2:])
    field = make_field(true, true_pixel, laid.matrix * pixel, laid.offset, np.full(2, np.inf), cutoff)
    mask = scanned(np.asarray(positions, float) / pixel, obj.shape[-2:])
    depths = (float(thickness), float(truth_thickness)) if sliced else None  # type: ignore[arg-type]  # both are given where it is sliced
    picture = low_pass(picture, magnified, cutoff)
    return match(picture, field, mask, pixel, _REACH, ramp, scale, either_sign, depths)


def scanned(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels (Y, X) in the hull of positions (J, 2) in px, drawn in by part of a scan step.

    Examples
    --------
    >>> corners = np.array([[2, 2], [2, 8], [8, 2], [8, 8.0]])
    >>> int(scanned(corners, (11, 11)).sum())
    25
    """
    if len(positions) < 4:
        raise DataError(f"{len(positions)} positions enclose nothing to compare; four or more do.")
    hull = Delaunay(positions)
    corners = positions[np.unique(hull.convex_hull)]
    middle = corners.mean(0)
    shrunk = Delaunay(middle + (corners - middle) * (1 - 0.6 / np.sqrt(len(positions))))
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (shrunk.find_simplex(np.stack([y.ravel(), x.ravel()], 1)) >= 0).reshape(y.shape)
