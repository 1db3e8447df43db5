"""Thresholds and filters of the object against their formulas."""

import numpy as np
import pytest

from ptywidgets.engine.constraints import ButterworthFilter, GaussianFilter, Shrinkage, Sparsity
from ptywidgets.testing import example_problem
from ptywidgets.testing.contracts.constraints import disturbed, thick


@pytest.fixture(params=[False, True], ids=["thin", "thick"])
def case(request):
    problem = example_problem("potential")
    return disturbed(thick(problem) if request.param else problem)


def applied(constraint, problem, obj):
    state = problem.start().replace(object=obj)
    return constraint.prepare(problem)(state).object


def wave(problem, ny, nx):
    """A cosine of whole periods along both axes, and its frequency in 1/A."""
    shape = problem.object_shape[-2:]
    y, x = (np.arange(n) / n for n in shape)
    q = np.hypot(*(k / (n * d) for k, n, d in zip((ny, nx), shape, problem.sampling, strict=True)))
    return np.cos(2 * np.pi * (ny * y[:, None] + nx * x)).astype(np.float32), q


def test_shrinkage_lowers_what_is_positive(case):
    problem, state = case
    values = applied(Shrinkage(amount=0.1), problem, state.object)
    v = state.object
    np.testing.assert_allclose(values[v > 0.1], v[v > 0.1] - 0.1, atol=1e-6)
    assert not values[(v > 0) & (v < 0.1)].any()
    np.testing.assert_array_equal(values[v < 0], v[v < 0])


def test_sparsity_moves_towards_zero(case):
    problem, state = case
    v = state.object
    values = applied(Sparsity(amount=0.1), problem, v)
    np.testing.assert_allclose(values, np.sign(v) * np.maximum(abs(v) - 0.1, 0), atol=1e-6)


@pytest.mark.parametrize("constraint", [Shrinkage(amount=0.1), Sparsity(amount=0.1)], ids=repr)
def test_phases_are_treated_like_potentials(constraint):
    problem, state = disturbed(example_problem("complex"))
    obj = state.object
    after = applied(constraint, problem, obj)
    np.testing.assert_allclose(abs(after), abs(obj), rtol=1e-5)
    alike = applied(constraint, example_problem("potential"), np.angle(obj))
    np.testing.assert_allclose(np.angle(after), alike, atol=1e-5)


@pytest.mark.parametrize(
    "constraint, transfer",
    [
        (GaussianFilter(sigma=0.5), lambda q: np.exp(-2 * (np.pi * 0.5 * q) ** 2)),
        (ButterworthFilter(q_high=0.2, order=3), lambda q: 1 / (1 + (q / 0.2) ** 6)),
        (ButterworthFilter(q_high=None, q_low=0.1, order=1), lambda q: 1 - 1 / (1 + (q / 0.1) ** 2)),
    ],
    ids=repr,
)
def test_a_wave_is_damped_by_the_transfer_function(case, constraint, transfer):
    problem, _ = case
    cosine, q = wave(problem, 6, 3)
    depth = np.arange(1, problem.object_shape[0] + 1, dtype=np.float32)[:, None, None]  # each slice by itself
    after = applied(constraint, problem, depth * (cosine + 2))
    np.testing.assert_allclose(after, depth * (transfer(q) * cosine + 2), atol=3e-5)


def test_both_samplings_are_used():
    """Rows of twice the pixel size make the blur half as wide in pixels."""
    from dataclasses import replace

    problem = example_problem("potential")
    d = problem.sampling[1]
    problem = replace(problem, measurement=replace(problem.measurement, sampling=(2 * d, d)))
    spike = np.zeros(problem.object_shape, np.float32)
    spike[0, 50, 50] = 1
    blurred = applied(GaussianFilter(sigma=4 * d), problem, spike)[0]
    for axis, expected in ((1, 2.0), (0, 4.0)):
        profile = blurred.sum(axis)
        spread = np.sqrt((profile * (np.arange(len(profile)) - 50.0) ** 2).sum() / profile.sum())
        assert spread == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("constraint", [GaussianFilter(sigma=0.5), ButterworthFilter(q_high=0.3)], ids=repr)
def test_a_pure_phase_object_stays_one_and_small_phases_are_filtered_like_potentials(constraint):
    problem = example_problem("complex")
    phase = 0.02 * np.random.default_rng(0).normal(size=problem.object_shape).astype(np.float32)
    after = applied(constraint, problem, np.exp(1j * phase))
    np.testing.assert_allclose(abs(after), 1, rtol=1e-5)
    np.testing.assert_allclose(np.angle(after), applied(constraint, problem, phase), atol=1e-4)
