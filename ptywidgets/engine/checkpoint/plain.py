"""Descriptions to plain dictionaries and back, for files: names from a fixed list, never code."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.core.params import plain_number
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.data.source import Bin, Crop, RawLayout, Repair, Source, Stated, Supplied
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Preparation
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.registry import registered, same_class

_DESCRIPTIONS: dict[str, type] = {
    c.__name__: c
    for c in (
        Plan,
        Preparation,
        Optics,
        Calibration,
        ModelConfig,
        Source,
        Supplied,
        Stated,
        RawLayout,
        Crop,
        Bin,
        Repair,
    )
}
_ELSEWHERE = {(Optics, "vacuum")}  # arrays that a file has in a place of their own
_RENAMED_CLASSES = {"Composition": "ModelConfig"}  # by the names that older files have for them
_RENAMED = {  # fields by the names that older files have for them
    "ConjugateGradient": {"lowest": "lower_bound"},
    "RefineDiffuse": {"strength": "tds_strength"},
}


def to_plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries that say the same; a vacuum pattern is left out.

    Raises
    ------
    ParameterError
        For what a file cannot say: a class that is not registered, an array, a function.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import Every, PurePhase
    >>> to_plain(Every(2, PurePhase()))
    {'is': 'Every', 'n': 2, 'constraint': {'is': 'PurePhase'}}
    """
    return _plain(value, "")


def check_saveable(value: Any) -> None:
    """Raise ParameterError where a description would not be the same after it was saved and loaded.

    Examples
    --------
    >>> check_saveable(Plan(iterations=3))
    """
    again = from_plain(json.loads(json.dumps(to_plain(value))))
    if not isinstance(value, Optics) and again != value:
        raise ParameterError(
            f"{value!r} would be loaded as {again!r}; a class of your own needs == of its fields, which are numbers, "
            "texts, None and tuples of those: @dataclass(frozen=True)."
        )


def _plain(value: Any, place: str) -> Any:
    value = plain_number(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Aberrations):
        # A defocus of 0 is written, too: one that is not there nobody has given.
        return {"is": "Aberrations", "C10": value["C10"] if value.known else None, **dict(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(v, place) for v in value]
    kind = type(value)
    if not dataclasses.is_dataclass(kind):
        where = f"{place} is" if place else "this is"
        raise ParameterError(
            f"{where} {_short(value)}, which cannot be saved; expected a number, a text, None, a tuple of those, or a "
            "registered brick: ptywidgets.engine.register."
        )
    known = _class_of(kind.__name__)
    if known is None or not same_class(known, kind):
        taken = "" if known is None else f", since there is another {kind.__name__} in {known.__module__}: rename it"
        raise ParameterError(
            f"{kind.__name__} cannot be saved{taken}; make the class known: put @register of ptywidgets.engine above "
            "its @dataclass(frozen=True), in a module that is imported before the file is loaded."
        )
    fields = {
        f.name: _plain(getattr(value, f.name), f"{kind.__name__}.{f.name}")
        for f in dataclasses.fields(kind)
        if f.init and (kind, f.name) not in _ELSEWHERE
    }
    return {"is": kind.__name__, **fields}


def _class_of(name: Any) -> type | None:
    """The class that a file names: from a fixed list, or registered in this process; nothing is imported."""
    return (_DESCRIPTIONS.get(name) or registered(name)) if isinstance(name, str) else None


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} {value.dtype}"
    return f"{value!r:.80}"


def from_plain(value: Any) -> Any:
    """The description that :func:`to_plain` wrote.

    Raises
    ------
    FileFormatError
        For a name that this version does not know.

    Examples
    --------
    >>> from_plain(to_plain(Plan(iterations=3))) == Plan(iterations=3)
    True
    """
    if isinstance(value, list):
        return tuple(from_plain(v) for v in value)
    if isinstance(value, dict):
        name = value.get("is")
        name = _RENAMED_CLASSES.get(name, name) if isinstance(name, str) else name
        renamed: dict[str, str] = _RENAMED.get(name, {}) if isinstance(name, str) else {}
        fields = {renamed.get(str(k), str(k)): from_plain(v) for k, v in value.items() if k != "is"}
        if name == "Aberrations":  # of older files an empty one is what nobody has set
            return Aberrations(**fields) if fields else Aberrations(defocus=None)
        known = _class_of(name)
        if known is None:
            raise FileFormatError(
                f"the file names {name!r}, which this version does not know; update ptywidgets, or, where it is a "
                "class of your own, import the module that registers it before loading."
            )
        try:
            return known(**fields)
        except TypeError as error:
            raise FileFormatError(f"the file describes {name!r} by other fields than there are: {error}.") from error
    return value
