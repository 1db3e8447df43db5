"""The diffraction pattern with a virtual detector to be dragged and resized on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ipywidgets import ToggleButtons, VBox

from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.data.virtual import PRESETS, Detector, Disk, preset_detector
from ptywidgets.widgets.controls.display_controls import DisplayControls
from ptywidgets.widgets.controls.fields import AUTO_WIDTH, text_label, toolbar
from ptywidgets.widgets.image.image_view import ImageView

COLOR = "#38e1ff"
SHAPES = {"Disk": "disk", "Ring": "annulus", "Box": "rectangle"}
SHAPE_LABELS = {name: word for word, name in SHAPES.items()}
PRESET_LABELS = {"BF": "bright field", "ABF": "annular bright field", "ADF": "annular dark field"}
FIELDS = {
    "disk": ("shape", "y", "x", "r"),
    "annulus": ("shape", "y", "x", "r", "r_inner"),
    "rectangle": ("shape", "y", "x", "h", "w"),
}


class PatternPane(VBox):
    """Pattern, choice of a detector, and how the pattern is coloured."""

    def __init__(self) -> None:
        self.disk: Disk | None = None  # the bright-field disk, once it is fitted
        self.detector: Detector | None = None
        self.view = ImageView("Diffraction pattern", "inferno", scale="sqrt", placeholder="No data yet.")
        self.choice = ToggleButtons(options=[*PRESETS, *SHAPES], value="BF", **AUTO_WIDTH)
        self.display = DisplayControls(self.view)
        super().__init__([toolbar(text_label("Detector", "pty-note"), self.choice), self.view, self.display])
        self.add_class("pty-panel")

    @property
    def name(self) -> str:
        """The detector in words."""
        return PRESET_LABELS.get(self.choice.value, "free detector")

    def reset(self) -> None:
        """Other data, whose disk is not fitted yet."""
        self.disk = self.detector = None
        self.view.regions = []

    def choose(self, choice: str | Detector, shape: tuple[int, int]) -> str:
        """Take a preset, one of the shapes, or a detector; returns what the buttons are to say."""
        if isinstance(choice, Detector):
            detector, word = choice, SHAPE_LABELS[choice.shape]
        elif self.disk is None:
            return choice
        elif choice in PRESETS:
            detector, word = preset_detector(choice, self.disk, shape), choice
        else:
            (y, x), r = self.disk.centre, self.disk.radius
            outer = r / 2 if choice == "Disk" else r
            detector, word = Detector(SHAPES[choice], y, x, r=outer, r_inner=r / 2, h=r, w=r), choice
        self.detector = detector
        places = {name: getattr(detector, name) for name in FIELDS[detector.shape]}
        region = {"id": "detector", "color": COLOR, "label": PRESET_LABELS.get(word, "detector")}
        self.view.regions = [{**region, **places}]
        return word

    def take(self, region: dict[str, Any]) -> str | None:
        """The user has moved the detector; what the buttons are to say, or None when another was chosen meanwhile."""
        if self.detector is None or region["shape"] != self.detector.shape:
            return None
        self.detector = Detector(**{name: region[name] for name in FIELDS[region["shape"]]})
        if region["label"] != "detector":  # what has been moved is no preset any more
            self.view.set_region("detector", label="detector")
        return SHAPE_LABELS[region["shape"]]

    def show(self, pattern: np.ndarray, calibration: Calibration, note: str) -> None:
        """Show a pattern (Qy, Qx)."""
        sampling, unit = self.display.pixel(calibration)
        if self.disk is not None:
            self.view.set_trait("origin", self.disk.centre)
        self.view.note = note
        self.view.show(pattern, sampling=sampling, unit=unit)
