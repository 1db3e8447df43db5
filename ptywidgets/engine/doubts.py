"""What should be doubted of a result: an error that explains nothing or grew, positions at their limits, a full box."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.checks import Finding
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.probe_report import probe_diameter
from ptywidgets.engine.problem import Problem
from ptywidgets.engine.refinements import RefinePositions
from ptywidgets.engine.refinements.positions import mapped
from ptywidgets.engine.state import State

LOOKED_AT = 48  # patterns that are compared with their mean
SETTLED = 5  # iterations: fewer need not have explained anything yet
UNEXPLAINED, SEEN = 0.8, 0.1  # share of what the mean leaves beyond noise; and of that by the noise
GREW = 1.5  # times its lowest value in the same stage
AT_LIMIT = 0.02  # share of the positions
FULL = 0.9  # of its box: so wide is a probe that touches the edge

ERROR = "error"  # the one finding that leaves nothing to believe


def doubts_of(problem: Problem, state: State, plan: Plan) -> tuple[Finding, ...]:
    """What a state should be doubted for; nothing where there is no reason.

    Parameters
    ----------
    problem : Problem
        At the window of the state.
    state : State
    plan : Plan
        With the limits that refinements had.

    Returns
    -------
    tuple of Finding
        All of them bad. The one called "error" says that the result does not explain the data.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> [finding.name for finding in doubts_of(problem, problem.start(), Plan())]
    []
    """
    error = _error(problem, state)
    if error is not None and not np.isfinite(error.value or 0.0):  # nothing else can be said of it
        return (error,)
    found = (error, _positions(problem, state, plan), _box(problem, state))
    return tuple(finding for finding in found if finding is not None)


def _error(problem: Problem, state: State) -> Finding | None:
    losses = np.array(state.losses[state.begun :] if len(state.losses) > state.begun else state.losses, float)
    host = problem.backend.to_numpy
    if not all(np.isfinite(values).all() for values in (losses, host(state.object), host(state.probe))):
        remedy = "Use smaller steps, the automatic schedule, or another start."
        return _bad(ERROR, np.nan, "", "The error is not a number any more: the run has diverged.", remedy)
    if len(losses) and losses[-1] > GREW * losses.min():
        words = f"The error has grown from {losses.min():.3g} to {losses[-1]:.3g}: the run diverges."
        return _bad(ERROR, losses[-1], "", words, "Use smaller steps, or the automatic schedule.")
    if len(state.losses) < SETTLED:
        return None
    own, plain, noise = _against_the_mean(problem, state)
    told = plain - noise > SEEN * noise  # else most of what is left is noise, and shares of it say little
    if own > plain or (told and own - noise > UNEXPLAINED * (plain - noise)):
        words = (
            f"The result explains the patterns hardly better than their mean does ({own:.3g} against {plain:.3g} of "
            f"what is in them is left, {noise:.2g} of it noise)."
        )
        remedy = "Check defocus, rotation, scan step and semi-angle; the doctor (examine) looks at each of them."
        return _bad(ERROR, own, "", words, remedy)
    return None


def _against_the_mean(problem: Problem, state: State) -> tuple[float, float, float]:
    """What is left of some patterns, as a share of their counts: by the result, by the mean of the patterns, and by
    counting alone, 0 where the data are not whole counts."""
    every = max(1, problem.count // LOOKED_AT)
    some = np.arange(every // 2, problem.count, every)
    amplitudes = problem.patterns.take(some).amplitudes() if problem.backend.name == "cpu" else None
    if amplitudes is None:
        amplitudes = problem.measurement.patterns.take(some).amplitudes()
    measured = amplitudes >= 0
    intensity = np.where(measured, amplitudes, 0).astype(np.float32) ** 2
    mean = np.sqrt(intensity.sum(0) / np.maximum(measured.sum(0), 1))
    total = max(float(intensity.sum(dtype=np.float64)), 1e-300)
    modelled = np.sqrt(problem.intensities(state, some))
    own = float((np.where(measured, modelled - amplitudes, 0) ** 2).sum(dtype=np.float64)) / total
    plain = float((np.where(measured, mean - amplitudes, 0) ** 2).sum(dtype=np.float64)) / total
    counted = bool((intensity - np.rint(intensity) < 1e-3 * (1 + intensity)).all())
    noise = float(_root_noise(mean**2).sum(dtype=np.float64)) * len(some) / total if counted else 0.0
    return own, plain, noise


def _root_noise(counts: np.ndarray) -> np.ndarray:
    """Mean squared difference of the root of Poisson counts from the root of their mean; a quarter for many.

    Examples
    --------
    >>> _root_noise(np.array([0.01, 1.0, 100.0])).round(2).tolist()
    [0.02, 0.45, 0.25]
    """
    few = np.minimum(counts, 12.0)
    term, root = np.exp(-few), np.zeros_like(few)
    for n in range(1, 40):
        term = term * few / n
        root += np.sqrt(n) * term
    return np.where(counts < 12, 2 * few - 2 * np.sqrt(few) * root, 0.25 + 3 / (32 * np.maximum(counts, 1)))


def _positions(problem: Problem, state: State, plan: Plan) -> Finding | None:
    limits = [r.limit_total for r in plan.refinements if isinstance(r, RefinePositions)]
    if not limits:
        return None
    moved = np.hypot(*(np.asarray(state.positions) - mapped(state, problem.first_positions)).T)
    share = float((moved > 0.98 * max(limits)).mean())
    if share < AT_LIMIT:
        return None
    words = f"{100 * share:.0f} % of the positions have moved as far as they may, {max(limits):.3g} A."
    remedy = "The scan step or the rotation may be wrong; or let them move farther (limit_total)."
    return _bad("positions", share, "", words, remedy)


def _box(problem: Problem, state: State) -> Finding | None:
    intensity = (np.abs(problem.backend.to_numpy(state.probe)) ** 2).sum(0)
    box = min(n * s for n, s in zip(problem.window, problem.sampling, strict=True))
    diameter = probe_diameter(np.sqrt(intensity), problem.sampling)
    if diameter <= FULL * box:
        return None
    words = f"The probe, {diameter:.3g} A wide, touches the edge of its box of {box:.3g} A."
    remedy = "It wraps round: use less defocus, or a longer camera length; or the defocus is not what it was."
    return _bad("probe box", diameter, "A", words, remedy)


def _bad(name: str, value: float, unit: str, words: str, remedy: str) -> Finding:
    return Finding(name, "bad", float(value), unit, words, remedy)


__all__ = ["ERROR", "doubts_of"]
