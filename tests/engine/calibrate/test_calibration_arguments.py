"""What a start is looked for with is checked before any work, in the words of what was given."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples, write
from ptywidgets.engine import Aberrations, Calibration, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.calibrate.calibration_arguments import check_sizes
from ptywidgets.engine.checks.start_check import check_start
from ptywidgets.engine.core.errors import CalibrationError, ParameterError


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


NAN, INF = float("nan"), float("inf")
ANY = [NAN, INF, -1.0, 0.0, True, "far", 10**400, [1.0], {}]  # which no length, angle or energy is
IMPOSSIBLE = [  # calibration, arguments, and who has to be named
    *[({name: value}, {}, name) for name in ("energy", "scan_step", "q_pixel", "semiangle") for value in ANY],
    *[({"energy": value}, {}, "energy") for value in (1e-9, 1.0, 1e9, 1e300)],
    *[({"scan_step": value}, {}, "scan_step") for value in (1e-300, 1e-9, 1e-3, 1e3, 1e9, 1e300, (1.5, 1e9))],
    *[({"q_pixel": value}, {}, "q_pixel") for value in (1e-300, 1e-9, 1e-3, 1e3, 1e300, (0.05, 1e-9))],
    *[({"semiangle": value}, {}, "semi-?angle") for value in (1e-300, 1e-9, 1e-3, 1e3, 1e9, 1e300)],
    *[({}, {"q_pixel": value}, "q_pixel") for value in (*ANY, 1e-300, 1e-9, 1e-3, 1e3, 1e300, (0.05, 1e-9))],
    *[({}, {"semiangle": value}, "semi-?angle") for value in (*ANY, 1e-300, 1e-9, 1e-3, 1e3, 1e300)],
    # Of the other one, which is found from the disk, the impossible follows:
    *[
        ({"semiangle": None}, {"q_pixel": value}, "scan_step|q_pixel|semi-?angle")
        for value in (1e-300, 1e-9, 1e3, 1e300)
    ],
    *[({"q_pixel": None}, {"semiangle": value}, "scan_step|q_pixel|semi-?angle") for value in (1e-300, 1e-9, 1e3)],
    *[({}, {"defocus": value}, "defocus") for value in (1e12, -1e12, 1e300, NAN, INF, True, "far", 10**400, [1.0])],
    *[({}, {"thickness": value}, "thickness") for value in (1e12, 1e300, NAN, INF, -1.0, True, "thin", 10**400)],
    *[({}, {"rotation": value}, "rotation") for value in (1e12, NAN, INF, True, "up", 10**400, [1.0])],
    *[({}, {"transpose": value}, "transpose") for value in (2, NAN, "yes", [True])],
    *[({}, {"origin": value}, "origin") for value in ("planes", 3, True, NAN)],
    *[({}, {"aberrations": value}, "aberrations?") for value in ({1: 2.0}, {None: 1.0}, [1.0], NAN, True, "C10")],
    *[({}, {"aberrations": {"C30": value}}, "C30") for value in (NAN, INF, True, "far", 10**400, 1e300, [1.0])],
    ({}, {"aberrations": {"C12a": 1e12}}, "C12a"),
    ({}, {"aberrations": {"defocus": 1e12}}, "defocus"),
]


def named(case):
    return " ".join(f"{name}={str(value)[:12]}" for part in case[:2] for name, value in part.items())


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("case", IMPOSSIBLE, ids=named)
def test_what_cannot_be_is_refused_in_words_at_once_and_without_memory(tiny, case, masked):
    """A disk 1e9 pixels wide, a scan of a millimetre: time and memory grow with them, and would have no end."""
    calibration, arguments, who = case
    if masked:  # and no vacuum pattern: what is looked at is another way
        tiny = replace(tiny, vacuum=None).with_mask(np.mgrid[:64, :64][1] >= 20)
    for start in (calibrate, lambda dataset, **known: Reconstruction(dataset).calibrate(**known)):
        tracemalloc.start()
        begin = time.process_time()
        try:
            with pytest.raises((ParameterError, CalibrationError), match=who) as refused:
                start(replace(tiny, calibration=tiny.calibration.replace(**calibration)), **arguments)
            seconds, peak = time.process_time() - begin, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "expected" in str(refused.value) or "Known:" in str(refused.value)
        assert seconds < 1 and peak < 32e6


@pytest.mark.parametrize("name, value", [("q_pixel", 1e-9), ("scan_step", 1e9), ("semiangle", 1e3), ("energy", 1.0)])
def test_a_file_is_opened_with_what_cannot_be_likewise(tmp_path, tiny, name, value):
    file = write(tmp_path / "tiny.h5", replace(tiny, calibration=tiny.calibration.replace(**{name: None})))
    with pytest.raises((ParameterError, CalibrationError), match="expected"):
        Reconstruction.open(file, **{name: value}).calibrate()


def test_what_can_be_is_not_refused(tiny):
    """Sizes at the border of what is used: a disk that the detector cuts, coarse and fine steps, a wide probe."""
    for changes in ({"q_pixel": 0.012}, {"q_pixel": 0.4}, {"scan_step": 15.0}, {"scan_step": 0.1}):
        check_sizes(tiny.with_calibration(**changes), 250.0)
    check_sizes(tiny, 2000.0, Aberrations(C30=1e6, C12=500))
    check_sizes(replace(tiny, calibration=Calibration()), 1e12)


def test_a_scan_without_a_frequency_to_look_at_cannot_tell(tiny):
    start = calibrate(tiny.with_calibration(scan_step=0.1))
    assert not start.fit.found and "no frequency of the scan" in start.cannot
