"""OrientationPicker without a browser."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ptywidgets import OrientationPicker, Reconstruction, samples
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.testing.starts import example_alternatives


def orientations(best=0, confidence=0.98, message="The rotation is -15.0 degrees."):
    """What the engine says, made up: four angles, as recorded and transposed."""
    candidates = tuple(
        SimpleNamespace(
            rotation=wrapped_angle(-15.0 + 90 * turn),
            transpose=transpose,
            curl=0.1 + 0.2 * turn,
            likelihood=None,
            score=1.0 - 0.1 * turn,
            confidence=confidence if turn + 4 * transpose == best else (1 - confidence) / 7,
            phase=np.full((12, 12), turn + 4.0 * transpose) + np.eye(12),
        )
        for transpose in (False, True)
        for turn in range(4)
    )
    return SimpleNamespace(candidates=candidates, best=best, confidence=confidence, message=message)


@pytest.fixture
def recon(data, monkeypatch):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    monkeypatch.setattr(recon, "find_orientation", lambda: orientations(), raising=False)
    return recon


@pytest.fixture
def picker(recon):
    made = OrientationPicker(recon)
    yield made
    made.close()


def picked(picker):
    return [index for index, view in enumerate(picker.views) if view.picked]


def test_every_candidate_has_its_image_its_share_and_the_best_a_star(picker):
    for index, (card, candidate) in enumerate(zip(picker.cards, picker.candidates, strict=True)):
        assert np.allclose(card.view._frames.latest[1].values, candidate.phase, atol=0.01)
        assert ("★ best" in card.caption.value) == (index == 0)
        assert f"{candidate.curl:.2f}" in card.caption.value
    assert [view.title for view in picker.views[:2]] == ["−15°", "75°"]
    assert [picker.views[i].note for i in (0, 4)] == ["as recorded", "transposed"]
    assert picker.status_text == "The rotation is -15.0 degrees." and picker.status_line.kind == "good"


def test_a_start_that_is_found_afterwards_makes_the_comparison_old(picker):
    picker.recon.set_trait("start_alternatives", example_alternatives(-15.0, False, 250.0))
    assert "compare again" in picker.status_text and picker.status_line.kind == "warn"
    picker.find()
    assert picker.status_text == "The rotation is -15.0 degrees." and picker.status_line.kind == "good"


def test_a_click_takes_a_candidate(picker):
    assert picked(picker) == [0]
    picker.views[6]._receive(None, {"type": "pick"}, None)
    recon = picker.recon
    assert (recon.rotation, recon.transpose) == (165.0, True)
    assert picked(picker) == [6] and picker.chosen == 6
    assert "The data favour another one" in picker.status_text and picker.status_line.kind == "warn"
    picker.choose(0)
    assert recon.rotation == -15.0 and picker.status_line.kind == "good"


def test_rotations_that_are_set_elsewhere_are_followed(picker):
    picker.recon.prepare(rotation=73.0, transpose=False)
    assert picked(picker) == [1]
    picker.recon.prepare(rotation=30.0, transpose=False)
    assert picked(picker) == [] and "not one of these" in picker.facts.value


def test_when_the_data_cannot_tell_it_says_so(recon, monkeypatch):
    tie = orientations(confidence=0.5, message="Two of them, 180 degrees apart, do as well: look at the atoms.")
    monkeypatch.setattr(recon, "find_orientation", lambda: tie)
    picker = OrientationPicker(recon)
    assert "look at the atoms" in picker.status_text and picker.status_line.kind == "warn"
    assert "confidence 50%" in repr(picker)
    picker.close()


def test_another_probe_makes_the_comparison_an_old_one(picker):
    picker.recon.optics = picker.recon.optics.replace(aberrations={"defocus": 10})
    assert "has changed" in picker.facts.value
    picker.find_button.click()
    assert "has changed" not in picker.facts.value


def test_nothing_is_taken_during_a_run(picker):
    picker.recon.start(10_000)
    try:
        picker.views[1]._receive(None, {"type": "pick"}, None)
        assert "stop it first" in picker.status_text and picker.recon.rotation == -15.0
    finally:
        picker.recon.stop()


def test_without_data_it_waits(data):
    picker = OrientationPicker()
    assert picker.grid.layout.display == "none" and picker.candidates == () and picker.png() == b""
    with pytest.raises(DataError):
        picker.find()
    with pytest.raises(DataError):
        picker.best  # noqa: B018
    with pytest.raises(DataError):
        picker.choose(0)
    picker.recon.dataset = Dataset(data.data)
    assert "not set" in picker.status_text
    picker.close()


def test_what_the_engine_finds_in_the_ducky():
    picker = OrientationPicker(samples.ducky("small"))
    picker.wait()
    best = picker.candidates[picker.best]
    assert len(picker.candidates) == 8
    assert not best.transpose and abs(wrapped_angle(best.rotation + 15)) < 2
    assert sum(candidate.transpose for candidate in picker.candidates) == 4
    assert picker.png().startswith(b"\x89PNG") and repr(picker).startswith("OrientationPicker('ducky small'; best ")
    picker.close()
