"""Constraints on positions: what moves all of them, and what may not move one too far."""

import numpy as np
import pytest

from ptywidgets.engine.constraints import PositionAffine, PositionDistance, PositionMean, Relaxed
from ptywidgets.engine.constraints.positions import affine_part


def applied(constraint, problem, positions):
    return constraint.prepare(problem)(problem.start().replace(positions=positions)).positions


def turned(places, degrees, scale=1.0, shift=(0.3, -0.2)):
    """A rotation about the middle, of either sign, with a scale and a shift."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = places.mean(0)
    return (places - middle) @ (scale * np.array([[c, s], [-s, c]])) + middle + shift


def test_the_mean_stays_where_it_was(problem):
    noise = np.random.default_rng(0).normal(size=problem.initial_positions.shape)
    after = applied(PositionMean(), problem, problem.initial_positions + noise + 5)
    np.testing.assert_allclose(after, problem.initial_positions + noise - noise.mean(0), atol=1e-12)


@pytest.mark.parametrize("degrees", [-3.0, 2.0])
def test_an_affine_change_stays_and_outliers_are_put_on_it(problem, degrees):
    wanted = turned(problem.initial_positions, degrees, 1.02)
    given = wanted.copy()
    given[::7] += np.random.default_rng(1).normal(scale=5, size=given[::7].shape)
    np.testing.assert_allclose(applied(PositionAffine(), problem, wanted), wanted, atol=1e-9)
    np.testing.assert_allclose(applied(PositionAffine(), problem, given), wanted, atol=1e-6)


def test_noise_is_averaged_as_least_squares_do(problem):
    """Without outliers the biweight loses little: twice the error of least squares is far from reached."""
    wanted = turned(problem.initial_positions, 1.0)
    given = wanted + np.random.default_rng(2).normal(scale=0.3, size=wanted.shape)
    error = np.sqrt(((applied(PositionAffine(), problem, given) - wanted) ** 2).mean())
    assert error < 2 * 0.3 * np.sqrt(3 / problem.count)


def test_a_share_goes_part_of_the_way(problem):
    given = problem.initial_positions + np.random.default_rng(3).normal(size=problem.initial_positions.shape)
    whole = applied(PositionAffine(), problem, given)
    expected = 0.25 * whole + 0.75 * given
    np.testing.assert_allclose(applied(PositionAffine(share=0.25), problem, given), expected, atol=1e-12)
    np.testing.assert_allclose(applied(Relaxed(0.25, PositionAffine()), problem, given), expected, atol=1e-12)


def test_positions_on_a_line_have_a_fit():
    places = np.column_stack([np.zeros(9), np.arange(9.0)])
    moved = np.column_stack([0.1 * np.arange(9), np.full(9, 0.5)])
    np.testing.assert_allclose(affine_part(places, moved), moved, atol=1e-9)
    np.testing.assert_allclose(affine_part(places[:1], moved[:1] + 1), moved[:1] + 1, atol=1e-9)


def test_no_position_goes_too_far(problem):
    first = problem.initial_positions
    moved = np.zeros_like(first)
    moved[0], moved[1] = (3, 4), (0.3, 0.4)
    after = applied(PositionDistance(limit=1.0), problem, first + moved) - first
    np.testing.assert_allclose(after[:3], [[0.6, 0.8], [0.3, 0.4], [0, 0]], atol=1e-12)
    np.testing.assert_array_equal(applied(PositionDistance(limit=0), problem, first + moved), first)
