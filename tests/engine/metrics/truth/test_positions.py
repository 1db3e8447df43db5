"""Known maps between positions are found and taken off; what is left is what was put in."""

import numpy as np
import pytest

from ptywidgets.engine import DataError
from ptywidgets.engine.metrics import position_errors

GRID = np.stack(np.meshgrid(np.arange(9.0), np.arange(7.0), indexing="ij"), -1).reshape(-1, 2) * 3


def test_a_shift_of_all_is_no_error():
    found = position_errors(GRID + np.array([12.5, -3.0]), GRID)
    assert found.rms < 1e-12
    np.testing.assert_allclose(found.offset, [-12.5, 3.0])
    np.testing.assert_array_equal(found.matrix, np.eye(2))


def test_scale_and_rotation_are_found():
    angle, scale = np.deg2rad(3.0), 1.01
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = position_errors(GRID, GRID @ turn.T + 4, affine=True)
    assert found.rms < 1e-10
    assert found.rotation == pytest.approx(3) and found.scale == pytest.approx(1.01)
    np.testing.assert_allclose(found.matrix, turn, atol=1e-12)
    assert position_errors(GRID, GRID @ turn.T).rms > 0.1


def test_what_is_left_is_the_scatter():
    grid = np.random.default_rng(0).uniform(0, 100, (4000, 2))
    scatter = np.random.default_rng(1).normal(scale=0.3, size=grid.shape)
    found = position_errors(grid + scatter, grid, affine=True)
    assert found.rms == pytest.approx(0.3 * np.sqrt(2), rel=0.03)
    np.testing.assert_allclose(found.errors, scatter, atol=0.05)
    np.testing.assert_allclose(np.sqrt(np.mean(found.distances**2)), found.rms)


def test_one_wrong_position_is_seen_as_that():
    moved = GRID.copy()
    moved[20] += [1.0, 0.0]
    found = position_errors(moved, GRID)
    assert found.distances.argmax() == 20 and found.distances[20] == pytest.approx(1, abs=0.02)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(DataError, match=r"\(J, 2\)"):
        position_errors(GRID, GRID[:-1])
    with pytest.raises(DataError, match="line"):
        position_errors(GRID[:5] * [1, 0], GRID[:5], affine=True)
