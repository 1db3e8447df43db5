"""Saving never destroys: not what the data were read from, and not what is something else; and a run outlives it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptywidgets import Reconstruction, read, samples, write
from ptywidgets.engine import Dataset
from ptywidgets.engine.core.errors import DataError, FileFormatError, FileInTheWay
from ptywidgets.reconstruction.saving import saved_file
from ptywidgets.reconstruction.session.run_timer import RunTimer
from ptywidgets.reconstruction.session.work import ReconstructionWork
from ptywidgets.testing.series import example_tilts

pytestmark = pytest.mark.usefixtures("no_thread_survives")
DEFOCUS = samples.ducky_defocus("tiny")


@pytest.fixture
def files(tmp_path):
    """Data, a vacuum pattern and a mask, each in a file of its own."""
    ducky = samples.ducky("tiny")
    np.save(tmp_path / "vacuum.npy", np.asarray(ducky.mean_pattern(), np.float32))
    np.save(tmp_path / "mask.npy", np.ones(ducky.detector_shape, bool))
    return {
        "data": write(tmp_path / "data.h5", ducky),
        "vacuum": tmp_path / "vacuum.npy",
        "mask": tmp_path / "mask.npy",
    }


@pytest.fixture
def recon(files):
    dataset = read(files["data"], vacuum=files["vacuum"]).with_mask(files["mask"])
    recon = Reconstruction(dataset, defocus=DEFOCUS)
    recon.update_plan(iterations=3, batch=50)
    yield recon
    recon.stop()


@pytest.fixture
def often(monkeypatch):
    """Save after every iteration, not once a minute."""
    monkeypatch.setattr(RunTimer, "save_due", lambda self: True)


def heard(recon):
    said = []
    recon.observe(lambda change: said.append(change["new"]), "message")
    return said


# ---------------------------------------------------------------- inputs


def test_nothing_is_saved_over_a_file_that_the_data_were_read_from(recon, files):
    recon.prepare()
    for file in files.values():
        before = file.read_bytes()
        for overwrite in (False, True):
            with pytest.raises(FileFormatError, match="never written over"):
                recon.save(file, overwrite)
            with pytest.raises(FileFormatError, match="never written over"):
                recon.check_save(os.path.relpath(file), overwrite)
        with pytest.raises(FileFormatError, match="never written over"):
            recon.autosave = file
        assert recon.autosave is None and file.read_bytes() == before


def test_nothing_is_saved_over_the_file_of_any_tilt(tmp_path):
    paths = [write(tmp_path / f"{n}.h5", dataset) for n, dataset in enumerate(example_tilts())]
    recon = Reconstruction.open(paths, tilts=[-60, -20, 0, 30, 70])
    recon.prepare()
    for path in paths:
        before = path.read_bytes()
        with pytest.raises(FileFormatError, match="never written over"):
            recon.save(path, overwrite=True)
        assert path.read_bytes() == before


def test_nothing_is_saved_over_a_memory_map(tmp_path):
    np.save(tmp_path / "scan.npy", samples.ducky("tiny").data)
    before = (tmp_path / "scan.npy").read_bytes()
    dataset = Dataset(np.load(tmp_path / "scan.npy", mmap_mode="r"), samples.ducky("tiny").calibration)
    recon = Reconstruction(dataset)
    recon.prepare()
    with pytest.raises(FileFormatError, match="never written over"):
        recon.save(tmp_path / "scan.npy", overwrite=True)
    assert (tmp_path / "scan.npy").read_bytes() == before


def test_inputs_are_remembered_by_what_is_saved(recon, files, tmp_path):
    saved = recon.run(1).save(tmp_path / "saved.h5")
    again = Reconstruction.load(saved, dataset=recon.dataset.load())
    assert set(again.inputs) >= set(files.values())
    before = files["vacuum"].read_bytes()
    with pytest.raises(FileFormatError, match="never written over"):
        again.save(files["vacuum"], overwrite=True)
    assert files["vacuum"].read_bytes() == before


def test_nothing_is_saved_over_what_a_run_begins_with(recon, tmp_path):
    known = Path(recon.run(1).save(tmp_path / "known.h5"))
    np.save(tmp_path / "object.npy", recon.object)
    before = known.read_bytes(), (tmp_path / "object.npy").read_bytes()
    second = Reconstruction(recon.dataset, defocus=DEFOCUS).begin_with(known, tmp_path / "object.npy")
    second.prepare()
    for path in (known, tmp_path / "object.npy"):
        with pytest.raises(FileFormatError, match="never written over"):
            second.save(path, overwrite=True)
    assert (known.read_bytes(), (tmp_path / "object.npy").read_bytes()) == before


def test_one_goes_on_and_saves_over_what_one_came_from(recon, tmp_path):
    saved = recon.run(1).save(tmp_path / "saved.h5")
    again = Reconstruction.load(saved, dataset=recon.dataset).run(1)
    assert again.save(saved) == saved
    assert Reconstruction.load(saved, dataset=recon.dataset).iteration == 2
    again.autosave = saved
    assert again.run(1).status == "finished"
    assert Reconstruction.load(saved, dataset=recon.dataset).iteration == 3


def test_what_is_something_else_is_replaced_only_when_asked_to(recon, tmp_path):
    other = write(tmp_path / "other.h5", samples.ducky("tiny", seed=1))
    before = other.read_bytes()
    recon.prepare()
    with pytest.raises(FileInTheWay, match="is not a saved reconstruction; pass overwrite=True"):
        recon.save(other)
    with pytest.raises(FileInTheWay, match=r"give autosave another name, or save there once with save\(path, over"):
        recon.autosave = other
    assert other.read_bytes() == before
    recon.save(other, overwrite=True)
    recon.autosave = other
    assert Reconstruction.load(other, dataset=recon.dataset).status == "ready"


# ---------------------------------------------------------------- autosave


def test_an_autosave_that_may_not_be_is_refused_when_the_run_starts(recon, files, tmp_path):
    recon.autosave = tmp_path / "auto.h5"
    data = write(tmp_path / "auto.h5", samples.ducky("tiny", seed=1))
    before = data.read_bytes()
    with pytest.raises(FileInTheWay, match="another name"):
        recon.start()
    recon.dataset = read(data)
    with pytest.raises(FileFormatError, match="never written over"):
        recon.start()
    assert recon.status == "ready" and data.read_bytes() == before


def test_a_run_is_autosaved_when_it_is_finished(recon, tmp_path):
    recon.autosave = tmp_path / "auto.h5"
    recon.run(2)
    assert Reconstruction.load(recon.autosave, dataset=recon.dataset).losses == recon.losses


def test_a_failing_autosave_does_not_end_the_run(recon, tmp_path, often, monkeypatch):
    recon.autosave = tmp_path / "auto.h5"
    save, tried = saved_file.save, []

    def full(*arguments):
        tried.append(recon.state.iteration)
        if len(tried) in (2, 3):
            raise FileFormatError(f"auto.h5 could not be written: the disk is full ({len(tried)}).")
        return save(*arguments)

    monkeypatch.setattr(saved_file, "save", full)
    said = heard(recon)
    recon.run(5)
    assert recon.status == "finished" and recon.iteration == 5 and tried == [1, 2, 3, 4, 5, 5]
    words = [text for text in said if "utosave" in text]
    assert words == [
        "Not autosaved: auto.h5 could not be written: the disk is full (2). The run goes on, and saving is tried again "
        "every minute.",
        "Autosaved again, at iteration 4.",
    ]
    assert Reconstruction.load(tmp_path / "auto.h5", dataset=recon.dataset).iteration == 5


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("none left"), KeyError("x")])
def test_an_autosave_that_never_succeeded_is_said_at_the_end(recon, tmp_path, often, monkeypatch, error):
    recon.autosave = tmp_path / "auto.h5"

    def fails(*_):
        raise error

    monkeypatch.setattr(saved_file, "save", fails)
    said = heard(recon)
    recon.run(3)
    assert recon.status == "finished" and recon.iteration == 3
    assert f"Nothing was autosaved: {type(error).__name__}: " in recon.message
    assert recon.message.endswith("Save it by hand under another name.")
    assert sum("Not autosaved" in text for text in said) == 1, "once, not at every try"
    monkeypatch.undo()
    recon.run(1)
    assert "autosaved" not in recon.message and Reconstruction.load(recon.autosave, recon.dataset).iteration == 4


def test_an_error_of_the_run_is_said_with_that_of_its_autosave(recon, tmp_path, often, monkeypatch):
    recon.autosave = tmp_path / "auto.h5"
    monkeypatch.setattr(saved_file, "save", lambda *_: 1 / 0)

    on_state = ReconstructionWork.on_state

    def breaks(self, state):
        on_state(self, state)
        if len(state.losses) == 2:
            raise DataError("the sky fell.")

    monkeypatch.setattr(ReconstructionWork, "on_state", breaks)
    with pytest.raises(DataError, match="sky"):
        recon.run(3)
    assert recon.status == "error" and recon.iteration == 2
    assert recon.message.startswith("the sky fell. Nothing was autosaved: ZeroDivisionError")


def test_autosave_is_given_up_by_setting_it_to_none(recon, tmp_path, often, monkeypatch):
    recon.autosave = tmp_path / "auto.h5"
    monkeypatch.setattr(saved_file, "save", lambda *_: 1 / 0)
    recon.observe(lambda change: setattr(recon, "autosave", None), "iteration")
    recon.run(4)
    assert "Nothing was autosaved" not in recon.message and not (tmp_path / "auto.h5").exists()


def test_what_appears_under_the_name_of_an_autosave_is_kept(recon, tmp_path, often):
    recon.autosave = path = tmp_path / "auto.h5"
    recon.observe(lambda change: path.write_text("theirs"), "status")
    recon.run(2)
    assert recon.status == "finished" and path.read_text() == "theirs"
    assert "is not a saved reconstruction" in recon.message


FULL = """
import resource, sys
from ptywidgets import Reconstruction, samples
from ptywidgets.reconstruction.session.run_timer import RunTimer
RunTimer.save_due = RunTimer.show_due = lambda self: True
recon = Reconstruction(samples.ducky("tiny"), defocus=250, autosave=sys.argv[1])
recon.update_plan(batch=50)
most = lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
def limit(change):
    most({2: 5000, 4: -1}.get(change["new"], resource.getrlimit(resource.RLIMIT_FSIZE)[0]))
recon.observe(limit, "iteration")
recon.observe(lambda change: print(change["new"]), "message")
print(recon.run(5).status, recon.iteration, Reconstruction.load(sys.argv[1], recon.dataset).iteration)
most(5000)
recon.run(1)
print(recon.status, recon.iteration, Reconstruction.load(sys.argv[1], recon.dataset).iteration)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits on Windows")
def test_a_run_outlives_a_disk_that_is_really_full(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "auto.h5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "utosave" in line or line.startswith("finished")]
    assert lines[0].startswith("Not autosaved:") and "The file that was there before is untouched." in lines[0]
    assert lines[1:3] == ["Autosaved again, at iteration 5.", "finished 5 5"]
    assert lines[-2].startswith("Nothing was autosaved:") and lines[-1] == "finished 6 5"
    assert [Path(name).name for name in os.listdir(tmp_path)] == ["auto.h5"]
