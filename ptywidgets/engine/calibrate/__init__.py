"""Calibration, orientation and optics from the data alone, each number with its uncertainty and its reason."""

from __future__ import annotations

from ptywidgets.engine.calibrate.coarse.refine_optics import OpticsRefinement
from ptywidgets.engine.calibrate.decisions import Decision
from ptywidgets.engine.calibrate.orientation import Candidate, Orientation, find_orientation
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit, find_optics
from ptywidgets.engine.calibrate.start import Start, find_start

__all__ = [
    "Candidate",
    "Decision",
    "OpticsFit",
    "OpticsRefinement",
    "Orientation",
    "Start",
    "find_optics",
    "find_orientation",
    "find_start",
]
