"""Counts of the true model have a chi squared of 1 in every ring; what the model lacks shows where it is."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import DataError, ParameterError
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import PoissonLoss
from ptywidgets.engine.metrics import chi_squared_rings, held_out_likelihood
from ptywidgets.engine.problem.held_out import hold_out
from ptywidgets.testing import example_problem


def counted(seed=0, extra=None, factor=1):
    """A problem whose counts are Poisson distributed about its own first state, and the state."""
    problem = example_problem()
    problem = replace(problem, initial_probe=problem.initial_probe * np.float32(3))
    state = problem.start()
    modelled = problem.intensities(state, np.arange(problem.count)).astype(float)
    if extra is not None:
        modelled = modelled + extra
    counts = factor * np.random.default_rng(seed).poisson(modelled)
    return replace(problem, patterns=Patterns.centred(counts.astype(np.int64))), state


def test_counts_of_the_model_have_chi_squared_one_in_every_ring():
    problem, state = counted()
    found = chi_squared_rings(problem, state, 8)
    lit = found.pixels > 0
    assert lit[:4].all()
    deviation = (found.chi_squared[lit] - 1) / found.uncertainty[lit]
    assert np.abs(deviation).max() < 4
    assert found.within(0, 20) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(found.measured[:3], found.modelled[:3], rtol=0.01)


def test_the_scatter_is_as_large_as_it_says():
    values = np.array([chi_squared_rings(*counted(seed), [0, 10, 18]).chi_squared for seed in range(30)])
    told = chi_squared_rings(*counted(), [0, 10, 18]).uncertainty
    np.testing.assert_allclose(values.std(0), told, rtol=0.4)
    np.testing.assert_allclose(values.mean(0), 1, atol=4 * told.max() / np.sqrt(30))


def test_a_background_shows_where_the_model_is_dark_and_as_much_as_it_must():
    """Of counts with the mean I + b, (D - I)^2 / I has the mean 1 + (b + b^2) / I."""
    problem, state = counted(extra=0.2)
    found = chi_squared_rings(problem, state, [0, 16, 24, 36], least=0.05)
    inverse = found.uncertainty**2 * found.pixels - 2
    np.testing.assert_allclose(found.chi_squared, 1 + (0.2 + 0.2**2) * inverse, rtol=0.05)
    assert found.chi_squared[0] < 1.1 < 1.4 < found.within(24)
    assert found.measured[2] - found.modelled[2] == pytest.approx(0.2, abs=0.03)


def test_detectors_that_multiply_counts_are_told_of():
    problem, state = counted(factor=5)
    bright = replace(state, probe=state.probe * np.float32(np.sqrt(5)))
    assert chi_squared_rings(problem, bright, [0, 18]).chi_squared[0] == pytest.approx(5, rel=0.05)
    told = chi_squared_rings(problem, bright, [0, 18], counts_per_electron=5)
    assert told.chi_squared[0] == pytest.approx(1, abs=4 * told.uncertainty[0] + 0.01)


def test_rings_hold_every_pixel_once_and_masked_ones_never():
    problem, state = counted()
    most = np.full(problem.window, 1)
    found = chi_squared_rings(problem, state, [0, 1e3], least=0)
    assert found.pixels.tolist() == [most.sum() * problem.count]
    mask = np.ones(problem.window, bool)
    mask[0, 0] = False
    masked = replace(problem, patterns=replace(problem.patterns, mask=mask))
    assert chi_squared_rings(masked, state, [0, 1e3], least=0).pixels.tolist() == [(most.sum() - 1) * problem.count]


def test_counts_held_out_have_chi_squared_one_too():
    problem, state = counted()
    split = hold_out(problem)
    found = chi_squared_rings(split, state, [0, 18], held_out=True)
    assert found.pixels[0] < len(split.held_out.indices) * np.prod(problem.window)
    assert abs(found.chi_squared[0] - 1) < 4 * found.uncertainty[0]
    assert found.measured[0] == pytest.approx(0.5 * chi_squared_rings(problem, state, [0, 18]).measured[0], rel=0.1)


def test_the_likelihood_of_counts_held_out_is_poissons_and_prefers_the_truth():
    problem, state = counted()
    split = hold_out(problem)
    held = split.held_out
    modelled = 0.5 * problem.intensities(state, held.indices)
    by_hand = PoissonLoss().value(modelled, held.patterns.amplitudes()).sum() / len(held.indices)
    best = held_out_likelihood(split, state)
    assert best == pytest.approx(-float(by_hand), rel=1e-5)
    noise = np.random.default_rng(0).normal(scale=0.1, size=state.object.shape)
    worse = state.replace(object=(state.object * np.exp(1j * noise)).astype(np.complex64))
    assert held_out_likelihood(split, worse) < best
    # A misfit may take the shift of a fraction of a pixel that a reconstruction takes, a likelihood is always exact.
    assert held_out_likelihood(split, state, "anscombe") == pytest.approx(-held.misfit(split, state) / 2, rel=1e-3)


def test_what_is_not_there_cannot_be_asked_for():
    problem, state = counted()
    with pytest.raises(DataError, match="hold_out"):
        held_out_likelihood(problem, state)
    with pytest.raises(DataError, match="hold_out"):
        chi_squared_rings(problem, state, held_out=True)
    with pytest.raises(ParameterError, match="rising"):
        chi_squared_rings(problem, state, [5, 3])
    with pytest.raises(ParameterError, match="mrad"):
        chi_squared_rings(problem, state, [0, 5, 10]).within(20, 30)
