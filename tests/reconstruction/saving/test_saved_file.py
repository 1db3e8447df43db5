"""A saved reconstruction finds its data again, with everything that was done to them, and goes on bit for bit."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import DataError, Dataset, FileFormatError, ParameterError, prepare, read
from ptywidgets.engine.checkpoint import load_checkpoint, save_checkpoint
from ptywidgets.engine.metrics import compare_to_truth
from ptywidgets.testing.series import SERIES_OPTICS, example_tilts

pytestmark = pytest.mark.usefixtures("no_thread_survives")
DEFOCUS = samples.ducky_defocus("tiny")


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("tiny")


@pytest.fixture
def folder(tmp_path, duck):
    """The duck as a stack beside other data, with hot pixels, a mask and a vacuum pattern in files of their own."""
    counts = np.array(duck.data).reshape(-1, *duck.detector_shape)
    counts[:, 31, 33], counts[:, 10, 50] = 60000, 40000
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["counts"], file["other"] = counts, counts[::-1] // 2
    mask = np.ones(duck.detector_shape, bool)
    mask[31, 33] = mask[10, 50] = False
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "vacuum.npy", duck.vacuum)
    return tmp_path


def known(duck):
    return {k: v for k, v in dataclasses.asdict(duck.calibration).items() if v is not None}


@pytest.fixture
def used(folder, duck):
    dataset = read(
        folder / "stack.h5",
        dataset="counts",
        scan_shape=duck.scan_shape,
        vacuum=folder / "vacuum.npy",
        mask=folder / "mask.npy",
        **known(duck),
    )
    return dataset[:, 1:].crop(detector=(2, 62, 2, 62)).bin(detector=2)


def goes_on_alike(recon, path, *others):
    """Whether what was loaded, in all ways, and what was not saved end alike."""
    recon.save(path)
    recon.run(3)
    for load in (Reconstruction.load, Reconstruction.open, *others):
        again = load(path)
        assert again.dataset.source == recon.dataset.source
        again.run(3)
        assert again.losses == recon.losses
        assert np.array_equal(again.state.object, recon.state.object)
        assert np.array_equal(again.state.probe, recon.state.probe)
    return again


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_everything_that_was_done_to_the_data_is_done_again(used, folder, schedule):
    positions = np.ones(used.scan_shape, bool)
    positions[3, 4] = False
    recon = Reconstruction(used.with_scan_mask(positions), defocus=DEFOCUS)
    if schedule == "manual":
        recon.update_plan(batch=20)
    again = goes_on_alike(recon.run(3), folder / "saved.h5")
    assert np.array_equal(again.dataset.mask, used.mask) and np.array_equal(again.dataset.scan_mask, positions)
    assert np.array_equal(again.dataset.vacuum, used.vacuum) and again.dataset.name == "stack"


def test_the_mask_is_saved(folder, duck):
    """Without it hot pixels would count again tomorrow."""
    counts = np.array(duck.data)
    counts[..., 31, 33] = 60000
    np.save(folder / "hot.npy", counts)
    mask = np.load(folder / "mask.npy")
    recon = Reconstruction(read(folder / "hot.npy", **known(duck)).with_mask(mask), defocus=DEFOCUS)
    goes_on_alike(recon.run(4), folder / "saved.h5")
    assert recon.error < 0.02
    (folder / "mask.npy").unlink()  # the array is in the file


def test_masks_and_vacuum_need_no_file_of_theirs(used, folder):
    recon = Reconstruction(used, defocus=DEFOCUS).run(1)
    recon.save(folder / "saved.h5")
    for name in ("mask.npy", "vacuum.npy"):
        (folder / name).unlink()
    assert np.array_equal(Reconstruction.load(folder / "saved.h5").dataset.vacuum, used.vacuum)


def test_data_that_were_moved(used, folder):
    recon = Reconstruction(used, defocus=DEFOCUS).run(1)
    recon.save(folder / "saved.h5")
    (folder / "stack.h5").rename(folder / "moved.h5")
    with pytest.raises(DataError, match=r"no longer at .*stack.h5.*Reconstruction.load\(path, dataset=...\)"):
        Reconstruction.load(folder / "saved.h5")
    again = Reconstruction.load(folder / "saved.h5", folder / "moved.h5")
    assert again.dataset.shape == used.shape and again.dataset.source.path.endswith("moved.h5")
    again.save(folder / "again.h5")
    assert Reconstruction.load(folder / "again.h5").dataset.source.operations == used.source.operations


def test_data_that_came_as_an_array(duck, tmp_path):
    whole = dataclasses.replace(duck, path=None)
    mask = np.ones(duck.detector_shape, bool)
    mask[0, 0] = False
    used = whole.with_mask(mask).bin(detector=2)
    recon = Reconstruction(used, defocus=DEFOCUS).run(2)
    recon.save(tmp_path / "saved.h5")
    with pytest.raises(DataError, match=r"came as an array; pass them, as they were stored"):
        Reconstruction.load(tmp_path / "saved.h5")
    ways = (whole, Dataset(np.asarray(duck.data)), used, used.load(), Dataset(used.load().data))
    recon.run(2)
    for given in ways:
        again = Reconstruction.load(tmp_path / "saved.h5", given)
        assert np.array_equal(again.dataset.mask, used.mask), "as it was, whatever comes with the data"
        assert again.run(2).losses == recon.losses
    with pytest.raises(DataError, match="not the data of the saved reconstruction"):
        Reconstruction.load(tmp_path / "saved.h5", Dataset(np.asarray(duck.data)[::-1]))


def test_files_of_older_versions_are_loaded(folder, duck):
    np.save(folder / "duck.npy", np.array(duck.data))
    recon = Reconstruction(read(folder / "duck.npy", **known(duck)), defocus=DEFOCUS)
    recon.run(2).save(folder / "saved.h5")
    saved = load_checkpoint(folder / "saved.h5")
    assert saved.data is not None
    save_checkpoint(folder / "old.h5", dataclasses.replace(saved, data=None))
    old = Reconstruction.load(folder / "old.h5")
    assert old.run(1).losses == recon.run(1).losses


def test_every_tilt_keeps_its_own(tmp_path):
    datasets = []
    for number, one in enumerate(example_tilts()):
        np.save(tmp_path / f"{number}.npy", np.asarray(one.data))
        mask = np.ones(one.detector_shape, bool)
        mask[number, 0] = False
        dataset = read(
            tmp_path / f"{number}.npy", **{k: v for k, v in dataclasses.asdict(one.calibration).items() if v}
        )
        datasets.append(dataset.with_mask(mask))
    recon = Reconstruction(datasets, tilts=[-60, -20, 0, 30, 70], optics=SERIES_OPTICS)
    recon.model = recon.model.replace(slices=2, thickness=8)
    recon.run(1).save(tmp_path / "saved.h5")
    again = Reconstruction.load(tmp_path / "saved.h5")
    for one, other in zip(recon.views.datasets, again.views.datasets, strict=True):
        assert np.array_equal(one.mask, other.mask) and one.source == other.source
    assert again.run(1).losses == recon.run(1).losses


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("energy", 200e3),
        ("scan_step", 3.0),
        ("q_pixel", 1.0),
        ("semiangle", 5.0),
        ("angle_pixel", 2.0),
        ("defocus", 1234.0),
        ("dataset", "other"),
        ("scan_shape", (6, 24)),
        ("choose", 1),
        ("tilts", [0]),
        ("vacuum", np.ones((30, 30))),
        ("mask", np.ones((30, 30))),
        ("allow_external", True),
    ],
)
def test_what_would_be_dropped_is_refused(used, folder, argument, value):
    Reconstruction(used, defocus=DEFOCUS).run(1).save(folder / "saved.h5")
    with pytest.raises(
        ParameterError, match=rf"saved.h5 is a saved reconstruction, and {argument}=.*Leave it out.*stack.h5"
    ):
        Reconstruction.open(folder / "saved.h5", **{argument: value})


def test_what_says_the_same_is_taken_and_nonsense_is_not(used, folder, duck):
    Reconstruction(used, defocus=DEFOCUS).run(1).save(folder / "saved.h5")
    same = {"energy": 80e3, "scan_step": 1.5, "defocus": DEFOCUS, "dataset": "counts", "scan_shape": [12, 12]}
    assert Reconstruction.open(folder / "saved.h5", **same).iteration == 1
    with pytest.raises(ParameterError, match=r"unknown argument of Reconstruction.open 'enrgy'; did you mean 'energy'"):
        Reconstruction.open(folder / "saved.h5", enrgy=80e3)


def test_crop_and_bin_of_a_reconstruction_take_the_optics_along(duck):
    recon = Reconstruction(duck, defocus=DEFOCUS)
    before = recon.run(1).state
    recon.crop(scan=(0, 10, 1, 12))
    recon.bin(detector=2)
    assert recon.optics.vacuum.shape == recon.dataset.detector_shape == (32, 32)
    assert recon.optics.aberrations["defocus"] == DEFOCUS
    assert recon.run(1).iteration == 1 and recon.state is not before
    recon.set_calibration(energy=100e3)
    recon.uncrop()
    assert recon.dataset.shape == duck.shape and recon.optics.vacuum.shape == (64, 64)
    assert recon.calibration.energy == 100e3 and recon.calibration.q_pixel == duck.calibration.q_pixel
    with pytest.raises(DataError, match="cuts the bright-field disk"):
        recon.crop_and_bin(detector=(0, 30, 0, 64), bin_scan=2)
    assert recon.dataset.shape == duck.shape, "nothing is changed"


def test_data_that_are_set_bring_their_vacuum_pattern(duck):
    recon = Reconstruction(duck, defocus=DEFOCUS)
    recon.dataset = recon.dataset[:, 1:].bin(detector=2)
    assert np.array_equal(recon.optics.vacuum, recon.dataset.vacuum) and recon.optics.vacuum.shape == (32, 32)
    assert recon.run(1).iteration == 1
    own = recon.optics.vacuum + 1.0
    recon.optics = recon.optics.replace(vacuum=own)
    recon.dataset = recon.dataset.with_calibration(energy=81e3)
    assert np.array_equal(recon.optics.vacuum, own), "one that is not of the data stays"


def test_all_tilts_are_binned(duck):
    recon = Reconstruction(example_tilts(), tilts=[-60, -20, 0, 30, 70], optics=SERIES_OPTICS)
    shape = recon.dataset.detector_shape
    recon.bin(detector=2)
    assert {one.detector_shape for one in recon.views.datasets} == {(shape[0] // 2, shape[1] // 2)}
    assert recon.dataset is recon.views.datasets[0]


def test_a_saved_reconstruction_is_no_tilt_and_no_data(used, folder):
    Reconstruction(used, defocus=DEFOCUS).run(1).save(folder / "saved.h5")
    with pytest.raises(ParameterError, match=r"saved.h5 is a saved reconstruction, not a data file"):
        Reconstruction.open([folder / "saved.h5", folder / "stack.h5"], tilts=[0, 10])
    with pytest.raises(FileFormatError, match=r"saved.h5 is a saved reconstruction.*Reconstruction.load"):
        read(folder / "saved.h5")


def test_a_part_of_the_data_gives_the_same_specimen(simulated):
    recon = Reconstruction.open(simulated / "small.h5", energy=80e3, semiangle=20, defocus=350)
    recon.crop_and_bin(scan=(2, 22, 2, 22), detector=(8, 88, 8, 88))
    recon.run(8)
    places = np.load(simulated / "small_positions_A.npy").reshape(24, 24, 2)[2:22, 2:22].reshape(-1, 2)
    truth = np.load(simulated / "small_truth.npz")["phase"]
    found = compare_to_truth(
        recon.object,
        recon.state.positions,
        truth,
        places,
        sampling=recon.problem.sampling,
        truth_sampling=0.1388888888888889,
    )
    assert found.correlation > 0.93


def test_a_binning_that_leaves_the_probe_no_room_is_told(simulated):
    recon = Reconstruction.open(simulated / "small.h5", energy=80e3, semiangle=20, defocus=350)
    before = {finding.name: finding.verdict for finding in recon.examine()}
    recon.bin(detector=3)
    after = {finding.name: finding.verdict for finding in recon.examine()}
    assert before["probe box"] == "good" and after["probe box"] == "bad"
    assert after["disk and semi-angle"] == before["disk and semi-angle"] == "good"


def test_what_data_that_are_passed_say_otherwise_is_said(tmp_path):
    duck = samples.ducky("tiny")
    mask = np.ones(duck.detector_shape, bool)
    mask[3] = False
    Reconstruction(duck.with_mask(mask), defocus=DEFOCUS).run(1).save(tmp_path / "saved.h5")
    same = Reconstruction.load(tmp_path / "saved.h5", duck)
    assert "Kept" not in same.message and np.array_equal(same.dataset.mask, mask)
    other = duck.with_mask(np.roll(mask, 5, 0)).with_calibration(scan_step=1.4)
    again = Reconstruction.load(tmp_path / "saved.h5", other)
    assert again.message.startswith("Kept as it was saved") and "scan_step (1.5, not 1.4), mask." in again.message
    assert again.dataset.calibration.scan_step == 1.5 and np.array_equal(again.dataset.mask, mask)


@pytest.mark.parametrize(
    "given", [{}, {"defocus": DEFOCUS}, {"rotation": -15.0}], ids=["nothing", "defocus", "rotation"]
)
def test_what_was_found_is_still_found_after_loading_and_what_was_given_is_given(duck, tmp_path, given):
    recon = Reconstruction(duck, **{k: v for k, v in given.items() if k == "defocus"})
    if "rotation" in given:
        recon.preparation = recon.preparation.replace(rotation=given["rotation"])
    path = recon.run(2).save(tmp_path / "found.h5")
    again = Reconstruction.load(path, duck)
    assert again._inputs.found_names == recon._inputs.found_names
    for one in (recon, again):
        one.dataset = Dataset(np.array(duck.data), duck.calibration, vacuum=duck.vacuum)
    wanted = {"defocus", "rotation", "transpose"} - set(given)
    assert set(again.unknown) == set(recon.unknown) == wanted
    assert (again.optics.aberrations["defocus"] == DEFOCUS) == ("defocus" in given)
    assert again.preparation.rotation == given.get("rotation")


def test_what_was_changed_after_a_run_is_begun_anew_also_after_loading(duck, tmp_path):
    """The file has the state of the one lens and the numbers of the other."""
    recon = Reconstruction(duck, defocus=DEFOCUS)
    recon.run(3)
    recon.update_optics(defocus=DEFOCUS + 100)
    again = Reconstruction.load(recon.save(tmp_path / "changed.h5"), duck)
    assert recon.run(1).iteration == 1 and again.run(1).iteration == 1
    assert Reconstruction.load(again.save(tmp_path / "as it was.h5"), duck).run(1).iteration == 2


@pytest.mark.parametrize("begun", [False, True])
def test_what_a_run_may_do_by_itself_is_saved(duck, tmp_path, begun):
    recon = Reconstruction(
        duck,
        defocus=DEFOCUS,
        schedule="automatic" if begun else "manual",
        hold=("rotation", "scan_step"),
        find_unknown=False,
    )
    recon.prepare(rotation=-15, transpose=False)
    if begun:
        recon.run(1)
    again = Reconstruction.load(recon.save(tmp_path / "held.h5"), duck)
    assert (again.schedule == "automatic", again.hold, again.find_unknown) == (begun, ("rotation", "scan_step"), False)


def test_a_measurement_of_ones_own_is_not_found_after_loading(duck, tmp_path):
    recon = Reconstruction(duck, defocus=DEFOCUS)
    recon.measurement = prepare(duck, rotation=-10, transpose=False)
    recon.run(1)
    again = Reconstruction.load(recon.save(tmp_path / "own.h5"), duck)
    assert again._inputs.found_names == () and "rotation" in again._check.given_names
