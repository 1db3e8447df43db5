"""Whether lens and scan are as they were said to be: looked at before a run, and corrected where counts agree.

A look at a few dozen patterns tells (:class:`~.joint_fit.JointFit`): a hundredth of the data, and the time
of a part of an iteration. Only where it sees something that would cost the image, a larger block says what lens and
scan should be; and only where all patterns, and counts that no fit has seen, are then better explained, that is taken.
The radius of an aperture that no vacuum pattern tells is that of the disk in the mean of the patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.calibrate.calibration_arguments import check_progress
from ptywidgets.engine.checks.joint_fit import JointFit, Offsets
from ptywidgets.engine.core.errors import ParameterError, PtyError, unknown_name
from ptywidgets.engine.core.params import whole_number
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.calibration import both, single
from ptywidgets.engine.metrics.structure import explained_differences, shows_specimen
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.optics.probe_report import probe_diameter
from ptywidgets.engine.preprocess.disk.aperture import shows_edge
from ptywidgets.engine.preprocess.disk.disk import measure_disk
from ptywidgets.engine.preprocess.measurement import Measurement, reorient, scan_positions
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import automatic_schedule, prepared_for_schedule
from ptywidgets.engine.tomography.series import TiltSeries

HELD = ("aberrations", "rotation", "scan_step", "semiangle", "q_pixel", "model")  # what somebody may want to keep as is
TERMS = ("C10", "C12a", "C12b"), ("C10", "C12a", "C12b", "C21a", "C21b")  # looked at, and refined
PATTERNS = 120_000, 400_000  # pixels of all patterns of a block, looked at and refined
SIDES = (6, 8), (9, 14)  # positions on a side of it, at least and at most
LOOK, ROUNDS = (5, 4), 6  # steps of conjugate gradients in a look; rounds of refining
CHI, ANGLE, SCALE = 0.165, 0.6, 0.015  # rad rms; degrees; share: less than that a run takes in its stride
PARTS = 0.8, 0.5, 1.0  # of these: what is less of one of them once more is known stays as it was
APERTURE = 0.015  # of the radius, likewise
DISK = 256  # patterns of which the mean is taken
FULL = 0.9  # of its box: a probe as wide as that wraps round, and nothing that is fitted with it can be right
STILL = 0.2  # of these: rounds that move lens and scan by less have nothing to add
SURE = 5.0  # times the noise of the difference of two likelihoods
UNEXPLAINED = 0.42  # share of the structure: a start that leaves more is too wrong for its neighbourhood to tell
# Of what tells the patterns apart, at least: on ducks a right lens explained 0.95, another one 0.13 at most.
EXPLAINED = 0.25
CLEARLY = 0.02  # share of the error, where data are no counts and nothing can be held out


@dataclass(frozen=True)
class Checked:
    """What a check of lens and scan has come to."""

    offsets: Offsets | None  # what to change; None where there is nothing, or nothing sure
    suspected: Offsets | None  # what a first look saw; None where nothing could be looked at
    gain: float = 0.0  # by which held-out counts (or, without any, the error) are better explained, in their noise

    def __bool__(self) -> bool:
        return self.offsets is not None


def check_start(
    problem: Problem,
    optics: Optics | None = None,
    *,
    hold: str | Iterable[str] = (),
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Checked:
    """Look whether lens and scan are as a problem has them, and find better ones where they are not.

    Parameters
    ----------
    problem : Problem
        One that has not begun.
    optics : Optics, optional
        What its probe was made of; without it the aperture is not looked at.
    hold : str or iterable of str
        Of "aberrations", "rotation", "scan_step" and "semiangle", what is not to be changed. The detector pixel never
        is here: see :func:`ptywidgets.engine.checks.scale.judge_scale`.
    seed : int
        Of what is held out.
    progress : callable, optional
        Called with words before each part of the work; what it raises ends the check.

    Returns
    -------
    Checked
        False where everything may stay.

    Raises
    ------
    ParameterError
        When `hold` has another name, or another argument is none of what it can be.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Aberrations, make_problem, prepare, single_slice
    >>> optics = Optics(semiangle=20, aberrations=Aberrations(defocus=350))
    >>> data = samples.ducky("small")
    >>> right, wrong = (make_problem(prepare(data, rotation=r), optics, model=single_slice("potential"))
    ...                 for r in (-15, -12))
    >>> bool(check_start(right)), bool(check_start(wrong))
    (False, True)
    """
    held, seed = checked_names(hold), whole_number("seed", seed, 0)
    check_progress(progress)
    if not isinstance(problem, (Problem, TiltSeries)):
        raise ParameterError(f"problem is a {type(problem).__name__}; expected a Problem, from make_problem(...).")
    if optics is not None and not isinstance(optics, Optics):
        raise ParameterError(
            f"optics is a {type(optics).__name__}; expected Optics, such as Optics(semiangle=20), or leave it out."
        )
    tell = progress or (lambda _words: None)
    maps = tuple(m for m, name in (("scale", "scan_step"), ("rotation", "rotation")) if name not in held)
    if not on_grid(problem.measurement):
        maps = ()
    free = "aberrations" not in held and "probe" not in problem.held
    if not can_be_checked(problem):
        return Checked(None, None)
    found, gain = Offsets({}, np.eye(2)), 0.0
    if optics is not None and "semiangle" not in held and "probe" not in problem.held:
        ratio = _disk_ratio(problem, optics)
        if abs(ratio - 1) > APERTURE:
            tell("the aperture, which the disk does not confirm")
            other = replace(found, aperture=ratio)
            better = with_offsets(problem, other, optics)
            gain = _gain(problem, better, seed)
            if gain > SURE:
                found, problem, optics = other, better, lens(optics, other)
    seen = more = None
    if maps or free:
        seen, more = _look(problem, maps, free, tell)
    if more is not None:
        tell("both on all of the counts")
        gain = _gain(problem, with_offsets(problem, more), seed, of_scan=True)
        if gain > SURE:
            found = replace(more, aperture=found.aperture)
    changed = found.aperture != 1 or bool(found.aberrations) or bool((found.affine != np.eye(2)).any())
    return Checked(found if changed else None, seen, gain)


def checked_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """What is held, by names of :data:`HELD`.

    Examples
    --------
    >>> checked_names("rotation"), checked_names(["scan_step"])
    (('rotation',), ('scan_step',))
    """
    each = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    for name in each:
        if not isinstance(name, str):
            raise ParameterError(f"hold is {names!r}; expected names of what is to be kept, of {', '.join(HELD)}.")
        if name not in HELD:
            raise unknown_name("thing to hold", name, HELD)
    return tuple(dict.fromkeys(each))


def can_be_checked(problem: ReconstructionProblem) -> bool:
    """Whether a thin specimen under one coherent probe, which has room in its box, is what the problem is about, from
    nothing.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> can_be_checked(example_problem())
    True
    """
    if problem.projections:
        return False
    model = problem.model
    others = (model.ensemble, model.response, model.object_modes, model.diffuse, model.background)
    thin = model.exit_wave.slices == 1 and problem.modes == 1 and all(part is None for part in others)
    enough = problem.count >= SIDES[0][0] ** 2 and min(problem.window) >= 16
    known = problem.measurement.calibration.energy is not None
    asked = thin and problem.scalable and problem.empty and enough and known and "object" not in problem.held
    if not asked:
        return False
    box = min(n * s for n, s in zip(problem.window, problem.sampling, strict=True))
    intensity = (np.abs(problem.initial_probe) ** 2).sum(0)
    return bool(probe_diameter(np.sqrt(intensity), problem.sampling) <= FULL * box)


def on_grid(measurement: Measurement) -> bool:
    """Whether positions are those of a scan's grid, with the measurement's step and rotation."""
    if len(measurement.scan_shape) != 2 or measurement.calibration.scan_step is None:
        return False
    steps = measurement.calibration.scan_steps
    grid = scan_positions(measurement.scan_shape, steps, measurement.rotation, measurement.transpose)
    indices = measurement.scan_indices
    if len(grid) < len(indices) or len(indices) != len(measurement.positions):
        return False
    return bool(np.abs(grid[indices] - measurement.positions).max() < 1e-3 * min(steps))


def moved(measurement: Measurement, offsets: Offsets) -> Measurement:
    """The measurement with the rotation, the scan step and the detector pixel that offsets say.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import prepare
    >>> turn = np.array([[1, -0.01], [0.01, 1]])
    >>> after = moved(prepare(samples.ducky("tiny"), rotation=-15), Offsets({}, 1.02 * turn))
    >>> round(after.rotation, 2), round(after.calibration.scan_step, 3)
    (-15.57, 1.53)
    """
    known, scale = measurement.calibration, offsets.scale
    turned = offsets.rotation if measurement.transpose else -offsets.rotation
    rotation = wrapped_angle(measurement.rotation + turned)
    if not math.isclose(scale, 1, rel_tol=1e-9):  # a rotation alone has a scale of 1 but for rounding
        known = known.replace(scan_step=single(tuple(scale * s for s in both(known.scan_steps))))
    if offsets.pixel != 1:
        known = known.replace(q_pixel=single(tuple(offsets.pixel * q for q in known.q_pixels)))
        down, along = measurement.sampling
        measurement = replace(measurement, sampling=(down / offsets.pixel, along / offsets.pixel))
    wanted = measurement.preparation.replace(rotation=rotation, transpose=measurement.transpose, flip=False)
    return reorient(replace(measurement, calibration=known), wanted)


def lens(optics: Optics, offsets: Offsets) -> Optics:
    """The optics with the aberrations and the semi-angle that offsets say.

    Examples
    --------
    >>> lens(Optics(semiangle=20, aberrations=Aberrations(defocus=300)), Offsets({"C10": 20.0}, np.eye(2))).aberrations
    Aberrations(C10=-280)
    """
    if offsets.aperture != 1 and optics.semiangle is not None:
        optics = optics.replace(semiangle=optics.semiangle * offsets.aperture)
    known = optics.aberrations.cartesian
    changed = {name: known[name] + value for name, value in offsets.aberrations.items() if value}
    if not changed:
        return optics
    return optics.replace(aberrations=Aberrations(**{**{n: v for n, v in known.items() if v}, **changed}))


def with_offsets(problem: Problem, offsets: Offsets, optics: Optics | None = None) -> Problem:
    """The problem with lens and scan as offsets say, and with an object as large as that scan needs; `optics`, which
    its probe was made of, where the aperture changes."""
    probe = offsets.applied(problem)
    if offsets.aperture != 1 and optics is not None:
        energy = problem.measurement.calibration.require("energy")
        probe = make_probe(lens(optics, offsets), problem.window, problem.sampling, energy, problem.mean_intensity)
    measurement = moved(problem.measurement, offsets) if on_grid(problem.measurement) else problem.measurement
    return make_problem(
        measurement,
        model=problem.model,
        loss=problem.loss,
        device=problem.backend.name,
        probe=probe,
    )


# ---------------------------------------------------------------- inside


def _look(
    problem: Problem, maps: tuple[str, ...], free: bool, tell: Callable[[str], object]
) -> tuple[Offsets, Offsets | None]:
    """What a first look sees, and where that is too much to be left, what a closer one finds; aberrations if `free`."""
    tell("lens and scan on a part of the counts")
    with np.errstate(all="ignore"):
        fit = JointFit(problem, TERMS[0] if free else (), maps, _side(problem, 0))
        fit.update(False, LOOK[0])
        fit.update(True, LOOK[1])
        seen = fit.offsets
        if not any(_off(fit.chi, seen)):  # nothing is, of what is NaN: of data that nothing can be made of
            return seen, None
        tell("lens and scan, which the counts do not confirm")
        terms, begin = TERMS[1] if free else (), None
        while True:
            fit = _refined(problem, terms, maps, begin)
            off = _off(fit.chi, fit.offsets, *PARTS)
            if not any(off):
                return seen, None
            begin, before = fit.offsets.only(*off), (terms, maps)
            terms = terms if off[0] else ()
            maps = tuple(m for m in maps if off[1 if m == "rotation" else 2])
            if (terms, maps) == before:
                return seen, begin
            # What is right stays as it was, and the rest is found again with that.


def _disk_ratio(problem: Problem, optics: Optics) -> float:
    """Radius of the disk in the mean of the patterns over that of the problem's aperture; 1 where a vacuum pattern
    tells the aperture, or where no edge is seen."""
    if optics.vacuum is not None or optics.semiangle is None:
        return 1.0
    pixels = problem.measurement.calibration.relative_pixels
    chosen = np.arange(problem.count)[:: max(1, problem.count // DISK)]
    amplitudes = problem.measurement.patterns.amplitudes(chosen)
    mean = np.fft.fftshift((amplitudes.clip(0) ** 2).mean(0, dtype=np.float64))
    aperture = np.fft.fftshift(np.abs(np.fft.fft2(problem.initial_probe[0])) ** 2)
    try:
        seen, had = (measure_disk(pattern, pixels) for pattern in (mean, aperture))
    except PtyError:  # there is no disk
        return 1.0
    return 1.0 if had.is_smeared or not shows_edge(seen) else seen.radius / had.radius


def _side(problem: Problem, which: int) -> int:
    """Positions on a side of a block whose patterns have about as many pixels whatever the aperture is."""
    low, high = SIDES[which]
    return int(np.clip(math.sqrt(PATTERNS[which]) / JointFit.cut(problem).n, low, high))


def _between(before: Offsets, after: Offsets) -> Offsets:
    changed = {name: after.aberrations[name] - value for name, value in before.aberrations.items()}
    return Offsets(changed, after.affine @ np.linalg.inv(before.affine))


def _refined(problem: Problem, terms: tuple[str, ...], maps: tuple[str, ...], begin: Offsets | None = None) -> JointFit:
    """A fit whose numbers have come to rest, or nearly."""
    fit = JointFit(problem, terms, maps, _side(problem, 1), begin)
    fit.update(False)
    for _ in range(ROUNDS):
        before, chi = fit.offsets, fit.chi
        fit.update()
        if not any(_off(fit.chi - chi, _between(before, fit.offsets), STILL, STILL, STILL)):
            break
    return fit


def _off(
    chi: np.ndarray, offsets: Offsets, lens: float = 1.0, angle: float = 1.0, scale: float = 1.0
) -> tuple[bool, bool, bool]:
    """Whether a change of chi (K,), in rad weighted by the aperture, of the rotation and of the scan's scale is more
    than a run gets over, or than a share of that."""
    rms = float(np.sqrt((chi**2).sum()))
    return rms > lens * CHI, abs(offsets.rotation) > angle * ANGLE, abs(offsets.scale - 1) > scale * SCALE


def _gain(problem: Problem, other: Problem, seed: int, of_scan: bool = False) -> float:
    """How much better the first sweeps explain the counts with another lens and scan, in units of the noise that
    two likelihoods differ by; without counts that can be held out, in :data:`CLEARLY` of the error. 0 where they
    explain little with either, and where they explain but the mean of the patterns: with a wrong aperture there is much
    to explain in patterns that are all alike, and nothing of it is told by the scan. With `of_scan` a part of what
    tells the patterns apart has to be explained, too."""
    (before, first), (after, second) = (first_sweeps(p, seed) for p in (problem, other))
    if not _left(second, after) < UNEXPLAINED or shows_specimen(second, after) is False:
        return 0.0
    if first.held_out is not None and second.held_out is not None:
        count = len(first.held_out.indices)
        if of_scan and not explained_differences(second, after) > EXPLAINED:
            return 0.0
        difference = (before.misfits[-1] - after.misfits[-1]) * count
        return math.copysign(math.sqrt(abs(difference)), difference) if math.isfinite(difference) else 0.0
    fell = 1 - after.losses[-1] / before.losses[-1]
    return SURE * fell / CLEARLY if math.isfinite(fell) else 0.0


def _left(problem: Problem, state: State) -> float:
    """Share of what an empty object leaves of the counts, beyond noise, that a state leaves, too."""
    nothing, held = problem.start(), problem.held_out
    if held is None:
        whole = problem.value(nothing, np.arange(problem.count)) / (problem.mean_intensity * problem.count)
        return state.losses[-1] / whole if whole > 0 else 1.0
    alone, seen = held.unseen(problem, state)
    expected = problem.backend.to_numpy(alone.intensities(seen, np.arange(len(held.indices)))).astype(float)
    drawn = np.random.default_rng(0).poisson(np.minimum(expected, 1e12))  # what counting alone would leave
    noise = 2 * float(((np.sqrt(drawn + 0.375) - np.sqrt(expected + 0.375)) ** 2).sum()) / len(expected)
    whole = held.misfit(problem, nothing) - noise
    return (state.misfits[-1] - noise) / whole if whole > 0 else 1.0


def first_sweeps(problem: Problem, seed: int = 0) -> tuple[State, Problem]:
    """The state after the first stage of the automatic schedule, from nothing, and the problem that it is of: with some
    counts held out, those that are already or others by `seed`.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> state, training = first_sweeps(example_problem("potential"))
    >>> state.iteration > 0, training.held_out is not None
    (True, True)
    """
    whole = prepared_for_schedule(problem, seed=seed) if problem.held_out is None else problem
    stage = automatic_schedule(whole)[0]
    problem = whole.at_window(stage.window)
    plan = Plan(iterations=stage.iterations, batch=stage.batch, algorithm=stage.algorithm, constraints=(), seed=seed)
    *_, state = iterate(problem, plan)
    return state, problem


__all__ = [
    "HELD",
    "Checked",
    "can_be_checked",
    "check_start",
    "checked_names",
    "first_sweeps",
    "lens",
    "moved",
    "on_grid",
    "with_offsets",
]
