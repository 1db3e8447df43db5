"""How a run has ended, and what is to be doubted of it, is known to its files and copies."""

import copy
import pickle

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.cli import main
from ptywidgets.engine.checks.facts import Finding
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.scale import judge_scale

WAYS = {
    "copy": lambda recon, path: recon.copy(),
    "deepcopy": lambda recon, path: copy.deepcopy(recon),
    "pickle": lambda recon, path: pickle.loads(pickle.dumps(recon)),
    "file": lambda recon, path: Reconstruction.load(recon.save(path), dataset=recon.dataset),
    "file of a copy": lambda recon, path: Reconstruction.load(recon.copy().save(path), dataset=recon.dataset),
    "copy of a file": lambda recon, path: Reconstruction.load(recon.save(path), dataset=recon.dataset).copy(),
}


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.fixture
def scale(data):
    """The doubt that a check before the run leaves, where counts and disk do not tell whose a scale is."""
    recon = Reconstruction(data, defocus=250)
    finding = judge_scale(Offsets({}, 0.95 * np.eye(2)), data.calibration, recon.optics).finding
    assert isinstance(finding, Finding)
    return finding


def doubtful(data, scale):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)
    recon.schedule = "manual"
    recon._check._scale = (recon.calibration, scale)
    return recon


@pytest.fixture(params=list(WAYS))
def way(request):
    return WAYS[request.param]


def test_a_doubt_about_the_scale_stays(data, scale, way, tmp_path):
    """After loading the run was "stopped", and the next one "finished", as if nothing were in question."""
    recon = doubtful(data, scale).run(2)
    assert recon.status == "doubtful" and "only up to a common scale" in recon.message
    other = way(recon, tmp_path / "r.h5")
    assert (other.status, other.message, other.doubts) == (recon.status, recon.message, recon.doubts)
    assert other.target_iteration == recon.target_iteration
    for one in (recon, other):
        one.run(1)
    assert (other.status, other.message, other.iteration) == (recon.status, recon.message, 3)
    other.set_calibration(scan_step=other.calibration.scan_step)  # somebody has given it
    assert other.run(1).status == "finished" and (other.message, other.iteration) == ("", 4)


def test_of_a_run_that_was_stopped_it_stays_in_question(data, scale, way, tmp_path):
    recon = doubtful(data, scale)
    recon.observe(lambda change: recon.request_stop(), "iteration")
    recon.run(100)
    assert (recon.status, recon.doubts) == ("stopped", ())
    other = way(recon, tmp_path / "r.h5")
    assert (other.status, other.doubts) == ("stopped", ())
    assert other.run(1).status == "doubtful"


def test_a_run_that_is_finished_is_so_in_copies_and_files(data, way, tmp_path):
    recon = Reconstruction(data, defocus=250).run(2)
    assert recon.status == "finished"
    other = way(recon, tmp_path / "r.h5")
    assert (other.status, other.message) == ("finished", recon.message)
    other.reset()
    assert other.copy().status == "ready" and other.copy().message == other.message


def test_an_autosaved_run_knows_how_it_has_ended(data, scale, tmp_path):
    recon = doubtful(data, scale)
    recon.autosave = tmp_path / "auto.h5"
    recon.run(2)
    loaded = Reconstruction.load(tmp_path / "auto.h5", dataset=data)
    assert (loaded.status, loaded.message, loaded.doubts) == ("doubtful", recon.message, recon.doubts)


def test_what_is_saved_in_the_middle_of_a_run_has_not_ended(data, tmp_path):
    recon = Reconstruction(data, defocus=250)
    saved = []
    recon.observe(lambda _: saved or saved.append(recon.save(tmp_path / "r.h5")), "iteration")
    recon.run(3)
    assert Reconstruction.load(saved[0], dataset=data).status == "stopped"


def test_the_command_line_tells_it(data, scale, tmp_path, capsys):
    main(["info", doubtful(data, scale).run(1).save(tmp_path / "r.h5")])
    assert "doubtful: " in capsys.readouterr().out


@pytest.mark.parametrize("way", ["copy", "file", "it"])
def test_a_doubt_stands_until_the_result_is_judged_again(way, tmp_path):
    """One more iteration of a run that ended as doubtful ended as finished: it was too short to be judged."""
    dataset = samples.ducky("tiny", dose=3e3)
    recon = Reconstruction(dataset, defocus=-250)
    recon.prepare(rotation=-15, transpose=False)
    assert recon.run().status == "doubtful"
    doubts = [finding.name for finding in recon.doubts]
    if way == "copy":
        recon = recon.copy()
    elif way == "file":
        recon = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=dataset)
    recon.run(1)
    assert recon.status == "doubtful" and [finding.name for finding in recon.doubts] == doubts
    recon.start(1000)
    recon.stop()
    assert recon.run(1).status == "doubtful"
    recon.update_optics(defocus=250)
    assert recon.run(1).status == "finished" and recon.doubts == ()
