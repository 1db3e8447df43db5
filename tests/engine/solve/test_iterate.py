"""The loop: stops, resumes and changes its plan without changing what it computes."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets import samples
from ptywidgets.engine import (
    Aberrations,
    ConjugateGradient,
    GradientDescent,
    Optics,
    ParameterError,
    Plan,
    iterate,
    make_problem,
    prepare,
    single_slice,
    steps,
)


@pytest.fixture(scope="module")
def problem():
    dataset = samples.ducky("tiny")
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=samples.ducky_defocus("tiny")))
    return make_problem(prepare(dataset, rotation=-15.0), optics)


def last(generator):
    return deque(generator, maxlen=1).pop()


def test_steps_yield_every_batch_and_iterations_only_their_end(problem):
    plan = Plan(iterations=2, batch=50)
    assert [s.batch for s in steps(problem, plan)] == [1, 2, 0, 1, 2, 0]
    assert [s.iteration for s in iterate(problem, plan)] == [1, 2]


def test_every_position_is_used_once_an_iteration(problem):
    seen = []

    class Spy(GradientDescent):
        def advance(self, problem, state, batch):
            seen.append(np.asarray(batch))
            return super().advance(problem, state, batch)

    last(steps(problem, Plan(iterations=1, batch=50, algorithm=Spy())))
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(problem.count))
    assert max(map(len, seen)) - min(map(len, seen)) <= 1


def test_a_cut_iteration_goes_on_in_larger_batches(problem):
    generator = steps(problem, Plan(iterations=1, batch=50))
    next(generator)
    cut = next(generator)
    assert [s.iteration for s in steps(problem, Plan(iterations=2, batch=None), cut)] == [1, 2]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_going_on_gives_what_not_stopping_gives(problem, cut):
    plan = Plan(iterations=3, batch=50)
    whole = last(steps(problem, plan))
    generator = steps(problem, plan)
    for _ in range(cut):
        state = next(generator)
    generator.close()
    resumed = last(steps(problem, plan, state))
    assert resumed.losses == whole.losses
    np.testing.assert_array_equal(resumed.object, whole.object)
    np.testing.assert_array_equal(resumed.probe, whole.probe)


def test_seed_makes_runs_equal_and_different(problem):
    runs = [last(iterate(problem, Plan(iterations=2, batch=20, seed=seed))).losses for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_a_sent_plan_is_followed(problem):
    generator = iterate(problem, Plan(iterations=10))
    next(generator)
    generator.send(Plan(iterations=3))
    assert last(generator).iteration == 3


@pytest.mark.parametrize("algorithm", [GradientDescent(), ConjugateGradient()], ids=repr)
def test_the_plans_loss_takes_the_place_of_the_problems(problem, algorithm):
    plan = Plan(iterations=3, batch=50, algorithm=algorithm, loss="intensity")
    assert last(iterate(problem, plan)).losses == last(iterate(problem.with_loss("intensity"), plan)).losses
    own = last(iterate(problem.with_loss("poisson"), plan.replace(loss="automatic")))
    assert own.losses == last(iterate(problem, plan.replace(loss="poisson"))).losses


def test_a_loss_that_is_changed_holds_from_the_next_iteration(problem):
    plan = Plan(iterations=4, batch=50, algorithm=ConjugateGradient())
    generator = iterate(problem, plan)
    next(generator)
    state = generator.send(plan.replace(loss="anscombe"))
    rest = [state, *generator]
    assert len(rest) == 3
    other = problem.with_loss("anscombe")
    for before, after in pairwise(rest):
        share = other.gradients(before, np.arange(problem.count)).loss / (problem.mean_intensity * problem.count)
        assert abs(after.losses[-1] / share - 1) < 0.3, "measured batch by batch, while the batches before are used"


def test_a_yielded_state_is_a_value(problem):
    generator = iterate(problem, Plan(iterations=3))
    first = next(generator)
    copy = first.object.copy(), first.probe.copy()
    last(generator)
    np.testing.assert_array_equal(first.object, copy[0])
    np.testing.assert_array_equal(first.probe, copy[1])


def test_first_loss_is_the_starting_guess_by_its_formula(problem):
    state = problem.start()
    modelled = np.sqrt(problem.intensities(state, np.arange(problem.count)).astype(float))
    expected = ((problem.measurement.amplitudes - modelled) ** 2).sum() / (problem.mean_intensity * problem.count)
    assert next(iterate(problem, Plan(iterations=1, batch=None))).losses[0] == pytest.approx(
        expected, rel=1e-3
    )  # shifts are good to that


def test_held_probe_stays(problem):
    state = last(iterate(problem, Plan(iterations=2, algorithm=GradientDescent(hold_probe=True), constraints=())))
    np.testing.assert_array_equal(state.probe, problem.initial_probe)
    late = last(iterate(problem, Plan(iterations=1, algorithm=GradientDescent(probe_from=1), constraints=())))
    np.testing.assert_array_equal(late.probe, problem.initial_probe)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_the_duck_appears(object_type):
    """Correlation with the truth: an image, not only a falling number."""
    dataset = samples.ducky("tiny", dose=None)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=samples.ducky_defocus("tiny")))
    problem = make_problem(prepare(dataset, rotation=-15.0), optics, model=single_slice(object_type))
    state = last(iterate(problem, Plan(iterations=25, batch=36)))
    obj = np.angle(state.object[0]) if object_type == "complex" else state.object[0]
    phase, positions = samples.ducky_truth("tiny")
    px = np.array(problem.sampling)
    offset = (positions.mean(0) - problem.initial_positions.mean(0)) / px  # where my pixel [0, 0] lies in the truth
    low = np.floor(problem.initial_positions.min(0) / px).astype(int) + 8
    high = np.ceil(problem.initial_positions.max(0) / px).astype(int) - 8
    mine = obj[low[0] : high[0], low[1] : high[1]]
    true = np.real(np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(phase), -offset)))
    true = true[low[0] : high[0], low[1] : high[1]]
    assert np.corrcoef(mine.ravel(), true.ravel())[0, 1] > 0.95


def test_object_size_is_the_tutorials():
    """0.2 A, 200 x 200 pixels, 40 A and 236 A, without making 1681 patterns."""
    from dataclasses import replace

    dataset = samples.ducky("tiny")
    measurement = prepare(dataset, rotation=-15.0)
    from ptywidgets.engine.data.patterns import Patterns
    from ptywidgets.engine.preprocess import scan_positions

    full = replace(
        measurement,
        patterns=Patterns.centred(np.broadcast_to(np.zeros((1, 200, 200), np.uint8), (1681, 200, 200))),
        scan_shape=(41, 41),
        positions=scan_positions((41, 41), 4.0, -15.0),
        shifts=np.zeros((1681, 2)),
        sampling=(0.2, 0.2),
    )
    problem = make_problem(full, Optics(semiangle=20))
    assert problem.object_shape == (1, 1180, 1180)
    assert problem.initial_probe.shape[-1] * problem.sampling[0] == pytest.approx(40)
    assert problem.object_shape[-1] * problem.sampling[0] == pytest.approx(236)


def test_probe_of_another_shape_is_refused(problem):
    with pytest.raises(ParameterError, match="make them equal"):
        make_problem(problem.measurement, probe=np.ones((32, 32)))
    with pytest.raises(ParameterError, match="no probe"):
        make_problem(problem.measurement)
