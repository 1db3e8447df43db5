"""Direct methods: a phase image in one go from the scan images of the bright field; each a start for the iteration."""

from __future__ import annotations

from ptywidgets.engine.direct.bright_field import BrightField, bright_field
from ptywidgets.engine.direct.dpc.dpc import dpc
from ptywidgets.engine.direct.dpc.segments import detector_segments
from ptywidgets.engine.direct.image import DirectImage, start_object
from ptywidgets.engine.direct.parallax.fit import ShiftFit, fit_shifts, predicted_shifts
from ptywidgets.engine.direct.parallax.image import corrected, depth_section, upsampled
from ptywidgets.engine.direct.parallax.parallax import Parallax, align_with, parallax
from ptywidgets.engine.direct.parallax.positions import PositionFit, correct_positions
from ptywidgets.engine.direct.parallax.tilt_spectra import TiltSpectra
from ptywidgets.engine.direct.parallax.transfer import contrast_transfer, contrast_zeros
from ptywidgets.engine.direct.sidebands.ssb import SideBands, obf, ssb
from ptywidgets.engine.direct.sidebands.wdd import wdd

__all__ = [
    "BrightField",
    "DirectImage",
    "Parallax",
    "PositionFit",
    "ShiftFit",
    "SideBands",
    "TiltSpectra",
    "align_with",
    "bright_field",
    "contrast_transfer",
    "contrast_zeros",
    "correct_positions",
    "corrected",
    "depth_section",
    "detector_segments",
    "dpc",
    "fit_shifts",
    "obf",
    "parallax",
    "predicted_shifts",
    "ssb",
    "start_object",
    "upsampled",
    "wdd",
]
