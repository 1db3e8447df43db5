"""Short trials of other orientations and other models, for a result that does not explain its patterns.

Each begins anew on a part of the scan and of the detector, so that it costs a tenth of a second or so; counts that are
held out judge. They tell which way to look, not where the truth lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.metrics.goodness import Goodness, goodness
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.models.parts.ensemble import PartialCoherence
from ptywidgets.engine.models.parts.exit_wave import Multislice
from ptywidgets.engine.optics.aberrations import Aberrations, chi
from ptywidgets.engine.preprocess.measurement import Measurement, scan_positions
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import coarse_window, prepared_for_schedule

MOST = 121  # positions, about the middle of the scan
REACH = 2.4  # radius of the window in those of the aperture
SWEEPS = 5  # of PIE
DEFOCI = (0.5, 0.7, 1.4, 1.7, 2.0)  # times what it is; the opposite one is the scan turned by 180 degrees
COHERENCES = (0.25, 0.5)  # source by the finest distance lambda / 2 alpha, and spread by the depth of field
DEPTHS = (2.0, 5.0)  # thickness in units of the depth of field; thinner ones are one slice nearly
POINTS, SLICES = 2, 4  # of the ensemble along each axis; few will do to tell
BETTER = 0.6  # times what is left by the model that failed: so little must another one leave
SIMPLER = 0.7  # the same of a model with more unknowns, by what a simpler one leaves
ENOUGH = 0.1  # that is left: nothing else need be tried
ORIENTATION, DEFOCUS, COHERENCE, DEPTH = range(4)  # kinds, by how much freedom they have


@dataclass(frozen=True)
class Trial:
    """Another model, and what it leaves unexplained."""

    kind: int
    value: Any  # degrees and transpose, factor of the defocus, source and focal spread in A, or thickness in A
    found: Goodness


def trials(
    problem: Problem, defocus: float = 0.0, progress: Callable[[str], object] = lambda words: None
) -> tuple[Trial, ...]:
    """What the model leaves as it is, and what others do, after a few sweeps from an empty object.

    Parameters
    ----------
    problem : Problem
        Whose result does not explain the patterns.
    defocus : float
        Of the initial probe, A.
    progress : callable
        Called with words before each; what it raises ends the work.

    Returns
    -------
    tuple of Trial
        The first is that of the problem as it is; none where the trial has too few patterns to tell. It ends with the
        first that explains them.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> turned = replace(problem, measurement=replace(problem.measurement, rotation=165.0, transpose=False))
    >>> [trial.value for trial in trials(problem)[:2]]
    [(-15.0, False), (165.0, False)]
    """
    here, known = _part(problem), problem.measurement
    progress("how well a short trial explains the patterns")
    found = _tried(here)
    if found is None:
        return ()
    done = [Trial(ORIENTATION, (known.rotation, known.transpose), found)]
    for kind, value, words, make in _others(problem, defocus):
        progress(f"whether {words} explains the patterns better")
        try:
            better = _tried(make(here))
        except PtyError:  # positions that lie otherwise need not fit where slices or a detector have a size
            continue
        if better is None:
            continue
        done.append(Trial(kind, value, better))
        if better.share < ENOUGH:
            break
    return tuple(done)


def best_of(done: tuple[Trial, ...]) -> Trial | None:
    """The trial that leaves clearly less than the model as it is; of those that leave about as little the simplest.

    Examples
    --------
    >>> best_of(()) is None
    True
    """
    best: Trial | None = None
    for trial in done[1:]:
        first, least = left_by(done[0].found), left_by(trial.found)
        margin = 3 * math.hypot(done[0].found.uncertainty, trial.found.uncertainty)
        if least >= min(BETTER * first, first - margin):
            continue
        if best is None or least < (SIMPLER if trial.kind > best.kind else 1.0) * left_by(best.found):
            best = trial
    return best


def left_by(found: Goodness) -> float:
    """The share to compare models by: that of held-out counts, since more unknowns fit more noise."""
    return found.share if math.isnan(found.unseen) else found.unseen


def _others(problem: Problem, defocus: float) -> Iterator[tuple[int, Any, str, Callable[[Problem], Problem]]]:
    """Kinds, values and words of other models, and what makes such a problem of one as it is."""
    known, thin = problem.measurement, problem.model.exit_wave.slices == 1
    if thin and len(known.scan_indices) == problem.count:
        for by, other in ((180.0, False), (0.0, True), (180.0, True)):
            angle, transpose = wrapped_angle(known.rotation + by), known.transpose != other
            words = f"a scan turned by {angle:.0f} degrees" + (", transposed," if transpose else "")
            yield ORIENTATION, (angle, transpose), words, partial(_oriented, rotation=angle, transpose=transpose)
    energy, semiangle = known.calibration.energy, known.calibration.semiangle
    if defocus and energy and "probe" not in problem.held:
        for factor in DEFOCI:
            words = f"a defocus of {factor * defocus:.3g} A"
            yield DEFOCUS, factor, words, partial(_defocused, by=(factor - 1) * defocus)
    if not (energy and semiangle):
        return
    alpha = semiangle * 1e-3
    finest, depth = known.calibration.wavelength / (2 * alpha), known.calibration.wavelength / alpha**2
    if problem.modes == 1 and problem.model.ensemble is None:
        for times in COHERENCES:
            blur = _rounded(times * finest), _rounded(times * depth)
            words = f"a source of {blur[0]:g} A with a focal spread of {blur[1]:g} A"
            yield COHERENCE, blur, words, partial(_blurred, source_size=blur[0], focal_spread=blur[1])
    if thin:
        for times in DEPTHS:
            thickness = _rounded(times * depth)
            yield DEPTH, thickness, f"a thickness of {thickness:g} A", partial(_with_slices, thickness=thickness)


def _rounded(number: float) -> float:
    """A guess in two digits."""
    return float(f"{number:.2g}")


def _part(problem: Problem) -> Problem:
    """The middle of the scan and of the detector, with an empty object and the probe of the start."""
    first = problem.initial_positions
    far = np.abs(first - (first.max(0) + first.min(0)) / 2).max(1)
    rows = np.sort(np.argsort(far, kind="stable")[:MOST])
    here = replace(problem, held_out=None, patterns=replace(problem.patterns, substitutes=None))
    here = here.at_window(coarse_window(here, REACH))
    known = here.measurement
    part = replace(
        known,
        patterns=known.patterns.take(rows),
        shifts=None if known.shifts is None else np.asarray(known.shifts)[rows],
        positions=known.positions[rows] if len(known.positions) == problem.count else first[rows],
    )
    indices = known.scan_indices if len(known.scan_indices) == problem.count else np.arange(problem.count)
    mask = np.zeros(known.scan_shape, bool)
    if len(known.scan_indices) == problem.count:
        mask.flat[indices[rows]] = True
        part = replace(part, scan_mask=mask)
    return _made(part, here.model, here.initial_probe, here)


def _made(measurement: Measurement, model: Model, probe: np.ndarray, like: Problem) -> Problem:
    made = make_problem(measurement, model=model, probe=probe, loss=like.loss)
    return replace(made, held=like.held) if "probe" in like.held else made


def _oriented(here: Problem, rotation: float, transpose: bool) -> Problem:
    known = here.measurement
    positions = scan_positions(known.scan_shape, known.calibration.scan_steps, rotation, transpose)
    return _made(replace(known, positions=positions[known.scan_indices]), here.model, here.initial_probe, here)


def _defocused(here: Problem, by: float) -> Problem:
    """With an initial probe of more defocus, in A."""
    energy = here.measurement.calibration.require("energy")
    k = (np.fft.fftfreq(n, s) for n, s in zip(here.window, here.sampling, strict=True))
    ky, kx = np.meshgrid(*k, indexing="ij")
    factor = np.exp(-1j * chi(Aberrations(defocus=by), ky, kx, energy))
    probe = np.fft.ifft2(np.fft.fft2(here.initial_probe) * factor)
    return _made(here.measurement, here.model, probe, here)


def _blurred(here: Problem, source_size: float, focal_spread: float) -> Problem:
    wavelength = here.measurement.calibration.wavelength
    ensemble = PartialCoherence(source_size, focal_spread, wavelength, _extent(here), POINTS)
    return _made(here.measurement, replace(here.model, ensemble=ensemble), here.initial_probe, here)


def _with_slices(here: Problem, thickness: float) -> Problem:
    each = (thickness / SLICES,) * SLICES
    exit_wave = Multislice(each, here.measurement.calibration.wavelength, _extent(here), (0.0, 0.0))
    return _made(here.measurement, replace(here.model, exit_wave=exit_wave), here.initial_probe, here)


def _extent(here: Problem) -> tuple[float, float]:
    return here.window[0] * here.sampling[0], here.window[1] * here.sampling[1]


def _tried(here: Problem) -> Goodness | None:
    training = prepared_for_schedule(here)
    plan = Plan(
        iterations=SWEEPS,
        batch=32,
        algorithm=PIE(object_step=1.0, regularization=0.7, decay=0.5),
        constraints=default_constraints(here.model.specimen.object_type),
    )
    *_, state = iterate(training, plan)
    return goodness(training, state)


__all__ = ["COHERENCE", "DEFOCUS", "DEPTH", "ORIENTATION", "Trial", "best_of", "left_by", "trials"]
