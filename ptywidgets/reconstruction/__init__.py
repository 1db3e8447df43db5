"""Stairs between engine and widgets: one shared state object and the thread that drives the engine for it."""

from __future__ import annotations

from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData, tilt_text
from ptywidgets.reconstruction.reconstruction import STATUSES, Reconstruction
from ptywidgets.reconstruction.result.display_settings import DisplaySettings
from ptywidgets.reconstruction.result.snapshot import Snapshot

__all__ = ["STATUSES", "DisplaySettings", "Reconstruction", "Snapshot", "TiltSeriesData", "tilt_text"]
