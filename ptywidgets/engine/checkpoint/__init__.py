"""Saved reconstructions: state, plan, calibration and provenance in one EMD file."""

from __future__ import annotations

from ptywidgets.engine.checkpoint.checkpoint import Checkpoint, is_reconstruction, load_checkpoint, save_checkpoint

__all__ = [
    "Checkpoint",
    "is_reconstruction",
    "load_checkpoint",
    "save_checkpoint",
]
