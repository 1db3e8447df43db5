"""Counts that are held out are independent of those that are left, and tell structure from noise."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.backends.gpu import GpuBackend
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import AnscombeLoss
from ptywidgets.engine.models import Background
from ptywidgets.engine.problem import problem as problems
from ptywidgets.engine.problem.held_out import LEAST, hold_out
from ptywidgets.testing import example_problem
from ptywidgets.testing.series import example_series


def test_what_is_held_out_and_what_is_left_are_all_counts():
    problem = example_problem()
    split = hold_out(problem, seed=1)
    held, others = split.held_out, split.patterns.substitutes
    assert len(held.indices) == LEAST
    whole = problem.patterns.counts[held.indices]
    np.testing.assert_array_equal(held.patterns.counts + others.patterns.counts, whole)
    assert held.patterns.counts.dtype == problem.patterns.counts.dtype
    assert problem.patterns.substitutes is None, "the problem that was given has changed"
    share = held.patterns.counts.sum() / whole.sum()
    assert share == pytest.approx(0.5, abs=5 / np.sqrt(whole.sum()))


def test_the_rest_is_made_as_bright_as_it_was():
    problem = example_problem()
    split = hold_out(problem)
    index = split.held_out.indices[:8]
    before, after = (p.patterns.amplitudes(index).astype(float) ** 2 for p in (problem, split))
    np.testing.assert_allclose(after.sum((1, 2)), before.sum((1, 2)), rtol=0.02)
    others = np.setdiff1d(np.arange(problem.count), split.held_out.indices)
    np.testing.assert_array_equal(split.patterns.amplitudes(others), problem.patterns.amplitudes(others))
    device = problem.backend.amplitudes(split.patterns, index, np.float32)
    np.testing.assert_allclose(device, split.patterns.amplitudes(index), rtol=1e-6)


def test_intensities_are_not_split():
    problem = example_problem()
    patterns = problem.patterns
    scaled = replace(problem, patterns=Patterns(patterns.counts * np.float32(0.3), patterns.origin))
    assert hold_out(scaled) is scaled


def test_the_misfit_of_noise_alone_is_what_statistics_say():
    problem = hold_out(example_problem())
    problem = replace(problem, measurement=replace(problem.measurement, shifts=None))
    generator = np.random.default_rng(0)
    held = replace(problem.held_out, patterns=Patterns.centred(generator.poisson(20.0, (LEAST, *problem.window))))
    point = np.zeros_like(problem.initial_probe)
    point[0, 0, 0] = np.sqrt(40.0 * np.prod(problem.window))  # lights every pixel alike where there is no specimen
    state = problem.start().replace(probe=point, object=np.full_like(problem.initial_object, problem.vacuum))
    np.testing.assert_allclose(problem.intensities(state, held.indices), 40.0, rtol=1e-5)
    # Anscombe-transformed counts have the variance 1/4, so twice their squares add up to half a pixel.
    expected = 0.5 * np.prod(problem.window)
    assert held.misfit(problem, state) == pytest.approx(expected, rel=0.02)


def test_the_misfit_falls_with_structure_and_not_with_noise():
    problem = replace(hold_out(example_problem("potential")), loss=AnscombeLoss())
    *_, state = iterate(problem, Plan(iterations=3, batch=16))
    assert len(state.misfits) == 3 and state.misfits[-1] < state.misfits[0]
    noise = np.random.default_rng(0).normal(size=state.object.shape).astype(np.float32)
    worse = problem.held_out.misfit(problem, state.replace(object=state.object + 0.3 * noise))
    assert worse > state.misfits[-1]


def test_without_held_out_counts_the_misfit_is_unknown():
    *_, state = iterate(example_problem(), Plan(iterations=2))
    assert np.isnan(state.misfits).all() and len(state.misfits) == 2


def test_what_was_held_out_is_a_problem_of_its_own():
    problem = example_problem("potential")
    model = replace(problem.model, background=Background())
    problem = hold_out(replace(problem, model=model))
    state = problem.start()
    alone, dimmed = problem.held_out.unseen(problem, state)
    every = np.arange(alone.count)
    assert alone.count == len(problem.held_out.indices) and alone.held_out is None
    expected = problem.intensities(state, problem.held_out.indices) * np.float32(problem.held_out.share)
    np.testing.assert_allclose(alone.intensities(dimmed, every), expected, rtol=1e-4, atol=1e-6)
    held = problem.held_out.patterns.crop(problem.window).amplitudes()
    np.testing.assert_array_equal(alone.backend.amplitudes(alone.patterns, every, np.float32), held)


def test_a_loss_alone_is_that_of_the_gradients():
    problem = hold_out(example_problem())
    state, batch = problem.start(), np.arange(0, problem.count, 3)
    assert problem.value(state, batch) == pytest.approx(problem.gradients(state, batch).loss, rel=1e-6)
    assert problem.value(state, batch[:1]) == pytest.approx(problem.gradients(state, batch[:1]).loss, rel=1e-6)


@pytest.mark.parametrize("device", ["cpu", "stand-in"])
def test_a_problem_that_is_moved_keeps_what_is_held_out(device, monkeypatch):
    """It once went on with all counts, and was judged by counts that it had seen."""
    if device != "cpu":  # a device's arrays, which are numpy's here
        monkeypatch.setattr(problems, "get_backend", lambda name: GpuBackend(np, np.add.at, lambda: 1 << 26))
    window = tuple(n - 4 for n in example_problem().window)
    problem = hold_out(example_problem().at_window(window), seed=3)
    moved = problem.to(device)
    assert moved.patterns.window == window and (moved.backend is not problem.backend or device == "cpu")
    np.testing.assert_array_equal(moved.patterns.amplitudes(), problem.patterns.amplitudes())
    state = problem.start()
    assert moved.held_out.misfit(moved, state) == pytest.approx(problem.held_out.misfit(problem, state), rel=1e-5)
    everything = np.arange(problem.count)
    assert moved.value(state, everything) == pytest.approx(problem.value(state, everything), rel=1e-5)


def test_a_part_of_a_problem_is_moved_as_that_part():
    problem = hold_out(example_problem())
    alone, seen = problem.held_out.unseen(problem, problem.start())
    everything = np.arange(alone.count)
    assert alone.to("cpu").value(seen, everything) == alone.value(seen, everything)


def test_a_series_that_is_moved_keeps_what_is_held_out():
    series, generator = example_series(), np.random.default_rng(1)
    views = [
        replace(v, patterns=replace(v.patterns, counts=generator.poisson(v.patterns.counts).astype(np.uint16)))
        for v in series.views
    ]
    series = replace(series, views=tuple(views)).with_held_out()
    moved = series.to("cpu")
    state = series.start()
    assert moved.misfit(state) == series.misfit(state)
    assert moved.views[0].patterns.substitutes is not None
