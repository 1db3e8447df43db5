"""A reconstruction of data that are still being written: what is set stays, runs take rows in, threads end."""

from __future__ import annotations

import gc
import pickle
import threading
import time
import weakref
from contextlib import closing

import numpy as np
import pytest

from ptywidgets import Follower, Reconstruction
from ptywidgets.engine import Plan
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.io import read
from ptywidgets.engine.preprocess import Preparation, prepare
from ptywidgets.reconstruction.inputs import inputs

PATIENCE = 60  # s


def until(what):
    end = time.monotonic() + PATIENCE
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    assert what()


@pytest.fixture
def scan(growing_duck):
    return growing_duck(6)


def recon_of(scan, **options):
    return Reconstruction(scan.open(), **scan.given, **options)


def recon_of_complete(scan, **options):
    return Reconstruction(scan.complete(), **scan.given, **options)


def likeness(one, other):
    return np.corrcoef(one.object_phase.ravel(), other.object_phase.ravel())[0, 1]


def test_data_and_measurement_grow_and_what_is_set_stays(scan):
    recon = recon_of(scan)
    assert recon.following.rows == 6 and recon.dataset.scan_mask.sum() == 6 * 24
    recon.prepare()
    assert recon.measurement.rows_there == 6
    recon.set_calibration(scan_step=2.1)
    recon.prepare(rotation=-14)
    scan.write(11)
    until(lambda: recon.measurement.rows_there == 11)
    assert recon.dataset.calibration.scan_step == 2.1 and recon.rotation == -14
    assert recon.dataset.scan_mask.sum() == 11 * 24
    scan.write(24)
    until(lambda: recon.measurement.rows_there is None)
    whole = prepare(Dataset(scan.patterns, recon.calibration), recon.preparation)
    np.testing.assert_array_equal(recon.measurement.origin, whole.origin)
    np.testing.assert_array_equal(recon.measurement.positions, whole.positions)
    assert recon.dataset.scan_mask is None and recon.following.complete
    until(lambda: "24 of 24 rows" in recon.message)


def test_a_rotation_that_was_not_given_is_fitted_to_all_rows(scan):
    recon = recon_of(scan)
    recon.prepare(rotation=None, transpose=None)
    scan.write(24)
    until(lambda: recon.measurement.rows_there is None)
    whole = prepare(Dataset(scan.patterns, recon.calibration))
    assert recon.rotation == whole.rotation and recon.measurement.rotation_fit == whole.rotation_fit


def test_the_bright_field_is_quick_while_rows_come_and_in_full_at_the_end(scan):
    recon = recon_of(scan)
    recon.prepare()
    recon.bright_field()
    scan.write(24)
    until(lambda: recon.measurement.rows_there is None)
    quick, again = recon.bright_field(at_once=True), recon.bright_field(at_once=True)
    assert quick.images is again.images and quick.images[:, 6:].any()
    full = recon.bright_field()
    whole = bright_field(recon.dataset, recon.measurement)
    np.testing.assert_array_equal(full.images, whole.images)
    assert recon.bright_field(at_once=True).images is full.images


def test_a_full_bright_field_that_fails_leaves_none_that_is_taken_for_it(scan, monkeypatch):
    recon = recon_of(scan)
    recon.prepare()
    quick = recon.bright_field()
    recon.complete_now()
    home = "ptywidgets.reconstruction.inputs.first_image.bright_field"
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(home, lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
        recon.bright_field()
    full = recon.bright_field()
    assert full.binning == 1 and len(full.images) > len(quick.images)


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_a_run_takes_rows_in(scan, schedule):
    options = {} if schedule == "automatic" else {"plan": Plan(iterations=8)}
    recon, rows = recon_of(scan, **options), set()
    recon.observe(lambda _: rows.add(recon._maker.made_of.measurement.rows_there), "iteration")
    recon.start()
    for number in (9, 14):
        until(lambda: recon.iteration > 0)
        scan.write(number)
        until(lambda number=number: number in rows)
    scan.write(24)
    recon.wait()
    assert recon.status == "finished" and {6, 9, 14, None} <= rows
    assert len(recon.state.positions) == 24 * 24 and len(recon.losses) == recon.iteration
    complete = recon_of_complete(scan, **options).run()
    assert recon.object_phase.shape == complete.object_phase.shape
    assert recon.error < 1.05 * complete.error
    assert likeness(recon, complete) > (0.99 if schedule == "automatic" else 0.95)


def test_a_run_waits_for_rows_and_stops_at_once(scan):
    recon = recon_of(scan, plan=Plan(iterations=2))
    recon.start()
    until(lambda: recon.iteration == 2)
    time.sleep(0.2)
    assert recon.status == "running" and recon.iteration == 2
    recon.pause()
    until(lambda: recon.status == "paused")
    recon.resume()
    recon.stop()
    assert recon.status == "stopped"
    scan.write(24)
    until(lambda: recon._following.has_more and recon.following.complete)
    assert len(recon.state.positions) == 6 * 24
    recon.run(3)
    assert len(recon.state.positions) == 24 * 24 and recon.iteration == 5


def test_too_few_rows_are_waited_for(scan):
    recon = recon_of(scan)
    recon.preparation = Preparation()
    recon.start()
    until(lambda: "Waiting for rows: 6 of 24 rows are there; the run begins with 16" in recon.message)
    recon.stop()
    assert recon.state is None and recon.status == "stopped"


def test_a_run_ends_where_nothing_more_comes(scan):
    recon = recon_of(scan, plan=Plan(iterations=3))
    recon.start()
    until(lambda: recon.iteration > 0)
    recon.complete_now()
    recon.wait()
    assert recon.status == "finished" and "The result is of 6 of 24 rows, nothing more is waited for" in recon.message
    assert recon.dataset.scan_mask.sum() == 6 * 24
    with pytest.raises(DataError, match="no data are followed"):
        recon_of_complete(scan).complete_now()


def test_a_file_that_is_taken_away_is_told_and_what_is_there_stays(scan):
    recon = recon_of(scan, plan=Plan(iterations=2))
    recon.start()
    until(lambda: recon.iteration == 2)
    scan.path.write_bytes(b"")
    recon.wait()
    assert recon.status == "finished" and len(recon.state.positions) == 6 * 24 and recon.iteration == 4
    assert "The result is of 6 of 24 rows; scan.raw has become shorter" in recon.message


def test_a_saved_run_goes_on_with_the_rows_that_have_come(scan, tmp_path):
    recon = recon_of(scan, plan=Plan(iterations=2))
    recon.start()
    until(lambda: recon.iteration == 2)
    recon.stop()
    recon.save(tmp_path / "saved.h5")
    scan.write(24)
    loaded = Reconstruction.load(tmp_path / "saved.h5")
    assert len(loaded.state.positions) == 6 * 24 and loaded.following is not None
    until(lambda: loaded.following.complete and loaded._following.has_more)
    loaded.run(2)
    assert len(loaded.state.positions) == 24 * 24 and loaded.iteration == 4


def test_cropping_the_scan_ends_it(scan):
    recon = recon_of(scan)
    recon.crop(scan=(0, 6, 0, 12))
    assert recon.following is None and "no more rows are taken in" in recon.message
    recon.uncrop()
    assert recon.following is not None


def test_the_thread_ends_with_the_reconstruction(scan):
    recon = recon_of(scan)
    thread, gone = recon.following._thread, weakref.ref(recon)
    recon.dataset = Dataset(scan.patterns, scan.duck.calibration)
    thread.join(PATIENCE)
    assert not thread.is_alive() and recon.following is None
    recon = recon_of(scan)
    thread, gone = recon.following._thread, weakref.ref(recon)
    del recon
    gc.collect()
    assert gone() is None
    thread.join(PATIENCE)
    assert not thread.is_alive() and thread not in threading.enumerate()


def test_a_copy_follows_by_itself(scan):
    recon = recon_of(scan, plan=Plan(iterations=2))
    recon.start()
    until(lambda: recon.iteration == 2)
    recon.stop()
    twins = [recon.copy(), pickle.loads(pickle.dumps(recon))]
    recon.following.close()
    scan.write(24)
    for twin in twins:
        until(lambda twin=twin: twin.measurement.rows_there is None)
        twin.run(1)
        assert len(twin.state.positions) == 24 * 24 and twin.iteration == 3


def test_rows_that_come_while_data_are_prepared(scan, monkeypatch):
    recon = recon_of(scan)
    plain = inputs.prepare

    def slow(dataset, preparation, **more):
        found = plain(dataset, preparation, **more)
        scan.write(20)
        until(lambda: recon.dataset.scan_mask.sum() == 20 * 24)
        return found

    monkeypatch.setattr(inputs, "prepare", slow)
    recon.prepare()
    until(lambda: recon.measurement.rows_there == 20)
    assert recon.dataset.scan_mask.sum() == 20 * 24 and recon._inputs.prepared is recon.measurement


def test_one_that_nobody_has_any_more_ends_its_run_and_its_watching(scan):
    def begun():
        recon = recon_of(scan, plan=Plan(iterations=100000, batch=8))
        recon.start()
        until(lambda: recon.losses)
        return weakref.ref(recon)

    left = begun()
    until(lambda: gc.collect() is not None and left() is None)
    until(lambda: not [one for one in threading.enumerate() if one.name in ("ptywidgets-run", "ptywidgets-follow")])


def test_a_tilt_series_of_files_that_are_still_written_is_refused(scan):
    data = scan.open()
    with pytest.raises(DataError, match=r"still being written .*a tilt series is not followed"):
        Reconstruction([data, data], tilts=[0, 10], defocus=250)
    scan.write(24)
    whole = read(scan.path, **scan.layout, **scan.known)
    assert len(Reconstruction([whole, whole], tilts=[0, 10], defocus=250).views) == 2


def test_a_transpose_that_nobody_has_given_is_not_taken_from_four_rows(scan):
    recon = recon_of(scan)
    recon.preparation = Preparation(rotation=-15)
    recon.update_plan(iterations=3)
    recon.start()
    until(lambda: "the run begins with 16" in recon.message)
    assert not recon.losses
    scan.write(24)
    recon.wait()
    assert recon.status in ("finished", "doubtful") and recon.transpose is False


def test_what_all_rows_say_of_the_transpose_is_told_at_the_end(scan):
    recon = recon_of(scan)
    recon.prepare(rotation=-15, transpose=True)
    recon.update_plan(iterations=2)
    recon.start()
    until(lambda: recon.losses)
    recon.preparation = Preparation(rotation=-15)  # nobody says it any more, as when it was found from the first rows
    scan.write(24)
    recon.wait()
    assert "By all rows the detector is not transposed" in recon.message


@pytest.mark.parametrize("follow", [1, 0, None, "yes", np.True_])
def test_follow_is_true_or_false(scan, follow):
    with pytest.raises(ParameterError, match=r"follow is .*expected True or False"):
        read(scan.path, follow=follow, **scan.layout)


@pytest.mark.parametrize(
    "wrong", [{"rows": "a"}, {"rows": 0}, {"rows": -1}, {"rows": 25}, {"rows": True}, {"timeout": "x"}]
)
def test_what_cannot_be_waited_for_is_refused(scan, wrong):
    with closing(Follower(read(scan.path, follow=True, **scan.layout))) as follower:
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            follower.wait(**wrong)
        assert follower.wait(rows=3).scan_mask.any()
