"""Counted electrons: patterns are summed from pixel numbers, whatever the order of the frames."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.hdf5 import stempy
from ptywidgets.engine.io.formats.hdf5.guarded import HEAP
from ptywidgets.testing.contracts.formats import FormatContract, Sample

RNG = np.random.default_rng(7)
TRUTH = RNG.poisson(0.7, (3, 4, 10, 6)).astype(np.uint16)  # some pixels are hit twice


def events_of(patterns):
    """Pixel numbers of each pattern, each as often as it was hit."""
    return [RNG.permutation(np.repeat(np.arange(one.size), one.ravel())) for one in patterns.reshape(-1, 10, 6)]


def written(path, events=None, places=None, detector=(10, 6), scan=(3, 4), dtype=np.uint32):
    path.parent.mkdir(exist_ok=True)
    events = events_of(TRUTH) if events is None else events
    with h5py.File(path, "w") as file:
        group = file.create_group("electron_events")
        frames = group.create_dataset("frames", (len(events),), h5py.vlen_dtype(dtype))
        for number, one in enumerate(events):
            frames[number] = one
        if detector is not None:
            frames.attrs["Ny"], frames.attrs["Nx"] = detector
        if scan is not None:
            group["scan_positions"] = np.arange(len(events)) if places is None else places
            group["scan_positions"].attrs["Ny"], group["scan_positions"].attrs["Nx"] = scan
        file["stem/images"] = np.zeros((2, *(scan or (1, 1))))
    return path


class TestStempy(FormatContract):
    module = stempy

    @pytest.fixture
    def sample(self, tmp_path):
        return Sample(written(tmp_path / "sample" / "counted.h5"), TRUTH)


def test_frames_in_any_order_and_several_at_a_position(tmp_path):
    events = events_of(TRUTH)
    places = list(RNG.permutation(12))
    frames = [events[place] for place in places]
    cut = len(frames[3]) // 2
    frames, places = [*frames, frames[3][cut:]], [*places, places[3]]
    frames[3] = frames[3][:cut]
    dataset = read(written(tmp_path / "a.h5", frames, places))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.scan_mask is None
    part = dataset.crop(scan=(1, 2, 1, 3))
    np.testing.assert_array_equal(part.load().data, TRUTH[1:2, 1:3])


def test_several_frames_in_a_row_of_the_list(tmp_path):
    path = tmp_path / "a.h5"
    events = events_of(TRUTH)
    with h5py.File(path, "w") as file:
        frames = file.create_dataset("electron_events/frames", (12, 2), h5py.vlen_dtype(np.uint32))
        for number, one in enumerate(events):
            frames[number, 0], frames[number, 1] = one[:5], one[5:]
        frames.attrs["Ny"], frames.attrs["Nx"] = 10, 6
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(path)
    np.testing.assert_array_equal(read(path, scan_shape=(3, 4)).load().data, TRUTH)


def test_positions_without_a_frame_are_left_out(tmp_path):
    events, places = events_of(TRUTH), np.delete(np.arange(12), [2, 7])
    path = written(tmp_path / "a.h5", [events[n] for n in places], places)
    dataset = read(path)
    expected = TRUTH.reshape(12, 10, 6).copy()
    expected[[2, 7]] = 0
    np.testing.assert_array_equal(dataset.load().data.reshape(12, 10, 6), expected)
    assert np.flatnonzero(~dataset.scan_mask.ravel()).tolist() == [2, 7]
    np.testing.assert_array_equal(dataset.source.open().scan_mask, dataset.scan_mask)


def test_frames_without_electrons(tmp_path):
    path = written(tmp_path / "a.h5", [np.empty(0, np.uint32)] * 12)
    assert not read(path).load().data.any()


def test_what_cannot_be(tmp_path):
    with pytest.raises(FileFormatError, match="no attributes Ny and Nx"):
        read(written(tmp_path / "a.h5", detector=None))
    with pytest.raises(DataError, match=r"electron in pixel \d+ of a detector of 2 x 3"):
        read(written(tmp_path / "b.h5", detector=(2, 3))).load()
    with pytest.raises(DataError, match="positions 0 to 11 of a scan of 2 x 4"):
        read(written(tmp_path / "c.h5", scan=(2, 4)))
    with pytest.raises(FileFormatError, match=r"frames .*expected the pixel numbers"):
        read(written(tmp_path / "d.h5", [np.array([0.5])] * 12, dtype=np.float32))
    with pytest.raises(DataError, match="70000 electrons in one pattern"):
        read(written(tmp_path / "e.h5", [np.zeros(70_000, np.uint32)] * 12)).load()
    odd = written(tmp_path / "f.h5")
    with h5py.File(odd, "r+") as file:
        del file["electron_events/scan_positions"]
        file["electron_events/scan_positions"] = np.arange(5)
    with pytest.raises(FileFormatError, match=r"scan_positions .* is 5 .*for each of 12 frames"):
        read(odd)


def test_a_heap_that_would_hold_the_process_for_good_is_an_error(tmp_path):
    path = written(tmp_path / "a.h5")
    dataset = read(path)
    data = bytearray(path.read_bytes())
    at = data.index(HEAP) + 16
    data[at : at + 16] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="damaged"):
        dataset.load()


def test_events_are_not_counted_before_they_are_asked_for(tmp_path):
    dataset = read(written(tmp_path / "a.h5", detector=(1000, 2000), scan=(3, 4)))
    assert dataset.shape == (3, 4, 1000, 2000) and dataset.pattern(2, 3).sum() == TRUTH[2, 3].sum()
