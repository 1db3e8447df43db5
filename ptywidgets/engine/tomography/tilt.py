"""Tilts: how a volume is turned before the beam goes through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError

PLANES = {"x": (0, 1), "y": (2, 0), "z": (1, 2)}  # the two coordinates (z, y, x) that a turn about an axis mixes


@dataclass(frozen=True)
class Tilt:
    """Turns in degrees about the columns' axis x, then the rows' axis y, then the beam z, all fixed in space.

    About "x" positive angles turn z towards y, about "y" x towards z, about "z" y towards x, as
    :meth:`ptywidgets.engine.simulate.Atoms.rotated` does. Together they make every orientation.

    Examples
    --------
    >>> Tilt(x=30)
    Tilt(x=30, y=0.0, z=0.0)
    >>> (Tilt(x=90).matrix @ [1, 0, 0]).round(6).tolist()  # what was ahead along the beam is now a row
    [0.0, 1.0, 0.0]
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    def __post_init__(self) -> None:
        if not all(np.isfinite(angle) for angle in (self.x, self.y, self.z)):
            raise ParameterError(f"{self!r} has an angle that is no number; expected degrees.")

    @classmethod
    def of(cls, tilt: Any) -> Tilt:
        """A tilt as it is, of a number (degrees about x), or of a matrix as :meth:`from_matrix` takes it."""
        if isinstance(tilt, Tilt):
            return tilt
        if np.ndim(tilt) == 0:
            try:
                return cls(x=float(tilt))
            except (TypeError, ValueError):
                raise ParameterError(f"the tilt is {tilt!r}; expected degrees, a Tilt or a matrix (3, 3).") from None
        return cls.from_matrix(tilt)

    @classmethod
    def about_axis(cls, angle: float, azimuth: float) -> Tilt:
        """By `angle` about an axis in the plane of the image, `azimuth` degrees from the columns' axis x towards y.

        Examples
        --------
        >>> Tilt.about_axis(20, 0)
        Tilt(x=20.0, y=0.0, z=0.0)
        """
        return cls.from_matrix(turn("z", -azimuth) @ turn("x", angle) @ turn("z", azimuth))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Tilt:
        """Of a rotation matrix (3, 3) that acts on (z, y, x).

        Raises
        ------
        ParameterError
            When it is no rotation.
        """
        matrix = np.asarray(matrix, float)
        if matrix.shape != (3, 3) or not (
            np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) and np.linalg.det(matrix) > 0
        ):
            raise ParameterError(f"the tilt is {matrix.tolist()}; expected a rotation matrix (3, 3) on (z, y, x).")
        x = np.arctan2(-matrix[0, 1], matrix[0, 0])
        y = np.arcsin(np.clip(matrix[0, 2], -1, 1))
        last = matrix @ (turn("y", np.degrees(y)) @ turn("x", np.degrees(x))).T
        return cls(*(float(np.degrees(angle).round(9) + 0.0) for angle in (x, y, np.arctan2(last[2, 1], last[1, 1]))))

    @property
    def matrix(self) -> np.ndarray:
        """Rotation (3, 3) that acts on (z, y, x)."""
        return turn("z", self.z) @ turn("y", self.y) @ turn("x", self.x)


def turn(axis: str, angle: float) -> np.ndarray:
    """Rotation (3, 3) by `angle` degrees about one axis, on (z, y, x)."""
    first, second = PLANES[axis]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix
