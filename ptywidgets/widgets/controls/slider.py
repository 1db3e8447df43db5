"""A slider with a number field beside it, linear or logarithmic."""

from __future__ import annotations

import math
from typing import Any, get_args

import traitlets
from ipywidgets import FloatLogSlider, FloatSlider, HBox, IntSlider

from ptywidgets.engine.core.params import Parameter
from ptywidgets.widgets.controls.fields import ROW, NumberField, checkbox
from ptywidgets.widgets.controls.quiet import Quiet


def kinds(parameter: Parameter) -> tuple[Any, ...]:
    """Types that a value of the parameter may have."""
    return get_args(parameter.type) or (parameter.type,)


class Slider(HBox):
    """A slider with a number field beside it, and an "auto" box where None is allowed."""

    value = traitlets.Any(allow_none=True)
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = None, label: str | None = None) -> None:
        self.parameter = parameter
        self.number = NumberField(parameter, value, label)
        self.slider = _slider(parameter, value)
        self.auto = checkbox("auto", value is None, "Determine it automatically.") if parameter.optional else None
        self._last = value if value is not None else self.slider.value
        name, box, *unit = self.number.children
        parts = [name, self.slider, box, *unit, *([self.auto] if self.auto else [])]
        super().__init__(parts, layout=ROW)
        self._following = Quiet()
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

    def set_flex(self, flex: str, least: str) -> None:
        """Let the slider grow with its row, and shrink to `least`."""
        layout = self.slider.layout
        layout.width, layout.flex, layout.min_width = "auto", flex, least

    def _slid(self, change: Any) -> None:
        if self.value is not None and is_rounding(self.slider, change["new"], self.value):
            return
        types = kinds(self.parameter)
        self._take(int(change["new"]) if int in types and float not in types else float(f"{change['new']:.6g}"))

    def _take(self, value: Any) -> None:
        if not self._following:
            self.value = value

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        if not hasattr(self, "_following"):
            return
        with self._following:
            if self.value is not None:
                self._last = self.value
                self.slider.value = min(max(_on(self.slider, self.value), _low(self.slider)), _high(self.slider))
            self.number.value = self.value
            if self.auto:
                self.auto.value = self.value is None
                self.disabled = self.value is None


def _slider(parameter: Parameter, value: Any) -> Any:
    low, high = parameter.low, parameter.high
    assert low is not None and high is not None
    types = kinds(parameter)
    start = low if value is None else value
    style: dict[str, Any] = {"readout": False, "layout": {"width": "150px", "min_width": "80px"}}
    if int in types and float not in types and not parameter.log:
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
