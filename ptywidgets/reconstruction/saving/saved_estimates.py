"""Estimates of a start as text, for files: each with value, uncertainty, source, and what had been estimated before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from ptywidgets.engine.calibrate.estimates import Estimate
from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.core.params import plain_number


def to_text(estimates: Sequence[Estimate]) -> str:
    """Estimates as text.

    Examples
    --------
    >>> found = Estimate("rotation", 20.0, 1.0, "degrees", "from least curl", "The rotation is 20 degrees (+- 1).")
    >>> from_text(to_text([found])) == (found,)
    True
    """
    return json.dumps([_plain(one) for one in estimates])


def from_text(text: str) -> tuple[Estimate, ...]:
    """What :func:`to_text` wrote; nothing of an empty text, as files of older versions have.

    Raises
    ------
    FileFormatError
        When it is something else.
    """
    try:
        return tuple(_estimate(one) for one in json.loads(text or "[]"))
    except (ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"the estimates of the start are told in a way that is not understood: {error!r}."
        ) from error


def _plain(one: Estimate) -> dict[str, Any]:
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    value, told = fields["value"], fields["told"]
    value = [plain_number(v) for v in value] if isinstance(value, (tuple, list)) else plain_number(value)
    return {
        **fields,
        "value": value,
        "uncertainty": plain_number(fields["uncertainty"]),
        "told": None if told is None else _plain(told),
    }


def _estimate(fields: dict[str, Any]) -> Estimate:
    value, told = fields.get("value"), fields.get("told")
    known = {**fields, "value": tuple(value) if isinstance(value, list) else value}
    return Estimate(**{**known, "told": None if told is None else _estimate(told)})


__all__ = ["from_text", "to_text"]
