"""Parameters carry unit, range and sentence, and check themselves."""

from dataclasses import dataclass

import numpy as np
import pytest

from ptywidgets.engine import direct
from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.calibrate.coarse.refine_optics import refine_optics
from ptywidgets.engine.calibrate.flip import resolve_flip
from ptywidgets.engine.constraints import CONSTRAINTS
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.data.virtual import histogram
from ptywidgets.engine.optics.modes import first_modes
from ptywidgets.engine.preprocess.defects.pixels import bad_pixels
from ptywidgets.engine.simulate import simulate_dataset
from ptywidgets.engine.solve import schedule
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.tomography import make_series


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


@pytest.mark.parametrize("value", ["3", b"3", True, np.bool_(True), np.array([3.0]), None, [3], 1j, object()], ids=repr)
def test_what_python_would_take_for_a_number_is_refused(value):
    with pytest.raises(ParameterError, match="cutoff is"):
        Example(cutoff=value)


@pytest.mark.parametrize("value", ["no", "True", 2, None, [], 0.0], ids=repr)
def test_a_switch_is_true_or_false(value):
    with pytest.raises(ParameterError, match=r"on is .*; expected True or False"):
        Example(on=value)
    assert Example(on=np.bool_(False)).on is False and Example(on=1).on is True


def test_a_text_that_is_typed_is_read_where_it_is_typed():
    cutoff, count = Example.describe()[:2]
    assert cutoff.typed("0.25") == 0.25 and count.typed("") is None and count.typed("3") == 3
    with pytest.raises(ParameterError, match="cutoff is 'much'"):
        cutoff.typed("much")


COUNTED = {
    "dpc": lambda n: direct.dpc(None, method="iterative", iterations=n),
    "parallax": lambda n: direct.parallax(None, iterations=n),
    "bright_field": lambda n: direct.bright_field(None, binning=n),
    "automatic_schedule": lambda n: schedule.automatic_schedule(None, iterations=n),
    "reconstruct": lambda n: schedule.reconstruct(None, iterations=n),
    "first_modes": lambda n: first_modes(None, n),
    "histogram": lambda n: histogram(None, bins=n),
    "bad_pixels": lambda n: bad_pixels(None, most=n),
    "resolve_flip": lambda n: resolve_flip(None, None, iterations=n),
    "refine_optics": lambda n: refine_optics(None, None, None, rounds=n),
    "simulate_dataset": lambda n: simulate_dataset(None, None, None, snapshots=n),
    "make_series": lambda n: make_series((), (), depth=1.0, slices=n),
}


@pytest.mark.parametrize("value", [-1, 2.5, "3", True, float("nan")], ids=repr)
@pytest.mark.parametrize("name", COUNTED)
def test_functions_refuse_counts_that_are_none_before_they_look_at_anything(name, value):
    with pytest.raises(ParameterError, match="expected a whole number of at least"):
        COUNTED[name](value)
