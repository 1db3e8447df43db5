"""Descriptions to plain dictionaries and back, for files: names from a fixed list, never code."""

from __future__ import annotations

import dataclasses
from typing import Any

from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.algorithms import ALGORITHMS, RULES
from ptywidgets.engine.composition import Composition
from ptywidgets.engine.constraints import CONSTRAINTS, SCHEDULES, VOLUMES
from ptywidgets.engine.dataset import Calibration
from ptywidgets.engine.errors import FileFormatError
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.prepare import Preparation
from ptywidgets.engine.probe import Optics
from ptywidgets.engine.refinements import REFINEMENTS

_NAMED = (ALGORITHMS, RULES, CONSTRAINTS, VOLUMES, REFINEMENTS, SCHEDULES)
_CLASSES: dict[str, type] = {
    c.__name__: c
    for c in (
        Plan,
        Preparation,
        Optics,
        Calibration,
        Composition,
        *(kind for named in _NAMED for kind in named.values()),
    )
}


def to_plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries that say the same; arrays are left out.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import Every, PurePhase
    >>> to_plain(Every(2, PurePhase()))
    {'is': 'Every', 'n': 2, 'constraint': {'is': 'PurePhase'}}
    """
    if isinstance(value, Aberrations):  # a defocus of 0 is written, too: one that is not there nobody has given
        return {"is": "Aberrations", "C10": value["C10"] if value.known else None, **dict(value)}
    if type(value).__name__ in _CLASSES and dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **{k: to_plain(v) for k, v in fields.items() if not hasattr(v, "dtype")}}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value


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
        fields = {k: from_plain(v) for k, v in value.items() if k != "is"}
        name = value.get("is")
        if name == "Aberrations":  # of older files an empty one is what nobody has set
            return Aberrations(**fields) if fields else Aberrations(defocus=None)
        if name not in _CLASSES:
            raise FileFormatError(f"the file names {name!r}, which this version does not know; update ptywidgets.")
        return _CLASSES[name](**fields)
    return value
