"""From raw counts to a measurement: origin, rotation, patterns, positions; each step callable alone."""

from __future__ import annotations

from ptywidgets.engine.prepare.arrays import measurement_of
from ptywidgets.engine.prepare.decisions import Decision
from ptywidgets.engine.prepare.descan import centred_mean, disk_origins
from ptywidgets.engine.prepare.descan_fit import Descan, fit_descan
from ptywidgets.engine.prepare.disk import DetectorCalibration, DiskFit, calibrate_detector, measure_disk
from ptywidgets.engine.prepare.fill import fill_positions
from ptywidgets.engine.prepare.frames import BadFrames, bad_frames
from ptywidgets.engine.prepare.measurement import (
    Measurement,
    Preparation,
    centred_patterns,
    prepare,
    reorient,
    scan_frequencies,
    scan_positions,
)
from ptywidgets.engine.prepare.mend import mend_pixels
from ptywidgets.engine.prepare.optics_fit import OpticsFit, find_optics
from ptywidgets.engine.prepare.orientation import Candidate, Orientation, find_orientation
from ptywidgets.engine.prepare.origin import ORIGIN_MODELS, centre_of_mass, deflection, fit_origin
from ptywidgets.engine.prepare.pixels import BadPixels, bad_pixels
from ptywidgets.engine.prepare.polish import Polished, polish
from ptywidgets.engine.prepare.rotation import (
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
from ptywidgets.engine.prepare.start import Start, find_start

__all__ = [
    "ORIGIN_MODELS",
    "BadFrames",
    "BadPixels",
    "Candidate",
    "Curves",
    "Decision",
    "Descan",
    "DetectorCalibration",
    "DiskFit",
    "Measurement",
    "OpticsFit",
    "Orientation",
    "Polished",
    "Preparation",
    "RotationFit",
    "Start",
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
    "find_optics",
    "find_orientation",
    "find_rotation",
    "find_start",
    "fit_descan",
    "fit_origin",
    "integrate",
    "measure_disk",
    "measurement_of",
    "mend_pixels",
    "polish",
    "prepare",
    "reorient",
    "rotate_vectors",
    "rotation_curves",
    "scan_frequencies",
    "scan_positions",
    "unrotate_vectors",
    "wrapped_angle",
]
