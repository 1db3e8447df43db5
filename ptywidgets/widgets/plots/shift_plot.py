"""Shifts of the tilted images as arrows on the aperture: measured ones, and those that aberrations predict."""

from __future__ import annotations

import bqplot
import numpy as np
from ipywidgets import VBox

from ptywidgets.widgets.controls.fields import note, set_text
from ptywidgets.widgets.plots.curves import BLUE, ORANGE, axis, figure, legend, line, nice_ticks, put_line

ROOM = 1.25  # of the aperture's radius
LONGEST = 0.2  # of it, the longest arrow


class ShiftPlot(VBox):
    """Arrows from the place of each tilt in the aperture along the shift of its image, in the scan frame."""

    def __init__(self) -> None:
        self._x = bqplot.LinearScale(min=-1.0, max=1.0)
        self._y = bqplot.LinearScale(min=-1.0, max=1.0, reverse=True)  # rows go down
        scales = {"x": self._x, "y": self._y}
        self.predicted = line(scales, ORANGE, stroke_width=4.0, opacities=[0.7])
        self.measured = line(scales, BLUE, stroke_width=1.5)
        for mark in (self.predicted, self.measured):  # a line may not end in a gap
            put_line(mark, [0.0, 0.0], [0.0, 0.0])
            mark.visible = False
        self.tips = [_tips(scales, ORANGE, 36), _tips(scales, BLUE, 14)]
        axes = [axis(self._x, "tilt, columns", "mrad"), axis(self._y, "tilt, rows", "mrad", vertical=True)]
        self.axes = axes
        margin = {"top": 22, "bottom": 42, "left": 56, "right": 8}  # as much beside as above and below: a square
        marks = [self.predicted, self.tips[0], self.measured, self.tips[1]]
        self.figure = figure(marks, axes, 320, fig_margin=margin)
        self.figure.min_aspect_ratio = self.figure.max_aspect_ratio = 1.0
        self.scale = note()
        super().__init__([self.figure, legend(("measured", BLUE), ("predicted", ORANGE)), self.scale])
        self.add_class("pty-panel")

    def show(self, tilts: np.ndarray, measured: np.ndarray | None, predicted: np.ndarray, angle: float) -> None:
        """Draw arrows.

        Parameters
        ----------
        tilts : ndarray (K, 2)
            mrad, scan frame.
        measured, predicted : ndarray (K, 2)
            A, scan frame; NaN where a shift could not be measured.
        angle : float
            mrad, radius of the aperture.
        """
        pairs = [(tilts, predicted)]
        longest = float(np.abs(predicted).max())
        if measured is not None:
            seen = np.isfinite(measured).all(1)
            pairs.append((tilts[seen], measured[seen]))
            longest = max(longest, float(np.percentile(np.abs(measured[seen]), 95)) if seen.any() else 0.0)
        longest = longest or 1.0
        if self._x.max != ROOM * angle:
            self._zoom(ROOM * angle)
        for mark, tips in zip((self.predicted, self.measured), self.tips, strict=True):
            starts, shifts = pairs.pop(0) if pairs else (tilts[:0], tilts[:0])
            mark.visible = tips.visible = len(starts) > 0
            if len(starts):
                ends = starts + LONGEST * angle / longest * shifts
                path = np.stack([starts, ends, np.full_like(ends, np.nan)], 1).reshape(-1, 2)[:-1]  # a line with gaps
                put_line(mark, path[:, 1], path[:, 0])
                put_line(tips, ends[:, 1], ends[:, 0])
        set_text(self.scale, f"Shifts of {len(tilts)} of the tilted images; the longest is {longest:.3g} Å.")

    def _zoom(self, end: float) -> None:
        for scale, one in zip((self._x, self._y), self.axes, strict=True):
            with scale.hold_sync():
                scale.min, scale.max = -end, end
            one.tick_values = np.array(nice_ticks(-end, end, 5))


def _tips(scales: dict[str, bqplot.Scale], color: str, size: int) -> bqplot.Scatter:
    return bqplot.Scatter(x=[0.0], y=[0.0], scales=scales, colors=[color], default_size=size, stroke_width=0)


__all__ = ["ShiftPlot"]
