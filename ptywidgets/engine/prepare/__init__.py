"""From raw counts to a measurement: origin, rotation, amplitudes, positions; each step callable alone."""

from __future__ import annotations

from ptywidgets.engine.prepare.measurement import (
    Measurement,
    Preparation,
    centred_amplitudes,
    prepare,
    reorient,
    scan_positions,
)
from ptywidgets.engine.prepare.origin import ORIGIN_MODELS, centre_of_mass, deflection, fit_origin
from ptywidgets.engine.prepare.rotation import (
    Curves,
    RotationFit,
    directions,
    find_rotation,
    integrate,
    rotate_vectors,
    rotation_curves,
    wrapped_angle,
)

__all__ = [
    "ORIGIN_MODELS",
    "Curves",
    "Measurement",
    "Preparation",
    "RotationFit",
    "centre_of_mass",
    "centred_amplitudes",
    "deflection",
    "directions",
    "find_rotation",
    "fit_origin",
    "integrate",
    "prepare",
    "reorient",
    "rotate_vectors",
    "rotation_curves",
    "scan_positions",
    "wrapped_angle",
]
