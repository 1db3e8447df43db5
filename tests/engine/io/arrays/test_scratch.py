"""Scratch files: what is in them is what was read, and nothing of them is ever left."""

from __future__ import annotations

import copy
import errno
import pickle
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptywidgets import read
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io.arrays import scratch
from ptywidgets.engine.io.arrays.scratch import scratch_copy, scratch_folder

DATA = np.random.default_rng(0).integers(0, 60000, (5, 6, 8, 7), dtype=np.uint16)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path))
    return tmp_path


def test_it_holds_what_was_read_and_has_no_name(folder: Path):
    words: list[str] = []
    scan = scratch_copy(Dataset(DATA), words.append)
    assert list(folder.iterdir()) == []
    assert scan.by_pattern and scan.shape == DATA.shape and scan.dtype == DATA.dtype
    for key in ((2, 3), (1, slice(2, 5)), (slice(1, 4), slice(2, 4)), (slice(None), 0), (2, slice(None, None, -2))):
        np.testing.assert_array_equal(scan[key], DATA[key])
    assert "scratch file" in words[0] and "0%" in words[0]


def test_binned_and_masked_data_are_written_as_they_are_read(folder: Path):
    binned = Dataset(DATA).bin(scan=(1, 2), detector=(2, 1))
    np.testing.assert_array_equal(scratch_copy(binned)[:, :], np.asarray(binned.load().data))


def test_too_little_room_is_said_before_anything_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, scratch.SPARE + DATA.nbytes - 1))
    with pytest.raises(DataError, match=r"needs 3\.36 kB and 3\.36 kB are free; free some.*PTYWIDGETS_SCRATCH"):
        scratch_copy(Dataset(DATA))
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []

    class Full:
        def __init__(self) -> None:
            self.closed = False
            made.append(self)

        def write(self, _: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(DataError, match=r"could not be written \(No space left on device\); free some"):
        scratch_copy(Dataset(DATA))
    assert made[0].closed


def test_stopped_it_leaves_nothing(folder: Path):
    with pytest.raises(WorkStopped), stopped_by(lambda: True):
        scratch_copy(Dataset(DATA))
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(DataError, match="PTYWIDGETS_SCRATCH"):
        scratch_folder()


def test_a_folder_in_memory_is_not_taken_where_there_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv(scratch.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    usual = Path(tempfile.gettempdir())
    monkeypatch.setattr(scratch, "_in_memory", lambda folder: folder == usual)
    assert scratch_folder() == tmp_path
    monkeypatch.setattr(scratch, "_in_memory", lambda _: False)
    assert scratch_folder() == usual


def test_pickled_it_is_the_array_that_it_is_a_copy_of(tmp_path: Path):
    np.save(tmp_path / "data.npy", DATA)
    dataset = read(tmp_path / "data.npy")
    scan = scratch_copy(dataset)
    again = pickle.loads(pickle.dumps(scan))  # of our own making
    assert type(again) is type(dataset.data)
    np.testing.assert_array_equal(again[1, 2], DATA[1, 2])
    assert copy.copy(scan) is scan and copy.deepcopy(scan) is scan
    assert scan.input_files == dataset.data.input_files
