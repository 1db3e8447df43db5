"""ReconstructionRunner without a browser: buttons, status, settings, and images that come from a thread."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from waiting import until

from ptywidgets import Calibration, Dataset, Reconstruction, samples, write
from ptywidgets.engine.algorithms import ALGORITHMS, PIE, Adam, GradientDescent
from ptywidgets.engine.constraints import CONSTRAINTS, VOLUMES, Every, PurePhase
from ptywidgets.reconstruction.session import made_in
from ptywidgets.reconstruction.session.hosts import Cell
from ptywidgets.widgets.controls.formatting import duration_text
from ptywidgets.widgets.plots.convergence import Convergence, log_ticks
from ptywidgets.widgets.run.plan_editor import first_sentence
from ptywidgets.widgets.run.reconstruction_runner import ReconstructionRunner
from ptywidgets.widgets.run.status_text import default_path


def frames(runner, name="phase"):
    latest = runner.image_views[name]._frames.latest
    return latest[0] if latest else 0


def test_run_to_the_end_shows_everything(runner, recon):
    recon.update_plan(iterations=6)
    runner.run.click()
    recon.wait(60)
    until(lambda: runner.pause.disabled and not runner.image_views["probe"].live)
    assert "finished, iteration 6 of 6, error" in runner.state_line.value
    assert runner.progress.value == runner.progress.max == 6
    assert runner.curve.line.x.tolist() == [1, 2, 3, 4, 5, 6]
    assert runner.curve.line.y.tolist() == pytest.approx(recon.losses)
    for name in ("phase", "fft", "probe"):
        assert frames(runner, name) > 0 and not runner.image_views[name].live
        assert runner.image_views[name].still, f"{name} is not kept in the notebook"
    assert frames(runner, "amplitude") == 0, "an image that nobody looks at was sent"


def test_a_image_that_is_turned_on_later_is_shown_at_once(runner, recon):
    recon.run(1)
    runner.toggles["amplitude"].value = True
    assert frames(runner, "amplitude") > 0 and runner.image_views["amplitude"].layout.display == ""
    runner.toggles["phase"].value = False
    assert runner.image_views["phase"].layout.display == "none"


def test_pause_resume_step_and_stop(runner, recon):
    recon.update_plan(iterations=100000, batch=16)
    runner.run.click()
    until(lambda: frames(runner) > 1)
    assert runner.run.disabled and not runner.stop.disabled and runner.reset.disabled
    runner.pause.click()
    until(lambda: recon.status == "paused")
    until(lambda: runner.pause.description == "Resume")
    assert not runner.step.disabled and not runner.save.disabled
    until(lambda: not runner.image_views["probe"].live)  # the last image of a pause is a still one
    seen = frames(runner)
    time.sleep(0.25)
    assert frames(runner) == seen, "images still come while it pauses"
    before = len(recon.losses)
    runner.step.click()
    until(lambda: recon.status == "paused" and len(recon.losses) > before)
    assert len(recon.losses) == before + 1
    runner.pause.click()
    until(lambda: frames(runner) > seen + 2)
    begun = time.monotonic()
    runner.stop.click()
    assert time.monotonic() - begun < 0.5, "the click waited for the run"
    until(lambda: recon.status == "stopped" and runner.stop.disabled)
    until(lambda: not runner.run.disabled and not runner.image_views["phase"].live)


def test_single_steps_before_run_do_not_shorten_it(runner, recon):
    recon.update_plan(iterations=5)
    for done in (1, 2):
        runner.step.click()
        until(lambda done=done: recon.status == "paused" and len(recon.losses) == done)
    runner.pause.click()  # which says Resume now
    until(lambda: recon.status == "finished" and len(recon.losses) == 5)


def test_an_error_of_the_run_is_told_in_words(runner, recon):
    class Wrong:
        def prepare(self, problem):
            raise RuntimeError("the <b>constraint</b> broke")

    recon.plan = recon.plan.replace(constraints=(Wrong(),))
    runner.run.click()
    until(lambda: recon.status == "error" and "broke" in runner.status_text)
    until(lambda: "pty-bad" in runner.status_line.value)
    assert "<b>" not in runner.status_line.value and "pty-bad" in runner.status_line.value
    assert not runner.run.disabled


def test_a_result_to_be_doubted_looks_so_and_another_run_takes_that_away(runner, recon):
    class Ruin:
        acts_on = "object"

        def prepare(self, problem):
            return lambda state: state.replace(object=np.full_like(state.object, np.nan))

    recon.update_plan(iterations=1, constraints=(Ruin(),))
    runner.run.click()
    until(lambda: recon.status == "doubtful" and "diverged" in runner.status_text)
    until(lambda: "doubtful result, iteration 1 of 1" in runner.state_line.value)
    assert "pty-warn" in runner.state_line._dom_classes and "pty-warn" in runner.status_line.value
    assert runner.progress.bar_style == "warning" and not runner.run.disabled
    recon.update_plan(constraints=())
    runner.reset.click()
    runner.run.click()
    until(lambda: recon.status == "finished" and "finished, iteration 1" in runner.state_line.value)
    assert "pty-warn" not in runner.state_line._dom_classes and runner.progress.bar_style == "success"


def test_what_is_advised_is_said_in_the_words_of_widgets(runner, recon):
    recon.prepare(rotation=165.0, transpose=False)
    recon.update_plan(iterations=64)
    recon.run()
    until(lambda: recon.status == "doubtful" and "is left over, noise aside" in runner.status_text)
    until(lambda: 'Fill in the field "rotation" in the RotationExplorer: -15.' in runner.status_text)
    assert "prepare(rotation=-15)" in recon.message and "prepare(" not in runner.status_text


def test_a_finished_run_with_doubts_is_told_from_one_without(runner, recon):
    recon.dataset = replace(recon.dataset, data=np.minimum(recon.dataset.data, 400))  # saturated
    recon.prepare(rotation=-15.0, transpose=False)
    recon.update_plan(iterations=1)
    recon.run()
    assert recon.status == "finished" and recon.doubts
    until(lambda: "finished, with doubts, iteration 1" in runner.state_line.value and "Doubtful" in runner.status_text)
    assert "pty-warn" in runner.state_line._dom_classes and runner.progress.bar_style == "warning"


def test_missing_calibration_is_told_in_words(data):
    runner = ReconstructionRunner(Dataset(data.data, Calibration(energy=80e3)))
    runner.run.click()
    asked = 'the fields "scan step", "q pixel" and "semi-angle" in the DatasetBrowser'
    assert asked in runner.status_text and runner.recon.status == "ready"


def test_run_alone_finds_what_nobody_gave(data):
    runner = ReconstructionRunner(Reconstruction(data))
    runner.recon.update_plan(iterations=3)
    runner.run.click()
    runner.recon.wait(60)
    assert runner.recon.optics.aberrations["defocus"] == pytest.approx(250, rel=0.05)
    until(lambda: runner.status_text.startswith("Found: ") and "defocus" in runner.status_text)
    runner.close()


def test_what_the_data_cannot_tell_is_asked_for_in_the_words_of_widgets(data):
    noise = np.random.default_rng(0).poisson(100 * data.vacuum / data.vacuum.max(), data.shape).astype(np.uint16)
    runner = ReconstructionRunner(Reconstruction(Dataset(noise, data.calibration, vacuum=data.vacuum)))
    runner.run.click()
    until(lambda: runner.recon.status == "error")
    until(lambda: "cannot tell" in runner.status_text and "in the ProbeDesigner" in runner.status_text)
    assert runner.status_line.kind == "bad" and "=" not in runner.status_text
    assert "iteration" not in runner.state_line.value
    runner.find.value = False
    assert runner.recon.find_unknown is False
    runner.recon.find_unknown = True
    assert runner.find.value is True
    runner.close()


def test_without_data_nothing_can_be_pressed():
    runner = ReconstructionRunner()
    assert all(b.disabled for b in (runner.run, runner.pause, runner.step, runner.stop, runner.reset, runner.save))
    assert "no data" in runner.state_line.value


def test_a_view_that_fails_does_not_break_the_run(runner, recon):
    def fail(*_args, **_kwargs):
        raise RuntimeError("no image today")

    runner.image_views["phase"].show = fail
    recon.update_plan(iterations=3)
    runner.run.click()
    recon.wait(60)
    assert recon.status == "finished" and recon.iteration == 3
    until(lambda: "no image today" in runner.status_text)


def test_save_says_where_and_the_file_loads(runner, recon, data, tmp_path):
    recon.run(2)
    assert runner.path.value == "ducky_tiny_reconstruction.h5"
    runner.path.value = str(tmp_path / "mine.h5")
    runner.save.click()
    assert "mine.h5" in runner.status_text and runner.saved == str(tmp_path / "mine.h5")
    loaded = Reconstruction.load(tmp_path / "mine.h5", data)
    assert loaded.iteration == 2
    shown = ReconstructionRunner(loaded)
    assert frames(shown) > 0 and shown.curve.line.y.tolist() == pytest.approx(recon.losses)
    assert "finished, iteration 2" in shown.state_line.value


def test_a_path_that_cannot_be_is_told(runner, recon, tmp_path):
    recon.run(1)
    for path in ("", str(tmp_path / "no" / "such" / "folder" / "x.h5")):
        runner.path.value = path
        runner.save.click()
        assert "pty-bad" in runner.status_line.value
    assert runner.saved == ""


def test_save_over_what_is_something_else_is_refused_in_words_of_a_widget(tmp_path, data):
    source = write(tmp_path / "data.h5", data)
    other = write(tmp_path / "other.h5", data)
    runner = ReconstructionRunner(str(source))
    runner.recon.prepare()
    for file, text in ((source, "holds data that this comes from"), (other, "is not a saved reconstruction")):
        before = file.read_bytes()
        runner.path.value = str(file)
        runner.save.click()
        assert "pty-bad" in runner.status_line.value and text in runner.status_text
        assert "choose another name" in runner.status_text and "overwrite=" not in runner.status_text
        assert runner.saved == "" and file.read_bytes() == before
    runner.path.value = str(tmp_path / "new.h5")
    for _ in range(2):  # one's own is replaced
        runner.save.click()
        assert "pty-good" in runner.status_line.value


def test_reset_forgets(runner, recon):
    recon.run(2)
    until(lambda: not runner.reset.disabled)
    runner.reset.click()
    assert recon.status == "ready" and recon.object is None and len(runner.curve.line.x) == 0
    assert runner.reset.disabled


def test_settings_change_the_plan_and_follow_it(runner, recon):
    runner.accordion.selected_index = 0
    settings = runner.settings
    settings.numbers["iterations"].input.value = "9"
    settings.numbers["batch"].input.value = ""
    settings.algorithm["step"].number.input.value = "0.25"
    assert (recon.plan.iterations, recon.plan.batch, recon.plan.algorithm.step) == (9, None, 0.25)
    settings.numbers["iterations"].input.value = "0"
    assert "iterations" in runner.status_text and recon.plan.iterations == 9
    recon.update_plan(iterations=12)
    assert settings.numbers["iterations"].value == 12
    settings.object_type.value = "potential"
    assert recon.object_type == "potential"
    assert settings.constraints.checkboxes["Positivity"].value, "its default constraints are not shown"


@pytest.mark.parametrize(
    "algorithm", [kind() for kind in ALGORITHMS.values()] + [GradientDescent(rule=Adam())], ids=repr
)
def test_settings_follow_another_algorithm(runner, recon, algorithm):
    runner.accordion.selected_index = 0
    recon.schedule = "manual"
    for each in (algorithm, GradientDescent(), algorithm):
        recon.plan = recon.plan.replace(algorithm=each)
        assert list(runner.settings.algorithm.controls) == [parameter.name for parameter in each.describe()]
    name = "probe_from"
    runner.settings.algorithm[name].number.input.value = "3"
    assert recon.plan.algorithm == algorithm.replace(probe_from=3)
    assert first_sentence(type(algorithm))[:20] in runner.settings.algorithm_text.value


def test_a_method_is_chosen_and_the_automatic_one_tells_its_stages(runner, recon):
    runner.accordion.selected_index = 0
    settings = runner.settings
    assert settings.method.value == "automatic" and recon.schedule == "automatic"
    assert settings.numbers["batch"].layout.display == "none", "the automatic schedule has batches of its own"
    settings.method.value = "PIE"
    assert recon.schedule == "manual" and isinstance(recon.plan.algorithm, PIE)
    assert settings.numbers["batch"].layout.display == "" and "object_step" in settings.algorithm.controls
    recon.update_plan(algorithm=GradientDescent())
    assert settings.method.value == "gradient descent"
    settings.method.value = "automatic"
    assert recon.schedule == "automatic"
    recon.run(4)
    assert len(recon.stages) > 1
    told = " ".join(child.value for child in settings._rule.children)
    assert all(stage.why in told for stage in recon.stages)


def test_a_loss_is_chosen(runner, recon):
    runner.accordion.selected_index = 0
    assert runner.settings.loss.value == "automatic"
    runner.settings.loss.value = "poisson"
    assert recon.plan.loss == "poisson" and recon.schedule == "automatic", "the automatic schedule takes it as well"
    assert "poisson loss" in runner.accordion.get_title(0)
    recon.update_plan(loss="amplitude")
    assert runner.settings.loss.value == "amplitude"


def test_the_stage_and_its_reason_are_told(runner, recon):
    assert runner.stage_line.layout.display == "none"
    recon.run(2)
    assert "Stage 1 of" in runner.stage_line.value
    recon.run(40)
    assert recon.status == "finished" and recon.iteration < 42, "it has not settled"
    assert "converged" in runner.stage_line.value
    recon.update_plan(batch=64)
    recon.run(1)
    assert runner.stage_line.layout.display == "none", "a plan has no stages"


def test_constraints_are_ticked_and_what_is_not_known_stays(runner, recon):
    special = Every(5, PurePhase())
    recon.object_type = "complex"
    recon.plan = recon.plan.replace(constraints=(*recon.plan.constraints, special))
    runner.accordion.selected_index = 0
    editor = runner.settings.constraints
    assert set(editor.checkboxes) == {*CONSTRAINTS, *VOLUMES}
    assert [(brick, box.value) for brick, box in editor.others] == [(special, True)]
    editor.checkboxes["ProbeSupport"].value = True
    editor.parameters["ProbeSupport"]["radius"].number.input.value = "0.4"
    editor.checkboxes["VacuumBaseline"].value = False
    kinds = [type(c).__name__ for c in recon.plan.constraints]
    assert kinds == ["AmplitudeLimit", "ProbeCentre", "ProbeSupport", "Every"]
    assert recon.plan.constraints[2].radius == 0.4 and recon.plan.constraints[3] is special


def test_a_timer_that_fires_while_its_widget_closes_says_nothing(recon):
    runner = ReconstructionRunner(recon)
    runner.settle_soon(60)
    timer = runner._timer
    runner.close()
    timer.function(*timer.args, **timer.kwargs)


def test_two_widgets_watch_one_run_and_one_may_close(recon):
    one, two = ReconstructionRunner(recon), ReconstructionRunner(recon)
    shown = one.image_views["phase"]
    one.close()
    recon.run(2)
    assert shown._frames.latest is None and frames(two) > 0
    two.close()
    assert not recon.snapshots.has_subscribers


def test_a_cell_run_again_leaves_one_run(data, monkeypatch):
    executions = iter("12")
    monkeypatch.setattr(made_in, "current_cell", lambda: Cell("a cell", next(executions)))
    first = ReconstructionRunner(Reconstruction(data, defocus=250))
    first.recon.update_plan(iterations=100000)
    first.run.click()
    until(lambda: len(first.recon.losses) > 0)
    second = ReconstructionRunner(Reconstruction(data, defocus=250))
    second.recon.update_plan(iterations=100000)
    second.run.click()
    until(lambda: first.recon.status == "stopped")
    until(lambda: len(second.recon.losses) > 0)
    assert [thread.name for thread in threading.enumerate()].count("ptywidgets-run") == 1
    until(lambda: "same data" in first.status_text)
    second.recon.stop()


def test_names_are_text_not_markup(data, tmp_path):
    named = Dataset(data.data, data.calibration, vacuum=data.vacuum, name="<img src=x>/../evil")
    runner = ReconstructionRunner(named)
    assert runner.path.value == "img_src_x_.._evil_reconstruction.h5"
    assert default_path(Reconstruction()) == "data_reconstruction.h5"


def test_a_notebook_keeps_a_image(runner, recon):
    recon.run(1)
    bundle = runner._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"] and "finished, iteration 1 of 1" in data["text/plain"]


def test_the_curve_is_drawn_four_times_a_second_at_most():
    now = [0.0]
    curve = Convergence(clock=lambda: now[0])
    losses = [0.5]
    curve.show(losses, now=False)
    losses.append(0.4)
    curve.show(losses, now=False)
    assert len(curve.line.x) == 1
    now[0] = 0.3
    curve.show(losses, now=False)
    assert len(curve.line.x) == 2
    losses[0] = 9.0
    assert curve.line.y[0] == 0.5, "the curve shares memory with the run"


def test_a_logarithmic_axis_knows_no_zero_and_no_nan():
    curve = Convergence()
    curve.show([0.1, 0.0, np.nan, 0.05], 10)
    assert curve.line.x.tolist() == [1, 4]
    assert (curve.y.min, curve.y.max) == (0.05, 0.1) and curve.x.max == 10
    low, high, ticks = log_ticks([1e-9, 1.0])
    assert low <= 1e-9 and high >= 1 and len(ticks) <= 12


def test_times_in_words():
    assert duration_text(3661) == "1 h 1 min"


def test_a_host_that_shows_no_threads_is_told(runner, recon, monkeypatch):
    monkeypatch.setattr("ptywidgets.widgets.run.reconstruction_runner.shows_threads", lambda: False)
    monkeypatch.setattr("ptywidgets.reconstruction.session.session.shows_threads", lambda: False)
    recon.update_plan(iterations=2)
    said = []
    runner.status_line.observe(lambda change: said.append(runner.status_text), "value")
    runner.run.click()
    assert recon.status == "finished", "the click did not wait for the run"
    assert any("interrupt" in text for text in said)


def test_a_result_of_other_data_says_so(data):
    """Beside the name of the new data stood "finished" and the error of the old."""
    recon = Reconstruction(data, defocus=250).run(1)
    runner = ReconstructionRunner(recon)
    assert "made with" not in runner.state_line.value + repr(runner)
    recon.dataset = samples.ducky("tiny", seed=5)
    told = "made with other data (ducky tiny of 12 x 12 patterns)"
    assert told in runner.state_line.value and told in repr(runner) and told in runner.status_line.value
    assert runner.progress.bar_style == "warning"
    again = ReconstructionRunner(recon)
    assert told in again.state_line.value
    recon.run(1)
    until(lambda: "finished" in runner.state_line.value and "made with" not in runner.state_line.value)
    runner.close(), again.close()


def test_optics_that_are_set_after_a_run_are_seen(data):
    recon = Reconstruction(data, defocus=250).run(1)
    runner = ReconstructionRunner(recon)
    recon.update_optics(defocus=300)
    assert "made with other optics" in runner.state_line.value
    runner.close()
