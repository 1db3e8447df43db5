"""Segmented detectors: the centre of mass from a few large pixels, calibrated by the disk that moves over them.

The specimen shifts the bright-field disk D by a little, and a segment S then collects the share sum_S D(q - shift) of
it. To first order that is linear in the shift, with the response -sum_S grad D, which the mean (or vacuum) pattern
gives; the shift is the least-squares solution over all segments.
"""

from __future__ import annotations

import math

import numpy as np

from ptywidgets.engine.core.errors import DataError, InsufficientData
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess.defects.fill import fill_positions
from ptywidgets.engine.preprocess.defects.frames import screened_or_warned
from ptywidgets.engine.preprocess.defects.repair import repaired


@counted(count=1)
def detector_segments(
    shape: tuple[int, int],
    centre: tuple[float, float],
    outer: float,
    *,
    inner: float = 0.0,
    count: int = 4,
    turn: float = 0.0,
) -> np.ndarray:
    """Equal segments of a disk or an annulus.

    Parameters
    ----------
    shape : (int, int)
        Of the detector.
    centre : (float, float)
        Row and column, px.
    outer, inner : float
        Radii in px.
    count : int
        Number of segments.
    turn : float
        Degrees by which the first one begins beyond the row axis (down), towards the column axis (right).

    Returns
    -------
    ndarray (count, Qy, Qx) bool

    Examples
    --------
    >>> quadrants = detector_segments((64, 64), (31.5, 31.5), 20)
    >>> [int(q.sum()) for q in quadrants]
    [316, 316, 316, 316]
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    dy, dx = y - centre[0], x - centre[1]
    radius = np.hypot(dy, dx)
    angle = (np.arctan2(dx, dy) - math.radians(turn)) % (2 * math.pi)
    sector = np.minimum((angle * count / (2 * math.pi)).astype(int), count - 1)
    ring = (radius >= inner) & (radius <= outer)
    return np.stack([(sector == k) & ring for k in range(count)])


def segment_signals(dataset: Dataset, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts in each segment (S, Ry, Rx), and in the whole pattern (Ry, Rx), in one pass over the data.

    Pixels that the mask leaves out are replaced by their neighbours, and so are positions.
    """
    dataset = repaired(dataset)
    weights = np.asarray(segments, np.float32).reshape(len(segments), -1)
    if np.shape(segments)[1:] != dataset.detector_shape:
        raise DataError(
            f"the segments are {np.shape(segments)} but the detector is {dataset.detector_shape}; "
            "make them with detector_segments(dataset.detector_shape, ...)."
        )
    functions = np.concatenate([weights, np.ones((1, weights.shape[1]), np.float32)]).T
    sums = np.empty((*dataset.scan_shape, len(weights) + 1), np.float64)
    for first, block in dataset.rows(16e6):
        flat = block.reshape(-1, weights.shape[1]).astype(np.float32, copy=False)
        with np.errstate(invalid="ignore"):
            sums[first : first + len(block)] = (flat @ functions).reshape(len(block), -1, len(weights) + 1)
    signals = fill_positions(np.moveaxis(sums, -1, 0), dataset.scan_mask)
    return signals[:-1], signals[-1]


def segmented_deflection(dataset: Dataset, segments: np.ndarray) -> np.ndarray:
    """Shift of the bright-field disk at each scan position, from the signals of a segmented detector.

    The mean pattern calibrates them, in which the disk lies where it does in the data.

    Parameters
    ----------
    dataset : Dataset
    segments : ndarray (S, Qy, Qx)
        Masks or weights; two or more, such as the quadrants of :func:`detector_segments`.

    Returns
    -------
    ndarray (2, Ry, Rx)
        Detector pixels, about the mean position.

    Raises
    ------
    DataError
        Where the segments do not tell the two directions.
    """
    dataset = screened_or_warned(dataset).dataset
    signals, total = segment_signals(dataset, segments)
    if min(dataset.detector_shape) < 2:
        raise InsufficientData(
            f"the detector has {dataset.detector_shape} pixels; expected 2 x 2 at least to tell a shift of the disk."
        )
    disk = np.asarray(repaired(dataset).mean_pattern(), float)
    slopes = np.gradient(disk / disk.sum())
    response = -np.array([[float((s * g).sum()) for g in slopes] for s in np.asarray(segments, float)])
    if np.linalg.matrix_rank(response, tol=1e-3 * max(1e-30, np.abs(response).max())) < 2:
        raise DataError(
            f"the {len(segments)} segments do not tell both directions of a shift; they must divide the edge of the "
            "disk: take detector_segments(shape, centre, outer) with four segments about the disk's centre."
        )
    shares = signals / np.maximum(total, 1e-30)
    shares = shares - shares.mean((1, 2), keepdims=True)
    return np.tensordot(np.linalg.pinv(response), shares, 1)
