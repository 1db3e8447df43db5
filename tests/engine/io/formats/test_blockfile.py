"""NanoMegas blockfiles."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.records import blockfile
from ptywidgets.testing.contracts.formats import FormatContract, Sample
from ptywidgets.testing.record_files import blo_file

TRUTH = np.random.default_rng(1).integers(0, 256, (3, 4, 6, 6), np.uint8)


class TestBlockfile(FormatContract):
    module = blockfile

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        path = blo_file(folder / "scan.blo", TRUTH, (0.15, 0.2), 80_000)
        return Sample(path, TRUTH, {"energy": 80e3, "scan_step": (1.5, 2.0)})


def test_what_it_says_beside(tmp_path):
    found = read(blo_file(tmp_path / "a.blo", TRUTH))
    assert found.metadata["scan rotation"] == "25 deg" and found.metadata["camera length"].startswith("2000 as stored")
    assert found.calibration.energy is None and found.calibration.scan_step is None  # 0 states nothing


def test_a_scan_that_was_broken_off_is_opened_as_far_as_it_went(tmp_path):
    path = blo_file(tmp_path / "a.blo", TRUTH)
    path.write_bytes(path.read_bytes()[: -2 * (6 + 36) - 5])
    with pytest.warns(DataWarning, match="9 patterns where its header says 3 x 4: 2 of 3 rows") as told:
        dataset = read(path)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(dataset.load().data, TRUTH[:2])


def test_more_patterns_than_it_says_and_a_wrong_mark_are_warned_of(tmp_path):
    path = blo_file(tmp_path / "a.blo", TRUTH)
    path.write_bytes(path.read_bytes() + bytes(6 + 36))
    with pytest.warns(DataWarning, match="13 patterns where its header says 3 x 4"):
        np.testing.assert_array_equal(read(path).load().data, TRUTH)
    content = bytearray(blo_file(path, TRUTH).read_bytes())
    content[4096 + 16] = 0
    path.write_bytes(content)
    with pytest.warns(DataWarning, match="may be damaged") as told:
        read(path)
    assert told[0].filename == __file__


@pytest.mark.parametrize("fill", [0, 1, 0xFF, None])
def test_garbage_is_refused_at_once(tmp_path, fill):
    rng = np.random.default_rng(0)
    body = rng.bytes(2_000_000) if fill is None else bytes([fill]) * 2_000_000
    path = tmp_path / "a.blo"
    path.write_bytes(b"IMGBLO" + body)
    begin = time.monotonic()
    with pytest.raises(FileFormatError, match=r"expected one at least"):
        read(path)
    assert time.monotonic() - begin < 1


def test_made_file(shared):
    made = shared / "data" / "formats" / "made"
    dataset = read(made / "blo" / "made.blo")
    data = dataset.load().data
    np.testing.assert_array_equal(data[..., 8:-8], np.load(made / "truth.npz")["u8"])
    assert not data[..., :8].any() and not data[..., -8:].any()
    assert dataset.calibration.scan_step == pytest.approx(1.5)


@pytest.mark.parametrize(("name", "shape", "step"), [("test1", (3, 2, 144, 144), 128), ("test2", (2, 3, 5, 5), 640)])
def test_real_files(shared, name, shape, step):
    path = shared / "data" / "formats" / "blockfile" / f"{name}.blo"
    dataset = read(path)
    assert dataset.shape == shape and dataset.calibration.energy == 200e3
    assert dataset.calibration.scan_step == pytest.approx(step)
    reader = pytest.importorskip("rsciio.blockfile", reason="no rosettasciio here")
    np.testing.assert_array_equal(dataset.load().data, reader.file_reader(str(path))[0]["data"])


def test_it_holds_one_array_without_a_name(tmp_path):
    with pytest.raises(FileFormatError, match="single array; leave out dataset='x'"):
        read(blo_file(tmp_path / "a.blo", TRUTH), dataset="x")
