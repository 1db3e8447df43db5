"""The integrated phase at one angle beside that of its twin, 180 degrees away."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.prepare import wrapped_angle
from ptywidgets.widgets.image_view import ImageView


class PhasePair:
    """Two views; which of the two shows bright atoms is for the user to see."""

    def __init__(self, placeholder: str = "", max_width: int = 420) -> None:
        self.chosen = ImageView("Phase", "magma", placeholder=placeholder, max_width=max_width)
        self.twin = ImageView("Phase of the twin", "magma", placeholder=placeholder, max_width=max_width)
        self.views = [self.chosen, self.twin]

    def show(
        self,
        phase: np.ndarray,
        angle: float,
        step: tuple[float | tuple[float, float], str],
        in_rad: bool,
        live: bool = False,
    ) -> None:
        """Show a phase (Ry, Rx) and, as that of the twin, its negative.

        Parameters
        ----------
        phase : ndarray (Ry, Rx)
        angle : float
            Degrees.
        step : (float or (float, float), str)
            Scan step and its unit.
        in_rad : bool
            Whether the calibration gives the phase its unit.
        """
        self.chosen.title = f"Phase at {angle:.1f}°"
        self.twin.title = f"Its twin, {wrapped_angle(angle + 180):.1f}°"
        for view, image in ((self.chosen, phase), (self.twin, -phase)):
            view.note = "rad" if in_rad else "arbitrary units"
            view.show(image, live=live, sampling=step[0], unit=step[1])
