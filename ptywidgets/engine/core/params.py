"""Parameters that carry their unit, range and one sentence.

A description is a frozen dataclass that mixes in :class:`Params` and declares its fields with :func:`param`. Checks,
error texts, sliders, attributes in files and "copy as code" are all derived from that one declaration.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from ptywidgets.engine.core.errors import ParameterError, look_up, unknown_name

_KEY = "ptywidgets"
T = TypeVar("T", bound="Params")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What a control, an error text or a file needs to know about one parameter."""

    name: str
    default: Any
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    doc: str = ""
    step: float | None = None
    log: bool = False
    type: Any = float

    @property
    def optional(self) -> bool:
        """Whether None is a value ("let it be found")."""
        return type(None) in get_args(self.type)

    def check(self, value: Any) -> Any:
        """Return `value` as the declared type, or raise ParameterError saying what was expected."""
        if value is None:
            if self.optional or self.default is None:
                return None
            raise ParameterError(f"{self.name} is None; expected {self.expected}.")
        if self.choices is not None:
            return self._chosen(value)
        kinds = get_args(self.type) or (self.type,)
        if bool in kinds:
            return self._switch(value)
        if int in kinds and float not in kinds:
            return self._in_range(self._whole(value))
        if float in kinds:
            return self._in_range(self._number(value))
        if str in kinds:
            if not isinstance(value, str):
                raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.")
            return str(value)  # numpy's texts become Python's
        return plain_number(value)

    def typed(self, text: str) -> Any:
        """The value that somebody has typed, checked; nothing at all stands for None."""
        try:
            number: Any = float(text) if text else None
        except ValueError:
            number = text  # which is refused in its own words
        return self.check(number)

    @property
    def expected(self) -> str:
        """The expectation in words, such as ``a number from 0 to 5 1/A``."""
        if self.choices is not None:
            return "one of " + ", ".join(repr(c) for c in self.choices)
        kinds = get_args(self.type) or (self.type,)
        if bool in kinds:
            return "True or False"
        if str in kinds:
            return "a text"
        unit = f" {self.unit}" if self.unit else ""
        number = "a whole number" if int in kinds and float not in kinds else "a number"
        form = ".0f" if number == "a whole number" else "g"
        if self.low is not None and self.high is not None:
            return f"{number} from {self.low:{form}} to {self.high:{form}}{unit}"
        if self.low is not None:
            return f"{number} of at least {self.low:{form}}{unit}"
        return f"{number}{unit}"

    def _chosen(self, value: Any) -> Any:
        assert self.choices is not None
        if all(isinstance(choice, str) for choice in self.choices):
            return look_up(f"value of {self.name}", value, self.choices)
        value = plain_number(value)
        if value not in self.choices:
            raise unknown_name(f"value of {self.name}", str(value), [str(c) for c in self.choices])
        return self.choices[self.choices.index(value)]

    def _switch(self, value: Any) -> bool:
        switch = plain_number(value)
        if not isinstance(switch, (bool, int)) or switch not in (0, 1):  # files and tables have 0 and 1
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.")
        return bool(switch)

    def _number(self, value: Any) -> float:
        try:
            if isinstance(plain_number(value), (str, bytes, bool)) or np.ndim(value):
                raise TypeError  # which Python would take for numbers
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.") from None
        if not math.isfinite(number):
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.")
        return number

    def _whole(self, value: Any) -> int:
        number = self._number(value)
        if number != int(number):
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.")
        return int(number)

    def _in_range(self, number: float) -> Any:
        below = self.low is not None and number < self.low
        above = self.high is not None and number > self.high
        if below or above:
            raise ParameterError(f"{self.name} is {number:g}; expected {self.expected}.")
        return number


def plain_number(value: Any) -> Any:
    """A scalar of numpy, or an array of no axes, as Python's own; anything else as it is.

    Examples
    --------
    >>> plain_number(np.int64(2)), plain_number(np.array(0.5)), plain_number("PIE")
    (2, 0.5, 'PIE')
    """
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0 else value


def whole_number(name: str, value: Any, low: int = 1, high: int | None = None, unit: str = "") -> int:
    """`value` as an int, for arguments that count something.

    Parameters
    ----------
    name : str
        Of the argument, for the words of the error.
    value : int
        Of Python or of numpy; a float where it is whole. No text, no bool.
    low, high : int
        Range.
    unit : str
        What is counted.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> whole_number("n", np.int64(3))
    3
    >>> whole_number("n", 0, unit="iterations")
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: n is 0; expected a whole number of at least 1 iterations.
    """
    return Parameter(name, low, unit=unit, low=low, high=high, type=int).check(value)


def counted(**least: int) -> Callable[[Function], Function]:
    """A decorator of functions: these arguments are whole numbers of at least so much, or None where the
    annotation allows it.

    Examples
    --------
    >>> @counted(rounds=1)
    ... def turn(rounds=3):
    ...     return rounds
    >>> turn(np.int32(2))
    2
    >>> turn(rounds=2.5)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: rounds is 2.5; expected a whole number of at least 1.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        unknown = set(least) - set(signature.parameters)
        if unknown:
            raise unknown_name(f"argument of {function.__qualname__}", min(unknown), signature.parameters)

        optional = {name for name, p in signature.parameters.items() if "None" in str(p.annotation)}

        @functools.wraps(function)
        def checked(*arguments: Any, **named: Any) -> Any:
            try:
                given = signature.bind(*arguments, **named)
            except TypeError:
                return function(*arguments, **named)  # Python says what is wrong
            for name, low in least.items():
                if name in given.arguments:
                    value = given.arguments[name]
                    if value is not None or name not in optional:
                        given.arguments[name] = whole_number(name, value, low)
            return function(*given.args, **given.kwargs)

        return checked  # type: ignore[return-value]  # the same signature

    return decorate


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that a function does not take, with the nearest that it does; Python names no neighbour.

    Examples
    --------
    >>> check_options(whole_number, {"unti": "A"})
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: unknown option of whole_number 'unti'; did you mean 'unit'? Known: ...
    """
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters]
    for name in options:
        if name not in known:
            raise unknown_name(f"option of {function.__name__}", name, known)


def duration(name: str, value: Any) -> float:
    """Seconds, at least 0, for arguments that say how long to wait; infinity is allowed.

    Examples
    --------
    >>> duration("timeout", 2)
    2.0
    """
    if isinstance(plain_number(value), float) and value == math.inf:
        return math.inf
    return Parameter(name, 0.0, unit="s", low=0, type=float).check(value)


def switch(name: str, value: Any) -> bool:
    """True or False of Python or numpy, for arguments that say whether.

    Examples
    --------
    >>> switch("overwrite", np.True_)
    True
    >>> switch("overwrite", "no")
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: overwrite is 'no'; expected True or False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name} is {value!r:.80}; expected True or False.")
    return bool(value)


def param(
    default: Any,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    doc: str = "",
    step: float | None = None,
    log: bool = False,
) -> Any:
    """Declare a field of a :class:`Params` dataclass together with its unit, range and sentence."""
    metadata = {
        _KEY: {"unit": unit, "low": low, "high": high, "choices": choices, "doc": doc, "step": step, "log": log}
    }
    return dataclasses.field(default=default, metadata=metadata)


class Params:
    """Mix-in for frozen dataclasses: checks on construction, description, replacement, (de)serialisation.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class LowPass(Params):
    ...     q_max: float = param(0.5, unit="1/A", low=0, high=5, doc="Highest frequency kept.")
    >>> LowPass(q_max=0.7)
    LowPass(q_max=0.7)
    >>> LowPass(q_max=7)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: q_max is 7; expected a number from 0 to 5 1/A.
    >>> LowPass.describe()[0].doc
    'Highest frequency kept.'
    """

    def __new__(cls, *args: Any, **values: Any) -> Any:
        cls._check_names(values)  # before the generated __init__, whose TypeError names no neighbour
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for parameter in self.describe():
            value = getattr(self, parameter.name)
            checked = parameter.check(value)
            if checked is not value:
                object.__setattr__(self, parameter.name, checked)
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # those that no parameter describes, too
            value = getattr(self, field.name)
            if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
                object.__setattr__(self, field.name, plain_number(value))

    @classmethod
    def describe(cls) -> tuple[Parameter, ...]:
        """The declared parameters in order."""
        return _described(cls)

    def replace(self: T, **changes: Any) -> T:
        """A copy with some parameters changed; unknown names raise ParameterError with the nearest."""
        self._check_names(changes)
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]  # subclasses are dataclasses

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """Build from a dictionary; unknown names raise ParameterError with the nearest."""
        cls._check_names(values)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Names and values, one level deep."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses

    @classmethod
    def _check_names(cls, values: dict[str, Any]) -> None:
        known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        for name in values:
            if name not in known:
                raise unknown_name(f"parameter of {cls.__name__}", name, known)


_cache: dict[type, tuple[Parameter, ...]] = {}


def _described(cls: type) -> tuple[Parameter, ...]:
    if cls not in _cache:
        hints = get_type_hints(cls)
        _cache[cls] = tuple(
            Parameter(name=f.name, default=f.default, type=hints[f.name], **f.metadata[_KEY])
            for f in dataclasses.fields(cls)
            if _KEY in f.metadata
        )
    return _cache[cls]
