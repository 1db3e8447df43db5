"""Whether atoms come out bright or dark in a reconstructed phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State

ATOMIC = 0.75  # A: with larger object pixels no atoms are told apart
FINE, COARSE = 1.0, 3.0  # A, full widths at half maximum: what is seen between the two is of the size of atoms
STRONG = 2.5  # rad, beyond which phases wrap
BLOCKS = 4  # along either axis, for the spread
THERE, ENOUGH = 0.25, 5  # of the mean variance, in blocks with something in them; and so many of those
DARK, SURE = -0.15, 3.0  # skewness, and sigmas that it has to be away from 0


def dark_atoms(problem: Problem, state: State) -> float | None:
    """Skewness of the phase where atoms come out dark; None where they do not, or where nothing can be said.

    Atoms attract electrons, so the phase has peaks upwards. A rotation wrong by 180 degrees together with the opposite
    defocus explains the patterns of a thin specimen as well, with a phase that is upside down.

    Parameters
    ----------
    problem : Problem
        At the window of the state.
    state : State

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> dark_atoms(problem, problem.start()) is None
    True
    """
    if max(problem.sampling) > ATOMIC or len(state.object) > 1:
        return None
    image = np.asarray(problem.backend.to_numpy(state.object))[0]
    phase = np.angle(image) if np.iscomplexobj(image) else image
    seen = problem.field_of_view()
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    if min(len(rows), len(columns)) < 4 * BLOCKS:
        return None
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    phase, seen = phase[box], seen[box]
    if np.ptp(np.percentile(phase[seen], [0.5, 99.5])) > STRONG:
        return None
    fine, coarse = ([width / 2.355 / s for s in problem.sampling] for width in (FINE, COARSE))
    detail = ndimage.gaussian_filter(phase, fine) - ndimage.gaussian_filter(phase, coarse)
    blocks = [
        detail[b][seen[b]]
        for y in np.array_split(np.arange(len(phase)), BLOCKS)
        for x in np.array_split(np.arange(phase.shape[1]), BLOCKS)
        if seen[b := np.ix_(y, x)].mean() > 0.3
    ]
    variances = np.array([block.var(dtype=np.float64) for block in blocks])
    told = [block for block, variance in zip(blocks, variances, strict=True) if variance > THERE * variances.mean()]
    if len(told) < ENOUGH or variances.mean() <= 1e-12:
        return None
    each = [float(((block - block.mean(dtype=np.float64)) ** 3).mean() / block.std() ** 3) for block in told]
    skewness, sigma = float(np.mean(each)), float(np.std(each, ddof=1) / np.sqrt(len(each)))
    return skewness if skewness < DARK and skewness + SURE * sigma < 0 else None


__all__ = ["dark_atoms"]
