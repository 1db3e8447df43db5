"""What is saved after model, object type or data have been changed since the run: a file that loads and goes on."""

import dataclasses
import pickle

import numpy as np
import pytest

from ptywidgets import Reconstruction, read, samples, write
from ptywidgets.engine.checkpoint import load_checkpoint, save_checkpoint
from ptywidgets.engine.core.errors import DataError, FileFormatError


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.mark.parametrize("first, then", [("potential", "complex"), ("complex", "potential")])
def test_a_change_of_the_object_type_is_saved_with_the_state_that_goes_with_it(data, tmp_path, first, then):
    """The file said complex, its state was float32, and going on wrote beyond the state's memory."""
    recon = Reconstruction(data, defocus=250, object_type=first).run(3)
    recon.object_type = then
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert loaded.object_type == then and (loaded.state.object.dtype.kind == "c") is (first == "complex")
    assert "goes on with the one that was set since" in loaded.message
    assert loaded.run(2).iteration == 5 and np.isfinite(loaded.object_phase).all()
    other = recon.copy().run(2)
    np.testing.assert_allclose(loaded.object_phase, other.object_phase, atol=1e-5)


@pytest.mark.parametrize("change", [{"slices": 3, "thickness": 20.0}, {"modes": 3}])
def test_so_is_a_change_of_the_model(data, tmp_path, change):
    recon = Reconstruction(data, defocus=250).run(3)
    recon.model = recon.model.replace(**change)
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data).run(2)
    assert loaded.iteration == 5 and loaded.model == recon.model
    assert len(loaded.slices) == change.get("slices", 1) and len(loaded.modes) == change.get("modes", 1)


def test_a_file_keeps_slices_and_modes_that_the_model_set_since_has_not(data, tmp_path):
    """The file had the state brought to the model of then: its slices and all modes but one were gone."""
    recon = Reconstruction(data, defocus=250, object_type="complex")
    thin, recon.model = recon.model, recon.model.replace(slices=3, thickness=30.0, modes=3)
    recon.run(3)
    object_before, probe = recon.object, recon.probe
    recon.model, recon.object_type = thin, "potential"
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    again = Reconstruction.load(loaded.save(tmp_path / "again.h5"), dataset=data)
    for one in (loaded, again):
        assert np.array_equal(one.object, object_before) and np.array_equal(one.probe, probe)
        assert one.model == thin and one.object_type == "potential" and len(one.slices) == 3
    assert len(loaded.run(1).slices) == 1 and loaded.iteration == 4
    loaded.model, loaded.object_type = thin.replace(modes=2), "complex"  # and it can be set back
    assert loaded.run(1).iteration == 5


CHANGES = {
    "rotation": lambda r: r.prepare(rotation=30),
    "optics": lambda r: r.update_optics(defocus=400),
    "calibration": lambda r: r.set_calibration(scan_step=3.0),
    "part of the data": lambda r: r.crop(scan=(0, 10, 0, 10)),
    "binned data": lambda r: r.bin(detector=2),
    "other data": lambda r: setattr(r, "dataset", samples.ducky("tiny", seed=5)),
    "probe": lambda r: r.begin_with(probe=r.probe),
    "object": lambda r: r.begin_with(object=r.object, sampling=r.sampling),
    "optics and model": lambda r: (r.update_optics(defocus=400), setattr(r, "model", r.model.replace(modes=2))),
    "image": lambda r: r.initialize_from(r.direct("dpc")),
}


@pytest.mark.parametrize(
    "change, way",
    [(c, w) for c in CHANGES for w in ("copy", "pickle", "file") if (c, w) != ("other data", "file")],  # see below
)
def test_a_result_stays_of_what_it_was_made_from(data, tmp_path, change, way):
    """Copies and files showed the old object through the data that had been set since: moved, turned, or cut."""
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)  # which a change must not leave open
    recon.run(2)
    phase, (rotation, step) = recon.object_phase, (recon.rotation, recon.sampling)
    CHANGES[change](recon)
    if way == "file":
        other = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    else:
        other = recon.copy() if way == "copy" else pickle.loads(pickle.dumps(recon))
    for one in (recon, other):
        assert np.array_equal(one.object_phase, phase) and one.iteration == 2
        assert (one.problem.measurement.rotation, one.sampling) == (rotation, step)
    assert other.optics.aberrations == recon.optics.aberrations and other.model == recon.model
    assert other.run(1).iteration == 1  # of what is set now


@pytest.mark.parametrize("change", ["rotation", "calibration", "part of the data", "binned data"])
def test_what_was_set_since_is_set_after_loading(data, tmp_path, change):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15, transpose=False)
    recon.run(2)
    CHANGES[change](recon)
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert "The result is of what it was made from" in loaded.message
    assert loaded.calibration == recon.calibration and loaded.dataset.shape == recon.dataset.shape
    assert loaded.preparation.rotation == recon.preparation.rotation
    again = Reconstruction.load(loaded.save(tmp_path / "again.h5"), dataset=data)  # and so on, from file to file
    assert np.array_equal(again.object_phase, recon.object_phase) and again.calibration == recon.calibration
    recon.run(1), again.run(1)
    np.testing.assert_allclose(again.losses, recon.losses, rtol=1e-5)
    assert np.array_equal(again.positions, recon.positions)
    assert "result" not in Reconstruction.load(again.save(tmp_path / "anew.h5"), dataset=data).message


def test_what_begins_with_a_file_of_such_a_result_takes_it_for_what_it_is(data, tmp_path):
    recon = Reconstruction(data, defocus=250).run(2)
    turned, recon.dataset = recon.rotation, data.bin(detector=2)
    recon.prepare(rotation=turned + 40)
    saved = recon.save(tmp_path / "r.h5")
    given = Reconstruction(data).begin_with(saved, saved).given
    assert given.probe_sampling == given.object_sampling == recon.problem.sampling
    assert given.orientation == (recon.problem.measurement.rotation, recon.problem.measurement.transpose)


def test_other_data_of_another_file_are_set_again_or_said_to_be_gone(data, tmp_path):
    first, second = write(tmp_path / "first.h5", data), write(tmp_path / "second.h5", samples.ducky("tiny", seed=5))
    recon = Reconstruction(read(first), defocus=250).run(1)
    recon.dataset = read(second)
    for file in (first, second):  # the result is of the one, the next run of the other
        with pytest.raises(FileFormatError, match="never written over"):
            recon.save(file, overwrite=True)
    saved = recon.save(tmp_path / "r.h5")
    loaded = Reconstruction.load(saved)
    assert loaded.dataset.path.name == "second.h5" and np.array_equal(loaded.object_phase, recon.object_phase)
    second.unlink()
    loaded = Reconstruction.load(saved)
    assert loaded.dataset.path.name == "first.h5" and "(second) were not found again" in loaded.message
    assert loaded.run(1).iteration == 2
    first.unlink()
    with pytest.raises(DataError, match=r"Those are the data of the result; others \(second\) were set after it"):
        Reconstruction.load(saved)


def test_a_result_of_other_positions_is_saved_with_its_own(data, tmp_path):
    recon = Reconstruction(data, defocus=250).run(2)
    recon.dataset = data.crop(scan=(0, 10, 0, 10))
    recon.prepare()
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert len(loaded.positions) == 144 and len(loaded.measurement or loaded.prepare().patterns) == 100
    recon.dataset = None
    assert Reconstruction.load(recon.save(tmp_path / "none.h5"), dataset=data).iteration == 2


@pytest.mark.parametrize("each", [False, True], ids=["one lens", "a lens for each"])
def test_so_does_a_series(data, tmp_path, each):
    """Where data and lens of a tilt both have a vacuum pattern, saving failed, as the two had one name in the file."""
    views = [data, samples.ducky("tiny", seed=2)]
    lens = Reconstruction(data, defocus=250).optics
    recon = Reconstruction(views, tilts=[0.0, 4.0], optics=[lens, lens.replace(vacuum=None)] if each else lens)
    recon.model = recon.model.replace(slices=2, thickness=20.0)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    recon.dataset = recon.views.datasets[1]
    same = Reconstruction.load(recon.save(tmp_path / "same.h5"), dataset=views)
    assert [one.vacuum is None for one in same.views.optics] == ([False, True] if each else [])
    assert same.run(1).iteration == 2
    recon.prepare(rotation=20.0, transpose=False)
    for other in (recon.copy(), Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=views)):
        assert np.array_equal(other.volume, recon.volume) and other.problem.measurement.rotation == -15
        assert other.run(1).iteration == 1 and other.problem.measurement.rotation == 20


def test_an_older_file_that_does_not_tell_says_so(data, tmp_path):
    recon = Reconstruction(data, defocus=250).run(1)
    recon.prepare(rotation=30)
    whole = load_checkpoint(recon.save(tmp_path / "r.h5"))
    save_checkpoint(tmp_path / "old.h5", dataclasses.replace(whole, since=None))
    loaded = Reconstruction.load(tmp_path / "old.h5", dataset=data)
    assert "the file does not tell from what" in loaded.message and loaded.run(1).iteration == 1
