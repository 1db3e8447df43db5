"""ParallaxExplorer without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets import ParallaxExplorer, Reconstruction, samples
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct import align_with, predicted_shifts


@pytest.fixture(scope="module")
def small():
    return samples.ducky("small")


@pytest.fixture
def explorer(data):
    made = ParallaxExplorer(data)
    made.wait()
    yield made
    made.close()


def latest(view):
    return view._frames.latest[1]


def test_it_opens_with_the_reconstructions_rotation_and_probe(data):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    explorer = ParallaxExplorer(recon)
    assert (explorer.rotation, explorer.transpose, explorer.aberrations["defocus"]) == (-15.0, False, 250)
    assert explorer.angle.value == -15.0 and explorer.dials.dials["defocus"].value == 250
    explorer.close()


def test_the_image_is_what_the_engine_aligns(explorer, monkeypatch):
    monkeypatch.setattr(explorer, "settle_soon", lambda: None)
    explorer.angle.value = 33.0
    explorer.dials.dials["defocus"].value = 180
    explorer.wait()
    bright, aberrations = explorer.images.bright, {"defocus": 180}
    expected = align_with(bright, aberrations, 33.0, False)
    assert np.allclose(explorer.aligned, expected)
    assert np.abs(latest(explorer.aligned_view).values - expected).max() <= np.ptp(expected) / 250
    explorer.settle()
    assert explorer.aligned_view.note.endswith("Å per pixel") and not explorer.aligned_view.live


def test_the_arrows_are_what_the_engine_predicts(explorer):
    explorer.aberrations = {"defocus": 200, "C12": 30, "phi12": 0.4}
    bright = explorer.images.bright
    shifts = predicted_shifts(bright.tilts, explorer.aberrations, explorer.rotation, False, bright.wavelength)
    some = explorer.images._some
    y, x = explorer.plot.predicted.y.reshape(-1), explorer.plot.predicted.x.reshape(-1)
    drawn = np.stack([y[1::3] - y[0::3], x[1::3] - x[0::3]], 1)
    scale = np.abs(drawn).max() / np.abs(shifts[some]).max()
    assert np.allclose(drawn, scale * shifts[some], atol=1e-9)
    assert not explorer.plot.measured.visible, "nothing is measured yet"


def test_sliders_that_are_moved_show_images_at_once_and_settle_later(explorer, monkeypatch):
    explorer.settle()
    monkeypatch.setattr(explorer, "settle_soon", lambda: None)
    before = latest(explorer.corrected_view).values
    explorer.dials.dials["defocus"].value = 300
    explorer.wait()
    assert explorer.aligned_view.live
    assert np.array_equal(latest(explorer.corrected_view).values, before)
    explorer.settle()
    assert not np.array_equal(latest(explorer.corrected_view).values, before)


def test_the_fit_finds_the_optics_with_uncertainties(small):
    explorer = ParallaxExplorer(small)
    explorer.find()
    assert explorer.aberrations["defocus"] == pytest.approx(350, rel=0.05)
    assert explorer.rotation == pytest.approx(-15, abs=1)
    assert "±" in explorer.table.value and "defocus" in explorer.table.value
    assert explorer.plot.measured.visible
    assert explorer.status_text.startswith("The images align best") and explorer.status_line.kind == "good"
    explorer.close()


def test_fit_and_hand_over_by_their_buttons(explorer):
    explorer.fit_button.click()
    explorer.wait()
    assert explorer.fit is not None
    assert explorer.recon.optics.aberrations != explorer.fit.aberrations
    explorer.over_button.click()
    explorer.wait()
    assert explorer.recon.optics.aberrations == explorer.fit.aberrations
    assert explorer.recon.rotation == explorer.fit.rotation
    assert explorer.status_text.startswith("Handed over")


def test_what_others_change_is_shown(explorer):
    recon = explorer.recon
    recon.prepare(rotation=50.0, transpose=True)
    assert (explorer.rotation, explorer.transpose) == (50.0, True)
    recon.optics = recon.optics.replace(aberrations={"defocus": 77.0})
    assert explorer.dials.dials["defocus"].value == 77


def test_further_aberrations_and_both_forms(explorer):
    explorer.dials.accordion.selected_index = 0
    explorer.dials.dials["C56"].value = 1.0
    assert explorer.aberrations["C56"] == 1e7
    explorer.dials.form.value = "Cartesian"
    explorer.dials.dials["C12b"].value = 5.0
    assert explorer.aberrations["C12b"] == pytest.approx(5.0)


def test_no_handing_over_during_a_run(data):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    explorer = ParallaxExplorer(recon)
    recon.start(10_000)
    try:
        explorer.rotation = 20
        explorer.over_button.click()
        explorer.wait()
        assert "stop it first" in explorer.status_text
    finally:
        recon.stop()
        explorer.close()


def test_without_data_or_calibration_it_says_so(data):
    explorer = ParallaxExplorer()
    assert explorer.aligned is None and explorer.png() == b""
    explorer.fit_button.click()
    explorer.wait()
    assert "load data first" in explorer.status_text
    with pytest.raises(DataError):
        explorer.find()
    with pytest.raises(ParameterError):
        explorer.rotation = float("nan")
    explorer.recon.dataset = Dataset(data.data)
    explorer.wait()
    assert "not set" in explorer.status_text
    explorer.recon.dataset = data
    explorer.wait()
    assert explorer.aligned.shape == (12, 12)
    explorer.close()


def test_repr_and_still_image(explorer):
    explorer.aberrations = {"defocus": 250}
    assert repr(explorer).startswith("ParallaxExplorer('ducky tiny'; rotation ")
    assert repr(explorer).endswith("defocus 250 A)")
    bundle = explorer._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "image/png" in bundle
