"""StartPanel: the whole start found by one click, every estimate with its reason and a way to change it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import traitlets
from ipywidgets import Accordion, Box, VBox

from ptywidgets.engine.calibrate import CalibrationResult, Estimate
from ptywidgets.engine.calibrate.chosen import percent
from ptywidgets.engine.core.stopping import WorkStopped
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, heading, note, panel, set_text, show_stop, text_label, toolbar
from ptywidgets.widgets.controls.formatting import quantity_text, typeset
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.panel.closing import replace_children
from ptywidgets.widgets.panel.places import ESTIMATES
from ptywidgets.widgets.start.start_alternatives import StartAlternatives

FIND = ("Find again", "Estimate the start from the data alone", "", "magic")


class StartPanel(Panel):
    """Show what :meth:`Reconstruction.calibrate` has estimated; while it is at work, its button stops it.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
    on_open : callable, optional
        Called with the name of a widget ("RotationExplorer") when the user wants to change what it shows; without one
        there are no such buttons.
    """

    searching = traitlets.Bool(False, help="Whether the start is being looked for.")

    def __init__(
        self,
        source: Reconstruction | Dataset | str | os.PathLike[str] | None = None,
        on_open: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__(source)
        self._on_open = on_open
        self.find_button = button(*FIND)
        self.facts = note()
        self.title = heading("Start")
        self.rows = VBox(layout={"width": "100%"})
        self.rows.add_class("pty-rows")
        self.alternatives: StartAlternatives | None = None  # made when it is unfolded
        self.accordion = Accordion([VBox([note("…")])], selected_index=None)
        self.children = [
            toolbar(self.title, self.find_button, self.facts),
            self.status_line,
            self.rows,
            panel(self.accordion),
        ]
        self.on_click(self.find_button, self.find_or_stop)
        self.observe_reconstruction(self._show, "estimates")
        self.observe_reconstruction(self._show_accordion, "start_alternatives")
        self.on_change(self.accordion, lambda _index: self._open_alternatives(), "selected_index")
        self.safe_callback(self._show)()
        self.safe_callback(self._show_accordion)()

    def find(self) -> None:
        """Find the start, and show what was estimated; on a thread, as it takes seconds and can be stopped."""
        if self.searching:
            return
        self._show_searching(True)
        self.run_with_data(self._search, self._found, "Estimating the start ...", 0)

    def find_or_stop(self) -> None:
        """Find the start; where it is being looked for already, stop that."""
        if self.searching:
            self.recon.request_stop()
        else:
            self.find()

    def _search(self) -> CalibrationResult | None:
        try:
            return self.recon.calibrate()
        except WorkStopped:
            return None
        finally:
            self.safe_callback(self._show_searching)(False)

    def _show_searching(self, searching: bool) -> None:
        self.searching = searching
        show_stop(self.find_button, searching, FIND)

    def _found(self, start: CalibrationResult | None) -> None:
        if start is None:
            self.set_status(self.recon.message)
            return
        self.set_status("")
        set_text(self.facts, f"found in {start.seconds:.1f} s")

    @property
    def openers(self) -> list[Any]:
        """The buttons that open a widget."""
        return [row.children[0] for row in self.rows.children if hasattr(row.children[0], "on_click")]

    def _show(self) -> None:
        replace_children(self.rows, [self._row(one) for one in self.recon.estimates])

    def _show_accordion(self) -> None:
        """Say how many alternatives there are, where there are any."""
        alternatives = self.recon.start_alternatives
        self.accordion.layout.display = "" if alternatives else "none"
        if alternatives:
            share = percent(alternatives[0].probability)
            self.accordion.set_title(0, f"Alternatives: {len(alternatives)}, the best of them {share} probable")

    def _open_alternatives(self) -> None:
        if self.accordion.selected_index is not None and self.alternatives is None:
            self.alternatives = StartAlternatives(self.recon)
            self.alternatives.remove_class("pty-widget")  # the frame is that of this panel
            self.alternatives.title.layout.display = "none"  # the accordion shows it
            replace_children(self.accordion.children[0], [self.alternatives])

    def _row(self, estimate: Estimate) -> Box:
        value = quantity_text(estimate.value, estimate.uncertainty, estimate.unit)
        name: Any
        widget = ESTIMATES.get(estimate.name)
        if self._on_open is not None and widget is not None:
            name = button(estimate.name, f"View and change it in {widget}", "", "pencil")
            name.add_class("pty-link")
            self.on_click(name, partial(self._on_open, widget))
        else:
            name = text_label(estimate.name, "pty-name")
        number = text_label(value, "pty-value")
        sentence = text_label(typeset(f"{estimate.sentence} ({estimate.source})"), "pty-note")
        row = Box([name, number, sentence])
        row.add_class("pty-row")
        return row

    def _describe(self) -> str:
        return f"{len(self.recon.estimates)} estimates"


__all__ = ["StartPanel"]
