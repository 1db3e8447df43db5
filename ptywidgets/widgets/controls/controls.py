"""Controls made from what a parameter says of itself: label with unit, tooltip, range, and an error text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.core.params import Parameter, Params
from ptywidgets.widgets.controls.fields import ChoiceField, NumberField, TextField
from ptywidgets.widgets.controls.quiet import Quiet
from ptywidgets.widgets.controls.slider import Slider, kinds


def control(parameter: Parameter, value: Any, label: str | None = None) -> Any:
    """The control that fits a parameter; every kind has `value`, `error` and `disabled`."""
    if parameter.choices is not None or parameter.type is bool:
        return ChoiceField(parameter, value, label)
    if parameter.type is str:
        return TextField(parameter, value, label)
    if parameter.low is not None and parameter.high is not None and bool not in kinds(parameter):
        return Slider(parameter, value, label)
    if parameter.optional and bool in kinds(parameter):
        return ChoiceField(parameter, value, label)
    return NumberField(parameter, value, label)


class Controls(VBox):
    """Controls for the parameters of a :class:`~ptywidgets.engine.core.params.Params` description.

    Parameters
    ----------
    description : Params
        Whose values they show.
    on_change : callable, optional
        Called with (name, value) when the user changes one.
    on_error : callable, optional
        Called with the message for an entry that cannot be.
    labels : mapping, optional
        Shorter words than the names.

    Examples
    --------
    >>> from ptywidgets.engine.solve.plan import Plan
    >>> controls = Controls(Plan())
    >>> controls["iterations"].value
    64
    """

    def __init__(
        self,
        description: Params,
        on_change: Callable[[str, Any], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        known = {parameter.name: parameter for parameter in description.describe()}
        self._on_change, self._on_error, self._quiet = on_change, on_error, Quiet()
        self.controls = {
            name: control(parameter, getattr(description, name), (labels or {}).get(name))
            for name, parameter in known.items()
        }
        super().__init__(list(self.controls.values()))
        self.add_class("pty-panel")
        for name, item in self.controls.items():
            item.observe(lambda change, name=name: self._changed(name, change["new"]), "value")
            item.observe(lambda change: self._invalid(change["new"]), "error")

    def __getitem__(self, name: str) -> Any:
        return self.controls[name]

    def show(self, description: Params) -> None:
        """Show the values of another description; `on_change` is not called."""
        with self._quiet:
            for name, item in self.controls.items():
                item.value = getattr(description, name)

    def disable(self, value: bool = True) -> None:
        """Whether nothing can be changed."""
        for item in self.controls.values():
            item.disabled = value

    def _changed(self, name: str, value: Any) -> None:
        if self._on_change is not None and not self._quiet:
            self._on_change(name, value)

    def _invalid(self, text: str) -> None:
        if self._on_error is not None and text:
            self._on_error(text)


__all__ = ["Controls", "control"]
