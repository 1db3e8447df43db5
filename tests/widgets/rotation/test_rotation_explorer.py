"""RotationExplorer without a browser."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess import integrate, rotate_vectors
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.rotation.rotation_explorer import RotationExplorer


@pytest.fixture
def explorer(data):
    made = RotationExplorer(data)
    yield made
    made.close()


def test_it_opens_with_what_the_engine_finds_and_makes_no_amplitudes(explorer):
    assert explorer.rotation == pytest.approx(-15, abs=2)
    assert explorer.recon.measurement is None
    assert explorer.status_text.startswith("Rotation ")


def test_the_slider_the_box_and_the_handle_are_one(explorer):
    explorer.angle.slider.value = 40.0
    assert explorer.rotation == 40 and explorer.plot.handle.values == [40.0]
    explorer.angle.number.input.value = "-120,5"
    assert explorer.rotation == -120.5 and explorer.plot.handle.values == [-120.5]
    explorer.plot.handle.knobs.x = np.array([77.04])
    assert explorer.rotation == 77.0 and explorer.angle.number.input.value == "77"
    assert explorer.plot.handle.lines.x.ravel().tolist() == [77.0, 77.0]


def test_the_images_follow_the_angle(explorer, data):
    explorer.rotation = 30
    explorer.transpose = True
    assert np.allclose(explorer.field, rotate_vectors(explorer._field.vectors, 30, True))
    assert np.allclose(explorer.phase, integrate(explorer.field, data.calibration.scan_step))
    latest = explorer.phase_view._frames.latest[1]
    assert np.abs(latest.values - explorer.phase).max() <= np.ptp(explorer.phase) / 250
    flipped = explorer.flipped_view._frames.latest[1]
    assert np.abs(flipped.values + explorer.phase).max() <= np.ptp(explorer.phase) / 250
    assert explorer.flipped_view.title == "Phase at -150.0°, flipped"


def test_angles_are_brought_into_one_turn_and_nonsense_is_refused(explorer):
    explorer.rotation = 190
    assert explorer.rotation == -170
    with pytest.raises(ParameterError):
        explorer.rotation = float("nan")
    explorer.angle.number.input.value = "500"
    assert "expected a number from -180 to 180" in explorer.status_text
    assert explorer.rotation == -170


def test_accept_writes_the_reconstruction(explorer):
    explorer.rotation = -14
    explorer.model.value = "parabola"
    explorer.accept_button.click()
    assert explorer.recon.rotation == -14 and explorer.recon.transpose is False
    assert explorer.recon.preparation.origin == "parabola"
    assert explorer.status_text.startswith("Accepted")


def test_another_calibration_keeps_the_angle_and_the_centre_of_mass(explorer):
    com, phase = explorer.com, explorer.phase
    explorer.rotation = 33
    explorer.recon.set_calibration(scan_step=3.0)
    assert explorer.com is com and explorer.rotation == 33
    explorer.recon.set_calibration(q_pixel=None)
    assert explorer.phases.chosen.note == "arbitrary units" and explorer.phase.shape == phase.shape


def test_flip_and_find(explorer):
    found = explorer.rotation
    explorer.flip_button.click()
    assert explorer.rotation == pytest.approx(found + 180)
    explorer.find_button.click()
    assert explorer.rotation == found


@pytest.mark.parametrize("model", ["constant", "plane", "parabola", "none"])
@pytest.mark.parametrize("shown", ["measured", "fitted", "corrected"])
def test_every_map_of_every_descan_model(explorer, model, shown):
    explorer.model.value, explorer.maps.shown.value = model, shown
    assert explorer.status_text == "" or "Error" not in explorer.status_text
    for view in explorer.maps.views:
        assert view._frames.latest[1].shape == (12, 12)


def test_what_others_prepare_is_shown(data):
    recon = Reconstruction(data)
    explorer = RotationExplorer(recon)
    recon.prepare(rotation=50, transpose=True, origin="constant")
    assert (explorer.rotation, explorer.transpose, explorer.model.value) == (50, True, "constant")
    explorer.close()
    later = RotationExplorer(recon)
    assert later.rotation == 50
    later.close()


def test_without_calibration_the_angle_is_found_and_accept_says_what_is_missing(data):
    explorer = RotationExplorer(Dataset(data.data))
    assert explorer.rotation == pytest.approx(-15, abs=2)
    explorer.accept_button.click()
    assert "not set" in explorer.status_text and explorer.status_line.kind == "bad"
    assert explorer.recon.rotation is None
    explorer.close()


def test_no_preparing_while_a_run_is_on(data):
    recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"))
    recon.prepare()
    explorer = RotationExplorer(recon)
    recon.start(10_000)
    try:
        explorer.accept_button.click()
        assert "stop it first" in explorer.status_text
    finally:
        recon.stop()
        explorer.close()


def test_without_data_it_waits(data):
    explorer = RotationExplorer()
    assert explorer.phase is None and explorer.png() == b""
    explorer.find_button.click()
    assert "load data first" in explorer.status_text
    with pytest.raises(DataError):
        explorer.find()
    explorer.recon.dataset = data
    assert explorer.phase.shape == (12, 12)
    explorer.close()


def test_data_that_cannot_be_are_told_in_words(data):
    broken = data.data.copy()
    broken[2, 3] = 0
    explorer = RotationExplorer(Dataset(broken))
    assert (
        "1 frame of 144 without a single count, at scan [2, 3]" in explorer.status_text and explorer.phase is not None
    )
    explorer.close()
    broken[2:] = 0
    explorer = RotationExplorer(Dataset(broken))
    assert "no counts at all" in explorer.status_text
    explorer.recon.dataset = data
    assert explorer.rotation == pytest.approx(-15, abs=2)
    explorer.close()


def test_divergence_is_drawn_on_demand(explorer):
    explorer.plot.with_divergence.value = True
    assert all(mark.visible for mark in explorer.plot.divergence)
    least, most = explorer.plot.figure.marks[0].scales["y"].min, explorer.plot.figure.marks[0].scales["y"].max
    for mark in explorer.plot.divergence:
        assert least <= mark.y.min() and mark.y.max() <= most


def test_threads_may_turn_it(explorer):
    def turn(start: float) -> None:
        for step in range(30):
            explorer.plot._dragged([start + step])

    threads = [threading.Thread(target=turn, args=(start,)) for start in (-90.0, 0.0, 90.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    explorer.wait()
    explorer.rotation = 12
    assert np.allclose(explorer.field, rotate_vectors(explorer._field.vectors, 12, explorer.transpose))
    assert explorer.status_text == "" or "Error" not in explorer.status_text


def test_repr_and_still_image(explorer):
    explorer.rotation = 5
    assert repr(explorer) == "RotationExplorer('ducky tiny'; rotation 5.00 degrees)"
    assert explorer.png().startswith(b"\x89PNG")
    bundle = explorer._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "image/png" in bundle


def test_what_is_said_of_a_prepared_measurement_is_of_it(data):
    """It said what had been said of the one before."""
    recon = Reconstruction(data)
    recon.prepare(rotation=-15.0, transpose=False)
    explorer = RotationExplorer(recon)
    recon.prepare(transpose=True)
    assert "-15.00 degrees, transposed, as set" in explorer.status_text.replace("−", "-")
    explorer.close()
