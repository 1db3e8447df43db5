"""Bare numbers: nothing is guessed, and a file that is not exactly that long is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError, ParameterError
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.records import raw
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.arange(3 * 4 * 6 * 5, dtype=np.uint16).reshape(3, 4, 6, 5)


def written(path, values, header=b"", gap=0):
    stack = values.reshape(-1, *values.shape[-2:])
    path.write_bytes(header + b"".join(frame.tobytes() + bytes(gap) for frame in stack))
    return path


class TestRaw(FormatContract):
    module, by_content = raw, False

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        path = written(folder / "scan.raw", TRUTH.astype(">u2"), b"\x01" * 10, gap=7)
        said = {"detector_shape": (6, 5), "dtype": ">u2", "header_bytes": 10, "gap_bytes": 7, "scan_shape": (3, 4)}
        return Sample(path, TRUTH, arguments=said)


def test_no_gap_is_needed_after_the_last_pattern(tmp_path):
    path = written(tmp_path / "a.bin", TRUTH, gap=8)
    path.write_bytes(path.read_bytes()[:-8])
    dataset = read(path, detector_shape=(6, 5), dtype="<u2", gap_bytes=8, scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"format": "raw"}, ParameterError, "dtype='<u2', detector_shape="),
        ({"dtype": "<u2"}, ParameterError, "detector_shape is None"),
        ({"detector_shape": (6, 5)}, ParameterError, "dtype is None"),
        ({"dtype": "what", "detector_shape": (6, 5)}, ParameterError, "dtype is 'what'"),
        ({"dtype": "O", "detector_shape": (6, 5)}, ParameterError, "dtype is 'O'"),
        ({"dtype": "<u2", "detector_shape": (6, 0)}, ParameterError, r"detector_shape is \(6, 0\)"),
        ({"dtype": "<u2", "detector_shape": (6, 5.5)}, ParameterError, r"detector_shape is \(6, 5\.5\)"),
        ({"dtype": "<u2", "detector_shape": (7, 5)}, FileFormatError, "720 bytes; expected .* times 70"),
        ({"dtype": "<u2", "detector_shape": (6, 5), "header_bytes": -2}, ParameterError, "header_bytes is -2"),
        ({"dtype": "<u2", "detector_shape": (6, 5), "header_bytes": 10**9}, FileFormatError, "720 bytes"),
        ({"dtype": "<u2", "detector_shape": (6, 5), "gap_bytes": 1.5}, ParameterError, r"gap_bytes is 1\.5"),
        ({"dtype": "<u2", "detector_shape": (6, 5)}, DataError, r"stack of 12 patterns.*scan_shape=\(3, 4\)"),
        ({"dtype": "<u2", "detector_shape": (6, 5), "format": "npy"}, ParameterError, "format is 'npy'"),
        ({"format": "rwa"}, ParameterError, "Did you mean 'raw'"),
        ({}, FileFormatError, "unknown format|binary"),
    ],
)
def test_what_is_missing_or_wrong_is_told(tmp_path, given, error, words):
    path = written(tmp_path / "scan.raw", TRUTH)
    with pytest.raises(error, match=words):
        read(path, **given)


def test_a_scan_that_begins_late_or_before_the_file(tmp_path):
    path = written(tmp_path / "scan.raw", TRUTH)
    said = {"detector_shape": (6, 5), "dtype": "<u2"}
    stack = TRUTH.reshape(12, 6, 5)
    with pytest.warns(DataWarning, match="1 of 12 patterns, after the end of the scan, are left out"):
        late = read(path, **said, scan_shape=(2, 5), sync_offset=1)
    np.testing.assert_array_equal(late.load().data, stack[1:11].reshape(2, 5, 6, 5))
    assert late.scan_mask is None and late.metadata["frames"] == "1 skipped at the start; 1 left out at the end"
    early = read(path, **said, scan_shape=(3, 5), sync_offset=-2)
    np.testing.assert_array_equal(early.load().data.reshape(15, 6, 5)[2:14], stack)
    assert early.scan_mask.ravel().tolist() == [False] * 2 + [True] * 12 + [False]
    again = early.source.open()
    np.testing.assert_array_equal(again.scan_mask, early.scan_mask)
    np.testing.assert_array_equal(again.load().data, early.load().data)
    assert "sync_offset=-2" in early.source.code and "2 blanks" in early.source.describe()
    for offset in (12, -15, 10**9):
        with pytest.raises(DataError, match="which leaves none"):
            read(path, **said, scan_shape=(3, 5), sync_offset=offset)
    with pytest.raises(ParameterError, match=r"sync_offset is 1\.5"):
        read(path, **said, scan_shape=(3, 5), sync_offset=1.5)


@pytest.mark.parametrize("flip", ["rows", "columns", "both"])
def test_a_detector_that_is_turned_about(tmp_path, flip):
    path = written(tmp_path / "scan.raw", TRUTH)
    dataset = read(path, detector_shape=(6, 5), dtype="<u2", scan_shape=(3, 4), flip=flip)
    rows, columns = (slice(None, None, -1 if flip in (name, "both") else 1) for name in ("rows", "columns"))
    expected = TRUTH[:, :, rows, columns]
    np.testing.assert_array_equal(dataset.load().data, expected)
    np.testing.assert_array_equal(
        dataset.crop(detector=(1, 4, 0, 3), cut_disk=True).load().data, expected[:, :, 1:4, :3]
    )
    np.testing.assert_array_equal(dataset.source.open().load().data, expected)
    with pytest.raises(ParameterError, match="flip is 'up'"):
        read(path, detector_shape=(6, 5), dtype="<u2", scan_shape=(3, 4), flip="up")


def test_a_single_pattern_is_no_scan_and_may_be_a_vacuum_pattern(tmp_path):
    np.save(tmp_path / "one.npy", np.ones((1, 6, 5)))
    with pytest.raises(DataError, match=r"holds a single pattern, 6 x 5, and no scan.*vacuum=path"):
        read(tmp_path / "one.npy")
    assert read_pattern(tmp_path / "one.npy").shape == (6, 5)


def test_a_stack_that_runs_down_the_columns(tmp_path):
    path = written(tmp_path / "scan.raw", TRUTH.transpose(1, 0, 2, 3))
    said = {"detector_shape": (6, 5), "dtype": "<u2", "scan_shape": (3, 4), "axes": "Rx Ry Qy Qx"}
    np.testing.assert_array_equal(read(path, **said).load().data, TRUTH)
    with pytest.warns(DataWarning, match="2 of 12 patterns"):
        late = read(path, **said, sync_offset=-2)
    expected = np.zeros((12, 6, 5), np.uint16)
    expected[2:] = TRUTH.transpose(1, 0, 2, 3).reshape(12, 6, 5)[:10]
    np.testing.assert_array_equal(late.load().data, expected.reshape(4, 3, 6, 5).transpose(1, 0, 2, 3))
    assert late.scan_mask.tolist() == [[False, True, True, True], [False, True, True, True], [True] * 4]
