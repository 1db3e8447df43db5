"""The integrated phase at one angle, and that of the angle turned by 180 degrees."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.widgets.image.image_view import ImageView


class PhasePair:
    """Two views; which of the two shows bright atoms is for the user to see."""

    def __init__(self, placeholder: str = "", max_width: int = 420) -> None:
        self.chosen = ImageView("Phase", "magma", placeholder=placeholder, max_width=max_width)
        self.flipped = ImageView("Phase, flipped", "magma", placeholder=placeholder, max_width=max_width)
        self.views = [self.chosen, self.flipped]

    def show(
        self,
        phase: np.ndarray,
        angle: float,
        step: tuple[float | tuple[float, float], str],
        in_rad: bool,
        live: bool = False,
    ) -> None:
        """Show a phase (Ry, Rx) and, flipped by 180 degrees, its negative.

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
        self.flipped.title = f"Phase at {wrapped_angle(angle + 180):.1f}°, flipped"
        for view, image in ((self.chosen, phase), (self.flipped, -phase)):
            view.note = "rad" if in_rad else "arbitrary units"
            view.show(image, live=live, sampling=step[0], unit=step[1])
