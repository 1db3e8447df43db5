"""The start: found from the data alone on many simulated variants, and given things are kept."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, CalibrationError, Preparation, prepare
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.preprocess import wrapped_angle

LENS = {"C12": 40.0, "phi12": 0.4, "C21": 6000.0, "phi21": 1.0}
VARIANTS = [
    ("film", -15.0, False, 300.0, {}),
    ("film", -100.0, True, -350.0, {"dose": 1e4}),
    ("particles", 160.0, False, -250.0, {"dose": 1e5, "descan": 1.0, "jitter": 0.1}),
    ("lattice", 70.0, True, 300.0, {"dose": 1e5, "descan": 0.5}),
]


def away(angle, truth):
    return abs(wrapped_angle(angle - truth))


@pytest.mark.parametrize("specimen, rotation, transpose, defocus, more", VARIANTS)
def test_variants_are_found(variant, specimen, rotation, transpose, defocus, more):
    truth = Aberrations(defocus=defocus, **LENS).cartesian
    dataset = variant(specimen, rotation=rotation, transpose=transpose, defocus=defocus, **LENS, **more)
    start = calibrate(dataset)
    assert start.measurement.transpose == transpose
    assert away(start.measurement.rotation, rotation) < 0.3
    found = start.optics.aberrations.cartesian
    assert found["C10"] == pytest.approx(truth["C10"], rel=0.02)  # the sign, too: of the two answers the right one
    for symbol in ("C12", "C21"):
        off = np.hypot(*(found[f"{symbol}{part}"] - truth[f"{symbol}{part}"] for part in "ab"))
        assert off < 0.05 * LENS[symbol], symbol
    if specimen != "film":  # thick enough there that no single atom sticks out
        assert start.estimate("180-degree ambiguity").source in ("from the counts", "from the atoms")


@pytest.mark.parametrize("size, dose", [("tiny", 1e5), ("small", 1e4), ("medium", 1e5)])
def test_the_ducky_is_found(size, dose):
    start = calibrate(samples.ducky(size, dose=dose))
    assert away(start.measurement.rotation, -15) < 0.3 and not start.measurement.transpose
    assert start.optics.aberrations["defocus"] == pytest.approx(samples.ducky_defocus(size), rel=0.02)
    assert start.optics.aberrations["C12"] < 3


@pytest.mark.parametrize("name", ["tiny", "small", "small_dose1e4", "small_mixed", "full_counts", "sto"])
def test_the_shared_sets_are_found(simulated_set, name):
    dataset, truth = simulated_set(name)
    thick = name == "sto"
    start = calibrate(dataset, aberrations=Aberrations(defocus=1) if thick else None)
    assert away(start.measurement.rotation, truth["rotation_deg"]) < 0.3
    assert start.measurement.transpose == truth["transpose"]
    if thick:  # 200 A of crystal: not one plane
        middle = truth["defocus_A"] - truth["thickness_A"] / 2
        assert start.optics.aberrations["defocus"] == pytest.approx(middle, abs=10)
        assert start.thickness.thickness == pytest.approx(truth["thickness_A"], rel=0.15)
        assert start.thickness.turned is False
        return
    # The atoms lie on several planes, and the defocus of the truth is that of the entrance.
    middle = truth["defocus_A"] - (truth["thickness_A"] / 2 if truth["slices"] > 1 else 0)
    assert start.optics.aberrations["defocus"] == pytest.approx(middle, rel=0.015)


def test_a_thick_specimen_of_known_thickness_is_found_with_several_slices(simulated_set):
    dataset, truth = simulated_set("sto")
    start = calibrate(dataset, thickness=truth["thickness_A"], aberrations=Aberrations(defocus=1))
    found = start.optics.aberrations["defocus"] + truth["thickness_A"] / 2
    assert found == pytest.approx(truth["defocus_A"], rel=0.02)
    estimate = start.estimate("defocus")
    assert "10 slices" in estimate.sentence and "At the entrance" in estimate.sentence
    assert estimate.source == "from a coarse multislice reconstruction"


def test_given_things_are_kept_and_said_to_be_given():
    dataset = samples.ducky("tiny")
    start = calibrate(dataset, rotation=-12.0, transpose=False, defocus=240.0)
    assert start.measurement.rotation == -12.0 and start.optics.aberrations["defocus"] == pytest.approx(240)
    for name in ("rotation", "transpose", "defocus", "semi-angle"):
        assert start.estimate(name).source == "given" and start.estimate(name).uncertainty is None


def test_a_sign_of_the_defocus_tells_the_twins_apart():
    start = calibrate(samples.ducky("tiny"), aberrations=Aberrations(defocus=-1))
    assert away(start.measurement.rotation, 165) < 0.3 and start.optics.aberrations["defocus"] < 0
    assert start.estimate("180-degree ambiguity").source == "from the sign of the defocus"


def test_a_missing_semiangle_is_found_from_the_disk():
    dataset = samples.ducky("small").with_calibration(semiangle=None)
    start = calibrate(dataset)
    estimate = start.estimate("semi-angle")
    assert estimate.source == "from the bright-field disk"
    assert estimate.value == pytest.approx(20, rel=0.03)
    assert away(start.measurement.rotation, -15) < 0.3


def test_a_missing_scan_step_is_asked_for():
    with pytest.raises(CalibrationError, match="scan_step"):
        calibrate(samples.ducky("tiny").with_calibration(scan_step=None))


def test_nothing_to_see_is_said(variant):
    generator = np.random.default_rng(0)
    dataset = variant(None, scan=12, defocus=300.0)
    noisy = type(dataset)(generator.poisson(dataset.data * 2e4), dataset.calibration, vacuum=dataset.vacuum)
    start = calibrate(noisy)
    assert not start.fit.found
    assert start.estimate("180-degree ambiguity").source == "undecided"


def test_each_estimate_is_told_and_can_be_changed():
    start = calibrate(samples.ducky("tiny"), thickness=30)
    assert all(d.name and d.sentence.endswith(".") and d.source for d in start.estimates)
    assert "At the entrance" in start.estimate("defocus").sentence
    assert str(start).count("\n") == len(start.estimates) - 1 and start.seconds > 0


def test_a_preparation_that_is_given_is_kept():
    start = calibrate(samples.ducky("tiny"), preparation=Preparation(rotation=3.0))
    assert start.measurement.rotation == 3.0


def test_masked_pixels_do_not_lead_the_start_astray():
    dataset = samples.ducky("tiny")
    broken, mask = np.array(dataset.data), np.ones(dataset.detector_shape, bool)
    for y, x in ((30, 31), (5, 6)):
        broken[:, :, y, x] = 60000
        mask[y, x] = False
    clean, masked = calibrate(dataset), calibrate(replace(dataset, data=broken, mask=mask))
    assert masked.measurement.rotation == pytest.approx(clean.measurement.rotation, abs=0.1)
    assert masked.optics.aberrations["defocus"] == pytest.approx(clean.optics.aberrations["defocus"], abs=2)


def test_bent_descan_is_taken_off_by_evidence_and_a_given_plane_is_kept():
    whole = samples.ducky("tiny")
    y, x = np.mgrid[-1:1:12j, -1:1:12j]
    bend = np.rint(np.stack([6 * x * x, 4 * y * y + 3 * x * y])).astype(int)
    data = np.array([[np.roll(whole.data[r, c], bend[:, r, c], (0, 1)) for c in range(12)] for r in range(12)])
    bent = replace(whole, data=data)
    for dataset in (bent, replace(bent, vacuum=None)):
        start = calibrate(dataset, refine=False)
        assert start.measurement.preparation.origin == "parabola"
        assert "a parabola is taken off: it leaves" in start.estimate("descan").sentence
        assert np.abs(start.measurement.origin - prepare(whole).origin - bend).max() < 1
        assert abs(start.measurement.rotation + 15) < 2
    assert calibrate(bent, refine=False, origin="plane").measurement.preparation.origin == "plane"
    assert calibrate(whole, refine=False).measurement.preparation.origin == "plane"
