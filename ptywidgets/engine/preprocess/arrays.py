"""A measurement from plain arrays: for scans that are no grid, and for other rays than electrons."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.preprocess.measurement import Measurement, Preparation
from ptywidgets.engine.preprocess.rotation import RotationFit


def measurement_of(
    patterns: Any,
    positions: np.ndarray,
    sampling: float | tuple[float, float],
    *,
    origin: tuple[float, float] | np.ndarray = (0, 0),
    mask: np.ndarray | None = None,
    calibration: Calibration | None = None,
) -> Measurement:
    """A measurement of patterns whose positions and origin are known, wherever they lie and whatever made them.

    Nothing is fitted: the centre of mass is taken for the origin, and the rotation is 0. For a near field
    (:class:`~ptywidgets.engine.models.NearField`) leave the origin at (0, 0).

    Parameters
    ----------
    patterns : array (J, Ny, Nx)
        Counts or intensities, real; they are not copied.
    positions : ndarray (J, 2)
        Row and column of the probe in the frame of the detector, in A (or in whatever unit `sampling` has).
    sampling : float or (float, float)
        Size of an object pixel in A: 1 / (Ny q_pixel) for a far field, that of the demagnified detector for a near one.
    origin : (float, float) or ndarray (J, 2)
        Detector pixel [row, column] of the zero frequency: (0, 0) where it is in the corner, (Ny // 2, Nx // 2) where
        it is in the middle. What is left of it below a pixel becomes `shifts`.
    mask : ndarray (Ny, Nx) bool, optional
        True where a detector pixel counts.
    calibration : Calibration, optional
        What is known of electrons; not needed with a probe that is given as an array. By default the detector pixel
        of a far field, where it is square.

    Returns
    -------
    Measurement
        Its `scan_shape` is (J, 1).

    Raises
    ------
    DataError
        When the numbers of patterns and positions differ, or patterns are negative or not finite where they count.
    ParameterError
        When sampling is not positive.

    Examples
    --------
    >>> measurement_of(np.ones((3, 8, 8)), [[0, 0], [0.5, 2], [-1, 4]], sampling=0.5)
    Measurement(3 patterns of 8x8, 0.5 A pixels, rotation 0.00 degrees)
    """
    size = np.broadcast_to(np.asarray(sampling, float), (2,))
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise ParameterError(f"sampling is {sampling!r}; expected the size of an object pixel in A, such as 0.2.")
    where = np.array(positions, float)
    if where.ndim != 2 or where.shape[1] != 2 or not np.isfinite(where).all():
        raise DataError(f"positions are {where.shape}; expected finite (row, column) of every pattern, (J, 2).")
    if len(where) != len(patterns):
        raise DataError(f"{len(patterns)} patterns but {len(where)} positions; expected one position for each pattern.")
    exact = np.broadcast_to(np.asarray(origin, float), where.shape)
    whole = np.rint(exact)
    counts = Patterns(patterns, whole.astype(np.int64), mask=mask)
    total = 0.0
    for number, pattern in enumerate(patterns):  # one by one: they may be on disk
        counted = np.asarray(pattern)[... if mask is None else mask].astype(float)
        if not (np.isfinite(counted).all() and (counted >= 0).all()):
            raise DataError(f"pattern {number} has negative or infinite counts or NaN; mask those pixels: mask=...")
        total += float(counted.sum())
    if total == 0:
        raise DataError("all patterns are empty where they count; expected at least one count.")
    if calibration is None:
        widths = 1 / (size * np.array(counts.shape[-2:]))
        widths = (widths[0], widths[0]) if np.isclose(*widths) else widths
        calibration = Calibration(q_pixel=(float(widths[0]), float(widths[1])))
    flat = exact.T.reshape(2, -1, 1).copy()
    return Measurement(
        patterns=counts,
        shifts=exact - whole,
        positions=where - (where.max(0) + where.min(0)) / 2,
        sampling=(float(size[0]), float(size[1])),
        mean_intensity=total / len(where),
        com_measured=flat,
        origin=flat,
        rotation=0.0,
        transpose=False,
        rotation_fit=RotationFit(0.0, False, 0.0, 0.0, 0.5, True, "The positions were given; nothing was looked for."),
        calibration=calibration,
        scan_shape=(len(where), 1),
        preparation=Preparation(origin="none", rotation=0.0, transpose=False),
    )
