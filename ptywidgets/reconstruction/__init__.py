"""Stairs between engine and widgets: one shared state object and the thread that drives the engine for it."""

from __future__ import annotations

from ptywidgets.reconstruction.reconstruction import STATUSES, Reconstruction
from ptywidgets.reconstruction.snapshot import Snapshot

__all__ = ["STATUSES", "Reconstruction", "Snapshot"]
