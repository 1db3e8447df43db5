"""Files cut off anywhere or with anything in their names never give anything but a PtyError."""

from __future__ import annotations

import sys
import types

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import FileFormatError, PtyError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import contents, read, read_pattern, write


@pytest.fixture
def whole(tmp_path):
    data = np.random.default_rng(2).integers(0, 9, (3, 3, 8, 8)).astype(np.uint16)
    vacuum = np.ones((8, 8))
    return write(tmp_path / "whole.h5", Dataset(data, Calibration(80e3, 4, 0.025), vacuum=vacuum)).read_bytes()


def use(path):
    """Everything that touches a file; returns whether it went through."""
    done = True
    for step in (lambda: read(path).load().check(), lambda: read_pattern(path), lambda: contents(path)):
        try:
            step()
        except PtyError as error:
            done = False
            assert str(error) and "\x00" not in str(error)
    return done


def test_every_truncation_is_a_pty_error(tmp_path, whole):
    path = tmp_path / "cut.h5"
    for n in sorted({*range(0, 200, 3), *range(200, len(whole), 97), len(whole) - 1}):
        path.write_bytes(whole[:n])
        assert not use(path), n
    path.write_bytes(whole)
    assert use(path)


def test_truncation_says_that_it_is_one(tmp_path, whole):
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="cut off after"):
        read(tmp_path / "cut.h5")


def test_npy_truncations(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4, 5)))
    whole = (tmp_path / "a.npy").read_bytes()
    for n in range(0, len(whole), 7):
        (tmp_path / "b.npy").write_bytes(whole[:n])
        with pytest.raises(PtyError):
            read(tmp_path / "b.npy")


def test_changed_bytes_in_the_head_of_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4, 5)))
    whole = bytearray((tmp_path / "a.npy").read_bytes())
    for at in range(6, 128):
        for value in (0, 0x28, 0xFF):
            changed = whole.copy()
            changed[at] = value
            (tmp_path / "b.npy").write_bytes(bytes(changed))
            use(tmp_path / "b.npy")


NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "__import__('os').system('x')",
    "a\nb\x1b[31m",
    "%s{0}",
]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_data(tmp_path, name):
    hdf_name = name.replace("/", "|")
    with h5py.File(tmp_path / "n.h5", "w") as file:
        group = file.create_group(hdf_name)
        group.attrs[name] = name
        group["data"] = np.ones((2, 2, 4, 4))
        group["data"].attrs["units"] = name
        group["dim0"] = [0.0, 1.0]
        group["dim0"].attrs["units"] = name
    dataset = read(tmp_path / "n.h5", energy=80e3)
    assert dataset.metadata[f"{hdf_name}@{name}"] == name
    dataset.data.close()
    with h5py.File(tmp_path / "n.h5", "a") as file:
        file[hdf_name]["more"] = np.ones((2, 2, 4, 4))
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path / "n.h5")
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_file_that_claims_to_be_enormous(tmp_path):
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("data", shape=(2, 10**3, 10**4, 10**4), dtype="f8", chunks=(1, 1, 64, 64))
        file["other"] = np.zeros(10**6)  # in a smaller file nobody would believe it
    dataset = read(tmp_path / "huge.h5")
    for step in (dataset.load, dataset.check, dataset.mean_pattern):
        with pytest.raises(PtyError, match="memory"):
            step()


def test_many_objects_and_deep_groups(tmp_path):
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        group = file
        for _ in range(300):
            group = group.create_group("g")
        group["data"] = np.ones((2, 2, 4, 4))
        file["loop"] = file  # a hard link to the root
    with pytest.raises(PtyError):
        read(tmp_path / "deep.h5")


def test_metadata_of_strange_types(tmp_path):
    path = write(tmp_path / "a.h5", Dataset(np.ones((2, 2, 4, 4))))
    with h5py.File(path, "a") as file:
        group = file["datacube_root/metadatabundle/calibration"]
        for name in ("Q_pixel_size", "R_pixel_units"):
            del group[name]
        group["Q_pixel_size"] = "not a number"
        group["R_pixel_units"] = np.arange(3)
        group["weird"] = h5py.Empty("f8")
        group["other"] = 3.0
        group["other"].attrs["type"] = 7
    assert read(path).calibration == Calibration()


def test_corrupt_chunk_is_said_when_it_is_read(tmp_path):
    path = tmp_path / "chunk.h5"
    with h5py.File(path, "w") as file:
        noise = np.random.default_rng(0).random((2, 2, 32, 32))
        found = file.create_dataset("data", data=noise, chunks=(1, 1, 32, 32), compression="gzip")
        where = found.id.get_chunk_info(2)
    raw = bytearray(path.read_bytes())
    raw[where.byte_offset : where.byte_offset + 64] = bytes(64)
    path.write_bytes(bytes(raw))
    dataset = read(path)
    dataset.pattern(0, 0)
    with pytest.raises(FileFormatError, match="could not be read"):
        dataset.load()


def test_unknown_compression_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "bs.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 1, 4, 4))
        plist.set_filter(32008, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((2, 2, 4, 4))
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT16, space, plist)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(FileFormatError, match=r"bitshuffle.*package hdf5plugin.*pip install \"ptywidgets\[formats\]"):
        read(path)
    monkeypatch.setitem(sys.modules, "hdf5plugin", types.ModuleType("hdf5plugin"))
    with pytest.raises(FileFormatError, match="bitshuffle, which neither h5py nor hdf5plugin knows"):
        read(path)
