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
    pattern = max(1, problem.patterns.nbytes // problem.count)
    wanted = min(max(least, problem.count // PART), max(ENOUGH, int(LARGEST // pattern)))
    count = min(problem.count, max(wanted, min(ENOUGH, problem.count // AT_MOST)))
    indices = np.sort(generator.choice(problem.count, count, replace=False))
    few = problem.patterns.take(indices)
    left = np.asarray(problem.backend.to_numpy(few.counts))
    origin = np.asarray(problem.backend.to_numpy(few.origin))
    mask = None if few.mask is None else np.asarray(problem.backend.to_numpy(few.mask))
    if mask is not None:  # what stands at a masked pixel is no count: NaN, -1, the end of the range
        left = np.where(mask, left, left.dtype.type(0))
    if left.dtype.kind == "f" and not all(np.array_equal(one, np.rint(one)) for one in left):
        return problem
    taken = np.zeros_like(left)
    for part, some in zip(taken, left, strict=True):
        dark = some <= 0  # nothing comes of nothing, and most of a detector is dark
        part[~dark] = generator.binomial(some[~dark].astype(np.int64), share)
        some -= part
    held, rest = (Patterns(part, origin, window=problem.window, mask=mask) for part in (taken, left))
    rows = np.full(problem.count, -1)
    rows[indices] = np.arange(count)
    others = Substitutes(rows, rest.on(problem.backend), (1 - share) ** -0.5)
    patterns = replace(problem.patterns, substitutes=others)
    return replace(problem, patterns=patterns, held_out=HeldOut(indices, held, share))
