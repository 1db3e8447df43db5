"""Masks from files, each taken for what it is."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read, read_mask, write

SHAPE = (4, 4, 8, 8)
BAD = [[1, 2], [6, 6]]


def flags(dtype=np.uint32, values=(1, 1 << 8)):
    array = np.zeros(SHAPE[2:], dtype)
    for (y, x), value in zip(BAD, values, strict=True):
        array[y, x] = value
    return array


def file_with(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


COUNTS = np.ones(SHAPE, np.uint16)


@pytest.mark.parametrize(
    "place", ["entry__data__pixel_mask", "entry__instrument__detector__detectorSpecific__pixel_mask", "pixel_mask"]
)
def test_a_pixel_mask_beside_the_data_is_used(tmp_path, place):
    path = file_with(tmp_path / "a.h5", entry__data__counts=COUNTS, **{place: flags()})
    dataset = read(path)
    assert np.argwhere(~dataset.mask).tolist() == BAD
    assert "pixel_mask" in dataset.describe() and dataset.source.files() == (path,)
    assert read(path, mask=False).mask is None
    assert np.array_equal(dataset.source.open().mask, dataset.mask)
    assert np.array_equal(read(file_with(tmp_path / "b.h5", x=COUNTS), mask=path).mask, dataset.mask)


def test_what_every_pixel_is_good_for_is_no_mask(tmp_path):
    assert read(file_with(tmp_path / "a.h5", data=COUNTS, pixel_mask=np.zeros((8, 8), np.uint32))).mask is None


def test_the_nearest_of_several_pixel_masks(tmp_path):
    path = file_with(tmp_path / "a.h5", one__data=COUNTS, one__pixel_mask=flags(), two__pixel_mask=flags()[::-1])
    assert np.argwhere(~read(path).mask).tolist() == BAD


def test_the_mask_of_a_cxi_file_has_bits_that_are_not_bad(tmp_path):
    mask = flags(values=(4, 512))
    mask[3, 3] = 0x10000  # has signal
    mask[4, 4] = 2048  # artefact corrected
    path = file_with(
        tmp_path / "a.cxi",
        cxi_version=140,
        entry_1__instrument_1__detector_1__data=COUNTS.reshape(-1, 8, 8),
        entry_1__instrument_1__detector_1__mask=mask,
    )
    assert np.argwhere(~read(path, scan_shape=(4, 4)).mask).tolist() == BAD


def test_a_mask_of_no_known_kind_is_not_taken_unasked(tmp_path):
    path = file_with(tmp_path / "a.h5", data=COUNTS, mask=flags())
    assert read(path).mask is None, "nobody can tell what it means"
    bad = file_with(tmp_path / "b.h5", bad_pixels=flags(np.uint8, (1, 1)))
    assert np.argwhere(~read(path, mask=bad).mask).tolist() == BAD
    good = file_with(tmp_path / "c.h5", mask=(flags() == 0).astype(np.uint8))
    assert np.argwhere(~read(path, mask=good).mask).tolist() == BAD


def test_a_pixel_mask_that_leaves_little(tmp_path):
    path = file_with(
        tmp_path / "a.h5",
        data=COUNTS,
        pixel_mask=np.pad(np.zeros((2, 8)), ((0, 6), (0, 0)), constant_values=1).astype("u4"),
    )
    with pytest.raises(DataError, match=r"16 of 64 pixels; pass read\(path, mask=False\)"):
        read(path)


def test_one_has_to_say_which(tmp_path):
    path = file_with(tmp_path / "a.h5", a_mask=flags(), b_mask=flags())
    with pytest.raises(FileFormatError, match=r"2 2-D arrays.*with_mask\(path, dataset=...\)"):
        read_mask(path)
    mask, at, _ = read_mask(path, "b_mask")
    assert at == "b_mask" and np.argwhere(~mask).tolist() == BAD, "flags by their type"


def test_masks_are_written_with_the_data(tmp_path):
    mask, positions = flags() == 0, np.ones((4, 4), bool)
    positions[0, 3] = False
    dataset = Dataset(COUNTS).with_mask(mask).with_scan_mask(positions)
    again = read(write(tmp_path / "a.h5", dataset))
    assert np.array_equal(again.mask, mask) and np.array_equal(again.scan_mask, positions)
    assert np.array_equal(again.source.open().scan_mask, positions)


def test_the_pixel_mask_of_a_real_detector(shared):
    formats = shared / "data" / "formats"
    mask, at, words = read_mask(formats / "made" / "arina" / "made_master.h5")
    assert at.endswith("detectorSpecific/pixel_mask") and "0 where a pixel is good" in words
    assert np.argwhere(~mask).tolist() == [[5, 7], [40, 30]]
    beside = read(formats / "made" / "nexus" / "nxdata.nxs", mask=formats / "made" / "arina" / "made_master.h5")
    assert int((~beside.mask).sum()) == 2
    assert read_mask(formats / "arina" / "test_00_master.h5")[0].all()
