"""Projections keep the contract, meet what can be met, and are the projections that they say they are."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import ParameterError, Plan, Projections, iterate
from ptywidgets.engine.algorithms import charge_flipping, difference_map, raar, rrr
from ptywidgets.testing import AlgorithmContract, example_problem


class TestProjections(AlgorithmContract):
    @pytest.fixture(params=[Projections(), difference_map(0.0, overlaps=1), Projections(hold_probe=True)], ids=repr)
    def algorithm(self, request):
        return request.param
