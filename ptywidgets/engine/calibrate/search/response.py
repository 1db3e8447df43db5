"""The bottom of a well: a parabola through the errors of trials about it, and how far parts of the block disagree.

The errors of a design of points, -h, 0 and h along every axis and the corners between any two, are fitted by a
quadratic form; its minimum is the next middle (response surface: Box and Wilson, J. R. Stat. Soc. B 13, 1, 1951). The
same errors are known for each position, so the minimum without one part of the block costs no further trial: the
spread of these is the jackknife's uncertainty (Efron and Stein, Ann. Stat. 9, 586, 1981), of which noise, specimen and
what the model lacks all have their share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.calibrate.search.trial import Points, Trials

REACH = 0.6  # h, in the scales of the values
LIMIT = 1.5  # most that a step may go, in h
FLATTEST = 0.02  # curvature that an axis is given at least, of the largest: flatter ones are hardly told
GROUPS = 4  # parts of the block along each axis
WALL = 0.999  # of the farthest that a minimum without a part may lie: there it is no minimum
STILL = 0.1  # a step, in the scales, with which the search ends


@dataclass(frozen=True, eq=False)
class Bottom:
    """The middle of a well."""

    rotation: float  # degrees
    transpose: bool
    values: np.ndarray  # (P,) A
    sigma: np.ndarray  # (P + 1,) one sigma by jackknife, of the values and of the rotation; 0 of those that are held
    error: float  # at the minimum

    def point(self) -> Points:
        """Where it is."""
        return Points(np.array([self.rotation]), np.array([self.transpose]), self.values[None])

    def flipped(self) -> Bottom:
        """The other reading: 180 degrees on, with the opposite of all aberrations."""
        return replace(self, rotation=self.rotation + 180.0, values=-self.values)


def bottoms(
    trials: Trials,
    starts: Points,
    scales: np.ndarray,
    free: np.ndarray,
    rounds: int = 2,
    sweeps: int = 3,
    rough: int = 0,
) -> list[Bottom]:
    """Go down from each of some points, with all trials of a round together.

    Parameters
    ----------
    trials : Trials
    starts : Points
        K of them.
    scales : ndarray (P + 1,)
        Change of each value, A, and of the rotation, degrees, that matters; see :func:`scales_of`.
    free : ndarray (P + 1,) bool
        Which may change.
    rounds : int
        Designs, at most.
    sweeps : int
        Of a trial.
    rough : int
        Rounds, the first, in which designs that fit the binned detector are tried with it; where these are all, what is
        said of the bottoms is as rough.

    Returns
    -------
    list of Bottom
        One for each start.
    """
    which = np.flatnonzero(free)
    count, size = len(starts), len(scales)
    middle = np.concatenate([starts.values, starts.rotation[:, None]], axis=1).astype(float)
    part = parts_of(trials)
    if not len(which):
        errors = trials.errors(starts, sweeps)
        return [
            _bottom(m, t, np.zeros(size), float(e.mean()))
            for m, t, e in zip(middle, starts.transpose, errors, strict=True)
        ]
    design = np.zeros((len(_design(len(which))), size))
    design[:, which] = REACH * _design(len(which))
    steps = np.zeros((count, size))
    moving = np.ones(count, bool)
    found: list[Bottom | None] = [None] * count
    for number in range(rounds):
        chosen = np.flatnonzero(moving)
        if not len(chosen):
            break
        at = middle[chosen, None] + design * scales
        flat = at.reshape(-1, size)
        tried = Points(flat[:, -1], np.repeat(starts.transpose[chosen], len(design)), flat[:, :-1])
        binned = None
        if number < rough:  # a whole design or none of it
            binned = np.repeat(trials.fit_binned(tried).reshape(len(chosen), -1).all(1), len(design))
        errors = trials.errors(tried, sweeps, binned).reshape(len(chosen), len(design), -1)
        for index, seen in zip(chosen, errors, strict=True):
            step, lowest = _minimum(design[:, which], seen.mean(1), LIMIT * REACH)
            without = np.stack([seen[:, part != p].mean(1) for p in np.unique(part)])
            moves = np.array([_minimum(design[:, which], e, 4 * REACH)[0] for e in without])
            groups = len(moves)
            spread = np.sqrt((groups - 1) / groups * ((moves - moves.mean(0)) ** 2).sum(0)) if groups > 1 else np.inf
            lost = np.abs(moves).max(0) > WALL * 4 * REACH  # of a part that does not know where to go nothing is told
            sigma = np.zeros(size)
            sigma[which] = np.where(lost, np.maximum(spread, 4 * REACH), spread) * scales[which]
            steps[index] = 0
            steps[index, which] = step
            middle[index] += steps[index] * scales
            found[index] = _bottom(middle[index], starts.transpose[index], sigma, lowest)
            moving[index] = np.abs(step).max() > STILL or number < rough < rounds
    return [f for f in found if f is not None]


def scales_of(trials: Trials, radius: float, wavelength: float) -> np.ndarray:
    """Change of each value, in A, that turns the aperture's edge by a radian, and of the rotation, in degrees, that
    moves the block's edge by half of what the aperture resolves.

    Parameters
    ----------
    trials : Trials
    radius : float
        Of the aperture, 1/A.
    wavelength : float
        A.

    Returns
    -------
    ndarray (P + 1,)
    """
    alpha = wavelength * radius
    orders = [int(name[1]) for name in trials.terms]
    of_values = [wavelength * (n + 1) / (2 * math.pi * alpha ** (n + 1)) for n in orders]
    return np.array([*of_values, math.degrees(0.5 / radius / reach_of(trials))])


def reach_of(trials: Trials) -> float:
    """Distance, A, from the middle of the block to the middle of its sides, at least of one position."""
    return max(0.5 * float(np.ptp(trials.grid, axis=1).mean()), 1e-3)


def parts_of(trials: Trials) -> np.ndarray:
    """(J,) which of 4 x 4 parts of the block each position is in."""
    out = np.zeros(len(trials), int)
    for places in trials.grid:
        span = max(float(np.ptp(places)), 1e-9)
        out = out * GROUPS + np.minimum((GROUPS * (places - places.min()) / span).astype(int), GROUPS - 1)
    return out


def _bottom(middle: np.ndarray, transpose: bool, sigma: np.ndarray, error: float) -> Bottom:
    return Bottom(float(middle[-1]), bool(transpose), middle[:-1].copy(), sigma, error)


def _design(size: int) -> np.ndarray:
    """Points (N, D): the middle, both ways along every axis, and two corners between any two."""
    rows = [np.zeros(size)]
    for axis in range(size):
        for way in (1.0, -1.0):
            rows.append(way * np.eye(size)[axis])
    for first in range(size):
        for second in range(first):
            for way in (1.0, -1.0):
                rows.append(math.sqrt(0.5) * (way * np.eye(size)[first] + np.eye(size)[second]))
    return np.array(rows)


def _minimum(design: np.ndarray, errors: np.ndarray, limit: float) -> tuple[np.ndarray, float]:
    """Where the quadratic form through errors (N,) at points (N, D) is least, within `limit`, and its value there."""
    size = design.shape[1]
    first, second = np.tril_indices(size)
    columns = np.concatenate([np.ones((len(design), 1)), design, design[:, first] * design[:, second]], axis=1)
    fitted = np.linalg.lstsq(columns, errors, rcond=None)[0]
    slope, square = fitted[1 : size + 1], np.zeros((size, size))
    square[first, second] = fitted[size + 1 :]
    square = square + square.T
    values, axes = np.linalg.eigh(square)
    values = np.maximum(values, max(FLATTEST * float(values.max()), 1e-12))
    step = -axes @ ((axes.T @ slope) / values)
    step *= min(1.0, limit / max(float(np.abs(step).max()), 1e-12))
    return step, float(fitted[0] + slope @ step + 0.5 * step @ square @ step)


__all__ = ["Bottom", "bottoms", "parts_of", "reach_of", "scales_of"]
