"""Measurements from plain arrays."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, GradientDescent, ParameterError, Plan, iterate, make_problem
from ptywidgets.engine.preprocess import measurement_of
from ptywidgets.testing import example_problem

ONES = np.ones((3, 8, 8))
WHERE = [[0, 0], [0.5, 2], [-1, 4]]


def test_the_same_numbers_give_the_same_reconstruction():
    problem = example_problem()
    known = problem.measurement
    origin = known.origin.reshape(2, -1).T
    again = measurement_of(known.patterns.counts, known.positions + 100.0, known.sampling, origin=origin)
    assert again.scan_shape == (problem.count, 1)
    assert again.mean_intensity == pytest.approx(known.mean_intensity)
    np.testing.assert_allclose(again.shifts, known.shifts, atol=1e-12)
    np.testing.assert_allclose(again.positions, known.positions, atol=1e-10)
    assert (again.com_corrected == 0).all()
    plan = Plan(iterations=2, batch=None, algorithm=GradientDescent(), constraints=())
    first, second = (list(iterate(make_problem(m, probe=problem.initial_probe), plan))[-1] for m in (known, again))
    np.testing.assert_allclose(second.object, first.object, atol=1e-5)


def test_an_origin_in_the_middle_is_rolled_to_the_corner():
    patterns = np.arange(2 * 6 * 8, dtype=float).reshape(2, 6, 8)
    measurement = measurement_of(patterns, WHERE[:2], (1.0, 2.0), origin=(3, 4))
    np.testing.assert_allclose(measurement.amplitudes**2, np.fft.ifftshift(patterns, axes=(1, 2)), rtol=1e-6)
    assert measurement.sampling == (1.0, 2.0) and (measurement.shifts == 0).all()


def test_masked_pixels_may_hold_anything():
    patterns, mask = ONES.copy(), np.ones((8, 8), bool)
    patterns[:, 2, 3], mask[2, 3] = np.nan, False
    measurement = measurement_of(patterns, WHERE, 1.0, mask=mask)
    assert measurement.mean_intensity == 63
    assert (measurement.amplitudes[:, 2, 3] == -1).all()


def test_a_probe_in_another_memory_order_is_taken():
    problem = example_problem()
    whole = np.round(problem.measurement.positions / problem.sampling) * problem.sampling
    measurement = measurement_of(problem.patterns.counts, whole, problem.sampling)
    probe = np.asfortranarray(problem.initial_probe[0])
    state = next(iterate(make_problem(measurement, probe=probe), Plan(iterations=1)))
    assert np.isfinite(state.losses).all()


@pytest.mark.parametrize(
    "wrong, kind, words",
    [
        ({"positions": WHERE[:2]}, DataError, "3 patterns but 2 positions"),
        ({"positions": [0.0, 1, 2]}, DataError, r"positions are \(3,\)"),
        ({"patterns": -ONES}, DataError, "pattern 0 has negative"),
        ({"patterns": 0 * ONES}, DataError, "all patterns are empty"),
        ({"sampling": 0.0}, ParameterError, "sampling is 0.0"),
    ],
)
def test_what_cannot_be_is_said(wrong, kind, words):
    with pytest.raises(kind, match=words):
        measurement_of(**{"patterns": ONES, "positions": WHERE, "sampling": 1.0, **wrong})
