"""Writing: the old file is whole until the new one is, and every value comes back as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import atomic_file, read, write
from ptywidgets.engine.io.arrays.array_likes import counted
from ptywidgets.engine.io.formats.hdf5 import emd_write
from ptywidgets.engine.io.formats.hdf5.emd import read_metadata
from ptywidgets.engine.io.formats.hdf5.emd_write import Axis, write_array, write_metadata, write_root


def dataset(seed=0, **fields):
    data = np.random.default_rng(seed).integers(0, 99, (3, 4, 6, 8)).astype(np.uint16)
    return Dataset(data, Calibration(80e3, 4.0, 0.025, 20.0), **fields)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i8", "f2", "f4", "f8", ">u2", ">f4"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_every_type_comes_back(tmp_path, dtype, compression):
    data = dataset().data.astype(dtype)
    again = read(write(tmp_path / "a.h5", Dataset(data), compression=compression))
    assert again.dtype == counted(data.dtype)
    np.testing.assert_array_equal(again.load().data, data)
    assert again.calibration == Calibration()
    assert again.data.chunks == (1, 1, 6, 8)


def test_calibration_and_vacuum_come_back(tmp_path):
    original = dataset(vacuum=np.arange(48.0).reshape(6, 8))
    again = read(write(tmp_path / "a.h5", original))
    assert again.calibration == original.calibration
    np.testing.assert_array_equal(again.vacuum, original.vacuum)


def test_overwrite_is_true_or_false(tmp_path):
    """A word such as "no" was taken for yes."""
    path = tmp_path / "there.h5"
    path.write_bytes(b"somebody's")
    with pytest.raises(ParameterError, match="overwrite is 'no'; expected True or False"):
        write(path, dataset(), overwrite="no")
    assert path.read_bytes() == b"somebody's"


def test_existing_file_is_kept_unless_overwrite(tmp_path):
    path = write(tmp_path / "a.h5", dataset())
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match=r"already exists; pass overwrite=True"):
        write(path, dataset(1))
    assert path.read_bytes() == before
    write(path, dataset(1), overwrite=True)
    np.testing.assert_array_equal(read(path).load().data, dataset(1).data)


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["write_array", "fsync", "replace", "interrupt"])
def test_old_file_is_whole_after_a_failure(tmp_path, monkeypatch, where):
    path = write(tmp_path / "a.h5", dataset())
    before = path.read_bytes()
    expected: type[BaseException] = FileFormatError
    if where == "write_array":
        monkeypatch.setattr(emd_write, "write_array", full_disk)
    elif where == "interrupt":
        expected = KeyboardInterrupt
        monkeypatch.setattr(Dataset, "rows", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
    else:
        monkeypatch.setattr(os, where, full_disk)
    with pytest.raises(expected) as caught:
        write(path, dataset(1), overwrite=True)
    monkeypatch.undo()
    if expected is FileFormatError:
        assert "disk is full" in str(caught.value) and "untouched" in str(caught.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


LIMITED = """
import resource, sys, numpy as np
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.io import write
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    write(sys.argv[1], Dataset(np.ones((8, 8, 64, 64), np.float32)), overwrite=True)
except PtyError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits on Windows")
def test_real_failure_of_the_disk(tmp_path):
    path = write(tmp_path / "a.h5", dataset())
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout and "untouched" in done.stdout
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


def test_too_little_space_is_said_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(emd_write.shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(FileFormatError, match=r"needs 1\.15 kB and 10 B are free"):
        write(tmp_path / "a.h5", dataset())
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_to(tmp_path):
    with pytest.raises(FileFormatError, match="there is no folder"):
        write(tmp_path / "nowhere" / "a.h5", dataset())
    with pytest.raises(FileFormatError, match="is a folder"):
        write(tmp_path, dataset(), overwrite=True)
    with pytest.raises(FileFormatError, match="expected a Dataset"):
        write(tmp_path / "a.h5", np.ones((2, 2, 2, 2)))
    with pytest.raises(FileFormatError, match="compression"):
        write(tmp_path / "a.h5", dataset(), compression="zip")


def test_atomic_file_keeps_links_and_permissions(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_file(link, overwrite=True) as temporary:
        temporary.write_text("new")
        assert real.read_text() == "old"
    assert link.is_symlink() and real.read_text() == "new" and real.stat().st_mode & 0o777 == 0o640


def test_atomic_file_respects_a_file_that_appeared_meanwhile(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(FileFormatError, match="already exists"), atomic_file(path, overwrite=False) as temporary:
        temporary.write_text("mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs"


VALUES = {
    "none": None,
    "text": "grün <b>",
    "yes": True,
    "whole": 3,
    "float": 0.1,
    "complex": 1 + 2j,
    "numpy": np.float32(2.5),
    "array": np.arange(6).reshape(2, 3),
    "numbers": (1.0, 2.0),
    "list": [1, 2, 3],
    "empty": [],
    "words": ["a", "b"],
    "word_tuple": ("a", "b"),
    "arrays": [np.arange(2), np.arange(3)],
    "nested": {"a": 1, "b": {"c": "d"}},
}


def test_metadata_come_back(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        root = write_root(file, "result_root")
        group = write_metadata(root, "values", VALUES)
        write_metadata(root, "second", {"a": 1})
        again = read_metadata(group)
        assert sorted(root["metadatabundle"]) == ["second", "values"]
    assert again.keys() == VALUES.keys()
    for name, value in VALUES.items():
        if name == "arrays":
            assert [list(a) for a in again[name]] == [[0, 1], [0, 1, 2]]
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(again[name], value)
        else:
            assert again[name] == value, name


@pytest.mark.parametrize("value", [object(), [1, "a"], {"a": print}, [None]])
def test_metadata_that_cannot_be_stored_say_so(tmp_path, value):
    with h5py.File(tmp_path / "m.h5", "w") as file, pytest.raises(FileFormatError, match="metadata"):
        write_metadata(write_root(file, "r"), "m", {"x": value})


def test_axes_must_fit_the_array(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file, pytest.raises(FileFormatError, match="2 axes but 1"):
        write_array(write_root(file, "r"), "a", np.ones((2, 2)), [Axis("y")])
