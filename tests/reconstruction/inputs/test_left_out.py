"""A reconstruction of data with frames, or pixels, that do not count: as good as that of the whole."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import CalibrationError, Dataset, DataWarning
from ptywidgets.engine.metrics.truth.compare import compare_to_truth
from ptywidgets.reconstruction.result.scan_frame import into_scan_frame

TRUTH, PLACES = samples.ducky_truth("small")


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("small")


def correlation(recon):
    """With the truth, on which a pixel of the data is a pixel."""
    sampling = recon.measurement.sampling[0]
    places = PLACES[recon.measurement.scan_indices]
    found = compare_to_truth(
        recon.object, recon.positions, TRUTH, places, sampling=recon.sampling, truth_sampling=sampling
    )
    return found.correlation


def reconstructed(dataset):
    recon = Reconstruction(dataset)
    recon.calibrate()
    return recon.run()


@pytest.fixture(scope="module")
def whole(duck):
    return correlation(reconstructed(duck))


def test_ten_lost_frames_cost_nothing(duck, whole):
    lost = np.random.default_rng(0).choice(576, 10, replace=False)
    data = duck.data.astype(np.float32).reshape(576, 96, 96)
    data[lost[:5]], data[lost[5:]] = 0, np.nan
    recon = reconstructed(replace(duck, data=data.reshape(duck.shape)))
    assert whole > 0.99 and correlation(recon) > whole - 0.005
    assert sorted(np.flatnonzero(~recon.measurement.scan_mask)) == sorted(lost)
    assert "10 positions left out" in repr(recon.dataset) and len(recon.positions) == 566
    for method in ("dpc", "ssb"):
        assert np.isfinite(recon.direct(method).phase).all()


def test_a_gap_across_the_disk_costs_next_to_nothing(duck, whole):
    gap = np.zeros(duck.detector_shape, bool)
    gap[40:43] = gap[:, 60:62] = True
    data, vacuum = duck.data.astype(np.int32), duck.vacuum.copy()
    data[..., gap] = vacuum[gap] = -1
    recon = reconstructed(replace(duck, data=data, vacuum=vacuum))
    assert correlation(recon) > whole - 0.005  # where only the mask was heeded 0.29
    assert (recon.dataset.mask == ~gap).all()


def test_what_is_left_out_is_said(duck):
    data = duck.data[:12, :12].copy()
    data[3, 4] = 0
    recon = Reconstruction(replace(duck, data=data), defocus=350)
    recon.prepare(rotation=-15.0, transpose=False)
    assert "1 frame of 144 without a single count, at scan [3, 4]" in recon.message
    assert not recon.dataset.scan_mask[3, 4] and recon.measurement.notes
    recon.dataset = recon.dataset.with_scan_mask(None)
    assert recon.measurement is None


def test_maps_of_positions_have_holes_and_the_picture_stays_in_place(duck):
    mask = np.ones((12, 12), bool)
    mask[:, 0] = mask[4, 4] = False
    part = replace(duck, data=duck.data[:12, :12])
    frames = []
    for dataset in (part, part.with_scan_mask(mask)):
        recon = Reconstruction(dataset, defocus=350)
        recon.prepare(rotation=-15.0, transpose=False)
        recon.run(1)
        first = recon.problem.initial_positions
        frames.append((recon.problem.scan_middle - first[-1], into_scan_frame(recon.problem, None)[2]))
    assert frames[0][1] == frames[1][1]
    np.testing.assert_allclose(frames[0][0], frames[1][0])  # from the last position, which both have
    recon.result.state = recon.state.replace(positions=recon.state.positions + 0.5)
    np.testing.assert_array_equal(np.isnan(recon.position_corrections[..., 0]), ~mask)


@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (2, 2), (3, 3)])
def test_line_scans_and_tiny_scans_run_and_say_what_they_cannot_tell(duck, shape):
    part = replace(duck, data=duck.data[4 : 4 + shape[0], 6 : 6 + shape[1]])
    recon = Reconstruction(part)
    start = recon.calibrate()
    assert {d.name for d in start.estimates if d.source == "cannot tell"} == {"rotation", "transpose", "defocus"}
    assert f"{shape[0]} x {shape[1]} scan positions" in start.estimate("rotation").sentence
    assert "cannot tell the rotation" in start.measurement.rotation_fit.message
    assert not start.measurement.rotation_fit.flip_resolved
    with pytest.raises(CalibrationError, match="too few to find"):
        Reconstruction(part).run(2)
    recon = Reconstruction(part, defocus=350)
    recon.prepare(rotation=-15.0, transpose=False)
    assert np.isfinite(recon.run(2).error)


def test_a_vacuum_scan_is_averaged_when_a_dataset_is_made(duck):
    with pytest.warns(DataWarning, match="mean of 2 patterns"):
        dataset = Dataset(duck.data[:2, :2], duck.calibration, vacuum=np.stack([duck.vacuum, duck.vacuum]))
    np.testing.assert_allclose(dataset.vacuum, duck.vacuum)


def test_going_on_leaves_out_the_same_positions(duck, tmp_path):
    part = replace(duck, data=duck.data[:12, :12])
    mask = np.ones((12, 12), bool)
    mask[:, 0] = False
    recon = Reconstruction(part.with_scan_mask(mask), defocus=350)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    path = recon.save(tmp_path / "part.h5")
    for data in (part, part.with_scan_mask(mask)):
        again = Reconstruction.load(path, data)
        assert len(again.measurement.patterns) == 132 and again.run(1).iteration == 2
