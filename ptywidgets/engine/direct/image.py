"""What a direct method gives: a phase on a grid in the scan frame, and a start for the iteration from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from ptywidgets.engine.backends.kernels.kernels import load_kernels
from ptywidgets.engine.backends.kernels.numpy_patterns import SPLINE_MARGIN
from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.data.calibration import in_words, single
from ptywidgets.engine.direct.threads import shared
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess.rotation import rotate_vectors
from ptywidgets.engine.problem.problem import Problem

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
        return f"DirectImage({self.method}, {ny}x{nx}, {in_words(single(self.sampling), 3)} A pixels)"


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
    phase = image.phase
    on_vacuum = _skewness(phase) > ON_VACUUM
    phase = phase - np.float32(_mode(phase) if on_vacuum else np.percentile(phase, 5))
    moved = _on_grid(replace(image, phase=phase), problem)
    slices = problem.object_shape[0]
    potential = not np.iscomplexobj(problem.initial_object)
    if on_vacuum and potential:
        np.maximum(moved, 0, out=moved)
    moved /= slices
    if potential:  # the phase itself: that of a transmission would wrap at pi
        return np.broadcast_to(moved, problem.object_shape).copy()
    waves = np.empty(moved.shape, np.complex64)
    shared(lambda rows: load_kernels().phase_factor(moved[rows], waves[rows]), len(moved))
    return problem.model.specimen.from_transmission(np.broadcast_to(waves, problem.object_shape))


def _on_grid(image: DirectImage, problem: Problem) -> np.ndarray:
    """The phase (Y, X) float32 on the grid of the problem's object, by a cubic spline; it fades beyond the image."""
    measurement = problem.measurement
    step, sampling = np.array(measurement.calibration.scan_steps), np.array(image.sampling)
    middle = problem.scan_middle
    vectors = np.column_stack([-middle, np.diag(problem.sampling)])  # the grid's corner, from the middle, and its steps
    corner, *steps = rotate_vectors(vectors, measurement.rotation, measurement.transpose).T / sampling
    corner += (np.array(measurement.scan_shape) - 1) / 2 * step / sampling
    coefficients = ndimage.spline_filter(np.pad(image.phase, SPLINE_MARGIN, mode="edge"), output=np.float32)
    moved = np.empty(problem.object_shape[-2:], np.float32)
    kernels, fade = pattern_kernels(), sampling / (FADE * step)

    def sampled(rows: slice) -> None:
        first = corner + rows.start * steps[0] + SPLINE_MARGIN
        kernels.sample(coefficients, first, np.stack(steps), fade, moved[rows])

    shared(sampled, len(moved))
    return moved


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
    squared = off * off
    return float((squared * off).mean() / max(float(squared.mean()) ** 1.5, np.finfo(float).tiny))
