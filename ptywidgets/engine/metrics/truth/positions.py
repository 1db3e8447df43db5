"""How far positions are from where they should be, once what the data cannot tell is taken off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import DataError


@dataclass(frozen=True, eq=False)
class PositionErrors:
    """Differences of two sets of positions, and the map between them that was taken off."""

    errors: np.ndarray  # (J, 2) A, what is left: matrix . position + offset - truth
    matrix: np.ndarray  # (2, 2), identity unless an affine map was asked for
    offset: np.ndarray  # (2,) A

    @property
    def distances(self) -> np.ndarray:
        """Error of each position (J,) in A."""
        return np.hypot(*self.errors.T)

    @property
    def rms(self) -> float:
        """Root mean square of the distances in A."""
        return float(np.sqrt(np.mean(self.errors**2) * 2))

    @property
    def scale(self) -> float:
        """By which the positions were magnified to match: the root of the determinant."""
        return math.sqrt(abs(np.linalg.det(self.matrix)))

    @property
    def rotation(self) -> float:
        """By which they were turned, degrees from the row axis towards the column axis."""
        m = self.matrix
        return math.degrees(math.atan2(m[1, 0] - m[0, 1], m[0, 0] + m[1, 1]))

    def __str__(self) -> str:
        return f"{self.rms:.3g} A rms after scale {self.scale:.5g} and rotation {self.rotation:.3g} degrees"


def position_errors(positions: np.ndarray, truth: np.ndarray, *, affine: bool = False) -> PositionErrors:
    """Error of each position after the mean shift, or the best affine map, has been taken off.

    Object and positions can be shifted together without any change of the data; an affine map of the positions is
    nearly made up for by defocus and astigmatism. The map is that of least squares, min sum_j |M x_j + b - t_j|^2.

    Parameters
    ----------
    positions : ndarray (J, 2)
        A.
    truth : ndarray (J, 2)
        A, in the same order.
    affine : bool
        Whether scale, rotation and shear are taken off too, or the mean shift only.

    Returns
    -------
    PositionErrors

    Raises
    ------
    DataError
        When the two do not belong together, or are too few to tell.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0)), -1).reshape(-1, 2)
    >>> round(position_errors(grid + [3.0, 4.0], grid).rms, 9)
    0.0
    >>> found = position_errors(grid / 1.02, grid, affine=True)
    >>> round(found.rms, 9), round(found.scale, 4)
    (0.0, 1.02)
    """
    ours, theirs = np.asarray(positions, float), np.asarray(truth, float)
    if ours.shape != theirs.shape or ours.ndim != 2 or ours.shape[1] != 2:
        raise DataError(f"positions are {ours.shape} and true ones {theirs.shape}; expected (J, 2) of both, in A.")
    middle, target = ours.mean(0), theirs.mean(0)
    matrix = np.eye(2)
    if affine:
        if np.linalg.matrix_rank(ours - middle) < 2:
            raise DataError(f"{len(ours)} positions on a line fix no affine map; pass affine=False.")
        solution, *_ = np.linalg.lstsq(ours - middle, theirs - target, rcond=None)
        matrix = solution.T
    offset = target - matrix @ middle
    return PositionErrors(ours @ matrix.T + offset - theirs, matrix, offset)
