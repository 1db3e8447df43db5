"""ProbeDesigner: the probe from aperture and aberrations, and the numbers that decide an experiment."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from ipywidgets import HTML, Text, ToggleButtons

from ptywidgets.engine.core.asked import QUANTITIES
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read_pattern
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.optics.probe_report import Quantity, design_probe, few_patterns_mean
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.aberration_controls import COMMON
from ptywidgets.widgets.controls.aberration_panel import AberrationPanel
from ptywidgets.widgets.controls.calibration_editor import CalibrationEditor
from ptywidgets.widgets.controls.fields import AUTO_WIDTH, button, heading, number_field, panel, panels, toolbar
from ptywidgets.widgets.controls.tables import report_table
from ptywidgets.widgets.image.image_view import ImageView
from ptywidgets.widgets.panel.base import Panel

APERTURES = ("vacuum pattern", "ideal aperture")
OF_DEFOCUS = ("probe diameter", "overlap")


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
        self.table = HTML()
        self.table.add_class("pty-figure")
        self._make_controls()
        aperture = toolbar(self.semiangle, self.rolloff)
        controls = panel(self.kind, aperture, self.loader, self.dials)
        controls.layout.flex = "1 1 300px"
        images = panel(panels(self.probe_view, self.spectrum_view), self.table)
        images.layout.flex = "3 1 560px"
        self.children = [
            heading("Probe"),
            self.missing,
            panels(controls, images),
            self.status_line,
        ]
        self.layout.grid_gap = "6px"
        self.observe_reconstruction(self._redraw, "optics", "dataset", "measurement", "status")
        self.safe_callback(lambda: self._redraw(live=False))()

    # ---------------------------------------------------------------- controls

    def _make_controls(self) -> None:
        self.kind = ToggleButtons(options=APERTURES, value=APERTURES[1], **AUTO_WIDTH)
        doc = "Convergence semi-angle: radius of the ideal aperture, in the middle of its soft edge."
        mrad: dict[str, Any] = {"unit": "mrad", "width": "50px"}
        self.semiangle = number_field("semi-angle", None, low=0.01, high=500, doc=doc, optional=True, **mrad)
        self.rolloff = number_field("soft edge", 2.0, low=0, high=50, doc="Width of the aperture's soft edge.", **mrad)
        self.path = Text(placeholder="vacuum pattern: path of a file", layout={"width": "auto", "flex": "1 1 120px"})
        self.load = button("Load", "Load a vacuum pattern from EMD, HDF5 or .npy", icon="folder-open")
        self.loader = toolbar(self.path, self.load)
        self.dials = AberrationPanel(
            lambda values: self.safe_callback(lambda: self._change(aberrations=values), "aberrations")(),
            self.set_error,
            COMMON,
        )
        self.missing = CalibrationEditor(self.safe_callback(self._complete), self.set_error)
        self.missing.from_disk.layout.display = "none"
        self.on_change(self.kind, self._choose_aperture)
        self.on_click(self.load, self._load_vacuum)
        for name, box in {"semiangle": self.semiangle, "rolloff": self.rolloff}.items():
            self.on_change(box, partial(self._change_one, name))
            self.on_change(box, self.set_error, "error")

    @property
    def aberrations(self) -> dict[str, Any]:
        """The dials by name: "defocus", "C12", "phi12" ...; the further ones once they are unfolded."""
        return self.dials.dials

    def _change(self, **changes: Any) -> None:
        self.recon.optics = self.recon.optics.replace(**changes)

    def _change_one(self, name: str, value: Any) -> None:
        self._change(**{name: value})

    def _change_aberrations(self, aberrations: Aberrations) -> None:
        self.safe_callback(lambda: self._change(aberrations=aberrations), "aberrations")()

    def _complete(self, **values: Any) -> None:
        self.recon.set_calibration(**values)

    def _choose_aperture(self, kind: str) -> None:
        if kind == APERTURES[1]:
            self._change(vacuum=None)
        elif self._vacuum is not None:
            self._change(vacuum=self._vacuum)
        else:
            self.set_silently(self.kind, APERTURES[1])
            raise DataError("there is no vacuum pattern: load one by its path.")

    def _load_vacuum(self) -> None:
        if not self.path.value.strip():
            raise DataError("no path is given: enter that of the vacuum pattern.")
        path = self.path.value.strip()
        pattern = read_pattern(path)
        dataset = self.recon.dataset
        if dataset is not None and pattern.shape != dataset.detector_shape:
            raise DataError(
                f"the vacuum pattern is {pattern.shape} pixels but the patterns are {dataset.detector_shape}; "
                "crop or bin them alike."
            )
        self.recon.remember_input(path)
        self._change(vacuum=pattern)

    # ---------------------------------------------------------------- drawing

    def _redraw(self, live: bool = True) -> None:
        optics, dataset = self.recon.optics, self.recon.dataset
        self._show_controls(optics)
        lacking = self._lacking()
        self._show_hint(lacking)
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
        known = optics.aberrations.known
        self.table.value = report_table(design.report if known else map(_not_judged, design.report))
        if live:
            self.settle_soon()

    def _show_controls(self, optics: Optics) -> None:
        dataset = self.recon.dataset
        if optics.vacuum is not None:
            self._vacuum = optics.vacuum
        elif self._vacuum is None and dataset is not None:
            self._vacuum = Optics.from_dataset(dataset).vacuum
        measured = optics.vacuum is not None
        self.set_silently(self.kind, APERTURES[0 if measured else 1])
        for box, value in ((self.semiangle, optics.semiangle), (self.rolloff, optics.rolloff)):
            self.set_silently(box, value)
            box.disabled = measured
        self.dials.show(optics.aberrations)

    def _lacking(self) -> list[str]:
        """What has to be known before a probe, or its numbers, can be shown."""
        dataset, optics = self.recon.dataset, self.recon.optics
        if dataset is None:
            return ["data"]
        aperture = [] if optics.vacuum is not None or optics.semiangle is not None else ["aperture"]
        return [*dataset.calibration.missing, *aperture]

    def _show_hint(self, lacking: list[str]) -> None:
        self.missing.show(self.recon.calibration)
        self.missing.layout.display = "" if set(lacking) & {"energy", "q_pixel", "scan_step"} else "none"
        hint = ""
        if lacking == ["data"]:
            hint = "No data yet: open a file, or try ptywidgets.samples.ducky()."
        elif lacking:
            named = {name: quantity.title for name, quantity in QUANTITIES.items()}
            named["aperture"] = "the aperture (semi-angle in mrad, or a vacuum pattern)"
            hint = f"Missing: {', '.join(named[name] for name in lacking)}."
        elif self.recon.status in ("running", "paused"):
            hint = "The run continues with its initial probe; changes take effect with the next start."
        elif not self.recon.optics.aberrations.known:
            hint = "The defocus is unknown and drawn as 0. A run, or Auto, estimates it; enter it where you know it."
        if hint != self._hint:
            self._hint = hint
            self.set_status(hint, "warn" if lacking else "note")

    def _counts(self, dataset: Dataset) -> float:
        if self._dose is None or self._dose[0] is not dataset:
            self._dose = (dataset, few_patterns_mean(dataset))
        return self._dose[1]

    def _describe(self) -> str:
        aberrations = self.recon.optics.aberrations
        return f"defocus {aberrations['defocus']:g} A" if aberrations.known else "defocus unknown"


def _not_judged(quantity: Quantity) -> Quantity:
    """Without a verdict where that would be one about a defocus that nobody has given."""
    return replace(quantity, verdict="", advice="with a defocus of 0") if quantity.name in OF_DEFOCUS else quantity


__all__ = ["ProbeDesigner"]
