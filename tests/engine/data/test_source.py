"""The description of where data came from: kept by every method, enough to open them again, bit for bit."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pytest

from ptywidgets.engine.checkpoint.fingerprint import fingerprint
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.data.source import Bin, Crop, Repair, Source, Supplied, bins_of, region_of
from ptywidgets.engine.io import read
from ptywidgets.engine.preprocess import bad_pixels, repair_pixels


def patterns(shape=(6, 8, 16, 16), dtype=np.uint16):
    """Counts with a bright disk in the middle."""
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    disk = np.hypot(y - shape[-2] / 2 + 0.5, x - shape[-1] / 2 + 0.5) < 4
    return np.random.default_rng(1).poisson(np.where(disk, 50, 1), shape).astype(dtype)


@pytest.fixture
def files(tmp_path):
    counts = patterns()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["one"] = counts.reshape(-1, 16, 16)
        file["two"] = counts.reshape(-1, 16, 16)[::-1]
    mask = np.ones((16, 16), bool)
    mask[0, 3] = mask[9, 9] = False
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "vacuum.npy", counts.mean((0, 1)))
    return tmp_path


@pytest.fixture
def used(files):
    """A data set with everything done to it that can be done."""
    whole = read(
        files / "scan.h5",
        dataset="one",
        scan_shape=(6, 8),
        vacuum=files / "vacuum.npy",
        mask=files / "mask.npy",
        energy=80e3,
        scan_step=2.0,
        q_pixel=0.05,
    )
    return whole[0:5, 1:8].crop(detector=(2, 14, 2, 14)).bin(scan=2, detector=2)


def same(a, b):
    assert a.source == b.source and a.calibration == b.calibration and a.shape == b.shape and a.dtype == b.dtype
    assert fingerprint(a) == fingerprint(b)
    for name in ("mask", "scan_mask", "vacuum"):
        one, other = getattr(a, name), getattr(b, name)
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and np.array_equal(one, other)), name
    assert np.array_equal(a.load().data, b.load().data)


def test_what_was_done_is_said_and_done_again(used):
    assert used.shape == (2, 3, 6, 6)
    assert used.source.operations == (
        Crop(scan=(0, 5, 1, 8)),
        Crop(detector=(2, 14, 2, 14)),
        Bin((2, 2), (2, 2), (1, 1, 0, 0)),
    )
    same(used.source.open(), used)
    words = used.describe()
    for part in (
        "one",
        "48 x 16 x 16",
        "as 6 x 8",
        "scan [0:5, 1:8]",
        "1 scan row, 1 scan column left out",
        "mask.npy",
        "vacuum.npy",
    ):
        assert part in words
    assert "energy given" in words and "q pixel given, binned" in words


def test_it_is_plain_text_in_a_file(used):
    assert from_plain(json.loads(json.dumps(to_plain(used.source)))) == used.source


def test_its_code_opens_the_same(used):
    import ptywidgets

    again = eval(used.source.code, {"ptywidgets": ptywidgets})
    assert fingerprint(again) == fingerprint(used) and np.array_equal(again.mask, used.mask)


@pytest.mark.parametrize(
    "late", [{}, {"q_pixel": 0.1}, {"scan_step": (3.0, 5.0), "semiangle": 21.0}], ids=["", "q pixel", "step"]
)
def test_its_code_has_the_calibration_of_what_was_binned(files, late):
    """What was given before a binning, and what after it."""
    import ptywidgets

    given = {"energy": 80e3, "scan_step": (1.0, 2.0), "q_pixel": 0.02}
    whole = read(files / "scan.h5", dataset="one", scan_shape=(6, 8), **given)
    done = whole.bin(scan=(1, 2), detector=2).with_calibration(**late)
    assert eval(done.source.code, {"ptywidgets": ptywidgets}).calibration == done.calibration


def test_its_code_asks_for_the_arrays_that_were_given(used):
    import ptywidgets

    positions = np.ones(used.scan_shape, bool)
    positions[1, 1] = False
    code = used.with_scan_mask(positions).source.code
    with pytest.raises(NameError, match="scan_mask"):
        eval(code, {"ptywidgets": ptywidgets})
    again = eval(code, {"ptywidgets": ptywidgets, "scan_mask": positions})
    assert np.array_equal(again.scan_mask, positions)


def test_the_files_that_it_was_made_from(used, files):
    assert used.source.files() == tuple(files / name for name in ("scan.h5", "mask.npy", "vacuum.npy"))


def test_every_method_takes_it_along(used):
    for other in (
        used.with_calibration(energy=100e3),
        used.with_scan_mask(np.arange(6).reshape(2, 3) > 0),
        used.load(),
        dataclasses.replace(used, name="x"),
    ):
        assert (other.source.path, other.source.operations) == (used.source.path, used.source.operations)
        assert other.source.mask == used.source.mask and other.source.vacuum == used.source.vacuum


def test_a_mask_given_after_a_crop_is_of_what_was_left(used, files):
    mask = np.ones(used.detector_shape, bool)
    mask[1, 1] = False
    np.save(files / "late.npy", mask)
    late = used.with_mask(files / "late.npy")
    assert late.source.mask.after == 3
    same(late.source.open(), late)


def test_arrays_have_to_be_handed_over(used):
    positions = np.ones(used.scan_shape, bool)
    positions[1, 1] = False
    held = used.with_scan_mask(positions)
    assert str(held.source.scan_mask) == "from an array"
    with pytest.raises(DataError, match=r"the scan mask from an array.*pass it: scan_mask=array"):
        held.source.open()
    same(held.source.open(scan_mask=positions), held)
    with pytest.raises(DataError, match="no longer what it was"):
        held.source.open(scan_mask=np.roll(positions, 1, 0))
    with pytest.raises(DataError, match="came as an array"):
        Dataset(patterns()).source.open()


def test_a_mask_file_that_has_changed_is_not_taken(used, files):
    np.save(files / "mask.npy", np.roll(np.load(files / "mask.npy"), 2, 0))
    with pytest.raises(DataError, match="the mask is no longer what it was"):
        used.source.open()


def test_repaired_pixels_are_repaired_again(files):
    counts = patterns()
    counts[..., 8, 8] = 9000
    np.save(files / "hot.npy", counts)
    dataset = read(files / "hot.npy")
    repaired = repair_pixels(dataset, bad_pixels(dataset)).bin(detector=2)
    assert "1 pixels replaced" in repaired.describe()
    same(repaired.source.open(), repaired)


def test_other_data_have_another_source(used):
    assert dataclasses.replace(used, path=None).source.path == ""
    assert dataclasses.replace(used, path=None).source.operations == ()


def test_what_is_changed_behind_its_back_is_an_array(used):
    mask = used.mask.copy()
    mask[0, 0] = not mask[0, 0]
    other = dataclasses.replace(used, mask=mask)
    assert other.source.mask.path == "" and used.source.mask.path
    assert dataclasses.replace(used, mask=None).source.mask is None


def test_every_number_says_where_it_is_from(tmp_path):
    from ptywidgets.engine.io import write

    path = write(tmp_path / "a.h5", Dataset(patterns(), Calibration(scan_step=2.0, q_pixel=0.1)))
    dataset = read(path, q_pixel=0.2).with_calibration(origin="measured", semiangle=20.0)
    where = {one.name: one.where for one in dataset.source.calibration}
    assert where["scan_step"].startswith("from the file (") and where["q_pixel"] == "given"
    assert where["semiangle"] == "measured" and "energy" not in where
    changed = dataset.with_calibration(scan_step=3.0)
    assert {one.name: one.where for one in changed.source.calibration}["scan_step"] == "given"


def test_the_whole_again(used):
    whole = used.with_calibration(scan_step=3.0, q_pixel=0.3).uncropped()
    assert whole.shape == (6, 8, 16, 16) and whole.calibration.q_pixel == pytest.approx(0.15)
    assert whole.calibration.scan_step == 1.5
    assert whole.mask.sum() == 254 and whole.source.operations == ()
    with pytest.raises(DataError, match="came as an array"):
        Dataset(patterns()).bin(scan=2).uncropped()


@pytest.mark.parametrize("words", ["10:50", "a:b, c:d", "1:2, 3", ""])
def test_regions_in_words(words):
    with pytest.raises(DataError, match="10:50, 0:40"):
        region_of(words)
    assert region_of(" 1:5,2 : 7") == (1, 5, 2, 7)


@pytest.mark.parametrize("words", ["a", "1,2,3", "", "2.5"])
def test_bins_in_words(words):
    with pytest.raises(DataError, match="such as 2, 4"):
        bins_of(words)


def test_an_empty_source_is_an_array():
    assert Source().describe() == "source       an array"
    assert str(Supplied(path="m.h5", dataset="a/mask", words="flags")) == "from m.h5: a/mask (flags)"


@pytest.mark.parametrize(
    "changes", [{"path": 3}, {"operations": ("rm",)}, {"mask": "a"}, {"operations": 7}, {"calibration": (1,)}]
)
def test_a_description_that_is_none_is_refused(changes):
    with pytest.raises(DataError, match="its file is damaged"):
        Source(**changes)
    with pytest.raises(DataError, match="beyond the detector"):
        Repair((300,)).apply(Dataset(patterns()))


def test_files_that_are_linked_to_are_files_of_the_data(tmp_path):
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["data"] = patterns()
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["data"] = h5py.ExternalLink("raw.h5", "data")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(patterns().shape, np.uint16)
        layout[...] = h5py.VirtualSource("raw.h5", "data", patterns().shape)
        file.create_virtual_dataset("data", layout)
    for name in ("link.h5", "virtual.h5"):
        source = read(tmp_path / name, dataset="data", allow_external=True).bin(detector=2).source
        assert source.files() == (tmp_path / name, tmp_path / "raw.h5")
        assert source.open().shape == (6, 8, 8, 8)
