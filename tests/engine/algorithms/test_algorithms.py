"""Every algorithm lowers the loss of every model."""

import numpy as np
import pytest

from ptywidgets.engine import GradientDescent, Plan, iterate
from ptywidgets.testing import AlgorithmContract, example_problem


class TestGradientDescent(AlgorithmContract):
    @pytest.fixture(
        params=[GradientDescent(), GradientDescent(normalization_min=0.2, step=0.4), GradientDescent(hold_probe=True)],
        ids=repr,
    )
    def algorithm(self, request):
        return request.param


def test_a_held_probe_stays_and_is_let_go_later():
    problem = example_problem()
    plan = Plan(iterations=3, batch=32, algorithm=GradientDescent(probe_from=2), constraints=())
    probes = [state.probe for state in iterate(problem, plan)]
    np.testing.assert_array_equal(probes[1], problem.first_probe)
    assert not np.array_equal(probes[2], problem.first_probe)


def test_all_positions_at_once_is_one_step_along_the_gradient():
    problem = example_problem("potential")
    state = problem.start()
    gradients = problem.gradients(state, np.arange(problem.count))
    plan = Plan(iterations=1, batch=None, algorithm=GradientDescent(step=0.5), constraints=())
    after = next(iterate(problem, plan))
    expected = state.object + 0.5 * gradients.object / gradients.illumination.max()
    np.testing.assert_allclose(after.object, expected, rtol=1e-4, atol=1e-6)
