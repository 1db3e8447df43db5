"""The automatic schedule finds its way, tells it, stops by itself and can be stopped."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, Plan, make_problem, prepare, single_slice
from ptywidgets.engine.constraints import ProbeCentre, default_constraints
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import AmplitudeLoss, AnscombeLoss, PoissonLoss
from ptywidgets.engine.solve.schedule import (
    WORK,
    Stage,
    automatic_schedule,
    coarse_window,
    prepared_for_schedule,
    reconstruct,
    run_stages,
)
from ptywidgets.engine.solve.termination import settled
from ptywidgets.testing import example_problem

CONSTRAINTS = default_constraints("potential")


@pytest.fixture(scope="module")
def wide():
    """Patterns that reach three times as far as a small aperture needs, so that a coarse window is worth its while."""
    dataset = samples.ducky("tiny")
    measurement = prepare(dataset, rotation=-15.0)
    optics = Optics(semiangle=8.0, aberrations=Aberrations(defocus=samples.ducky_defocus("tiny")))
    return make_problem(measurement, optics, model=single_slice("potential"))


def test_the_coarse_window_is_quick_and_holds_the_aperture_and_more(wide, problem):
    window = coarse_window(wide)
    assert window == (32, 32)
    assert coarse_window(problem) == problem.window, "a wide aperture needs all of the detector"
    spectrum = np.abs(np.fft.fft2(wide.initial_probe[0])) ** 2
    rows = np.r_[0:16, -16:0]
    assert spectrum[rows][:, rows].sum() > 0.99 * spectrum.sum()


def test_stages_go_from_coarse_to_fine_and_say_why(wide):
    stages = automatic_schedule(prepared_for_schedule(wide), constraints=CONSTRAINTS)
    assert [s.name for s in stages] == ["PIE", "conjugate gradients", "conjugate gradients"]
    assert [s.window for s in stages] == [(32, 32), (32, 32), (64, 64)]
    assert all(s.why in str(s) for s in stages)
    assert stages[-1].algorithm.lower_bound == 0.0, "positivity is not known to the finish"
    assert automatic_schedule(wide, constraints=(ProbeCentre(),))[-1].algorithm.lower_bound is None


def test_batches_of_the_finish_are_of_as_much_work(wide):
    coarse, full = (stage for stage in automatic_schedule(wide) if stage.name == "conjugate gradients")
    pixels = [stage.batch * stage.window[0] * stage.window[1] for stage in (coarse, full)]
    assert coarse.batch > full.batch
    assert pixels == pytest.approx([WORK, WORK], rel=0.01)


@pytest.mark.parametrize("kind", ["complex", "potential"])
def test_a_picture_to_begin_with_saves_a_sweep(kind):
    empty = example_problem(kind)
    picture = replace(empty, initial_object=empty.initial_object * np.exp(np.float32(0.1)) + np.float32(0.1))
    assert [automatic_schedule(problem)[0].iterations for problem in (empty, picture)] == [2, 1]


def test_there_are_no_more_iterations_than_asked_for(wide):
    *_, state = reconstruct(wide, iterations=3)
    assert state.iteration == 3 and len(state.losses) == 3


def test_the_schedule_ends_by_itself_with_a_good_image(problem):
    states = [state for state in reconstruct(problem, iterations=40) if state.at_iteration_end]
    last = states[-1]
    assert last.iteration < 20
    training = prepared_for_schedule(problem)
    assert last.misfits[-1] < 0.35 * training.held_out.misfit(training, training.start())
    assert last.probe.shape[-2:] == problem.window and last.object.shape == problem.object_shape
    assert (last.object >= 0).all()


def test_the_states_of_all_stages_are_whole(wide):
    """Every batch ends with something that can be shown and saved, on its stage's grid."""
    windows = []
    for state in reconstruct(wide, iterations=8):
        here = wide.at_window(state.probe.shape[-2:])
        assert state.object.shape == here.object_shape
        if not windows or windows[-1] != here.window:
            windows.append(here.window)
    assert windows == [(32, 32), (64, 64)]


def test_it_goes_on_where_it_was_stopped(wide):
    training = prepared_for_schedule(wide)
    plan = Plan(iterations=5, constraints=CONSTRAINTS)
    stages = automatic_schedule(training, iterations=5, constraints=CONSTRAINTS)
    whole = [s for s in run_stages(training, stages, plan) if s.at_iteration_end][-1]
    run = run_stages(training, stages, plan)
    state = next(run)
    while state.iteration < 3:
        state = next(run)
    run.close()
    *_, resumed = run_stages(training, stages, plan, state)
    assert resumed.iteration == whole.iteration and resumed.stage == whole.stage
    np.testing.assert_allclose(resumed.losses, whole.losses, rtol=1e-5)
    np.testing.assert_allclose(resumed.object, whole.object, atol=1e-4)


def test_going_on_after_the_end_does_something(problem):
    *_, state = reconstruct(problem, iterations=40)
    *_, further = reconstruct(problem, state, iterations=state.iteration + 2)
    assert further.iteration > state.iteration


def test_a_stage_that_has_settled_early_does_not_end_what_follows(wide):
    """One more iteration than so far, when the sum of the stages' iterations would allow none of the last stage."""
    state = wide.start().replace(stage=2, iteration=5, losses=(1.0,) * 5, misfits=(np.nan,) * 5)
    *_, further = reconstruct(wide, state, iterations=6)
    assert further.iteration == 6 and further.probe.shape[-2:] == wide.window


def test_constraints_can_be_changed_on_the_way(problem):
    run = reconstruct(problem, iterations=4)
    next(run)
    plan = Plan(iterations=2, constraints=(ProbeCentre(),))
    state = run.send(plan)
    for state in run:  # noqa: B007
        pass
    assert state.iteration == 2, "the new end was not taken"


def test_counts_get_the_loss_that_suits_them_and_others_keep_theirs(problem):
    assert isinstance(prepared_for_schedule(problem).loss, AnscombeLoss)
    assert isinstance(prepared_for_schedule(replace(problem, loss=PoissonLoss())).loss, PoissonLoss)
    scaled = Patterns(problem.patterns.counts * np.float32(1e-3), problem.patterns.origin)
    kept = prepared_for_schedule(replace(problem, patterns=scaled))
    assert isinstance(kept.loss, AmplitudeLoss) and kept.held_out is None


def test_settled_means_that_hardly_anything_is_gained():
    start = State(object=None, probe=None, positions=np.zeros((1, 2)))
    falling = (100.0, 60.0, 40.0, 30.0, 25.0)
    flat = (*falling, 24.9, 24.8)
    assert not settled(start.replace(losses=falling, misfits=falling), 1)
    assert settled(start.replace(losses=flat, misfits=flat), 1)
    assert not settled(start.replace(losses=flat, misfits=flat), 5), "too soon to say"
    unknown = (np.nan,) * len(flat)
    assert settled(start.replace(losses=flat, misfits=unknown), 1)
    assert not settled(start.replace(losses=falling, misfits=unknown), 1)


def test_a_run_that_begins_with_a_picture_is_measured_by_what_the_picture_is_worth():
    start = example_problem().start()
    misfits = tuple(100 - 0.1 * np.arange(8))
    slow = start.replace(losses=misfits, misfits=misfits)
    assert not settled(slow, 0), "of all that it gained itself this is a lot"
    assert settled(slow, 0, nothing=lambda: 1000.0), "of 900 that an object is worth it is nothing"
    assert not settled(slow, 0, nothing=lambda: 101.0)


def test_a_run_that_begins_at_the_end_ends_soon(problem):
    *_, state = reconstruct(problem)
    known = replace(problem, initial_object=state.object, initial_probe=state.probe)
    *_, again = reconstruct(known)
    assert again.iteration <= 6 < state.iteration
    assert again.losses[-1] <= 1.02 * state.losses[-1]


def test_a_stage_is_readable():
    stage = Stage("PIE", "because", 2, None, 64, (32, 32))
    assert str(stage) == "PIE, 2 iterations on 32 x 32 pixels: because"
