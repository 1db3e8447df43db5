"""Crops, bins and series: the same numbers as numpy's, and nothing read that is not asked for."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.data.array_views import BinnedArray, CroppedArray, FlippedArray, SeriesView, binned, summed_dtype
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import read

RNG = np.random.default_rng(0)


class Counting:
    """Array-like that remembers how much was read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        block = self.array[key]
        self.read += block.size
        return block


KEYS = [
    (2, 1),
    (slice(1, 3), slice(None)),
    (slice(None, None, 2), slice(3, 0, -1), 2),
    (-1, slice(1, None), slice(2, 5), slice(None, None, 3)),
    (Ellipsis, 0),
    (slice(4, 1),),
]


@pytest.mark.parametrize("key", KEYS)
def test_views_are_sliced_as_arrays_are(key):
    array = RNG.integers(0, 250, (8, 9, 10, 11)).astype(np.uint8)
    crop = CroppedArray(Counting(array), ((1, 7), (2, 8), (0, 9), (3, 11)))
    assert np.array_equal(crop[key], array[1:7, 2:8, 0:9, 3:11][key])
    bins = BinnedArray(Counting(array), (2, 1, 3, 2))
    plain = array[:, :, :9, :10].astype(int).reshape(4, 2, 9, 1, 3, 3, 5, 2).sum((1, 3, 5, 7))
    assert np.array_equal(bins[key], plain[key])
    series = np.stack([array, array // 2])
    assert np.array_equal(SeriesView(series, 1)[key], series[1][key])
    assert np.array_equal(SeriesView(series, "sum")[key], series.sum(0)[key])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "f4", "f2", "?"])
def test_sums_do_not_overflow(dtype):
    top = True if dtype == "?" else 1.0 if dtype in ("f4", "f2") else np.iinfo(dtype).max
    array = np.full((2, 2, 4, 4), top, dtype)
    summed = BinnedArray(array, (2, 2, 4, 4))
    assert float(summed[0, 0, 0, 0]) == 64 * float(top)
    assert summed.dtype.itemsize <= 8 and np.asarray(summed).dtype == summed.dtype


def test_the_sum_of_one_is_of_its_own_type():
    assert summed_dtype(">u2", 1) == np.dtype("u2") and summed_dtype("f8", 4) == np.dtype("f8")
    assert binned(np.arange(6, dtype=np.uint8).reshape(2, 3), (2, 1)).tolist() == [[3, 5, 7]]


def test_nothing_is_read_until_it_is_asked_for():
    source = Counting(RNG.integers(1, 9, (8, 8, 16, 16)).astype(np.uint16))
    whole = Dataset(source)
    assert source.read == 256, "one pattern of an array of another kind, to see whether it is indexed as numpy's are"
    source.read = 0
    dataset = whole.crop(scan=(2, 6, 2, 6)).bin(scan=2, detector=2)
    assert source.read == 0
    dataset.pattern(0, 1)
    assert source.read == 4 * 256


def test_files_are_read_in_their_chunks(tmp_path):
    array = RNG.integers(0, 9, (12, 6, 16, 16)).astype(np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=array, chunks=(4, 6, 16, 16), compression="gzip")
    crop = read(tmp_path / "a.h5")[3:11]
    assert [first for first, _ in crop.rows(1)] == [0, 1, 5], "blocks end where chunks do"
    assert np.array_equal(crop.load().data, array[3:11])
    bins = read(tmp_path / "a.h5").bin(scan=2, detector=(1, 4))
    assert np.array_equal(bins.load().data, array.reshape(6, 2, 3, 2, 16, 4, 4).sum((1, 3, 6)))
    assert bins.is_lazy and pickle.loads(pickle.dumps(bins.data)).shape == bins.shape


@pytest.fixture
def series(tmp_path):
    array = RNG.integers(0, 60000, (3, 4, 5, 8, 8)).astype(np.uint16)
    with h5py.File(tmp_path / "series.h5", "w") as file:
        file["data"] = array
        for n, (step, unit) in enumerate([(1.0, "s"), (0.4, "nm"), (0.4, "nm"), (0.5, "1/nm"), (0.5, "1/nm")]):
            file[f"dim{n}"] = np.arange(2) * step
            file[f"dim{n}"].attrs["units"] = unit
    np.save(tmp_path / "series.npy", array)
    return tmp_path, array


@pytest.mark.parametrize("name", ["series.h5", "series.npy"])
def test_a_series_is_chosen_from_or_added_up(series, name):
    folder, array = series
    with pytest.raises(DataError, match=r"series of 3 scans, 3 x 4 x 5 x 8 x 8.*choose=0.*choose=2.*choose='sum'"):
        read(folder / name)
    one, total = read(folder / name, choose=1), read(folder / name, choose="sum")
    assert np.array_equal(one.load().data, array[1]) and one.dtype == np.uint16 and one.is_lazy
    assert np.array_equal(total.load().data, array.astype(int).sum(0)) and total.dtype == np.uint32
    for dataset in (one, total):
        assert np.array_equal(dataset.source.open().pattern(2, 3), dataset.pattern(2, 3))
    assert "scan number 1" in one.describe() and "sum of all" in total.describe()
    for wrong in (3, -1, "mean", 1.5):
        with pytest.raises(DataError, match="choose is"):
            read(folder / name, choose=wrong)


def test_the_axes_of_a_series_are_those_of_its_scans(series):
    calibration = read(series[0] / "series.h5", choose=0).calibration
    assert calibration == Calibration(scan_step=4.0, q_pixel=0.05)


def test_a_series_of_one_and_no_series(tmp_path):
    np.save(tmp_path / "one.npy", np.ones((1, 4, 5, 8, 8), np.uint8))
    assert read(tmp_path / "one.npy").shape == (4, 5, 8, 8)
    np.save(tmp_path / "plain.npy", np.ones((4, 5, 8, 8), np.uint8))
    with pytest.raises(DataError, match="no series"):
        read(tmp_path / "plain.npy", choose=0)
    with pytest.raises(DataError, match=r"5 axes.*Dataset\(data\[0\]\)"):
        Dataset(np.ones((2, 4, 5, 8, 8)))
    np.save(tmp_path / "six.npy", np.ones((2, 2, 2, 2, 4, 4)))
    with pytest.raises((DataError, FileFormatError), match="axes"):
        read(tmp_path / "six.npy")


def test_chunks_of_a_scan_that_is_turned_about_begin_where_they_do():
    class Stored:
        def __init__(self, values):
            self.values, self.shape, self.dtype, self.chunks = values, values.shape, values.dtype, (3, 2, 4, 4)

        def __getitem__(self, key):
            return self.values[key]

    values = np.arange(7 * 2 * 16, dtype=np.uint16).reshape(7, 2, 4, 4)
    turned = FlippedArray(Stored(values), False, True, scan_rows=True)
    assert turned.chunk_offset == 2  # a chunk of one row first, the last of the seven
    np.testing.assert_array_equal(np.asarray(turned), values[::-1, :, :, ::-1])
    np.testing.assert_array_equal(turned[1:4, 1, ::2], values[::-1, :, :, ::-1][1:4, 1, ::2])
