"""What a direct method gives: a phase on a grid in the scan frame, and a start for the iteration from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.prepare.rotation import rotate_vectors

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem

FADE = 1.0  # scan steps over which the phase at the scan's edge is let go
ON_VACUUM = 1.0  # skewness of a phase


@dataclass(frozen=True)
class DirectImage:
    """Phase of the specimen by a direct method.

    Pixel (0, 0) lies on the first scan position, and the rows run along the scan's rows.
    """

    phase: np.ndarray  # (Y, X) float32, rad, positive for atoms
    sampling: tuple[float, float]  # A
    method: str
    rotation: float  # degrees, detector to scan, as it was taken
    transpose: bool
    aberrations: Aberrations = field(default_factory=Aberrations)  # corrected ones, detector frame
    message: str = ""
    errors: tuple[float, ...] = ()  # of an iterative method, one for each step that was kept

    def __repr__(self) -> str:
        ny, nx = self.phase.shape
        return f"DirectImage({self.method}, {ny}x{nx}, {self.sampling[0]:.3g} A pixels)"


def start_object(image: DirectImage, problem: Problem) -> np.ndarray:
    """The object that a reconstruction starts from: the image's phase on the grid of a problem's object.

    Parameters
    ----------
    image : DirectImage
    problem : Problem
        From :func:`ptywidgets.engine.make_problem`, of the same scan; its positions say where the scan lies.

    Returns
    -------
    ndarray (S, Y, X)
        complex64 with modulus 1, or float32 in rad, as the problem's object. Each of the S slices has its share of the
        phase; outside of the scan it fades to 0. A phase has no zero of its own: where most of the image is vacuum,
        which a skewness of more than 1 tells (noise has 0, atoms on nothing about 2), it is the most frequent value,
        and what lies below is noise, of which a potential keeps nothing; elsewhere it is the low end.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Optics, make_problem, prepare
    >>> measurement = prepare(samples.ducky("tiny"))
    >>> problem = make_problem(measurement, Optics(semiangle=20))
    >>> flat = DirectImage(np.zeros((12, 12), np.float32), (4.0, 4.0), "none", -15.0, False)
    >>> start_object(flat, problem).shape == problem.object_shape
    True
    """
    positions, measurement = problem.first_positions, problem.measurement
    middle = (positions.max(0) + positions.min(0)) / 2
    slices, *shape = problem.object_shape
    axes = [np.arange(n) * s - m for n, s, m in zip(shape, problem.sampling, middle, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    scan = rotate_vectors(grid, measurement.rotation, measurement.transpose)  # A, about the scan's middle
    step = measurement.calibration.require("scan_step")
    first = [(n - 1) / 2 * step for n in measurement.scan_shape]
    index = np.stack([(v + f) / s for v, f, s in zip(scan, first, image.sampling, strict=True)])
    on_vacuum = _skewness(image.phase) > ON_VACUUM
    phase = image.phase - (_mode(image.phase) if on_vacuum else np.percentile(image.phase, 5))
    potential = not np.iscomplexobj(problem.first_object)
    last = np.array(image.phase.shape).reshape(2, 1, 1) - 1
    beyond = np.hypot(*((index - np.clip(index, 0, last)) * np.array(image.sampling).reshape(2, 1, 1)))
    fade = np.exp(-((beyond / FADE / step) ** 2))
    moved = ndimage.map_coordinates(phase, np.clip(index, 0, last), order=3, mode="nearest") * fade
    if on_vacuum and potential:
        moved = np.maximum(moved, 0)
    per_slice = np.broadcast_to((moved / slices).astype(np.float32), (slices, *shape))
    if not potential:
        return problem.model.specimen.from_transmission(np.exp(1j * per_slice).astype(np.complex64))
    return per_slice.copy()  # the phase itself: that of a transmission would wrap at pi


def _mode(values: np.ndarray) -> float:
    """The most frequent value: the half of the values that lies closest together, and of it again the half; D. R.
    Bickel and R. Fruehwirth, Comput. Stat. Data Anal. 50, 3500 (2006)."""
    left = np.sort(values, axis=None)
    while len(left) > 3:
        half = (len(left) + 1) // 2
        first = int((left[half - 1 :] - left[: len(left) - half + 1]).argmin())
        left = left[first : first + half]
    return float(left.mean())


def _skewness(values: np.ndarray) -> float:
    off = values - values.mean(dtype=np.float64)
    return float((off**3).mean() / max(float((off**2).mean()) ** 1.5, np.finfo(float).tiny))
