"""A tilt series in a Reconstruction: it runs, holds, changes its model and goes on from files as one data set does."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from patience import wait_for

from ptywidgets import Reconstruction, samples, write
from ptywidgets.engine import CalibrationError, DataError, Dataset, ModelConfig, ParameterError
from ptywidgets.engine.checkpoint import load_checkpoint
from ptywidgets.engine.constraints import Positivity, ProbeCentre, VolumeSupport
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.tomography import Tilt
from ptywidgets.reconstruction import DisplaySettings, TiltSeriesData
from ptywidgets.testing.series import SERIES_OPTICS, blobs, example_tilts

pytestmark = pytest.mark.usefixtures("no_thread_survives")
TILTS = (-60.0, -20.0, 0.0, 30.0, 70.0)
DEEP = ModelConfig(slices=2, thickness=8, modes=2)


def made(model=DEEP, datasets=None, **values):
    datasets = example_tilts() if datasets is None else datasets
    tilts = np.array(TILTS)  # as numpy.arange makes them
    recon = Reconstruction(datasets, tilts=tilts, optics=SERIES_OPTICS, model=model, **values)
    recon.preparation = recon.preparation.replace(rotation=0.0, transpose=False, origin="constant")
    return recon


@pytest.fixture
def recon():
    recon = made()
    yield recon
    recon.stop()


@pytest.fixture(scope="module")
def done():
    """A run by hand, which nothing changes afterwards."""
    recon = made()
    recon.update_plan(batch=10)
    return recon.run(6)


# ---------------------------------------------------------------------------------------------------- what it is


def test_one_data_set_is_no_series():
    single = Reconstruction(example_tilts()[0], optics=SERIES_OPTICS)
    single.prepare(rotation=0.0, transpose=False)
    single.run(1)
    assert single.views is single.volume is single.voxel is None
    assert single.snapshot().tilts == () and single.object.ndim == 2


def test_a_series_looks_at_its_first_tilt(recon):
    assert recon.dataset is example_tilts()[0] and recon.status == "ready"
    assert recon.views.tilts == tuple(Tilt(x=angle) for angle in TILTS)
    assert "5 tilts from -60° to 70°" in repr(recon) and "blobs -60" in repr(recon)


@pytest.mark.parametrize(
    ("count", "tilts", "words"), [(5, TILTS[:4], "5 data sets but 4 tilts"), (2, None, "2 data sets but 0 tilts")]
)
def test_every_data_set_needs_a_tilt(count, tilts, words):
    with pytest.raises(ParameterError, match=words):
        Reconstruction(example_tilts()[:count], tilts=tilts)


def test_the_automatic_schedule_finds_the_volume(recon):
    recon.run()
    assert recon.status == "finished" and recon.iteration < recon.plan.iterations
    assert recon.volume.shape == (16, 29, 32) and recon.volume.dtype == np.float32
    assert recon.voxel == pytest.approx((0.5, 0.5, 0.5))
    truth, inside = blobs(recon.volume.shape), np.s_[3:-3, 7:-7, 7:-7]
    assert np.corrcoef(recon.volume[inside].ravel(), truth[inside].ravel())[0, 1] > 0.6
    assert [stage.name for stage in recon.stages] == ["PIE", "conjugate gradients"]


def test_the_picture_is_the_projection_at_no_tilt(done):
    layers = done.slices
    assert layers.shape == (16, *done.object_phase.shape)
    np.testing.assert_allclose(layers.sum(0), done.object_phase, atol=1e-4)
    np.testing.assert_allclose(done.depths, np.arange(17) * 0.5)
    assert done.object is not None and done.object.shape == done.volume.shape
    section, sampling = done.section((0.5, 0, 0.5, 1))
    assert section.shape[0] == 16 and sampling == pytest.approx((0.5, done.sampling[1]))


def test_the_look_chooses_layer_and_tilt(done):
    done.look = DisplaySettings()
    plain = done.snapshot()
    assert plain.tilts == done.views.tilts and plain.view == 0 and plain.slices == 16
    done.look = DisplaySettings(slice=3, view=4, section=(0.5, 0, 0.5, 1))
    seen = done.snapshot()
    assert (seen.slice, seen.view) == (3, 4) and seen.section.shape[0] == 16
    np.testing.assert_allclose(seen.object_phase, done.slices[3], atol=1e-6)
    np.testing.assert_array_equal(done.probe, done.state.probe[8:10])
    np.testing.assert_array_equal(done.positions, done.state.positions[80:])
    done.look = DisplaySettings(view=99)
    assert done.snapshot().view == 4, "what is no more does not stand for the last"
    done.look = DisplaySettings()


# ---------------------------------------------------------------------------------------------------- inputs


def test_every_tilt_is_prepared_alike_with_an_origin_of_its_own(recon):
    recon.prepare()
    measurements = recon.measurements
    assert len(measurements) == 5 and measurements[0] is recon.measurement
    assert {(m.rotation, m.transpose) for m in measurements} == {(0.0, False)}
    assert len({m.origin[0, 0, 0] for m in measurements}) == 5
    again = recon.measurements
    assert all(one is other for one, other in zip(measurements, again, strict=True)), "nothing has changed"
    recon.prepare(rotation=90.0)
    assert {m.rotation for m in recon.measurements} == {90.0}


def test_measurements_may_be_given_one_by_one(recon):
    recon.prepare()
    given = []
    for dataset in recon.views.datasets:
        recon.dataset = dataset
        recon.measurement = replace(recon.measurement, shifts=np.zeros_like(recon.measurement.shifts))
        given.append(recon.measurement)
    assert all(one is other for one, other in zip(recon.measurements, given, strict=True))
    recon.run(1)
    assert not any(view.measurement.shifts.any() for view in recon.problem.views)


def test_looking_at_another_tilt_starts_nothing_anew(recon):
    recon.run(1)
    before = recon.measurements
    recon.dataset = recon.views.datasets[3]
    assert recon.measurement is before[3] and recon.views is not None
    recon.run(1)
    assert recon.iteration == 2
    assert all(one is other for one, other in zip(before, recon.measurements, strict=True))


def test_other_data_end_the_series(recon):
    recon.run(1)
    recon.dataset = example_tilts((0.0, 10.0))[0]
    assert recon.views is None and recon.measurement is None
    recon.optics = SERIES_OPTICS
    recon.run(1)
    assert recon.iteration == 1 and recon.volume is None and "anew" in recon.message


def test_a_series_may_come_later():
    recon = Reconstruction(model=DEEP, optics=SERIES_OPTICS)
    recon.views = TiltSeriesData(example_tilts(), TILTS)
    assert recon.status == "ready" and recon.dataset is example_tilts()[0]
    assert recon.run(1).volume is not None


def test_the_calibration_is_that_of_all_tilts(recon):
    recon.dataset = recon.views.datasets[2]
    recon.prepare()
    recon.set_calibration(scan_step=1.6)
    assert {d.calibration.scan_step for d in recon.views.datasets} == {1.6}
    assert recon.dataset is recon.views.datasets[2] and recon.measurement is None
    recon.run(1)
    assert {m.calibration.scan_step for m in recon.measurements} == {1.6}


def test_optics_may_be_of_each_tilt():
    each = [SERIES_OPTICS.replace(rolloff=1.0 + n) for n in range(5)]
    recon = Reconstruction(example_tilts(), tilts=TILTS, optics=each, model=DEEP)
    recon.preparation = recon.preparation.replace(rotation=0.0, transpose=False)
    recon.run(1)
    first = [view.initial_probe for view in recon.problem.views]
    assert all(abs(one - first[0]).max() > 0 for one in first[1:])
    recon.dataset = recon.views.datasets[2]
    assert recon.optics == each[2]
    recon.optics = SERIES_OPTICS
    assert recon.views.optics == (), "set once, they are not those of all"
    with pytest.raises(ParameterError, match="4 optics but 5 tilts"):
        Reconstruction(example_tilts(), tilts=TILTS, optics=each[:4])
    with pytest.raises(ParameterError, match="leave one of them out"):
        Reconstruction(example_tilts(), tilts=TILTS, optics=each, defocus=10)
    with pytest.raises(ParameterError, match="expected one Optics"):
        Reconstruction(example_tilts()[0], optics=each)
    assert Reconstruction(views=TiltSeriesData(example_tilts(), TILTS, each)).optics == each[0]


def test_a_start_that_is_found_is_that_of_all_tilts():
    ducks = [samples.ducky("tiny"), samples.ducky("tiny", seed=1)]
    recon = Reconstruction([duck.with_calibration(q_pixel=None) for duck in ducks], tilts=[0, 10])
    recon.dataset = recon.views.datasets[1]
    start = recon.calibrate()
    assert recon.dataset is recon.views.datasets[1] and recon.measurement is start.measurement
    first, second = recon.measurements
    assert second is start.measurement
    assert (first.rotation, first.transpose) == (second.rotation, second.transpose)
    assert first.calibration == second.calibration == recon.views.datasets[0].calibration
    recon.dataset = recon.views.datasets[0]
    assert recon.measurement is first and recon.estimates == start.estimates


# ---------------------------------------------------------------------------------------------------- running


def test_pause_resume_stop_and_reset(recon):
    recon.update_plan(iterations=100000)
    recon.start()
    wait_for(lambda: len(recon.losses) > 1)
    recon.pause()
    wait_for(lambda: recon.status == "paused")
    held = len(recon.losses)
    recon.resume()
    wait_for(lambda: len(recon.losses) > held or recon.status == "finished")
    recon.stop()
    recon.reset()
    assert recon.volume is None and recon.status == "ready" and recon.views is not None


def test_a_stop_while_tilts_are_prepared_is_heard(recon, monkeypatch):
    from ptywidgets.reconstruction.inputs import inputs

    prepared = []

    def slowly(*args, **more):
        prepared.append(args)
        recon.request_stop()
        return genuine(*args, **more)

    genuine = inputs.prepare
    monkeypatch.setattr(inputs, "prepare", slowly)
    recon.run(1)
    assert recon.status == "stopped" and len(prepared) == 1 and recon.state is None
    monkeypatch.undo()
    recon.run(1)
    assert recon.iteration == 1


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_other_slices_modes_and_depths_go_on_with_the_volume(recon, schedule):
    recon.schedule = schedule
    recon.update_plan(iterations=2000, **({} if schedule == "automatic" else {"batch": 10}))
    recon.run(3)
    before = recon.volume
    recon.model = ModelConfig(slices=4, thickness=8, modes=1)
    recon.plan = recon.plan.replace(constraints=())
    recon.run(1)
    assert recon.iteration == 4 and recon.problem.projections[0].slices == 4 and recon.probe.ndim == 2
    assert np.corrcoef(before.ravel(), recon.volume.ravel())[0, 1] > 0.9
    recon.model = ModelConfig(slices=4, thickness=12, modes=2)
    recon.run(1)
    assert recon.iteration == 5 and recon.volume.shape[0] == 24 and len(recon.modes) == 2


def test_the_model_may_change_while_paused(recon):
    recon.update_plan(iterations=100000, batch=10)
    recon.start()
    wait_for(lambda: len(recon.losses) > 1)
    recon.pause()
    wait_for(lambda: recon.status == "paused")
    done = len(recon.losses)
    recon.model = recon.model.replace(slices=1)
    recon.resume()
    wait_for(lambda: len(recon.losses) > done)
    assert recon.problem.projections[0].slices == 1
    recon.stop()


def test_what_a_series_cannot_be_is_said(recon):
    recon.object_type = "complex"
    with pytest.raises(ParameterError, match="phases add up"):
        recon.run(1)
    assert recon.status == "error" and "phases add up" in recon.message
    recon.object_type = "potential"
    recon.model = ModelConfig(slices=2)
    with pytest.raises(ParameterError, match="how deep the volume"):
        recon.run(1)
    recon.model = DEEP
    assert recon.run(1).iteration == 1


def test_a_tilt_that_cannot_be_prepared_is_named():
    *most, last = example_tilts()
    datasets = [*most, Dataset(last.data, name="bare")]
    with pytest.raises(CalibrationError, match="tilt 5, bare: "):
        made(datasets=datasets).run(1)


def test_a_model_that_cannot_be_loses_nothing(recon):
    recon.run(2)
    volume = recon.volume
    recon.object_type = "complex"
    with pytest.raises(ParameterError, match="phases add up"):
        recon.run(1)
    np.testing.assert_array_equal(recon.volume, volume)
    recon.object_type = "potential"
    assert recon.run(1).iteration == 3


def test_constraints_on_the_volume_and_refinements(recon):
    recon.update_plan(constraints=(Positivity(), VolumeSupport(radius=4.0, edge=0.0), ProbeCentre()))
    recon.model = recon.model.replace(background=True)
    recon.run(2)
    assert recon.volume.min() >= 0 and np.abs(recon.volume[0, 0]).max() == 0
    assert recon.background.shape == (20, 20) and len(recon.state.parameters) == 5


def test_memory_counts_every_tilt(recon):
    recon.run(1)
    assert recon.memory >= 5 * recon.measurement.patterns.nbytes


# ---------------------------------------------------------------------------------------------------- keeping


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_a_saved_series_goes_on_exactly(recon, tmp_path, schedule):
    recon.schedule = schedule
    if schedule == "manual":
        recon.update_plan(batch=7)
    recon.run(3)
    path = recon.save(tmp_path / "series.h5")
    again = Reconstruction.load(path, dataset=example_tilts())
    assert again.schedule == schedule and again.views.tilts == recon.views.tilts and again.model == recon.model
    np.testing.assert_array_equal(again.volume, recon.volume)
    assert again.voxel == recon.voxel
    again.run(2)
    recon.run(2)
    assert again.losses == recon.losses
    np.testing.assert_array_equal(again.volume, recon.volume)
    np.testing.assert_array_equal(again.state.probe, recon.state.probe)


def test_an_interrupted_iteration_goes_on_from_a_file(recon, tmp_path):
    recon.update_plan(batch=7, iterations=4)
    whole = made()
    whole.update_plan(batch=7, iterations=4)
    whole.run()
    recon.start()
    wait_for(lambda: recon.state is not None and recon.state.batch > 0)
    recon.stop()
    again = Reconstruction.load(recon.save(tmp_path / "half.h5"), dataset=list(example_tilts())).run()
    assert again.losses == whole.losses
    np.testing.assert_array_equal(again.volume, whole.volume)


def test_files_of_tilts_are_found_again(tmp_path):
    paths = [write(tmp_path / f"{n}.h5", dataset) for n, dataset in enumerate(example_tilts())]
    recon = Reconstruction.open(paths, tilts=TILTS, energy=80e3, semiangle=25)
    recon.optics = SERIES_OPTICS
    recon.model = DEEP
    recon.run(1)
    path = recon.save(tmp_path / "series.h5")
    again = Reconstruction.open(path)
    assert [d.path for d in again.views.datasets] == paths
    again.run(1)
    recon.run(1)
    assert again.losses == recon.losses
    paths[2].unlink()
    with pytest.raises(DataError, match="not where they were"):
        Reconstruction.open(path)
    with pytest.raises(DataError, match="2 data sets but 5 tilts"):
        Reconstruction.load(path, dataset=paths[:2])


def test_the_file_holds_the_volume_with_its_voxels(done, tmp_path):
    path = done.save(tmp_path / "series.h5")
    with h5py.File(path) as file:
        node = file["ptywidgets_reconstruction_root/object"]
        assert node["data"].shape == (16, 29, 32) and node["data"].attrs["units"] == "rad"
        assert [node[f"dim{n}"].attrs["name"] for n in range(3)] == ["z", "y", "x"]
        assert [node[f"dim{n}"][1] for n in range(3)] == pytest.approx([0.5, 0.5, 0.5])
    saved = load_checkpoint(path)
    assert saved.voxel_depth == 0.5 and [view.name for view in saved.views] == [d.name for d in example_tilts()]


def test_optics_of_each_tilt_are_kept(tmp_path):
    generator = np.random.default_rng(3)
    each = [Optics(vacuum=generator.random((20, 20)), aberrations=SERIES_OPTICS.aberrations) for _ in TILTS]
    recon = Reconstruction(example_tilts(), tilts=TILTS, optics=each, model=DEEP)
    recon.prepare(rotation=0.0, transpose=False)
    again = Reconstruction.load(recon.save(tmp_path / "a.h5"), dataset=example_tilts())
    for one, other in zip(each, again.views.optics, strict=True):
        np.testing.assert_array_equal(one.vacuum, other.vacuum)
        assert one.aberrations == other.aberrations


def test_a_tilt_that_is_no_number_is_refused():
    with pytest.raises(ParameterError, match=r"the tilt is 'a'; expected degrees"):
        Reconstruction(example_tilts()[:2], tilts=["a", 0])
