"""The shared object: commands are obeyed within a batch, nothing is lost, nothing survives."""

import gc
import logging
import threading
import time

import numpy as np
import pytest
from patience import wait_for

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import (
    CalibrationError,
    DataError,
    Dataset,
    GradientDescent,
    ModelConfig,
    ParameterError,
    Plan,
)
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.reconstruction.session.run_timer import RunTimer

pytestmark = pytest.mark.usefixtures("no_thread_survives")
DEFOCUS = samples.ducky_defocus("tiny")


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture
def recon(ducky):
    recon = Reconstruction(ducky, defocus=DEFOCUS)
    recon.update_plan(iterations=100000, batch=16)
    yield recon
    recon.stop()


def test_start_returns_and_stop_keeps(recon):
    recon.start()
    wait_for(lambda: len(recon.losses) > 1)
    recon.stop()
    assert recon.status == "stopped"
    assert recon.iteration == len(recon.losses) > 1
    before = recon.losses
    recon.start()
    wait_for(lambda: len(recon.losses) > len(before))
    recon.stop()
    assert recon.losses[: len(before)] == before


def test_stop_is_obeyed_within_one_batch(recon):
    batches = []

    class Counting(GradientDescent):
        def advance(self, problem, state, batch):
            batches.append(time.monotonic())
            return super().advance(problem, state, batch)

    recon.plan = recon.plan.replace(algorithm=Counting())
    recon.start()
    wait_for(lambda: len(batches) > 3)
    recon.request_stop()
    asked = len(batches)
    recon.wait(20)
    assert len(batches) <= asked + 1


def test_pause_holds_and_resume_goes_on(recon):
    recon.start()
    wait_for(lambda: recon.losses)
    recon.pause()
    wait_for(lambda: recon.status == "paused")
    held = recon.state
    time.sleep(0.05)
    assert recon.state is held
    recon.resume()
    wait_for(lambda: recon.state is not held)
    assert recon.status == "running"


def test_step_is_one_iteration(recon):
    recon.update_plan(batch=None)
    recon.step().wait(20)
    assert recon.iteration == 1
    recon.step().wait(20)
    assert recon.iteration == 2 and len(recon.losses) == 2 and recon.status == "paused"


def test_stop_while_paused(recon):
    recon.start()
    recon.pause()
    wait_for(lambda: recon.status == "paused")
    recon.stop()
    assert recon.status == "stopped"


def test_run_adds_iterations(ducky):
    recon = Reconstruction(ducky, defocus=DEFOCUS)
    recon.update_plan(iterations=4)
    assert recon.run(2).iteration == 2
    assert recon.run(3).iteration == 5
    assert recon.status == "finished" and recon.target_iteration == 5 and recon.plan.iterations == 4
    assert recon.run().iteration == 9, "as many again as are planned"
    recon.update_plan(iterations=12)
    assert recon.target_iteration == 12 and recon.run().iteration == 12


def test_saving_while_it_runs_disturbs_nothing(recon, ducky, tmp_path):
    recon.start()
    wait_for(lambda: recon.losses)
    path = recon.save(tmp_path / "a.h5")
    recon.stop()
    saved = Reconstruction.load(path, dataset=ducky)
    assert saved.losses == recon.losses[: saved.iteration]


def test_a_given_rotation_that_the_data_contradict_is_said(recon):
    recon.prepare(rotation=165.0)
    assert recon.rotation == 165.0 and "-15.00 fits the data better than 165.00" in recon.message


def test_reset_forgets_results_only(recon):
    recon.run(2)
    recon.reset()
    assert (recon.status, recon.iteration, recon.losses, recon.object) == ("ready", 0, [], None)
    assert recon.measurement is not None


def test_observers_cannot_break_a_run(recon, caplog):
    def broken(_):
        raise RuntimeError("broken observer")

    recon.observe(broken, "status")
    recon.snapshots.subscribe(broken)
    with caplog.at_level(logging.ERROR, "ptywidgets"):
        recon.run(3)
    assert recon.iteration == 3
    assert sum("broken observer" in r.getMessage() or "observer" in r.getMessage() for r in caplog.records) == 2


def test_errors_of_the_worker_are_said_and_raised(recon):
    class Broken(GradientDescent):
        def advance(self, problem, state, batch):
            raise ArithmeticError("the sky fell")

    recon.run(1)
    recon.plan = recon.plan.replace(algorithm=Broken())
    with pytest.raises(ArithmeticError, match="sky"):
        recon.run(1)
    assert recon.status == "error" and "the sky fell" in recon.message
    assert len(recon.losses) == 1, "what was there is kept"
    recon.plan = recon.plan.replace(algorithm=GradientDescent())
    assert recon.run(1).status == "finished"


def test_snapshots_come_and_the_last_is_the_end(recon):
    seen = []
    recon.snapshots.subscribe(seen.append)
    recon.run(5)
    assert seen[-1].status == "finished" and seen[-1].iteration == 5 and len(seen[-1].losses) == 5
    shot = seen[-1]
    assert shot.object_phase.shape == shot.object_amplitude.shape and shot.object_phase.dtype == np.float32
    assert shot.probe.shape == (64, 64) and np.iscomplexobj(shot.probe)
    np.testing.assert_allclose(np.abs(shot.probe).argmax(), np.abs(np.fft.fftshift(recon.probe)).argmax())


def test_snapshots_are_at_most_ten_a_second(recon):
    times = []
    recon.snapshots.subscribe(lambda _: times.append(time.monotonic()))
    recon.start()
    time.sleep(1.0)
    recon.stop()
    assert len(times) <= 14  # ten, and the changes of status


def test_object_type_changes_in_the_middle(recon):
    recon.object_type = "complex"
    recon.update_plan(batch=None)
    recon.run(3)
    phase = np.angle(recon.object)
    recon.object_type = "potential"
    assert recon.plan.constraints == default_constraints("potential")
    recon.plan = recon.plan.replace(constraints=(), algorithm=GradientDescent(step=0.001, hold_probe=True))
    recon.run(1)
    assert recon.iteration == 4 and recon.object.dtype == np.float32
    np.testing.assert_allclose(recon.object, phase, atol=0.01)


def test_the_plan_fits_the_object_type_from_the_start(ducky):
    for kind in ("potential", "complex"):
        assert Reconstruction(ducky, object_type=kind).plan.constraints == default_constraints(kind)


def test_other_optics_start_anew(recon):
    recon.run(2)
    recon.optics = recon.optics.replace(rolloff=1.0)
    recon.run(1)
    assert recon.iteration == 1 and "anew" in recon.message


def test_blocking_start_and_interrupt(recon, monkeypatch, capsys):
    class Interrupting(GradientDescent):
        def advance(self, problem, state, batch):
            if state.iteration == 2:
                raise KeyboardInterrupt
            return super().advance(problem, state, batch)

    recon.plan = recon.plan.replace(algorithm=Interrupting(), batch=None)
    recon.start(block=True)
    assert recon.status == "stopped" and recon.iteration == 2
    assert "everything is kept" in capsys.readouterr().out


def test_interrupting_run_stops_and_keeps(recon, monkeypatch, capsys):
    from ptywidgets.reconstruction.session.worker import Worker

    original = Worker.wait
    calls = []

    def wait(self, timeout=None):
        calls.append(timeout)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, timeout)

    monkeypatch.setattr(Worker, "wait", wait)
    recon.run()
    assert recon.status == "stopped" and "kept" in capsys.readouterr().out


def test_a_forgotten_reconstruction_ends(ducky):
    def begin():
        recon = Reconstruction(ducky, defocus=DEFOCUS)
        recon.update_plan(iterations=100000)
        recon.start()
        wait_for(lambda: recon.losses)

    begin()
    gc.collect()  # traits refer to their owner
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ptywidgets-run"])


def test_changes_are_refused_while_it_runs(recon):
    recon.start()
    with pytest.raises(ParameterError, match="stop it first"):
        recon.set_calibration(energy=200e3)
    with pytest.raises(ParameterError, match="stop it first"):
        recon.prepare(rotation=3)


def test_plan_changes_take_effect_while_it_runs(recon):
    recon.start()
    wait_for(lambda: recon.losses)
    recon.update_plan(iterations=len(recon.losses) + 5, step=0.1)
    recon.wait(30)
    assert recon.status == "finished" and recon.plan.algorithm.step == 0.1


def test_autosave(recon, tmp_path, monkeypatch):
    monkeypatch.setattr(RunTimer, "save_due", lambda self: True)
    recon.autosave = tmp_path / "auto.h5"
    recon.run(2)
    assert Reconstruction.load(tmp_path / "auto.h5", dataset=recon.dataset).iteration == 2


def test_words_for_what_is_missing(ducky):
    with pytest.raises(DataError, match="no data"):
        Reconstruction().start()
    bare = Dataset(ducky.data)
    with pytest.raises(CalibrationError, match="energy"):
        Reconstruction(bare).start()
    with pytest.raises(ParameterError, match="did you mean 'device'"):
        Reconstruction(ducky, devise="gpu")
    with pytest.raises(ParameterError, match="prepare"):
        Reconstruction(ducky).save("nowhere.h5")


def test_other_data_are_refused_when_loading(recon, tmp_path):
    recon.run(1)
    path = recon.save(tmp_path / "a.h5")
    with pytest.raises(DataError, match="not the data"):
        Reconstruction.load(path, dataset=samples.ducky("tiny", seed=1))
    with pytest.raises(DataError, match="not where they were"):
        Reconstruction.load(path)


def test_calibration_change_prepares_anew(recon):
    recon.prepare()
    recon.set_calibration(scan_step=1.6)
    assert recon.measurement is None
    recon.run(1)
    assert recon.measurement.calibration.scan_step == 1.6


@pytest.fixture
def automatic(recon):
    recon.schedule = "automatic"
    recon.update_plan(iterations=64)
    return recon


def test_whoever_says_nothing_gets_the_automatic_schedule(ducky):
    assert Reconstruction(ducky).schedule == "automatic"
    assert Reconstruction(ducky, plan=Plan()).schedule == "manual"


def test_the_automatic_schedule_runs_until_somebody_plans(automatic):
    recon = automatic
    assert recon.stage is None
    recon.update_plan(iterations=40)
    assert recon.schedule == "automatic", "how long is asked of both"
    recon.run()
    assert recon.status == "finished" and recon.iteration == recon.target_iteration < 40
    assert recon.stage is recon.stages[-1]
    assert recon.sampling == recon.problem.sampling == recon.measurement.sampling
    recon.update_plan(batch=65)
    assert recon.schedule == "manual" and recon.stage is None
    done = recon.iteration
    recon.run(1)
    assert recon.iteration == done + 1


def test_an_automatic_run_goes_on_from_a_file(automatic, tmp_path):
    recon = automatic
    recon.run(3)
    path = recon.save(tmp_path / "half.h5")
    again = Reconstruction.load(path, dataset=recon.dataset)
    assert again.schedule == "automatic"
    assert again.state.stage == recon.state.stage and again.state.misfits == recon.state.misfits
    again.run(2)
    recon.run(2)
    np.testing.assert_allclose(again.losses, recon.losses, rtol=1e-5)


def test_what_changes_in_the_middle_of_a_run_says_so(recon):
    recon.update_plan(iterations=100000, batch=16)
    recon.start()
    recon.schedule = "automatic"
    assert "next run" in recon.message
    recon.stop()


def test_what_a_model_has_to_find_is_refined(ducky):
    recon = Reconstruction(ducky, defocus=250)
    assert recon.plan.refinements == ()
    recon.model = recon.model.replace(diffuse="C", background=True)
    assert [type(r).__name__ for r in recon.plan.refinements] == ["RefineDiffuse"]
    recon.run(2)
    state = recon.present[1]
    assert np.ptp(state.parameters["background"]) > 0
    recon.model = recon.model.replace(diffuse="", background=False, slices=2, thickness=20)
    assert recon.plan.refinements == ()
    recon.run(1)
    state = recon.present[1]
    assert state.object.shape[0] == 2 and not state.parameters


def test_the_first_change_of_the_model_is_followed_with_a_plan_of_ones_own(ducky):
    recon = Reconstruction(ducky, defocus=250, plan=Plan(iterations=2))
    recon.model = ModelConfig(diffuse="C")  # nobody has asked for the one before
    assert [type(r).__name__ for r in recon.plan.refinements] == ["RefineDiffuse"]


def test_a_model_that_comes_late_gets_the_whole_schedule(ducky):
    recon = Reconstruction(ducky, defocus=250)
    recon.run(8)
    recon.model = recon.model.replace(slices=2, thickness=20)
    recon.run(3)
    state = recon.present[1]
    assert (state.begun, state.iteration) == (8, 11)
    assert recon.stage.name == "PIE"  # which would be over if it were counted from the first iteration of all
    recon.run(14)
    assert recon.stage.name == "conjugate gradients"


@pytest.mark.parametrize("request_", ["pause", "request_stop"])
def test_a_run_asked_for_right_after_a_request_does_its_iterations(request_):
    """It returned with what the run before had done."""
    recon = Reconstruction(samples.ducky("tiny"), defocus=250)
    recon.update_plan(iterations=500, batch=12)
    for _ in range(3):
        recon.start()
        wait_for(lambda: len(recon.losses) > 1)
        getattr(recon, request_)()
        recon.run(2)
        done = recon.iteration
        assert recon.status == "finished" and recon.message == ""
        recon.run(2)
        assert recon.iteration == done + 2
