"""The runner with a thick specimen and several modes: slices, a section, shares, and models that change meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.reconstruction import DisplaySettings
from ptywidgets.widgets.run.live_views import SHOWN, section_aspect
from ptywidgets.widgets.run.reconstruction_runner import OF_EVERY_MODEL

THICK = ModelConfig(slices=3, thickness=60, modes=2)


def visible(*widgets):
    return [widget.layout.display != "none" for widget in widgets]


def descriptions(buttons):
    return [item.description for item in buttons]


def image(runner, name):
    return runner.image_views[name].rgb()


def test_a_thin_specimen_and_one_mode_have_no_more_controls_than_before(runner, recon):
    for _ in range(2):
        assert visible(runner.bar) == [False]
        assert [name for name, toggle in runner.toggles.items() if visible(toggle) == [True]] == list(OF_EVERY_MODEL)
        assert runner.image_views["phase"].note == runner.image_views["probe"].note == ""
        recon.run(1)
        runner.wait()


def test_slices_are_scrolled_through(runner, recon):
    recon.model = THICK
    recon.run(2)
    runner.wait()
    assert visible(runner.bar, runner.bar.slices, runner.toggles["section"], runner.toggles["strength"]) == [
        True, True, True, False,
    ]  # fmt: skip
    assert runner.bar.slice.max == 3 and "3 slices together" in runner.image_views["phase"].note
    together = image(runner, "phase")
    runner.bar.slice.value = 2
    runner.wait()
    assert recon.look.slice == 1 and runner.image_views["phase"].note == "slice 2 of 3"
    assert "2 of 3, 20 to 40 Å deep" in runner.bar.slice_text.value
    assert image(runner, "phase").shape == together.shape and (image(runner, "phase") != together).any()
    until(lambda: not runner.image_views["phase"].live)  # it is drawn finely when the slider rests
    recon.look = DisplaySettings()
    runner.wait()
    until(lambda: not runner.image_views["phase"].live)
    assert runner.bar.slice.value == 0 and (image(runner, "phase") == together).all()


def test_modes_are_shown_with_their_shares(runner, recon):
    recon.model = THICK
    recon.run(2)
    runner.wait()
    first, second = recon.occupations
    told = descriptions(runner.bar.mode_buttons)
    assert told[0] == f"1: {100 * first:.0f} %" and told[1].startswith("2: ") and told[2] == "all"
    assert [item.button_style for item in runner.bar.mode_buttons] == ["info", "", ""]
    assert runner.image_views["probe"].note == f"mode 1 of 2: {100 * first:.0f} %"
    brightest = image(runner, "probe")
    runner.bar.mode_buttons[1].click()
    runner.wait()
    assert recon.look.mode == 1 and (image(runner, "probe") != brightest).any()
    runner.bar.mode_buttons[2].click()
    runner.wait()
    assert recon.look.mode is None and image(runner, "probe").shape[:2] == (64, 128)
    assert [item.button_style for item in runner.bar.mode_buttons] == ["", "", "info"]
    assert 0 < second < first


def test_a_section_is_made_only_while_it_is_open_and_follows_its_line(runner, recon):
    recon.model = THICK
    recon.run(2)
    runner.wait()
    assert recon.look.section is None and runner.image_views["phase"].regions == []
    runner.toggles["section"].value = True
    runner.wait()
    view, phase = runner.image_views["section"], runner.image_views["phase"]
    assert visible(view) == [True] and view.sampling == pytest.approx([20, recon.sampling[1]])
    assert "60 Å deep" in view.note
    (line,) = phase.regions
    height, width = recon.object_phase.shape
    assert [line[name] for name in ("y", "x", "y2", "x2")] == [(height - 1) / 2, 0, (height - 1) / 2, width - 1]
    before = image(runner, "section")
    moved = {**line, "x": 10.0, "x2": 10.0, "y": 0.0, "y2": height - 1.0}
    phase._receive(None, {"type": "region", "region": moved, "final": True}, [])
    runner.wait()
    assert recon.look.section == pytest.approx((0, 10 / (width - 1), 1, 10 / (width - 1)))
    np.testing.assert_allclose(runner._latest.section, recon.slices[:, :, 10], atol=1e-5)
    assert image(runner, "section").shape == before.shape and (image(runner, "section") != before).any()
    runner.toggles["section"].value = False
    assert recon.look.section is None and phase.regions == [] and visible(view) == [False]
    runner.toggles["section"].value = True
    assert recon.look.section[1] == pytest.approx(10 / (width - 1)), "the line is forgotten"


def test_a_section_is_to_scale_unless_that_could_not_be_read(runner, recon):
    recon.look = DisplaySettings(section=(0.5, 0, 0.5, 1))
    for thickness, scaled in ((18.0, True), (1.0, False), (500.0, False)):
        recon.model = ModelConfig(slices=3, thickness=thickness)
        recon.run(1)
        snapshot = recon.snapshot()
        deep, along = snapshot.section_sampling
        assert (section_aspect(snapshot) == pytest.approx(deep / along)) == scaled
        assert ("to scale" in SHOWN["section"].note(snapshot)) == scaled


def test_diffuse_scattering_and_background_are_offered_where_they_are_fitted(runner, recon):
    recon.model = ModelConfig(diffuse="C", background=True)
    recon.run(1)
    runner.wait()
    assert visible(runner.toggles["strength"], runner.toggles["background"], runner.bar) == [True, True, False]
    assert recon.look.channel is None
    runner.toggles["strength"].value = runner.toggles["background"].value = True
    runner.wait()
    assert recon.look.channel == 0 and runner.image_views["strength"].note == "C, B = 0.5 Å²"
    assert image(runner, "strength").shape[:2] == recon.object_phase.shape
    assert image(runner, "background").shape[:2] == (64, 64)
    recon.model = ModelConfig(diffuse="C, O")
    recon.run(1)
    runner.wait()
    assert descriptions(runner.bar.element_buttons) == ["C", "O"] and visible(runner.bar.elements) == [True]
    runner.bar.element_buttons[1].click()
    runner.wait()
    assert recon.look.channel == 1 and runner.image_views["strength"].note.startswith("O")


def test_back_to_a_thin_specimen_everything_is_as_before(runner, recon):
    recon.model = THICK
    recon.run(1)
    runner.toggles["section"].value = True
    runner.bar.slice.value = 3
    runner.wait()
    recon.model = ModelConfig()
    recon.run(1)
    runner.wait()
    assert visible(runner.bar, runner.toggles["section"], runner.image_views["section"]) == [False] * 3
    assert runner.image_views["phase"].regions == [] and runner.image_views["phase"].note == ""


def test_the_model_is_chosen_in_the_settings_and_told_when_it_acts(runner, recon):
    runner.accordion.selected_index = 0
    model = runner.settings.model
    model.controls["slices"].input.value = "3"
    runner.run.click()
    until(lambda: recon.status == "error" and "thickness" in runner.status_text)
    model.controls["thickness"].input.value = "60"
    model.controls["modes"].input.value = "2"
    assert "3 slices of 20 Å, 2 probe modes" in runner.accordion.get_title(0)
    recon.update_plan(iterations=100000)
    runner.run.click()
    until(lambda: recon.status == "running" and len(recon.losses) > 0)
    assert recon.object.shape[0] == 3
    model.controls["slices"].input.value = "2"
    until(lambda: "next run" in runner.status_text)
    runner.pause.click()
    until(lambda: recon.status == "paused")
    constraints = runner.settings.constraints
    assert "Depth" in " ".join(constraints.accordion.get_title(i) for i in range(len(constraints.accordion.children)))
    constraints.checkboxes["KzFilter"].value = True
    constraints.checkboxes["Positivity"].value = False
    done = len(recon.losses)
    runner.pause.click()
    until(lambda: len(recon.losses) > done)
    assert recon.object.shape[0] == 2
    assert [type(c).__name__ for c in recon.plan.constraints] == ["KzFilter", "ProbeCentre"]
    runner.stop.click()
    until(lambda: recon.status == "stopped")
