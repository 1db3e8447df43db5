"""From raw counts to a measurement: origin, rotation, patterns, positions; each step callable alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.prepare.arrays import measurement_of
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
from ptywidgets.engine.prepare.origin import ORIGIN_MODELS, centre_of_mass, deflection, fit_origin
from ptywidgets.engine.prepare.pixels import BadPixels, bad_pixels
from ptywidgets.engine.prepare.repair import repair_pixels
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
from ptywidgets.engine.prepare.vacuum import vacuum_of_scan as vacuum_of_scan  # answers data sets

if TYPE_CHECKING:
    from ptywidgets.engine.prepare.decisions import Decision as Decision
    from ptywidgets.engine.prepare.optics_fit import OpticsFit as OpticsFit
    from ptywidgets.engine.prepare.optics_fit import find_optics as find_optics
    from ptywidgets.engine.prepare.orientation import Candidate as Candidate
    from ptywidgets.engine.prepare.orientation import Orientation as Orientation
    from ptywidgets.engine.prepare.orientation import find_orientation as find_orientation
    from ptywidgets.engine.prepare.refine_optics import OpticsRefinement as OpticsRefinement
    from ptywidgets.engine.prepare.start import Start as Start
    from ptywidgets.engine.prepare.start import find_start as find_start

# Finding a start stands on the direct methods and the iteration, and these stand on what is prepared here: it is not
# imported before it is asked for. The function `refine_optics` is in the module of that name, which hides it here.
_HOMES = {
    "OpticsFit": "ptywidgets.engine.prepare.optics_fit",
    "find_optics": "ptywidgets.engine.prepare.optics_fit",
    "Candidate": "ptywidgets.engine.prepare.orientation",
    "Orientation": "ptywidgets.engine.prepare.orientation",
    "find_orientation": "ptywidgets.engine.prepare.orientation",
    "OpticsRefinement": "ptywidgets.engine.prepare.refine_optics",
    "Decision": "ptywidgets.engine.prepare.decisions",
    "Start": "ptywidgets.engine.prepare.start",
    "find_start": "ptywidgets.engine.prepare.start",
}
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
    "OpticsRefinement",
    "Orientation",
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
    "prepare",
    "reorient",
    "repair_pixels",
    "rotate_vectors",
    "rotation_curves",
    "scan_frequencies",
    "scan_positions",
    "unrotate_vectors",
    "wrapped_angle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'ptywidgets.engine.prepare' has no attribute {name!r}; it has: {', '.join(__all__)}"
        )
    return getattr(importlib.import_module(_HOMES[name]), name)
