"""Whether patterns show anything of a specimen: whether they differ from their mean by more than noise does.

Two things tell. Counts vary from pattern to pattern by more than counting makes them; and patterns of neighbouring
positions are more alike than others, as their probes overlap, or less, on a lattice that the scan undersamples: that
needs no word on how large the noise is. Where there are few counts a reconstruction tells more than both, if it
predicts how counts differ that it has not seen. Patterns that do not depend on the position do none of it, whatever
their mean looks like.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from ptywidgets.engine.core.state import State
from ptywidgets.engine.metrics.goodness import FEW, LOOKED_AT, goodness
from ptywidgets.engine.problem.problem import Problem

VALUES = 8e6  # pixels of all patterns that are looked at
BLOCKS = (1, 2, 4, 8)  # detector pixels along an axis that are added up: what a specimen changes is alike in neighbours
LIT = 0.3  # of the brightest sums, a few of them aside
SURE = 4.0  # sigmas by which neighbours have to be more or less alike than others, and predictions better than none
NEAR = 1.5  # times the distance to the nearest position: these are neighbours


def shows_specimen(problem: Problem, state: State | None = None) -> bool | None:
    """Whether the patterns tell positions apart; None for fewer than 8 patterns, of which nothing can be said.

    Parameters
    ----------
    problem : Problem
        Its model does not matter: the patterns are looked at as they were recorded.
    state : State, optional
        A reconstruction, at the problem's window. What it says of counts that the problem holds out tells, too.

    Examples
    --------
    >>> import numpy as np
    >>> from dataclasses import replace
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Aberrations, Optics, make_problem, prepare, single_slice
    >>> duck = samples.ducky("tiny")
    >>> mean = np.asarray(duck.data).mean((0, 1))
    >>> noise = replace(duck, data=np.random.default_rng(0).poisson(mean, duck.shape).astype("uint16"))
    >>> optics = Optics(semiangle=20, aberrations=Aberrations(defocus=250))
    >>> [shows_specimen(make_problem(prepare(data, rotation=-15), optics)) for data in (duck, noise)]
    [True, False]
    """
    if problem.count < FEW:
        return None
    whole = replace(problem, held_out=None, patterns=replace(problem.patterns, substitutes=None))
    empty, most = whole.start(), int(max(LOOKED_AT, VALUES // np.prod(whole.window)))
    for looked_at, blocks in ((LOOKED_AT, 1), *((most, blocks) for blocks in BLOCKS[:-1])):
        if goodness(whole, empty, looked_at=looked_at, blocks=blocks) is not None:
            return True
    if state is not None and problem.held_out is not None and _predicted(problem, state) > SURE:
        return True
    return bool(_alike(whole, most) > SURE)


def _predicted(problem: Problem, state: State) -> float:
    """By how many sigmas of counting held-out counts differ from their mean as a state says."""
    said, left, mean = _differences(problem, state)
    noise = float((said**2 / mean).sum())
    return float((said * left / mean).sum()) / np.sqrt(noise) if noise > 0 else 0.0


def explained_differences(problem: Problem, state: State) -> float:
    """Share of what tells held-out counts from their mean, noise aside, that a state explains; below 0 where the mean
    alone explains more.

    What all patterns have in common, as of an aperture that is another one, is no part of it.

    Parameters
    ----------
    problem : Problem
        With counts that are held out, at the window of the state.
    state : State

    Examples
    --------
    >>> from ptywidgets.engine.problem.held_out import hold_out
    >>> from ptywidgets.testing import example_problem
    >>> problem = hold_out(example_problem("potential"))
    >>> 0 < explained_differences(problem, problem.start()) < 1
    True
    """
    said, left, mean = _differences(problem, state)
    whole = float((left**2 / mean).sum()) - left.size * (1 - 1 / max(2, len(left)))  # less what counting makes of it
    explained = float((said * (2 * left - said) / mean).sum())
    return explained / whole if whole > 0 else min(explained, 0.0)


def _differences(problem: Problem, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of held-out counts, what a state says and what there is (K, P), each without its mean; the mean counts (P,)."""
    held = problem.held_out
    assert held is not None
    alone, seen = held.unseen(problem, state)
    rows = np.arange(len(held.indices))
    expected = problem.backend.to_numpy(alone.intensities(seen, rows)).astype(np.float64)
    amplitudes = problem.backend.to_numpy(problem.backend.amplitudes(alone.patterns, rows, np.float32))
    counts, good = amplitudes.clip(0).astype(np.float64) ** 2, (amplitudes >= 0).all(0)
    mean = counts.mean(0)
    good &= mean > 0
    said, left = ((some - some.mean(0))[:, good] for some in (expected, counts))
    return said, left, mean[good]


def _alike(problem: Problem, most: int) -> float:
    """By how many sigmas of others the products of neighbouring patterns, less their mean, are larger or smaller."""
    rows = np.arange(problem.count)
    if problem.count > most:  # pairs of neighbours, spread over the scan
        some = rows[:: -(-2 * problem.count // most)]
        nearest = cKDTree(problem.initial_positions).query(problem.initial_positions[some], k=2)[1]
        rows = np.unique(nearest)
    distance, near = cKDTree(problem.initial_positions[rows]).query(
        problem.initial_positions[rows], k=min(5, len(rows))
    )
    first, other = np.nonzero(distance[:, 1:] < NEAR * np.median(distance[:, 1]))
    pairs = np.unique(np.sort(np.stack([first, near[first, other + 1]]), axis=0), axis=1)
    amplitudes = problem.backend.to_numpy(problem.backend.amplitudes(problem.patterns, rows, np.float32))
    measured = np.fft.fftshift((amplitudes >= 0).all(0))
    counts = np.fft.fftshift(amplitudes.clip(0) ** 2, axes=(1, 2)).astype(np.float64) * measured
    return max(abs(_excess(_summed(counts, blocks), pairs)) for blocks in BLOCKS)


def _summed(counts: np.ndarray, blocks: int) -> np.ndarray:
    """Counts (K, B) of blocks of pixels."""
    ny, nx = (n // blocks for n in counts.shape[1:])
    cut = counts[:, : ny * blocks, : nx * blocks]
    return cut.reshape(len(cut), ny, blocks, nx, blocks).sum((2, 4)).reshape(len(cut), -1)


def _excess(counts: np.ndarray, pairs: np.ndarray) -> float:
    """The same of sums (K, B) and pairs (2, P); a beam that flickers changes only how many counts there are."""
    mean, totals = counts.mean(0), counts.sum(1, keepdims=True)
    bright = mean > LIT * np.sort(mean)[-max(1, len(mean) // 50)]
    if not bright.any() or not totals.all():
        return 0.0
    left = (counts - mean * totals / totals.mean())[:, bright] / np.sqrt(mean[bright])
    products = left @ left.T
    others = products[~np.eye(len(products), dtype=bool)]
    spread = float(others.std())
    return float(products[tuple(pairs)].mean() - others.mean()) / spread * np.sqrt(pairs.shape[1]) if spread else 0.0


__all__ = ["explained_differences", "shows_specimen"]
