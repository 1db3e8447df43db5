"""Whether atoms come out bright or dark in a reconstructed phase."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.state import State
from ptywidgets.engine.metrics.scan_raster import middle_phase
from ptywidgets.engine.problem.problem import Problem

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
    phase = middle_phase(problem, state)
    if min(phase.shape) < 4 * BLOCKS or np.ptp(np.percentile(phase, [0.5, 99.5])) > STRONG:
        return None
    fine, coarse = ([width / 2.355 / s for s in problem.sampling] for width in (FINE, COARSE))
    smooth = [ndimage.gaussian_filter(phase, sigma, truncate=3.0) for sigma in (fine, coarse)]
    rows = np.array_split(smooth[0] - smooth[1], BLOCKS)
    blocks = [block for row in rows for block in np.array_split(row, BLOCKS, axis=1)]
    variances = np.array([block.var(dtype=np.float64) for block in blocks])
    told = [block for block, variance in zip(blocks, variances, strict=True) if variance > THERE * variances.mean()]
    if len(told) < ENOUGH or variances.mean() <= 1e-12:
        return None
    each = [float(((block - block.mean(dtype=np.float64)) ** 3).mean() / block.std() ** 3) for block in told]
    skewness, sigma = float(np.mean(each)), float(np.std(each, ddof=1) / np.sqrt(len(each)))
    return skewness if skewness < DARK and skewness + SURE * sigma < 0 else None


__all__ = ["dark_atoms"]
