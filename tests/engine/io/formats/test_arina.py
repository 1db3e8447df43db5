"""DECTRIS: master, data files and the microscope's companion are opened by any of them; no link is followed."""

from __future__ import annotations

import shutil
import sys

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError, DataWarning, FileFormatError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.arrays import stacks
from ptywidgets.engine.io.formats.hdf5 import arina
from ptywidgets.engine.io.formats.registry import format_of
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(3).poisson(5.0, (3, 4, 10, 6)).astype(np.uint32)
BAD = 2**32 - 1
COMPANION = {"High Tension": [200e3], "Pixel Size": [0.25], "NumPixelsX": 4, "NumPixelsY": 3, "NumPixelsPrescan": [0]}


def written(
    folder, patterns=TRUTH, parts=(5, 7), companion=COMPANION, energy=200e3, said="Dectris ARINA Si", mask=None
):
    """`patterns` in as many data files as `parts` has numbers of them; returns the master file."""
    folder.mkdir(exist_ok=True)
    stack = patterns.reshape(-1, *patterns.shape[-2:])
    master = folder / "scan_master.h5"
    with h5py.File(master, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector["description"] = np.bytes_(said)
        detector["detectorSpecific/photon_energy"] = energy
        detector["detectorSpecific/photon_energy"].attrs["units"] = np.bytes_("eV")
        detector["detectorSpecific/ntrigger"] = len(stack)
        detector["detectorSpecific/pixel_mask"] = np.zeros(stack.shape[1:], np.uint32) if mask is None else mask
        data = file.create_group("entry/data")
        first = 0
        for number, count in enumerate(parts, 1):
            name = f"scan_data_{number:06d}.h5"
            data[f"data_{number:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
            with h5py.File(folder / name, "w") as part:
                found = part.create_dataset(
                    "entry/data/data", data=stack[first : first + count], chunks=(1, *stack.shape[1:]), shuffle=True
                )
                found.attrs["image_nr_low"], found.attrs["image_nr_high"] = first + 1, first + count
            first += count
    if companion is not None:
        with h5py.File(folder / "scan.h5", "w") as file:
            file.create_group("STEM Metadata").attrs.update(companion)
    return master


class TestArina(FormatContract):
    module = arina

    @pytest.fixture
    def sample(self, tmp_path):
        return Sample(written(tmp_path / "sample"), TRUTH, {"energy": 200e3, "scan_step": 2.5})


class TestArinaFromADataFile(FormatContract):
    module = arina

    @pytest.fixture
    def sample(self, tmp_path):
        master = written(tmp_path / "sample")
        return Sample(master.with_name("scan_data_000002.h5"), TRUTH, {"energy": 200e3, "scan_step": 2.5})


class TestArinaFromItsCompanion(FormatContract):
    module = arina

    @pytest.fixture
    def sample(self, tmp_path):
        master = written(tmp_path / "sample")
        return Sample(master.with_name("scan.h5"), TRUTH, {"energy": 200e3, "scan_step": 2.5})


@pytest.mark.parametrize("name", ["scan_master.h5", "scan_data_000001.h5", "scan_data_000002.h5", "scan.h5"])
def test_the_mask_of_the_master_is_applied_whichever_is_opened(tmp_path, name):
    mask, patterns = np.zeros((10, 6), np.uint32), TRUTH.copy()
    mask[2, 3], patterns[..., 2, 3] = 1, BAD
    written(tmp_path, patterns, mask=mask)
    dataset = read(tmp_path / name)
    np.testing.assert_array_equal(dataset.mask, mask == 0)
    assert dataset.dtype == np.uint32 and (dataset.load().data[..., 2, 3] == BAD).all()
    assert read(tmp_path / name, mask=False).mask is None
    again = dataset.source.open()
    np.testing.assert_array_equal(again.mask, mask == 0)
    assert {file.name for file in dataset.inputs} == {file.name for file in tmp_path.iterdir()}


def test_without_a_companion_the_scan_has_to_be_given(tmp_path):
    master = written(tmp_path, companion=None)
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(master)
    dataset = read(master, scan_shape=(4, 3))
    np.testing.assert_array_equal(dataset.load().data.reshape(TRUTH.shape), TRUTH)
    assert dataset.calibration.energy == 200e3 and dataset.calibration.scan_step is None


def test_missing_files_are_named(tmp_path):
    master = written(tmp_path)
    master.with_name("scan_data_000002.h5").unlink()
    for name in ("scan_master.h5", "scan_data_000001.h5", "scan.h5"):
        with pytest.raises(FileFormatError, match=r"scan_data_000002\.h5 cannot be found"):
            read(tmp_path / name)
    master.unlink()
    with pytest.raises(FileFormatError, match=r"belongs to scan_master\.h5, which is not beside it"):
        read(tmp_path / "scan.h5")
    assert not arina.understands(tmp_path / "scan_data_000001.h5")  # a stack like any other


def test_a_link_leads_nowhere_else(tmp_path):
    elsewhere = written(tmp_path / "elsewhere", TRUTH + 100)
    master = written(tmp_path / "here")
    with h5py.File(master, "r+") as file:
        for name in ("data_000001", "data_000002"):
            del file[f"entry/data/{name}"]
            file[f"entry/data/{name}"] = h5py.ExternalLink(str(elsewhere.with_name(f"scan_{name}.h5")), DATA)
    np.testing.assert_array_equal(read(master).load().data, TRUTH)
    for name in ("scan_data_000001.h5", "scan_data_000002.h5"):
        master.with_name(name).unlink()
    with pytest.raises(FileFormatError, match="cannot be found beside it"):
        read(master)


DATA = "/entry/data/data"


def test_a_part_of_another_scan_is_refused(tmp_path):
    master = written(tmp_path)
    with h5py.File(master.with_name("scan_data_000002.h5"), "r+") as file:
        file[DATA].attrs["image_nr_low"] = 9
    with pytest.raises(DataError, match=r"scan_data_000002\.h5 begins with pattern 9 where 6 was expected"):
        read(master)


def test_a_part_that_is_no_stack_or_leads_out_is_refused(tmp_path):
    master = written(tmp_path)
    with h5py.File(master.with_name("scan_data_000002.h5"), "w") as file:
        file[DATA] = np.zeros((4, 5), np.uint32)
    with pytest.raises(FileFormatError, match=r"scan_data_000002\.h5 is 4 x 5.*expected patterns"):
        read(master)
    with h5py.File(master.with_name("scan_data_000002.h5"), "w") as file:
        file[DATA] = h5py.ExternalLink("other.h5", "/data")
    with pytest.raises(FileFormatError, match="takes its data from another file"):
        read(master)


def test_energies_that_disagree_are_told(tmp_path):
    with pytest.raises(CalibrationError, match=r"contradicts itself: energy is .*High Tension.*photon_energy"):
        read(written(tmp_path, energy=300e3))


def test_the_photons_of_another_detector_are_no_electrons(tmp_path):
    dataset = read(written(tmp_path, energy=12.4e3, said="Dectris EIGER2 Si 4M", companion=None), scan_shape=(3, 4))
    assert dataset.calibration.energy is None and dataset.metadata["detector photon_energy"] == "12400.0 eV"


def test_values_of_zero_state_nothing(tmp_path):
    zeros = {**COMPANION, "High Tension": [0.0], "Pixel Size": [np.nan]}
    assert read(written(tmp_path, companion=zeros, energy=0.0)).calibration.missing == (
        "energy",
        "scan_step",
        "q_pixel",
    )


def test_patterns_before_each_row_or_before_the_scan_are_left_out(tmp_path):
    rows = np.concatenate([np.zeros((3, 2, 10, 6), np.uint32), TRUTH], axis=1)
    companion = {**COMPANION, "NumPixelsPrescan": [2]}
    with pytest.warns(DataWarning, match="the first 2 patterns of each row, which NumPixelsPrescan tells of"):
        dataset = read(written(tmp_path / "rows", rows, (18,), companion))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert "each row" in dataset.metadata["frames"]
    whole = read(tmp_path / "rows" / "scan_master.h5", scan_shape=(3, 6))
    np.testing.assert_array_equal(whole.load().data, rows)
    once = np.concatenate([np.zeros((2, 10, 6), np.uint32), TRUTH.reshape(12, 10, 6)])
    with pytest.warns(DataWarning, match="the first 2 patterns, which"):
        dataset = read(written(tmp_path / "once", once, (14,), companion))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    # a number of patterns that the scan explains needs nothing cut, one that nothing explains is told
    np.testing.assert_array_equal(read(written(tmp_path / "none", companion=companion)).load().data, TRUTH)
    with pytest.raises(DataError, match="13 patterns but STEM Metadata"):
        read(written(tmp_path / "odd", once[:13], (13,), companion))


def test_only_a_few_parts_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "MOST_OPEN", 2)
    dataset = read(written(tmp_path, parts=(1,) * 12))
    for _ in range(2):
        np.testing.assert_array_equal(dataset.load().data, TRUTH)
    parts = dataset.data.stack.parts
    assert sum(part._file is not None for part in parts) <= 2


def test_compressed_as_the_detector_does(tmp_path, monkeypatch):
    plugin = pytest.importorskip("hdf5plugin")
    master = written(tmp_path)
    for number, part in enumerate((TRUTH.reshape(12, 10, 6)[:5], TRUTH.reshape(12, 10, 6)[5:]), 1):
        with h5py.File(master.with_name(f"scan_data_{number:06d}.h5"), "w") as file:
            file.create_dataset(DATA, data=part, chunks=(1, 10, 6), **plugin.Bitshuffle(cname="lz4"))
    np.testing.assert_array_equal(read(master).load().data, TRUTH)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(
        FileFormatError, match=r'data_000001\.h5 is compressed with bitshuffle.*"ptywidgets\[formats\]"'
    ):
        read(master)


def test_other_hdf5_files_are_not_taken_for_it(tmp_path):
    path = tmp_path / "other_master.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data_000001"] = TRUTH.reshape(12, 10, 6)
    assert not arina.understands(path)
    np.testing.assert_array_equal(read(path, scan_shape=(3, 4)).load().data, TRUTH)


@pytest.fixture
def formats(shared):
    return shared / "data" / "formats"


@pytest.mark.parametrize("name", ["made_master.h5", "made_data_000001.h5", "made_data_000002.h5", "made.h5"])
def test_the_made_file(formats, name):
    pytest.importorskip("hdf5plugin")
    path = formats / "made" / "arina" / name
    assert format_of(path) is arina
    dataset = read(path)
    truth = np.load(formats / "made" / "truth.npz")["u16"].astype(np.uint32)
    assert (~dataset.mask).sum() == 2 and not dataset.mask[5, 7] and not dataset.mask[40, 30]
    truth[..., ~dataset.mask] = BAD
    np.testing.assert_array_equal(dataset.load().data, truth)
    known = dataset.calibration
    assert (known.energy, known.scan_step, known.q_pixel, known.semiangle) == (80e3, pytest.approx(1.5), None, None)
    assert dataset.metadata["STEM Metadata, Camera Length"] == "0.1 m"


@pytest.mark.parametrize("name", ["test_00_master.h5", "test_00_data_000001.h5", "test_00.h5"])
def test_a_file_of_an_arina(formats, name):
    pytest.importorskip("hdf5plugin")
    reader = pytest.importorskip("rsciio.arina")
    path = formats / "arina" / name
    theirs = reader.file_reader(str(path))[0]["data"] if name == "test_00_master.h5" else None
    dataset = read(path)
    assert dataset.shape == (4, 4, 192, 192) and dataset.mask is None
    assert dataset.calibration.energy == 300e3 and dataset.calibration.scan_step == pytest.approx(1.3915206)
    assert "not calibrated" in str(dataset.source.calibration[1])
    if theirs is not None:
        np.testing.assert_array_equal(dataset.load().data, theirs)


def test_a_master_without_its_data(formats, tmp_path):
    name = "au_145mm_68kx_microprobe_01"
    shutil.copy(formats / "arina" / f"{name}_master.h5", tmp_path)
    with pytest.raises(FileFormatError, match=f"{name}_data_000001.h5 cannot be found beside it"):
        read(tmp_path / f"{name}_master.h5")
