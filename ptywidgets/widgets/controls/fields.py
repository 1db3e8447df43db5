"""Labels, buttons and entry fields of which the widgets are made; any text is shown as it is, never as HTML."""

from __future__ import annotations

import html
import re
from typing import Any

import ipywidgets
import traitlets
from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, HBox, Text, VBox

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.core.params import Parameter
from ptywidgets.widgets.controls.formatting import number_text, unit_text

AUTO_WIDTH: dict[str, Any] = {"style": {"button_width": "auto"}, "layout": {"width": "auto"}}  # of ToggleButtons
ROW: dict[str, Any] = {"align_items": "center", "grid_gap": "4px", "width": "auto", "margin": "0"}  # of label and input
_TOOLTIP = "description_tooltip" if int(ipywidgets.__version__.split(".")[0]) < 8 else "tooltip"
_PARTS = re.compile(r"\s*[x×;]\s*|,\s+|\s+")  # between two numbers; a comma within one is its decimal point


def text_label(text: str, *classes: str, tooltip: str = "", tag: str = "span") -> HTML:
    """A label; the text is escaped, not parsed as HTML."""
    title = f' title="{html.escape(tooltip)}"' if tooltip else ""
    widget = HTML(f"<{tag}{title}>{html.escape(text)}</{tag}>", layout={"margin": "0", "width": "auto"})
    for name in classes:
        widget.add_class(name)
    return widget


def heading(text: str) -> HTML:
    """The title of a widget or a panel."""
    return text_label(text, "pty-title")


def note(text: str = "") -> HTML:
    """A small line in a muted colour; change it by :func:`set_text`."""
    return text_label(text, "pty-note")


def set_text(widget: HTML, text: str, tooltip: str = "", tag: str = "span") -> None:
    """Change what :func:`text_label` or :func:`note` made."""
    title = f' title="{html.escape(tooltip)}"' if tooltip else ""
    widget.value = f"<{tag}{title}>{html.escape(text)}</{tag}>"


def toolbar(*children: ipywidgets.Widget) -> Box:
    """Controls in a row that wraps where the cell is narrow."""
    return _classed(Box(children), "pty-toolbar")


def panels(*children: ipywidgets.Widget) -> Box:
    """Panels beside each other, below each other where the cell is narrow."""
    return _classed(Box(children), "pty-panels")


def panel(*children: ipywidgets.Widget) -> VBox:
    """One column of things that belong together."""
    return _classed(VBox(children), "pty-panel")


def button(text: str, tooltip: str = "", style: str = "", icon: str = "") -> Button:
    """A button as wide as its label; style is "", primary, success, info, warning or danger."""
    return Button(description=text, button_style=style, icon=icon, tooltip=tooltip, layout={"width": "auto"})


def show_stop(control: Button, on: bool, otherwise: tuple[str, str, str, str]) -> None:
    """Let a button say that it stops a search while one is `on`, and `otherwise` what it begins, as of :func:`button`.

    Examples
    --------
    >>> find = ("Auto", "Estimate the start", "primary", "magic")
    >>> auto = button(*find)
    >>> show_stop(auto, True, find); auto.description
    'Stop search'
    >>> show_stop(auto, False, find); auto.description, auto.button_style
    ('Auto', 'primary')
    """
    stop = ("Stop search", "Stop the search; everything stays as it was", "danger", "stop")
    control.description, control.tooltip, control.button_style, control.icon = stop if on else otherwise


def dropdown(label: str, options: Any, value: Any, tooltip: str = "", width: str = "auto") -> Dropdown:
    """A choice among `options` (values, or pairs of text and value)."""
    style = {"description_width": "initial"}
    return Dropdown(
        options=options, value=value, description=label, style=style, layout={"width": width}, **tip(tooltip)
    )


def checkbox(label: str, value: bool = False, tooltip: str = "") -> Checkbox:
    """A checkbox as wide as its label."""
    style = {"description_width": "initial"}
    return Checkbox(value, description=label, indent=False, style=style, layout={"width": "auto"}, **tip(tooltip))


def tip(text: str) -> dict[str, str]:
    """The keyword of a tooltip, which changed its name in ipywidgets 8."""
    return {_TOOLTIP: text} if text else {}


def _classed(widget: Any, name: str) -> Any:
    widget.add_class(name)
    return widget


class Field(HBox):
    """A row with one input, which can be disabled."""

    input: Any

    @property
    def disabled(self) -> bool:
        """Whether nothing can be entered."""
        return bool(self.input.disabled)

    @disabled.setter
    def disabled(self, value: bool) -> None:
        self.input.disabled = value


class NumberField(Field):
    """A labelled field for one number, checked when Enter is pressed or the field loses focus.

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
    a panel shows by ``panel.on_change(field, panel.set_error, "error")``.
    """

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(
        self, parameter: Parameter, value: Any = None, label: str | None = None, width: str = "72px", pair: bool = False
    ) -> None:
        self.parameter, self.pair = parameter, pair
        self._shown = ""
        self.input = Text(value="", continuous_update=False, layout={"width": width})
        unit = unit_text(parameter.unit)
        parts: list[Any] = [text_label(label or parameter.name.replace("_", " "), tooltip=parameter.doc), self.input]
        if unit:
            parts.append(text_label(unit, "pty-note"))
        super().__init__(parts, layout=ROW)
        self.value = value
        self.show()
        self.input.observe(self._typed, "value")

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        self.show()

    def show(self) -> None:
        """Show the value as it is, in place of an entry that could not be taken."""
        self._shown = number_text(self.value)
        self.input.value = self._shown
        self.input.remove_class("pty-bad")
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
            self.input.add_class("pty-bad")
            self.error = ""  # so that the same mistake is reported again
            self.error = str(error)
            return
        self.value = value
        self.show()


def number_field(
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
) -> NumberField:
    """A number field of a parameter that is described by the arguments."""
    kind: Any = float | None if optional else float
    parameter = Parameter(name, 0.0, unit=unit, low=low, high=high, doc=doc, type=kind)
    return NumberField(parameter, value, label, width, pair)


class TextField(Field):
    """A labelled field for text, taken when Enter is pressed or the field loses focus.

    Examples
    --------
    >>> field = TextField(Parameter("diffuse", "", doc="Elements.", type=str), "Mo, S")
    >>> field.input.value = " Si "
    >>> field.value
    'Si'
    """

    value = traitlets.Unicode("")
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = "", label: str | None = None, width: str = "170px") -> None:
        self.parameter = parameter
        layout = {"width": width, "min_width": "60px"}
        self.input = Text(value or "", continuous_update=False, layout=layout, **tip(parameter.doc))
        name = text_label(label or parameter.name.replace("_", " "), tooltip=parameter.doc)
        super().__init__([name, self.input], layout=ROW)
        self.value = value or ""
        self.input.observe(lambda change: self.set_trait("value", change["new"].strip()), "value")

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        if self.input.value.strip() != self.value:
            self.input.value = self.value


class ChoiceField(Field):
    """A dropdown of the choices, or a checkbox; None reads "auto"."""

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = None, label: str | None = None) -> None:
        self.parameter = parameter
        text = label or parameter.name.replace("_", " ")
        if parameter.type is bool:
            self.input: Any = checkbox(text, bool(value), parameter.doc)
        else:
            choices = parameter.choices if parameter.choices is not None else (False, True)
            named = [({False: "no", True: "yes"}.get(c, str(c)) if isinstance(c, bool) else str(c), c) for c in choices]
            if parameter.optional:
                named.insert(0, ("auto", None))
            self.input = dropdown(text, named, value, parameter.doc)
        super().__init__([self.input], layout={"width": "auto", "margin": "0"})
        self.value = value
        self.input.observe(lambda change: self.set_trait("value", change["new"]), "value")

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        self.input.value = self.value


__all__ = [
    "AUTO_WIDTH",
    "ROW",
    "ChoiceField",
    "Field",
    "NumberField",
    "TextField",
    "button",
    "checkbox",
    "dropdown",
    "heading",
    "note",
    "number_field",
    "panel",
    "panels",
    "set_text",
    "show_stop",
    "text_label",
    "tip",
    "toolbar",
]
