"""Filtered back-projection: what went in comes out, and what is missing is what is known to be missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.tomography import Projection, Tilt, filtered_back_projection
from ptywidgets.engine.tomography.backprojection import angular_weights

SHAPE = (32, 32, 4)


def ball():
    volume = np.zeros(SHAPE, np.float32)
    volume[11:20, 9:22, 1:3] = 1
    volume[14:17, 24:27] = 0.5
    return ndimage.gaussian_filter(volume, (1.2, 1.2, 0))


def views(angles, axis="x", shape=SHAPE, voxel=(1.0, 1.0, 1.0)):
    return [Projection(Tilt(**{axis: angle}), shape, voxel, slices=3) for angle in angles]


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("deep", [1, 2])
def test_a_volume_comes_back(axis, deep):
    """Also one of voxels that are deeper than wide."""
    volume = ball().reshape(32 // deep, deep, 32, 4).sum(1)
    volume = volume if axis == "x" else volume.transpose(0, 2, 1)
    voxel = (0.5 * deep, 0.5, 0.5)
    series = views(range(-90, 90, 5), axis, volume.shape, voxel)
    found = filtered_back_projection([view(volume).sum(0) for view in series], series)
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), volume.ravel())[0, 1] > 0.99
    assert np.abs(found - volume).max() < (0.06 if deep == 1 else 0.2) * volume.max()


def test_a_missing_wedge_costs_depth_resolution_and_no_more_than_its_share():
    volume = ball()
    series = views(range(-60, 61, 5))
    found = filtered_back_projection([view(volume).sum(0) for view in series], series)
    assert 0.8 < np.corrcoef(found.ravel(), volume.ravel())[0, 1] < 0.97
    assert angular_weights(np.arange(-60.0, 61, 5)).max() < np.radians(10)


def test_uneven_tilts_are_weighted():
    weights = angular_weights(np.array([-80.0, -70, -60, -30, 0, 30, 60, 85]))
    np.testing.assert_allclose(weights.sum(), np.pi)
    assert weights[1] < weights[3]


def test_a_limit_takes_detail_away():
    volume = ball()
    series = views(range(-90, 90, 10))
    phases = [view(volume).sum(0) for view in series]
    sharp, smooth = (filtered_back_projection(phases, series, q_max=q) for q in (None, 0.15))
    assert np.abs(np.diff(smooth, axis=1)).max() < 0.8 * np.abs(np.diff(sharp, axis=1)).max()


def test_mistakes_are_named():
    series = [Projection(Tilt(x=10), SHAPE, (1.0, 1.0, 1.0)), Projection(Tilt(y=10), SHAPE, (1.0, 1.0, 1.0))]
    pictures = [np.zeros(SHAPE[1:])] * 2
    with pytest.raises(ParameterError, match="all about x or all about y"):
        filtered_back_projection(pictures, series)
    with pytest.raises(DataError, match="one for each"):
        filtered_back_projection(pictures[:1], series)
    with pytest.raises(DataError, match="as the volume"):
        filtered_back_projection([np.zeros((3, 3))], series[:1])
