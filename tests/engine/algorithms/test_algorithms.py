"""Every algorithm lowers every loss of every model, and goes on where it stopped."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ptywidgets.engine import (
    LSQML,
    PIE,
    Adam,
    ConjugateGradient,
    GradientDescent,
    Momentum,
    ParameterError,
    Plan,
    iterate,
)
from ptywidgets.engine.algorithms import ALGORITHMS, RULES
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.backends.gpu import GpuBackend
from ptywidgets.engine.losses import LOSSES
from ptywidgets.testing import AlgorithmContract, example_problem

EVERY = [*(kind() for kind in ALGORITHMS.values()), *(GradientDescent(rule=kind()) for kind in RULES.values())]


class TestGradientDescent(AlgorithmContract):
    @pytest.fixture(
        params=[GradientDescent(), GradientDescent(normalization_min=0.2, step=0.4), GradientDescent(hold_probe=True)],
        ids=repr,
    )
    def algorithm(self, request):
        return request.param


class TestRules(AlgorithmContract):
    @pytest.fixture(
        params=[
            GradientDescent(rule=Momentum()),
            GradientDescent(rule=Momentum(friction=0.6), normalization_min=0.2),
            GradientDescent(rule=Adam()),
            GradientDescent(rule=Adam(rate_object=0.01, beta1=0.8), probe_from=1),
        ],
        ids=repr,
    )
    def algorithm(self, request):
        return request.param


class TestPIE(AlgorithmContract):
    """With the Poisson loss a smaller regularization lets single patterns throw it off: it has no bottom in the
    dark."""

    @pytest.fixture(
        params=[
            PIE(),
            PIE(regularization=1.0, object_step=1.0),
            PIE(decay=0.5),
            PIE(hold_probe=True, regularization=0.3),
        ],
        ids=repr,
    )
    def algorithm(self, request):
        return request.param


class TestLSQML(AlgorithmContract):
    @pytest.fixture(params=[LSQML(), LSQML(momentum=0.5), LSQML(hold_probe=True)], ids=repr)
    def algorithm(self, request):
        return request.param


class TestConjugateGradient(AlgorithmContract):
    batch = None

    @pytest.fixture(
        params=[ConjugateGradient(), ConjugateGradient(lower_bound=0.0), ConjugateGradient(sample=10**6)], ids=repr
    )
    def algorithm(self, request):
        return request.param


def test_every_algorithm_and_every_rule_has_a_name():
    assert list(ALGORITHMS) == ["gradient descent", "PIE", "LSQ-ML", "conjugate gradients", "projections"]
    assert list(RULES) == ["plain", "momentum", "Adam"]
    for kind in (*ALGORITHMS.values(), *RULES.values()):
        assert all(parameter.doc for parameter in kind.describe())


def test_a_held_probe_stays_and_is_let_go_later():
    problem = example_problem()
    plan = Plan(iterations=3, batch=32, algorithm=GradientDescent(probe_from=2), constraints=())
    probes = [state.probe for state in iterate(problem, plan)]
    np.testing.assert_array_equal(probes[1], problem.initial_probe)
    assert not np.array_equal(probes[2], problem.initial_probe)


def test_all_positions_at_once_is_one_step_along_the_gradient():
    problem = example_problem("potential")
    state = problem.start()
    gradients = problem.gradients(state, np.arange(problem.count))
    plan = Plan(iterations=1, batch=None, algorithm=GradientDescent(step=0.5), constraints=())
    after = next(iterate(problem, plan))
    expected = state.object + 0.5 * gradients.object / gradients.illumination.max()
    np.testing.assert_allclose(after.object, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("algorithm", EVERY, ids=repr)
@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_the_number_of_threads_does_not_matter(algorithm, object_type):
    problem = example_problem(object_type)
    results = []
    for threads in (1, 2):
        backend = CpuBackend(threads)
        *_, state = iterate(replace(problem, backend=backend), Plan(iterations=2, batch=20, algorithm=algorithm))
        backend.close()
        results.append(state)
    one, two = results
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-5)
    np.testing.assert_allclose(one.object, two.object, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.probe, two.probe, rtol=0, atol=1e-4 * abs(one.probe).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("algorithm", EVERY, ids=repr)
def test_a_gpu_gives_what_the_cpu_gives(algorithm, loss):
    """By numpy standing in for cupy; what is dark has no phase but rounding's, so the object is rough.

    The Poisson loss divides by the darkest pixels, and from one position of PIE to the next what rounding changes there
    grows, on one device as on two (a millionth of the object makes 0.3 rad): there, one position is compared.
    """
    chaotic = loss == "poisson" and isinstance(algorithm, PIE)
    results = []
    for backend in (CpuBackend(1), GpuBackend(np, np.add.at, lambda: 1 << 26)):
        problem = replace(example_problem("potential"), backend=backend, loss=LOSSES[loss]())
        noise = np.random.default_rng(7).normal(size=problem.object_shape).astype(np.float32)
        state = problem.start().replace(object=np.float32(0.3) * noise)
        results.append(algorithm.advance(problem, state, np.array([27]) if chaotic else np.arange(problem.count)))
    one, two = results
    np.testing.assert_allclose(one.partial_loss, two.partial_loss, rtol=1e-3)
    np.testing.assert_allclose(one.object, two.object, rtol=0, atol=2e-3)
    np.testing.assert_allclose(one.probe, two.probe, rtol=0, atol=5e-3 * abs(one.probe).max())


def test_stiffness_is_half_the_bend_at_the_brightest_measured_pixel():
    problem = example_problem()
    most = problem.patterns.counts.max()
    curvature_bound = {name: replace(problem, loss=kind()).curvature_bound for name, kind in LOSSES.items()}
    assert curvature_bound == pytest.approx(
        {"amplitude": 1, "anscombe": 1 - 0.375 / (most + 0.375), "poisson": 2, "intensity": 4 * most}
    )


def test_momentum_is_a_geometric_sum_and_friction_one_is_none():
    problem = example_problem()

    def run(**options):
        plan = Plan(iterations=3, batch=32, algorithm=GradientDescent(**options), constraints=())
        return list(iterate(problem, plan))[-1]

    np.testing.assert_array_equal(run().object, run(rule=Momentum(friction=1.0)).object)
    rule, taken = Momentum(friction=0.25), []
    kept: dict[str, Any] = {}
    for _ in range(30):
        step, kept = rule.turn("object", np.zeros(2), np.array([1.0, -2.0]), kept)
        taken.append(step)
    np.testing.assert_allclose(taken[1], [1.75, -3.5])
    np.testing.assert_allclose(taken[-1], [4, -8], rtol=1e-3)


def test_adam_goes_at_its_rate_however_large_gradients_are():
    rule = Adam(rate_object=0.02, rate_probe=0.1, floor=1e-6)
    for scale in (1e-6, 1.0, 1e6):
        step, kept = rule.turn("object", np.zeros(3), scale * np.array([3.0, -1.0, 1.0]), {})
        np.testing.assert_allclose(step, [0.02, -0.02, 0.02], rtol=1e-4)
        step, _ = rule.turn("object", np.zeros(3), scale * np.array([3.0, 1.0, 1.0]), kept)
        assert step[0] == pytest.approx(0.02, rel=0.02) and abs(step[1]) < 0.005  # as it says the opposite of before
    step, _ = rule.turn("probe", np.full(4, 5j), np.array([2j, 2, -2, -2j]), {})
    np.testing.assert_allclose(step, [0.5j, 0.5, -0.5, -0.5j], rtol=1e-4)


def test_another_rule_begins_without_memory():
    problem = example_problem()
    plan = Plan(iterations=2, batch=32, constraints=())
    *_, state = iterate(problem, plan.replace(algorithm=GradientDescent(rule=Adam())))
    assert {name.split(".")[1] for name in state.memory} == {
        f"{what} {name}" for what in ("object", "probe") for name in ("mean", "square", "updates")
    }
    plan = plan.replace(iterations=3, algorithm=GradientDescent(rule=Momentum()))
    *_, after = iterate(problem, plan, state)
    assert {name.split(".")[1] for name in after.memory} == {"object velocity", "probe velocity"}
    *_, plain = iterate(problem, plan.replace(algorithm=GradientDescent()), after.replace(iteration=2))
    assert plain.memory == {}


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(ParameterError, match="friction"):
        Momentum(fricton=0.5)
    with pytest.raises(ParameterError, match="damping"):
        LSQML(dampin=0.5)
