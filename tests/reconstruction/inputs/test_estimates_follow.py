"""Estimates say what is in use: after somebody has set another value, that one, and what had been estimated."""

import pickle

import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import prepare
from ptywidgets.engine.calibrate.estimates import CANNOT, FOUND, GIVEN, SET_SINCE
from ptywidgets.widgets.start.start_panel import StartPanel


@pytest.fixture(scope="module")
def started():
    recon = Reconstruction(samples.ducky("tiny"))
    recon.calibrate()
    return pickle.dumps(recon)


@pytest.fixture
def recon(started):
    return pickle.loads(started)


def told(recon):
    return {one.name: one for one in recon.estimates}


ROTATION = {
    "prepare": lambda r: r.prepare(rotation=30),
    "orient": lambda r: r.orient(30, False),
    "measurement": lambda r: setattr(r, "measurement", prepare(r.dataset, rotation=30, transpose=False)),
    "preparation": lambda r: (setattr(r, "preparation", r.preparation.replace(rotation=30)), r.run(1)),
    "none, then another": lambda r: (setattr(r, "measurement", None), r.prepare(rotation=30)),
}


@pytest.mark.parametrize("way", list(ROTATION))
def test_a_rotation_that_is_set(recon, way):
    """It went on as what was found, with its uncertainty."""
    before = told(recon)
    assert before["rotation"].source == FOUND and before["rotation"].uncertainty
    ROTATION[way](recon)
    one = told(recon)["rotation"]
    assert (one.value, one.uncertainty, one.source, one.told) == (30, None, SET_SINCE, before["rotation"])
    assert one.sentence.startswith(f"The rotation is 30 degrees now; {before['rotation'].value:.4g} degrees (+- ")
    assert told(recon)["180-degree ambiguity"].source == SET_SINCE
    others = [name for name in before if name not in ("rotation", "180-degree ambiguity")]
    assert [told(recon)[name] for name in others] == [before[name] for name in others]
    recon.prepare(rotation=before["rotation"].value)
    assert told(recon) == before


def test_a_transpose_that_is_set(recon):
    before = told(recon)
    recon.prepare(transpose=True)
    one = told(recon)["transpose"]
    assert one.value is True and "is transposed now; not transposed had been estimated" in one.sentence
    rotation, flip = told(recon)["rotation"], told(recon)["180-degree ambiguity"]
    assert (rotation.value, rotation.uncertainty, rotation.source) == (before["rotation"].value, None, SET_SINCE)
    assert "had been estimated with the detector not transposed" in rotation.sentence
    assert flip.source == SET_SINCE and "decided by the transpose that was set" in flip.sentence
    recon.prepare(rotation=30)
    assert told(recon)["rotation"].sentence.startswith("The rotation is 30 degrees now; -15")
    assert "by the rotation and the transpose" in told(recon)["180-degree ambiguity"].sentence
    recon.prepare(transpose=False)
    assert told(recon)["transpose"] == before["transpose"] and told(recon)["rotation"].value == 30
    recon.prepare(rotation=before["rotation"].value)
    assert told(recon) == before


@pytest.mark.parametrize("found", [True, False], ids=["after a found start", "without one"])
def test_the_message_tells_the_rotation_that_is_read_with(recon, found):
    """It told that of the least curl, 30 degrees off, as if it were in use."""
    recon = recon if found else Reconstruction(recon.dataset)
    recon.prepare(rotation=-15.0, transpose=True)
    for change in (
        {"transpose": False},
        {"transpose": True},
        {"rotation": 40.0},
        {"rotation": 40.0, "transpose": False},
    ):
        recon.prepare(**change)
        turned = "transposed" if recon.transpose else "not transposed"
        said = f"Read with a rotation of {recon.rotation:.2f} degrees, {turned}, as set; the centre of mass alone has"
        assert recon.message.startswith(said), recon.message
        curl = recon.measurement.rotation_fit
        assert f"least curl at {curl.rotation:.2f} degrees (+- {curl.uncertainty:.2f})" in recon.message
    recon.prepare(rotation=None, transpose=None)
    assert recon.message.startswith(f"Rotation {recon.measurement.rotation_fit.rotation:.2f} degrees")


def test_what_was_found_is_said_to_be_found(recon):
    recon.prepare(robust=False)
    assert f"Read with a rotation of {recon.rotation:.2f} degrees, not transposed, as found;" in recon.message


def test_a_lens_that_is_set(recon):
    before = told(recon)
    recon.update_optics(defocus=400)
    one = told(recon)["defocus"]
    assert (one.value, one.uncertainty, one.source) == (400, None, SET_SINCE)
    recon.update_optics(defocus=420)  # and again
    assert told(recon)["defocus"].told == before["defocus"] and told(recon)["defocus"].value == 420
    recon.update_optics(C12=30.0)
    assert told(recon)["astigmatism"].value == pytest.approx(30) and told(recon)["coma"] == before["coma"]
    recon.optics = recon.optics.replace(aberrations=recon.optics.aberrations.replace(defocus=None))
    assert told(recon)["defocus"].value is None and "is not set any more" in told(recon)["defocus"].sentence
    recon.update_optics(rolloff=1.0)
    assert told(recon)["rotation"] == before["rotation"]


def test_half_a_turn_turns_the_lens_that_was_found(recon):
    before = told(recon)
    recon.orient(before["rotation"].value + 180, False)
    after = told(recon)
    assert after["defocus"].value == pytest.approx(-before["defocus"].value)
    recon.orient(before["rotation"].value, False)
    assert told(recon) == before


def test_what_the_program_sets_is_not_set_by_hand(recon):
    before = told(recon)
    recon.calibrate()
    assert not any(one.told for one in recon.estimates) and set(told(recon)) == set(before)
    if len(recon.start_alternatives) > 1:
        recon.take_alternative(1)
        assert not any(one.source == SET_SINCE for one in recon.estimates)
        recon.take_alternative(0)
    recon.run(2)
    assert not any(one.source == SET_SINCE for one in recon.estimates)
    fresh = Reconstruction(samples.ducky("tiny"))
    fresh.run(1)  # finds what is unknown
    assert fresh.estimates and not any(one.source == SET_SINCE for one in fresh.estimates)


def test_a_check_before_a_run_tells_its_own_number(recon):
    recon.update_optics(defocus=told(recon)["defocus"].value * 1.1)
    assert told(recon)["defocus"].source == SET_SINCE
    recon.run(1)
    one = told(recon)["defocus"]
    assert one.value == pytest.approx(recon.optics.aberrations["defocus"], rel=1e-3) and "had been" not in one.sentence


def test_a_copy_knows_what_had_been_estimated(recon):
    before = told(recon)
    recon.prepare(rotation=30)
    other = recon.copy()
    other.prepare(rotation=before["rotation"].value)
    assert told(other) == before and told(recon)["rotation"].value == 30


def test_where_the_data_cannot_tell_what_was_set_stays_in_use(recon):
    """The estimate said what the curl has, and another rotation was in use."""
    start = recon.calibrate()
    estimates = tuple(
        one if one.name != "rotation" else type(one)(one.name, 70.0, None, one.unit, CANNOT, "taken for 70 degrees.")
        for one in start.estimates
    )
    recon.prepare(rotation=10)
    recon._calibrator._take_over(type(start)(**{**vars(start), "estimates": estimates}))
    assert recon.rotation == 10 and told(recon)["rotation"].value == 10


def test_the_panel_shows_it(recon):
    panel = StartPanel(recon)
    recon.prepare(rotation=30)
    words = " ".join(child.value for row in panel.rows.children for child in row.children if hasattr(child, "value"))
    assert "30 degrees now" in words and "had been estimated" in words
    panel.close()


def test_what_was_given_and_is_set_again(recon):
    recon.calibrate(rotation=-15.0)
    assert told(recon)["rotation"].source == GIVEN
    recon.prepare(rotation=-20)
    assert told(recon)["rotation"].value == -20
