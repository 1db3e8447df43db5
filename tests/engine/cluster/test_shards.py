"""Shards are compact blocks of as many positions each; what they see of the object is cut out and put back."""

import numpy as np
import pytest

from ptywidgets.engine.cluster.shards import Box, cut, divided, nbytes


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7, 16])
def test_every_position_is_in_one_shard(shards):
    positions = np.random.default_rng(0).uniform(0, 9, (100, 2))
    blocks = cut(positions, shards)
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(100))
    sizes = [len(block) for block in blocks]
    assert len(blocks) == shards and max(sizes) - min(sizes) <= 2
    assert all((np.diff(block) > 0).all() for block in blocks)


def test_a_square_scan_is_cut_into_squares():
    y, x = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    positions = np.stack([y.ravel(), x.ravel()], axis=1)
    for block in cut(positions, 4):
        np.testing.assert_array_equal(np.ptp(positions[block], axis=0), [3, 3])


def test_there_are_no_more_shards_than_positions():
    assert [len(block) for block in cut(np.zeros((3, 2)), 8)] == [1, 1, 1]


def test_a_box_holds_the_windows_and_no_more():
    box = Box.around(np.array([[2, 5], [4, 3]]), (4, 6))
    assert box == Box((2, 3), (6, 8))
    field = np.arange(3 * 20 * 20).reshape(3, 20, 20)
    np.testing.assert_array_equal(box.of(field), field[:, 2:8, 3:11])
    box.of(field)[...] = 0
    assert field[:, 2:8, 3:11].max() == 0 and field[0, 8, 3] > 0


def test_parameters_are_maps_or_not():
    parameters = {"tds_strength": np.zeros((2, 1, 9, 8)), "background": np.zeros((4, 4)), "affine": np.zeros(4)}
    maps, others = divided(parameters, (1, 9, 8))
    assert list(maps) == ["tds_strength"] and sorted(others) == ["affine", "background"]


def test_bytes_of_what_is_sent():
    assert nbytes([Box((0, 0), (1, 1)), np.zeros(3, np.float32), {"a": (np.zeros(1),)}]) == 20
