"""Recent files: a help that never stands in the way."""

import json
import os
import sys

import pytest

from ptywidgets.widgets.files.recent_files import MOST, RecentFiles, state_file


def test_the_newest_are_first_and_few(tmp_path):
    recent = RecentFiles(tmp_path / "deep" / "recent.json")
    for number in range(MOST + 5):
        recent.add(tmp_path / f"{number}.mib")
    recent.add(tmp_path / "9.mib")
    names = [os.path.basename(path) for path in RecentFiles(tmp_path / "deep" / "recent.json").paths()]
    assert len(names) == MOST == len(set(names)) and names[:2] == ["9.mib", f"{MOST + 4}.mib"]
    kept = json.loads((tmp_path / "deep" / "recent.json").read_text())
    assert list(kept) == ["ptywidgets recent files"] and all(isinstance(one, str) for one in kept.popitem()[1])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"ptywidgets recent files": 5}',
        b'{"ptywidgets recent files": {"a": 1}}',
        b'{"other": []}',
        b"[" * 100_000,
        b"0" * 300_000,
    ],
)
def test_a_damaged_list_has_no_entries(tmp_path, content):
    (tmp_path / "recent.json").write_bytes(content)
    assert RecentFiles(tmp_path / "recent.json").paths() == []


def test_entries_that_are_no_paths_are_left_out(tmp_path):
    good = str(tmp_path / "a.mib")
    entries = [5, None, "relative.mib", "nul\0", good, ["x"]]
    (tmp_path / "recent.json").write_text(json.dumps({"ptywidgets recent files": entries}))
    assert RecentFiles(tmp_path / "recent.json").paths() == [good]


def test_a_damaged_list_is_made_anew_and_another_s_file_is_left(tmp_path):
    file = tmp_path / "recent.json"
    file.write_bytes(b'{"ptywidgets recent files": [')
    RecentFiles(file).add("/data/a.mib")
    assert RecentFiles(file).paths() == [os.path.abspath("/data/a.mib")]
    file.write_text('{"mine": 1}')
    RecentFiles(file).add("/data/a.mib")
    assert file.read_text() == '{"mine": 1}'


def test_nothing_is_written_where_nothing_can_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    recent = RecentFiles(tmp_path / "file" / "recent.json")  # no folder can be made there
    recent.add("/data/a.mib")
    assert recent.paths() == []

    def refused(*_args, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "mkdir", refused)  # a read-only home
    RecentFiles(tmp_path / "state" / "recent.json").add("/data/a.mib")
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_any_name_can_be_kept(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\xe4.mib")
    recent = RecentFiles(tmp_path / "recent.json")
    recent.add(odd)
    assert recent.paths() == [odd]


def test_it_can_be_switched_off_and_put_elsewhere(tmp_path, monkeypatch):
    assert os.environ["PTYWIDGETS_RECENT"] == "off", "tests never touch the user's own"
    assert state_file() is None and RecentFiles().file is None and RecentFiles(False).file is None
    RecentFiles().add("/data/a.mib")
    assert RecentFiles().paths() == []
    monkeypatch.setenv("PTYWIDGETS_RECENT", str(tmp_path / "here.json"))
    assert RecentFiles().file == tmp_path / "here.json"
    monkeypatch.delenv("PTYWIDGETS_RECENT")
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        assert state_file() == tmp_path / "state" / "ptywidgets" / "recent.json"
    assert state_file().name == "recent.json"
