"""Convergence: the error of every iteration as a curve, redrawn at most four times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bqplot import LinearScale, Lines, LogScale
from ipywidgets import Box

from ptywidgets.widgets.plots.curves import BLUE, axis, figure

LEAST_SECONDS = 0.25


class Convergence(Box):
    """A curve of errors over iterations, on a logarithmic scale.

    Examples
    --------
    >>> curve = Convergence()
    >>> curve.show([0.4, 0.2, 0.1], planned=64)
    >>> curve.line.x.tolist(), curve.line.y.tolist()
    ([1.0, 2.0, 3.0], [0.4, 0.2, 0.1])
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._next = 0.0
        self._drawn: tuple[tuple[float, ...], int] = ((), 0)
        self.x, self.y = LinearScale(min=1, max=2), LogScale(min=0.01, max=1)
        self.line = Lines(
            x=np.zeros(0), y=np.zeros(0), scales={"x": self.x, "y": self.y}, colors=[BLUE], stroke_width=2,
            marker="circle", marker_size=16,
        )  # fmt: skip
        self.x_axis = axis(self.x, "iteration", ticks=[1], tick_format="d")
        self.y_axis = axis(self.y, "error", vertical=True, ticks=[0.01, 0.1, 1], tick_format=".0e")
        self.figure = figure([self.line], [self.x_axis, self.y_axis], 220)
        super().__init__([self.figure], layout={"width": "100%", "min_height": "220px", "overflow": "hidden"})

    def show(self, losses: Sequence[float], planned: int = 0, *, now: bool = True) -> None:
        """Draw these errors; from any thread.

        Parameters
        ----------
        losses : sequence of float
            Of iteration 1, 2, ...; copied.
        planned : int
            Iterations that are to come at most: where the axis ends.
        now : bool
            Draw even if the last time was less than a quarter of a second ago.
        """
        with self._lock:
            wanted = (tuple(losses), planned)
            if wanted == self._drawn or (not now and self._clock() < self._next):
                return
            self._next, self._drawn = self._clock() + LEAST_SECONDS, wanted
            values = np.array(losses, float)
            drawn = np.isfinite(values) & (values > 0)  # a logarithm knows no zero
            self._scale(values[drawn], max(planned, len(values)))
            with self.line.hold_sync():
                self.line.x = np.arange(1.0, len(values) + 1)[drawn]
                self.line.y = values[drawn]
                self.line.marker_size = 16 if len(values) < 40 else 1

    def _scale(self, values: np.ndarray, last: int) -> None:
        low, high, ticks = log_ticks(values)
        with self.y.hold_sync():
            self.y.min, self.y.max = low, high
        self.y_axis.tick_values = np.array(ticks)
        self.x.max = float(max(last, 2))
        self.x_axis.tick_values = np.array(whole_ticks(max(last, 2)))


def whole_ticks(last: int) -> list[float]:
    """1 and round numbers up to `last`, six at most.

    Examples
    --------
    >>> whole_ticks(64)
    [1.0, 20.0, 40.0, 60.0]
    """
    step = next(m * 10**d for d in range(12) for m in (1, 2, 5) if last / (m * 10**d) <= 5)
    return [1.0, *(float(tick) for tick in range(step, last + 1, step) if tick > 1)]


def log_ticks(values: Any) -> tuple[float, float, list[float]]:
    """Ends and ticks of a logarithmic axis for some positive values: 1, 2, 5 of a decade where there are few decades.

    Examples
    --------
    >>> log_ticks([0.03, 0.4])
    (0.02, 0.5, [0.02, 0.05, 0.1, 0.2, 0.5])
    >>> log_ticks([])
    (0.01, 1.0, [0.01, 0.1, 1.0])
    """
    values = np.asarray(values, float)
    if not len(values):
        return 0.01, 1.0, [0.01, 0.1, 1.0]
    bottom, top = np.floor(np.log10(values.min() * 0.999)), np.ceil(np.log10(values.max() * 1.001))
    few = top - bottom <= 3
    all_ticks = [float(f"{m}e{int(d)}") for d in np.arange(bottom, top + 1) for m in ((1, 2, 5) if few else (1,))]
    below = [tick for tick in all_ticks if tick <= values.min()]
    above = [tick for tick in all_ticks if tick >= values.max()]
    low, high = below[-1], above[0]
    return low, high, [tick for tick in all_ticks if low <= tick <= high]


__all__ = ["Convergence", "log_ticks"]
