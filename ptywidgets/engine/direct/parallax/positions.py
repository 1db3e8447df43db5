"""Where the scan really was: one offset for each scan position, which all tilted images share.

The images of all tilts are taken at once, so an unsteady scan displaces the same position in each of them by the same
vector, while what the aberrations do is different in each. With the common image f, image k at the position R is
f(R + shift(k) + d(R)): a least-squares problem in d(R) at each position, over tilts, smoothed over the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.direct.parallax.fit import predicted_shifts
from ptywidgets.engine.direct.parallax.parallax import Parallax
from ptywidgets.engine.direct.parallax.search import merged
from ptywidgets.engine.direct.parallax.tilt_spectra import CHUNK
from ptywidgets.engine.direct.parallax.upsample import FineImage, scattered


@dataclass(frozen=True)
class PositionFit:
    """Offsets of the scan positions, and the image with them taken into account."""

    offsets: np.ndarray  # (2, Ry, Rx) A, scan frame: add them to the raster
    image: np.ndarray  # (Y, X) float32, relative to its mean
    sampling: tuple[float, float]  # A
    errors: tuple[float, ...]  # share of the images' variance left unexplained, before each round and after the last


@counted(iterations=1, most=1)
def correct_positions(
    result: Parallax,
    *,
    iterations: int = 6,
    smooth: float = 1.0,
    factor: float = 3.0,
    kernel: float = 0.1,
    largest: float = 1.0,
    most: int = 200,
) -> PositionFit:
    """Find by how much each scan position was off its place on the raster.

    Parameters
    ----------
    result : Parallax
    iterations : int
        Rounds of: common image, one least-squares step of all offsets. The best round is returned.
    smooth : float
        Sigma in scan pixels of the neighbourhood that moves together; 0: each position on its own.
    factor : float
        Pixels per scan step of the common image.
    kernel : float
        Its smoothing, sigma in scan steps: more for few counts, but what it blurs cannot place a position.
    largest : float
        Scan steps: offsets are kept within.
    most : int
        Tilts that are used; where there are more, neighbours are merged.

    Returns
    -------
    PositionFit
        Offsets have no common displacement, which the image would take up.
    """
    if iterations < 1:
        raise ParameterError(f"iterations is {iterations}; expected at least 1.")
    bright = merged(result.bright, most)
    shifts = predicted_shifts(bright.tilts, result.aberrations, result.rotation, result.transpose, bright.wavelength)
    limit = largest * np.array(bright.scan_steps)[:, None, None]
    offsets = np.zeros((2, *bright.scan_shape))
    best = offsets
    errors: list[float] = []
    for turn in range(iterations + 1):
        fine = scattered(bright, shifts, factor, kernel, offsets)
        pull, stiffness, error = _position_step(bright.images, fine, shifts, offsets, bright.scan_steps)
        if not errors or error < min(errors):
            best = offsets
        errors.append(error)
        if turn == iterations:
            break
        if smooth > 0:
            pull = ndimage.gaussian_filter(pull, (0, smooth, smooth), mode="nearest")
            stiffness = ndimage.gaussian_filter(stiffness, (0, 0, smooth, smooth), mode="nearest")
        firm = np.moveaxis(stiffness, (0, 1), (-2, -1))
        firm = firm + 0.05 * np.trace(firm.mean((0, 1))) / 2 * np.eye(2)
        step = np.linalg.solve(firm, np.moveaxis(pull, 0, -1)[..., None])[..., 0]
        offsets = np.clip(offsets + np.moveaxis(step, -1, 0), -limit, limit)
        offsets = offsets - offsets.mean((1, 2), keepdims=True)
    wanted = result.predicted
    fine = scattered(result.bright, wanted, factor, offsets=best)
    return PositionFit(best, fine.cropped(fine.image), fine.sampling, tuple(errors))


def _position_step(
    images: np.ndarray, fine: FineImage, shifts: np.ndarray, offsets: np.ndarray, steps: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Pull (2, Ry, Rx), stiffness (2, 2, Ry, Rx) of every position, and the share of variance left."""
    scan = images.shape[1:]
    scale = 1 / np.array(fine.sampling)
    contrast = ndimage.spline_filter((fine.image - 1).astype(np.float32), order=3, mode="nearest")
    slopes = [
        ndimage.spline_filter(g * s, order=3, mode="nearest") for g, s in zip(_slopes(fine.image), scale, strict=True)
    ]
    axes = [np.arange(n) * step for n, step in zip(scan, steps, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij")) + offsets
    pull, stiffness = np.zeros((2, *scan)), np.zeros((2, 2, *scan))
    left = whole = 0.0
    for first in range(0, len(shifts), CHUNK):
        part = slice(first, first + CHUNK)
        place = (grid[None] + shifts[part, :, None, None]) * scale[:, None, None]
        place = np.moveaxis(place + np.array(fine.margin)[:, None, None], 1, 0)
        expected, down, right = (
            ndimage.map_coordinates(f, place, order=3, mode="nearest", prefilter=False) for f in (contrast, *slopes)
        )
        means = images[part].mean(axis=(1, 2), dtype=np.float64)[:, None, None]
        measured = images[part] / means - 1
        rest = measured - expected
        left += float((means * rest**2).sum())
        whole += float((means * measured**2).sum())
        for i, a in enumerate((down, right)):
            pull[i] += (means * a * rest).sum(0)
            for j, b in enumerate((down, right)):
                stiffness[i, j] += (means * a * b).sum(0)
    return pull, stiffness, left / max(whole, 1e-300)


def _slopes(image: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(g, np.float32) for g in np.gradient(image)]
