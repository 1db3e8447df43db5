"""Losses: how far modelled patterns are from measured ones, pixel by pixel."""

from __future__ import annotations

from ptywidgets.engine.losses.losses import (
    LOSSES,
    AmplitudeLoss,
    AnscombeLoss,
    IntensityLoss,
    PixelLoss,
    PoissonLoss,
    get_loss,
)

__all__ = [
    "LOSSES",
    "AmplitudeLoss",
    "AnscombeLoss",
    "IntensityLoss",
    "PixelLoss",
    "PoissonLoss",
    "get_loss",
]
