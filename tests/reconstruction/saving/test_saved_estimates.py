"""What a run begins from, and what was estimated of the start, comes back from a file."""

import dataclasses

import numpy as np
import pytest

from ptywidgets import Reconstruction, read, samples, write
from ptywidgets.engine.calibrate.estimates import SET_SINCE, Estimate
from ptywidgets.engine.checkpoint import load_checkpoint, save_checkpoint
from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.reconstruction.saving.saved_estimates import from_text, to_text
from ptywidgets.reconstruction.session.run_timer import RunTimer


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.fixture
def found(data):
    recon = Reconstruction(data)
    recon.calibrate()
    return recon


def alike(one, other):
    """Whether two images are the same in everything."""
    fields = [field.name for field in dataclasses.fields(one) if field.name != "phase"]
    return np.array_equal(one.phase, other.phase) and all(getattr(one, n) == getattr(other, n) for n in fields)


@pytest.mark.parametrize("when", ["before a run", "after it", "of a run that has it"])
@pytest.mark.parametrize("method", ["dpc", "ssb", "parallax"])
def test_an_image_to_begin_from_is_saved(data, tmp_path, method, when):
    """It was lost: the next run began from an empty object and said nothing."""
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)
    if when == "after it":
        recon.run(1)
    recon.initialize_from(recon.direct(method))
    if when == "of a run that has it":
        recon.run(2)
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert alike(loaded.initial_image, recon.initial_image)
    _ = loaded.measurements  # prepared, where it has not run
    again = Reconstruction.load(loaded.save(tmp_path / "again.h5"), dataset=data)
    for one in (recon, loaded, again):
        if when == "of a run that has it":
            one.update_optics(defocus=240)  # so that the next run begins anew
        one.run(1)
        assert one.initialized_from == repr(recon.initial_image) and one.iteration == 1
    assert np.array_equal(again.object, loaded.object) and again.losses == loaded.losses
    np.testing.assert_allclose(loaded.losses, recon.losses, rtol=1e-6)


def test_it_is_that_of_the_data_that_are_set(data, tmp_path):
    first, second = write(tmp_path / "first.h5", data), write(tmp_path / "second.h5", samples.ducky("tiny", seed=5))
    recon = Reconstruction(read(first), defocus=250)
    recon.initialize_from(recon.direct("dpc"))
    recon.run(1)
    recon.dataset = read(second)
    recon.calibrate(), recon.initialize_from(recon.direct("dpc"))
    saved = recon.save(tmp_path / "r.h5")
    loaded = Reconstruction.load(saved)
    assert alike(loaded.initial_image, recon.initial_image) and loaded.estimates == recon.estimates != ()
    second.unlink()
    loaded = Reconstruction.load(saved)  # what is not there was estimated of other data
    assert loaded.initial_image is None and loaded.estimates == ()


@pytest.mark.parametrize("way", ["prepared", "run", "another lens since", "autosave"])
def test_estimates_are_saved(found, data, tmp_path, way, monkeypatch):
    """After loading nobody could tell how sure rotation and defocus are, or that they had been found."""
    monkeypatch.setattr(RunTimer, "save_due", lambda self: True)
    if way == "autosave":
        found.autosave = tmp_path / "r.h5"
    if way != "prepared":
        found.run(2)
    if way == "another lens since":
        found.update_optics(defocus=400)
    file = tmp_path / "r.h5" if way == "autosave" else found.save(tmp_path / "r.h5")
    loaded = Reconstruction.load(file, dataset=data)
    assert loaded.estimates == found.estimates and any(one.uncertainty for one in loaded.estimates)
    assert any(one.told for one in loaded.estimates) is (way == "another lens since")
    _ = loaded.measurements
    assert Reconstruction.load(loaded.save(tmp_path / "again.h5"), dataset=data).estimates == found.estimates


def test_estimates_that_were_loaded_follow_what_is_set(found, data, tmp_path):
    loaded = Reconstruction.load(found.run(1).save(tmp_path / "r.h5"), dataset=data)
    rotation = loaded.rotation
    loaded.prepare(rotation=rotation + 10)
    assert {one.name: one.source for one in loaded.estimates}["rotation"] == SET_SINCE
    loaded.prepare(rotation=rotation)
    assert loaded.estimates == found.estimates


def test_a_file_of_an_older_version_has_none(found, data, tmp_path):
    found.initialize_from(found.direct("dpc"))
    whole = load_checkpoint(found.run(2).save(tmp_path / "r.h5"))
    old = save_checkpoint(tmp_path / "old.h5", dataclasses.replace(whole, initial_image=None, estimates=""))
    loaded = Reconstruction.load(old, dataset=data)
    assert loaded.initial_image is None and loaded.estimates == ()
    assert np.array_equal(loaded.object, found.object) and np.array_equal(loaded.probe, found.probe)
    found.run(2), loaded.run(2)
    assert loaded.losses == found.losses and np.array_equal(loaded.object, found.object)


def test_all_kinds_of_values_come_back():
    kinds = (1.5, np.float64(2.5), np.bool_(True), 3, None, "resolved", (0.1, np.float32(0.25)))
    before = tuple(Estimate("x", value, np.float64(0.5), "A", "given", "said") for value in kinds)
    nested = dataclasses.replace(before[0], value=4.0, told=before[1])
    after = from_text(to_text([*before, nested]))
    assert after == (*before, nested) and type(after[2].value) is bool and type(after[1].value) is float
    assert from_text("") == ()


@pytest.mark.parametrize("text", ["no json", "5", "[5]", '[{"nobody": 1}]', '[{"name": "x"}]'])
def test_what_is_no_text_of_estimates_is_refused(text):
    with pytest.raises(FileFormatError, match="estimates of the start"):
        from_text(text)
