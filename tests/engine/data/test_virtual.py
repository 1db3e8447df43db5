"""Virtual detectors: all ways of summing agree, the disk is found."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Dataset
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.data import virtual


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("fast", [True, False])
def test_images_are_sums_over_the_mask(dtype, fast, monkeypatch):
    if not fast:
        monkeypatch.setattr(virtual, "_COPY_LIMIT", 0)
    data = np.random.default_rng(0).integers(0, 200, (5, 6, 16, 12)).astype(dtype)
    imager = virtual.VirtualImager(Dataset(data))
    assert imager.fast == fast
    masks = [
        virtual.disk_mask((16, 12), (7, 5), 3),
        virtual.annulus_mask((16, 12), (7, 5), 2, 20),
        virtual.rectangle_mask((16, 12), (7, 5), 4, 6),
        np.zeros((16, 12), bool),
        np.ones((16, 12), bool),
    ]
    for mask in masks:
        np.testing.assert_allclose(imager.image(mask), data[..., mask].sum(-1, dtype=float), rtol=1e-6, atol=1e-3)


def test_disk_of_the_ducky():
    dataset = samples.ducky("small")
    disk = virtual.fit_disk(dataset.mean_pattern())
    pixel = dataset.calibration.angle_pixel
    assert disk.radius * pixel == pytest.approx(20, abs=2)  # half height lies in the soft edge
    assert disk.centre == pytest.approx((48, 48), abs=1)


def test_hot_pixel_does_not_move_the_disk():
    pattern = virtual.disk_mask((64, 64), (30, 34), 12) * 100.0
    pattern[3, 5] = 1e4
    disk = virtual.fit_disk(pattern)
    assert disk.centre == pytest.approx((30, 34), abs=0.3) and disk.radius == pytest.approx(12, abs=0.5)


@pytest.mark.parametrize("limit", [None, 0])
def test_masked_pixels_are_not_summed(monkeypatch, limit):
    if limit is not None:
        monkeypatch.setattr("ptywidgets.engine.data.virtual._COPY_LIMIT", limit)
    data = np.ones((3, 4, 8, 8), np.float32)
    data[..., 4, 4], data[..., 0, 0] = np.nan, 1e6
    mask = np.ones((8, 8), bool)
    mask[4, 4] = mask[0, 0] = False
    imager = virtual.VirtualImager(Dataset(data).with_mask(mask))
    assert (imager.image(np.ones((8, 8), bool)) == 62).all()
    assert (imager.image(virtual.disk_mask((8, 8), (4, 4), 1)) == 4).all()
    assert imager.mean_pattern().max() == 1


def test_a_sample_of_large_data_stands_for_all_positions(monkeypatch):
    monkeypatch.setattr(virtual, "_COPY_LIMIT", 0)
    monkeypatch.setattr(virtual, "_SAMPLE_BYTES", 6 * 8 * 8)  # six patterns
    data = np.random.default_rng(1).integers(0, 9, (10, 7, 8, 8)).astype(np.uint8)
    counted = np.ones((10, 7), bool)
    counted[2, 2] = counted[9, 6] = False
    imager = virtual.VirtualImager(Dataset(data).with_scan_mask(counted, confirm=True))
    mask = virtual.disk_mask((8, 8), (4, 4), 2)
    exact, preview = imager.image(mask), imager.preview(mask)
    assert preview.shape == (10, 7)
    np.testing.assert_array_equal(np.isnan(preview), ~counted)
    seen = np.unique(preview[counted])
    assert 2 <= len(seen) <= 16 and np.isin(seen, data[..., mask].sum(-1, dtype=float)).all()
    assert np.nanmean(preview) == pytest.approx(np.nanmean(exact), rel=0.2)
    shares = []
    imager.image(mask, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    with pytest.raises(WorkStopped), stopped_by(lambda: True):
        imager.image(mask)
