"""bqplot figures in the colours of the page: axes with units, lines, and handles that may be dragged."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import bqplot
import numpy as np
from ipywidgets import HTML

from ptywidgets.widgets.controls.formatting import unit_text
from ptywidgets.widgets.controls.quiet import Quiet

# Okabe and Ito's colours, of which these four are told apart on white and on black, by everybody.
BLUE, ORANGE, GREEN, PINK = "#3a8fd0", "#e08e0b", "#1fa07c", "#cc79a7"
MARGIN = {"top": 12, "bottom": 38, "left": 56, "right": 14}


def axis(
    scale: bqplot.Scale,
    label: str,
    unit: str = "",
    vertical: bool = False,
    ticks: Sequence[float] | None = None,
    **traits: Any,
) -> bqplot.Axis:
    """An axis labelled ``label (unit)``; without grid lines, so that it is readable in light and dark."""
    text = f"{label} ({unit_text(unit)})" if unit else label
    if ticks is not None:
        traits["tick_values"] = np.asarray(ticks, float)
    else:
        traits.setdefault("num_ticks", 4 if vertical else 6)
    offset = {"label_offset": "44px"} if vertical else {"label_offset": "30px"}
    orientation = "vertical" if vertical else "horizontal"
    made = bqplot.Axis(scale=scale, label=text, grid_lines="none", **{**offset, **traits})
    made.orientation = orientation
    return made


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most so many.

    Examples
    --------
    >>> nice_ticks(-0.5, 1124.5)
    [0.0, 500.0, 1000.0]
    """
    if not high > low:
        return [low]
    for power in range(math.floor(math.log10(high - low)) - 1, math.ceil(math.log10(high - low)) + 1):
        for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power):
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if 0 <= last - first < most:
                return [round(k * step, 12) for k in range(first, last + 1)]
    return [low, high]


def figure(
    marks: Sequence[bqplot.Mark], axes: Sequence[bqplot.Axis], height: int = 200, **traits: Any
) -> bqplot.Figure:
    """A figure as wide as the place it is given, `height` px high, with no ground of its own."""
    plot = bqplot.Figure(
        marks=list(marks),
        axes=list(axes),
        fig_margin={**MARGIN, **traits.pop("fig_margin", {})},
        min_aspect_ratio=0.2,
        max_aspect_ratio=20,
        background_style={"fill": "transparent"},
        layout={"width": "100%", "min_width": "0", "height": f"{height}px", "min_height": f"{height}px"},
        animation_duration=0,
        **traits,
    )
    if plot.has_trait("display_toolbar"):  # new in bqplot 0.13; it would lie over the handles
        plot.display_toolbar = False
    plot.add_class("pty-plot")
    return plot


def legend(*entries: tuple[str, str]) -> HTML:
    """Words, each behind a bar of its colour: ``legend(("curl", BLUE), ...)``."""
    bars = [
        f'<span style="white-space:nowrap"><b style="color:{color}">━</b> {html.escape(text)}</span>'
        for text, color in entries
    ]
    made = HTML(" &ensp;".join(bars), layout={"width": "auto", "margin": "0"})
    made.add_class("pty-note")
    return made


def line(scales: dict[str, Any], color: str, dashed: bool = False, **traits: Any) -> bqplot.Lines:
    """A line, empty until :func:`put_line`."""
    style = "dashed" if dashed else "solid"
    return bqplot.Lines(x=[0.0], y=[np.nan], scales=scales, colors=[color], line_style=style, **traits)


def put_line(mark: bqplot.Mark, x: Any, y: Any) -> None:
    """Give a mark new points, both coordinates in one message."""
    with mark.hold_sync():
        mark.x, mark.y = np.asarray(x, float), np.asarray(y, float)


class Handles:
    """Vertical lines with a knob each, which a user may drag along x.

    Parameters
    ----------
    scales : dict
        Of the figure.
    span : (float, float)
        Lower and upper end of the lines, in y.
    knob : float
        Where the knobs are, in y.
    color : str
    on_drag : callable
        Called with the positions, a list of float, as the user drags.
    """

    def __init__(
        self,
        scales: dict[str, Any],
        span: tuple[float, float],
        knob: float,
        color: str,
        on_drag: Callable[[list[float]], Any],
    ) -> None:
        self.span, self.height, self.on_drag = span, knob, on_drag
        self.lines = bqplot.Lines(x=[[0.0, 0.0]], y=[list(span)], scales=scales, colors=[color], stroke_width=1.5)
        self.knobs = bqplot.Scatter(
            x=[0.0],
            y=[knob],
            scales=scales,
            colors=[color],
            stroke="white",
            stroke_width=1.5,
            default_size=180,
            enable_move=True,
            restrict_x=True,
            update_on_move=True,
        )
        self._updating = Quiet()
        self.knobs.observe(self._dragged, "x")

    @property
    def marks(self) -> list[bqplot.Mark]:
        """To be given to the figure, last."""
        return [self.lines, self.knobs]

    @property
    def values(self) -> list[float]:
        """Where they are."""
        return [float(v) for v in np.ravel(self.knobs.x)]

    def set_values(self, values: Sequence[float], knobs: bool = True) -> None:
        """Set them without `on_drag` being called; without `knobs` only the lines, which follow a drag."""
        places = [float(v) for v in values]
        if knobs:
            with self._updating:
                put_line(self.knobs, places, [self.height] * len(places))
        put_line(self.lines, [[v, v] for v in places], [list(self.span)] * len(places))

    def move_span(self, span: tuple[float, float], knob: float) -> None:
        """Other ends of the lines, where the y axis has changed."""
        self.span, self.height = span, knob
        self.set_values(self.values)

    def _dragged(self, _change: Any) -> None:
        if not self._updating:
            self.on_drag(self.values)
