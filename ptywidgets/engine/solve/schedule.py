"""A schedule: stages that each do what they do best, from the first rough image to the last detail.

:func:`reconstruct` does all of it. :func:`automatic_schedule` makes the stages that give the best image soonest, with
nothing to choose; :func:`run_stages` works through them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.fft

from ptywidgets.engine.algorithms.conjugate import ConjugateGradient
from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.constraints.object import Positivity
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.protocols import AnyProblem, ReconstructionProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.losses.losses import AmplitudeLoss, AnscombeLoss
from ptywidgets.engine.solve.iterate import steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.termination import SLOW, as_good, best_until, settled

APERTURES = 3.2  # radius of the coarse window in units of the aperture's: holds nearly all counts of thin specimens
OF_PICTURE = 2.4  # the same for sweeps from an image, which comes from the bright field and has nothing beyond yet
WORTHWHILE = 0.8  # of the whole window: a larger coarse one saves too little
WORK = 10_000_000  # pixels of a batch of conjugate gradients, which a Stop may have to wait for: 256 of 200 x 200
LEAST = 32  # patterns, of which a batch costs little more than its patterns do
SWEEPS = 2  # of PIE; one is enough where there is an image to begin with
THICK_SWEEPS = 16  # of PIE, where there are slices
TILT_SWEEPS = 4  # of PIE, where there are tilts, which say how deep things lie
COARSE = 4  # iterations of conjugate gradients on the coarse window


@dataclass(frozen=True)
class Stage:
    """One algorithm at work on one window of the detector."""

    name: str
    why: str  # one sentence for the one who watches
    iterations: int  # at most
    algorithm: Any
    batch: int | None
    window: tuple[int, int]  # detector pixels in use
    until_settled: bool = False  # ends when held-out counts are no longer better explained

    def __str__(self) -> str:
        size = " x ".join(map(str, self.window))
        much = f"up to {self.iterations}" if self.until_settled else f"{self.iterations}"
        return f"{self.name}, {much} iterations on {size} pixels: {self.why}"


@counted(seed=0)
def prepared_for_schedule(problem: AnyProblem, *, seed: int = 0) -> AnyProblem:
    """Return the problem with some counts held out, and with a loss that suits counts, for the automatic schedule.

    Where an electron is rare the root of the counts lies below the root of their mean, so the amplitude loss pulls the
    dark field down and atoms with it; Anscombe transforms do not, and make as smooth a landscape. Data that are no
    whole counts keep their loss: its constant of 3/8 means nothing to them.

    Parameters
    ----------
    problem : Problem
        One with another loss than :class:`AmplitudeLoss`, the default, keeps it.
    seed : int
        Of what is held out.
    """
    problem = problem.with_held_out(seed=seed)
    if problem.held_out is not None and isinstance(problem.loss, AmplitudeLoss):
        return problem.with_loss(AnscombeLoss())
    return problem


@counted(iterations=1)
def automatic_schedule(
    problem: ReconstructionProblem, *, iterations: int = 64, constraints: Sequence[Any] = ()
) -> tuple[Stage, ...]:
    """Return the stages that give the best image per second.

    Parameters
    ----------
    problem : Problem
    iterations : int
        At most, all stages together.
    constraints : sequence of Constraint
        Those that will act; :class:`ptywidgets.engine.constraints.Positivity` becomes a bound of the finish.

    Returns
    -------
    tuple of Stage

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> for stage in automatic_schedule(example_problem("potential")):
    ...     print(stage.name, stage.window)
    PIE (64, 64)
    conjugate gradients (64, 64)
    """
    coarse = coarse_window(problem)
    bound = 0.0 if any(isinstance(c, Positivity) for c in constraints) else None
    finish = ConjugateGradient(lower_bound=bound)
    if problem.projections:
        stages = [_tilted(problem)]
    else:
        stages = [_thick(problem) if problem.model.exit_wave.slices > 1 else _thin(problem, coarse)]
    if coarse != problem.window and problem.model.exit_wave.slices == 1:
        stages.append(
            Stage(
                "conjugate gradients",
                "the bright part of the patterns, where most counts are, in a fraction of the time",
                COARSE,
                finish,
                _batch(problem, coarse),
                coarse,
                True,
            )
        )
    settle = "all patterns together, with measured step lengths, " + (
        "until held-out counts are no longer better explained"
        if problem.held_out is not None
        else f"until the error falls by less than {SLOW:.0%} an iteration"
    )
    stages.append(
        Stage("conjugate gradients", settle, iterations, finish, _batch(problem, problem.window), problem.window, True)
    )
    return tuple(stages)


def _batch(problem: ReconstructionProblem, window: tuple[int, int]) -> int:
    """Patterns whose waves take about as long whatever the window and the model are."""
    model = problem.model
    waves = problem.modes * (1 if model.ensemble is None else model.ensemble.count)
    return max(LEAST, WORK // (window[0] * window[1] * waves * model.exit_wave.slices))


def _thin(problem: ReconstructionProblem, window: tuple[int, int]) -> Stage:
    return Stage(
        "PIE",
        "every pattern is used at once, which gives an image soonest",
        SWEEPS if problem.empty else 1,
        PIE(object_step=1.0, regularization=0.7, decay=0.5),
        64,  # with more of them the probe learns too late to keep the raster out of the image
        window if problem.empty else coarse_window(problem, OF_PICTURE),
    )


def _thick(problem: ReconstructionProblem) -> Stage:
    """Where waves change on their way, gradients of all patterns together lead into a corner; single ones find out."""
    return Stage(
        "PIE",
        "single patterns find how deep things lie, from what they scatter to high angles",
        THICK_SWEEPS,
        PIE(object_step=1.0, regularization=0.5, probe_from=THICK_SWEEPS // 4),
        32,
        problem.window,
    )


def _tilted(problem: ReconstructionProblem) -> Stage:
    """Of a change of slices the volume takes what can be seen of it in one tilt, hence the longer steps."""
    return Stage(
        "PIE",
        "tilt by tilt, every pattern is used at once, which gives a volume soonest",
        TILT_SWEEPS,
        PIE(object_step=2.0, decay=0.5),
        64,
        problem.window,
    )


@counted(iterations=1, seed=0)
def reconstruct(
    problem: ReconstructionProblem,
    state: State | None = None,
    *,
    iterations: int = 64,
    constraints: Sequence[Any] | None = None,
    seed: int = 0,
) -> Generator[State, Plan | None, None]:
    """Reconstruct by the automatic schedule, and yield the state after every batch.

    :func:`prepared_for_schedule`, :func:`automatic_schedule` and :func:`run_stages` in one; by a plan of one's own:
    :func:`~ptywidgets.engine.solve.iterate.iterate`.

    Parameters
    ----------
    problem : Problem
    state : State, optional
        Where to go on; by default the problem's start.
    iterations : int
        At most.
    constraints : sequence of Constraint, optional
        By default those of the object's type.
    seed : int
        Of orders and of what is held out.

    Yields
    ------
    State
        As :func:`run_stages` does.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> for state in reconstruct(example_problem("potential"), iterations=5):
    ...     pass
    >>> state.iteration, state.losses[-1] < 0.8 * state.losses[0]
    (5, True)
    """
    if constraints is None:
        constraints = default_constraints(problem.model.specimen.object_type)
    problem = prepared_for_schedule(problem, seed=seed)
    plan = Plan(iterations=iterations, seed=seed, constraints=tuple(constraints))
    stages = automatic_schedule(problem, iterations=iterations, constraints=constraints)
    return run_stages(problem, stages, plan, state)


def run_stages(
    problem: ReconstructionProblem, stages: Sequence[Stage], plan: Plan, state: State | None = None
) -> Generator[State, Plan | None, None]:
    """Work through stages and yield the state after every batch, as :func:`steps` does for one plan.

    A state's grid is that of its stage: it belongs to ``problem.at_window(state.probe.shape[-2:])``. When the last
    stage has settled, the last state is the best one by the held-out counts. Sending a new plan changes `iterations`
    and `constraints`.

    Parameters
    ----------
    problem : Problem
        From :func:`prepared_for_schedule`, where stages are to settle by held-out counts.
    stages : sequence of Stage
    plan : Plan
        Of which `iterations`, `seed` and `constraints` hold; the rest is the stages'.
    state : State, optional
        Where to go on; by default the problem's start.

    Yields
    ------
    State
    """
    done = 0 if state is None else state.begun
    for number, stage in enumerate(stages):
        done += stage.iterations
        if state is not None and number < state.stage:
            continue
        # What comes over has an object of its own.
        here = (problem if state is None else _without_picture(problem)).at_window(stage.window)
        before = state
        state = here.start() if state is None else here.resample_state(state)
        state = state.replace(stage=number)
        if number == len(stages) - 1:
            done = plan.iterations
        inner = steps(here, _of_stage(plan, stage, done), state)
        if stage.until_settled:
            begun = state.iteration  # going on by hand after it has settled, it looks at what comes from there on
            # What the stage before came to, of the same pixels, is one to be better than.
            judged = begun - int(before is not None and _follows(before, number, stage))
            nothing = cache(partial(_misfit_of_nothing, problem, stage.window))  # where it is asked for: seldom
            inner = best_until(
                inner,
                state,
                better=partial(as_good, begin=judged, nothing=nothing),
                ended=partial(settled, begin=begun, nothing=nothing),
            )
        new: Plan | None = None
        while True:
            try:
                state = inner.send(new)
            except StopIteration:
                break
            sent = yield state
            new = None
            if sent is not None:
                done = sent.iterations if number == len(stages) - 1 else min(done, sent.iterations)
                plan, new = sent, _of_stage(sent, stage, done)
        inner.close()
        if state.iteration >= plan.iterations:
            return


def coarse_window(problem: ReconstructionProblem, apertures: float = APERTURES) -> tuple[int, int]:
    """Pixels about the origin that hold the aperture some times over, of a size that is quick to transform.

    All of them where the detector is an image plane, or counts in segments.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> coarse_window(example_problem())
    (64, 64)
    """
    if not problem.scalable:
        return problem.window
    spectrum = np.abs(scipy.fft.fft2(problem.initial_probe)) ** 2
    lit = spectrum.sum(0) > 0.25 * spectrum.sum(0).max()
    window = []
    for axis, full in enumerate(problem.window):
        across = int(lit.any(1 - axis).sum())
        wanted = next(n for n in sorted(_quick_sizes(full)) if n >= min(apertures * across, full))
        window.append(wanted if wanted <= WORTHWHILE * full else full)
    return window[0], window[1]


def _follows(before: State, number: int, stage: Stage) -> bool:
    """Whether a stage begins with what another one has come to with the same detector pixels."""
    return before.stage < number and before.iteration > 0 and tuple(before.probe.shape[-2:]) == stage.window


def _of_stage(plan: Plan, stage: Stage, done: int) -> Plan:
    return plan.replace(iterations=min(done, plan.iterations), batch=stage.batch, algorithm=stage.algorithm)


def _misfit_of_nothing(problem: ReconstructionProblem, window: tuple[int, int]) -> float | None:
    """Misfit of an empty object with the initial probe, where the problem begins with another one."""
    if problem.held_out is None or problem.empty:
        return None
    here = _without_picture(problem).at_window(window)
    return here.misfit(here.start())


def _without_picture(problem: AnyProblem) -> AnyProblem:
    """The problem with an empty object to begin with; one that is held stays."""
    if "object" in problem.held:
        return problem
    return problem.with_initial(obj=np.full_like(problem.initial_object, problem.vacuum))


def _quick_sizes(full: int) -> set[int]:
    """Products of 2 and 3, of at least four twos, and the full size."""
    return {2**a * 3**b for a in range(4, 13) for b in range(4) if 2**a * 3**b < full} | {full}
