"""What a folder holds: large, hostile, vanished and unreadable folders."""

import os
from pathlib import Path

import numpy as np
import pytest

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io import listing
from ptywidgets.engine.io.formats.registry import FORMATS
from ptywidgets.engine.io.listing import ENDINGS, list_folder, nearest_folder


def names(found):
    return [entry.name for entry in found.entries]


def test_folders_come_first_and_numbers_are_counted(tmp_path):
    for name in ("scan_10.mib", "Scan_9.MIB", "notes.txt", ".hidden.mib"):
        (tmp_path / name).touch()
    (tmp_path / "z").mkdir()
    found = list_folder(tmp_path)
    assert names(found) == ["z", "Scan_9.MIB", "scan_10.mib"]
    assert (found.more, found.others, found.hidden) == (0, 1, 1)
    assert found.describe() == "3 entries; 1 file with other endings not listed; 1 hidden"
    assert names(list_folder(tmp_path, all_files=True, hidden=True)) == [
        "z", ".hidden.mib", "notes.txt", "Scan_9.MIB", "scan_10.mib",
    ]  # fmt: skip
    assert names(list_folder(tmp_path, "SCAN_1")) == ["scan_10.mib"]


def test_a_store_is_a_folder_and_data(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "c.mib").write_bytes(b"MQ1,")
    store, plain, file = list_folder(tmp_path).entries
    assert store.is_folder and store.is_data
    assert plain.is_folder and not plain.is_data, "by its name alone it is none"
    assert file.is_data and not file.is_folder and file.size == 4


def test_of_a_large_folder_only_what_is_listed_is_looked_at(tmp_path, monkeypatch):
    for number in range(10_000):
        (tmp_path / f"frame_{number}.tif").touch()
    asked = []
    look = listing._entry
    monkeypatch.setattr(listing, "_entry", lambda *one: asked.append(one) or look(*one))
    found = list_folder(tmp_path, most=50)
    assert names(found) == [f"frame_{n}.tif" for n in range(50)]
    assert found.more == 9950 and len(asked) == 50
    assert "9950 more that fit are not listed" in found.describe()
    assert names(list_folder(tmp_path, "_9999.")) == ["frame_9999.tif"]


def test_of_a_folder_without_end_the_first_entries_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "LOOKED_AT", 5)
    for number in range(9):
        (tmp_path / f"{number}.npy").touch()
    found = list_folder(tmp_path)
    assert len(found.entries) == 5 and found.unseen
    assert "only the first 5 of the folder were looked at" in found.describe()


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_names_may_hold_anything(tmp_path):
    hostile = [
        "<img src=x onerror=alert(1)>.mib",
        "a\nb\x1b[31m.mib",
        "right\u202eto left.mib",
        "ü µ 一.mib",
        "'\"&.mib",
    ]
    for name in hostile:
        (tmp_path / name).touch()
    undecodable = os.fsencode(tmp_path) + b"/\xff\xfe.mib"
    open(undecodable, "w").close()
    found = list_folder(tmp_path)
    assert len(found.entries) == 6
    for entry in found.entries:
        assert entry.name.isprintable() and entry.name.encode("utf-8")
        assert entry.path.exists(), "its path is the name as it is"


def test_links(tmp_path):
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "data", tmp_path / "to data")
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.mib")
    os.symlink(tmp_path / "circle.mib", tmp_path / "circle.mib")
    data, to_data, broken, circle = list_folder(tmp_path).entries
    assert data.is_folder and to_data.is_folder
    assert broken.broken and not broken.is_folder and broken.size is None
    assert circle.size is None and not circle.is_folder


def test_what_is_no_readable_folder_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder, words in (("gone", "no folder"), ("file", "is no folder"), ("nul\0", "cannot be read")):
        with pytest.raises(FileFormatError, match=words):
            list_folder(tmp_path / folder)

    def refused(_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(FileFormatError, match="may not be read; check its permissions"):
        list_folder(tmp_path)


def test_a_disk_that_fails_on_the_way_is_a_sentence(tmp_path, monkeypatch):
    class Failing:
        def __enter__(self):
            return self

        def __exit__(self, *_error):
            return False

        def __iter__(self):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", lambda _folder: Failing())
    with pytest.raises(FileFormatError, match="Input/output error; choose another one"):
        list_folder(tmp_path)


def test_what_vanishes_while_it_is_listed(tmp_path, monkeypatch):
    (tmp_path / "a.npy").touch()
    look = listing._entry

    def vanished(entry, enters):
        os.unlink(entry.path)
        return look(entry, enters)

    monkeypatch.setattr(listing, "_entry", vanished)
    (entry,) = list_folder(tmp_path).entries
    assert entry.broken and entry.size is None


def test_the_nearest_folder_is_the_one_that_is_left(tmp_path):
    assert nearest_folder(tmp_path / "a" / "b" / "c.mib") == tmp_path
    np.save(tmp_path / "x.npy", np.ones(3))
    assert nearest_folder(tmp_path / "x.npy") == tmp_path
    assert nearest_folder("~") == Path.home()


def test_every_ending_that_a_format_names_is_known():
    """In the names that users read, such as "Merlin (.mib, .hdr)"."""
    import re

    told = {ending for module in FORMATS for ending in re.findall(r"\.[a-z][a-z0-9]{1,7}\b", module.NAME)}
    assert {".mib", ".blo", ".hspy"} <= told
    assert told <= ENDINGS, told - ENDINGS
