"""What a start is looked for with is checked before any work, in the words of what was given."""

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Aberrations, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.checks.start_check import check_start
from ptywidgets.engine.core.errors import ParameterError


@pytest.fixture(scope="module")
def tiny():
    return samples.ducky("tiny", dose=1e5)


WRONG = [
    ({"terms": ()}, "terms is .*expected 'C10', the defocus, among them"),
    ({"terms": 5}, "terms is 5; expected names of coefficients"),
    ({"terms": ("C10", 3)}, "expected names of coefficients"),
    ({"terms": ("C10", "C12a")}, "expected both parts of C12.* add 'C12b'"),
    ({"terms": ("C10", "C12")}, "unknown coefficient .* did you mean 'C12[ab]'"),
    ({"progress": 1}, "progress is 1; expected a function"),
    ({"defocus": "far"}, "defocus is 'far'; expected a finite number of A"),
    ({"defocus": [250.0]}, "expected a finite number of A"),
    ({"defocus": True}, "expected a finite number of A"),
    ({"thickness": "thin"}, "thickness is 'thin'; expected a number of A from 0 on"),
    ({"thickness": float("inf")}, "expected a number of A from 0 on"),
    ({"aberrations": 5}, "aberrations is 5; expected Aberrations"),
    ({"preparation": {"rotation": 3}}, "expected a Preparation"),
    ({"refine": "no"}, "refine is 'no'; expected True or False"),
]


@pytest.mark.parametrize("wrong, words", WRONG)
def test_wrong_arguments_are_refused_before_any_work(tiny, wrong, words):
    with pytest.raises(ParameterError, match=words):
        calibrate(tiny, **{"progress": lambda words: pytest.fail(f"it has begun with {words}"), **wrong})
    with pytest.raises(ParameterError, match=words):
        Reconstruction(tiny).calibrate(**wrong)


@pytest.mark.parametrize("other", [None, "data.h5", np.zeros((6, 6, 8, 8))])
def test_a_start_is_looked_for_in_a_dataset(other):
    with pytest.raises(ParameterError, match="expected a Dataset, from read"):
        calibrate(other)


def test_a_single_term_will_do_and_none_where_the_defocus_is_given(tiny):
    assert calibrate(tiny, terms="C10").optics.aberrations["C12"] == 0
    assert calibrate(tiny, terms=(), defocus=250, rotation=-15, transpose=False).fit.found


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"hold": 5}, "hold is 5; expected names"),
        ({"hold": (3,)}, "expected names of what is to be kept"),
        ({"seed": 1.5}, "seed is 1.5; expected a whole number"),
        ({"progress": 1}, "progress is 1; expected a function"),
        ({"optics": 20}, "optics is a int; expected Optics"),
    ],
)
def test_a_check_of_the_start_refuses_likewise(tiny, wrong, words):
    optics = Optics(semiangle=20, aberrations=Aberrations(defocus=250))
    problem = make_problem(prepare(tiny, rotation=-15.0), optics, model=single_slice("potential"))
    with pytest.raises(ParameterError, match=words):
        check_start(problem, **{"optics": optics, **wrong})
    with pytest.raises(ParameterError, match="expected a Problem"):
        check_start(5)
