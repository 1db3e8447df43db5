"""Controls made from what a parameter says of itself: label with unit, tooltip, range, and words for a bad entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import traitlets
from ipywidgets import FloatLogSlider, FloatSlider, HBox, IntSlider, VBox

from ptywidgets.engine.params import Parameter, Params
from ptywidgets.widgets.boxes import (
    button,
    checkbox,
    dropdown,
    heading,
    note,
    panel,
    panels,
    set_words,
    tip,
    toolbar,
    unit_text,
    words,
)
from ptywidgets.widgets.number_box import Number, number, number_text


def control(parameter: Parameter, value: Any, label: str | None = None) -> Any:
    """The control that fits a parameter; every kind has `value`, `error` and `disabled`."""
    if parameter.choices is not None or parameter.type is bool:
        return Choice(parameter, value, label)
    if parameter.low is not None and parameter.high is not None and bool not in _kinds(parameter):
        return Slider(parameter, value, label)
    if parameter.optional and bool in _kinds(parameter):
        return Choice(parameter, value, label)
    return Number(parameter, value, label)


def _kinds(parameter: Parameter) -> tuple[Any, ...]:
    return get_args(parameter.type) or (parameter.type,)


class Choice(HBox):
    """A dropdown of the choices, or a box to tick; None reads "auto"."""

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = None, label: str | None = None) -> None:
        self.parameter = parameter
        text = label or parameter.name.replace("_", " ")
        if parameter.type is bool:
            self.box: Any = checkbox(text, bool(value), parameter.doc)
        else:
            choices = parameter.choices if parameter.choices is not None else (False, True)
            named = [({False: "no", True: "yes"}.get(c, str(c)) if isinstance(c, bool) else str(c), c) for c in choices]
            if parameter.optional:
                named.insert(0, ("auto", None))
            self.box = dropdown(text, named, value, parameter.doc)
        super().__init__([self.box], layout={"width": "auto", "margin": "0"})
        self.value = value
        self.box.observe(lambda change: self.set_trait("value", change["new"]), "value")

    @property
    def disabled(self) -> bool:
        """Whether it cannot be changed."""
        return self.box.disabled

    @disabled.setter
    def disabled(self, value: bool) -> None:
        self.box.disabled = value

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        self.box.value = self.value


class Slider(HBox):
    """A slider with a number box beside it, and an "auto" box where None is allowed."""

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = None, label: str | None = None) -> None:
        self.parameter = parameter
        self.number = Number(parameter, value, label)
        self.slider = _slider(parameter, value)
        self.auto = checkbox("auto", value is None, "Let it be found.") if parameter.optional else None
        self._last = value if value is not None else self.slider.value
        name, box, *unit = self.number.children
        parts = [name, self.slider, box, *unit, *([self.auto] if self.auto else [])]
        super().__init__(parts, layout={"align_items": "center", "grid_gap": "4px", "width": "auto", "margin": "0"})
        self._following = False
        self.value = value
        self.slider.observe(self._slid, "value")
        self.number.observe(lambda change: self._take(change["new"]), "value")
        self.number.observe(lambda change: self.set_trait("error", change["new"]), "error")
        if self.auto:
            self.auto.observe(lambda change: self._take(None if change["new"] else self._last), "value")
        self._follow(None)

    @property
    def disabled(self) -> bool:
        """Whether it cannot be changed."""
        return self.slider.disabled

    @disabled.setter
    def disabled(self, value: bool) -> None:
        self.slider.disabled = self.number.disabled = value

    def _slid(self, change: Any) -> None:
        if self.value is not None and is_rounding(self.slider, change["new"], self.value):
            return
        kinds = _kinds(self.parameter)
        self._take(int(change["new"]) if int in kinds and float not in kinds else float(f"{change['new']:.6g}"))

    def _take(self, value: Any) -> None:
        if not self._following:
            self.value = value

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        if not hasattr(self, "_following"):
            return
        self._following = True
        try:
            if self.value is not None:
                self._last = self.value
                self.slider.value = min(max(_on(self.slider, self.value), _low(self.slider)), _high(self.slider))
            self.number.value = self.value
            if self.auto:
                self.auto.value = self.value is None
                self.disabled = self.value is None
        finally:
            self._following = False


def _slider(parameter: Parameter, value: Any) -> Any:
    low, high = parameter.low, parameter.high
    assert low is not None and high is not None
    kinds = _kinds(parameter)
    start = low if value is None else value
    style: dict[str, Any] = {"readout": False, "layout": {"width": "150px", "min_width": "80px"}}
    if int in kinds and float not in kinds and not parameter.log:
        return IntSlider(start, low, high, int(parameter.step or 1), **style)
    if parameter.log:
        least = low if low > 0 else high * 1e-6
        ends = {"min": math.log10(least), "max": math.log10(high), "step": 0.01}
        return FloatLogSlider(value=min(max(start, least), high), base=10, **ends, **style)
    return FloatSlider(start, min=low, max=high, step=parameter.step or (high - low) / 200, **style)


def _on(slider: Any, value: float) -> float:
    return max(float(value), _low(slider)) if isinstance(slider, FloatLogSlider) else value


def is_rounding(slider: Any, shown: float, value: float) -> bool:
    """Whether a slider at `shown` has only rounded `value`: browsers do that when they draw one, and nobody moved it.

    Examples
    --------
    >>> slider = FloatSlider(0.5, min=0.001, max=2, step=0.01)
    >>> is_rounding(slider, 0.501, 0.5), is_rounding(slider, 0.511, 0.5)
    (True, False)
    """
    if isinstance(slider, IntSlider):
        return False
    meant = min(max(_on(slider, value), _low(slider)), _high(slider))
    if isinstance(slider, FloatLogSlider):
        shown, meant = math.log10(shown), math.log10(meant)
    return abs(shown - meant) < 0.51 * slider.step


def _low(slider: Any) -> float:
    return 10**slider.min if isinstance(slider, FloatLogSlider) else slider.min


def _high(slider: Any) -> float:
    return 10**slider.max if isinstance(slider, FloatLogSlider) else slider.max


class Controls(VBox):
    """Controls for the parameters of a :class:`~ptywidgets.engine.params.Params` description.

    Parameters
    ----------
    description : Params
        Whose values they show; `names` of its parameters, or all.
    on_change : callable, optional
        Called with (name, value) when the user changes one.
    on_error : callable, optional
        Called with the words for an entry that cannot be.
    labels : mapping, optional
        Shorter words than the names.

    Examples
    --------
    >>> from ptywidgets.engine.plan import Plan
    >>> controls = Controls(Plan(), names=["iterations"])
    >>> controls["iterations"].value
    64
    """

    def __init__(
        self,
        description: Params,
        names: Iterable[str] | None = None,
        on_change: Callable[[str, Any], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        known = {parameter.name: parameter for parameter in description.describe()}
        self._on_change, self._on_error, self._quiet = on_change, on_error, False
        self.controls = {
            name: control(known[name], getattr(description, name), (labels or {}).get(name))
            for name in (known if names is None else names)
        }
        super().__init__(list(self.controls.values()))
        self.add_class("pty-panel")
        for name, item in self.controls.items():
            item.observe(lambda change, name=name: self._changed(name, change["new"]), "value")
            item.observe(lambda change: self._wrong(change["new"]), "error")

    def __getitem__(self, name: str) -> Any:
        return self.controls[name]

    def show(self, description: Params) -> None:
        """Show the values of another description; `on_change` is not called."""
        self._quiet = True
        try:
            for name, item in self.controls.items():
                item.value = getattr(description, name)
        finally:
            self._quiet = False

    def disable(self, value: bool = True) -> None:
        """Whether nothing can be changed."""
        for item in self.controls.values():
            item.disabled = value

    def _changed(self, name: str, value: Any) -> None:
        if self._on_change is not None and not self._quiet:
            self._on_change(name, value)

    def _wrong(self, text: str) -> None:
        if self._on_error is not None and text:
            self._on_error(text)


__all__ = [
    "Choice",
    "Controls",
    "Number",
    "Slider",
    "button",
    "checkbox",
    "control",
    "dropdown",
    "heading",
    "note",
    "number",
    "number_text",
    "panel",
    "panels",
    "set_words",
    "tip",
    "toolbar",
    "unit_text",
    "words",
]
