"""Whatever tells an angle tells it within half a turn, however many turns it was given or found by."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Aberrations, Optics, prepare
from ptywidgets.engine.checks.doctor import examine
from ptywidgets.engine.direct import bright_field, parallax
from ptywidgets.engine.direct.parallax.fit import ShiftFit
from ptywidgets.engine.preprocess import find_rotation, rotate_vectors, wrapped_angle
from ptywidgets.widgets.controls.formatting import degrees_text

TRUE = -15.0
TURNED = TRUE + 360


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("tiny")


def told(words):
    """Numbers that are angles, in degrees, of a message."""
    found = re.findall(r"(-?\d+\.?\d*) (?:\+- [\d.]+ )?(?:degrees|°)", words.replace("−", "-"))
    return [float(number) for number in found]


@pytest.mark.parametrize("angle", [-14.93127730303943, 0.1, 180.0, -179.99999999999997])
def test_an_angle_within_half_a_turn_stays_to_the_last_digit(angle):
    assert wrapped_angle(angle) == angle


@pytest.mark.parametrize("turn", [-179.0, -90.0, 43.94, 135.0, 180.0])
def test_messages_of_the_curl(duck, turn):
    com = prepare(duck, rotation=TRUE).com_corrected
    for sign in (1, -1):
        fit = find_rotation(rotate_vectors(sign * com, turn), False)
        angles = told(fit.message)
        assert angles and all(-180 <= angle <= 180 for angle in angles)
        assert angles[0] == pytest.approx(fit.rotation, abs=0.01)


def test_measurements_and_bright_fields_of_angles_given_a_turn_too_far(duck):
    measurement, right = (prepare(duck, rotation=angle, transpose=False) for angle in (TURNED, TRUE))
    assert measurement.rotation == pytest.approx(TRUE)
    np.testing.assert_allclose(measurement.positions, right.positions, atol=1e-9)
    assert "rotation -15.00 degrees" in repr(measurement)
    assert bright_field(duck, measurement).turned(2038.8).rotation == pytest.approx(-121.2)


def test_the_parallax_and_what_it_says(duck):
    fit = ShiftFit(Aberrations(), 2038.8, False, {}, 0.0)
    assert fit.rotation == replace(fit, rms=1.0).rotation == pytest.approx(-121.2)
    result = parallax(bright_field(duck, rotation=TURNED, transpose=False), rotation=TURNED)
    assert result.rotation == pytest.approx(TRUE)
    assert told(result.message)[0] == pytest.approx(TRUE)


def test_the_doctor(duck):
    measurement = prepare(duck, rotation=TURNED, transpose=False)
    findings = examine(duck, measurement, Optics(semiangle=20, aberrations=Aberrations(defocus=250)))
    angles = [angle for finding in findings for angle in told(f"{finding.sentence} {finding.remedy}")]
    assert len(angles) >= 2 and all(-180 <= angle <= 180 for angle in angles)


def test_the_reconstruction_and_the_widgets(duck):
    recon = Reconstruction(duck, defocus=250)
    recon.prepare(rotation=TURNED, transpose=False)
    assert recon.rotation == pytest.approx(TRUE)
    assert all(-180 <= angle <= 180 for angle in told(recon.message))
    assert degrees_text(TURNED) == "−15.0°"
