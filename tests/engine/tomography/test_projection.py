"""Projections: adjoint to the last digit, no phase lost, and where things go."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.simulate import Atoms
from ptywidgets.engine.tomography import KERNELS, Projection, Tilt
from ptywidgets.engine.tomography.tilt import turn

SHAPE, VOXEL = (12, 16, 14), (1.0, 1.2, 0.9)
TILTS = [Tilt(), Tilt(x=33), Tilt(y=-50), Tilt(x=20, y=30), Tilt(x=20, y=30, z=10), Tilt(z=40), Tilt(x=90)]
CASES = pytest.mark.parametrize("tilt", TILTS, ids=str)


@pytest.fixture(params=KERNELS)
def kernel(request):
    return request.param


def noise(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@CASES
@pytest.mark.parametrize("slices", [1, 3, 12])
def test_the_adjoint_is_exact(tilt, slices, kernel):
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 1e-6)):
        projection = Projection(tilt, SHAPE, VOXEL, slices, kernel=kernel)
        volume, other = noise(SHAPE, dtype), noise((slices, *SHAPE[1:]), dtype, 1)
        made, back = projection(volume), projection.adjoint(other)
        assert made.dtype == back.dtype == dtype
        forth = np.vdot(made.astype(float), other)
        scale = np.linalg.norm(made) * np.linalg.norm(other)
        assert abs(forth - np.vdot(volume.astype(float), back)) <= rtol * scale


@CASES
@pytest.mark.parametrize("slices", [1, 4])
def test_no_phase_is_lost_in_the_picture(tilt, slices, kernel):
    volume = np.zeros(SHAPE)
    volume[5:7, 7:9, 6:8] = noise((2, 2, 2), float) + 3
    np.testing.assert_allclose(Projection(tilt, SHAPE, VOXEL, slices, kernel=kernel)(volume).sum(), volume.sum(), 1e-6)


def test_without_a_tilt_slices_are_sums_of_layers(kernel):
    volume = noise(SHAPE, float)
    for slices in (1, 3, 12):
        expected = volume.reshape(slices, 12 // slices, *SHAPE[1:]).sum(1)
        np.testing.assert_allclose(Projection(Tilt(), SHAPE, VOXEL, slices, kernel=kernel)(volume), expected, rtol=1e-6)


def test_layers_that_two_slices_share_are_divided():
    volume = noise((3, 4, 4), float)
    expected = np.stack([volume[0] + volume[1] / 2, volume[1] / 2 + volume[2]])
    np.testing.assert_allclose(Projection(Tilt(), (3, 4, 4), (1.0, 1.0, 1.0), 2)(volume), expected, rtol=1e-6)


@pytest.mark.parametrize(("there", "back"), [(Tilt(x=25), Tilt(x=-25)), (Tilt(y=-40), Tilt(y=40))], ids=str)
def test_there_and_back_is_nearly_the_identity(there, back, kernel):
    shape = (24, 24, 24)
    volume = np.zeros(shape)
    volume[10:14, 9:15, 11:13] = 1
    volume = ndimage.gaussian_filter(volume, 2)
    turned = [Projection(tilt, shape, (1.0, 1.0, 1.0), 24, kernel=kernel) for tilt in (there, back)]
    again = turned[1](turned[0](volume))
    assert np.corrcoef(again.ravel(), volume.ravel())[0, 1] > 0.98


@CASES
def test_an_atom_goes_where_the_simulator_turns_it(tilt):
    cell = tuple((n - 1) * d for n, d in zip(SHAPE, VOXEL, strict=True))
    index = (7, 9, 5)
    atoms = Atoms([[i * d for i, d in zip(index, VOXEL, strict=True)]], [6], 0, cell)
    for axis in "xyz":
        atoms = atoms.rotated(getattr(tilt, axis), axis)
    volume = np.zeros(SHAPE)
    volume[index] = 1
    found = Projection(tilt, SHAPE, VOXEL)(volume)[0]
    y, x = (found.sum(1 - a) @ np.arange(n) * d for a, n, d in zip((0, 1), SHAPE[1:], VOXEL[1:], strict=True))
    np.testing.assert_allclose([y, x], atoms.positions[0, 1:], atol=0.01)


def test_a_volume_of_one_value_projects_to_its_depth():
    projection = Projection(Tilt(x=30), (40, 40, 3), (1.0, 1.0, 1.0))
    inside = projection(np.ones((40, 40, 3)))[0, 17:23]
    assert abs(inside - 40 / np.cos(np.radians(30))).max() < 0.02 * 40


def test_a_turn_may_keep_its_middle_anywhere():
    projection = Projection(Tilt(x=90), (9, 9, 1), (1.0, 1.0, 1.0), centre=(2.0, 0.0))
    volume = np.zeros((9, 9, 1))
    volume[6, 2] = 1  # two behind the middle
    assert projection(volume)[0, 4, 0] == pytest.approx(1)


@CASES
@pytest.mark.parametrize("slices", [1, 3])
def test_spread_bounds_what_a_weighted_projection_does(tilt, slices, kernel):
    """v A^T W A v <= v D v, for the sum of all slices, which is what a beam of no diffraction sees."""
    projection = Projection(tilt, SHAPE, VOXEL, slices, kernel=kernel)
    seen = np.random.default_rng(2).uniform(0, 1, (1, *SHAPE[1:]))
    diagonal = projection.spread(seen)
    assert diagonal.shape == SHAPE and (diagonal >= 0).all()
    for seed in range(3):
        for volume in (noise(SHAPE, float, seed), np.ones(SHAPE)):
            through = projection(volume).sum(0)
            assert (seen[0] * through**2).sum() <= (diagonal * volume**2).sum() * (1 + 1e-5)


def test_expanding_a_change_brings_most_of_it_about():
    projection = Projection(Tilt(x=30), (24, 24, 4), (1.0, 1.0, 1.0), 2)
    change = np.zeros((2, 24, 4))
    change[:, 6:18] = 1
    change = ndimage.gaussian_filter(change, (0, 2, 0))
    made = projection(projection.expand(change))
    assert np.vdot(made, change) / np.vdot(change, change) == pytest.approx(1, abs=0.3)


def test_tilts_are_matrices_and_back():
    for tilt in (Tilt(20, 30, 40), Tilt(-75, 10, -170), Tilt(x=5)):
        np.testing.assert_allclose(Tilt.from_matrix(tilt.matrix).matrix, tilt.matrix, atol=1e-9)
        assert Tilt.of(tilt) is tilt
    assert Tilt.of(12) == Tilt(x=12)
    expected = turn("y", 20)
    np.testing.assert_allclose(Tilt.about_axis(20, 90).matrix, expected, atol=1e-9)
    axis = np.array([0, np.sin(np.radians(35)), np.cos(np.radians(35))])  # (z, y, x)
    np.testing.assert_allclose(Tilt.about_axis(50, 35).matrix @ axis, axis, atol=1e-9)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match="rotation matrix"):
        Tilt.of(np.ones((3, 3)))
    with pytest.raises(ParameterError, match="no number"):
        Tilt(x=np.nan)
    with pytest.raises(ParameterError, match="kernel"):
        Projection(Tilt(), SHAPE, VOXEL, kernel="cubical")
    with pytest.raises(ParameterError, match="slices of"):
        Projection(Tilt(), SHAPE, VOXEL, 0)
    with pytest.raises(ParameterError, match="three sizes"):
        Projection(Tilt(), SHAPE, (0.0, 1.0, 1.0))
    with pytest.raises(DataError, match="expects"):
        Projection(Tilt(), SHAPE, VOXEL)(np.zeros((2, 2, 2)))
