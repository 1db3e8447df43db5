"""Calibration, orientation and optics from the data alone, each number with its uncertainty and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptywidgets._renamed import module_getattr
from ptywidgets.engine.calibrate.calibration import CalibrationResult, calibrate
from ptywidgets.engine.calibrate.coarse.refine_optics import OpticsRefinement
from ptywidgets.engine.calibrate.estimates import Estimate
from ptywidgets.engine.calibrate.orientation import Candidate, Orientation, find_orientation
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit, find_optics

__all__ = [
    "CalibrationResult",
    "Candidate",
    "Estimate",
    "OpticsFit",
    "OpticsRefinement",
    "Orientation",
    "calibrate",
    "find_optics",
    "find_orientation",
]

if not TYPE_CHECKING:  # where every name would be there
    __getattr__ = module_getattr(__name__)
