"""What is given off: electrons that left the coherent wave, no more and no fewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.metrics import diffuse_counts
from ptywidgets.engine.models import Diffuse
from ptywidgets.testing import example_problem


def warm_problem():
    problem = example_problem("potential")
    extent = tuple(n * s for n, s in zip(problem.window, problem.sampling, strict=True))
    return replace(problem, model=replace(problem.model, diffuse=Diffuse(("C", "Si"), 0.5, extent)))


def test_an_even_map_takes_its_share_of_every_pattern():
    problem = warm_problem()
    state = problem.start()
    rho = 0.05
    tds_strength = np.full_like(state.parameters["tds_strength"], rho)
    state = state.replace(parameters={**state.parameters, "tds_strength": tds_strength})
    counts = (np.abs(problem.initial_probe) ** 2).sum()
    expected = counts * (1 - np.exp(-2 * rho)) / 2  # of each of two equal channels
    assert diffuse_counts(problem, state) == pytest.approx(np.full((problem.count, 2), expected), rel=1e-5)


def test_nothing_is_lost_beside_the_coherent_wave():
    problem = warm_problem()
    state = problem.start()
    generator = np.random.default_rng(2)
    tds_strength = generator.random(state.parameters["tds_strength"].shape).astype(np.float32) * 0.1
    state = state.replace(parameters={**state.parameters, "tds_strength": tds_strength})
    diffuse = problem.model_at(state).diffuse
    shapes = diffuse.patterns(problem.backend, problem.window, np.float32)
    added = np.tensordot(diffuse_counts(problem, state), shapes, 1)
    coherent = problem.intensities(state, np.arange(problem.count)) - added
    total = coherent.sum((1, 2)) + diffuse_counts(problem, state).sum(1)
    assert total == pytest.approx(np.full(problem.count, (np.abs(problem.initial_probe) ** 2).sum()), rel=1e-4)


def test_a_model_without_diffuse_scattering_is_told():
    problem = example_problem("potential")
    with pytest.raises(ParameterError, match="scatters nothing diffusely"):
        diffuse_counts(problem, problem.start())
