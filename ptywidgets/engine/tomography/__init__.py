"""Joint ptychographic tomography: one volume from the patterns of many tilts.

    series = make_series(measurements, tilts, optics, depth=40.0, slices=8)
    for state in iterate(series, Plan(iterations=30, algorithm=ConjugateGradient(lowest=0.0))):
        ...  # state.object is the volume (Z, Y, X), rad per voxel

A :class:`TiltSeries` stands wherever a problem does. No phase is unwrapped and no projection is taken for one: each
view's waves go through the slices that the volume makes in its tilt, so that a specimen may be thicker than the depth
of field, and scatter more than once.
"""

from __future__ import annotations

from ptywidgets.engine.tomography.backprojection import filtered_back_projection
from ptywidgets.engine.tomography.composed import check_series, compose_series
from ptywidgets.engine.tomography.convert_state import convert_series_state
from ptywidgets.engine.tomography.make import make_series, series_of
from ptywidgets.engine.tomography.projection import KERNELS, Projection
from ptywidgets.engine.tomography.series import TiltSeries
from ptywidgets.engine.tomography.tilt import Tilt

__all__ = [
    "KERNELS",
    "Projection",
    "Tilt",
    "TiltSeries",
    "check_series",
    "compose_series",
    "convert_series_state",
    "filtered_back_projection",
    "make_series",
    "series_of",
]
