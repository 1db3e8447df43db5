"""What of the calibration is missing once data are open, with the fields to fill it in."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, VBox

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io.summary import summary_of
from ptywidgets.widgets.controls.calibration_editor import CalibrationEditor
from ptywidgets.widgets.controls.fields import set_text, text_label
from ptywidgets.widgets.controls.formatting import typeset
from ptywidgets.widgets.panel.base import Panel

COMPLETE = "The calibration is complete; what else is not given, such as defocus and rotation, is found from the data."


class MissingCalibration(VBox):
    """The fields of a calibration, shown for data in which something of it is missing, until there are others.

    Parameters
    ----------
    on_change, on_error : callable
        As of :class:`CalibrationEditor`.

    Examples
    --------
    >>> import numpy as np
    >>> missing = MissingCalibration(lambda **changes: None, lambda text: None)
    >>> missing.show(Dataset(np.ones((2, 2, 8, 8)))); missing.shown
    True
    >>> missing.show(None); missing.shown
    False
    """

    def __init__(self, on_change: Callable[..., Any], on_error: Callable[[str], Any]) -> None:
        self._of: Callable[[], Any] = _nothing  # the patterns whose calibration was incomplete, which it does not keep
        self.text: HTML = text_label("", "pty-status")
        self.editor = CalibrationEditor(on_change, on_error)
        self.editor.from_disk.layout.display = "none"  # the dataset browser has measured the disk
        super().__init__([self.text, self.editor], layout={"display": "none"})
        self.add_class("pty-panel")
        self.add_class("pty-missing")

    @classmethod
    def of_widget(cls, widget: Panel) -> MissingCalibration:
        """The fields for the data of a widget's reconstruction, which is calibrated by them."""

        def calibrate(**changes: Any) -> None:
            try:
                widget.recon.set_calibration(**changes)
            finally:
                missing.show(widget.recon.dataset)
            widget.set_status("")

        missing = cls(widget.safe_callback(calibrate), widget.safe_callback(widget.set_error))
        return missing

    @property
    def shown(self) -> bool:
        """Whether it is to be seen."""
        return self.layout.display == ""

    def show(self, dataset: Dataset | None) -> None:
        """Show these data's calibration where something is missing, or was."""
        if dataset is None:
            self._of = _nothing
            self.layout.display = "none"
            return
        summary = summary_of(dataset)
        if summary.missing:
            self._of = _reference(dataset.data)
        elif self._of() is not dataset.data:
            self.layout.display = "none"
            return
        text = f"{summary.to_give('widget')}." if summary.missing else COMPLETE
        set_text(self.text, typeset(text))
        self.text.remove_class("pty-good" if summary.missing else "pty-warn")
        self.text.add_class("pty-warn" if summary.missing else "pty-good")
        self.editor.show(dataset.calibration)
        self.layout.display = ""


def _nothing() -> None:
    return None


def _reference(data: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(data)
    except TypeError:  # of a kind that cannot be referred to so
        return _nothing


__all__ = ["MissingCalibration"]
