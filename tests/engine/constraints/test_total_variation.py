"""Total variation against closed-form minimisers: steps come closer by the weight over the width of their sides."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.constraints import TotalVariation
from ptywidgets.engine.constraints.total_variation import denoised
from ptywidgets.testing import example_problem
from ptywidgets.testing.contracts.constraints import thick


def step(axis, height=1.0, shape=(6, 8, 10)):
    """Half of the array is `height`."""
    field = np.zeros(shape, type(height))
    np.moveaxis(field, axis, 0)[shape[axis] // 2 :] = height
    return field


@pytest.mark.parametrize("axis, weights", [(-1, (0.3, 0)), (-2, (0.3, 0)), (0, (0, 0.3)), (0, (0.2, 0.3))])
@pytest.mark.parametrize("height", [1.0, 1j, 0.6 + 0.8j])
def test_a_step_is_lowered_on_both_sides(axis, weights, height):
    field = step(axis, height)
    smooth = denoised(np, field, *weights, iterations=400)
    rise = 0.3 / (field.shape[axis] // 2)
    expected = rise * height + (1 - 2 * rise) * field
    np.testing.assert_allclose(smooth, expected, atol=1e-4)


def test_slices_do_not_mix_without_a_weight_in_depth():
    field = np.random.default_rng(0).normal(size=(3, 9, 7))
    together = denoised(np, field, 0.2)
    np.testing.assert_allclose(together[1:2], denoised(np, field[1:2], 0.2), atol=1e-12)


def test_joined_directions_make_one_gradient():
    """Turning the cube is then no change, as it is for sums of three directions only when the weights are equal."""
    field = np.random.default_rng(0).normal(size=(7, 7, 7))
    smooth = denoised(np, field, 0.3, 0.3, joint=True, iterations=200)
    turned = denoised(np, field.transpose(1, 2, 0), 0.3, 0.3, joint=True, iterations=200).transpose(2, 0, 1)
    np.testing.assert_allclose(smooth, turned, atol=1e-10)


@pytest.mark.parametrize("joint", [False, True])
def test_the_result_is_the_minimum(joint):
    """No small change lowers what is minimised, and few steps come close to that."""
    field = np.random.default_rng(1).normal(size=(4, 9, 8))

    def value(x):
        dz, dy, dx = (np.diff(x, axis=a, append=x.take([-1], a)) for a in range(3))
        plane, depth = np.hypot(dy, dx), abs(dz)
        lengths = np.hypot(0.3 * plane, 0.1 * depth) if joint else 0.3 * plane + 0.1 * depth
        return ((x - field) ** 2).sum() / 2 + lengths.sum()

    best = value(denoised(np, field, 0.3, 0.1, joint=joint, iterations=2000))
    assert value(denoised(np, field, 0.3, 0.1, joint=joint, iterations=30)) < 1.01 * best
    generator = np.random.default_rng(2)
    smooth = denoised(np, field, 0.3, 0.1, joint=joint, iterations=2000)
    for size in (1e-3, 1e-2):
        for _ in range(20):
            assert value(smooth + size * generator.normal(size=field.shape)) > best


def test_sums_stay_and_large_weights_leave_the_mean():
    field = np.random.default_rng(0).normal(size=(2, 9, 7))
    np.testing.assert_allclose(denoised(np, field, 0.3, 0.2).sum(), field.sum(), rtol=1e-10)
    flat = denoised(np, field, 50.0, iterations=2000)
    np.testing.assert_allclose(flat, np.broadcast_to(field.mean((1, 2), keepdims=True), flat.shape), atol=1e-3)


def test_distances_of_slices_count():
    """A step over the wider of two gaps is a gentler slope: it costs less, and is lowered less."""
    problem = thick(example_problem("potential"), (2.0, 2.0, 14.0))  # distances 2 and 8, mean 5
    obj = np.zeros(problem.object_shape, np.float32)
    obj[2:] = 1
    constraint = TotalVariation(weight=0, depth_weight=0.1, iterations=500)
    after = constraint.prepare(problem)(problem.start().replace(object=obj)).object
    flow = 0.1 * 5 / 8
    np.testing.assert_allclose(after[2], 1 - flow, atol=1e-4)
    np.testing.assert_allclose(after[:2], flow / 2, atol=1e-4)


def test_a_model_without_depth_gets_none():
    problem = thick(example_problem("potential"))
    problem = replace(problem, model=example_problem("potential").model)
    obj = np.random.default_rng(0).normal(size=problem.object_shape).astype(np.float32)
    state = problem.start().replace(object=obj)
    assert TotalVariation(weight=0, depth_weight=0.5).prepare(problem)(state).object is obj


@pytest.mark.parametrize("shape", [(1, 30, 24), (5, 12, 10)])
def test_another_implementation_finds_the_same(shape):
    restoration = pytest.importorskip("skimage.restoration", reason="the comparison needs scikit-image")
    field = np.random.default_rng(0).normal(size=shape)
    field[:, 4:9, 3:8] += 3
    ours = denoised(np, field, 0.5, 0.5 if len(field) > 1 else 0, joint=True, iterations=1000)
    theirs = restoration.denoise_tv_chambolle(field.squeeze(), weight=0.5, eps=1e-9, max_num_iter=5000)
    np.testing.assert_allclose(ours.squeeze(), theirs, atol=3e-3)
