"""Members of an object that its parts have: typed and documented as they are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


if TYPE_CHECKING:

    class Derived(Generic[T]):
        """To the type checker: what is read from an instance has the type of the part's property."""

        @overload
        def __get__(self, instance: None, owner: type) -> Derived[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...


def command(part: str, method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """The method of a part, by the name of the attribute that holds the part.

    Examples
    --------
    >>> class Engine:
    ...     def start(self, gear=1):
    ...         return f"in gear {gear}"
    >>> class Car:
    ...     start = command("engine", Engine.start)
    ...     engine = Engine()
    >>> Car().start(gear=2)
    'in gear 2'
    """

    @wraps(method)
    def call(self: Any, *args: P.args, **values: P.kwargs) -> T:
        return method(getattr(self, part), *args, **values)

    return cast("Callable[Concatenate[Any, P], T]", call)


def chained(part: str, method: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[S, P], S]:
    """The same for a method that returns nothing: the object itself is returned, so that commands can follow."""

    @wraps(method)
    def call(self: S, *args: P.args, **values: P.kwargs) -> S:
        method(getattr(self, part), *args, **values)
        return self

    told: Any = call
    told.__signature__ = signature(method).replace(return_annotation="Self")
    return cast("Callable[Concatenate[S, P], S]", call)


def derived(part: str, value: Callable[[Any], T]) -> Derived[T]:
    """The property of a part, which cannot be set."""
    there = cast("property", value)
    assert there.fget is not None
    get: Callable[[Any], T] = there.fget

    @wraps(get)
    def look(self: Any) -> T:
        return get(getattr(self, part))

    return cast("Derived[T]", property(look))


__all__ = ["chained", "command", "derived"]
