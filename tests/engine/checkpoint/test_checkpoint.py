"""Saved reconstructions: whole, atomic, readable by others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import FileFormatError
from ptywidgets.engine.checkpoint import checkpoint as module
from ptywidgets.engine.checkpoint import load_checkpoint
from ptywidgets.engine.constraints import Every, Positivity, ProbeAperture, Relaxed


@pytest.fixture(scope="module")
def recon():
    recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    recon.update_plan(batch=50, constraints=(Every(2, Relaxed(0.5, Positivity())), ProbeAperture()))
    return recon.run(2)


def test_what_is_saved_comes_back(recon, tmp_path):
    saved = load_checkpoint(recon.save(tmp_path / "a.h5"))
    assert saved.plan == recon.plan and saved.optics.aberrations == recon.optics.aberrations
    np.testing.assert_array_equal(saved.state.object, recon.state.object)
    np.testing.assert_array_equal(saved.state.probe, recon.state.probe)
    assert saved.state.losses == recon.state.losses
    assert saved.state.sampling == saved.sampling == recon.state.sampling == recon.problem.sampling
    assert saved.state.slice_thickness is recon.state.slice_thickness is None  # thin
    assert saved.rotation == recon.rotation
    assert saved.provenance["data_name"] == "ducky tiny"


def test_loading_goes_on_where_it_stopped(recon, tmp_path):
    path = recon.save(tmp_path / "a.h5")
    first = Reconstruction.load(path, dataset=recon.dataset).run(2)
    second = Reconstruction.load(path, dataset=recon.dataset).run(2)
    assert first.iteration == recon.iteration + 2 and first.losses == second.losses
    assert first.losses[: recon.iteration] == recon.losses


def test_a_full_disk_leaves_the_old_file_whole(recon, tmp_path, monkeypatch):
    path = recon.save(tmp_path / "a.h5")
    before = Path(path).read_bytes()

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_metadata", full)
    with pytest.raises(FileFormatError, match="disk is full"):
        recon.save(path)
    assert Path(path).read_bytes() == before
    assert os.listdir(tmp_path) == ["a.h5"]


def test_a_kernel_killed_while_saving_leaves_the_old_file_whole(recon, tmp_path):
    path = recon.save(tmp_path / "a.h5")
    before = Path(path).read_bytes()
    code = f"""
import os, signal
from ptywidgets import Reconstruction, samples
from ptywidgets.engine.checkpoint import checkpoint
recon = Reconstruction(samples.ducky("tiny"))
recon.prepare()
checkpoint.write_metadata = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
recon.save({path!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "cut", "data", "name"])
def test_damaged_files_are_refused_in_words(recon, tmp_path, damage):
    path = recon.save(tmp_path / "a.h5")
    if damage == "text":
        Path(path).write_text("hello")
    elif damage == "cut":
        with open(path, "r+b") as file:
            file.truncate(3000)
    elif damage == "data":
        with h5py.File(path, "a") as file:
            del file[f"{module.ROOT}/metadatabundle/descriptions"]
    else:
        with h5py.File(path, "a") as file:
            item = f"{module.ROOT}/metadatabundle/descriptions/plan"
            plan = json.loads(file[item][()])
            plan["algorithm"]["is"] = "__import__('os').system"
            del file[item]
            file[item] = json.dumps(plan).encode()
    with pytest.raises(FileFormatError):
        load_checkpoint(path)


def test_py4dstem_opens_it(recon, tmp_path, py4dstem):
    path = recon.save(tmp_path / "a.h5")
    code = (
        "import py4DSTEM, sys, json; root = py4DSTEM.read(sys.argv[1]);"
        "o = root.tree('object').data; print('RESULT', o.shape, o.dtype, abs(o).sum())"
    )
    done = subprocess.run([py4dstem, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split("RESULT")[1].split()
    assert float(words[-1]) == pytest.approx(float(np.abs(recon.state.object).sum()), rel=1e-5)
