"""Algorithms: how a batch's gradients become the next state."""

from __future__ import annotations

from typing import Any

from ptywidgets.engine.algorithms.conjugate import ConjugateGradient
from ptywidgets.engine.algorithms.gradient import GradientDescent
from ptywidgets.engine.algorithms.lsq_ml import LSQML
from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.algorithms.projections import Projections, charge_flipping, difference_map, raar, rrr
from ptywidgets.engine.algorithms.rules import RULES, Adam, Momentum, Plain

ALGORITHMS: dict[str, type[Any]] = {
    "gradient descent": GradientDescent,
    "PIE": PIE,
    "LSQ-ML": LSQML,
    "conjugate gradients": ConjugateGradient,
    "projections": Projections,
}

__all__ = [
    "ALGORITHMS",
    "LSQML",
    "PIE",
    "RULES",
    "Adam",
    "ConjugateGradient",
    "GradientDescent",
    "Momentum",
    "Plain",
    "Projections",
    "charge_flipping",
    "difference_map",
    "raar",
    "rrr",
]
