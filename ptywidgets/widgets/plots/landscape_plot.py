"""A search for the start as an image: points that were tried by rotation and defocus, coloured by their misfit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import bqplot
import numpy as np
from ipywidgets import VBox

from ptywidgets.engine.calibrate.alternatives import Alternative, Landscape
from ptywidgets.widgets.controls.fields import set_text, text_label
from ptywidgets.widgets.image.colormaps import table
from ptywidgets.widgets.plots.curves import axis, figure, nice_ticks, put_line

MAP, ENDS = "viridis", (40, 240)  # of its 256 colours: those that are seen on white and on black
RING, TAKEN = "#cc79a7", "#e08e0b"
SIDES = ((15, 0, "start"), (-15, 0, "end"), (0, -20, "middle"), (0, 20, "middle"))  # px from a ring to its number
NEAR = (50.0, 0.15)  # degrees, and part of the height: two numbers so near to each other would overlap
ROOM = 0.06  # beyond the outermost points, of the height
FAINTEST = 0.15  # size of the worst points, of that of the best


def shades(count: int = 9) -> list[str]:
    """Colours from the worst misfit to the best.

    Examples
    --------
    >>> shades(2)
    ['#453781', '#d9e31a']
    """
    picked = table(MAP)[np.linspace(*ENDS, count).round().astype(int)]
    return ["#" + bytes(colour).hex() for colour in picked]


class LandscapePlot(VBox):
    """The points of one transpose, with the alternatives as numbered rings, one of which may be picked.

    Parameters
    ----------
    transpose : bool
        Whose points are shown.
    on_pick : callable
        Called with the index of the alternative whose ring is clicked.
    """

    def __init__(self, transpose: bool, on_pick: Callable[[int], Any]) -> None:
        self.transpose, self._on_pick = transpose, on_pick
        self._shown: tuple[int, ...] = ()  # the alternatives that have a ring here
        self._x = bqplot.LinearScale(min=-180.0, max=180.0)
        self._y = bqplot.LinearScale(min=-1.0, max=1.0)
        scales = {"x": self._x, "y": self._y}
        best = {
            "color": bqplot.ColorScale(colors=shades(), min=0.0, max=1.0),
            "size": bqplot.LinearScale(min=-FAINTEST / (1 - FAINTEST), max=1.0),
        }
        self.points = bqplot.Scatter(
            x=[0.0], y=[0.0], color=[0.0], size=[0.0], scales={**scales, **best}, default_size=70,
            stroke="#808080", stroke_width=0.5, visible=False,
        )  # fmt: skip
        ring: dict[str, Any] = {"scales": scales, "fill": False, "visible": False, "apply_clip": False}
        self.rings = bqplot.Scatter(x=[0.0], y=[0.0], colors=[RING], default_size=200, stroke_width=2.5, **ring)
        self.numbers = [
            bqplot.Label(
                x=[0.0],
                y=[0.0],
                text=[""],
                scales=scales,
                colors=[RING],
                default_size=13,
                font_weight="bold",
                x_offset=right,
                y_offset=down,
                align=align,
                apply_clip=False,
            )
            for right, down, align in SIDES
        ]
        self.outer = bqplot.Scatter(x=[0.0], y=[0.0], colors=[TAKEN], default_size=560, stroke_width=2.5, **ring)
        self._axis = axis(self._y, "defocus", "A", vertical=True, tick_format="~s", label_offset="42px")
        self.figure = figure(
            [self.points, self.outer, *self.numbers, self.rings],
            [axis(self._x, "rotation", "degrees", ticks=[-180, -90, 0, 90, 180]), self._axis],
            230,
            fig_margin={"right": 24},  # for the number of a ring at the edge
        )
        self.figure.add_class("pty-landscape")
        self.title = text_label("transposed" if transpose else "as recorded", "pty-group")
        super().__init__([self.title, self.figure])
        self.add_class("pty-panel")
        self.rings.on_element_click(self._clicked)

    def show(self, landscape: Landscape, alternatives: Sequence[Alternative], tried: int) -> None:
        """Draw the points of this transpose, and rings round its alternatives; `tried` points there were in all."""
        drawn = landscape.transpose == self.transpose
        quality = landscape.quality[drawn]
        with self.points.hold_sync():
            self.points.x, self.points.y = landscape.rotation[drawn], landscape.defocus[drawn]
            self.points.color = self.points.size = quality
        self.points.visible = len(quality) > 0
        ours = [n for n, one in enumerate(alternatives) if one.transpose == self.transpose]
        self._shown = tuple(reversed(ours))  # the best is drawn last, on top
        self.rings.visible = len(self._shown) > 0
        ringed = [alternatives[n] for n in self._shown]
        if ringed:
            with self.rings.hold_sync():
                self.rings.x = np.array([one.rotation for one in ringed])
                self.rings.y = np.array([one.defocus for one in ringed])
        every = [*landscape.defocus.tolist(), *(one.defocus for one in alternatives), 0.0]
        self._scale(min(every), max(every))
        self._number()
        set_text(self.title, f"{'transposed' if self.transpose else 'as recorded'}: {tried} points tried")

    def mark(self, taken: int | None) -> None:
        """Put a second ring round the alternative that is in use."""
        place = self._shown.index(taken) if taken in self._shown else None
        self.outer.visible = place is not None
        self.rings.colors = [TAKEN if n == taken else RING for n in self._shown] or [RING]
        if place is not None:
            put_line(self.outer, [self.rings.x[place]], [self.rings.y[place]])

    def _number(self) -> None:
        """Write the numbers beside the rings, each at a side where no nearby one is."""
        height = self._y.max - self._y.min
        sides: dict[int, int] = {}  # by place among the rings
        places = list(zip(self.rings.x.tolist(), self.rings.y.tolist(), strict=True))
        for k in reversed(range(len(self._shown))):  # the best first
            x, y = places[k]
            near = {
                side
                for other, side in sides.items()
                if abs(places[other][0] - x) < NEAR[0] and abs(places[other][1] - y) < NEAR[1] * height
            }
            sides[k] = next((side for side in range(len(SIDES)) if side not in near), 0)
        for side, mark in enumerate(self.numbers):
            ours = [k for k, own in sides.items() if own == side]
            with mark.hold_sync():
                mark.x, mark.y = (np.array([places[k][axis] for k in ours] or [0.0]) for axis in (0, 1))
                mark.text = np.array([str(self._shown[k] + 1) for k in ours] or [""])

    def _scale(self, low: float, high: float) -> None:
        room = ROOM * ((high - low) or 1.0)
        with self._y.hold_sync():
            self._y.min, self._y.max = low - room, high + room
        self._axis.tick_values = np.array(nice_ticks(low - room, high + room))

    def _clicked(self, _mark: Any, event: dict[str, Any]) -> None:
        place = event.get("data", {}).get("index")
        if isinstance(place, int) and 0 <= place < len(self._shown):
            self._on_pick(self._shown[place])


def scale_of_colours(landscape: Landscape) -> str:
    """A bar from the best misfit to the worst, as HTML."""
    low, high = landscape.span
    bar = f"linear-gradient(to right, {', '.join(reversed(shades()))})"
    return (
        f"<span class='pty-scale' role='img' aria-label='misfit from {low:.3g} to {high:.3g}'>misfit {low:.3g} "
        f"<i style='background:{bar}'></i> {high:.3g} and more</span>"
    )


__all__ = ["LandscapePlot", "scale_of_colours", "shades"]
