"""From raw counts to a measurement: origin, rotation, patterns, positions; each step callable alone."""

from __future__ import annotations

from ptywidgets.engine.preprocess.arrays import measurement_of
from ptywidgets.engine.preprocess.defects.fill import fill_positions
from ptywidgets.engine.preprocess.defects.frames import BadFrames, bad_frames
from ptywidgets.engine.preprocess.defects.pixels import BadPixels, bad_pixels
from ptywidgets.engine.preprocess.defects.repair import repair_pixels
from ptywidgets.engine.preprocess.defects.vacuum import vacuum_of_scan
from ptywidgets.engine.preprocess.disk.disk import DetectorCalibration, DiskFit, calibrate_detector, measure_disk
from ptywidgets.engine.preprocess.measurement import (
    Measurement,
    Preparation,
    centred_patterns,
    prepare,
    reorient,
    scan_frequencies,
    scan_positions,
)
from ptywidgets.engine.preprocess.origin.descan import centred_mean, disk_origins
from ptywidgets.engine.preprocess.origin.descan_fit import Descan, fit_descan
from ptywidgets.engine.preprocess.origin.origin import centre_of_mass, deflection
from ptywidgets.engine.preprocess.origin.origin_fit import ORIGIN_MODELS, fit_origin
from ptywidgets.engine.preprocess.rotation import (
    Curves,
    RotationFit,
    directions,
    find_rotation,
    integrate,
    rotate_vectors,
    rotation_curves,
    unrotate_vectors,
    wrapped_angle,
)

__all__ = [
    "ORIGIN_MODELS",
    "BadFrames",
    "BadPixels",
    "Curves",
    "Descan",
    "DetectorCalibration",
    "DiskFit",
    "Measurement",
    "Preparation",
    "RotationFit",
    "bad_frames",
    "bad_pixels",
    "calibrate_detector",
    "centre_of_mass",
    "centred_mean",
    "centred_patterns",
    "deflection",
    "directions",
    "disk_origins",
    "fill_positions",
    "find_rotation",
    "fit_descan",
    "fit_origin",
    "integrate",
    "measure_disk",
    "measurement_of",
    "prepare",
    "reorient",
    "repair_pixels",
    "rotate_vectors",
    "rotation_curves",
    "scan_frequencies",
    "scan_positions",
    "unrotate_vectors",
    "vacuum_of_scan",
    "wrapped_angle",
]
