"""RotationExplorer: centre of mass, descan, and the angle between detector and scan, found and seen."""

from __future__ import annotations

import os

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import Parameter
from ptywidgets.engine.data.calibration import in_words
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess import RotationFit, wrapped_angle
from ptywidgets.engine.preprocess.defects.frames import Screened, screen
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, checkbox, heading, note, panel, panels, set_text, toolbar
from ptywidgets.widgets.controls.formatting import typeset, unit_text
from ptywidgets.widgets.controls.slider import Slider
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.plots.rotation_plot import RotationPlot
from ptywidgets.widgets.rotation.com_field import ComField
from ptywidgets.widgets.rotation.com_maps import ComMaps
from ptywidgets.widgets.rotation.phase_pair import PhasePair

ANGLE = Parameter(
    "rotation",
    0.0,
    "degrees",
    -180,
    180,
    doc="Angle by which the centre of mass is rotated from detector to scan.",
    step=0.1,
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
        self._field: ComField | None = None
        self._fit: RotationFit | None = None
        self._make()
        self._connect()
        self.safe_callback(self._new_data)()

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
        return None if self._field is None else self._field.com

    @property
    def field(self) -> np.ndarray | None:
        """(2, Ry, Rx): centre of mass without descan, in the scan frame at the shown angle; 1/A, or px."""
        return None if self._field is None else self._field.turned(self.rotation, self.transpose)

    @property
    def phase(self) -> np.ndarray | None:
        """(Ry, Rx): integrated centre of mass at the shown angle, rad where the calibration is complete."""
        return None if self._field is None else self._field.phase(self.rotation, self.transpose)

    @property
    def fit(self) -> RotationFit | None:
        """What the engine found in the field."""
        return self._fit

    def find(self) -> None:
        """Show the angle at which the engine finds the least curl."""
        if self._field is None:
            raise DataError("there is no centre of mass yet: load data first.")
        self._fit = self._field.find()
        self._set_rotation(self._fit.rotation, self._fit.transpose)
        sure = self._fit.flip_resolved and self._fit.solenoidal_share < 0.4
        self.set_status(_sentence(self._fit.message), "good" if sure else "warn")

    def flip(self) -> None:
        """Turn by 180 degrees: where atoms come out dark."""
        self._set_rotation(wrapped_angle(self.rotation + 180), self.transpose)

    def accept(self) -> None:
        """Prepare the reconstruction with what is shown."""
        self._accepted(self._prepare())

    def _prepare(self) -> str:
        rotation, transpose, model = self.rotation, self.transpose, self.model.value
        self.recon.prepare(rotation=rotation, transpose=transpose, origin=model, robust=self.robust.value)
        return f"Accepted: rotation {rotation:.1f}°, {'' if transpose else 'not '}transposed, descan: {model}."

    def _accept_clicked(self) -> None:
        self.run_with_data(self._prepare, self._accepted, "Preparing the data ...")

    def _accepted(self, text: str) -> None:
        self.set_status(text, "good")

    # ---------------------------------------------------------------- building

    def _make(self) -> None:
        self.transposed = checkbox("transposed", False, "Detector rows and columns are exchanged.")
        self.angle = Slider(ANGLE, 0.0)
        self.angle.set_flex("1 1 90px", "60px")
        self.find_button = button("Find", "The angle of minimum curl", "", "search")
        self.flip_button = button(
            "Flip 180°", "Turn by 180 degrees: same curl, opposite phase; use it where atoms appear dark", "", "retweet"
        )
        self.accept_button = button("Accept", "Prepare the reconstruction with this rotation", "primary", "check")
        waiting = "Reading the patterns ..."
        self.maps = ComMaps(waiting)
        self.model, self.robust = self.maps.model, self.maps.robust
        self.phases = PhasePair(waiting)
        self.phase_view, self.flipped_view = self.phases.views
        self.views = [*self.phases.views, *self.maps.views]
        self.plot = RotationPlot(self.safe_callback(self._handle_dragged, "handle"))
        self.facts = note()
        self.children = [
            toolbar(heading("Rotation"), self.facts),
            toolbar(self.find_button, self.flip_button, self.accept_button, self.transposed),
            self.status_line,
            panels(panel(self.plot, self.angle), panel(self.phase_view), panel(self.flipped_view)),
            self.maps,
        ]

    def _connect(self) -> None:
        self.on_change(self.angle, lambda angle: self._show_angle(live=True))
        self.on_change(self.angle, self.set_error, "error")
        self.on_change(self.transposed, lambda on: self._show_angle())
        self.on_change(self.maps.shown, lambda name: self._show_maps())
        self.on_change(self.model, lambda model: self._new_field())
        self.on_change(self.robust, lambda on: self._new_field())
        self.on_click(self.find_button, self.find)
        self.on_click(self.flip_button, self.flip)
        self.on_click(self.accept_button, self._accept_clicked)
        self.observe_reconstruction(self._new_data, "dataset")
        self.observe_reconstruction(self._new_measurement, "measurement")

    # ---------------------------------------------------------------- data

    def _new_data(self) -> None:
        dataset = self.recon.dataset
        if self._field is not None and self._field.measured_on(dataset):
            self._new_field()  # only the calibration has changed
            return
        self._field = self._fit = None
        if dataset is None:
            self.show_no_data(self.facts)
        elif self.recon.measurement is not None:
            self._new_measurement()
        else:
            text = "Centre of mass of all patterns ..."
            self.run_with_data(lambda: (dataset, screen(dataset)), lambda read: self._take_com(*read), text)

    def _take_com(self, dataset: Dataset, screened: Screened) -> None:
        if self.recon.dataset is None or dataset.data is not self.recon.dataset.data:
            return  # other data have come meanwhile
        preparation = self.recon.preparation
        self.set_silently(self.model, preparation.origin)
        self.set_silently(self.robust, preparation.robust)
        self._new_field(screened.com)
        self.find()
        if preparation.rotation is not None:
            self._set_rotation(wrapped_angle(preparation.rotation), bool(preparation.transpose))
            self.set_status("")
        if screened.notes:
            said = _sentence(self._fit.message) if self._fit is not None and preparation.rotation is None else ""
            self.set_status(" ".join([*map(_sentence, screened.notes), said]).strip(), "warn")

    def _new_measurement(self) -> None:
        """Somebody has prepared the data: show what they took."""
        measurement = self.recon.measurement
        if measurement is None:
            return
        self._fit = measurement.rotation_fit
        self.set_silently(self.model, measurement.preparation.origin)
        self.set_silently(self.robust, measurement.preparation.robust)
        self._new_field(measurement.com_measured)
        self._set_rotation(measurement.rotation, measurement.transpose)
        self.set_status(_sentence(self.recon.message or measurement.rotation_fit.message))

    def _new_field(self, com: np.ndarray | None = None) -> None:
        """Another centre of mass, calibration or descan model."""
        com, dataset = self.com if com is None else com, self.recon.dataset
        if com is None or dataset is None:
            return
        field = ComField(com, dataset.data, dataset.calibration, self.model.value, self.robust.value)
        self._field = field
        self.plot.show(field.curves())
        ry, rx = com.shape[1:]
        apart = "" if field.step[1] == "px" else f", {in_words(field.step[0], 4, ' × ')} Å apart"
        set_text(self.facts, f"{ry} × {rx} positions{apart}")
        self._show_angle()

    # ---------------------------------------------------------------- showing

    def _set_rotation(self, rotation: float, transpose: bool) -> None:
        self.set_silently(self.angle, round(float(rotation), 2))
        self.set_silently(self.transposed, bool(transpose))
        self._show_angle()

    def _handle_dragged(self, angle: float) -> None:
        self.set_silently(self.angle, angle)
        self._show_angle(live=True, from_handle=True)

    def _show_angle(self, live: bool = False, from_handle: bool = False) -> None:
        self.plot.set_angle(self.rotation, self.transpose, from_handle)
        field = self._field
        if field is None:
            return
        phase = field.phase(self.rotation, self.transpose)
        self.phases.show(phase, self.rotation, field.step, field.in_rad, live)
        self._show_maps(live)
        if live:
            self.settle_soon()

    def _show_maps(self, live: bool = False) -> None:
        field = self._field
        if field is not None:
            turned = field.turned(self.rotation, self.transpose)
            self.maps.show(field.com, turned, unit_text(field.unit), field.step, live)

    def _describe(self) -> str:
        if self._field is None:
            return self.recon.status
        return f"rotation {self.rotation:.2f} degrees{', transposed' if self.transpose else ''}"


def _sentence(text: str) -> str:
    return typeset(text[:1].upper() + text[1:])


__all__ = ["RotationExplorer"]
