"""Curl and divergence against the angle, with a handle for the angle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bqplot
import numpy as np
from ipywidgets import VBox

from ptywidgets.engine.preprocess import Curves, wrapped_angle
from ptywidgets.widgets.controls.fields import checkbox, toolbar
from ptywidgets.widgets.plots.curves import (
    BLUE,
    GREEN,
    ORANGE,
    PINK,
    Handles,
    axis,
    figure,
    legend,
    line,
    nice_ticks,
    put_line,
)

ROOM = (0.06, 0.3)  # below and above the curves, of their height: the handle's knob is above


class RotationPlot(VBox):
    """Mean absolute curl (and divergence) for both transposes.

    Parameters
    ----------
    on_drag : callable
        Called with the angle in degrees while the user drags the handle.
    """

    def __init__(self, on_drag: Callable[[float], Any]) -> None:
        self._on_drag = on_drag
        self._curves: Curves | None = None
        self._x = bqplot.LinearScale(min=-180.0, max=180.0)
        self._y = bqplot.LinearScale(min=0.0, max=1.0)
        scales = {"x": self._x, "y": self._y}
        self.curl = [line(scales, BLUE), line(scales, ORANGE)]
        self.divergence = [
            line(scales, GREEN, dashed=True, visible=False),
            line(scales, PINK, dashed=True, visible=False),
        ]
        self.handle = Handles(scales, (0.0, 1.0), 0.93, "#8a8a8a", self._dragged)
        self.dot = bqplot.Scatter(x=[0.0], y=[0.0], scales=scales, colors=[BLUE], default_size=70, stroke="white")
        self._axis = axis(self._y, "mean |curl| (relative)", vertical=True)
        self.figure = figure(
            [*self.curl, *self.divergence, self.dot, *self.handle.marks],
            [axis(self._x, "rotation, detector to scan", "degrees", ticks=[-180, -90, 0, 90, 180]), self._axis],
            280,
        )
        self.with_divergence = checkbox("divergence", False, "Largest where the curl is smallest.")
        names = legend(("as recorded", BLUE), ("transposed", ORANGE))
        self.names = legend(("its divergence", GREEN), ("transposed", PINK))
        self.names.layout.display = "none"
        super().__init__([self.figure, toolbar(names, self.with_divergence, self.names)])
        self.add_class("pty-panel")
        self.with_divergence.observe(lambda change: self._show_divergence(change["new"]), "value")

    def show(self, curves: Curves) -> None:
        """Draw other curves, relative to the highest curl."""
        most = float(np.max(curves.curl)) or 1.0
        self._curves = Curves(curves.angles, curves.curl / most, curves.divergence / most)
        for marks, values in ((self.curl, self._curves.curl), (self.divergence, self._curves.divergence)):
            for mark, one in zip(marks, values, strict=True):
                put_line(mark, curves.angles, one)
        self._scale()

    def set_angle(self, angle: float, transpose: bool, from_handle: bool = False) -> None:
        """Move the handle; `from_handle` while the user holds it."""
        self.handle.set_values([angle], knobs=not from_handle)
        if self._curves is not None:
            height = float(np.interp(angle, self._curves.angles, self._curves.curl[int(transpose)]))
            put_line(self.dot, [angle], [height])
            self.dot.colors = [ORANGE if transpose else BLUE]
        for mark, chosen in zip(self.curl, (not transpose, transpose), strict=True):
            mark.stroke_width = 3.0 if chosen else 1.5

    def _scale(self) -> None:
        if self._curves is None:
            return
        shown = [self._curves.curl, *([self._curves.divergence] if self.with_divergence.value else [])]
        least, most = min(float(np.min(v)) for v in shown), max(float(np.max(v)) for v in shown)
        height = max(most - least, 1e-3)
        low, high = max(least - ROOM[0] * height, 0.0), most + ROOM[1] * height
        with self._y.hold_sync():
            self._y.min, self._y.max = low, high
        self._axis.tick_values = np.array(nice_ticks(low, most, 4))
        self.handle.move_span((low, high), high - 0.4 * ROOM[1] * height)

    def _show_divergence(self, on: bool) -> None:
        for mark in self.divergence:
            mark.visible = on
        self.names.layout.display = "" if on else "none"
        self._scale()

    def _dragged(self, values: list[float]) -> None:
        angle = min(max(values[0], -180.0), 180.0)
        self._on_drag(round(wrapped_angle(angle), 1))
