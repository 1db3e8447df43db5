"""How well a state explains the patterns, in absolute terms: what is left of that which tells them apart, noise aside.

A relative error says little of a result: of noisy patterns most is noise, of thin specimens most is the disk. Here the
squared difference of counts n from what the model expects, I, is freed of what counting alone makes of it: the mean of
(n - I)^2 - n is (mu - I)^2 for counts with the mean mu, at any dose. What is left is compared with the same of the mean
pattern, for which the patterns' differences are all there is to explain. An object that was fitted to the counts has
fitted some of their noise, which lowers the first; with counts that were held out the noise in the object raises it by
as much, so that the mean of the two is about 0 for the right model, however many unknowns it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem

LOOKED_AT = 64  # patterns
FEW = 8  # patterns, of which a mean says nothing
LIT = 0.3  # of the typical intensity where the counts are: so bright is the disk
SPREAD = 32  # patterns of which the dispersion is taken
GROUPS, LEAST_LIT = 16, 200  # of pixels that are about as bright; and so many of their values that are not 0
UNSURE = 1.5  # times its bound, since detectors whose counts are no single electrons share them out among pixels
TOLD = 3.0  # sigmas by which patterns have to differ from their mean before anything can be said


@dataclass(frozen=True)
class Goodness:
    """How much a state leaves unexplained, in the bright part of the patterns."""

    share: float  # of what tells the patterns from their mean, noise aside: 0 for the right model, 1 for the mean
    uncertainty: float  # of it, one sigma
    excess: float  # of chi squared per pixel over what noise alone makes of it; of intensities in their own unit
    differences: float  # the same of the mean pattern
    spread: float  # of the excess, by counting
    unseen: float  # the share by held-out counts alone, which noise in the object raises; NaN without any
    counts: float  # mean of a bright pixel
    counted: bool  # whether noise is that of counting; else it is estimated
    patterns: int  # looked at
    blocks: int = 1  # detector pixels along either axis that were added up

    @property
    def chi_squared(self) -> float:
        """Per pixel (or block of them), 1 for the right model of counts; NaN where the noise is not known."""
        return 1 + self.excess if self.counted else float("nan")


def goodness(problem: Problem, state: State, *, looked_at: int = LOOKED_AT, blocks: int = 1) -> Goodness | None:
    """What a state leaves unexplained of some patterns; None where they tell nothing.

    Parameters
    ----------
    problem : Problem
        At the window of the state. Of one with held-out counts the split patterns are looked at, both halves.
    state : State
    looked_at : int
        Patterns, about.
    blocks : int
        Detector pixels along either axis that are added up. What a wrong model leaves is alike in neighbours and noise
        is not, so that sums tell more where there are few counts.

    Returns
    -------
    Goodness or None
        None for fewer than 8 patterns, and where they differ from their mean by hardly more than their noise.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> found = goodness(problem, problem.start())
    >>> found.counted, 0.1 < found.share < 0.9, found.chi_squared > 2
    (True, True, True)
    """
    held = problem.held_out
    known = np.arange(problem.count) if held is None else held.indices
    every = max(1, round(len(known) / looked_at))
    rows = known[every // 2 :: every]
    if len(rows) < FEW:
        return None
    modelled = problem.backend.to_numpy(problem.intensities(state, rows))
    roots = problem.backend.to_numpy(problem.backend.amplitudes(problem.patterns, rows, np.float32))
    parts, shares = [roots], [1.0]
    if held is not None:  # both halves are counts of their own
        others = held.patterns.crop(problem.window).amplitudes(np.arange(len(known))[every // 2 :: every])
        parts, shares = [roots, others], [1 - held.share, held.share]
    weights = [1.0 if held is None else 1 - held.share, 1.0]  # of what stands in for others as bright as they are
    measured = np.logical_and.reduce([part.min(0) >= 0 for part in parts])
    mean = sum(w * np.einsum("kij,kij->ij", r, r) for w, r in zip(weights, parts, strict=False)) / len(rows)
    bright = _bright(mean, measured)
    if not bright.any():
        return None
    some = slice(None, None, max(1, len(rows) // SPREAD))
    noise = _dispersion(sum(w * r[some] ** 2 for w, r in zip(weights, parts, strict=False)), mean, measured)
    counts = [w * part[:, bright].astype(np.float64) ** 2 for w, part in zip(weights, parts, strict=False)]
    counted = noise <= 1 and all(_are_whole(n) for n in counts)
    expected, typical = modelled[:, bright].astype(np.float64), mean[bright]
    if blocks > 1 and counted:  # sums of counts are counts
        sums = _sums(bright, blocks)
        if not sums.shape[0]:
            return None
        counts, expected, typical = [n @ sums.T for n in counts], expected @ sums.T, sums @ typical
    own, plain = np.zeros(len(rows)), np.zeros(len(rows))
    unseen = float("nan")
    for n, share in zip(counts, shares, strict=True) if counted else [(np.add.reduce(counts), 1.0)]:
        # What all patterns have in common is the detector's and the aperture's, not the specimen's.
        left, there = (
            (((r - r.mean(0)) ** 2 * len(rows) / (len(rows) - 1) - (n if counted else 0)) / (share * typical)).mean(1)
            for r in (n - share * expected, n)
        )
        own, plain = own + left, plain + there
        if held is not None and counted and there.mean() > 0:  # of the last part
            unseen = float(left.mean() / there.mean())
    if not counted:  # noise is known no better than its bound
        own, plain = own - UNSURE * noise, plain - UNSURE * noise
    differences = float(plain.mean())
    spread = 2 / float(np.sqrt(len(rows) * len(typical)))
    if differences <= TOLD * spread * (1.0 if counted else noise):
        return None
    share = float(own.mean()) / differences
    uncertainty = float(np.std(own - share * plain) / np.sqrt(len(rows)) / differences)
    if counted:
        uncertainty = max(uncertainty, spread / differences)
    excess, level = float(own.mean()), float(typical.mean())
    return Goodness(share, uncertainty, excess, differences, spread, unseen, level, counted, len(rows), blocks)


def _sums(bright: np.ndarray, blocks: int) -> Any:
    """Sparse matrix (B, P) that adds up the bright pixels (Ny, Nx) of each block that is bright all over."""
    index = np.fft.fftshift(np.where(bright, np.cumsum(bright).reshape(bright.shape) - 1, -1))
    rows, columns = (n // blocks for n in index.shape)
    tiles = index[: rows * blocks, : columns * blocks].reshape(rows, blocks, columns, blocks).swapaxes(1, 2)
    whole = tiles.reshape(-1, blocks * blocks)
    whole = whole[(whole >= 0).all(1)]
    ones, ends = np.ones(whole.size), np.arange(len(whole) + 1) * blocks * blocks
    return sparse.csr_matrix((ones, whole.ravel(), ends), shape=(len(whole), int(bright.sum())))


def _are_whole(n: np.ndarray) -> bool:
    whole = np.rint(n)
    near = bool((np.abs(n - whole) < 1e-3 * (1 + n)).all())
    return near and abs(float(whole.sum() - n.sum())) < 0.01 * float(n.sum())  # faint intensities are near 0, too


def _bright(mean: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pixels (Ny, Nx) as bright as those that hold the middle of all counts, or not much darker."""
    values = np.sort(mean[measured])
    below = np.cumsum(values)
    if not len(values) or below[-1] <= 0:
        return np.zeros(mean.shape, bool)
    middle = values[np.searchsorted(below, 0.5 * below[-1])]
    return measured & (mean > LIT * middle)


def _dispersion(counts: np.ndarray, mean: np.ndarray, measured: np.ndarray) -> float:
    """Variance of counts (K, Ny, Nx) over the patterns by their mean, among pixels where it is smallest.

    Noise is no more than that: 1 where each count is an electron, or more where an electron makes several; nothing of
    intensities that have none, since their variance falls with the square of the mean.
    """
    flat = counts[:, measured][:, np.argsort(mean[measured])].astype(np.float64)
    least = np.inf
    for part in np.array_split(np.arange(flat.shape[1]), GROUPS):
        values = flat[:, part]
        level, lit = float(values.mean()), int((values > 0).sum())
        if level <= 0 or lit < LEAST_LIT:
            continue
        # Of rare counts the variance is as uncertain as their number is.
        sigma = np.sqrt(2 / values.size + 1 / lit)
        least = min(least, float(values.var(0, ddof=1).mean()) / level * (1 - 3 * sigma))
    return least if np.isfinite(least) else 1.0


__all__ = ["Goodness", "goodness"]
