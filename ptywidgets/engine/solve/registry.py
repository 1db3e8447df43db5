"""Which bricks there are, by name: for plans that are written in words, for files, and for bricks of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.algorithms.projections import charge_flipping, difference_map, raar, rrr
from ptywidgets.engine.algorithms.rules import RULES
from ptywidgets.engine.constraints import CONSTRAINTS, SCHEDULES, VOLUMES
from ptywidgets.engine.core.bricks import METHODS, brick_of, named
from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.refinements import REFINEMENTS

Brick = TypeVar("Brick", bound=type)

KINDS: dict[str, dict[str, type[Any]]] = {
    "constraint": CONSTRAINTS,
    "refinement": REFINEMENTS,
    "algorithm": ALGORITHMS,
    "rule": RULES,
}
_NAMED_SETTINGS: dict[str, Callable[[], Any]] = {  # of one algorithm
    "difference map": difference_map,
    "RAAR": raar,
    "RRR": rrr,
    "charge flipping": charge_flipping,
}


def register(cls: Brick | None = None, *, kind: str | None = None) -> Any:
    """Make a constraint, refinement, algorithm or rule of your own known by its name: a class decorator.

    Reconstructions with it can be saved, and loaded again wherever the class has been registered before; a plan finds
    it by name, and the runner offers it. Loading never imports what a file names.

    Parameters
    ----------
    cls : type
        A frozen dataclass whose fields are numbers, texts, None, tuples of those, or other bricks.
    kind : {"constraint", "refinement", "algorithm", "rule"}, optional
        By default told by its methods: `advance` is an algorithm's, `turn` a rule's, `prepare` a constraint's. A
        refinement, which has `prepare`, too, says so.

    Raises
    ------
    ParameterError
        When it is no frozen dataclass, lacks the method, or the name is that of another class.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from ptywidgets.engine import Plan
    >>> @register
    ... @dataclass(frozen=True)
    ... class Nothing:
    ...     strength: float = 0.5
    ...
    ...     def prepare(self, problem):
    ...         return lambda state: state
    >>> Plan(constraints="nothing").constraints
    (Nothing(strength=0.5),)
    >>> unregister(Nothing)
    """
    if cls is None:
        return lambda given: register(given, kind=kind)
    if not isinstance(cls, type):
        raise ParameterError(f"register was given {cls!r}; expected a class.")
    name = cls.__name__
    if kind is None:
        kind = next((k for k in ("algorithm", "rule", "constraint") if hasattr(cls, METHODS[k])), "constraint")
    kind = look_up("kind of brick", kind, KINDS)
    if not hasattr(cls, METHODS[kind]):
        raise ParameterError(
            f"{name} has no method {METHODS[kind]!r}, which a {kind} has; see engine/core/protocols.py."
        )
    if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # a dataclass has them
        raise ParameterError(f"{name} is no frozen dataclass; write @dataclass(frozen=True) below @register.")
    for there in _all():
        if there.__name__ == name and not same_class(there, cls):
            raise ParameterError(
                f"there is a {name} already, in {there.__module__}; files tell bricks apart by name, so give yours "
                "another one."
            )
    KINDS[kind][name] = cls
    return cls


def unregister(cls: type) -> None:
    """Forget a class that was registered."""
    for bricks in KINDS.values():
        for name in [n for n, there in bricks.items() if there is cls]:
            del bricks[name]


def registered(name: str) -> type[Any] | None:
    """The brick of a class name, as files have it; or None."""
    return next((cls for cls in _all() if cls.__name__ == name), None)


def same_class(one: type, other: type) -> bool:
    """Whether two classes are the same, or the same one defined again, as by a cell that was run again."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _all() -> Iterable[type[Any]]:
    several: tuple[Mapping[str, type[Any]], ...] = (*KINDS.values(), VOLUMES, SCHEDULES)
    for bricks in several:
        yield from bricks.values()


# ---------------------------------------------------------------- what a plan is given


def algorithm_of(value: Any) -> Any:
    """An algorithm from an instance, a name or a class.

    Examples
    --------
    >>> algorithm_of("lsq-ml")
    LSQML(...)
    """
    return brick_of("algorithm", value, named(ALGORITHMS, _NAMED_SETTINGS))


def constraints_of(value: Any) -> tuple[Any, ...]:
    """Constraints from one or several instances, names or classes.

    Examples
    --------
    >>> constraints_of("positivity"), constraints_of(None)
    ((Positivity(),), ())
    """
    return _bricks("constraint", value, {**CONSTRAINTS, **VOLUMES}, REFINEMENTS, "refinement")


def refinements_of(value: Any) -> tuple[Any, ...]:
    """Refinements from one or several instances, names or classes."""
    return _bricks("refinement", value, REFINEMENTS, {**CONSTRAINTS, **VOLUMES}, "constraint")


def _bricks(
    kind: str, value: Any, known: Mapping[str, type], others: Mapping[str, type], other: str
) -> tuple[Any, ...]:
    if value is None:
        return ()
    several = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else (value,)
    for one in several:
        if isinstance(one, str) and one in others:
            raise ParameterError(f"{one} is a {other}, not a {kind}: give it in {other}s={one!r}.")
    bricks = tuple(brick_of(kind, one, named(known)) for one in several)
    for brick in bricks:
        inner = brick
        while isinstance(inner, tuple(SCHEDULES.values())):
            inner = inner.constraint  # type: ignore[attr-defined]  # schedules have one
        if type(inner) in others.values():
            raise ParameterError(
                f"{type(inner).__name__} is a {other}, not a {kind}: give it in {other}s=({type(inner).__name__}(),)."
            )
    unchanged = all(brick is one for brick, one in zip(bricks, several, strict=True))
    return several if unchanged else bricks  # the same tuple: what was prepared for it still holds


__all__ = [
    "algorithm_of",
    "constraints_of",
    "refinements_of",
    "register",
    "registered",
    "same_class",
    "unregister",
]
