"""Long work that is requested again and again: done on a thread, and only the newest result is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ptywidgets.reconstruction.session.hosts import shows_threads
from ptywidgets.widgets.panel.base import Panel


class LatestTask:
    """One piece of work at a time on a thread; of those asked for meanwhile only the newest is done after it.

    Parameters
    ----------
    panel : Panel
        In whose callback queue results are taken, and whose status line tells what goes wrong.

    Notes
    -----
    :meth:`submit` is called from callbacks of the panel, which come one at a time, so that nothing here needs a lock.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._busy = False
        self._next: tuple[Callable[[], Any], Callable[[Any], Any]] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._busy

    def submit(self, work: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Do `work()` on a thread and give `then` its result, unless something newer is asked for meanwhile."""
        if not shows_threads():
            then(work())
            return
        self._next = (work, then)
        if not self._busy:
            self._begin()

    def cancel(self) -> None:
        """What is being done is no longer wanted."""
        self._next = (lambda: None, lambda _: None) if self._busy else None

    def _begin(self) -> None:
        assert self._next is not None
        (work, then), self._next, self._busy = self._next, None, True
        finish = self.panel.safe_callback(self._finish)
        self.panel.callback_queue.run_in_background(
            work, lambda value: finish(then, value), lambda error: finish(_raise, error)
        )

    def _finish(self, finish: Callable[[Any], Any], value: Any) -> None:
        self._busy = False
        if self._next is not None:
            self._begin()
        else:
            finish(value)


def _raise(error: Exception) -> None:
    raise error


__all__ = ["LatestTask"]
