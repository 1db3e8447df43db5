"""Energy, scan step, detector pixel and semi-angle in four fields, checked as the engine checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.data.calibration import PAIRED, Calibration, in_words, single
from ptywidgets.widgets.controls.fields import NumberField, button, note, number_field, set_text, toolbar

ENTRIES = {
    "energy": ("energy", "keV", "Beam energy."),
    "scan_step": (
        "scan step",
        "A",
        "Distance of probe positions; 4.0 x 3.2 (rows x columns) where they differ.",
    ),
    "q_pixel": (
        "q pixel",
        "1/A",
        "Size of a detector pixel; 0.025 x 0.02 (rows x columns) where they differ.",
    ),
    "semiangle": ("semi-angle", "mrad", "Convergence semi-angle: radius of the bright-field disk."),
}


class CalibrationEditor(VBox):
    """Fields for a calibration; an empty field is a value that is not known.

    Parameters
    ----------
    on_change : callable
        Called with the changes, such as ``energy=80e3`` (eV); it may raise, and :meth:`show` then brings the old back.
    on_error : callable
        Called with a message about an entry that is no number; with none when it is put right.
    """

    def __init__(self, on_change: Callable[..., Any], on_error: Callable[[str], Any]) -> None:
        self._on_change, self._on_error, self._showing = on_change, on_error, False
        self.fields: dict[str, NumberField] = {}
        for name, (label, unit, doc) in ENTRIES.items():
            field = number_field(label, None, unit=unit, doc=doc, optional=True, pair=name in PAIRED)
            field.observe(lambda change, name=name: self._changed(name, change["new"]), "value")
            field.observe(lambda change: self._on_error(change["new"]), "error")
            self.fields[name] = field
        self.from_disk = button("Semi-angle from disk", "Radius of the bright-field disk x q pixel x wavelength")
        self.facts = note()
        super().__init__([toolbar(*self.fields.values()), toolbar(self.from_disk, self.facts)])
        self.add_class("pty-panel")

    def show(self, calibration: Calibration | None) -> None:
        """Show these values; `on_change` is not called."""
        calibration = calibration or Calibration()
        self._showing = True
        try:
            for name, field in self.fields.items():
                value = getattr(calibration, name)
                field.value = value / 1e3 if name == "energy" and value is not None else value
                field.show()
        finally:
            self._showing = False
        facts = []
        if calibration.energy is not None:
            facts.append(f"wavelength {calibration.wavelength:.4g} Å")
            if calibration.q_pixel is not None:
                facts.append(f"q pixel {in_words(single(calibration.angle_pixels), 4, ' × ')} mrad")
        set_text(self.facts, " · ".join(facts))
        self.from_disk.disabled = "energy" in calibration.missing or "q_pixel" in calibration.missing

    def _changed(self, name: str, value: Any) -> None:
        if not self._showing:
            self._on_change(**{name: value * 1e3 if name == "energy" and value is not None else value})
