"""DirectExplorer without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets import DirectExplorer, Reconstruction
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset


@pytest.fixture
def explorer(data):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    made = DirectExplorer(recon)
    made.wait()
    yield made
    recon.stop()
    made.close()


def test_it_opens_with_the_probe_of_the_reconstruction(explorer):
    assert explorer.method == "ssb" and explorer.aberrations["defocus"] == 250
    expected = explorer.recon.direct("ssb")
    assert np.allclose(explorer.phase, expected.phase, atol=1e-6)


@pytest.mark.parametrize("method", ["obf", "wdd", "ssb"])
def test_every_method_shows_what_the_engine_says(explorer, method):
    explorer.method = method
    assert explorer.image.method == method
    assert np.allclose(explorer.phase, explorer.recon.direct(method).phase, atol=1e-6)
    assert explorer.phase_view.title == f"Phase by {method.upper()}"


def test_a_drag_shows_some_frequencies_and_says_so_then_all(explorer, monkeypatch):
    monkeypatch.setattr(explorer, "settle_soon", lambda: None)
    explorer._share = 0.25
    explorer.dials.dials["defocus"].value = 220
    explorer.wait()
    assert "25 % of the spatial frequencies" in explorer.share_line.value
    assert explorer.phase_view.live
    explorer.settle()
    assert "all spatial frequencies" in explorer.share_line.value and not explorer.phase_view.live
    assert explorer.image.aberrations["defocus"] == 220
    expected = explorer.recon.direct("ssb", aberrations={"defocus": 220}).phase
    assert np.allclose(explorer.phase, expected, atol=1e-6)


def test_only_the_newest_of_many_changes_is_made_whole(explorer):
    for defocus in (10, 20, 30, 40):
        explorer.dials.dials["defocus"].value = defocus
        explorer.safe_callback(explorer._settle)()
    explorer.wait()
    assert explorer.image.aberrations["defocus"] == 40


def test_start_from_this_gives_image_and_aberrations(explorer):
    explorer.aberrations = {"defocus": 240}
    explorer.start_button.click()
    recon = explorer.recon
    assert recon.initial_image is explorer.image and recon.optics.aberrations["defocus"] == 240
    assert "240" in explorer.status_text and "starts from" in explorer.start_line.value
    recon.run(1)
    assert recon.initialized_from == repr(explorer.image)


def test_the_probe_of_others_is_followed(explorer):
    recon = explorer.recon
    recon.optics = recon.optics.replace(aberrations={"defocus": 111})
    explorer.settle()
    assert explorer.image.aberrations["defocus"] == 111 and explorer.dials.dials["defocus"].value == 111


def test_another_rotation_makes_another_image(explorer):
    before = explorer.phase
    explorer.recon.prepare(rotation=60.0, transpose=True)
    explorer.wait()
    assert explorer.image.rotation == 60.0 and explorer.image.transpose
    assert not np.allclose(explorer.phase, before)


def test_without_data_or_aperture_it_says_so_and_goes_on_when_there_is_one(data):
    explorer = DirectExplorer()
    with pytest.raises(DataError):
        explorer.start_from_this()
    with pytest.raises(DataError, match="there are ssb"):
        explorer.method = "magic"
    explorer.recon.dataset = Dataset(data.data, data.calibration.replace(semiangle=None))
    explorer.wait()
    assert "aperture" in explorer.status_text and explorer.phase is None
    explorer.recon.optics = explorer.recon.optics.replace(semiangle=20)
    explorer.wait()
    assert explorer.phase is not None and explorer.status_text == ""
    explorer.close()


def test_repr_and_still_image(explorer):
    assert repr(explorer).startswith("DirectExplorer('ducky tiny'; DirectImage(ssb, ")
    assert explorer.png().startswith(b"\x89PNG")
