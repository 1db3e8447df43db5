"""A brick from what somebody gives for it: an instance, its name, or its class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ptywidgets.engine.core.errors import ParameterError, alike, look_up

METHODS = {"constraint": "prepare", "refinement": "prepare", "algorithm": "advance", "rule": "turn"}


def brick_of(kind: str, value: Any, known: Mapping[str, Any]) -> Any:
    """The brick itself, one that is looked up by name, or one with its defaults from a class.

    Parameters
    ----------
    kind : {"constraint", "refinement", "algorithm", "rule"}
    value : object, str or type
    known : mapping
        From names to classes, or to functions that need no argument.

    Raises
    ------
    ParameterError
        With the nearest names, or what the class needs, or what was expected.
    """
    if isinstance(value, str):
        return known[look_up(kind, value, known)]()
    method = METHODS[kind]
    if isinstance(value, type):
        lacking = _needed(value)
        if lacking or not callable(getattr(value, method, None)):
            needs = f"one with its numbers, {value.__name__}({', '.join(lacking)})" if lacking else f"a {kind}"
            raise ParameterError(f"the {kind} is the class {value.__name__}; expected {needs}.")
        return value()
    if not callable(getattr(value, method, None)):
        names = ", ".join(repr(name) for name in sorted(known))
        ways = f"an instance, or one of the names {names}" if names else "an instance"
        raise ParameterError(f"the {kind} is {value!r}; expected {ways}.")
    return value


def named(*several: Mapping[str, Any]) -> dict[str, Any]:
    """Names of all, the first before the others where :func:`look_up` cannot tell them apart; and class names.

    Examples
    --------
    >>> from ptywidgets.engine.algorithms import ALGORITHMS
    >>> sorted(named(ALGORITHMS))[:2]
    ['ConjugateGradient', 'LSQ-ML']
    """
    found: dict[str, Any] = {}
    for names in several:
        by_class = {value.__name__: value for value in names.values() if isinstance(value, type)}
        for name, value in (*names.items(), *by_class.items()):
            if not any(alike(name, there) for there in found):
                found[name] = value
    return found


def _needed(cls: type) -> list[str]:
    """Arguments that a class cannot be made without."""
    try:
        _, *parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]  # of this very class
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.default is p.empty and p.kind in named]


__all__ = ["METHODS", "brick_of", "named"]
