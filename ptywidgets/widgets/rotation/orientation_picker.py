"""OrientationPicker: the eight ways in which detector and scan may lie to each other, as images to choose from."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np
from ipywidgets import GridBox

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, heading, note, set_text, toolbar
from ptywidgets.widgets.controls.formatting import degrees_text
from ptywidgets.widgets.panel.base import NO_DATA, Panel
from ptywidgets.widgets.rotation.candidate_card import CandidateCard

NEAR = 5.0  # degrees: a rotation set elsewhere that is so near to a candidate's counts as this candidate
FEW = 8e6  # bytes of data that are compared at once; more on a thread


class OrientationPicker(Panel):
    """Every candidate with its phase, its confidence and the curl that it leaves; click one to take it.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Notes
    -----
    `found` is what the engine says, `chosen` the index of the candidate that the reconstruction uses, if it is one.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> picker = OrientationPicker(samples.ducky("tiny"))
    >>> len(picker.candidates)
    8
    >>> picker.choose(picker.best)
    >>> picker.recon.transpose, picker.chosen == picker.best
    (False, True)
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.found: Any = None
        self.find_button = button("Compare again", "Compare the candidates with the present probe", "", "refresh")
        self.facts = note()
        self.cards = [CandidateCard() for _ in range(8)]
        columns = "repeat(auto-fill, minmax(max(104px, 22%), 1fr))"
        self.grid = GridBox(self.cards, layout={"grid_template_columns": columns, "grid_gap": "8px 12px"})
        self.grid.layout.display = "none"
        self.views = [card.view for card in self.cards]
        self.children = [
            toolbar(heading("Orientation"), self.find_button, self.facts),
            self.status_line,
            self.grid,
        ]
        self.on_click(self.find_button, self.find)
        for index, view in enumerate(self.views):
            view.on_pick(self.safe_callback(partial(self._choose, index)))
        self.observe_reconstruction(self._new_data, "dataset")
        self.observe_reconstruction(self._show_chosen, "measurement")
        self.observe_reconstruction(self._new_probe, "optics")
        self.observe_reconstruction(self._new_start, "start_alternatives")
        self.safe_callback(self._new_data)()

    # ---------------------------------------------------------------- for code

    @property
    def candidates(self) -> tuple[Any, ...]:
        """The candidates, in the order of the cards."""
        return () if self.found is None else tuple(self.found.candidates)

    @property
    def best(self) -> int:
        """Index of the candidate that the data favour most."""
        if self.found is None:
            raise DataError("nothing is compared yet: load data first.")
        return int(self.found.best)

    @property
    def chosen(self) -> int | None:
        """Index of the candidate that the reconstruction uses; None where it uses another angle."""
        recon = self.recon
        if recon.rotation is None:
            return None
        for index, candidate in enumerate(self.candidates):
            away = abs(wrapped_angle(candidate.rotation - recon.rotation))
            if away < NEAR and candidate.transpose == recon.transpose:
                return index
        return None

    def choose(self, index: int) -> None:
        """Prepare the reconstruction with a candidate."""
        if not 0 <= index < len(self.candidates):
            raise DataError(f"there is no candidate {index}; there are {len(self.candidates)}.")
        candidate = self.candidates[index]
        self._taken(self._prepare(candidate))

    def find(self) -> None:
        """Compare the candidates anew."""
        if self.recon.dataset is None:
            raise DataError("there is nothing to compare: load data first.")
        dataset = self.recon.dataset
        self.run_with_data(
            lambda: (dataset, self.recon.find_orientation()),
            lambda found: self._show(*found),
            "Comparing the eight orientations ...",
            FEW,
        )

    # ---------------------------------------------------------------- inside

    def _new_data(self) -> None:
        self.found = None
        self.grid.layout.display = "none"
        if self.recon.dataset is None:
            set_text(self.facts, NO_DATA)
            return
        set_text(self.facts, "")
        self.find()

    def _show(self, dataset: Dataset, found: Any) -> None:
        if self.recon.dataset is not dataset:
            return  # other data have come meanwhile
        self.found = found
        step = dataset.calibration.scan_step
        unit = (1.0, "px") if step is None else (step, "A")
        for index, (card, candidate) in enumerate(zip(self.cards, self.candidates, strict=True)):
            card.show(candidate, index == self.best, unit)
        self.grid.layout.display = ""
        set_text(self.facts, "Click an image, or press Enter on it, to select that orientation.")
        self.set_status(found.message, "good" if found.confidence > 0.9 else "warn")
        self._show_chosen()

    def _show_chosen(self) -> None:
        """Frame the candidate in use, whoever chose it."""
        chosen = self.chosen
        for index, view in enumerate(self.views):
            view.picked = index == chosen
        if self.candidates and chosen is None and self.recon.rotation is not None:
            transposed = ", transposed" if self.recon.transpose else ""
            set_text(
                self.facts, f"In use: {degrees_text(self.recon.rotation)}{transposed}, not one of these candidates."
            )

    def _new_probe(self) -> None:
        if self.candidates:
            set_text(self.facts, "The probe has changed since this comparison.")

    def _new_start(self) -> None:
        """What a search has found since may be another orientation than these images were judged by."""
        if self.candidates and self.recon.start_alternatives:
            self.set_status(
                "A start has been looked for since this comparison: compare again, with what it says.", "warn"
            )

    def _choose(self, index: int) -> None:
        if index < len(self.candidates):
            candidate = self.candidates[index]
            self.run_with_data(lambda: self._prepare(candidate), self._taken, "Preparing the data ...")

    def _prepare(self, candidate: Any) -> tuple[Any, bool]:
        before = self.recon.optics
        self.recon.orient(candidate.rotation, candidate.transpose)
        return candidate, self.recon.optics is not before

    def _taken(self, taken: tuple[Any, bool]) -> None:
        candidate, opposite = taken
        transposed = "" if candidate.transpose else "not "
        turned = ", with the signs of the aberrations inverted, as the data then require" if opposite else ""
        best = self.candidates[self.best]
        doubt = "" if candidate is best else " The data favour another one."
        text = f"In use: rotation {degrees_text(candidate.rotation)}, {transposed}transposed{turned}.{doubt}"
        set_text(self.facts, "Click an image, or press Enter on it, to select that orientation.")
        self.set_status(text, "warn" if doubt else "good")

    def _describe(self) -> str:
        if self.found is None:
            return "nothing compared yet"
        best = self.candidates[self.best]
        text = f"best {best.rotation:.1f} degrees{', transposed' if best.transpose else ''}"
        return f"{text}, confidence {np.clip(self.found.confidence, 0, 1):.0%}"


__all__ = ["OrientationPicker"]
