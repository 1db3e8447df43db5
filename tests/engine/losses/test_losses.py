"""Losses: the contract, names, and a reconstruction with each."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ptywidgets.engine import GradientDescent, ParameterError, Plan, iterate, make_problem
from ptywidgets.engine.losses import LOSSES, AmplitudeLoss, PoissonLoss, get_loss
from ptywidgets.testing import LossContract, example_problem


class TestBuiltIn(LossContract):
    @pytest.fixture(params=LOSSES.values(), ids=LOSSES)
    def loss(self, request):
        return request.param()


@dataclass(frozen=True)
class Mine(AmplitudeLoss):
    """A loss that nobody compiled."""

    name = "mine"


class TestMine(LossContract):
    @pytest.fixture
    def loss(self):
        return Mine()


def test_losses_are_chosen_by_name():
    problem = example_problem()
    assert make_problem(problem.measurement, probe=problem.initial_probe, loss="poisson").loss == PoissonLoss()
    assert make_problem(problem.measurement, probe=problem.initial_probe).loss == AmplitudeLoss()
    assert get_loss(PoissonLoss()) == PoissonLoss()
    with pytest.raises(ParameterError, match="did you mean 'anscombe'"):
        make_problem(problem.measurement, probe=problem.initial_probe, loss="anscomb")
    with pytest.raises(ParameterError, match="an instance"):
        get_loss(PoissonLoss)


@pytest.mark.parametrize("name", ["amplitude", "anscombe"])
def test_descent_lowers_it(name):
    problem = replace(example_problem(), loss=get_loss(name))
    *_, state = iterate(problem, Plan(iterations=4, batch=32, algorithm=GradientDescent(), constraints=()))
    assert np.isfinite(state.losses).all()
    assert state.losses[-1] < 0.9 * state.losses[0]
