"""StartAlternatives: what the start could be instead, as a map of the search and as a list to choose from."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ipywidgets import Box, VBox

from ptywidgets.engine.calibrate.alternatives import Alternative
from ptywidgets.engine.calibrate.chosen import percent
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, heading, note, panel, panels, set_text, text_label, toolbar
from ptywidgets.widgets.controls.formatting import degrees_text, quantity_text, typeset
from ptywidgets.widgets.image.image_view import style_sheet
from ptywidgets.widgets.panel.base import NO_DATA, Panel
from ptywidgets.widgets.panel.closing import replace_children
from ptywidgets.widgets.plots.landscape_plot import LandscapePlot, scale_of_colours

HEADS = ("", "rotation", "detector", "defocus", "misfit", "probability")
RINGS = "Click a ring, or a button of the list, to begin with that one; the double ring is in use."
LIST = "Press a button of the list to begin with that one."
BUSY = "A run is active: stop it first to begin with another of these."


class StartAlternatives(Panel):
    """All that the search for a start has tried, and the readings of the data among which it has chosen.

    The colour of a point is the misfit of a short reconstruction with its rotation and defocus; there is a panel for
    each transpose. Rings with numbers are the alternatives, the most probable first. A click on a ring, or on the
    button of the list, begins with that one: :meth:`Reconstruction.take_alternative`.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> StartAlternatives(samples.ducky("tiny"))
    StartAlternatives('ducky tiny'; no alternatives)
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.title = heading("Alternatives")
        self.facts = note()
        self.plots = [LandscapePlot(transpose, self.safe_callback(self.choose)) for transpose in (False, True)]
        self.colours = note()
        self.list = VBox(layout={"flex": "1 1 410px", "min_width": "0"})
        self.list.add_class("pty-choices")
        self.landscape_panel = panel(panels(*self.plots), self.colours)
        self.landscape_panel.layout.flex = "2 1 570px"
        self.children = [
            style_sheet(),
            toolbar(self.title, self.facts),
            self.status_line,
            panels(self.landscape_panel, self.list),
        ]
        self.observe_reconstruction(self._show, "start_alternatives", "start_landscape")
        self.observe_reconstruction(self._show_taken, "measurement", "optics", "status", "estimates")
        self.safe_callback(self._show)()

    @property
    def buttons(self) -> list[Any]:
        """The buttons of the list, in the order of the alternatives."""
        return [row.children[0] for row in self.list.children[1:]]

    @property
    def chosen(self) -> int | None:
        """Index of the alternative in use; None where it is none of them."""
        return self.recon.taken_alternative

    def choose(self, index: int) -> None:
        """Let the next run begin with an alternative, counted from 0."""
        self.run_with_data(lambda: self.recon.take_alternative(index), self._show_message, "Preparing the data ...")

    def _show_message(self, _nothing: None) -> None:
        self.set_status(typeset(self.recon.message), "good")

    def _show(self) -> None:
        recon = self.recon
        alternatives, landscape = recon.start_alternatives, recon.start_landscape
        heads = _row([text_label(head) for head in HEADS], "pty-heads")
        replace_children(self.list, [heads, *(self._choice(*one) for one in enumerate(alternatives))])
        self.list.layout.display = "" if alternatives else "none"
        seen = landscape.thinned() if landscape is not None and alternatives else None
        for plot in self.plots:
            drawn = 0 if seen is None else int((seen.transpose == plot.transpose).sum())
            plot.layout.display = "" if drawn else "none"
            if drawn and landscape is not None and seen is not None:
                plot.show(seen, alternatives, int((landscape.transpose == plot.transpose).sum()))
        self.landscape_panel.layout.display = "" if seen else "none"
        self.colours.value = scale_of_colours(seen) if seen else ""
        self.set_status("")
        self._show_taken()

    def _choice(self, number: int, one: Alternative) -> Box:
        turned = "transposed" if one.transpose else "as recorded"
        numbers = (quantity_text(round(one.defocus), unit="A"), f"{one.misfit:.4f}", percent(one.probability))
        told = [text_label(text) for text in (degrees_text(one.rotation), turned, *numbers)]
        take = button(f"Take {number + 1}", f"Begin with {degrees_text(one.rotation)}, {turned}, defocus {numbers[0]}")
        self.on_click(take, partial(self.choose, number))
        return _row([take, *told])

    def _show_taken(self) -> None:
        """Mark the one in use, whoever chose it; during a run none can be chosen."""
        alternatives, taken = self.recon.start_alternatives, self.chosen
        busy = self.recon.status in ("running", "paused")
        for plot in self.plots:
            plot.mark(taken)
        for number, take in enumerate(self.buttons):
            take.description = f"✓ {number + 1} in use" if number == taken else f"Take {number + 1}"
            take.button_style = "primary" if number == taken else ""
            take.disabled = busy
        how = LIST if self.recon.start_landscape is None else RINGS
        set_text(self.facts, _empty_text(self.recon) if not alternatives else BUSY if busy else how)

    def _describe(self) -> str:
        count = len(self.recon.start_alternatives)
        taken = "" if self.chosen is None else f", {self.chosen + 1} in use"
        return f"{count} alternatives{taken}" if count else "no alternatives"


def _row(cells: list[Any], *classes: str) -> Box:
    row = Box(cells)
    for name in ("pty-choice", *classes):
        row.add_class(name)
    return row


def _empty_text(recon: Reconstruction) -> str:
    if recon.dataset is None:
        return NO_DATA
    if recon.estimates:
        return "The estimated start has no alternatives."
    return "No start has been estimated yet: press Auto in the Workbench, or call recon.calibrate()."


__all__ = ["StartAlternatives"]
