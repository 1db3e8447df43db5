"""The deflection that the specimen gave the beam at each scan position, in 1/A and in the frame of the scan."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.dpc.segments import segmented_deflection
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.origin.origin import centre_of_mass, deflection
from ptywidgets.engine.preprocess.rotation import find_rotation, rotate_vectors


def scan_deflection(
    source: Dataset | Measurement,
    rotation: float | None = None,
    transpose: bool | None = None,
    segments: np.ndarray | None = None,
    origin: str = "plane",
) -> tuple[np.ndarray, float, bool]:
    """Deflection (2, Ry, Rx) in 1/A in the scan frame, and the rotation (degrees) and transpose that were taken.

    The arguments are those of :func:`ptywidgets.engine.direct.dpc`.
    """
    calibration = source.calibration
    if isinstance(source, Measurement):
        if segments is not None:
            raise ParameterError("segments need the patterns; pass the Dataset in place of the Measurement.")
        model = source.preparation.origin
        com = deflection(source.com_measured, model) if model == "none" else source.com_measured - source.origin
        rotation = source.rotation if rotation is None else rotation
        transpose = source.transpose if transpose is None else transpose
    else:
        assert calibration.scan_steps and calibration.q_pixels  # or raise
        com = deflection(centre_of_mass(source) if segments is None else segmented_deflection(source, segments), origin)
    if rotation is None or transpose is None:
        fit = find_rotation(calibration.even(com), transpose, calibration.scan_steps)
        rotation, transpose = (fit.rotation if rotation is None else rotation), fit.transpose
    field = com * np.array(calibration.q_pixels)[:, None, None]
    return rotate_vectors(field, rotation, transpose), float(rotation), bool(transpose)
