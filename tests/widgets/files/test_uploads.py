"""Files from the user's own computer: piece by piece, whatever comes, and where they are kept."""

import os
import subprocess
import sys

import pytest

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.widgets.files import file_drop
from ptywidgets.widgets.files.file_drop import FileDrop, UploadFolder, safe_name


@pytest.fixture
def drop(monkeypatch):
    drop = FileDrop(limit=100)
    drop.messages, drop.paths, drop.errors = [], [], []
    monkeypatch.setattr(drop, "send", lambda content, buffers=None: drop.messages.append(content))
    drop.on_upload(drop.paths.append)
    drop.on_failure(drop.errors.append)
    yield drop
    drop.close()


def receive(drop, *buffers, **content):
    drop._handle_custom_msg(content, list(buffers))


def test_a_file_comes_piece_by_piece(drop):
    receive(drop, type="begin", id="a", name="scan 1.mib", size=7)
    assert drop.messages == [{"type": "piece", "id": "a", "offset": 0}]
    receive(drop, memoryview(b"1234"), type="piece", id="a", offset=0)
    assert drop.messages[-1] == {"type": "piece", "id": "a", "offset": 4} and not drop.paths
    receive(drop, b"567", type="piece", id="a", offset=4)
    assert drop.messages[-1] == {"type": "end", "id": "a"}
    (path,) = drop.paths
    assert path.name == "scan 1.mib" and path.read_bytes() == b"1234567" and not drop.errors


def test_files_that_belong_together_lie_together_and_none_is_written_over(drop):
    for n, name in enumerate(("a.xml", "a.raw", "a.raw")):
        receive(drop, type="begin", id=str(n), name=name, size=1)
        receive(drop, b"%d" % n, type="piece", id=str(n), offset=0)
    first, second, third = drop.paths
    assert first.parent == second.parent != third.parent
    assert [path.read_bytes() for path in drop.paths] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"type": "begin", "id": "a", "name": "big", "size": 101}], "big has 101 B; expected at most 100 B"),
        ([{"type": "begin", "id": "a", "name": "big", "size": "many"}], "big has many"),
        ([{"type": "begin", "id": "a", "name": "big", "size": -1}], "expected at most"),
        ([{"type": "begin", "id": "a", "name": "none", "size": 0}], "empty"),
        ([{"type": "unreadable", "id": "a", "name": "folder"}], "is it a folder"),
        ([{"type": "refused", "name": "big", "size": 1e12}], "big has 1 TB"),
    ],
)
def test_what_is_not_taken_is_told(drop, messages, text):
    for message in messages:
        receive(drop, **message)
    (error,) = drop.errors
    assert isinstance(error, PtyError) and text in str(error) and not drop.paths


def test_more_than_was_said_is_not_taken(drop):
    receive(drop, type="begin", id="a", name="a", size=3)
    receive(drop, b"1234", type="piece", id="a", offset=0)
    assert "has changed" in str(drop.errors[0]) and drop.messages[-1]["type"] == "end"
    receive(drop, b"123", type="piece", id="a", offset=0)
    assert not drop.paths


def test_pieces_out_of_place_and_other_messages_are_left(drop):
    receive(drop, type="begin", id="a", name="a", size=3)
    for id, offset, *buffers in (("b", 0, b"1"), ("a", 1, b"1"), ("a", None, b"1")):
        receive(drop, *buffers, type="piece", id=id, offset=offset)
    receive(drop, type="nonsense")
    drop._handle_custom_msg("no message at all", [])
    assert not drop.paths and not drop.errors
    receive(drop, b"123", type="piece", id="a", offset=0)
    assert drop.paths


def test_a_new_file_takes_the_place_of_one_that_never_came(drop):
    receive(drop, type="begin", id="a", name="a", size=3)
    receive(drop, type="begin", id="b", name="b", size=1)
    receive(drop, b"123", type="piece", id="a", offset=0)
    receive(drop, b"1", type="piece", id="b", offset=0)
    assert [path.name for path in drop.paths] == ["b"]


def test_a_full_disk_is_a_sentence(drop, monkeypatch):
    def full(*_args, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_drop.tempfile, "mkdtemp", full)
    receive(drop, type="begin", id="a", name="a", size=1)
    receive(drop, b"1", type="piece", id="a", offset=0)
    assert "No space left on device; free some space" in str(drop.errors[0]) and drop.messages[-1]["type"] == "end"


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "..", ".", "", "/", "a/b\\c.mib", "C:\\x\\y.blo", "\0\n\x1b", "a\u202eb.mib", ".hidden"),
        *("x" * 400 + ".tvips", "一" * 300 + ".mib", "<script>.mib", "con:.mib", "name. "),
    ],
)
def test_names_become_names_of_files_here(name, tmp_path):
    safe = safe_name(name)
    assert safe and safe.isprintable() and not safe.startswith(".") and len(os.fsencode(safe)) <= 200
    (tmp_path / safe).write_bytes(b"1")
    assert [file.name for file in tmp_path.iterdir()] == [safe]


def test_what_was_not_opened_goes_with_the_panel_and_the_rest_with_the_process():
    code = (
        "from ptywidgets.widgets.files.file_drop import UploadFolder\n"
        "uploads = UploadFolder()\n"
        "kept = uploads.save('kept.npy', [b'1'])\n"
        "again = uploads.save('kept.npy', [b'2'])\n"
        "uploads.keep(kept)\n"
        "uploads.clear()\n"
        "print(kept.exists(), again.parent.exists(), kept.parent, sep='\\n')\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split("\n")
    assert told[:2] == ["True", "False"] and not os.path.exists(told[2])


def test_what_lies_elsewhere_is_never_removed(tmp_path):
    uploads = UploadFolder()
    (tmp_path / "mine.npy").write_bytes(b"1")
    uploads.keep(tmp_path / "mine.npy")
    uploads.clear()
    assert (tmp_path / "mine.npy").exists()
