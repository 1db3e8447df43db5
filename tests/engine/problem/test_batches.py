"""Batches: every position once, random, and spread evenly over the scan."""

import numpy as np
import pytest

from ptywidgets.engine.preprocess import scan_positions
from ptywidgets.engine.problem.batches import batches_of, shuffled


@pytest.mark.parametrize("size", [None, 1, 7, 100, 1000])
@pytest.mark.parametrize("scan", [(1, 1), (1, 30), (12, 13)])
def test_every_position_is_taken_once(scan, size):
    positions = scan_positions(scan, 2.0, 15.0)
    batches = batches_of(shuffled(positions, size, np.random.default_rng(0)), size)
    assert sorted(np.concatenate(batches)) == list(range(len(positions)))
    assert max(len(b) for b in batches) <= (size or len(positions))
    assert max(len(b) for b in batches) - min(len(b) for b in batches) <= 1


def test_the_order_is_the_generators():
    positions = scan_positions((9, 9), 1.0, -20.0)
    one, same, other = (shuffled(positions, 20, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_batches_are_spread_more_evenly_than_a_plain_shuffles():
    positions = scan_positions((40, 40), 1.0, -15.0)
    generator = np.random.default_rng(0)

    def unevenness(order):
        """Spread of the share of positions that the first batch has in each of nine cells."""
        cells = [
            np.histogram2d(*which.T, bins=3, range=[(-17, 17)] * 2)[0]
            for which in (positions[batches_of(order, 400)[0]], positions)
        ]
        return (cells[0] / cells[1]).std()

    dealt = np.mean([unevenness(shuffled(positions, 400, generator)) for _ in range(10)])
    plain = np.mean([unevenness(generator.permutation(1600)) for _ in range(10)])
    assert dealt < 0.6 * plain
