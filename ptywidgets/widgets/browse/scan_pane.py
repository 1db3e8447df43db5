"""The scan image with the probe, or a region of positions, to be dragged on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ipywidgets import ToggleButtons, VBox

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.data.virtual import scan_range
from ptywidgets.widgets.controls.fields import AUTO_WIDTH, text_label, toolbar
from ptywidgets.widgets.image.image_view import ImageView

COLOR = "#ffb000"


class ScanPane(VBox):
    """Image of the scan; "Point" or "Region" is what is chosen on it."""

    def __init__(self) -> None:
        self.shape = (1, 1)
        self.view = ImageView("Scan: virtual image", "gray", placeholder="No data yet.")
        self.mode = ToggleButtons(options=["Point", "Region"], value="Point", **AUTO_WIDTH)
        self._point: dict[str, Any] = {
            "id": "probe", "shape": "point", "y": 0, "x": 0, "snap": True, "color": COLOR, "label": "probe",
        }  # fmt: skip
        super().__init__([toolbar(text_label("Probe", "pty-note"), self.mode), self.view])
        self.add_class("pty-panel")

    @property
    def position(self) -> tuple[int, int]:
        """Row and column of the probe."""
        return round(self._point["y"]), round(self._point["x"])

    @property
    def region(self) -> tuple[int, int, int, int] | None:
        """Chosen positions (y0, y1, x0, x1), half-open; None while a point is chosen."""
        box = next((region for region in self.view.regions if region["id"] == "box"), None)
        return None if box is None else scan_range((box["y"], box["x"]), box["h"], box["w"], self.shape)

    def reset(self, shape: tuple[int, int] | None) -> None:
        """Another scan: the probe in its middle; None empties the image."""
        if shape is None:
            self.view.regions = []
            self.view.clear()
            return
        self.shape = shape
        self.move(shape[0] // 2, shape[1] // 2)

    def move(self, y: int, x: int) -> None:
        """Put the probe at a position of the scan."""
        ry, rx = self.shape
        if not (0 <= y < ry and 0 <= x < rx):
            raise ParameterError(f"position is {(y, x)}; expected rows 0 to {ry - 1} and columns 0 to {rx - 1}.")
        self._point = {**self._point, "y": y, "x": x}
        self.choose()

    def take(self, region: dict[str, Any]) -> None:
        """The user has moved a region."""
        if region["id"] == "probe":
            self._point = {**region, "y": round(region["y"]), "x": round(region["x"])}

    def choose(self) -> None:
        """Show what the mode says: the point, or a region about it."""
        if self.mode.value == "Point":
            self.view.regions = [self._point]
            return
        (y, x), (ry, rx) = self.position, self.shape
        size = {"h": max(ry // 4, 1), "w": max(rx // 4, 1)}
        box = {"id": "box", "shape": "rectangle", "color": COLOR, "label": "region"}
        self.view.regions = [{**box, "y": y, "x": x, **size}]

    def show(self, image: np.ndarray, calibration: Calibration, note: str, live: bool = False) -> None:
        """Show a virtual image (Ry, Rx)."""
        step = calibration.scan_step
        self.view.note = note
        self.view.show(image, live=live, sampling=step or 1.0, unit="px" if step is None else "A")
