"""A box for one number, checked against the range of its parameter."""

from __future__ import annotations

import re
from typing import Any

import traitlets
from ipywidgets import Text

from ptywidgets.engine.errors import PtyError
from ptywidgets.engine.params import Parameter
from ptywidgets.widgets.boxes import unit_text, words
from ptywidgets.widgets.one_box import OneBox

_PARTS = re.compile(r"\s*[x×;]\s*|,\s+|\s+")  # between two numbers; a comma within one is its decimal point


def number_text(value: Any) -> str:
    """A number in at most six digits; nothing for None.

    Examples
    --------
    >>> number_text(0.025), number_text(None), number_text(80000.0)
    ('0.025', '', '80000')
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " x ".join(map(number_text, value))
    if isinstance(value, float) and value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.5g}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def whole(value: float) -> str:
    """A count to three digits, in thousands where that is readable.

    Examples
    --------
    >>> whole(400018.3), whole(12.345), whole(3.2e9)
    ('400 000', '12.3', '3.2e+09')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}".replace(",", " ") if 1e3 <= abs(rounded) < 1e8 else f"{rounded:g}"


class Number(OneBox):
    """A labelled box for one number, checked when Enter is pressed or the box is left.

    Parameters
    ----------
    parameter : Parameter
        Its unit, range and sentence become label, check and tooltip.
    value : float, int or None
    label : str, optional
        Instead of the name.
    pair : bool
        Whether two numbers may be given, such as ``4.0 x 3.2``, for rows and columns; `value` is a tuple then.

    Notes
    -----
    `value` (observe it) only ever holds a checked value; what was wrong with the last entry is in `error`, which
    :meth:`~ptywidgets.widgets.base.Panel` shows by ``panel.hear(control, lambda e: panel.say(e, "bad"), "error")``.
    """

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(
        self, parameter: Parameter, value: Any = None, label: str | None = None, width: str = "72px", pair: bool = False
    ) -> None:
        self.parameter, self.pair = parameter, pair
        self._shown = ""
        self.box = Text(value="", continuous_update=False, layout={"width": width})
        unit = unit_text(parameter.unit)
        parts: list[Any] = [words(label or parameter.name.replace("_", " "), tooltip=parameter.doc), self.box]
        if unit:
            parts.append(words(unit, "pty-note"))
        super().__init__(parts, layout={"align_items": "center", "grid_gap": "4px", "width": "auto", "margin": "0"})
        self.value = value
        self.show()
        self.box.observe(self._typed, "value")

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        self.show()

    def show(self) -> None:
        """Show the value as it is, in place of an entry that could not be taken."""
        self._shown = number_text(self.value)
        self.box.value = self._shown
        self.box.remove_class("pty-bad")
        self.error = ""

    def _typed(self, change: Any) -> None:
        typed = str(change["new"]).strip()
        parts = _PARTS.split(typed) if self.pair else [typed]
        numbers = [part.replace(",", ".").replace("−", "-") for part in parts]
        text = " x ".join(numbers)
        if text == self._shown:
            return
        try:
            if len(numbers) == 2 and all(numbers):  # one that is missing is refused below, with all of the entry
                value = tuple(map(self.parameter.typed, numbers))
            else:
                value = self.parameter.typed(text)
        except PtyError as error:
            self.box.add_class("pty-bad")
            self.error = ""  # so that the same mistake is told again
            self.error = str(error)
            return
        self.value = value
        self.show()


def number(
    name: str,
    value: float | None = None,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    doc: str = "",
    label: str | None = None,
    optional: bool = False,
    width: str = "72px",
    pair: bool = False,
) -> Number:
    """A number box of a parameter that is described right here."""
    kind: Any = float | None if optional else float
    parameter = Parameter(name, 0.0, unit=unit, low=low, high=high, doc=doc, type=kind)
    return Number(parameter, value, label, width, pair)
