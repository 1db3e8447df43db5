"""Counts that a reconstruction does not get to see, to tell structure from noise: when they stop being better
explained, what is fitted further is noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.patterns import Patterns, Substitutes
from ptywidgets.engine.losses.losses import AnscombeLoss

if TYPE_CHECKING:
    from ptywidgets.engine.problem.problem import Problem

SHARE = 0.5  # of the counts of a pattern that is split
LEAST, PART = 48, 24  # how many patterns are split: one of so many, and at least so many
ENOUGH, AT_MOST = 96, 6  # so many where they are no more than one of six: fewer hardly tell when to stop
LARGEST = 6e7  # bytes of the patterns that are split, where there are that many: enough to judge by


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was held out of some patterns."""

    indices: np.ndarray  # (K,) of the patterns
    patterns: Patterns  # (K, Qy, Qx) the counts that were taken away
    share: float  # of all counts of these patterns

    def unseen(self, problem: Problem, state: State) -> tuple[Problem, State]:
        """The problem of these counts alone, and what a state says of them: what is fitted to it finds no noise that
        the object was fitted to."""
        shifts = problem.measurement.shifts
        shifts = None if shifts is None else np.asarray(shifts)[self.indices]
        alone = replace(
            problem,
            measurement=replace(problem.measurement, shifts=shifts),
            patterns=self.patterns.crop(problem.window).on(problem.backend),
            initial_positions=problem.initial_positions[self.indices],
            held_out=None,
        )
        dimmer = np.float32(self.share)
        parameters = problem.model.dimmed(state.parameters, dimmer)
        probe = state.probe * np.sqrt(dimmer)
        return alone, state.replace(probe=probe, positions=state.positions[self.indices], parameters=parameters)

    def misfit(self, problem: Problem, state: State) -> float:
        """How badly a state explains the held-out counts, per pattern: smaller is better.

        Twice the squared difference of Anscombe transforms, which is minus the logarithm of the likelihood of counts,
        up to a constant and for more than a few of them: noise alone changes it, from one model to the next, by about
        the root of the change.

        Parameters
        ----------
        problem : Problem
            At any window; only the detector pixels in use are compared.
        state : State
            Of that problem.
        """
        alone, seen = self.unseen(problem, state)
        return 2 * alone.with_loss(AnscombeLoss()).value(seen, np.arange(len(self.indices))) / len(self.indices)


@counted(seed=0, least=1)
def hold_out(problem: Problem, *, share: float = SHARE, seed: int = 0, least: int = LEAST) -> Problem:
    """The problem without some of the counts, which are in its `held_out`: some patterns are split at random.

    Binomial thinning of Poisson counts gives two independent sets of Poisson counts. No pattern is left out, so every
    spot stays as well covered as it was.

    Parameters
    ----------
    problem : Problem
    share : float
        Of the counts of the patterns that are split.
    seed : int
    least : int
        How many patterns are split when one of so many would be fewer.

    Returns
    -------
    Problem
        The same one where the data are not whole counts: they have been scaled, interpolated or simulated without
        noise, and their halves would not be independent.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = hold_out(example_problem())
    >>> len(problem.held_out.indices)
    48
    """
    generator = np.random.default_rng(seed)
    count = _how_many(problem, least)
    indices = np.sort(generator.choice(problem.count, count, replace=False))
    split = _split(problem, indices, share, generator)
    return problem if split is None else _without(problem, indices, *split, share)


def hold_out_more(problem: Problem, old: Problem, places: np.ndarray, *, seed: int = 0, least: int = LEAST) -> Problem:
    """The problem without the counts that are held out of another one of fewer patterns, nor some of those that came.

    Parameters
    ----------
    problem : Problem
        With no counts held out.
    old : Problem
        Of some of the same patterns.
    places : ndarray (J,) int
        Where each pattern is in the old problem; -1 where it is not.
    seed, least : int
        As for :func:`hold_out`.
    """
    held, stands_in = old.held_out, old.patterns.substitutes
    if held is None or stands_in is None:
        return problem
    generator = np.random.default_rng((seed, problem.count))
    now = np.full(old.count, -1)
    now[places[places >= 0]] = np.flatnonzero(places >= 0)
    kept = now[held.indices] >= 0
    came = np.flatnonzero(places < 0)
    more = min(len(came), max(0, _how_many(problem, least) - int(kept.sum())))
    chosen = np.sort(generator.choice(came, more, replace=False))
    split = _split(problem, chosen, held.share, generator) if more else None
    if split is None and more:  # numbers that came are no counts, whatever the first were
        return problem
    counts = [np.asarray(held.patterns.counts)[kept], np.asarray(old.backend.to_numpy(stands_in.patterns.counts))[kept]]
    if split is not None:
        counts = [np.concatenate(pair) for pair in zip(counts, split, strict=True)]
    indices = np.concatenate([now[held.indices][kept], chosen])
    order = np.argsort(indices)
    return _without(problem, indices[order], counts[0][order], counts[1][order], held.share)


def _how_many(problem: Problem, least: int) -> int:
    """Patterns that are split."""
    count, pattern = problem.count, max(1, problem.patterns.nbytes // problem.count)
    wanted = min(max(least, count // PART), max(ENOUGH, int(LARGEST // pattern)))
    return min(count, max(wanted, min(ENOUGH, count // AT_MOST)))


def _split(
    problem: Problem, indices: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Counts of some patterns that are taken away, and those left; None where the numbers are no counts."""
    few = problem.patterns.take(indices)
    left = np.asarray(problem.backend.to_numpy(few.counts))
    mask = None if few.mask is None else np.asarray(problem.backend.to_numpy(few.mask))
    if mask is not None:  # what stands at a masked pixel is no count: NaN, -1, the end of the range
        left = np.where(mask, left, left.dtype.type(0))
    if left.dtype.kind == "f" and not all(np.array_equal(one, np.rint(one)) for one in left):
        return None
    taken = np.zeros_like(left)
    for part, some in zip(taken, left, strict=True):
        dark = some <= 0  # nothing comes of nothing, and most of a detector is dark
        part[~dark] = generator.binomial(some[~dark].astype(np.int64), share)
        some -= part
    return taken, left


def _without(problem: Problem, indices: np.ndarray, taken: np.ndarray, rest: np.ndarray, share: float) -> Problem:
    """The problem with `rest` instead of some patterns, and what was taken to judge by."""
    patterns = problem.patterns
    origin = np.asarray(problem.backend.to_numpy(patterns.origin[indices]))
    mask = None if patterns.mask is None else np.asarray(problem.backend.to_numpy(patterns.mask))
    held, left = (Patterns(part, origin, window=problem.window, mask=mask) for part in (taken, rest))
    rows = np.full(problem.count, -1)
    rows[indices] = np.arange(len(indices))
    others = Substitutes(rows, left.on(problem.backend), (1 - share) ** -0.5)
    patterns = replace(problem.patterns, substitutes=others)
    return replace(problem, patterns=patterns, held_out=HeldOut(indices, held, share))
