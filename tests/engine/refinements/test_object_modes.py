"""Frozen phonons: states with a closed form, and a displacement that is found from patterns of other states."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import ModelConfig, ParameterError
from ptywidgets.engine.models import ObjectModes
from ptywidgets.engine.models.parts.object_modes import displaced_phases, unit_fields
from ptywidgets.engine.refinements import RefineObjectModes
from ptywidgets.testing import exact_problem, example_problem
from ptywidgets.testing.exact import with_patterns

EVERY = np.arange(64)


def gaussian(sigma, shift=(0.0, 0.0), shape=(40, 40)):
    """A blurred atom in the middle, of weight 100."""
    y, x = (np.arange(n) - n // 2 - s for n, s in zip(shape, shift, strict=True))
    return 100 * np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


@pytest.mark.parametrize("kind", ["potential", "complex"])
def test_states_are_sharper_atoms_that_are_displaced(kind):
    """A Gaussian of variance s^2 is one of s^2 - u^2, blurred by displacements of u."""
    sigma, u = 3.0, 1.2
    phase = 0.01 * gaussian(sigma) if kind == "complex" else gaussian(sigma)
    obj = (np.exp(1j * phase) if kind == "complex" else phase)[None]
    fields = np.zeros((2, 2, 40, 40), np.float32)
    fields[0, 0], fields[1, 0] = 1, -1  # down by u, and up
    found = displaced_phases(obj, np.full((40, 40, 2), u), fields)[:, 0]
    sharp = np.sqrt(sigma**2 - u**2)
    states = [gaussian(sharp, (way, 0.0)) * (0.01 if kind == "complex" else 1) for way in (u, -u)]
    np.testing.assert_allclose(found, states - np.mean(states, 0), atol=0.01 * np.ptp(states[0]))


def test_fields_are_of_unit_variance_and_cancel():
    fields = unit_fields(8, (60, 50), 3.0, seed=1)
    np.testing.assert_allclose(fields.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose((fields**2).mean((0, 2, 3)), 1, rtol=1e-5)
    far = (fields[:, :, :30] * fields[:, :, 30:]).mean()
    assert abs(far) < 0.1 < (fields[:, :, :-1] * fields[:, :, 1:]).mean()


def moving(u, seed=7, count=64):
    """Patterns of many states whose atoms are displaced by u (Y, X) A, and a state that knows the object only."""
    problem, truth = exact_problem("potential", strength=0.15, object_modes=ObjectModes(count, 0.1))
    u = np.broadcast_to(u, problem.object_shape[-2:])
    sampling = np.array(problem.sampling)
    fields = unit_fields(count, problem.object_shape[-2:], RADIUS / sampling.mean(), seed)
    phases = displaced_phases(truth.object, u[..., None] / sampling, fields)
    many = truth.replace(parameters={**truth.parameters, "object_modes": phases})
    problem = with_patterns(problem, problem.intensities(many, EVERY)).with_loss("poisson")
    few = replace(problem, model=replace(problem.model, object_modes=ObjectModes(16, 0.1)))
    return few, truth.replace(parameters=few.start().parameters)


RADIUS = 1.5  # A


def test_the_displacement_is_found():
    true = 0.3
    problem, state = moving(true)
    apply = RefineObjectModes(radius=RADIUS, first=0).prepare(problem)
    for _ in range(20):
        state = apply(state, EVERY)
    found = state.parameters["displacement"]
    assert np.ptp(found) == 0
    assert abs(found[0, 0] / true - 1) < 0.1


def test_a_place_where_atoms_move_further_is_found():
    problem, state = moving(0.1)
    u = np.full(problem.object_shape[-2:], 0.12, np.float32)
    u[:, u.shape[1] // 2 :] = 0.36
    problem, state = moving(u)
    apply = RefineObjectModes(radius=RADIUS, first=0, map_from=0).prepare(problem)
    for _ in range(20):
        state = apply(state, EVERY)
    lit, found = problem.field_of_view(), state.parameters["displacement"]
    left, right = (np.median(found[lit & side]) for side in (u < 0.2, u > 0.2))
    assert left < 0.2 and right > 0.27


def test_a_model_without_object_modes_is_told():
    with pytest.raises(ParameterError, match="object_modes=8"):
        RefineObjectModes().prepare(example_problem("potential"))
    with pytest.raises(ParameterError, match="even number"):
        ModelConfig(object_modes=3).check()
    with pytest.raises(ParameterError, match="even number"):
        ObjectModes(5, 0.1)
