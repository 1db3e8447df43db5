"""RotationExplorer: centre of mass, descan, and the angle between detector and scan, found and seen."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from ipywidgets import Layout

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError
from ptywidgets.engine.params import Parameter
from ptywidgets.engine.prepare import (
    ORIGIN_MODELS,
    RotationFit,
    centre_of_mass,
    deflection,
    directions,
    find_rotation,
    fit_origin,
    integrate,
    rotate_vectors,
    rotation_curves,
    wrapped_angle,
)
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.base import HEAVY, Panel
from ptywidgets.widgets.boxes import button, checkbox, dropdown, heading, note, panel, panels, set_words, toolbar
from ptywidgets.widgets.controls import Slider
from ptywidgets.widgets.image_view import ImageView
from ptywidgets.widgets.rotation_plot import RotationPlot

SHOWN = {"corrected": "corrected", "measured": "measured", "fitted": "fitted origin"}
ANGLE = Parameter(
    "rotation", 0.0, "degrees", -180, 180, doc="The centre of mass turns by this from detector to scan.", step=0.1
)

ANY_ANGLE = Parameter("rotation", 0.0, "degrees", -360, 360)


class RotationExplorer(Panel):
    """Find the rotation of the detector against the scan, and see what it does.

    The centre-of-mass field of the patterns is a gradient when it is turned rightly, and then has no curl. Two angles
    180 degrees apart have the same curl; their phases are the negatives of each other, shown side by side.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> explorer = RotationExplorer(samples.ducky("tiny"))
    >>> abs(explorer.rotation + 15) < 2, explorer.transpose
    (True, False)
    >>> explorer.rotation = -15
    >>> explorer.accept()
    >>> explorer.recon.rotation
    -15.0
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self._com: np.ndarray | None = None  # (2, Ry, Rx) px
        self._field: np.ndarray | None = None  # (2, Ry, Rx) 1/A or px, detector frame, without descan
        self._fit: RotationFit | None = None
        self._make()
        self._connect()
        self.guarded(self._new_data)()

    # ---------------------------------------------------------------- for code

    @property
    def rotation(self) -> float:
        """Degrees from detector to scan, as shown; set it to try another."""
        return float(self.angle.value)

    @rotation.setter
    def rotation(self, value: float) -> None:
        self.angle.value = wrapped_angle(ANY_ANGLE.check(value))
        self.wait()

    @property
    def transpose(self) -> bool:
        """Whether detector rows and columns are exchanged; set it to try."""
        return bool(self.transposed.value)

    @transpose.setter
    def transpose(self, value: bool) -> None:
        self.transposed.value = bool(value)
        self.wait()

    @property
    def com(self) -> np.ndarray | None:
        """(2, Ry, Rx) px: measured centre of mass."""
        return self._com

    @property
    def field(self) -> np.ndarray | None:
        """(2, Ry, Rx): centre of mass without descan, in the scan frame at the shown angle; 1/A, or px."""
        return None if self._field is None else rotate_vectors(self._field, self.rotation, self.transpose)

    @property
    def phase(self) -> np.ndarray | None:
        """(Ry, Rx): integrated centre of mass at the shown angle, rad where the calibration is complete."""
        field = self.field
        return None if field is None else integrate(field, self._step[0])

    @property
    def fit(self) -> RotationFit | None:
        """What the engine found in the field."""
        return self._fit

    def find(self) -> None:
        """Show the angle at which the engine finds the least curl."""
        if self._field is None:
            raise DataError("there is no centre of mass yet: load data first.")
        self._fit = find_rotation(self._field)
        self._put(self._fit.rotation, self._fit.transpose)
        sure = self._fit.twin_resolved and self._fit.solenoidal_share < 0.4
        self.say(_sentence(self._fit.message), "good" if sure else "warn")

    def flip(self) -> None:
        """Turn by 180 degrees: where atoms come out dark."""
        self._put(wrapped_angle(self.rotation + 180), self.transpose)

    def accept(self) -> None:
        """Prepare the reconstruction with what is shown."""
        self.recon.prepare(
            rotation=self.rotation,
            transpose=self.transpose,
            origin=self.model.value,
            robust=self.robust.value,
        )
        transposed = "transposed" if self.transpose else "not transposed"
        self.say(f"Accepted: rotation {self.rotation:.1f}°, {transposed}, descan: {self.model.value}.", "good")

    # ---------------------------------------------------------------- building

    def _make(self) -> None:
        self.shown = dropdown("Show", [(words, name) for name, words in SHOWN.items()], "corrected", width="190px")
        self.model = dropdown("Descan", ORIGIN_MODELS, "plane", "Surface of the origin over the scan.", "150px")
        self.robust = checkbox("robust", True, "Leave outliers out of the descan fit.")
        self.transposed = checkbox("transposed", False, "Detector rows and columns are exchanged.")
        self.angle = Slider(ANGLE, 0.0)
        self.angle.slider.layout = Layout(width="auto", flex="1 1 90px", min_width="60px")
        self.find_button = button("Find", "The angle of least curl", "", "search")
        self.flip_button = button("Flip 180°", "The twin of this angle: where atoms come out dark", "", "retweet")
        self.accept_button = button("Accept", "Prepare the reconstruction with this rotation", "primary", "check")
        waiting = {"placeholder": "Reading the patterns ...", "max_width": 420}
        self.row_view = ImageView("Row component", "RdBu", **waiting)
        self.column_view = ImageView("Column component", "RdBu", **waiting)
        self.field_view = ImageView("Direction and size", kind="complex", percentiles=(0, 99), **waiting)
        self.phase_view = ImageView("Phase", "magma", **waiting)
        self.twin_view = ImageView("Phase of the twin", "magma", **waiting)
        self.views = [self.phase_view, self.twin_view, self.field_view, self.row_view, self.column_view]
        self.plot = RotationPlot(self.guarded(self._handle_dragged, "handle"))
        self.facts = note()
        self.children = [
            toolbar(heading("Rotation"), self.facts),
            toolbar(self.find_button, self.flip_button, self.accept_button, self.transposed),
            self.status_line,
            panels(panel(self.plot, self.angle), panel(self.phase_view), panel(self.twin_view)),
            toolbar(heading("Centre of mass"), self.shown, self.model, self.robust),
            panels(panel(self.row_view), panel(self.column_view), panel(self.field_view)),
        ]

    def _connect(self) -> None:
        self.hear(self.angle, lambda angle: self._show_angle(live=True))
        self.hear(self.angle, lambda text: text and self.say(text, "bad"), "error")
        self.hear(self.transposed, lambda on: self._show_angle())
        self.hear(self.shown, lambda name: self._show_maps())
        self.hear(self.model, lambda model: self._new_field())
        self.hear(self.robust, lambda on: self._new_field())
        self.click(self.find_button, self.find)
        self.click(self.flip_button, self.flip)
        self.click(self.accept_button, self._accept_clicked)
        self.watch(self._new_data, "dataset")
        self.watch(self._new_measurement, "measurement")

    # ---------------------------------------------------------------- data

    @property
    def _step(self) -> tuple[float, str]:
        """Scan step and its unit."""
        step = None if self.recon.calibration is None else self.recon.calibration.scan_step
        return (1.0, "px") if step is None else (step, "A")

    @property
    def _unit(self) -> str:
        calibration = self.recon.calibration
        return "px" if calibration is None or calibration.q_pixel is None else "1/A"

    def _new_data(self) -> None:
        self._com = self._field = self._fit = None
        dataset = self.recon.dataset
        if dataset is None:
            set_words(self.facts, "No data yet: set recon.dataset, or open a file by Reconstruction.open(path).")
            for view in self.views:
                view.clear()
        elif self.recon.measurement is not None:
            self._new_measurement()
        elif dataset.nbytes > HEAVY:
            self.behind(self._read, "Centre of mass of all patterns ...")
        else:
            self._read()

    def _read(self) -> None:
        if self.recon.dataset is None:
            return
        self._com = centre_of_mass(self.recon.dataset)
        preparation = self.recon.preparation
        self.put(self.model, preparation.origin)
        self.put(self.robust, preparation.robust)
        self._new_field()
        self.find()
        if preparation.rotation is not None:
            self._put(preparation.rotation, bool(preparation.transpose))
            self.say("")

    def _new_measurement(self) -> None:
        """Somebody has prepared the data: show what they took."""
        measurement = self.recon.measurement
        if measurement is None:
            return
        self._com, self._fit = measurement.com_measured, measurement.rotation_fit
        self.put(self.model, measurement.preparation.origin)
        self.put(self.robust, measurement.preparation.robust)
        self._new_field()
        self._put(measurement.rotation, measurement.transpose)
        self.say(_sentence(self.recon.message or measurement.rotation_fit.message))

    def _new_field(self) -> None:
        if self._com is None:
            return
        pixel = 1.0 if self._unit == "px" else self.recon.calibration.q_pixel
        self._field = deflection(self._com, self.model.value, self.robust.value) * pixel
        self.plot.show(rotation_curves(self._field, np.arange(-180.0, 181.0, 2.0)))
        (ry, rx), step = self._com.shape[1:], self._step
        set_words(self.facts, f"{ry} × {rx} positions" + ("" if step[1] == "px" else f", {step[0]:.4g} Å apart"))
        self._show_angle()

    # ---------------------------------------------------------------- showing

    def _put(self, rotation: float, transpose: bool) -> None:
        self.put(self.angle, round(float(rotation), 2))
        self.put(self.transposed, bool(transpose))
        self._show_angle()

    def _handle_dragged(self, angle: float) -> None:
        self.put(self.angle, angle)
        self._show_angle(live=True, from_handle=True)

    def _show_angle(self, live: bool = False, from_handle: bool = False) -> None:
        self.plot.put(self.rotation, self.transpose, from_handle)
        phase = self.phase
        if phase is None:
            return
        step, unit = self._step
        twin = wrapped_angle(self.rotation + 180)
        known = self._unit != "px" and unit != "px"
        for view, image, angle in ((self.phase_view, phase, self.rotation), (self.twin_view, -phase, twin)):
            view.title = f"Phase at {angle:.1f}°" if view is self.phase_view else f"Its twin, {angle:.1f}°"
            view.note = "rad" if known else "arbitrary units"
            view.show(image, live=live, sampling=step, unit=unit)
        self._show_maps(live)
        if live:
            self.settle_soon()

    def _show_maps(self, live: bool = False) -> None:
        field = self.field
        if field is None or self._com is None:
            return
        step, unit = self._step
        shown, words = field, "px" if self._unit == "px" else "Å⁻¹"
        if self.shown.value != "corrected":
            origin = fit_origin(self._com, self.model.value, self.robust.value)
            shown = deflection(self._com if self.shown.value == "measured" else origin, "constant", robust=False)
            words = "px, from its mean"
        for view, image in ((self.row_view, shown[0]), (self.column_view, shown[1]), (self.field_view, directions(shown))):
            view.note = f"{SHOWN[self.shown.value]}, {words}"
            view.show(image, live=live, sampling=step, unit=unit)

    def _accept_clicked(self) -> None:
        if self.recon.dataset is not None and self.recon.dataset.nbytes > HEAVY:
            self.behind(self.accept, "Preparing the data ...")
        else:
            self.accept()

    def _describe(self) -> str:
        if self._com is None:
            return self.recon.status
        return f"rotation {self.rotation:.2f} degrees{', transposed' if self.transpose else ''}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


__all__ = ["RotationExplorer"]
