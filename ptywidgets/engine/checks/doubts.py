"""What should be doubted of a result: counts that it does not explain, an error that grew, atoms that are dark,
the scan's raster, positions at their limits, a full box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ptywidgets.engine.checks.facts import Finding
from ptywidgets.engine.checks.start_check import first_sweeps
from ptywidgets.engine.checks.trials import COHERENCE, DEFOCUS, DEPTH, ORIENTATION, Trial, best_of, left_by, trials
from ptywidgets.engine.core.state import State
from ptywidgets.engine.metrics.goodness import Goodness, goodness
from ptywidgets.engine.metrics.phase_sign import dark_atoms
from ptywidgets.engine.metrics.scan_raster import raster_peaks
from ptywidgets.engine.metrics.structure import shows_specimen
from ptywidgets.engine.optics.probe_report import probe_diameter
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.held_out import hold_out
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements.positions import RefinePositions, mapped
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import prepared_for_schedule

SETTLED = 5  # iterations: fewer need not have explained anything yet
SLOW = 0.02  # an iteration: so little the error may still fall
LEFT = 0.1  # of what tells the patterns apart, which no result from a right start has left over yet
HARDLY = 0.8  # the same where next to nothing is explained
MANY, BLOCKS = 128, (2, 4)  # patterns, and detector pixels along an axis that are added up, for few counts
SURE = 3.0  # sigmas
GREW = 1.5  # times its lowest value in the same stage
AT_LIMIT = 0.02  # share of the positions
FULL = 0.9  # of its box: so wide is a probe that touches the edge

ERROR = "error"  # the result does not explain the data
SIGN = "sign of the phase"
SCALE = "scale of lengths"  # of :mod:`ptywidgets.engine.checks.scale`
NOTHING = "specimen"  # the patterns show none
CONTRADICTED = "held"  # what is held is not what the counts say
SEVERE = (ERROR, SIGN, SCALE, NOTHING, CONTRADICTED)  # findings that leave nothing to believe, or no length


def doubts_of(
    problem: Problem,
    state: State,
    plan: Plan,
    *,
    settled: bool | None = None,
    most: float = LEFT,
    defocus: float = 0.0,
    progress: Callable[[str], object] | None = None,
    tried: tuple[Trial, ...] | None = None,
) -> tuple[Finding, ...]:
    """What a state should be doubted for; nothing where there is no reason.

    Parameters
    ----------
    problem : Problem
        At the window of the state; with the counts that were held out of its run, where there are any.
    state : State
    plan : Plan
        With the limits that refinements had.
    settled : bool, optional
        Whether the run has ended by itself. By default that is so after 5 iterations, when the error hardly falls.
    most : float
        Share of what tells the patterns apart that may be left over. A volume explains a single tilt less well than an
        image of its own does, and more may be left of it.
    defocus : float
        Of the initial probe, A.
    progress : callable, optional
        Other orientations and models are tried, in a second or so, where the patterns are not explained; it is called
        with words before each, and what it raises ends the work. None: nothing is tried.
    tried : tuple of Trial, optional
        From :func:`~ptywidgets.engine.checks.trials.trials` of the same problem, which are then not made again.

    Returns
    -------
    tuple of Finding
        All of them bad. Those that are called "error" (the result does not explain the data), "specimen" (the data
        show none) and "sign of the phase" leave little to believe.

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
    nothing = _nothing(problem, state)
    if nothing is not None:  # no other model explains noise, and no peak in it is one
        return tuple(finding for finding in (nothing, _box(problem, state)) if finding is not None)
    sign = raster = None
    if error is None and (has_settled(state) if settled is None else settled):
        error = _unexplained(problem, state, most, defocus, progress, tried)
        sign = _sign(problem, state, defocus) if error is None else None
        raster = _raster(problem, state) if error is None else None
    found = (error, sign, raster, _positions(problem, state, plan), _box(problem, state))
    return tuple(finding for finding in found if finding is not None)


def doubtful(doubts: Sequence[Finding], place: str = "code") -> str:
    """All doubts with what to do, in the words of a place, as :meth:`Finding.advice` takes it.

    Examples
    --------
    >>> doubtful([Finding("error", "bad", 1.0, "", "It does not fit.", "", ("defocus=350",))])
    'Doubtful: It does not fit. Give defocus=350.'
    """
    return "Doubtful: " + " ".join(f"{doubt.sentence} {doubt.advice(place)}".strip() for doubt in doubts)


def _error(problem: Problem, state: State) -> Finding | None:
    losses = np.array(state.losses[state.begun :] if len(state.losses) > state.begun else state.losses, float)
    host = problem.backend.to_numpy
    if not all(np.isfinite(values).all() for values in (losses, host(state.object), host(state.probe))):
        remedy = "Use smaller steps, the automatic schedule, or another start."
        return _bad(ERROR, np.nan, "", "The error is not a number any more: the run has diverged.", remedy)
    if len(losses) and losses[-1] > GREW * losses.min():
        words = f"The error has grown from {losses.min():.3g} to {losses[-1]:.3g}: the run diverges."
        return _bad(ERROR, losses[-1], "", words, "Use smaller steps, or the automatic schedule.")
    return None


def _nothing(problem: Problem, state: State) -> Finding | None:
    """Where the patterns tell nothing, nor half of all counts the other half; of a tilt of many that may be so, as only
    all together show the volume."""
    if problem.projections or shows_specimen(problem, state) is not False:
        return None
    again, halves = first_sweeps(hold_out(prepared_for_schedule(problem), least=problem.count))
    if shows_specimen(halves, again) is not False:
        return None
    words = (
        "The data show no specimen: the patterns differ from each other by no more than noise, so that lens, scan and "
        "image cannot be told from them."
    )
    remedy = "Look whether these are the right data, of a scan across a specimen; else record them with more dose."
    return _bad(NOTHING, 0.0, "", words, remedy)


def has_settled(state: State) -> bool:
    """Whether the error of a run hardly falls any more, so that what it leaves can be held against the result.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> has_settled(example_problem("potential").start())
    False
    """
    losses = state.losses
    return len(losses) >= SETTLED and losses[-1] > (1 - SLOW) ** 2 * losses[-3]


def left_unexplained(problem: Problem, state: State, most: float = LEFT) -> Goodness | None:
    """What a result leaves over where that is surely more than the noise and `most` of what tells the patterns apart;
    None where it explains them, where they do not tell, and where they show no specimen that could be explained.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> left_unexplained(problem, problem.start()).share > 0.1
    True
    """
    if _error(problem, state) is not None or _nothing(problem, state) is not None:
        return None
    return _left(problem, state, most)


def _left(problem: Problem, state: State, most: float) -> Goodness | None:
    found = goodness(problem, state)
    for blocks in BLOCKS:  # more counts, where single pixels do not tell
        if found is not None and (found.share <= most or found.share - SURE * found.uncertainty > most):
            break
        found = goodness(problem, state, looked_at=MANY, blocks=blocks)
    return None if found is None or found.share - SURE * found.uncertainty < most else found


def _unexplained(
    problem: Problem,
    state: State,
    most: float,
    defocus: float,
    progress: Callable[[str], object] | None,
    tried: tuple[Trial, ...] | None,
) -> Finding | None:
    found = _left(problem, state, most)
    if found is None:
        return None
    done = tried or ()
    if tried is None and progress is not None:
        done = trials(problem, defocus, progress)
    best = best_of(done)
    words = _of_what_is_left(found)
    if best is None:
        remedy = (
            "Defocus, rotation, transpose, scan step, semi-angle or energy may be wrong: check them, or let the start "
            "be found. A specimen that is thick and a beam that is only partially coherent leave as much."
        )
        return _bad(ERROR, found.share, "", words, remedy)
    remedy, gives = _other(best, problem, defocus)
    compared = (
        f" In a short trial {_percent(left_by(best.found))} is left with {remedy}, and "
        f"{_percent(left_by(done[0].found))} with what the run had."
    )
    return Finding(ERROR, "bad", found.share, "", words + compared, _ADVICE[best.kind], gives)


def _of_what_is_left(found: Goodness) -> str:
    left = f"{_percent(found.share)} (+- {max(1, round(100 * found.uncertainty))} %)"
    how = "worse than their mean does" if found.share > 1 else "hardly better than their mean does"
    how = how if found.share > HARDLY else "only in part"
    words = f"The result explains the patterns {how}: {left} of what tells them apart is left over, noise aside"
    if not found.counted:
        return words + "."
    place = "pixel" if found.blocks == 1 else f"{found.blocks} x {found.blocks} pixels"
    return words + (
        f"; chi squared per {place} of the bright field is {found.chi_squared:.3g}, 1 (+- {found.spread:.1g}) for a "
        "right model."
    )


_ADVICE = {
    ORIENTATION: "The orientation is wrong; where it is turned by 180 degrees, that or the sign of the defocus.",
    DEFOCUS: "The defocus is wrong, or the energy, the semi-angle or the detector pixel that it depends on.",
    COHERENCE: (
        "A partially coherent model explains such a blur, by source, vibrations and spread of energy; the numbers are "
        "guesses that RefineModel improves."
    ),
    DEPTH: "The specimen may be thicker than one slice can be; the thickness is a guess.",
}


def _other(best: Trial, problem: Problem, defocus: float) -> tuple[str, tuple[str, ...]]:
    """What another model has, in words, and what has to be given for it."""
    if best.kind == ORIENTATION:
        angle, transpose = best.value
        known = problem.measurement
        gives = [f"rotation={angle:.4g}"] if abs(wrapped_angle(angle - known.rotation)) > 0.5 else []
        gives += [f"transpose={'on' if transpose else 'off'}"] if transpose != known.transpose else []
        return f"a rotation of {angle:.4g} degrees, {'' if transpose else 'not '}transposed", tuple(gives)
    if best.kind == DEFOCUS:
        return f"a defocus of {best.value * defocus:.3g} A", (f"defocus={best.value * defocus:.3g}",)
    if best.kind == COHERENCE:
        source, spread = best.value
        words = f"a source of {source:g} A and a focal spread of {spread:g} A"
        return words, (f"coherence={source:g} {spread:g}",)
    return f"a thickness of {best.value:g} A (in slices)", (f"thickness={best.value:g}",)


def _percent(share: float) -> str:
    return f"{max(0, round(100 * share))} %"


def _sign(problem: Problem, state: State, defocus: float) -> Finding | None:
    skewness = dark_atoms(problem, state)
    if skewness is None:
        return None
    turned = wrapped_angle(problem.measurement.rotation + 180)
    words = (
        f"Atoms come out dark: the phase is peaked downwards (skewness {skewness:.2g}), as if they repelled electrons."
    )
    remedy = (
        "The orientation turned by 180 degrees with the opposite defocus explains thin specimens as well. Leave it if "
        "what is seen are holes in a film."
    )
    gives = (f"rotation={turned:.4g}", *([f"defocus={-defocus:.3g}"] if defocus else []))
    return Finding(SIGN, "bad", skewness, "", words, remedy, gives)


def _raster(problem: Problem, state: State) -> Finding | None:
    peaks = raster_peaks(problem, state)
    if peaks is None:
        return None
    steps = " x ".join(f"{step:.3g}" for step in sorted(set(problem.measurement.calibration.scan_steps)))
    words = (
        f"The scan's raster is in the phase: in its spectrum the period of the scan step, {steps} A, stands out "
        f"{peaks[0]:.0f} and {peaks[1]:.0f} times over what is around it."
    )
    remedy = (
        "The probe is not as wide as it was: check defocus, semi-angle and the aperture's edge (rolloff); refine the "
        "defocus. Leave it if the specimen has that period."
    )
    return _bad("raster", min(peaks), "", words, remedy)


def _positions(problem: Problem, state: State, plan: Plan) -> Finding | None:
    limits = [r.limit_total for r in plan.refinements if isinstance(r, RefinePositions)]
    if not limits:
        return None
    moved = np.hypot(*(np.asarray(state.positions) - mapped(state, problem.initial_positions)).T)
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


__all__ = [
    "CONTRADICTED",
    "ERROR",
    "HARDLY",
    "NOTHING",
    "SCALE",
    "SEVERE",
    "SIGN",
    "doubtful",
    "doubts_of",
    "has_settled",
    "left_unexplained",
]
