"""A tilt series is a problem: exact gradients, every algorithm, constraints that act on every view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.algorithms import LSQML, PIE, ConjugateGradient, GradientDescent, Momentum
from ptywidgets.engine.algorithms.projections import raar
from ptywidgets.engine.constraints import (
    Every,
    PositionMean,
    Positivity,
    ProbeAperture,
    ProbeCentre,
    ProbeSupport,
    TotalVariation,
    VacuumBaseline,
)
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.solve.iterate import steps
from ptywidgets.engine.solve.schedule import reconstruct
from ptywidgets.engine.tomography import TiltSeries
from ptywidgets.testing.contracts.algorithms import from_file
from ptywidgets.testing.series import SERIES_OPTICS, blobs, dark_measurement, example_series

ALGORITHMS = [
    GradientDescent(),
    GradientDescent(rule=Momentum()),
    PIE(),
    LSQML(momentum=0.5),
    raar(),
    ConjugateGradient(),
]


@pytest.fixture(scope="module")
def small():
    return example_series(slices=2, modes=2)


def noise(like, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    real = generator.normal(size=like.shape)
    return scale * (real + 1j * generator.normal(size=like.shape) if np.iscomplexobj(like) else real)


def in_double(series, seed=0):
    """A state of double precision that does not explain the patterns."""
    state = series.start()
    volume = blobs(series.object_shape, 5) + noise(state.object, seed, 0.02)
    probe = state.probe + noise(state.probe, seed + 1, 0.02 * abs(state.probe).max())
    return state.replace(object=volume.astype(float), probe=probe.astype(np.complex128))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("what", ["object", "probe"])
def test_gradients_are_derivatives_of_the_loss(small, loss, what):
    series = small.with_loss(loss)
    state, batch = in_double(series), np.arange(0, series.count, 3)
    array = getattr(state, what)
    direction = noise(array, 7, 1e-3)
    gradient = getattr(series.gradients(state, batch), what)

    def at(step):
        return series.gradients(state.replace(**{what: array + step * direction}), batch).loss

    derivative = (at(1e-4) - at(-1e-4)) / 2e-4
    np.testing.assert_allclose(derivative, -2 * np.vdot(gradient, direction).real, rtol=1e-6)


def test_the_gradients_of_batches_add_up(small):
    state = in_double(small)
    whole, *parts = (small.gradients(state, b) for b in (np.arange(100), np.arange(37), np.arange(37, 100)))
    both = parts[0] + parts[1]
    for name in ("loss", "object", "probe", "illumination", "coverage"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


def test_the_curvature_is_that_of_the_slices(small):
    """In the direction in which the probe does not move, by second differences of the loss where the model fits."""
    state = small.start()
    state = state.replace(object=blobs(small.object_shape).astype(float), probe=state.probe.astype(np.complex128))
    direction = noise(state.object, 3, 1e-3)
    batch = np.arange(small.count)
    hessian = small.curvature(state, batch, [Direction(object=direction)])[0, 0]

    def at(step):
        return small.gradients(state.replace(object=state.object + step * direction), batch, with_probe=False).loss

    np.testing.assert_allclose((at(1e-2) - 2 * at(0) + at(-1e-2)) / 1e-4, hessian, rtol=1e-3)


def test_one_view_without_a_tilt_and_with_one_slice_is_single_slice():
    series = example_series((0.0,), depth=0.5)
    assert series.object_shape[0] == 1
    alone = make_problem(dark_measurement(), SERIES_OPTICS, model=series.model)
    alone = replace(alone, patterns=series.views[0].patterns)
    for algorithm in ALGORITHMS:
        plan = Plan(iterations=3, batch=8, algorithm=algorithm, constraints=(Positivity(), ProbeCentre()))
        (*_, one), (*_, two) = iterate(series, plan), iterate(alone, plan)
        if not series.goes_by_view(algorithm):  # there the batches are drawn alike
            np.testing.assert_allclose(one.losses, two.losses, rtol=1e-5)
            np.testing.assert_allclose(one.object, two.object, atol=1e-4)
        state = alone.start()
        first = algorithm.advance(alone, state, np.arange(8))
        np.testing.assert_allclose(series.advance(algorithm, state, np.arange(8)).object, first.object, atol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
@pytest.mark.parametrize("sequential", [False, True])
def test_the_loss_falls(small, algorithm, sequential):
    series = replace(small, sequential=sequential)
    plan = Plan(iterations=6, batch=10, algorithm=algorithm, constraints=())
    if sequential and isinstance(algorithm, ConjugateGradient):
        with pytest.raises(ValueError, match="sequential=False"):
            next(steps(series, plan))
        return
    *_, state = iterate(series, plan)
    assert np.isfinite(state.losses).all()
    assert state.losses[-1] < 0.7 * state.losses[0]
    assert state.object.shape == series.object_shape and state.object.dtype == np.float32
    assert state.probe.shape == (5 * 2, 20, 20) and state.probe.dtype == np.complex64


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
@pytest.mark.parametrize("ordering", ["shuffled", "serpentine", (4, 0, 3, 1, 2)])
def test_a_saved_run_goes_on_as_if_it_had_not_stopped(small, algorithm, ordering):
    series = replace(small, ordering=ordering)
    plan = Plan(iterations=3, batch=10, algorithm=algorithm, constraints=(Positivity(), ProbeCentre()))
    whole = list(steps(series, plan))
    for done in (len(whole) // 2, len(whole) // 3 * 2):
        *_, state = steps(series, plan, from_file(series, plan, whole[done - 1]))
        assert state.losses == whole[-1].losses
        np.testing.assert_array_equal(state.object, whole[-1].object)
        np.testing.assert_array_equal(state.probe, whole[-1].probe)


def test_views_come_in_the_order_that_is_asked_for(small):
    def visited(ordering, iteration):
        series = replace(small, ordering=ordering)
        state = series.start().replace(iteration=iteration)
        order = series.order(state, Plan(batch=7, algorithm=PIE()), np.random.default_rng(0))
        assert sorted(order) == list(range(series.count))
        batches = series.batches(order, 7)
        assert all(len(series.split(batch)) == 1 and len(batch) <= 7 for batch in batches)
        return list(dict.fromkeys(series.split(batch)[0][0] for batch in batches))

    assert visited("serpentine", 0) == [0, 1, 2, 3, 4]
    assert visited("serpentine", 1) == [4, 3, 2, 1, 0]
    assert visited((4, 0, 3, 1, 2), 0) == [4, 0, 3, 1, 2]
    assert sorted(visited("shuffled", 0)) == [0, 1, 2, 3, 4]
    together = small.order(small.start(), Plan(batch=10), np.random.default_rng(0))
    assert len(small.split(small.batches(together, 10)[0])) > 1


@pytest.mark.parametrize("sequential", [False, True])
def test_probe_constraints_act_on_every_view(small, sequential):
    """What the peer's tomography forgets: the apertures stay as they were."""
    series = replace(small, sequential=sequential)
    free, held = (
        list(iterate(series, Plan(iterations=3, batch=10, constraints=constraints)))[-1]
        for constraints in ((), (ProbeSupport(radius=0.3), Every(1, ProbeAperture())))
    )
    aperture = np.abs(np.fft.fft2(series.initial_probe, norm="ortho"))
    changes = [np.abs(np.abs(np.fft.fft2(state.probe, norm="ortho")) - aperture).max((1, 2)) for state in (free, held)]
    assert (changes[0] > 1e-3 * aperture.max()).all()  # of every view and mode
    assert (changes[1] < 1e-5 * aperture.max()).all()


def test_constraints_on_positions_and_on_the_volume(small):
    state = small.start()
    moved = state.replace(positions=state.positions + np.repeat([[0.2, -0.1]], small.count, 0))
    back = small.constrained(PositionMean())(moved)
    np.testing.assert_allclose(back.positions, state.positions, atol=1e-9)
    rough = state.replace(object=noise(state.object).astype(np.float32))
    assert small.constrained(Positivity())(rough).object.min() == 0
    for constraint in (VacuumBaseline(), TotalVariation(weight=0.1, depth_weight=0.1)):
        assert small.constrained(constraint)(rough).object.shape == state.object.shape


class MoveProbe:
    """A refinement that counts what it saw, and changes everything of a view."""

    def prepare(self, problem):
        def refine(state, batch):
            seen = state.parameters.get("seen", 0) + len(batch)
            return state.replace(
                positions=state.positions + 0.1,
                probe=state.probe * np.float32(1.1),
                object=state.object + np.float32(0.01),
                parameters={**state.parameters, "seen": seen},
            )

        return refine


def test_refinements_act_on_the_views_that_a_batch_has_seen(small):
    state = small.start()
    after = small.refined(MoveProbe())(state, np.array([45, 46, 2]))  # views 2 and 0
    moved = np.abs(after.positions - state.positions).max(1) > 0
    assert moved[:20].all() and moved[40:60].all() and not moved[20:40].any() and not moved[60:].any()
    changed = (after.probe != state.probe).any((1, 2))
    assert changed.reshape(5, 2).tolist() == [[True] * 2, [False] * 2, [True] * 2, [False] * 2, [False] * 2]
    assert dict(after.parameters) == {"2 seen": 2, "0 seen": 1}
    assert after.object.mean() > 0
    again = small.refined(MoveProbe())(after, np.array([41]))
    assert again.parameters["2 seen"] == 3 and again.parameters["0 seen"] == 1


def test_the_automatic_schedule_runs_on_counts():
    series = example_series(slices=2)
    generator = np.random.default_rng(1)
    views = tuple(
        replace(v, patterns=replace(v.patterns, counts=generator.poisson(v.patterns.counts).astype(np.uint16)))
        for v in series.views
    )
    *_, state = reconstruct(replace(series, views=views), iterations=8)
    assert np.isfinite(state.misfits).all() and state.misfits[-1] < state.misfits[0]
    assert isinstance(series.with_held_out(), TiltSeries)


def test_a_volume_is_found_again(small):
    truth = blobs(small.object_shape)
    plan = Plan(iterations=25, batch=None, algorithm=ConjugateGradient(lower_bound=0.0), constraints=(ProbeCentre(),))
    *_, state = iterate(small, plan)
    z, y, x = (n // 4 for n in truth.shape)
    inside = np.s_[z:-z, y:-y, x:-x]
    assert np.corrcoef(state.object[inside].ravel(), truth[inside].ravel())[0, 1] > 0.8
