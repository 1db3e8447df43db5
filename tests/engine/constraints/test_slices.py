"""Constraints along the beam: profiles, what they keep, what they damp, and what projections do not see."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.constraints import DepthFilter, IdenticalSlices, KzFilter, LowRank, TotalVariation
from ptywidgets.engine.constraints.depth import profiles, thicknesses
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.testing import example_problem
from ptywidgets.testing.contracts.constraints import disturbed, thick

IN_DEPTH = [IdenticalSlices(), KzFilter(), KzFilter(gamma=30), DepthFilter(), LowRank(), LowRank(rank=0)]
UNEQUAL = (4.0, 10.0, 6.0, 9.0)


def applied(constraint, problem, obj):
    return constraint.prepare(problem)(problem.start().replace(object=obj)).object


def densities(problem, seed=0, strength=0.1):
    generator = np.random.default_rng(seed)
    return strength * generator.normal(size=problem.object_shape).astype(np.float32)


def thickness_of(problem):
    return np.array(problem.model.exit_wave.thickness, np.float32)[:, None, None]


@pytest.mark.parametrize("constraint", [*IN_DEPTH, TotalVariation(weight=0, depth_weight=0.1)], ids=repr)
def test_projections_stay(constraint):
    """The sum of a potential, and the product of transmissions."""
    potential, complex_ = (thick(example_problem(kind), UNEQUAL) for kind in ("potential", "complex"))
    values = densities(potential)
    np.testing.assert_allclose(applied(constraint, potential, values).sum(0), values.sum(0), atol=1e-5)
    if isinstance(constraint, TotalVariation):
        return
    obj = ((1 + 0.1 * densities(potential, 1)) * np.exp(1j * values)).astype(np.complex64)
    after = applied(constraint, complex_, obj)
    np.testing.assert_allclose(after.prod(0), obj.prod(0), atol=1e-5)


@pytest.mark.parametrize("constraint", IN_DEPTH, ids=repr)
def test_the_same_density_everywhere_stays(constraint):
    problem = thick(example_problem("potential"), UNEQUAL)
    values = thickness_of(problem) * densities(problem)[:1]
    np.testing.assert_allclose(applied(constraint, problem, values), values, atol=2e-6 * abs(values).max() + 1e-6)


@pytest.mark.parametrize("constraint", IN_DEPTH, ids=repr)
def test_one_slice_and_depths_that_are_not_known_are_left_alone(constraint):
    problem, state = disturbed(example_problem("complex"))
    assert constraint.prepare(problem)(state).object is state.object
    several = replace(thick(problem), model=problem.model)
    if isinstance(constraint, (KzFilter, DepthFilter)):
        state = several.start()
        assert constraint.prepare(several)(state).object is state.object


def test_identical_slices_are():
    problem = thick(example_problem("potential"), UNEQUAL)
    values = densities(problem)
    density = applied(IdenticalSlices(), problem, values) / thickness_of(problem)
    np.testing.assert_allclose(density, np.broadcast_to(values.sum(0) / sum(UNEQUAL), density.shape), atol=1e-6)


def test_phases_are_averaged_over_a_turn():
    problem = thick(example_problem("complex"), (5.0, 5.0))
    obj = np.ones(problem.object_shape, np.complex64)
    obj[0], obj[1] = np.exp(3.0j), np.exp(1j * (2 * np.pi - 2.9))  # 3 and 3.383: 3.19 between them, not 0.05
    np.testing.assert_allclose(applied(IdenticalSlices(), problem, obj), np.exp(1j * (np.pi + 0.05)), atol=1e-5)


def test_equal_slices_have_cosines_for_profiles():
    kz, shapes = profiles(np.full(6, 4.0))
    np.testing.assert_allclose(kz, np.arange(6) / (2 * 6 * 4.0), atol=1e-12)
    depth = np.arange(6) * 4.0 + 2.0
    cosines = np.cos(2 * np.pi * kz * depth[:, None])
    cosines /= np.sqrt(4 * (cosines**2).sum(0))
    np.testing.assert_allclose(abs((4 * cosines * shapes).sum(0)), 1, atol=1e-10)


def test_profiles_of_unequal_slices_are_orthogonal_by_thickness():
    thickness = np.array(UNEQUAL)
    kz, shapes = profiles(thickness)
    np.testing.assert_allclose((shapes * thickness[:, None]).T @ shapes, np.eye(4), atol=1e-12)
    assert kz[0] == 0 and (np.diff(kz) > 0).all()
    np.testing.assert_allclose(shapes[:, 0], shapes[0, 0], rtol=1e-10)
    fine = np.full(40, 1.0) * np.tile([0.5, 1.5], 20)  # the lowest belong to the slab as a whole
    np.testing.assert_allclose(profiles(fine)[0][:4], np.arange(4) / 80, rtol=0.02, atol=1e-12)


def standing_wave(problem, j, rows, columns):
    """cos(2 pi kz z) cos(2 pi k r), and its frequencies in 1/A."""
    thickness = np.array(problem.model.exit_wave.thickness)
    kz, shapes = profiles(thickness)
    shape = problem.object_shape[-2:]
    y, x = (np.arange(n) / n for n in shape)
    k = np.hypot(*(c / (n * d) for c, n, d in zip((rows, columns), shape, problem.sampling, strict=True)))
    plane = np.cos(2 * np.pi * (rows * y[:, None] + columns * x))
    return ((thickness * shapes[:, j])[:, None, None] * plane).astype(np.float32), kz[j], k


@pytest.mark.parametrize("thickness", [(8.0,) * 4, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("gamma", [0.3, 5.0])
def test_the_missing_cone_is_damped(thickness, gamma):
    problem = thick(example_problem("potential"), thickness)
    for j, rows, columns in ((1, 3, 0), (2, 2, 5), (3, 0, 1)):
        wave, kz, k = standing_wave(problem, j, rows, columns)
        weight = 1 - 2 / np.pi * np.arctan((gamma * kz / k) ** 2)
        after = applied(KzFilter(gamma=gamma), problem, wave)
        np.testing.assert_allclose(after, weight * wave, atol=2e-5 * abs(wave).max())


def test_slices_that_differ_by_a_constant_become_alike():
    problem = thick(example_problem("potential"), (5.0,) * 3)
    obj = np.ones(problem.object_shape, np.float32) * np.arange(3, dtype=np.float32)[:, None, None]
    np.testing.assert_allclose(applied(KzFilter(), problem, obj), 1, atol=1e-5)


@pytest.mark.parametrize("thickness", [(8.0,) * 4, UNEQUAL], ids=["equal", "unequal"])
def test_a_blur_in_depth_is_a_gaussian_of_kz(thickness):
    problem = thick(example_problem("potential"), thickness)
    wave, kz, _ = standing_wave(problem, 2, 4, 1)
    after = applied(DepthFilter(sigma=6.0), problem, wave)
    np.testing.assert_allclose(after, np.exp(-2 * (np.pi * 6 * kz) ** 2) * wave, atol=2e-5 * abs(wave).max())


def test_few_profiles_are_the_best_ones():
    """The rest is what singular values beyond the rank amount to (Eckart & Young)."""
    problem = thick(example_problem("potential"), (5.0,) * 4)
    values = densities(problem)
    after = applied(LowRank(rank=2), problem, values)
    apart = (values - values.mean(0)).reshape(4, -1).astype(float)
    singular = np.linalg.svd(apart, compute_uv=False)
    assert np.linalg.norm(after - values) == pytest.approx(singular[2], rel=1e-4)
    remaining = np.linalg.svd((after - after.mean(0)).reshape(4, -1), compute_uv=False)
    assert remaining[2] < 1e-4 * remaining[0]
    np.testing.assert_array_equal(applied(LowRank(rank=3), problem, values), values)


def test_complex_objects_and_potentials_are_treated_alike():
    potential, complex_ = (thick(example_problem(kind), UNEQUAL) for kind in ("potential", "complex"))
    values = densities(potential)
    for constraint in IN_DEPTH:
        after = applied(constraint, complex_, np.exp(1j * values))
        np.testing.assert_allclose(after, np.exp(1j * applied(constraint, potential, values)), atol=2e-5)


def test_thickness_or_distances():
    problem = thick(example_problem("potential"), (8.0, 10.0, 12.0))
    np.testing.assert_array_equal(thicknesses(problem), [8, 10, 12])
    four = replace(problem, initial_object=np.repeat(problem.initial_object[:1], 4, axis=0))
    np.testing.assert_array_equal(thicknesses(four), [8, 9, 11, 12])
    six = replace(problem, initial_object=np.repeat(problem.initial_object[:1], 6, axis=0))
    with pytest.raises(ParameterError, match="3 thicknesses but 6 slices"):
        thicknesses(six)
