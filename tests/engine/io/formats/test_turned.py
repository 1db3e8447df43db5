"""What belongs to the patterns is turned as they are: masks and vacuum patterns of the same file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets import Calibration, Dataset, write
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.io import read

SHAPE = (3, 4, 8, 8)


@pytest.fixture
def counts():
    data = np.random.default_rng(0).poisson(5.0, SHAPE).astype(np.uint16)
    data[:, :, 1, 6] = 60000  # a hot pixel
    return data


def turns():
    yield {"flip": "rows"}, lambda a: a[..., ::-1, :]
    yield {"flip": "columns"}, lambda a: a[..., ::-1]
    yield {"flip": "both"}, lambda a: a[..., ::-1, ::-1]
    yield {"axes": "Ry Rx Qx Qy"}, lambda a: a.swapaxes(-2, -1)
    yield {"axes": "Ry Rx Qx Qy", "flip": "rows"}, lambda a: a.swapaxes(-2, -1)[..., ::-1, :]


@pytest.mark.parametrize(("said", "turn"), list(turns()), ids=str)
@pytest.mark.parametrize("detector", [(8, 8), (8, 7)])
def test_they_follow_the_patterns(tmp_path, counts, said, turn, detector):
    counts = counts[..., : detector[0], : detector[1]]
    bad = np.zeros(detector, np.uint32)
    bad[1, 6] = 1
    vacuum = np.arange(bad.size, dtype=float).reshape(detector)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"], file["entry/data/pixel_mask"], file["entry/data/vacuum"] = counts, bad, vacuum
    dataset = read(tmp_path / "a.h5", **said)
    np.testing.assert_array_equal(dataset.load().data, turn(counts))
    np.testing.assert_array_equal(dataset.mask, turn(bad) == 0)
    np.testing.assert_array_equal(dataset.vacuum, turn(vacuum))
    assert dataset.load().data[:, :, dataset.mask].max() < 100
    again = dataset.crop(scan=(0, 2, 0, 4)).source.open()
    np.testing.assert_array_equal(again.mask, dataset.mask)
    np.testing.assert_array_equal(again.vacuum, dataset.vacuum)
    np.testing.assert_array_equal(again.load().data, turn(counts)[:2])


@pytest.mark.parametrize("detector", [(8, 8), (8, 7)])
@pytest.mark.parametrize("said", [{}, {"flip": "columns"}], ids=str)
def test_they_follow_the_patterns_of_a_stack(tmp_path, counts, detector, said):
    counts = counts[..., : detector[0], : detector[1]]
    bad = np.zeros(detector, np.uint32)
    bad[1, 6] = 1
    vacuum = np.arange(bad.size, dtype=float).reshape(detector)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = counts.reshape(12, *detector)
        file["entry/data/pixel_mask"], file["entry/data/vacuum"] = bad, vacuum
    dataset = read(tmp_path / "a.h5", scan_shape=(3, 4), axes="J Qx Qy", **said)
    columns = slice(None, None, -1 if said else 1)
    np.testing.assert_array_equal(dataset.load().data, counts.swapaxes(-2, -1)[..., columns])
    np.testing.assert_array_equal(dataset.mask, bad.T[:, columns] == 0)
    np.testing.assert_array_equal(dataset.vacuum, vacuum.T[:, columns])
    np.testing.assert_array_equal(dataset.source.open().mask, dataset.mask)


def test_a_scan_mask_follows_the_scan(tmp_path, counts):
    counted = np.ones((3, 4), bool)
    counted[0, 3] = False
    path = write(tmp_path / "a.h5", Dataset(counts).with_scan_mask(counted, confirm=True))
    dataset = read(path, axes="Rx Ry Qy Qx")
    np.testing.assert_array_equal(dataset.scan_mask, counted.T)
    np.testing.assert_array_equal(dataset.source.open().scan_mask, counted.T)


def test_what_is_converted_is_right_for_good(tmp_path, counts):
    mask = np.ones((8, 8), bool)
    mask[1, 6] = False
    calibration = Calibration(80e3, 1.5, 0.05)
    path = write(tmp_path / "a.h5", Dataset(counts, calibration, mask=mask, vacuum=np.arange(64.0).reshape(8, 8)))
    turned = read(path, flip="rows")
    again = read(write(tmp_path / "b.h5", turned))
    np.testing.assert_array_equal(again.mask, mask[::-1])
    np.testing.assert_array_equal(again.vacuum, np.arange(64.0).reshape(8, 8)[::-1])


@pytest.mark.parametrize("argument", ["mask", "vacuum"])
def test_of_another_file_it_is_asked_which_way_round_it_is(tmp_path, counts, argument):
    np.save(tmp_path / "a.npy", counts)
    np.save(tmp_path / "other.npy", np.arange(64.0).reshape(8, 8) < 60)
    with pytest.raises(ParameterError, match=f"{argument} is a file, and flip turns the patterns"):
        read(tmp_path / "a.npy", flip="rows", **{argument: tmp_path / "other.npy"})
    given = np.load(tmp_path / "other.npy")
    dataset = read(tmp_path / "a.npy", flip="rows", **{argument: given})  # an array is as the patterns are read
    np.testing.assert_array_equal(getattr(dataset, argument), given)


def test_another_mask_of_the_same_file_is_found_again(tmp_path, counts):
    bad, other = np.zeros((8, 8), np.uint32), np.zeros((8, 8), np.uint32)
    bad[1, 6] = other[2, 2] = 1
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["pixel_mask"], file["second/pixel_mask"] = counts, bad, other
    dataset = read(tmp_path / "a.h5", mask=False).with_mask(tmp_path / "a.h5", dataset="second/pixel_mask")
    again = dataset.source.open()
    np.testing.assert_array_equal(again.mask, dataset.mask)
    assert not again.mask[2, 2] and again.mask[1, 6]
