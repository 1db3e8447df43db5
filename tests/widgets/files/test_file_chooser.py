"""FileChooser without a browser: folders, what a file is, opening, what is missing."""

from __future__ import annotations

import os
import shutil
import threading

import h5py
import numpy as np
import pytest
from waiting import until

import ptywidgets as pw
from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.testing.record_files import blo_file, tvips_files
from ptywidgets.widgets.files import file_chooser
from ptywidgets.widgets.files.file_chooser import FileChooser


@pytest.fixture
def folder(tmp_path):
    counts = np.random.default_rng(0).poisson(3, (3, 4, 16, 16)).astype(np.uint8)
    (tmp_path / "session").mkdir()
    blo_file(tmp_path / "scan.blo", counts, step=(0.4, 0.4), volts=80000)
    tvips_files(tmp_path, counts.reshape(12, 16, 16), [12])
    np.savez(tmp_path / "two.npz", a=counts, b=counts.astype(np.uint16))
    (tmp_path / "notes.txt").write_text("no data")
    (tmp_path / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    return tmp_path


@pytest.fixture(autouse=True)
def begin_anywhere(monkeypatch):
    monkeypatch.setattr(FileChooser, "_last", None)


@pytest.fixture
def chooser(folder):
    chooser = FileChooser(folder=folder)
    chooser.wait()
    yield chooser
    chooser.close()


def names(chooser):
    return [entry.name for entry in chooser.entries]


def sent(chooser, kind, name):
    """What the browser sends of the entry with this name."""
    rows = chooser.list._rows
    index = [row["name"] for row in rows["rows"]].index(name)
    chooser.list._handle_custom_msg({"type": kind, "index": index, "number": rows["number"]}, [])
    chooser.wait()


def test_it_begins_where_it_is_told_or_where_the_data_are(folder, chooser, monkeypatch):
    assert names(chooser) == ["session", "damaged.h5", "scan.blo", "stream_000.tvips", "two.npz"]
    assert chooser.folder == str(folder) == chooser.place.value
    assert "1 file with other endings not listed" in chooser.listed.value
    of_data = FileChooser(folder / "scan.blo")
    assert of_data.folder == str(folder)
    monkeypatch.chdir(folder / "session")
    elsewhere = FileChooser()
    assert elsewhere.folder == str(folder / "session")
    for one in (of_data, elsewhere):
        one.wait()
        one.close()


def test_it_begins_where_a_file_was_opened_last(folder, chooser, monkeypatch, tmp_path):
    chooser.select(folder / "scan.blo")
    chooser.open_selected()
    monkeypatch.chdir(tmp_path / "session")
    again = FileChooser()
    assert again.folder == str(folder)
    again.wait()
    again.close()


def test_choosing_tells_what_a_file_is(chooser):
    sent(chooser, "choose", "scan.blo")
    assert chooser.selected.endswith("scan.blo") and chooser.summary.shape == (3, 4, 16, 16)
    about = chooser.facts.about.value
    for text in ("NanoMegas .blo", "3 x 4 positions", "16 x 16 px, uint8", "80 keV, from the file", "not known"):
        assert text in about
    assert "To reconstruct, give one of: semi-angle (mrad), q pixel (Å⁻¹)" in about
    assert not chooser.opener.disabled and chooser.enterer.layout.display == "none"
    sent(chooser, "choose", "session")
    assert chooser.enterer.layout.display == "" and chooser.opener.layout.display == "none"
    assert "A folder" in chooser.facts.about.value and "session" in chooser.facts.about.value
    sent(chooser, "choose", "damaged.h5")
    assert "pty-bad" in chooser.facts.about.value and chooser.opener.disabled


def test_a_file_becomes_the_data_and_what_is_missing_is_asked_for(chooser):
    recon, opened = chooser.recon, []
    chooser.observe(lambda change: opened.append(change["new"]), "path")
    sent(chooser, "choose", "scan.blo")
    chooser.opener.click()
    chooser.wait()
    assert recon.dataset.name == "scan" and opened == [chooser.selected]
    assert chooser.missing.shown and "semi-angle" in chooser.missing.text.value
    chooser.missing.editor.fields["semiangle"].input.value = "many"
    assert chooser.status_line.kind == "bad"
    chooser.missing.editor.fields["semiangle"].input.value = "20"
    assert recon.dataset.calibration.semiangle == 20
    assert chooser.missing.shown and "complete" in chooser.missing.text.value, "it goes away under one's hands"
    chooser.recon.dataset = pw.samples.ducky("tiny")
    assert not chooser.missing.shown


def test_a_stack_is_opened_once_its_scan_is_filled_in(chooser):
    sent(chooser, "choose", "stream_000.tvips")
    assert chooser.facts.fields["scan_shape"].layout.display == "" and chooser.opener.disabled
    assert chooser.facts.scan_shape.placeholder == "such as 3 x 4"
    assert "pty-warn" in chooser.facts.about.value and "pty-bad" not in chooser.facts.about.value
    chooser.facts.scan_shape.value = "many"
    assert "'many' is not a scan" in chooser.status_text
    chooser.facts.scan_shape.value = "5 x 5"
    chooser.wait()
    assert "25 scan positions" in chooser.facts.about.value and chooser.opener.disabled
    chooser.facts.scan_shape.value = "2 x 6"
    chooser.wait()
    assert not chooser.opener.disabled and chooser.summary.shape == (2, 6, 16, 16)
    chooser.opener.click()
    chooser.wait()
    assert chooser.recon.dataset.scan_shape == (2, 6)
    sent(chooser, "choose", "scan.blo")
    assert chooser.facts.fields["scan_shape"].layout.display == "none" and chooser.facts.reading() == {}


def test_one_of_several_arrays_is_chosen(chooser):
    sent(chooser, "choose", "two.npz")
    assert [value for _, value in chooser.facts.dataset.options] == ["", "a", "b"] and chooser.opener.disabled
    chooser.facts.dataset.value = "b"
    chooser.wait()
    assert chooser.summary.dtype == "uint16" and chooser.facts.dataset.value == "b"
    chooser.open_selected()
    assert chooser.recon.dataset.dtype == np.uint16


def test_a_series_and_bare_numbers_have_their_fields(chooser, folder):
    np.save(folder / "series.npy", np.ones((3, 2, 2, 8, 8), np.uint8))
    np.arange(4 * 16, dtype="<u2").tofile(folder / "bare.bin")
    assert chooser.select(folder / "series.npy").scans == 3
    chooser.facts.choose.value = "sum"
    chooser.wait()
    chooser.open_selected()
    assert chooser.recon.dataset.shape == (2, 2, 8, 8)
    chooser.select(folder / "bare.bin")
    chooser.facts.dtype.value = "<u2"
    chooser.facts.detector_shape.value = "4 x 4"
    chooser.wait()
    assert "scan_shape" in chooser.summary.asked
    chooser.facts.scan_shape.value = "2 x 2"
    chooser.wait()
    chooser.open_selected()
    assert chooser.recon.dataset.shape == (2, 2, 4, 4)


def test_an_energy_that_a_file_needs_is_in_kev(chooser, folder):
    with h5py.File(folder / "mrad.h5", "w") as file:
        file["data"] = np.ones((3, 4, 8, 8), np.uint8)
        for n, (length, unit) in enumerate(((3, "nm"), (4, "nm"), (8, "mrad"), (8, "mrad")), 1):
            file[f"dim{n}"] = np.arange(length) * 0.5
            file[f"dim{n}"].attrs["units"] = unit
    assert chooser.select(folder / "mrad.h5").asked == ("energy",)
    chooser.facts.fields["energy"].input.value = "80"
    chooser.wait()
    assert chooser.summary.can_open
    chooser.open_selected()
    assert chooser.recon.dataset.calibration.energy == 80e3


def test_folders_are_entered_and_left(chooser, folder):
    sent(chooser, "enter", "session")
    assert chooser.folder == str(folder / "session") and "nothing here" in chooser.list._rows["empty"]
    chooser.list._handle_custom_msg({"type": "up", "number": chooser.list._rows["number"]}, [])
    chooser.wait()
    assert chooser.folder == str(folder)
    sent(chooser, "choose", "session")
    chooser.enterer.click()
    chooser.wait()
    assert chooser.folder == str(folder / "session")
    chooser.up.click()
    chooser.wait()
    assert chooser.folder == str(folder) and chooser.selected == ""
    chooser.home.click()
    chooser.wait()
    assert chooser.folder == os.path.expanduser("~")


def test_a_double_click_opens_a_file_once_it_is_known_what_it_is(chooser):
    sent(chooser, "enter", "scan.blo")
    assert chooser.recon.dataset.name == "scan"
    sent(chooser, "enter", "stream_000.tvips")
    assert chooser.recon.dataset.name == "scan" and "rows and columns" in chooser.status_text


def test_a_data_set_that_is_a_folder_can_be_opened_and_entered(chooser, folder):
    store = folder / "scan.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    chooser.again.click()
    chooser.wait()
    sent(chooser, "choose", "scan.zarr")
    assert chooser.enterer.layout.display == "" and chooser.opener.layout.display == ""
    assert chooser.summary is not None, "it is looked at as a file is"
    chooser.place.value = str(store)
    chooser.wait()
    assert chooser.folder == str(folder) and chooser.selected == str(store), "what is typed is meant as data"
    chooser.enterer.click()
    chooser.wait()
    assert chooser.folder == str(store)


def test_a_path_is_typed(chooser, folder):
    chooser.place.value = str(folder / "scan.blo")
    chooser.wait()
    assert chooser.summary.can_open and chooser.place.value == str(folder)
    assert chooser.list._rows["chosen"] == names(chooser).index("scan.blo")
    chooser.place.value = str(folder / "nowhere" / "at all")
    chooser.wait()
    assert "there is no file or folder" in chooser.status_text and chooser.place.value == str(folder)
    assert names(chooser), "the list stays"
    chooser.folder = folder / "session"
    chooser.wait()
    assert names(chooser) == [] and chooser.status_text == ""
    with pytest.raises(FileFormatError, match="no file or folder"):
        chooser.select(folder / "nowhere")


def test_what_is_listed_is_filtered(chooser):
    chooser.filter.value = "SCAN"
    chooser.wait()
    assert names(chooser) == ["scan.blo"]
    chooser.filter.value = ""
    chooser.kinds.value = "all files"
    chooser.wait()
    assert "notes.txt" in names(chooser)
    dim = {row["name"]: row["dim"] for row in chooser.list.rows}
    assert dim["notes.txt"] and not dim["scan.blo"] and not dim["session"]


def test_what_is_chosen_stays_chosen_when_the_list_is_filtered(chooser):
    sent(chooser, "choose", "scan.blo")
    chooser.filter.value = "scan"
    chooser.wait()
    assert chooser.selected.endswith("scan.blo") and chooser.summary.can_open
    chooser.filter.value = "nothing has this name"
    chooser.wait()
    assert chooser.selected == "" and chooser.opener.disabled


def test_a_click_of_the_listing_before_chooses_nothing(chooser):
    number = chooser.list._rows["number"]
    chooser.again.click()
    chooser.wait()
    chooser.list._handle_custom_msg({"type": "choose", "index": 2, "number": number}, [])
    for message in (
        {"type": "choose", "index": 99},
        {"type": "choose", "index": "2"},
        {"type": "nonsense", "index": 0},
    ):
        chooser.list._handle_custom_msg({**message, "number": chooser.list._rows["number"]}, [])
    chooser.list._handle_custom_msg("no message at all", [])
    chooser.wait()
    assert chooser.selected == ""


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_names_are_text(chooser, folder):
    evil = "<img src=x onerror=alert(1)>"
    shutil.copy(folder / "scan.blo", folder / f"{evil}.blo")
    (folder / f"{evil}").mkdir()
    os.rename(os.fsencode(folder / "two.npz"), os.fsencode(folder) + b"/\xff.npz")
    chooser.again.click()
    chooser.wait()
    assert f"{evil}.blo" in names(chooser)
    for row in chooser.list.rows:  # which goes as JSON in UTF-8, and is shown as text
        assert str(row["name"]).encode("utf-8")
    for entry in chooser.entries:
        chooser.select(entry.path) if entry.name != evil else sent(chooser, "choose", evil)
        assert "<img" not in chooser.facts.about.value and "<img" not in chooser.status_line.value
        chooser.facts.about.value.encode("utf-8")
    chooser.folder = folder / evil
    chooser.wait()
    assert "<img" not in chooser.listed.value


def test_a_folder_that_vanishes_is_a_sentence_and_the_way_up_is_left(chooser, folder):
    chooser.folder = folder / "session"
    chooser.wait()
    shutil.rmtree(folder / "session")
    chooser.again.click()
    chooser.wait()
    assert "there is no folder" in chooser.status_text and names(chooser) == []
    chooser.up.click()
    chooser.wait()
    assert chooser.folder == str(folder) and names(chooser) and chooser.status_text == ""


def test_a_file_that_is_gone_is_a_sentence(chooser, folder):
    sent(chooser, "choose", "scan.blo")
    (folder / "scan.blo").unlink()
    chooser.opener.click()
    chooser.wait()
    assert "no such file" in chooser.status_text and chooser.recon.dataset is None
    (folder / "two.npz").unlink()
    sent(chooser, "choose", "two.npz")
    assert "no such file" in chooser.facts.about.value


def test_an_unreadable_folder_is_a_sentence(chooser, folder, monkeypatch):
    def refused(_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    chooser.folder = folder / "session"
    chooser.wait()
    assert "may not be read; check its permissions" in chooser.status_text
    monkeypatch.undo()
    chooser.again.click()
    chooser.wait()
    assert chooser.status_text == ""


def test_a_slow_disk_stops_nothing_and_the_newest_wins(chooser, monkeypatch):
    begun, go_on, looked = threading.Event(), threading.Event(), []
    summarise = file_chooser.summarise

    def slow(path, **reading):
        looked.append(path.name)
        begun.set()
        assert go_on.wait(20)
        return summarise(path, **reading)

    monkeypatch.setattr(file_chooser, "summarise", slow)
    rows = chooser.list._rows
    order = [row["name"] for row in rows["rows"]]
    for name in ("two.npz", "damaged.h5", "scan.blo"):
        chooser.list._handle_custom_msg({"type": "choose", "index": order.index(name), "number": rows["number"]}, [])
        assert begun.wait(20)
    assert (
        chooser.selected.endswith("scan.blo") and chooser.summary is None and "Looking at" in chooser.facts.about.value
    )
    chooser.filter.value = "scan"
    go_on.set()
    chooser.wait()
    assert looked[0] == "two.npz" and "damaged.h5" not in looked and chooser.summary.path.name == "scan.blo"


def test_a_disk_that_does_not_answer_is_left(chooser, folder, monkeypatch):
    answers, asked = threading.Event(), threading.Event()
    look = file_chooser.list_folder

    def slow(where, *args, **options):
        if "session" in str(where):
            asked.set()
            assert answers.wait(20)
        return look(where, *args, **options)

    monkeypatch.setattr(file_chooser, "list_folder", slow)
    monkeypatch.setattr(file_chooser, "PATIENCE", 0.0)
    chooser.folder = folder / "session"
    assert asked.wait(20)
    chooser.folder = folder.parent
    until(lambda: chooser.folder == str(folder.parent))
    answers.set()
    chooser.wait()
    assert chooser.folder == str(folder.parent), "it comes too late"


def test_a_large_folder_is_listed_in_part(tmp_path):
    for number in range(1000):
        (tmp_path / f"{number}.tif").touch()
    chooser = FileChooser(folder=tmp_path)
    chooser.wait()
    assert len(chooser.entries) == 300 and "700 more that fit are not listed" in chooser.listed.value
    chooser.close()


def test_a_saved_reconstruction_is_given_to_whoever_takes_one(folder):
    recon = pw.Reconstruction(pw.samples.ducky("tiny"), defocus=250).run(1)
    saved = recon.save(folder / "saved.h5")
    taken = []
    for on_open in (None, taken.append):
        chooser = FileChooser(folder=folder, on_open=on_open)
        assert chooser.select(saved).kind == "reconstruction"
        chooser.opener.click()
        chooser.wait()
        assert on_open is not None or "Reconstruction.load(path)" in chooser.status_text
        assert chooser.recon.dataset is None
        chooser.close()


def test_whoever_takes_what_is_opened_gets_a_reconstruction(folder):
    taken = []
    chooser = FileChooser(folder=folder, on_open=taken.append)
    chooser.select(folder / "scan.blo")
    chooser.open_selected()
    assert taken[0].dataset.name == "scan" and chooser.path == str(folder / "scan.blo")
    assert chooser.recon.dataset is None and not chooser.missing.shown
    chooser.close()


def test_nothing_is_opened_where_nothing_is_chosen(chooser):
    chooser.opener.click()
    assert "no file is chosen" in chooser.status_text
    with pytest.raises(DataError, match="no file is chosen"):
        chooser.open_selected()
    chooser.home.click()
    chooser.place.value = "  "
    chooser.wait()


def test_recent_files_are_a_way_back(folder, tmp_path):
    file = tmp_path / "state" / "recent.json"
    chooser = FileChooser(folder=folder, recent=file)
    assert chooser.recent.layout.display == "none"
    chooser.select(folder / "scan.blo")
    chooser.open_selected()
    chooser.folder = folder / "session"
    chooser.wait()
    assert chooser.recent.layout.display == "" and len(chooser.recent.options) == 2
    chooser.recent.value = str(folder / "scan.blo")
    chooser.wait()
    assert chooser.selected == str(folder / "scan.blo") and chooser.folder == str(folder)
    (folder / "scan.blo").unlink()
    chooser.folder = folder / "session"
    chooser.wait()
    assert chooser.recent.value == ""
    chooser.recent.value = str(folder / "scan.blo")
    chooser.wait()
    assert "there is no file or folder" in chooser.status_text
    chooser.close()


def test_an_upload_is_chosen_and_stays_as_long_as_it_is_read(folder):
    content = (folder / "scan.blo").read_bytes()
    chooser = FileChooser(folder=folder)
    chooser.wait()
    drop = chooser.drop
    drop._handle_custom_msg({"type": "begin", "id": "1", "name": "mine.blo", "size": len(content)}, [])
    drop._handle_custom_msg({"type": "piece", "id": "1", "offset": 0}, [memoryview(content)])
    chooser.wait()
    assert chooser.summary.can_open and os.path.basename(chooser.selected) == "mine.blo"
    chooser.open_selected()
    dataset, path = chooser.recon.dataset, chooser.path
    chooser.close()
    assert os.path.exists(path) and dataset.pattern(1, 1).shape == (16, 16)


def test_an_upload_that_cannot_be_taken_is_a_sentence(chooser):
    chooser.drop._handle_custom_msg({"type": "refused", "name": "huge.mib", "size": 3e9}, [])
    assert "huge.mib has 3 GB; expected at most 200 MB" in chooser.status_text
