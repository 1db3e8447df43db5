"""The centre-of-mass field that a RotationExplorer shows, with the units that the calibration gives it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.data.calibration import both
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.preprocess import (
    Curves,
    RotationFit,
    deflection,
    find_rotation,
    integrate,
    rotate_vectors,
    rotation_curves,
)


class ComField:
    """What was measured on some patterns, and what is left of it without descan.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.preprocess import centre_of_mass
    >>> data = samples.ducky("tiny")
    >>> field = ComField(centre_of_mass(data), data.data, data.calibration)
    >>> field.unit, field.step, field.phase(-15.0, False).shape
    ('1/A', (1.5, 'A'), (12, 12))
    """

    def __init__(
        self, com: np.ndarray, patterns: Any, calibration: Calibration, model: str = "plane", robust: bool = True
    ) -> None:
        self.com, self.patterns = com, patterns  # (2, Ry, Rx) px, and the array that it was measured on
        pixel, step = calibration.q_pixel, calibration.scan_step
        self.unit = "px" if pixel is None else "1/A"
        self.step: tuple[float | tuple[float, float], str] = (1.0, "px") if step is None else (step, "A")
        # (2, Ry, Rx), detector frame
        self.vectors = deflection(com, model, robust) * np.reshape(both(pixel or 1.0), (2, 1, 1))

    @property
    def in_rad(self) -> bool:
        """Whether the calibration gives the integrated phase its unit."""
        return self.unit != "px" and self.step[1] != "px"

    def measured_on(self, dataset: Dataset | None) -> bool:
        """Whether these are the patterns of `dataset`."""
        return dataset is not None and dataset.data is self.patterns

    def turned(self, rotation: float, transpose: bool) -> np.ndarray:
        """(2, Ry, Rx) in the scan frame."""
        return rotate_vectors(self.vectors, rotation, transpose)

    def phase(self, rotation: float, transpose: bool) -> np.ndarray:
        """(Ry, Rx) integrated centre of mass."""
        return integrate(self.turned(rotation, transpose), self.step[0])

    def curves(self) -> Curves:
        """Curl and divergence over the whole turn."""
        return rotation_curves(self.vectors, np.arange(-180.0, 181.0, 2.0), both(self.step[0]))

    def find(self) -> RotationFit:
        """The angle of least curl."""
        return find_rotation(self.vectors, steps=both(self.step[0]))
