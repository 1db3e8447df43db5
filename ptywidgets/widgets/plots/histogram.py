"""The contrast of an image, set by two handles on its histogram."""

from __future__ import annotations

from typing import Any

import bqplot
import numpy as np
import traitlets
from ipywidgets import FloatRangeSlider, VBox

from ptywidgets.engine.data.virtual import histogram
from ptywidgets.widgets.controls.fields import button, tip, toolbar
from ptywidgets.widgets.plots.curves import BLUE, ORANGE, Handles, axis, figure, line, nice_ticks, put_line


class ContrastHistogram(VBox):
    """Histogram of an image with two handles for its contrast.

    `limits` (observe it) is None while the contrast follows `percentiles` of each image, and two numbers once a handle
    has been dragged; "Auto" goes back.
    """

    limits = traitlets.Tuple(traitlets.Float(), traitlets.Float(), allow_none=True, default_value=None)
    percentiles = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=(0.0, 100.0))

    def __init__(self, label: str = "value", unit: str = "") -> None:
        self._image: Any = None
        self._x = bqplot.LinearScale(min=0.0, max=1.0)
        scales = {"x": self._x, "y": bqplot.LinearScale(min=0.0, max=1.08)}
        self._bars = line(scales, BLUE, fill="bottom", fill_colors=[BLUE], fill_opacities=[0.45], stroke_width=1)
        self.handles = Handles(scales, (0.0, 1.0), 0.8, ORANGE, self._dragged)
        self._axis = axis(self._x, label, unit)
        margin = {"left": 14, "top": 4, "right": 18}
        self.figure = figure([self._bars, *self.handles.marks], [self._axis], 180, fig_margin=margin)
        style = {"description_width": "initial"}
        self.clip = FloatRangeSlider(
            value=(0.0, 100.0),
            min=0.0,
            max=100.0,
            step=0.1,
            description="Percentiles",
            readout_format=".1f",
            style=style,
            layout={"width": "300px", "max_width": "100%"},
            **tip("Percentiles of the pixels at which the colours begin and end, for each pattern anew."),
        )
        self.auto = button("Auto", "Set the contrast of each image by the percentiles")
        super().__init__([self.figure, toolbar(self.clip, self.auto)])
        self.add_class("pty-panel")
        self.clip.observe(self._clipped, "value")
        self.auto.on_click(lambda _button: self._clipped(None))

    def show(self, image: Any) -> None:
        """Show the histogram of `image`; the handles stay where they were set, or follow its percentiles."""
        self._image = image
        found = histogram(image, 80, self.percentiles)
        low, high = float(found.edges[0]), float(found.edges[-1])
        if (low, high) != (self._x.min, self._x.max):
            with self._x.hold_sync():
                self._x.min, self._x.max = low, high
            self._axis.tick_values = np.array(nice_ticks(low, high))
        put_line(self._bars, found.edges.repeat(2)[1:-1], found.heights.repeat(2))
        if self.limits is None:
            self.handles.set_values(found.limits)

    def _dragged(self, values: list[float]) -> None:
        self.handles.set_values(values, knobs=False)
        if len(values) == 2 and values[0] != values[1]:
            self.limits = (min(values), max(values))

    def _clipped(self, change: Any) -> None:
        if change is not None:
            low, high = change["new"]
            if low == high:
                return
            self.percentiles = (low, high)
        self.set_trait("limits", None)
        if self._image is not None:
            self.show(self._image)

    @traitlets.observe("percentiles")
    def _follow(self, _change: Any) -> None:
        self.clip.value = self.percentiles
