"""The centre-of-mass field as maps: row and column component, direction and size."""

from __future__ import annotations

import numpy as np
from ipywidgets import VBox

from ptywidgets.engine.preprocess import ORIGIN_MODELS, deflection, directions, fit_origin
from ptywidgets.widgets.controls.fields import checkbox, dropdown, heading, panel, panels, toolbar
from ptywidgets.widgets.image.image_view import ImageView

SHOWN = {"corrected": "corrected", "measured": "measured", "fitted": "fitted origin"}


class ComMaps(VBox):
    """Three images of a field, with the choice of the field and of the descan model."""

    def __init__(self, placeholder: str = "", max_width: int = 420) -> None:
        self.shown = dropdown("Show", [(label, name) for name, label in SHOWN.items()], "corrected", width="190px")
        self.model = dropdown(
            "Descan", ORIGIN_MODELS, "plane", "Surface that is fitted to the origin over the scan.", "150px"
        )
        self.robust = checkbox("robust", True, "Exclude outliers from the descan fit.")
        self.row_view = ImageView("Row component", "RdBu", placeholder=placeholder, max_width=max_width)
        self.column_view = ImageView("Column component", "RdBu", placeholder=placeholder, max_width=max_width)
        self.field_view = ImageView(
            "Direction and size", kind="complex", percentiles=(0, 99), placeholder=placeholder, max_width=max_width
        )
        self.views = [self.field_view, self.row_view, self.column_view]
        super().__init__(
            [
                toolbar(heading("Centre of mass"), self.shown, self.model, self.robust),
                panels(panel(self.row_view), panel(self.column_view), panel(self.field_view)),
            ]
        )
        self.add_class("pty-panel")

    def show(
        self,
        com: np.ndarray,
        field: np.ndarray,
        unit: str,
        step: tuple[float | tuple[float, float], str],
        live: bool = False,
    ) -> None:
        """Show the field that is chosen.

        Parameters
        ----------
        com : ndarray (2, Ry, Rx)
            As measured, px.
        field : ndarray (2, Ry, Rx)
            Without descan, turned into the scan frame.
        unit : str
            Of `field`, as it is shown.
        step : (float or (float, float), str)
            Scan step and its unit.
        """
        if self.shown.value != "corrected":
            measured = self.shown.value == "measured"
            chosen = com if measured else fit_origin(com, self.model.value, self.robust.value)
            field, unit = deflection(chosen, "constant", robust=False), "px, from its mean"
        images = (directions(field), field[0], field[1])
        for view, image in zip(self.views, images, strict=True):
            view.note = f"{SHOWN[self.shown.value]}, {unit}"
            view.show(image, live=live, sampling=step[0], unit=step[1])
