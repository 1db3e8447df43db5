"""Stairs between engine and widgets: one shared state object and the thread that drives the engine for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptywidgets._renamed import module_getattr
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData, tilt_text
from ptywidgets.reconstruction.reconstruction import STATUSES, Reconstruction
from ptywidgets.reconstruction.result.display_settings import DisplaySettings
from ptywidgets.reconstruction.result.snapshot import Snapshot

__all__ = ["STATUSES", "DisplaySettings", "Reconstruction", "Snapshot", "TiltSeriesData", "tilt_text"]

if not TYPE_CHECKING:  # where every name would be there
    __getattr__ = module_getattr(__name__)
