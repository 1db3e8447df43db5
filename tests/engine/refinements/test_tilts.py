"""Tilts of a series: derivatives against finite differences, and angles that are found again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets.engine import ConjugateGradient, ParameterError, Plan, iterate
from ptywidgets.engine.constraints import From, Shrinkage
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.preprocess import prepare
from ptywidgets.engine.refinements import RefineTilts, refined_tilts
from ptywidgets.engine.tomography import Projection, Tilt, make_series
from ptywidgets.testing import example_problem
from ptywidgets.testing.exact import difference
from ptywidgets.testing.series import SERIES_OPTICS, blobs, example_series

TILTS = (-60.0, -20.0, 0.0, 30.0, 70.0)


def with_tilts(series, tilts):
    """The same patterns, taken for those of other tilts."""
    made = zip(series.projections, tilts, strict=True)
    return replace(series, projections=tuple(replace(p, tilt=Tilt(*t)) for p, t in made))


def swarm():
    """25 views of 60 atoms in a volume of 32 x 48 x 48 voxels, and that volume."""
    calibration = Calibration(energy=80e3, scan_step=2.0, q_pixel=0.1, semiangle=25)
    counts = np.zeros((8, 8, 20, 20), np.uint16)
    counts[..., 10, 10] = 1000
    measurement = prepare(Dataset(counts, calibration), rotation=0.0, transpose=False, origin="constant")
    series = make_series([measurement] * 25, np.linspace(-60, 60, 25), SERIES_OPTICS, depth=16.0)
    volume = np.zeros(series.object_shape, np.float32)
    room = np.array(volume.shape) / 2 - (3, 12, 12)
    for place in np.random.default_rng(0).uniform(-1, 1, (60, 3)):
        volume[tuple((np.array(volume.shape) / 2 + place * room).astype(int))] += 1.5
    volume = ndimage.gaussian_filter(volume, 0.8)
    truth = series.start().replace(object=volume)
    views = [
        replace(v, patterns=Patterns.centred(v.intensities(series.view(truth, n), np.arange(v.count))).on(v.backend))
        for n, v in enumerate(series.views)
    ]
    return replace(series, views=tuple(views)), volume


@pytest.mark.parametrize("axis", "xyz")
@pytest.mark.parametrize("tilt", [Tilt(x=20.0), Tilt(x=-35.0, y=10.0, z=5.0)])
def test_the_tangent_of_a_projection_is_its_derivative(axis, tilt):
    projection = Projection(tilt, (12, 24, 20), (1.0, 1.0, 1.0), slices=1)
    volume = ndimage.gaussian_filter(blobs(projection.shape), 1.5).astype(float)

    def at(step):
        return replace(projection, tilt=replace(tilt, **{axis: getattr(tilt, axis) + step}))(volume)

    found = projection.tangent(volume, axis)
    expected = difference(at, 0.03)
    assert np.linalg.norm(found - expected) < 2e-3 * np.linalg.norm(expected)
    np.testing.assert_allclose(found.sum(), 0, atol=5e-3 * abs(found).sum())  # hardly a phase leaves the picture


def test_slopes_by_the_angles_are_those_of_the_loss():
    series = example_series(slices=2)
    wrong = with_tilts(series, [(t + 1.0, 0.5, -0.5) for t in TILTS])
    state = wrong.start().replace(object=blobs(series.object_shape).astype(float))
    state = state.replace(probe=state.probe.astype(np.complex128))
    places = np.arange(20)
    for axis, angle in enumerate("xyz"):
        slices = wrong.projection(state, 3).tangent(state.object, angle)
        gradient = wrong.views[3].gradients(wrong.view(state, 3), places, with_probe=False).object

        def at(step, axis=axis):
            angles = np.array([31.0, 0.5, -0.5])
            angles[axis] += step
            return wrong.gradients(state.replace(parameters={"3 tilt": angles}), 60 + places, with_probe=False).loss

        assert -2 * np.vdot(gradient, slices) == pytest.approx(difference(at, 0.02), rel=1e-3)


def test_angles_are_found_with_the_volume():
    """From 1 degree rms to less than 0.2, one view being known."""
    series, volume = swarm()
    true = refined_tilts(series, series.start())
    errors = np.random.default_rng(0).normal(size=25)
    errors[12] = 0
    errors /= np.sqrt((errors**2).mean())
    wrong = with_tilts(series, true + errors[:, None] * (1, 0, 0))
    plan = Plan(iterations=24, batch=None, algorithm=ConjugateGradient(lower_bound=0.0, hold_probe=True))
    plan = plan.replace(constraints=(Shrinkage(0.0005),))
    *_, without = iterate(wrong, plan)
    *_, state = iterate(wrong, plan.replace(refinements=(From(6, RefineTilts()),)))
    found = refined_tilts(wrong, state)
    np.testing.assert_array_equal(found[12], true[12])
    assert np.sqrt(((found - true)[:, 0] ** 2).mean()) < 0.2
    assert state.losses[-1] < 0.5 * without.losses[-1]
    likeness = [np.corrcoef(s.object.ravel(), volume.ravel())[0, 1] for s in (without, state)]
    assert likeness[1] > max(0.98, likeness[0])


@pytest.mark.parametrize("axes", ["y", "xyz"])
def test_all_angles_are_found_where_the_volume_is_known(axes):
    series = example_series()
    moved = np.array([("x" in axes) * 0.4, 0.3, ("z" in axes) * -0.3])
    wrong = with_tilts(series, [np.array([t, 0, 0]) + moved * (t != 0) for t in TILTS])
    state = wrong.start().replace(object=blobs(series.object_shape))
    apply = wrong.refined(RefineTilts(axes=axes))
    for _ in range(5):
        state = apply(state, np.arange(wrong.count))
    np.testing.assert_allclose(refined_tilts(wrong, state), refined_tilts(series, series.start()), atol=0.02)


def test_only_what_a_batch_has_seen_is_turned_and_only_so_far():
    series = example_series()
    wrong = with_tilts(series, [(t + 2.0, 0, 0) for t in TILTS])
    state = wrong.start().replace(object=blobs(series.object_shape))
    after = wrong.refined(From(0, RefineTilts(limit=0.1, hold=1)))(state, np.array([20, 21, 61, 62]))  # views 1 and 3
    assert set(after.parameters) == {"3 tilt"}
    np.testing.assert_allclose(after.parameters["3 tilt"], [31.9, 0, 0])


def test_there_must_be_several_views():
    with pytest.raises(ParameterError, match="make a series of tilts"):
        RefineTilts().prepare(example_problem("potential"))
    with pytest.raises(ParameterError, match="hold is 5 but there are 5 views"):
        RefineTilts(hold=5).prepare(example_series())
