"""Sliders and number fields for the aberrations of a lens, polar or Cartesian, in the units a microscopist uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import traitlets
from ipywidgets import GridBox, IntSlider

from ptywidgets.engine.core.params import Parameter
from ptywidgets.engine.optics.aberrations import NAMES, SYMBOLS, Aberrations
from ptywidgets.widgets.controls.fields import NumberField
from ptywidgets.widgets.controls.quiet import Quiet
from ptywidgets.widgets.panel.closing import replace_children

COMMON = ("C10", "C12", "C21", "C30", "C23")
FORMS = ("polar", "Cartesian")
# Radial order: unit, A in it, and where the slider ends: about one wave at 20 mrad and 80 kV; the box takes any number.
_ORDERS = {
    1: ("A", 1.0, 500.0),
    2: ("nm", 10.0, 2000.0),
    3: ("µm", 1e4, 200.0),
    4: ("µm", 1e4, 5000.0),
    5: ("mm", 1e7, 500.0),
}
DEFOCUS_END = 2000.0  # A
_SHORT = {"C12": "astigm.", "C21": "coma", "C23": "trefoil", "C30": "spher."}


class Dial(GridBox):
    """A slider with a number field that may go beyond it.

    Parameters
    ----------
    name : str
        Label, plain text.
    low, high, step : float
        Ends and step of the slider. It counts whole steps: browsers round all else, and tell it as a change.
    unit, doc : str
    optional : bool
        Whether the value may be unknown, None: the box is empty then.

    Examples
    --------
    >>> dial = Dial("defocus", -2000, 2000, 1, unit="A")
    >>> dial.value = 3000
    >>> dial.slider.value, dial.number.input.value
    (2000, '3000')
    """

    value = traitlets.Float(0.0, allow_none=True)
    error = traitlets.Unicode("")

    def __init__(
        self, name: str, low: float, high: float, step: float, unit: str = "", doc: str = "", optional: bool = False
    ) -> None:
        kind: Any = float | None if optional else float
        self.number = NumberField(Parameter(name, 0.0, unit=unit, doc=doc, type=kind), 0.0, label=name, width="100%")
        self.number.input.placeholder = "not set" if optional else ""
        plain = {"width": "auto", "margin": "0"}
        self.step = step
        ends = {"min": round(low / step), "max": round(high / step), "step": 1}
        self.slider = IntSlider(0, **ends, readout=False, layout=plain)
        self._following = Quiet()
        label, box, *rest = self.number.children
        columns = "88px minmax(40px, 1fr) 72px 28px"
        layout = {"grid_template_columns": columns, "grid_gap": "0 5px", "align_items": "center", "width": "100%"}
        super().__init__([label, self.slider, box, *rest], layout=layout)
        self.slider.observe(self._slid, "value")
        self.number.observe(lambda change: self._take(change["new"] if optional else change["new"] or 0.0), "value")
        self.number.observe(lambda change: self.set_trait("error", change["new"]), "error")

    def _slid(self, change: Any) -> None:
        self._take(float(f"{change['new'] * self.step:.6g}"))

    def _take(self, value: float | None) -> None:
        if not self._following:
            self.value = value

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        with self._following:
            self.number.value = self.value
            self.slider.value = round(min(max((self.value or 0.0) / self.step, self.slider.min), self.slider.max))


class AberrationControls(GridBox):
    """One line for each coefficient of some aberrations, in as many columns as there is room for.

    Parameters
    ----------
    symbols : iterable of str
        Which: "C10" is shown as defocus.
    on_change : callable
        Called with ``{"C12": 20.0}`` (A, rad) when the user changes a coefficient.
    on_error : callable
        Called with the message for an entry that is no number.
    form : {"polar", "Cartesian"}

    Examples
    --------
    >>> changes = []
    >>> controls = AberrationControls(["C10", "C12"], changes.append, print)
    >>> controls.show(Aberrations(defocus=500, C12a=3, C12b=4))
    >>> controls.dials["defocus"].value, controls.dials["C12"].value
    (500.0, 5.0)
    >>> controls.dials["C12"].value = 7
    >>> changes
    [{'C12': 7.0}]
    """

    def __init__(
        self,
        symbols: Iterable[str],
        on_change: Callable[[dict[str, float | None]], Any],
        on_error: Callable[[str], Any],
        form: str = "polar",
    ) -> None:
        self.symbols = tuple(symbols)
        self._on_change, self._on_error = on_change, on_error
        self._quiet = Quiet()
        self._shown = Aberrations()
        columns = "repeat(auto-fit, minmax(min(240px, 100%), 1fr))"
        super().__init__(layout={"width": "100%", "grid_template_columns": columns, "grid_gap": "0 18px"})
        self._build(form)

    @property
    def form(self) -> str:
        """Polar or Cartesian; assign to change it."""
        return self._form

    @form.setter
    def form(self, form: str) -> None:
        if form != self._form:
            self._build(form)
            self.show(self._shown)

    def show(self, aberrations: Aberrations) -> None:
        """Show these; nothing is called back."""
        self._shown = aberrations
        values: dict[str, float | None] = dict(aberrations.polar if self._form == "polar" else aberrations.cartesian)
        values["defocus"] = aberrations["defocus"] if aberrations.known else None
        with self._quiet:
            for name, dial in self.dials.items():
                value, before = values[name], dial.value
                new = None if value is None else value / self._scales[name]
                if new is None or before is None or not math.isclose(new, before, rel_tol=1e-9, abs_tol=1e-12):
                    dial.value = new

    def _build(self, form: str) -> None:
        self._form = form
        self.dials: dict[str, Dial] = {}
        self._scales: dict[str, float] = {}
        for symbol in self.symbols:
            for name, dial, scale in _dials_of(symbol, form):
                self.dials[name], self._scales[name] = dial, scale
                dial.observe(lambda change, name=name: self._changed(name, change["new"]), "value")
                dial.observe(lambda change: change["new"] and self._on_error(change["new"]), "error")
        replace_children(self, self.dials.values())

    def _changed(self, name: str, value: float | None) -> None:
        if not self._quiet:
            self._on_change({name: None if value is None else value * self._scales[name]})


def _dials_of(symbol: str, form: str) -> list[tuple[str, Dial, float]]:
    """Name of the coefficient, its dial, and A (or rad) per shown unit."""
    if symbol == "C10":
        doc = "Positive defocus puts the crossover behind the specimen; C10 = -defocus. Empty: unknown; 0: in focus."
        return [("defocus", Dial("defocus", -DEFOCUS_END, DEFOCUS_END, 1, "A", doc, optional=True), 1.0)]
    n, m = SYMBOLS[symbol]
    unit, scale, end = _ORDERS[n]
    doc = f"{NAMES[symbol]}: power {n + 1} of the angle, " + (f"{m}-fold" if m else "round")
    label = f"{_SHORT[symbol]} {symbol}" if symbol in _SHORT else symbol
    step = end / 200
    if not m:
        return [(symbol, Dial(label, -end, end, step, unit, doc), scale)]
    if form == "polar":
        turn = math.ceil(100 * math.pi / m) / 100  # whole steps of the slider
        angle = f"Direction of {symbol} in rad, from down towards right, detector frame."
        return [
            (symbol, Dial(label, 0, end, step, unit, doc), scale),
            (f"phi{symbol[1:]}", Dial(f"angle φ{symbol[1:]}", -turn, turn, 0.01, "rad", angle), 1.0),
        ]
    parts = {"a": "cos", "b": "sin"}
    return [
        (f"{symbol}{p}", Dial(f"{label}{p}", -end, end, step, unit, f"{doc}; times {trig}({m} φ{symbol[1:]})"), scale)
        for p, trig in parts.items()
    ]


__all__ = ["COMMON", "FORMS", "AberrationControls", "Dial"]
