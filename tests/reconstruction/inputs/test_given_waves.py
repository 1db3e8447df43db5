"""A known probe or object to begin with: from an array, a file, or another reconstruction."""

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import DataError, FileFormatError, ParameterError, PtyError


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture(scope="module")
def done(ducky):
    return Reconstruction(ducky, defocus=samples.ducky_defocus("tiny")).run(8)


@pytest.fixture(scope="module")
def files(done, tmp_path_factory):
    """The same result in every form in which it may come."""
    folder = tmp_path_factory.mktemp("results")
    done.save(folder / "saved.h5")
    np.save(folder / "probe.npy", 5 * np.fft.fftshift(done.probe))
    np.save(folder / "object.npy", done.object)
    with h5py.File(folder / "other.h5", "w") as file:
        file["entry/probe/data"] = np.fft.fftshift(done.probe)[None]
        file["entry/object"] = np.exp(1j * done.object)
        file["entry/intensity"] = np.ones((4, 4))
    return folder


@pytest.mark.parametrize("source", ["reconstruction", "saved.h5", "probe.npy", "other.h5", "array"])
def test_a_probe_that_is_known_stands_for_the_defocus(ducky, done, files, source):
    """No defocus is given, and the error is that of the run that found the probe."""
    probe = {"reconstruction": done, "array": done.probe}.get(source, files / source)
    recon = Reconstruction(ducky).begin_with(probe=probe, hold_probe=True)
    assert recon.probe_is_given and "probe of" in recon.message
    recon.run(6)
    assert recon.schedule == "automatic" and recon.error == pytest.approx(done.error, rel=0.05)
    scale = np.linalg.norm(recon.probe) / np.linalg.norm(done.probe)
    np.testing.assert_allclose(recon.probe, scale * done.probe, atol=1e-3 * np.abs(recon.probe).max())
    assert recon.initialized_from.endswith("(held)")


@pytest.mark.parametrize("source", ["reconstruction", "saved.h5", "object.npy", "other.h5", "array"])
def test_an_object_that_is_known_is_begun_with(ducky, done, files, source):
    obj = {"reconstruction": done, "array": done.object}.get(source, files / source)
    recon = Reconstruction(ducky, defocus=samples.ducky_defocus("tiny")).begin_with(object=obj)
    assert not recon.probe_is_given
    empty = Reconstruction(ducky, defocus=samples.ducky_defocus("tiny")).run(1)
    assert recon.run(1).error < 0.8 * empty.error
    assert recon.initialized_from.startswith("object of")


def test_it_works_with_a_plan_too(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done, hold_probe=True)
    recon.update_plan(algorithm="PIE", iterations=2, batch=64)
    recon.run()
    assert recon.schedule == "manual"
    np.testing.assert_array_equal(recon.probe, recon.problem.initial_probe[0])


def test_an_object_that_is_held_stays_while_the_probe_is_found(ducky, done):
    recon = Reconstruction(ducky, defocus=300).begin_with(object=done, hold_object=True).run(4)
    np.testing.assert_array_equal(recon.object, done.object)
    assert recon.losses[-1] < recon.losses[0]


def test_no_semiangle_is_needed(ducky, done):
    bare = ducky.with_vacuum(None).with_calibration(semiangle=None)
    assert Reconstruction(bare).begin_with(probe=done.probe).run(1).iteration == 1


def test_the_probe_is_shown_before_the_first_run(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done)
    shown = recon.probe / np.linalg.norm(recon.probe)
    np.testing.assert_allclose(shown, done.probe / np.linalg.norm(done.probe), atol=1e-5)


def test_a_file_remembers_what_it_began_with(ducky, done, tmp_path):
    recon = Reconstruction(ducky).begin_with(probe=done, object=done.object, hold_probe=True).run(1)
    recon.save(tmp_path / "run.h5")
    again = Reconstruction.load(tmp_path / "run.h5", ducky)
    assert again.initialized_from == recon.initialized_from == again.given.words
    assert again.probe_is_given and again.given.held == ("probe",)
    np.testing.assert_array_equal(again.given.probe, recon.given.probe)
    again.run(2)
    np.testing.assert_array_equal(again.probe, again.problem.initial_probe[0])


def test_it_is_undone_by_nothing_by_none_and_by_reset(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done).run(1)
    recon.begin_with()
    assert not recon.probe_is_given and recon.run(1).initialized_from == "empty"
    recon.begin_with(probe=done)
    recon.given = None
    assert recon.run(1).initialized_from == "empty" and recon.iteration == 1
    recon.begin_with(probe=done).reset()
    assert not recon.probe_is_given and "Forgotten" in recon.message


def test_the_next_run_begins_anew(ducky, done):
    recon = Reconstruction(ducky).run(2)
    assert recon.begin_with(probe=done).run(1).iteration == 1


def test_the_latest_wish_for_an_object_holds(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done, object=done, hold_object=True)
    recon.initialize_from(recon.direct("dpc"))
    assert recon.given.object is None and recon.given.held == () and recon.probe_is_given
    recon.begin_with(object=done)
    assert recon.initial_image is None


def test_other_data_forget_the_object_and_keep_the_probe(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done, object=done)
    recon.dataset = samples.ducky("tiny", seed=1)
    assert recon.probe_is_given and recon.given.object is None


def test_more_modes_than_the_model_has_are_taken(ducky, done):
    two = np.stack([done.probe, 0.3j * np.roll(done.probe, 3, -1)])
    recon = Reconstruction(ducky).begin_with(probe=two, hold_probe=True)
    assert recon.model.modes == 2
    assert recon.run(1).modes.shape == (2, 64, 64)
    recon.model = recon.model.replace(modes=1)
    assert recon.run(1).probe.shape == (64, 64)


def test_what_is_held_stays_when_the_model_or_its_grid_changes(ducky, done):
    recon = Reconstruction(ducky).begin_with(probe=done, hold_probe=True).run(2)
    recon.model = recon.model.replace(slices=2, thickness=20)
    recon.run(1)
    np.testing.assert_array_equal(recon.probe, recon.problem.initial_probe[0])
    recon.object_type = "complex"
    recon.run(1)
    np.testing.assert_array_equal(recon.probe, recon.problem.initial_probe[0])


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"probe": np.ones((5, 5))}, ParameterError, "centred=False or centred=True"),
        ({"probe": np.zeros((64, 64))}, ParameterError, "zero everywhere"),
        ({"probe": np.full((64, 64), np.nan)}, DataError, "NaN"),
        ({"probe": 5}, ParameterError, "expected an array"),
        ({"probe": "nowhere.npy"}, FileFormatError, "no such file: nowhere.npy"),
        ({"hold_probe": True}, ParameterError, "no probe is given"),
        ({"object": np.ones((4, 5))}, None, ""),
        ({"probe": np.eye(3), "hold_probe": "yes"}, ParameterError, "expected True or False"),
        ({"probe": np.eye(3), "sampling": 0}, ParameterError, "expected the size of a pixel"),
        ({"probe": np.eye(3), "centred": 1}, ParameterError, "expected True or False"),
    ],
)
def test_what_is_not_understood_is_refused(ducky, arguments, error, words):
    recon = Reconstruction(ducky)
    if error is None:  # fits or not: that is known when there is a problem
        with pytest.raises(PtyError, match="the object is 4 x 5 pixels"):
            recon.begin_with(**arguments).run(1)
        return
    with pytest.raises(error, match=words):
        recon.begin_with(**arguments)
    assert recon.given is None


def test_foreign_files_without_the_array_say_what_they_have(ducky, files, tmp_path):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a/probe"] = np.ones((4, 4), complex)
        file["b/probe"] = np.ones((4, 4), complex)
    with pytest.raises(FileFormatError, match="a/probe, b/probe"):
        Reconstruction(ducky).begin_with(probe=tmp_path / "two.h5")
    with pytest.raises(FileFormatError, match="none of 2 or 3 axes"):
        Reconstruction(ducky).begin_with(object=tmp_path / "two.h5")
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(FileFormatError, match=r"text.h5 is not HDF5; it looks like text"):
        Reconstruction(ducky).begin_with(probe=tmp_path / "text.h5")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"or holds Python objects, which are never opened"):
        Reconstruction(ducky).begin_with(probe=tmp_path / "objects.npy")


def test_a_reconstruction_that_has_not_run_has_nothing_to_give(ducky):
    with pytest.raises(ParameterError, match="has not run yet"):
        Reconstruction(ducky).begin_with(probe=Reconstruction(ducky))
