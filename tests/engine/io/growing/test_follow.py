"""Files that are being written by another process: whole rows are shown, and nothing is read half."""

from __future__ import annotations

import os
import pickle
import shutil
import time

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError, ParameterError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.growing.follower import Follower
from ptywidgets.engine.io.growing.stack import STILL, growing_scan
from ptywidgets.testing.growing_files import Writer, truth

SCAN, DETECTOR = (5, 7), (6, 4)
PATTERN = 2 * 6 * 4  # bytes
TRUTH = truth(SCAN, DETECTOR)
RAW = {"dtype": "<u2", "detector_shape": DETECTOR, "scan_shape": SCAN}
UNIT = {"raw": PATTERN, "mib": PATTERN + 384}  # what of a kind is a pattern; 1 of the others
PATHS = {"raw": "a.raw", "mib": "a.mib", "swmr": "a.h5", "hdf5": "a.h5", "room": "a.h5", "npy": "a.npy", "files": "a"}
ARGUMENTS = {"raw": RAW, "mib": {"scan_shape": SCAN}, "files": {"scan_shape": SCAN}}


def check_shown(dataset):
    """What is shown is whole, and all else is nothing; the number of rows."""
    mask = np.ones(SCAN, bool) if dataset.scan_mask is None else dataset.scan_mask
    rows = int(mask.all(1).sum())
    assert mask[:rows].all() and not mask[rows:].any()
    data = np.concatenate([block for _, block in dataset.rows(1)])
    np.testing.assert_array_equal(data[:rows], TRUTH[:rows])
    assert not data[rows:].any()
    return rows


@pytest.mark.parametrize("kind", PATHS)
def test_rows_are_shown_as_they_are_written(tmp_path, kind):
    path, unit = tmp_path / PATHS[kind], UNIT.get(kind, 1)
    generator, written = np.random.default_rng(1), 0
    with Writer(kind, path, SCAN, DETECTOR) as writer:
        writer.write(written := 8 * unit + unit // 3)
        dataset = read(path, follow=True, **ARGUMENTS.get(kind, {}))
        assert check_shown(dataset) == 1
        with Follower(dataset, interval=30) as follower:  # the test looks itself
            while written < 35 * unit:
                piece = int(generator.integers(1, 4 * unit + 1))
                writer.write(piece)
                written += piece
                follower.look()
                rows = check_shown(follower.dataset)
                assert rows <= written // (7 * unit)
                assert rows >= min(written - unit - 1, 34 * unit) // (7 * unit)  # what is followed by more counts
            writer.finish()
            until = time.monotonic() + 30
            while not follower.complete and time.monotonic() < until:
                time.sleep(0.05)
                follower.look()
            assert check_shown(follower.dataset) == 5 and follower.dataset.scan_mask is None
    again = read(path, follow=True, **ARGUMENTS.get(kind, {}))
    assert again.shape == TRUTH.shape


@pytest.mark.parametrize("kind", ["raw", "swmr"])
def test_whoever_watches_is_told_until_all_is_there(tmp_path, kind):
    path, seen = tmp_path / PATHS[kind], []
    with Writer(kind, path, SCAN, DETECTOR, rate=100):
        follower = Follower(read(path, follow=True, **ARGUMENTS.get(kind, {})), interval=0.01)
        follower.on_rows(lambda one: seen.append(check_shown(one.dataset)))
        dataset = follower.wait(timeout=60)
        follower._thread.join(30)
    assert not follower._thread.is_alive()
    assert check_shown(dataset) == 5 and dataset.scan_mask is None
    assert seen == sorted(set(seen)) and seen[-1:] == [5]
    assert follower.text == "5 of 5 rows"


def test_the_first_row_is_waited_for(tmp_path):
    path = tmp_path / "a.mib"
    path.touch()
    with Writer("mib", path, SCAN, DETECTOR, rate=200):
        assert check_shown(read(path, follow=True, scan_shape=SCAN)) >= 1


def test_what_is_known_of_the_data_stays(tmp_path):
    path = tmp_path / "a.raw"
    with Writer("raw", path, SCAN, DETECTOR) as writer:
        writer.write(PATTERN * 15)
        dataset = read(path, follow=True, energy=80e3, flip="rows", **RAW).bin(detector=2)
        follower = Follower(dataset.with_scan_mask(dataset.scan_mask & (np.arange(7) != 3), confirm=True), interval=30)
        writer.write(PATTERN * 7)
        assert follower.look()
        grown = follower.dataset
        assert follower.rows == 3 and grown.calibration.energy == 80e3
        assert grown.scan_mask[:, 3].tolist() == [False, False, True, False, False]
        whole = read_whole(grown)
        np.testing.assert_array_equal(whole[:3], TRUTH[:3, :, ::-1].reshape(3, 7, 3, 2, 2, 2).sum((3, 5)))
        copy = pickle.loads(pickle.dumps(grown))
        np.testing.assert_array_equal(read_whole(copy), whole)
        opened = grown.source.open(scan_mask=grown.scan_mask)
        np.testing.assert_array_equal(read_whole(opened), whole)
        assert grown.inputs == (path,) and "follow=True" in grown.source.code
        follower.close()


def read_whole(dataset):
    return np.concatenate([block for _, block in dataset.rows()])


def test_room_that_was_made_beforehand_is_no_measurement(tmp_path):
    path = tmp_path / "a.raw"
    with path.open("wb") as file:
        file.truncate(35 * PATTERN)
    with path.open("r+b") as file:
        file.write(TRUTH.reshape(35, -1)[:16].tobytes() + b"\1\1")
    follower = Follower(read(path, follow=True, **RAW), interval=30)
    assert follower.rows == 2 and not follower.look()
    follower.complete_now()
    assert follower.rows == 5 and follower.ended


def test_a_record_at_the_end_counts_when_it_is_still(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH[:2].tobytes())
    scan = growing_scan(read(path, follow=True, **RAW).data)
    assert scan.rows == 1 or scan.source.still >= STILL
    until = time.monotonic() + 30
    while scan.look() < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert scan.rows == 2


def test_a_writer_that_is_gone_is_told(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH[:2].tobytes() + bytes(3 * PATTERN))
    os.utime(path, (time.time() - 100,) * 2)
    follower = Follower(read(path, follow=True, **RAW), interval=0.01, patience=20)
    until = time.monotonic() + 30
    while not follower.stalled and time.monotonic() < until:
        time.sleep(0.01)
    assert "2 of 5 rows; nothing has come for 1" in follower.text and "complete_now()" in follower.text
    assert check_shown(follower.dataset) == 2
    with pytest.raises(DataError, match="3 were waited for"):
        follower.wait(rows=3, timeout=0.05)
    assert check_shown(follower.complete_now()) == 2
    assert follower.text == "2 of 5 rows, nothing more is waited for, and 3 patterns of one that was begun are left out"
    with pytest.raises(DataError, match="3 were waited for"):
        follower.wait(rows=3)


@pytest.mark.parametrize("what", ["shorter", "replaced", "gone"])
def test_a_file_that_is_taken_away_is_told(tmp_path, what):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH[:3].tobytes())
    follower = Follower(read(path, follow=True, **RAW), interval=30)
    if what == "shorter":
        path.write_bytes(b"")
    elif what == "gone":
        path.unlink()
    else:
        shutil.copy(path, tmp_path / "b")
        (tmp_path / "b").replace(path)
    assert follower.look() and follower.ended
    assert {"shorter": "has become shorter", "replaced": "has been replaced", "gone": "cannot be followed"}[what] in (
        follower.text
    )
    with pytest.raises(FileFormatError):
        follower.wait()


def test_patterns_behind_the_scan_are_told(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH[:4].tobytes())
    follower = Follower(read(path, follow=True, **RAW), interval=30)
    with path.open("ab") as file:
        file.write(TRUTH[4:].tobytes() + b"\1" * (3 * PATTERN + 1))
    assert follower.look() and follower.complete
    assert follower.text == "5 of 5 rows; 3 patterns behind the end of the scan are left out: check scan_shape"


def test_a_callback_that_fails_is_logged_and_left_out(tmp_path, caplog):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH[:2].tobytes())
    follower, calls = Follower(read(path, follow=True, **RAW), interval=30), []

    def fails(_):
        calls.append(1)
        raise ValueError("no")

    follower.on_rows(fails)
    for row in (2, 3):
        with path.open("ab") as file:
            file.write(TRUTH[row].tobytes() + b"\1" * (row == 3))
        follower.look()
    assert calls == [1] and "failed" in caplog.text


def test_what_cannot_be_followed_says_so(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH.tobytes())
    given = {name: value for name, value in RAW.items() if name != "scan_shape"}
    with pytest.raises(ParameterError, match="does not say how long the scan will be"):
        read(path, follow=True, **given)
    with pytest.raises(ParameterError, match="no blanks put before"):
        read(path, follow=True, sync_offset=-1, **RAW)
    with pytest.raises(ParameterError, match="axes"):
        read(path, follow=True, axes="Qy Qx Ry Rx", **RAW)
    with pytest.raises(ParameterError, match="series"):
        read(path, follow=True, choose=0, **RAW)
    with pytest.raises(ParameterError, match="not opened to be followed"):
        Follower(read(path, **RAW))
    with pytest.raises(ParameterError, match="cropped or binned"):
        Follower(read(path, follow=True, **RAW).crop(scan=(0, 1, 0, 7)))
    np.savez(tmp_path / "a.npz", data=TRUTH)
    with pytest.raises(FileFormatError, match=r"numpy \.npz.*cannot be followed.*leave out follow"):
        read(tmp_path / "a.npz", follow=True)


def test_a_first_row_that_does_not_come_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("ptywidgets.engine.io.growing.opening.as_growing_scan.__defaults__", (0.2,))
    path = tmp_path / "a.raw"
    path.write_bytes(TRUTH.tobytes()[: PATTERN * 5 + 1])
    with pytest.raises(DataError, match="5 of 7 patterns are there"):
        read(path, follow=True, **RAW)


def test_a_writer_that_lets_nobody_read_is_told(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((2, 3, 4, 4, 5, 2), np.uint16)
    with pytest.raises((DataError, FileFormatError)):
        read(path, "data", follow=True, scan_shape=(2, 3))


def test_files_that_come_in_the_wrong_order_are_refused(tmp_path):
    for number in (1, 2, 3, 4, 5, 6, 7, 8):
        np.save(tmp_path / f"{number}.npy", TRUTH[0, 0])
    follower = Follower(read(tmp_path, follow=True, scan_shape=SCAN), interval=30)
    np.save(tmp_path / "0.npy", TRUTH[0, 0])
    assert follower.look() and "belongs before others" in follower.text


def test_a_folder_is_read_whole_without_following(tmp_path):
    for number in range(12):
        np.save(tmp_path / f"p{number}.npy", TRUTH.reshape(35, 6, 4)[number])
    np.testing.assert_array_equal(
        read(tmp_path, scan_shape=(3, 4)).load().data, TRUTH.reshape(35, 6, 4)[:12].reshape(3, 4, 6, 4)
    )
