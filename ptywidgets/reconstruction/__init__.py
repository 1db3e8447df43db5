"""Stairs between engine and widgets: one shared state object and the thread that drives the engine for it."""

from __future__ import annotations

from ptywidgets.reconstruction.inputs.views import Views, tilt_words
from ptywidgets.reconstruction.reconstruction import STATUSES, Reconstruction
from ptywidgets.reconstruction.result.look import Look
from ptywidgets.reconstruction.result.snapshot import Snapshot

__all__ = ["STATUSES", "Look", "Reconstruction", "Snapshot", "Views", "tilt_words"]
