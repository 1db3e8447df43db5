"""ProbeDesigner: the probe from aperture and aberrations, and the numbers that decide an experiment."""

from __future__ import annotations

import html
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ipywidgets import HTML, Accordion, Text, ToggleButtons, VBox

from ptywidgets.engine.aberrations import SYMBOLS, Aberrations
from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError
from ptywidgets.engine.io import read_pattern
from ptywidgets.engine.probe import Optics
from ptywidgets.engine.probe_report import Quantity, design_probe, few_patterns_mean
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.aberration_controls import COMMON, FORMS, AberrationControls
from ptywidgets.widgets.base import Panel
from ptywidgets.widgets.controls import button, heading, note, number, panel, panels, set_words, tip, toolbar, unit_text
from ptywidgets.widgets.image_view import ImageView

APERTURES = ("vacuum pattern", "ideal aperture")
VERDICTS = {"good": "good", "warn": "fair", "bad": "bad"}
_MISSING = {
    "energy": ("eV", 1e3, 5e6, "Electron energy: 80 kV is 80000 eV."),
    "q_pixel": ("1/A", 1e-9, 1e3, "Width of a detector pixel."),
    "scan_step": ("A", 1e-9, 1e6, "Distance of neighbouring scan positions."),
}


class ProbeDesigner(Panel):
    """Aperture and aberrations on sliders; the probe in both spaces; what it means for the experiment.

    Every change goes to ``recon.optics`` at once. A run that is on keeps the probe it began with; the next start takes
    the new one.

    Parameters
    ----------
    source : Reconstruction, Dataset or path

    Examples
    --------
    >>> from ptywidgets import samples
    >>> designer = ProbeDesigner(samples.ducky("tiny"))
    >>> designer.aberrations["defocus"].value = 250
    >>> designer.recon.optics.aberrations
    Aberrations(C10=-250)
    >>> [quantity.verdict for quantity in designer.report if quantity.name == "overlap"]
    ['good']
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.report: tuple[Quantity, ...] = ()
        self._vacuum: np.ndarray | None = None
        self._dose: tuple[Dataset, float] | None = None
        self._hint = ""
        self.probe_view = ImageView("Probe", kind="complex", unit="A", max_width=420)
        self.spectrum_view = ImageView("Aperture plane", kind="complex", unit="mrad", max_width=420)
        self.views = [self.probe_view, self.spectrum_view]
        self._settle = Settling(0.4, lambda: [view.settle() for view in self.views])
        self.table = HTML()
        self.table.add_class("pty-figure")
        self._make_controls()
        self.children = [
            heading("Probe"),
            self.missing,
            panels(
                panel(self.kind, toolbar(self.semiangle, self.rolloff), self.loader, self.form, self.common, self.fold),
                self.probe_view,
                self.spectrum_view,
            ),
            self.table,
            self.status_line,
        ]
        self.watch(self._redraw, "optics", "dataset", "measurement", "status")
        self.until_closed(self._settle.cancel)
        self.guarded(lambda: self._redraw(live=False))()

    # ---------------------------------------------------------------- controls

    def _make_controls(self) -> None:
        self.kind = ToggleButtons(options=APERTURES, value=APERTURES[1], layout={"width": "auto"}, style={"button_width": "auto"})
        doc = "Convergence semi-angle: radius of the ideal aperture."
        self.semiangle = number("semi-angle", None, unit="mrad", low=0.01, high=500, doc=doc, optional=True)
        self.rolloff = number("soft edge", 2.0, unit="mrad", low=0, high=50, doc="Width of the aperture's soft edge.")
        self.path = Text(placeholder="vacuum pattern: path of a file", layout={"width": "auto", "flex": "1 1 120px"})
        self.load = button("Load", "Load a vacuum pattern from EMD, HDF5 or .npy", icon="folder-open")
        self.loader = toolbar(self.path, self.load)
        self.form = ToggleButtons(options=FORMS, layout={"width": "auto"}, style={"button_width": "auto"}, **tip("Form of the aberrations"))
        self.common = self._aberrations(COMMON)
        self._rest: AberrationControls | None = None
        self._rest_box = VBox([note("…")], layout={"width": "100%"})
        self.fold = Accordion([self._rest_box], selected_index=None)
        self.fold.set_title(0, "Further aberrations, up to fifth order")
        self.missing = toolbar()
        self._boxes = {
            name: number(name, None, unit=unit, low=low, high=high, doc=doc, optional=True)
            for name, (unit, low, high, doc) in _MISSING.items()
        }
        self.hear(self.kind, self._choose_aperture)
        self.hear(self.form, self._choose_form)
        self.hear(self.fold, self._open_fold, "selected_index")
        self.click(self.load, self._load_vacuum)
        for name, box in {"semiangle": self.semiangle, "rolloff": self.rolloff}.items():
            self.hear(box, lambda value, name=name: self._change(**{name: value}))
            self.hear(box, self._complain, "error")
        for name, box in self._boxes.items():
            self.hear(box, lambda value, name=name: value and self.recon.set_calibration(**{name: value}))
            self.hear(box, self._complain, "error")

    @property
    def aberrations(self) -> dict[str, Any]:
        """The dials by name: "defocus", "C12", "phi12" ...; the further ones once they are unfolded."""
        return {**self.common.dials, **(self._rest.dials if self._rest else {})}

    def _aberrations(self, symbols: Iterable[str]) -> AberrationControls:
        def change(values: dict[str, float]) -> None:
            self.guarded(lambda: self._change(aberrations=self.recon.optics.aberrations.replace(**values)), tuple(values))()

        return AberrationControls(symbols, change, self._complain, self.form.value)

    def _change(self, **changes: Any) -> None:
        self.recon.optics = self.recon.optics.replace(**changes)

    def _complain(self, words: str) -> None:
        if words:
            self.say(words, "bad")

    def _choose_aperture(self, kind: str) -> None:
        if kind == APERTURES[1]:
            self._change(vacuum=None)
        elif self._vacuum is not None:
            self._change(vacuum=self._vacuum)
        else:
            self.put(self.kind, APERTURES[1])
            raise DataError("there is no vacuum pattern: load one by its path.")

    def _choose_form(self, form: str) -> None:
        for controls in filter(None, (self.common, self._rest)):
            controls.form = form

    def _open_fold(self, index: int | None) -> None:
        if index is not None and self._rest is None:
            self._rest = self._aberrations([symbol for symbol in SYMBOLS if symbol not in COMMON])
            self._rest.show(self.recon.optics.aberrations)
            self._rest_box.children = [self._rest]

    def _load_vacuum(self) -> None:
        if not self.path.value.strip():
            raise DataError("no path: type where the vacuum pattern is.")
        pattern = read_pattern(os.path.expanduser(self.path.value.strip()))
        dataset = self.recon.dataset
        if dataset is not None and pattern.shape != dataset.detector_shape:
            raise DataError(
                f"the vacuum pattern is {pattern.shape} pixels but the patterns are {dataset.detector_shape}; crop or bin them alike."
            )
        self._change(vacuum=pattern)

    # ---------------------------------------------------------------- drawing

    def _redraw(self, live: bool = True) -> None:
        optics, dataset = self.recon.optics, self.recon.dataset
        self._show_controls(optics)
        lacking = self._lacking()
        self._tell(lacking)
        if dataset is None or "energy" in lacking or "q_pixel" in lacking or "aperture" in lacking:
            self.report = ()
            self.table.value = ""
            for view in self.views:
                view.clear()
                view.placeholder = "no probe yet"
            return
        measured = self.recon.measurement.mean_intensity if self.recon.measurement else self._counts(dataset)
        design = design_probe(optics, dataset.calibration, dataset.detector_shape, dataset.scan_shape, measured)
        self.report = design.report
        centre = [n // 2 for n in dataset.detector_shape]
        for view, image, step in (
            (self.probe_view, design.probe, design.sampling),
            (self.spectrum_view, design.spectrum, design.angle_sampling),
        ):
            view.origin = centre
            view.show(image, live=live, sampling=step)
        self.table.value = report_table(design.report)
        if live:
            self._settle.touch()

    def _show_controls(self, optics: Optics) -> None:
        dataset = self.recon.dataset
        if optics.vacuum is not None:
            self._vacuum = optics.vacuum
        elif self._vacuum is None and dataset is not None:
            self._vacuum = dataset.vacuum
        measured = optics.vacuum is not None
        self.put(self.kind, APERTURES[0 if measured else 1])
        for box, value in ((self.semiangle, optics.semiangle), (self.rolloff, optics.rolloff)):
            self.put(box, value)
            box.disabled = measured
        for controls in filter(None, (self.common, self._rest)):
            controls.show(optics.aberrations)

    def _lacking(self) -> list[str]:
        """What has to be known before a probe, or its numbers, can be shown."""
        dataset, optics = self.recon.dataset, self.recon.optics
        if dataset is None:
            return ["data"]
        aperture = [] if optics.vacuum is not None or optics.semiangle is not None else ["aperture"]
        return [*dataset.calibration.missing, *aperture]

    def _tell(self, lacking: list[str]) -> None:
        boxes = [self._boxes[name] for name in lacking if name in self._boxes]
        if list(self.missing.children) != boxes:
            self.missing.children = boxes
        hint = ""
        if lacking == ["data"]:
            hint = "No data yet: open a file, or try ptywidgets.samples.ducky()."
        elif lacking:
            named = {"aperture": "the aperture (semi-angle in mrad, or a vacuum pattern)"}
            hint = f"Still missing: {', '.join(named.get(name, name) for name in lacking)}."
        elif self.recon.status in ("running", "paused"):
            hint = "The run goes on with the probe it began with; changes take effect with the next start."
        if hint != self._hint:
            self._hint = hint
            self.say(hint, "warn" if lacking else "note")

    def _counts(self, dataset: Dataset) -> float:
        if self._dose is None or self._dose[0] is not dataset:
            self._dose = (dataset, few_patterns_mean(dataset))
        return self._dose[1]

    def _describe(self) -> str:
        aberrations = self.recon.optics.aberrations
        return f"defocus {aberrations['defocus']:g} A"


class Settling:
    """Calls `action` once nothing has happened for `quiet` seconds."""

    def __init__(self, quiet: float, action: Callable[[], object]) -> None:
        self._quiet, self._action = quiet, action
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._due = 0.0

    def touch(self) -> None:
        """Something has happened."""
        with self._lock:
            self._due = time.monotonic() + self._quiet
            if self._timer is None:
                self._start(self._quiet)

    def cancel(self) -> None:
        """Call nothing any more."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            rest = self._due - time.monotonic()
            if rest > 0:
                self._start(rest)
                return
            self._timer = None
        self._action()


def report_table(report: Iterable[Quantity]) -> str:
    """The numbers as a table in HTML: name, value with unit, a word and the advice.

    Examples
    --------
    >>> "60 % or more" in report_table([Quantity("overlap", 50, "%", "warn", "60 % or more is safer")])
    True
    """
    rows = []
    for quantity in report:
        value = html.escape(f"{quantity.value:.4g} {unit_text(quantity.unit)}")
        word = f'<span class="pty-{quantity.verdict}">{VERDICTS[quantity.verdict]}</span>'
        advice = html.escape(f": {quantity.advice}") if quantity.advice else ""
        rows.append(f"<tr><td>{html.escape(quantity.name)}</td><td>{value}</td><td>{word}{advice}</td></tr>")
    return f"<table class='pty-figure' data-testid='pty-report'>{''.join(rows)}</table>"


__all__ = ["ProbeDesigner", "report_table"]
