"""Patterns, positions, shifts and scan of a measurement are of one number, or it is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import DataError, Optics, ParameterError, make_problem
from ptywidgets.engine.data.patterns import Patterns, Substitutes
from ptywidgets.engine.preprocess.consistent import check_measurement, scan_count
from ptywidgets.testing import example_problem


@pytest.fixture(scope="module")
def measurement():
    return example_problem().measurement


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda m: {"positions": m.positions[:-1]}, "64 patterns but 63 positions"),
        (lambda m: {"positions": np.concatenate([m.positions, m.positions])}, "64 patterns but 128 positions"),
        (lambda m: {"positions": m.positions.T}, r"positions are \(2, 64\)"),
        (lambda m: {"positions": m.positions * np.nan}, "64 of the positions are NaN"),
        (lambda m: {"shifts": m.shifts[:3]}, "64 patterns but 3 shifts"),
        (lambda m: {"patterns": m.patterns.take(np.arange(63))}, "63 patterns but 64 positions"),
        (lambda m: {"scan_shape": (8, 9)}, "64 patterns but 72 scan positions that count"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(measurement, change, words):
    broken = replace(measurement, **change(measurement))
    with pytest.raises(DataError, match=words):
        check_measurement(broken)
    with pytest.raises(DataError, match=words):
        make_problem(broken, Optics(semiangle=20))


def test_positions_that_are_left_out_do_not_count():
    """Of a measurement with a mask of the scan, as of one without."""
    mask = np.ones((8, 8), bool)
    mask[0, 3] = False
    assert scan_count(SimpleNamespace(scan_shape=(8, 8), scan_mask=mask)) == 63
    assert scan_count(SimpleNamespace(scan_shape=(8, 8), scan_mask=None)) == 64
    assert scan_count(SimpleNamespace(scan_shape=(8, 8))) == 64


def test_a_measurement_without_shifts_is_whole(measurement):
    assert make_problem(replace(measurement, shifts=None), Optics(semiangle=20)).count == 64


def test_substitutes_are_of_as_many_patterns():
    counts, few = np.ones((5, 4, 4), np.uint8), Patterns.centred(np.ones((2, 4, 4), np.uint8))
    origin = np.zeros((5, 2), np.int64)
    Patterns(counts, origin, substitutes=Substitutes(np.array([-1, 0, 1, -1, -1]), few, 1.0))
    for rows in ([-1, 0, 1], [-1, 0, 1, 2, -1], [-2, 0, 0, 0, 0]):
        with pytest.raises(DataError, match="expected one for each of the 5 patterns"):
            Patterns(counts, origin, substitutes=Substitutes(np.array(rows), few, 1.0))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"probe": np.zeros((64, 64))}, "zero everywhere"),
        ({"probe": np.full((64, 64), np.nan)}, "NaN"),
        ({"probe": np.ones(64)}, "expected numbers"),
        ({"probe": np.ones((8, 8))}, "make them equal"),
        ({"obj": np.ones((5, 6))}, r"the object is \(5, 6\)"),
        ({"device": "gpuu"}, "did you mean 'gpu'"),
        ({"loss": "poison"}, "did you mean 'poisson'"),
    ],
)
def test_a_problem_understands_what_it_is_given(measurement, arguments, words):
    with pytest.raises(ParameterError, match=words):
        make_problem(measurement, **({"optics": Optics(semiangle=20)} | arguments))


def test_a_data_set_that_nobody_has_prepared_is_refused():
    with pytest.raises(ParameterError, match=r"got a Dataset; prepare it first"):
        make_problem(samples.ducky("tiny"), Optics(semiangle=20))
