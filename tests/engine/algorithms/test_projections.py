"""Projections keep the contract, meet what can be met, and are the projections that they say they are."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import (
    PIE,
    Aberrations,
    ConjugateGradient,
    DataError,
    Optics,
    ParameterError,
    Plan,
    Projections,
    iterate,
    make_problem,
)
from ptywidgets.engine.algorithms import charge_flipping, difference_map, raar, rrr
from ptywidgets.engine.core import memory
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.models import Multislice
from ptywidgets.testing import AlgorithmContract, example_problem


class TestProjections(AlgorithmContract):
    @pytest.fixture(params=[Projections(), difference_map(0.0, overlaps=1), Projections(hold_probe=True)], ids=repr)
    def algorithm(self, request):
        return request.param


class TestDifferenceMap(AlgorithmContract):
    """It rises before it falls."""

    iterations = 6

    @pytest.fixture(params=[difference_map(), charge_flipping(overlaps=1)], ids=repr)
    def algorithm(self, request):
        return request.param


def clean_problem(object_type, defocus):
    """Patterns without noise of a known object and probe, and a start whose defocus is `defocus` times the true one."""
    noisy = example_problem(object_type)
    *_, truth = iterate(noisy, Plan(iterations=15, batch=None, algorithm=ConjugateGradient(), constraints=()))
    patterns = Patterns.centred(noisy.intensities(truth, np.arange(noisy.count)).astype(np.float32))
    mean = float(patterns.counts.sum((1, 2)).mean())
    measurement = replace(noisy.measurement, patterns=patterns, mean_intensity=mean)
    optics = Optics(
        semiangle=20,
        vacuum=samples.ducky("tiny").vacuum,
        aberrations=Aberrations(defocus=defocus * samples.ducky_defocus("tiny")),
    )
    return make_problem(measurement, optics, model=noisy.model), truth


def likeness(one, two):
    return abs(np.vdot(one, two)) / np.linalg.norm(one) / np.linalg.norm(two)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_the_truth_is_a_fixed_point(object_type):
    problem, truth = clean_problem(object_type, 1.0)
    start = problem.start().replace(object=truth.object, probe=truth.probe)
    *_, state = iterate(problem, Plan(iterations=5, batch=None, algorithm=difference_map(), constraints=()), start)
    assert state.losses[-1] < 1e-6
    np.testing.assert_allclose(state.object, truth.object, atol=0.02)


def test_a_wrong_defocus_is_found_where_pie_is_caught():
    """50 % too much: the probe is found. PIE is caught after 30 iterations."""
    problem, truth = clean_problem("potential", 1.5)
    found = {}
    for algorithm, batch, iterations in ((raar(0.95), None, 85), (PIE(), 16, 30)):
        plan = Plan(iterations=iterations, batch=batch, algorithm=algorithm, constraints=())
        *_, state = iterate(problem, plan)
        found[type(algorithm)] = likeness(state.probe, truth.probe)
    assert found[Projections] > 0.97
    assert found[PIE] < 0.7


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_the_overlap_projection_finds_the_object_of_its_waves(object_type):
    """With the right probe one overlap is enough, for phases of more than a radian too."""
    problem, truth = clean_problem(object_type, 1.0)
    wanted = truth.object * 1 if object_type == "complex" else np.float32(8) * truth.object
    state = problem.start().replace(object=wanted, probe=truth.probe)
    model, backend = problem.model, problem.backend
    where = problem.geometry(state.positions).at(backend, np.arange(problem.count))
    incident = model.incident(backend, state.probe, where.fractions)
    waves = incident.waves(backend, np.arange(problem.count)).copy()
    exits, _ = model.exit_wave.forward(backend, waves, model.slab(backend, wanted).transmission, where.corners)
    algorithm = Projections(overlaps=1, damping=1e-6, hold_probe=True)
    obj, probe = algorithm._overlap(problem, state.replace(object=problem.initial_object), exits)
    seen = problem.field_of_view()
    turned = obj if object_type == "complex" else np.exp(1j * obj)
    expected = wanted if object_type == "complex" else np.exp(1j * wanted)
    assert abs(wanted[0][seen]).max() > 0.9
    np.testing.assert_allclose(turned[0][seen], expected[0][seen], atol=0.02)
    np.testing.assert_array_equal(probe, truth.probe)


def test_thick_specimens_and_every_loss_with_them():
    thin = example_problem("potential")
    exit_wave = Multislice((10.0, 10.0, 10.0), wavelength=0.0418, extent=tuple(64 * s for s in thin.sampling))
    model = replace(thin.model, exit_wave=exit_wave)
    problem = make_problem(thin.measurement, model=model, probe=thin.initial_probe, loss="poisson")
    *_, state = iterate(problem, Plan(iterations=12, batch=32, algorithm=Projections(), constraints=()))
    assert state.object.shape[0] == 3
    assert state.losses[-1] < 0.6 * state.losses[0]


def test_a_window_that_has_moved_begins_anew():
    like = example_problem()
    problem = make_problem(like.measurement, probe=like.initial_probe, object_padding=1.0)
    plan = Plan(iterations=1, batch=None, algorithm=Projections(), constraints=())
    *_, state = iterate(problem, plan)
    moved = state.replace(positions=state.positions + np.array(problem.sampling))
    *_, after = iterate(problem, plan.replace(iterations=2), moved)
    *_, fresh = iterate(problem, plan.replace(iterations=2), moved.replace(memory={}))
    np.testing.assert_array_equal(after.object, fresh.object)


def test_memory_is_looked_at_before_it_is_taken(monkeypatch):
    like = example_problem()
    three = np.repeat(like.initial_probe[:1], 3, 0) / 3**0.5
    problem = make_problem(like.measurement, probe=three.astype(np.complex64))
    plan = Plan(iterations=2, algorithm=raar(), constraints=())
    monkeypatch.setattr(memory, "available_memory", lambda: 1e6)
    with pytest.raises(
        DataError, match=r"64 x 3 exit waves of 64 x 64 pixels twice, needs 12\.6 MB .* 1 MB are free; use"
    ):
        next(iterate(problem, plan))
    monkeypatch.setattr(memory, "available_memory", lambda: 1e8)
    first = next(iterate(problem, plan))
    monkeypatch.setattr(memory, "available_memory", lambda: 1e6)  # the waves are there now
    assert len(list(iterate(problem, plan, first))) == 1


def test_presets_are_three_numbers():
    numbers = [
        (p.a, p.b, p.c) for p in (difference_map(), difference_map(0.0), raar(0.75), rrr(0.5), charge_flipping())
    ]
    assert numbers == [(-1, 1, 2), (0, 1, 1), (-0.5, 0.75, 2), (-0.5, 0.5, 2), (0, 1, 2)]
    assert raar() == Projections() == Projections(a=1 - 2 * 0.9, b=0.9, c=2)
    with pytest.raises(ParameterError, match=r"beta is 1\.5; expected a number between 0 and 1"):
        raar(1.5)
