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
        self._busy = self._overtaken = False
        self._done = panel.safe_callback(self._finish)  # one for all: a success clears the error of before
        self._next: tuple[Callable[[], Any], Callable[[Any], Any]] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._busy

    def submit(self, work: Callable[[], Any], then: Callable[[Any], Any], *, more: bool = False) -> None:
        """Do `work()` on a thread and give `then` its result, unless something newer is asked for meanwhile.

        With `more` this is no other wish but more of the same: the result of what is being done is used, too.
        """
        if not shows_threads():
            then(work())
            return
        self._next = (work, then)
        self._overtaken |= not more
        if not self._busy:
            self._begin()

    def cancel(self) -> None:
        """What is being done is no longer wanted."""
        self._next, self._overtaken = None, self._busy

    def _begin(self) -> None:
        assert self._next is not None
        (work, then), self._next = self._next, None
        self._busy, self._overtaken = True, False
        self.panel.callback_queue.run_in_background(
            work, lambda value: self._done(then, value), lambda error: self._done(_raise, error)
        )

    def _finish(self, finish: Callable[[Any], Any], value: Any) -> None:
        self._busy, unwanted = False, self._overtaken or (self._next is not None and finish is _raise)
        if self._next is not None:
            self._begin()
        if not unwanted:
            finish(value)


def _raise(error: Exception) -> None:
    raise error


__all__ = ["LatestTask"]
