"""A tilt series in the runner: the same buttons, and a slider through the tilts; what it cannot be is said."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

from ptywidgets import Reconstruction
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.reconstruction import tilt_text
from ptywidgets.testing.series import SERIES_OPTICS, example_tilts
from ptywidgets.widgets.run.reconstruction_runner import ReconstructionRunner
from ptywidgets.widgets.workbench.workbench import Workbench

TILTS = (-60.0, -20.0, 0.0, 30.0, 70.0)


@pytest.fixture
def series():
    deep = ModelConfig(slices=2, thickness=8)
    recon = Reconstruction(example_tilts(), tilts=TILTS, optics=SERIES_OPTICS, model=deep)
    recon.preparation = recon.preparation.replace(rotation=0.0, transpose=False, origin="constant")
    yield recon
    recon.stop()


@pytest.fixture
def tilted(series):
    runner = ReconstructionRunner(series)
    yield runner
    runner.close()


def visible(*widgets):
    return [widget.layout.display != "none" for widget in widgets]


def titles(bricks):
    return [name for name, place in bricks._places.items() if place.layout.display != "none"]


def test_it_runs_holds_and_stops(tilted, series):
    series.update_plan(iterations=100000, batch=10)
    tilted.run.click()
    until(lambda: len(series.losses) > 1)
    tilted.pause.click()
    until(lambda: series.status == "paused" and tilted.pause.description == "Resume")
    tilted.step.click()
    until(lambda: series.status == "paused" and tilted.image_views["phase"].rgb().shape[0] > 1)
    tilted.stop.click()
    until(lambda: series.status == "stopped")
    assert "volume" not in tilted.status_text
    tilted.reset.click()
    assert series.volume is None and not tilted.run.disabled


def test_tilts_are_scrolled_through(tilted, series):
    assert visible(tilted.bar) == [False] and tilted.path.value == "blobs_-60_series_reconstruction.h5"
    series.run(2)
    tilted.wait()
    assert visible(tilted.bar, tilted.bar.tilts, tilted.bar.slices, tilted.bar.modes) == [True, True, True, False]
    assert tilted.bar.tilts.slider.max == 4 and tilted.bar.tilts.text == "1 of 5, −60°"
    assert "Layer" in tilted.bar.slice_label.value and "all 16 together" in tilted.bar.slice_text.value
    assert tilted.image_views["phase"].note == "16 layers together"
    assert tilted.image_views["probe"].note == "tilt 1 of 5, −60°"
    first, volume = tilted.image_views["probe"].rgb(), tilted.image_views["phase"].rgb()
    tilted.bar.tilts.slider.value = 3
    tilted.wait()
    assert series.look.view == 3 and tilted.image_views["probe"].note == "tilt 4 of 5, 30°"
    until(lambda: not tilted.image_views["probe"].live and not tilted.image_views["phase"].live)
    assert (tilted.image_views["probe"].rgb() != first).any()
    np.testing.assert_array_equal(tilted.image_views["phase"].rgb(), volume)
    tilted.bar.slice.value = 9
    tilted.wait()
    assert series.look.slice == 8 and "9 of 16, 4 to 4.5 Å deep" in tilted.bar.slice_text.value
    tilted.toggles["section"].value = True
    tilted.wait()
    assert "8 Å deep" in tilted.image_views["section"].note


def test_one_view_has_no_slider_for_tilts(runner, recon):
    recon.run(1)
    runner.wait()
    assert visible(runner.bar.tilts) == [False] and runner.image_views["probe"].note == ""


def test_bricks_of_volumes_are_offered_for_series_alone(tilted, runner):
    for panel, offered in ((tilted, True), (runner, False)):
        panel.accordion.selected_index = 0
        constraints = panel.settings.constraints
        assert ("VolumeSupport" in titles(constraints)) == ("VolumeSlab" in titles(constraints)) == offered
        assert not {"KzFilter", "IdenticalSlices"} & set(titles(constraints))
    tilted.settings.constraints.checkboxes["VolumeSupport"].value = True
    assert "VolumeSupport" in [type(c).__name__ for c in tilted.recon.plan.constraints]
    tilted.recon.run(1)


def test_the_model_speaks_of_the_volume(tilted, runner, series):
    assert "potential object of 8 Å in 5 tilts from -60° to 70°, 2 slices of 4 Å" in tilted.accordion.get_title(0)
    for panel in (tilted, runner):
        panel.accordion.selected_index = 0
    model = tilted.settings.model
    assert visible(model.controls["thickness"], model.controls["tilt_rows"]) == [True, False]
    assert "volume depth" in model.controls["thickness"].children[0].value
    assert "thickness" in runner.settings.model.controls["thickness"].children[0].value
    model.controls["slices"].input.value = "1"
    assert visible(model.controls["thickness"]) == [True]
    model.controls["thickness"].input.value = "0"
    assert "how deep the volume" in model.lacking.value


def test_what_a_series_cannot_be_is_said_and_the_widget_lives(tilted, series):
    tilted.accordion.selected_index = 0
    series.object_type = "complex"
    assert "phases add up" in tilted.settings.model.lacking.value
    tilted.run.click()
    until(lambda: series.status == "error" and "phases add up" in tilted.status_text)
    series.object_type = "potential"
    series.update_plan(iterations=2)
    tilted.run.click()
    until(lambda: series.status == "finished")


def test_a_refinement_that_contradicts_the_projections_is_said(tilted, series):
    from ptywidgets.engine.refinements import RefineModel

    series.update_plan(refinements=(RefineModel(tilt=True),))
    tilted.run.click()
    until(lambda: series.status == "error" and "the volume makes them" in tilted.status_text)


def test_another_tilt_may_be_looked_at_on_the_bench(series):
    bench = Workbench(series)
    assert visible(bench.tilts) == [True] and bench.tilts.text == "1 of 5, −60°"
    bench.tilts.slider.value = 3
    bench.wait()
    assert series.dataset is series.views.datasets[3] and bench.tilts.text == "4 of 5, 30°"
    assert "blobs 30" in bench.data_line.value
    series.dataset = series.views.datasets[1]
    bench.wait()
    assert bench.tilts.slider.value == 1
    series.dataset = example_tilts((0.0, 10.0))[0]
    bench.wait()
    assert visible(bench.tilts) == [False] and series.views is None
    bench.close()


def test_tilts_in_words(series):
    assert [tilt_text(tilt) for tilt in series.views.tilts] == ["−60°", "−20°", "0°", "30°", "70°"]
