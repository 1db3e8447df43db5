"""Conjugate gradients, and the curvature that their steps are taken from."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ptywidgets.engine import ConjugateGradient, Plan, State, iterate, single_slice
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models.curvature import Direction, curvature
from ptywidgets.engine.optics.modes import first_modes, occupations, orthogonalise
from ptywidgets.testing import exact_problem, example_problem, model_case
from ptywidgets.testing.exact import with_patterns


@dataclass(frozen=True)
class Small:
    """What :func:`curvature` asks of a problem, in double precision."""

    case: object

    def __getattr__(self, name):
        return getattr(self.case, name)

    def geometry(self, positions):
        return self.case.geometry

    def model_at(self, state):
        return self.case.model


def small(object_type, loss, misfit=0.0, mask=None):
    """A model whose patterns it explains, but for a relative misfit; a state at it."""
    case = model_case(single_slice(object_type), positions=6)
    counts = case.intensities()
    counts *= 1 + misfit * np.random.default_rng(3).normal(size=counts.shape)
    patterns = Patterns.centred(counts)
    case = replace(case, loss=LOSSES[loss](), patterns=replace(patterns, mask=mask).on(case.backend))
    return Small(case), State(object=case.obj, probe=case.probe, positions=np.zeros((case.count, 2)))


def directions(case):
    generator = np.random.default_rng(1)

    def noise(like):
        real = generator.normal(size=like.shape)
        return real + 1j * generator.normal(size=like.shape) if np.iscomplexobj(like) else real

    return [
        Direction(object=noise(case.obj)),
        Direction(probe=noise(case.probe)),
        Direction(object=noise(case.obj), probe=noise(case.probe)),
    ]


@pytest.mark.parametrize("object_type", ["complex", "potential"])
@pytest.mark.parametrize("loss", LOSSES)
def test_curvature_is_the_second_difference_of_the_loss_where_the_model_fits(object_type, loss):
    problem, state = small(object_type, loss)
    ways = directions(problem.case)
    matrix = curvature(problem, state, np.arange(problem.count), ways)

    def loss_at(*lengths):
        obj, probe = state.object, state.probe
        for length, way in zip(lengths, ways, strict=True):
            obj = obj if way.object is None else obj + length * way.object
            probe = probe if way.probe is None else probe + length * way.probe
        return problem.case.gradients(obj=obj, probe=probe).loss

    h = 2e-5
    expected = np.zeros_like(matrix)
    for a in range(3):
        for b in range(3):
            one, two = np.eye(3)[a] * h, np.eye(3)[b] * h
            signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            values = [s * t * loss_at(*(s * one + t * two)) for s, t in signs]
            expected[a, b] = sum(values) / (4 * h * h)
    np.testing.assert_allclose(matrix, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("object_type", ["complex", "potential"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("misfit", [0.0, 0.5])
def test_curvature_is_symmetric_and_never_negative(object_type, loss, misfit):
    mask = np.random.default_rng(5).random((20, 17)) < 0.8
    problem, state = small(object_type, loss, misfit, mask)
    matrix = curvature(problem, state, np.arange(problem.count), directions(problem.case))
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() >= -1e-9 * np.abs(matrix).max()


def test_curvature_of_positions_adds_up():
    problem, state = small("complex", "amplitude", 0.3)
    ways = directions(problem.case)
    whole, first, second = (curvature(problem, state, part, ways) for part in (range(6), [0, 2], [1, 3, 4, 5]))
    np.testing.assert_allclose(first + second, whole, rtol=1e-10)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_near_the_solution_the_loss_never_rises(object_type):
    """Patterns that the model explains, from a start that is a little off: all but a parabola."""
    problem = example_problem(object_type)
    generator = np.random.default_rng(0)
    truth = problem.start()
    counts = problem.intensities(truth, np.arange(problem.count))
    exact = replace(problem, patterns=Patterns.centred(counts).on(problem.backend))
    noise = generator.normal(size=truth.object.shape)
    start = truth.replace(object=truth.object + np.float32(0.05) * noise.astype(np.float32))
    plan = Plan(iterations=15, batch=None, algorithm=ConjugateGradient(sample=10**6), constraints=())
    *_, state = iterate(exact, plan, start)
    assert (np.diff(state.losses) < 0).all()
    assert state.losses[-1] < 0.01 * state.losses[0]


def test_a_bound_is_kept_without_a_constraint():
    problem = example_problem("potential")
    plan = Plan(iterations=6, batch=None, algorithm=ConjugateGradient(lower_bound=0.0), constraints=())
    for state in iterate(problem, plan):
        assert state.object.min() >= 0
    assert (state.object == 0).any() and (state.object > 0.05).any()
    *_, free = iterate(problem, plan.replace(algorithm=ConjugateGradient()))
    assert free.object.min() < 0


def test_a_step_that_went_too_far_is_taken_back_by_half():
    problem = example_problem("potential")
    everything = np.arange(problem.count)
    algorithm = ConjugateGradient()
    *_, good = iterate(problem, Plan(iterations=3, batch=None, algorithm=algorithm, constraints=()))
    wild = good.object + 0.8 * np.random.default_rng(0).normal(size=good.object.shape).astype(np.float32)
    far = good.replace(object=wild).remember(
        algorithm, object=good.object, probe=good.probe, loss=np.float64(good.losses[-1])
    )
    before = problem.gradients(far, everything).loss
    back = algorithm.advance(problem, far, everything)
    np.testing.assert_allclose(back.object, (good.object + wild) / 2, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(back.probe, good.probe)
    assert back.memory == {} and back.partial_loss == pytest.approx(before)
    after = algorithm.advance(problem, back.replace(partial_loss=0.0), everything)
    assert after.partial_loss < before
    assert problem.gradients(after, everything).loss < after.partial_loss


def test_the_first_step_is_the_lowest_point_of_the_parabola():
    problem = example_problem("potential")
    everything = np.arange(problem.count)
    algorithm = ConjugateGradient(sample=10**6, hold_probe=True)
    start = problem.start()
    g = problem.gradients(start, everything, with_probe=False)
    way = g.object / (g.illumination + np.float32(0.05) * g.illumination.max())
    hessian = curvature(problem, start, everything, [Direction(object=way)])[0, 0]
    length = 2 * float((g.object * way).sum()) / (hessian * (1 + 1e-4))
    after = algorithm.advance(problem, start, everything)
    np.testing.assert_allclose(after.object, start.object + length * way, rtol=0, atol=1e-5)


def test_sums_of_an_iteration_that_was_given_up_are_not_used():
    problem = example_problem("potential")
    algorithm, every = ConjugateGradient(), np.arange(problem.count)
    start = problem.start()
    begun = algorithm.advance(problem, start, every[:20])  # and here somebody begins the iteration anew
    expected = algorithm.advance(problem, start, every)
    np.testing.assert_array_equal(algorithm.advance(problem, begun, every).object, expected.object)


@pytest.mark.parametrize("true, first", [(0.5, 0.9), (0.9, 0.5)])
def test_the_shares_of_modes_are_found_soon(true, first):
    """As soon as all else; by the gradients alone they hardly move."""
    problem, truth = exact_problem("potential")
    alone = problem.initial_probe[0]
    makes = truth.replace(probe=first_modes(alone, 3, main_share=true))
    problem = with_patterns(replace(problem, initial_probe=makes.probe), problem.intensities(makes, np.arange(64)))
    problem = replace(problem, initial_probe=first_modes(alone, 3, main_share=first))
    plan = Plan(iterations=12, batch=None, algorithm=ConjugateGradient(), constraints=())
    *_, state = iterate(problem, plan)
    assert occupations(orthogonalise(state.probe))[0] == pytest.approx(true, abs=0.1)
