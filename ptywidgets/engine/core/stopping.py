"""How work that takes seconds is ended from outside: whoever begins it says whom to ask, whoever does it asks.

Who is asked is known to everything that the thread does within :func:`stopped_by`, however deep; threads that it starts
are handed a :func:`stop_check`. Within another :func:`stopped_by` both are asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ptywidgets.engine.core.errors import ParameterError, PtyError

_asked: ContextVar[Callable[[], object] | None] = ContextVar("ptywidgets_stop", default=None)


class WorkStopped(PtyError):
    """Work was ended by whoever may stop it, before it had a result."""


def check_stop_function(stop: object) -> None:
    """Refuse what cannot be called without arguments, before any work is done.

    Examples
    --------
    >>> check_stop_function(lambda: False)
    >>> check_stop_function(1)
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.ParameterError: stop is 1; expected a function without arguments that returns \
whether to stop, such as threading.Event().is_set, or leave it out.
    """
    if stop is not None and not takes(stop):
        raise ParameterError(
            f"stop is {stop!r}; expected a function without arguments that returns whether to stop, such as "
            "threading.Event().is_set, or leave it out."
        )


def takes(function: object, *arguments: object) -> bool:
    """Whether something can be called with arguments; of what does not tell them, whether it can be called.

    Examples
    --------
    >>> takes(print, "words"), takes(lambda: True), takes(lambda words: None), takes(1)
    (True, True, False, False)
    """
    if not callable(function):
        return False
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are not written in Python
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


@contextmanager
def stopped_by(stop: Callable[[], object] | None) -> Iterator[None]:
    """Within it, work ends with a WorkStopped soon after `stop()` has become true; with None nothing is changed.

    Examples
    --------
    >>> with stopped_by(lambda: True):
    ...     check_stop()
    Traceback (most recent call last):
    ptywidgets.engine.core.stopping.WorkStopped: stopped before it was done; nothing was changed.
    """
    check_stop_function(stop)
    if stop is None:
        yield
        return
    outer = _asked.get()
    token = _asked.set(stop if outer is None else lambda: outer() or stop())
    try:
        yield
    finally:
        _asked.reset(token)


def stop_check() -> Callable[[], None]:
    """A function that raises WorkStopped where this thread's work is to stop: for threads that do a part of it."""
    stop = _asked.get()

    def check() -> None:
        if stop is not None and stop():
            raise WorkStopped("stopped before it was done; nothing was changed.")

    return check


def check_stop() -> None:
    """Raise WorkStopped where somebody wants the work to end: in every loop that takes long."""
    stop_check()()


__all__ = ["WorkStopped", "check_stop", "check_stop_function", "stop_check", "stopped_by", "takes"]
