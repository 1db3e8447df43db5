"""Parameters carry unit, range and sentence, and check themselves."""

from dataclasses import dataclass

import pytest

from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.constraints import CONSTRAINTS
from ptywidgets.engine.errors import ParameterError
from ptywidgets.engine.params import Params, param
from ptywidgets.engine.plan import Plan


@dataclass(frozen=True)
class Example(Params):
    cutoff: float = param(0.5, unit="1/A", low=0, high=5, doc="Highest frequency.")
    count: int | None = param(None, low=1, doc="How many; none: found.")
    mode: str = param("soft", choices=("soft", "hard"), doc="Edge.")
    on: bool = param(True, doc="Whether.")


def test_values_are_converted_to_the_declared_type():
    example = Example(cutoff=1, count=3.0)
    assert isinstance(example.cutoff, float) and isinstance(example.count, int)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"cutoff": 6}, "cutoff is 6; expected a number from 0 to 5 1/A"),
        ({"cutoff": "much"}, "cutoff is 'much'"),
        ({"cutoff": float("nan")}, "cutoff is nan"),
        ({"cutoff": None}, "cutoff is None"),
        ({"count": 0}, "count is 0; expected a whole number of at least 1"),
        ({"count": 1.5}, "whole number"),
        ({"mode": "sofd"}, "did you mean 'soft'"),
    ],
)
def test_bad_values_say_what_is_expected(values, words):
    with pytest.raises(ParameterError, match=words):
        Example(**values)


def test_unknown_names_give_the_nearest():
    with pytest.raises(ParameterError, match="did you mean 'cutoff'"):
        Example().replace(cutof=1)
    with pytest.raises(ParameterError, match="did you mean 'iterations'"):
        Plan.from_dict({"iteration": 3})


@pytest.mark.parametrize("cls", [Plan, *ALGORITHMS.values(), *CONSTRAINTS.values()], ids=lambda c: c.__name__)
def test_every_parameter_of_the_engine_says_what_it_is(cls):
    for parameter in cls.describe():
        assert parameter.doc.endswith("."), f"{cls.__name__}.{parameter.name} has no sentence"
        assert parameter.check(parameter.default) == parameter.default
