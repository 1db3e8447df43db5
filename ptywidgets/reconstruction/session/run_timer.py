"""Times of a run: how long an iteration takes, when to show and when to save."""

from __future__ import annotations

import time

import numpy as np


class RunTimer:
    """Time the iterations of one run; made when it starts, :meth:`tick` is called at the end of every iteration."""

    def __init__(self) -> None:
        self._ticks = [time.perf_counter()]
        self._next_show = 0.0
        self._next_save = time.monotonic() + 60

    @property
    def seconds_per_iteration(self) -> float | None:
        """Median of the latest iterations."""
        return float(np.median(np.diff(self._ticks[-9:]))) if len(self._ticks) > 1 else None

    def tick(self) -> None:
        """An iteration has ended."""
        self._ticks.append(time.perf_counter())

    def show_due(self) -> bool:
        """Whether it is time for another image."""
        return time.perf_counter() >= self._next_show

    def shown(self, cost: float) -> None:
        """An image was shown and took `cost` seconds to make."""
        # At most ten images a second, and at most a tenth of the time spent on them.
        self._next_show = time.perf_counter() + max(0.1, 10 * cost)

    def save_due(self) -> bool:
        """Whether a minute has passed since the last save."""
        if time.monotonic() < self._next_save:
            return False
        self._next_save = time.monotonic() + 60
        return True
