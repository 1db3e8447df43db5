"""Algorithms: how a batch's gradients become the next state."""

from __future__ import annotations

from ptywidgets.engine.algorithms.gradient import GradientDescent

ALGORITHMS = {"gradient descent": GradientDescent}

__all__ = ["ALGORITHMS", "GradientDescent"]
