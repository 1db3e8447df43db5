"""What data sets ask for that lies above them: files are opened and patterns are judged by what itself knows data sets.

A :class:`~ptywidgets.engine.data.dataset.Dataset` takes a mask from a file and leaves out bad frames, but imports
neither the readers nor what judges frames. The module that holds such a function enters it here, by the decorator,
as it is imported, which :mod:`ptywidgets.engine` does with all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

Question = Literal["read", "read_pattern", "read_mask", "fields_of", "fields_of_stack", "bad_frames", "vacuum_of_scan"]
Function = TypeVar("Function", bound=Callable[..., Any])
_ANSWERS: dict[str, Callable[..., Any]] = {}


def answers(question: Question) -> Callable[[Function], Function]:
    """Enter a function as what answers a question of data sets; for the module that defines it."""
    assert question in get_args(Question)

    def enter(function: Function) -> Function:
        _ANSWERS[question] = function
        return function

    return enter


def ask(question: Question) -> Callable[..., Any]:
    """The function that answers a question of data sets.

    Examples
    --------
    >>> ask("read").__module__
    'ptywidgets.engine.io'
    """
    return _ANSWERS[question]
