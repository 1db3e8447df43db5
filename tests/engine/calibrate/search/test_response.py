"""The parabola through errors: its minimum, and how far parts of a block disagree about it, against closed forms."""

import numpy as np
import pytest

from ptywidgets.engine.calibrate.search.response import bottoms, parts_of
from ptywidgets.engine.calibrate.search.trial import Points


class Bowl:
    """Errors of every position with a minimum of their own: (x - x_j) A (x - x_j), x = (value, rotation)."""

    terms = ("C10",)

    def __init__(self, middles, square):
        self.middles, self.square = middles, square
        side = round(len(middles) ** 0.5)
        self.grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).reshape(2, -1).astype(float)

    def __len__(self):
        return len(self.middles)

    def errors(self, points, sweeps, rough=None):
        x = np.concatenate([points.values, points.rotation[:, None]], axis=1)[:, None] - self.middles
        return 1 + np.einsum("kji,il,kjl->kj", x, self.square, x)


SQUARE = np.array([[2.0, 0.3], [0.3, 1.0]])


def start(value, rotation):
    return Points(np.array([rotation]), np.array([False]), np.array([[value]]))


def test_the_minimum_of_a_quadratic_form_is_found_at_once():
    bowl = Bowl(np.tile([0.4, -0.3], (16, 1)), SQUARE)
    (found,) = bottoms(bowl, start(0.0, 0.0), np.ones(2), np.ones(2, bool), rounds=2)
    assert (*found.values, found.rotation) == pytest.approx((0.4, -0.3))
    assert found.error == pytest.approx(1)
    assert found.sigma == pytest.approx([0, 0], abs=1e-9)


def test_the_uncertainty_is_the_jackknife_of_the_parts():
    middles = np.random.default_rng(3).normal(0, 0.2, (16, 2))  # one position in each of 4 x 4 parts
    bowl = Bowl(middles, SQUARE)
    assert sorted(parts_of(bowl)) == list(range(16))
    (found,) = bottoms(bowl, start(0.1, 0.0), np.ones(2), np.ones(2, bool), rounds=2)
    assert (*found.values, found.rotation) == pytest.approx(middles.mean(0))
    assert found.sigma == pytest.approx(middles.std(0, ddof=1) / 4)  # of a mean of 16


def test_what_is_held_stays_and_scales_are_those_of_the_values():
    bowl = Bowl(np.tile([40.0, 2.0], (16, 1)), np.diag([1e-4, 1.0]))
    (found,) = bottoms(bowl, start(10.0, 0.5), np.array([50.0, 1.0]), np.array([True, False]), rounds=2)
    assert found.values[0] == pytest.approx(40) and found.rotation == 0.5 and found.sigma[1] == 0
    (held,) = bottoms(bowl, start(10.0, 0.5), np.array([50.0, 1.0]), np.zeros(2, bool))
    assert held.values[0] == 10 and held.error == pytest.approx(1 + 1e-4 * 900 + 1.5**2)


def test_a_minimum_that_runs_away_without_a_part_of_the_block_is_not_sharp():
    """All parts but one fall on and on: what is left without that one is no minimum, and nothing like one is stated."""

    class Slope(Bowl):
        def errors(self, points, sweeps, rough=None):
            x = np.concatenate([points.values, points.rotation[:, None]], axis=1)[:, None] - self.middles
            return 10 + 0.01 * (x**2).sum(-1) + x[..., 0]

    (found,) = bottoms(Slope(np.zeros((16, 2)), SQUARE), start(0.0, 0.0), np.ones(2), np.ones(2, bool), rounds=1)
    assert found.sigma[0] > 2 and found.sigma[1] == pytest.approx(0, abs=1e-6)
