"""Normal equations of the spatial frequencies that a coarse scan folds onto one another.

A scan of step s cannot tell Q from Q + n / s, yet each of them has side bands of its own on the detector. With Y_n =
Gamma(K, Q_n) / noise(K), all that fold onto one scan frequency are found together from Y* Y x = Y* G.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.sidebands.overlaps import Overlaps

MOST_FOLDED = 60  # frequencies solved for together; LAPACK too stays on the calling thread up to 63


@dataclass(frozen=True)
class Equations:
    """Normal equations of a few scan frequencies, with all the frequencies that fold onto each."""

    rows: np.ndarray  # (C, N) in the fine image's spectrum
    columns: np.ndarray  # (C, N)
    radius: np.ndarray  # (C, N) 1/A; infinite where there is none
    matrix: np.ndarray  # (C, N, N) complex64
    right: np.ndarray  # (C, N) complex64
    power: np.ndarray  # (C,) of the weighted data

    def solve(self, regularisation: np.ndarray) -> np.ndarray:
        """i phi (C, N), given L (C, N) on the diagonal."""
        if self.matrix.shape[-1] == 1:
            return self.right / (self.matrix[..., 0] + regularisation)
        return pattern_kernels().solve(self.matrix, self.right, regularisation)


def folded(frame: BrightField, index: np.ndarray, fine: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The frequencies of an image `fine` times finer than the scan that the scan folds onto q.

    Parameters
    ----------
    frame : BrightField
        For the scan and its orientation.
    index : ndarray (C, 2)
        Row and column of each q in the transform of the scan.
    fine : int

    Returns
    -------
    places : list of two ndarrays (C, N)
        Row and column in the transform of the fine image; N = fine^2.
    frequencies : ndarray (2, C, N)
        1/A, in the detector frame.
    """
    places: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for axis, (n, step) in enumerate(zip(frame.scan_shape, frame.scan_steps, strict=True)):
        along = index[:, axis, None] + n * np.arange(fine)
        shape = (len(index), fine, 1) if axis == 0 else (len(index), 1, fine)
        frequency = np.fft.fftfreq(n * fine, step / fine)[along]
        for kept, of_axis in ((places, along), (values, frequency)):
            kept.append(np.broadcast_to(of_axis.reshape(shape), (len(index), fine, fine)).reshape(len(index), -1))
    return places, frame.to_detector(np.stack(values))


def normal_equations(
    overlaps: Overlaps,
    spectra: np.ndarray,
    places: list[np.ndarray],
    frequencies: np.ndarray,
    limit: float,
    weights: np.ndarray,
) -> Equations:
    """Normal equations for spectra (C, K) with `weights` (K,), of the frequencies up to `limit` (1/A)."""
    radius = np.hypot(*frequencies)
    radius[radius > limit] = np.inf
    most = min(MOST_FOLDED, max(1, int(np.isfinite(radius).sum(1).max())))
    nearest = np.argsort(radius, axis=1)[:, :most]
    rows, columns, ky, kx, radius = (np.take_along_axis(v, nearest, axis=1) for v in (*places, *frequencies, radius))
    found = np.isfinite(radius)
    ky[~found] = kx[~found] = 0  # within the table
    root = np.sqrt(weights)
    products = overlaps.weighted(root).products(ky, kx, found.sum(1), spectra * root)
    matrix, right, power = products[:, :most, :most], products[:, :most, most], products[:, most, most].real
    return Equations(rows, columns, radius, matrix, right, power)
