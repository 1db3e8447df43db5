"""TVIPS streams: one file or several, of both versions."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.records import tvips
from ptywidgets.engine.io.formats.registry import format_of
from ptywidgets.testing.contracts.formats import FormatContract, Sample
from ptywidgets.testing.record_files import tvips_files

TRUTH = np.arange(3 * 4 * 6 * 5, dtype=np.uint16).reshape(3, 4, 6, 5)
STACK = TRUTH.reshape(12, 6, 5)


@pytest.mark.parametrize("how", ["one", "first of three", "second of three", "version 1", "bytes"], scope="class")
class TestTVIPS(FormatContract):
    module = tvips

    @pytest.fixture
    def sample(self, tmp_path, how):
        folder = tmp_path / "sample"
        folder.mkdir()
        truth = (TRUTH % 250).astype(np.uint8) if how == "bytes" else TRUTH
        parts = [5, 4, 3] if "three" in how else [12]
        files = tvips_files(folder, truth.reshape(12, 6, 5), parts, 1 if how == "version 1" else 2)
        path = files[1 if "second" in how else 0]
        return Sample(path, truth, {"energy": 200e3}, {"scan_shape": (3, 4)})


def test_it_asks_for_the_scan_and_says_how_many_parts(tmp_path):
    files = tvips_files(tmp_path, STACK, [5, 4, 3])
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(files[2])
    metadata = read(files[2], scan_shape=(3, 4)).metadata
    assert metadata["parts"] == "3" and metadata["detector binning"] == "2"


def test_other_recordings_in_the_folder_are_left_alone(tmp_path):
    tvips_files(tmp_path, STACK[:3], [2, 1], name="other")
    files = tvips_files(tmp_path, STACK, [12])
    np.testing.assert_array_equal(read(files[0], scan_shape=(3, 4)).load().data, TRUTH)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_part_that_is_missing_is_named(tmp_path, gone):
    files = tvips_files(tmp_path, STACK, [5, 4, 3])
    files[gone].unlink()
    with pytest.raises(FileFormatError, match=rf"stream_00{gone}\.tvips is not beside it"):
        read(files[2], scan_shape=(3, 4))


def test_what_the_program_itself_writes_is_known_by_any_name(tmp_path):
    path = tvips_files(tmp_path, STACK, [12])[0].rename(tmp_path / "renamed.bin")
    assert format_of(path) is tvips
    np.testing.assert_array_equal(read(path, scan_shape=(3, 4)).load().data, TRUTH)


def test_a_recording_that_was_broken_off(tmp_path):
    path = tvips_files(tmp_path, STACK, [12])[0]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.warns(DataWarning, match="ends within a pattern: 113 bytes after 11 patterns") as told:
        dataset = read(path, scan_shape=(1, 11))
    assert told[0].filename == __file__
    np.testing.assert_array_equal(dataset.load().data[0], STACK[:11])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileFormatError, match="one pattern at least"):
        read(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FileFormatError, match="does not begin with the header"):
        read(path, format="tvips")


def test_made_files(shared):
    folder = shared / "data" / "formats" / "made"
    truth = np.load(folder / "truth.npz")["u16"]
    dataset = read(folder / "tvips" / "made_000.tvips", scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, truth)
    assert dataset.calibration.energy == 80e3 and dataset.calibration.q_pixel is None
    for number in range(3):
        dataset = read(folder / "tvips" / f"split_{number:03d}.tvips", scan_shape=(2, 4))
        np.testing.assert_array_equal(dataset.load().data, truth[:2])


@pytest.mark.parametrize(("name", "scan"), [("2233", (2, 2)), ("2345", (2, 3)), ("2345_split", (2, 3))])
def test_files_of_another_program(shared, tmp_path, name, scan):
    folder = shared / "data" / "formats" / "tvips"
    path = folder / f"test_tvips_{name}_000.tvips"
    dataset = read(path, scan_shape=scan)
    assert dataset.calibration.energy == 200e3 and dataset.calibration.q_pixel is None
    reader = pytest.importorskip("rsciio.tvips", reason="no rosettasciio here")
    expected = reader.file_reader(str(path), scan_shape=scan)[0]["data"]
    np.testing.assert_array_equal(dataset.load().data, expected)
    for file in folder.glob(f"test_tvips_{name}_*.tvips"):
        shutil.copyfile(file, tmp_path / file.name)
        np.testing.assert_array_equal(read(file, scan_shape=scan).load().data, expected)


def test_a_size_that_no_camera_has_is_refused(tmp_path):
    path = tvips_files(tmp_path, STACK, [12])[0]
    content = bytearray(path.read_bytes())
    content[8:16] = b"\0\0\1\0" * 2
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="does not begin with the header"):
        read(path, format="tvips")


def test_it_holds_one_array_without_a_name(tmp_path):
    with pytest.raises(FileFormatError, match="single array; leave out dataset='x'"):
        read(tvips_files(tmp_path, STACK, [12])[0], dataset="x")
