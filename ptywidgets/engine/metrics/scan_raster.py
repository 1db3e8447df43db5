"""How much of the scan's raster is in a reconstructed phase, where it does not belong."""

from __future__ import annotations

import numpy as np
import scipy.fft

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem

MIDDLE, MOST = 0.8, 384  # of the scan's extent, and px, that are looked at
LATTICE = 8.0  # A: atoms may well have the period of finer scan steps
AT, NEAR, FAR = 1.2, 2.5, 7.0  # steps of the spectrum: a peak's width, and the ring that it is compared with
STANDS_OUT, EACH = 20.0, 8.0  # times its surroundings: both peaks together, and each


def raster_peaks(problem: Problem, state: State) -> tuple[float, float] | None:
    """How far the scan's two frequencies stand out of the spectrum of the phase around them, in power; None where they
    do not, and where nothing can be said: steps of less than 8 A may be the specimen's own period.

    Power in a spectrum is distributed exponentially, so that one of a few pixels seldom has more than six times the
    mean, and two such peaks hardly ever. A probe that is not as wide as the real one, by its defocus or its edge,
    explains the patterns worst between the positions, which is where the raster comes from.

    Parameters
    ----------
    problem : Problem
        At the window of the state.
    state : State

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> raster_peaks(problem, problem.start()) is None
    True
    """
    known = problem.measurement
    if min(known.calibration.scan_steps) < LATTICE:
        return None
    if len(state.object) > 1 or len(known.scan_indices) != problem.count or min(known.scan_shape) < 5:
        return None
    phase = middle_phase(problem, state)
    if min(phase.shape) < 32:
        return None
    taper = np.outer(*(np.hanning(n) for n in phase.shape)).astype(np.float32)
    even = (phase - (phase * taper).sum() / taper.sum()) * taper
    power = np.abs(scipy.fft.fft2(even.astype(np.float32))) ** 2
    k = [np.fft.fftfreq(n, s) for n, s in zip(phase.shape, problem.sampling, strict=True)]
    step = max(float(abs(axis[1])) for axis in k)
    length = np.hypot(k[0][:, None], k[1])
    peaks = []
    for frequency in _frequencies(problem, state):
        own = float(np.hypot(*frequency))
        if own + FAR * step > min(float(axis.max()) for axis in k) or own < FAR * step:
            return None
        away = np.hypot(k[0][:, None] - frequency[0], k[1] - frequency[1]) / step
        ring = (
            (away > NEAR) & (away < FAR) & (np.abs(length - own) < NEAR * step)
        )  # of the same length, as it falls off
        around = float(power[ring].mean())
        if around <= 0:
            return None
        peaks.append(float(power[away < AT].max()) / around)
    first, second = peaks
    return (first, second) if min(peaks) > EACH and first * second > STANDS_OUT**2 else None


def middle_phase(problem: Problem, state: State) -> np.ndarray:
    """Phase (Y, X) of the first slice in the middle of the scan, rad."""
    image = np.asarray(problem.backend.to_numpy(state.object))[0]
    return (np.angle(image) if np.iscomplexobj(image) else image)[scan_middle(problem, state)]


def scan_middle(problem: Problem, state: State) -> tuple[slice, slice]:
    """Pixels of the object in the middle of the scan: so much that a scan that is turned covers nearly all of it.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> [part.stop - part.start for part in scan_middle(problem, problem.start())]
    [33, 33]
    """
    box = []
    for axis, step in enumerate(problem.sampling):
        low, high = (extreme(state.positions[:, axis]) / step for extreme in (np.min, np.max))
        half = min(MIDDLE * (high - low), MOST) / 2
        middle = (low + high) / 2
        box.append(slice(max(0, round(middle - half)), round(middle + half) + 1))
    return box[0], box[1]


def _frequencies(problem: Problem, state: State) -> np.ndarray:
    """The two shortest vectors (2, 2) in 1/A, y and x, of the lattice of frequencies that the positions have."""
    known = problem.measurement
    places = np.stack(np.unravel_index(known.scan_indices, known.scan_shape), 1)
    steps = np.linalg.lstsq(np.c_[places, np.ones(len(places))], state.positions, rcond=None)[0][:2]
    return np.linalg.inv(steps).T


__all__ = ["middle_phase", "raster_peaks", "scan_middle"]
