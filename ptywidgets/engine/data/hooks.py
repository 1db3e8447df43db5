"""Hooks of data sets: what they need of rooms above, such as a file's reader, called without being imported.

A :class:`~ptywidgets.engine.data.dataset.Dataset` takes a mask from a file and leaves out bad frames, but imports
neither the readers nor what judges frames, which themselves import data sets. The module that defines such a function
enters it here, by the decorator :func:`answers`, as it is imported; :mod:`ptywidgets.engine` imports all of them.
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
