"""Words, buttons and boxes of which the composite widgets are put together; whatever text they get is shown as text."""

from __future__ import annotations

import html
import re
from typing import Any

import ipywidgets
from ipywidgets import HTML, Box, Button, Checkbox, Dropdown, VBox

AUTO_WIDTH: dict[str, Any] = {"style": {"button_width": "auto"}, "layout": {"width": "auto"}}  # of ToggleButtons
UNITS = {"A": "Å", "1/A": "Å⁻¹", "A2": "Å²", "A^2": "Å²", "e/A^2": "e⁻/Å²", "degrees": "°", "px": "px"}
# Signs of the engine's plain text, each where it cannot be part of a path
_PRINTED = {"+-": "±", "e/A^2": "e⁻/Å²", "1/A": "Å⁻¹", "A": "Å"}
_SIGNS = re.compile(
    r"\+-(?= ?\d)|(?<=\d )(?:e/A\^2|1/A|A)(?![\w/\\-]|\.\w)|(?<=\bin )A(?![\w/\\-]|\.\w)|(?<=\()(?:1/A|A)(?=\))"
)
_TOOLTIP = "description_tooltip" if int(ipywidgets.__version__.split(".")[0]) < 8 else "tooltip"


def words(text: str, *classes: str, tooltip: str = "", tag: str = "span") -> HTML:
    """A piece of text, shown as it is whatever it holds."""
    title = f' title="{html.escape(tooltip)}"' if tooltip else ""
    widget = HTML(f"<{tag}{title}>{html.escape(text)}</{tag}>", layout={"margin": "0", "width": "auto"})
    for name in classes:
        widget.add_class(name)
    return widget


def heading(text: str) -> HTML:
    """The title of a widget or a panel."""
    return words(text, "pty-title")


def note(text: str = "") -> HTML:
    """A small line in a muted colour; change it by :func:`set_words`."""
    return words(text, "pty-note")


def set_words(widget: HTML, text: str, tooltip: str = "", tag: str = "span") -> None:
    """Change what :func:`words` or :func:`note` made."""
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
    """A button as wide as its words; style is "", primary, success, info, warning or danger."""
    return Button(description=text, button_style=style, icon=icon, tooltip=tooltip, layout={"width": "auto"})


def dropdown(label: str, options: Any, value: Any, tooltip: str = "", width: str = "auto") -> Dropdown:
    """A choice among `options` (values, or pairs of text and value)."""
    style = {"description_width": "initial"}
    return Dropdown(
        options=options, value=value, description=label, style=style, layout={"width": width}, **tip(tooltip)
    )


def checkbox(label: str, value: bool = False, tooltip: str = "") -> Checkbox:
    """A box to tick, as wide as its words."""
    style = {"description_width": "initial"}
    return Checkbox(value, description=label, indent=False, style=style, layout={"width": "auto"}, **tip(tooltip))


def tip(text: str) -> dict[str, str]:
    """The keyword of a tooltip, which changed its name in ipywidgets 8."""
    return {_TOOLTIP: text} if text else {}


def unit_text(unit: str) -> str:
    """A unit as it is shown: ``1/A`` is Å⁻¹."""
    return UNITS.get(unit, unit)


def typeset(text: str) -> str:
    """A sentence of the engine with the signs of print: ± for +-, Å for A where it is a unit; not within a path.

    Examples
    --------
    >>> typeset("defocus (A): 338 A (+- 4), dose 2e+03 e/A^2, pixel 0.02 1/A; the step is in A.")
    'defocus (Å): 338 Å (± 4), dose 2e+03 e⁻/Å², pixel 0.02 Å⁻¹; the step is in Å.'
    >>> typeset("/data/series 3 A/run 1 A.h5")
    '/data/series 3 A/run 1 A.h5'
    """
    return _SIGNS.sub(lambda found: _PRINTED[found[0]], text)


def _classed(widget: Any, name: str) -> Any:
    widget.add_class(name)
    return widget
