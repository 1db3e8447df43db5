"""Stairs between engine and widgets: one shared state object and the thread that drives the engine for it."""

from __future__ import annotations

from ptywidgets.reconstruction.look import Look
from ptywidgets.reconstruction.reconstruction import STATUSES, Reconstruction
from ptywidgets.reconstruction.snapshot import Snapshot
from ptywidgets.reconstruction.views import Views, tilt_words

__all__ = ["STATUSES", "Look", "Reconstruction", "Snapshot", "Views", "tilt_words"]
