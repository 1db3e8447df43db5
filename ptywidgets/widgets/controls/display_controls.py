"""How an image is coloured: scale, gamma, colour map, and the unit of its axes."""

from __future__ import annotations

from typing import Any

from ipywidgets import Box, FloatSlider

from ptywidgets.engine.data.calibration import Calibration, single
from ptywidgets.widgets.controls.fields import dropdown, tip
from ptywidgets.widgets.controls.formatting import unit_text
from ptywidgets.widgets.image.image_view import SCALES, ImageView

CMAPS = ("inferno", "magma", "viridis", "cividis", "gray", "turbo")


class DisplayControls(Box):
    """Scale, gamma (for "power") and colour map of a view of diffraction patterns, and the unit of its pixels."""

    def __init__(self, view: ImageView) -> None:
        self.view = view
        self.scale = dropdown("Scale", SCALES, view.scale, "Scale from value to colour.", "130px")
        style: dict[str, Any] = {"style": {"description_width": "initial"}, "layout": {"width": "170px"}}
        self.gamma = FloatSlider(
            view.gamma, min=0.1, max=2.0, step=0.05, description="γ", **style, **tip("Colour = value to this power.")
        )
        self.cmap = dropdown("Colours", CMAPS, view.cmap, "Colour map; cividis suits colour-blind readers.", "155px")
        units = [(unit_text("1/A"), "1/A"), ("mrad", "mrad"), ("px", "px")]
        self.unit = dropdown("Unit", units, "1/A", "Unit of the scale bar and of the cursor.", "110px")
        super().__init__([self.scale, self.gamma, self.cmap, self.unit])
        self.add_class("pty-toolbar")
        self.scale.observe(self._scaled, "value")
        self.gamma.observe(lambda change: setattr(view, "gamma", change["new"]), "value")
        self.cmap.observe(lambda change: setattr(view, "cmap", change["new"]), "value")
        view.observe(lambda change: setattr(self.scale, "value", change["new"]), "scale")  # the key l
        self._scaled(None)

    def pixel(self, calibration: Calibration) -> tuple[float | tuple[float, float], str]:
        """Width of a pixel (or height and width) in the chosen unit, or in the nearest that the calibration knows."""
        unit = self.unit.value
        if unit == "mrad" and "energy" not in calibration.missing and "q_pixel" not in calibration.missing:
            return single(calibration.angle_pixels), unit
        if unit != "px" and calibration.q_pixel is not None:
            return calibration.q_pixel, "1/A"
        return 1.0, "px"

    def _scaled(self, _change: Any) -> None:
        self.view.scale = self.scale.value
        self.gamma.layout.display = "" if self.scale.value == "power" else "none"
