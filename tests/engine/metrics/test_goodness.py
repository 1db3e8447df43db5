"""What is left unexplained is told in absolute terms, at any dose and for any unit of intensity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Dataset, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.core.state import State
from ptywidgets.engine.metrics import thin_counts
from ptywidgets.engine.metrics.goodness import goodness
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.solve.schedule import prepared_for_schedule, reconstruct
from ptywidgets.testing import example_problem


def settled(dataset: Dataset, rotation: float = -15.0, defocus: float = 250.0) -> tuple[Problem, State]:
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=defocus))
    measurement = prepare(dataset, rotation=rotation, transpose=False)
    problem = make_problem(measurement, optics, model=single_slice("potential"))
    *_, state = reconstruct(problem, iterations=24)
    return prepared_for_schedule(problem).at_window(state.probe.shape[-2:]), state


@pytest.fixture(scope="module")
def duck() -> Dataset:
    return samples.ducky("tiny", dose=1e4)


def test_the_right_model_leaves_nothing_at_any_dose(duck):
    for share in (1.0, 0.1):
        found = goodness(*settled(thin_counts(duck, share)[0] if share < 1 else duck))
        assert found is not None and found.counted
        assert abs(found.share) < 3 * found.uncertainty + 0.05
        assert abs(found.chi_squared - 1) < 0.05


def test_a_wrong_orientation_leaves_most_at_any_dose(duck):
    for share in (1.0, 0.1):
        found = goodness(*settled(thin_counts(duck, share)[0] if share < 1 else duck, rotation=45.0))
        assert found is not None and found.share - 3 * found.uncertainty > 0.1


def test_intensities_without_noise_and_in_any_unit_leave_as_little():
    clean = samples.ducky("tiny", dose=None)
    scaled = replace(clean, data=np.asarray(clean.data) * np.float32(3e-4), vacuum=None)
    found = goodness(*settled(scaled))
    assert found is not None and not found.counted and np.isnan(found.chi_squared)
    assert found.share < 0.08
    wrong = goodness(*settled(scaled, rotation=45.0))
    assert wrong is not None and wrong.share - 3 * wrong.uncertainty > 0.1


@pytest.mark.parametrize("gain", [np.float32(7.3), np.uint16(5)])
def test_noise_in_another_unit_is_not_taken_for_something_unexplained(duck, gain):
    faint = thin_counts(duck, 0.3)[0]
    found = goodness(*settled(replace(faint, data=np.asarray(faint.data) * gain)))
    assert found is None or (not found.counted and found.share - 3 * found.uncertainty < 0.1)


def test_what_all_patterns_have_in_common_is_the_detectors(duck):
    problem, state = settled(duck)
    before = goodness(problem, state)
    y, x = np.indices(duck.detector_shape) - 32
    uneven = 1 + 0.03 * np.sin(y / 2) * np.cos(x / 3)  # pixels that are not equally sensitive
    data = np.random.default_rng(3).poisson(np.asarray(duck.data) * uneven).astype(np.uint16)
    measurement = prepare(replace(duck, data=data), rotation=-15.0, transpose=False)
    other = make_problem(measurement, probe=np.asarray(state.probe), model=problem.model)
    after = goodness(other, state)
    assert before is not None and after is not None and after.share < before.share + 0.15


def test_too_few_patterns_tell_nothing():
    problem = example_problem("potential")
    rows = np.arange(6)
    few = replace(
        problem, initial_positions=problem.initial_positions[rows], patterns=problem.measurement.patterns.take(rows)
    )
    state = problem.start()
    assert goodness(few, state.replace(positions=state.positions[rows])) is None


def test_patterns_that_are_all_alike_tell_nothing():
    problem = example_problem("potential")
    flat = np.random.default_rng(0).poisson(np.full((problem.count, *problem.window), 5.0))
    alike = replace(problem, patterns=type(problem.patterns).centred(flat.astype(np.uint16)))
    assert goodness(alike, problem.start()) is None


def test_sums_of_pixels_see_more_of_what_a_wrong_model_leaves(duck):
    faint = thin_counts(duck, 0.1)[0]
    wrong, right = settled(faint, rotation=45.0), settled(faint)
    one, sums = goodness(*wrong), goodness(*wrong, blocks=2)
    assert one is not None and sums is not None and sums.blocks == 2
    assert sums.share > one.share and sums.share - 3 * sums.uncertainty > 0.1
    found = goodness(*right, blocks=2)
    assert found is not None and abs(found.share) < 3 * found.uncertainty
