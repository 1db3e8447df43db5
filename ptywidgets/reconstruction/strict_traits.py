"""Traits whose observers cannot break what they observe, and objects that refuse attributes which mean nothing."""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from traitlets import All, EventHandler, HasTraits, MetaHasTraits, TraitError, TraitType, Tuple, Unicode

from ptywidgets._renamed import RENAMED, now_called
from ptywidgets.engine.cluster import check_client
from ptywidgets.engine.core.errors import ParameterError, UnknownAttributeError, look_up, nearest

log = logging.getLogger("ptywidgets")
_NONE = object()
_METHODS = (types.FunctionType, classmethod, staticmethod)


class RefusedValueError(ParameterError, TraitError):
    """A trait was given what it does not take."""


class Sealing(MetaHasTraits):
    """Makes objects that are sealed as soon as they are made."""

    def __call__(cls, *args: Any, **values: Any) -> Any:
        _check_arguments(cls, values)
        made = super().__call__(*args, **values)
        made.__dict__["_sealed"] = True
        return made


class Strict(HasTraits, metaclass=Sealing):
    """HasTraits that refuses attributes it does not know, once it is made.

    Private names, traits, what the class has and what `__init__` has set can be set, as ever; a name that would be
    accepted and mean nothing, a result, and a method (but by another one) cannot.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:1] != "_" and name not in self.__dict__ and "_sealed" in self.__dict__:
            self._check_settable(name, value)
        try:
            super().__setattr__(name, value)
        except RefusedValueError:
            raise
        except TraitError as error:
            raise RefusedValueError(str(error)) from None

    if not TYPE_CHECKING:  # where every attribute would be there

        def __getattr__(self, name: str) -> Any:
            if name in RENAMED:
                raise UnknownAttributeError(f"{_a(type(self).__name__)} has no {name!r}; {now_called(name)}")
            return self.__getattribute__(name)  # for Python's own error, or that of a property

    @classmethod
    def _right_way(cls, name: str, value: Any) -> str:
        """A sentence with the right way to what somebody means who sets an attribute, or gives an argument, of this
        name; empty where none is known."""
        return ""

    @classmethod
    def _unknown_argument(cls, name: str, value: Any, taken: list[str]) -> ParameterError:
        """What is raised over an argument of the constructor that it does not take."""
        way = cls._right_way(name, value) or f"it takes {', '.join(taken) or 'none'}."
        return ParameterError(f"unknown argument of {cls.__name__} {name!r}; {way}")

    @classmethod
    def _other_names(cls) -> list[str]:
        """Names that :meth:`_right_way` knows besides traits."""
        return []

    def _check_settable(self, name: str, value: Any) -> None:
        there = inspect.getattr_static(type(self), name, _NONE)
        kind = type(self).__name__
        if isinstance(there, TraitType) and there.read_only:
            way = self._right_way(name, value) or f"{name} is told, not set."
            raise RefusedValueError(f"{name} of {_a(kind)} cannot be set; {way}")
        if isinstance(there, property) and there.fset is None:
            way = self._right_way(name, value) or f"{name} is worked out from the rest."
            raise UnknownAttributeError(f"{name} of {_a(kind)} cannot be set; {way}")
        if isinstance(there, _METHODS) and not callable(value):
            way = self._right_way(name, value) or f"call it: {name}(...)."
            raise UnknownAttributeError(f"{name} of {_a(kind)} is a method and cannot be set; {way}")
        if there is _NONE:
            raise UnknownAttributeError(f"{_a(kind)} has no {name!r} to set; {self._way_or_names(name, value)}")

    @classmethod
    def _way_or_names(cls, name: str, value: Any) -> str:
        way = now_called(name) or cls._right_way(name, value)
        if way:
            return way
        own = [n for n in cls.class_trait_names() if n[:1] != "_"]
        near = nearest(name, [*own, *cls._other_names()])
        if not near:
            return f"it has {', '.join(sorted(own_traits(cls)))}." if own_traits(cls) else "there is nothing like it."
        hint = f"did you mean {' or '.join(map(repr, near))}?"
        way = "" if near[0] in own else cls._right_way(near[0], value)
        return f"{hint} {way[:1].upper()}{way[1:]}" if way else hint


def _check_arguments(cls: Any, values: dict[str, Any]) -> None:
    """Refuse keyword arguments that a constructor does not take; Python's own TypeError names no neighbour."""
    taken = inspect.signature(cls.__init__).parameters
    if any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return  # it checks them itself
    for name, value in values.items():
        if name not in taken:
            raise cls._unknown_argument(name, value, [one for one in taken if one != "self"])


def own_traits(cls: type[HasTraits]) -> list[str]:
    """Traits that are declared by this package."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("ptywidgets") and issubclass(base, HasTraits):
            found |= {n for n in vars(base) if n[:1] != "_" and n in cls.class_traits()}
    return sorted(found)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


class Name(Unicode):  # type: ignore[type-arg]  # traitlets 5.9 cannot subscript it at run time
    """One of several names, in whatever case; unlike Enum it says which is nearest."""

    def __init__(self, what: str, known: Iterable[str], default: str, **settings: Any) -> None:
        self.what, self.known = what, tuple(known)
        super().__init__(default, **settings)

    def validate(self, obj: Any, value: Any) -> str:
        try:
            return look_up(self.what, value, self.known)
        except ParameterError as error:
            raise RefusedValueError(str(error)) from None


class Client(TraitType):  # type: ignore[type-arg]  # as above
    """A client of dask.distributed, or None."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(None, allow_none=True, **settings)

    def validate(self, obj: Any, value: Any) -> Any:
        try:
            return check_client(value)
        except ParameterError as error:
            raise RefusedValueError(str(error)) from None


class Told(Tuple):
    """What the program tells: objects of one kind, which is known by its name."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self.kind = kind
        super().__init__(**settings)

    def validate(self, obj: Any, value: Any) -> Any:
        value = super().validate(obj, value)
        for one in value:
            if type(one).__name__ != self.kind:
                raise RefusedValueError(f"{self.name} has {one!r:.60}; expected {self.kind} objects, as they are told.")
        return value


class SafeTraits(Strict):
    """HasTraits of which a failing observer is logged once and disconnected."""

    @property
    def _guarded(self) -> list[tuple[Callable[..., Any], Callable[..., Any]]]:
        """Observers, each with what is called instead; a class may declare some, which are there before `__init__`."""
        return self.__dict__.setdefault("_wrapped", [])

    def observe(self, handler: Callable[..., Any], names: Any = All, type: Any = "change") -> None:
        """As in traitlets; `handler` may be called on any thread."""
        own: Any = handler
        name = own.name if isinstance(own, EventHandler) else None  # of a method that a class declares by @observe

        def guarded(change: Any) -> None:
            try:
                (handler if name is None else getattr(self, name))(change)
            except Exception:
                log.exception("an observer of %s failed and is disconnected", names)
                self.unobserve(handler, names, type)

        self._guarded.append((handler, guarded))
        super().observe(guarded, names=names, type=type)

    def unobserve(self, handler: Callable[..., Any], names: Any = All, type: Any = "change") -> None:
        """As in traitlets."""
        for pair in [p for p in self._guarded if p[0] == handler]:
            try:
                super().unobserve(pair[1], names=names, type=type)
            except ValueError:  # observed for other names
                continue
            self._guarded.remove(pair)
