"""The few aberrations that matter most on sliders, the others in an accordion, polar or Cartesian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import Accordion, ToggleButtons, VBox

from ptywidgets.engine.optics.aberrations import SYMBOLS, Aberrations
from ptywidgets.widgets.controls.aberration_controls import FORMS, AberrationControls
from ptywidgets.widgets.controls.fields import AUTO_WIDTH, note, tip


class AberrationPanel(VBox):
    """Aberrations to the fifth order.

    Parameters
    ----------
    on_change : callable
        Called with the new Aberrations when the user changes a coefficient.
    on_error : callable
        Called with the message for an entry that is no number.
    common : sequence of str
        What is always in sight.

    Examples
    --------
    >>> changes = []
    >>> panel = AberrationPanel(changes.append, print)
    >>> panel.show(Aberrations(defocus=500))
    >>> panel.dials["defocus"].value = 480
    >>> changes
    [Aberrations(C10=-480)]
    """

    def __init__(
        self,
        on_change: Callable[[Aberrations], Any],
        on_error: Callable[[str], Any],
        common: Sequence[str] = ("C10", "C12", "C21"),
    ) -> None:
        self._on_change, self._on_error, self._common = on_change, on_error, tuple(common)
        self._shown = Aberrations(defocus=None)
        self.form = ToggleButtons(options=FORMS, **AUTO_WIDTH, **tip("Form of the aberrations"))
        self.common = AberrationControls(self._common, self._changed, on_error)
        self.rest: AberrationControls | None = None
        self._place = VBox([note("…")], layout={"width": "100%"})
        self.accordion = Accordion([self._place], selected_index=None)
        self.accordion.set_title(0, "Further aberrations")
        super().__init__([self.form, self.common, self.accordion], layout={"width": "100%"})
        self.add_class("pty-panel")
        self.form.observe(lambda change: self._choose_form(change["new"]), "value")
        self.accordion.observe(lambda change: self._open(change["new"]), "selected_index")

    @property
    def dials(self) -> dict[str, Any]:
        """The dials by name: "defocus", "C12", "phi12" ...; the further ones once they are unfolded."""
        return {**self.common.dials, **(self.rest.dials if self.rest else {})}

    def show(self, aberrations: Aberrations) -> None:
        """Show these; nothing is called back."""
        self._shown = aberrations
        for controls in filter(None, (self.common, self.rest)):
            controls.show(aberrations)

    def _changed(self, values: dict[str, float | None]) -> None:
        self._shown = self._shown.replace(**values)
        self._on_change(self._shown)

    def _choose_form(self, form: str) -> None:
        for controls in filter(None, (self.common, self.rest)):
            controls.form = form

    def _open(self, index: int | None) -> None:
        if index is not None and self.rest is None:
            further = [symbol for symbol in SYMBOLS if symbol not in self._common]
            self.rest = AberrationControls(further, self._changed, self._on_error, self.form.value)
            self.rest.show(self._shown)
            self._place.children = [self.rest]


__all__ = ["AberrationPanel"]
