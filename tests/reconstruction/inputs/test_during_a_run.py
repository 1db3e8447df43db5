"""What is set during a run is refused, or taken with a word that says when it counts; never ignored in silence."""

import numpy as np
import pytest
from patience import wait_for

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import ParameterError, prepare
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData
from ptywidgets.reconstruction.session.run_timer import RunTimer

pytestmark = pytest.mark.usefixtures("no_thread_survives")


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.fixture
def running(data):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)
    recon.update_plan(iterations=100000, batch=16)
    recon.start()
    wait_for(lambda: recon.losses)
    yield recon
    recon.stop()


def other(data):
    return data.with_calibration(scan_step=2.0)


REFUSED = {
    "dataset": other,
    "no dataset": lambda data: None,
    "measurement": lambda data: prepare(data, rotation=20, transpose=False),
    "no measurement": lambda data: None,
    "views": lambda data: TiltSeriesData((data, data), (0.0, 5.0)),
}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("what", list(REFUSED))
def test_other_data_are_refused_as_crop_and_prepare_are(data, running, what, held):
    name, value = what.removeprefix("no "), REFUSED[what](data)
    before = getattr(running, name)
    with pytest.raises(ParameterError, match=r"cannot set (other|another) .* while .* is running; stop"):
        if held:
            with running.hold_trait_notifications():
                setattr(running, name, value)
        else:
            setattr(running, name, value)
    assert getattr(running, name) is before
    running.pause()
    wait_for(lambda: running.status == "paused")
    with pytest.raises(ParameterError, match="is paused; stop it first"):
        setattr(running, name, value)
    running.stop()
    setattr(running, name, value)
    assert getattr(running, name) is value


TAKEN = {
    "optics": lambda r: r.update_optics(defocus=300),
    "preparation": lambda r: setattr(r, "preparation", r.preparation.replace(rotation=30)),
    "initial_image": lambda r: r.initialize_from(r.direct("dpc")),
    "given": lambda r: setattr(r, "given", Reconstruction(r.dataset).begin_with(object=r.object).given),
    "hold": lambda r: setattr(r, "hold", "rotation"),
    "find_unknown": lambda r: setattr(r, "find_unknown", False),
    "model": lambda r: setattr(r, "model", r.model.replace(modes=2)),
    "object_type": lambda r: setattr(r, "object_type", "complex"),
}


@pytest.mark.parametrize("what", list(TAKEN))
def test_what_counts_later_says_so(running, what):
    TAKEN[what](running)
    assert "next run" in running.message
    running.stop()
    fresh = what in ("optics", "preparation", "initial_image", "given")
    assert (running.run(1).iteration == 1) is fresh


def test_an_image_that_is_set_after_a_run_is_begun_with(data):
    """It was ignored: a run that was not stale went on."""
    recon = Reconstruction(data, defocus=250).run(2)
    recon.initial_image = recon.direct("dpc")
    assert recon.run(1).iteration == 1 and recon.initialized_from.startswith("DirectImage(dpc")


@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("by_copy", [False, True])
def test_so_is_a_preparation(data, ran, by_copy):
    """It was ignored until prepare() was called, by a fresh run, too."""
    recon = Reconstruction(data, defocus=250, find_unknown=False)
    recon.prepare()
    if ran:
        recon.run(1)
    recon.preparation = recon.preparation.replace(rotation=30)
    recon = recon.copy() if by_copy else recon
    assert recon.run(1).iteration == 1 and recon.rotation == recon.problem.measurement.rotation == 30
    assert recon.run(1).iteration == 2


def test_a_run_keeps_and_saves_what_it_was_made_of(data, running, tmp_path, monkeypatch):
    monkeypatch.setattr(RunTimer, "save_due", lambda self: True)
    running.autosave = tmp_path / "auto.h5"
    running.update_optics(defocus=400)
    done = running.iteration
    wait_for(lambda: running.iteration > done + 1)
    running.stop()
    assert "saved" not in running.message
    loaded = Reconstruction.load(tmp_path / "auto.h5", dataset=data)
    assert loaded.optics.aberrations["defocus"] == 400 and loaded._maker.made_of.optics.aberrations["defocus"] == 250
    assert loaded.run(1).iteration == 1


def test_another_tilt_can_be_looked_at(data):
    recon = Reconstruction([data, samples.ducky("tiny", seed=2)], tilts=[0.0, 4.0], defocus=250)
    recon.model = recon.model.replace(slices=2, thickness=20.0)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.update_plan(iterations=100000, batch=16)
    recon.start()
    try:
        wait_for(lambda: recon.losses)
        recon.dataset = recon.views.datasets[1]
        assert recon.measurement is recon.measurements[1]
        with pytest.raises(ParameterError, match="cannot set other data"):
            recon.dataset = data.with_calibration(scan_step=2.0)
        done = recon.iteration
        wait_for(lambda: recon.iteration > done)
    finally:
        recon.stop()
    assert recon.run(1).iteration > 1  # nothing is begun anew


def test_what_is_set_while_a_run_is_made_ready_is_not_lost(data, monkeypatch):
    """It was taken for what the program itself sets there, and the run for one of it."""
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)
    real = recon._check.correct

    def correct(problem):
        recon._session._preparing = False  # as it is for another thread
        recon.update_optics(defocus=400)
        recon._session._preparing = True
        return real(problem)

    monkeypatch.setattr(recon._check, "correct", correct)
    recon.run(1)
    assert recon._inputs.stale and recon._maker.made_of.optics.aberrations["defocus"] == 250
    monkeypatch.undo()
    assert recon.run(1).iteration == 1
    assert np.isclose(recon._maker.made_of.optics.aberrations["defocus"], 400, rtol=0.4)


@pytest.mark.parametrize("name", ["optics", "preparation"])
def test_lens_and_preparation_are_not_set_while_a_run_looks_for_them(data, name):
    """They were overwritten by what was found, or used with a rotation that had been found for another lens."""
    recon = Reconstruction(data)
    lens = recon.optics.replace(aberrations={"defocus": -180.0})
    value = {"optics": lens, "preparation": recon.preparation.replace(rotation=60.0)}[name]
    recon.start()
    wait_for(lambda: recon.message.startswith("Finding"))
    before = getattr(recon, name)
    with pytest.raises(ParameterError, match=f"cannot set the {name} while a run looks for what is unknown of it"):
        setattr(recon, name, value)
    assert getattr(recon, name) == before
    recon.stop()
    setattr(recon, name, value)
    assert getattr(recon, name) == value
