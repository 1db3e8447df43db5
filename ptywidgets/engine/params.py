"""Parameters that carry their unit, range and one sentence.

A description is a frozen dataclass that mixes in :class:`Params` and declares its fields with :func:`param`. Checks,
error texts, sliders, attributes in files and "copy as code" are all derived from that one declaration.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar, get_args, get_type_hints

from ptywidgets.engine.errors import ParameterError, unknown_name

_KEY = "ptywidgets"
T = TypeVar("T", bound="Params")


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
            if value not in self.choices:
                raise unknown_name(f"value of {self.name}", str(value), [str(c) for c in self.choices])
            return value
        kinds = get_args(self.type) or (self.type,)
        if bool in kinds and isinstance(value, bool):
            return value
        if int in kinds and float not in kinds:
            return self._in_range(self._whole(value))
        if float in kinds:
            return self._in_range(self._number(value))
        return value

    @property
    def expected(self) -> str:
        """The expectation in words, such as ``a number from 0 to 5 1/A``."""
        if self.choices is not None:
            return "one of " + ", ".join(repr(c) for c in self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"a number from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"a number of at least {self.low:g}{unit}"
        return f"a number{unit}"

    def _number(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.") from None
        if not math.isfinite(number):
            raise ParameterError(f"{self.name} is {value!r}; expected {self.expected}.")
        return number

    def _whole(self, value: Any) -> int:
        number = self._number(value)
        if number != int(number):
            raise ParameterError(f"{self.name} is {value!r}; expected a whole number, {self.expected}.")
        return int(number)

    def _in_range(self, number: float) -> Any:
        below = self.low is not None and number < self.low
        above = self.high is not None and number > self.high
        if below or above:
            raise ParameterError(f"{self.name} is {number:g}; expected {self.expected}.")
        return number


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
    ptywidgets.engine.errors.ParameterError: q_max is 7; expected a number from 0 to 5 1/A.
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

    @classmethod
    def describe(cls) -> tuple[Parameter, ...]:
        """The declared parameters in order."""
        return _described(cls)

    def replace(self: T, **changes: Any) -> T:
        """A copy with some parameters changed; unknown names raise ParameterError with the nearest."""
        self._check_names(changes)
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """Build from a dictionary; unknown names raise ParameterError with the nearest."""
        cls._check_names(values)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Names and values, one level deep."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def _check_names(cls, values: dict[str, Any]) -> None:
        known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
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
