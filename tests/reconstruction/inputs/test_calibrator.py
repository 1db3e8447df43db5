"""What a reconstruction begins with: the start found from the data, the bright field, an image to start from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import CalibrationError, DataError, Dataset, ModelConfig, ParameterError
from ptywidgets.engine.calibrate.estimates import Estimate
from ptywidgets.engine.checkpoint import load_checkpoint
from ptywidgets.engine.direct import DirectImage, start_object
from ptywidgets.reconstruction.inputs import calibrator

DEFOCUS = samples.ducky_defocus("tiny")


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture
def recon(ducky):
    recon = Reconstruction(ducky, defocus=DEFOCUS)
    yield recon
    recon.stop()


def ramp(rotation=-15.0, transpose=False):
    phase = np.linspace(0, 0.3, 12, dtype=np.float32)[:, None] * np.ones(12, np.float32)
    return DirectImage(phase, (1.5, 1.5), "ramp", rotation, transpose)


# ---------------------------------------------------------------- the bright field


def test_the_bright_field_is_gathered_once_and_follows_the_rotation(recon):
    recon.prepare(rotation=-15.0, transpose=False)
    first = recon.bright_field()
    recon.prepare(rotation=30.0, transpose=True)
    turned = recon.bright_field()
    assert turned.images is first.images, "it was gathered anew for another angle"
    assert (turned.rotation, turned.transpose) == (30.0, True)


def test_another_origin_or_calibration_makes_another_bright_field(recon):
    first = recon.bright_field()
    recon.prepare(origin="constant")
    second = recon.bright_field()
    assert second.images is not first.images
    recon.set_calibration(scan_step=3.0)
    assert recon.bright_field().scan_step == 3.0


def test_no_bright_field_without_data_or_calibration(ducky):
    with pytest.raises(DataError, match="no data yet"):
        Reconstruction().bright_field()
    with pytest.raises(CalibrationError):
        Reconstruction(Dataset(ducky.data)).bright_field()


# ---------------------------------------------------------------- direct methods


@pytest.mark.parametrize("method", ["dpc", "parallax", "ssb", "obf", "wdd"])
def test_every_direct_method_gives_a_phase_in_the_scan_frame(recon, method):
    recon.prepare(rotation=-15.0, transpose=False)
    image = recon.direct(method)
    assert isinstance(image, DirectImage) and np.isfinite(image.phase).all()
    extent = [n * s for n, s in zip(image.phase.shape, image.sampling, strict=True)]
    assert extent == pytest.approx([18.0, 18.0], rel=0.15), "it does not cover the scan"


def test_an_unknown_method_names_the_nearest(recon):
    with pytest.raises(ParameterError, match="did you mean 'ssb'"):
        recon.direct("sbs")


# ---------------------------------------------------------------- starting from an image


def test_a_run_begins_from_the_image(recon):
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    assert recon.initialized_from == "empty"
    recon.initialize_from(ramp())
    recon.run(1)
    assert recon.iteration == 1, "it went on with the old object"
    assert recon.initialized_from == repr(ramp())
    image = start_object(ramp(), recon.problem)  # the problem's grid is that of the stage that ran
    np.testing.assert_allclose(recon.problem.initial_object, image, atol=0.01 * np.ptp(image))
    assert np.ptp(recon.problem.initial_object) > 0.1


def test_going_on_does_not_begin_again(recon):
    recon.initialize_from(ramp())
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    recon.run(1)
    assert recon.iteration == 2


def test_none_means_empty_again(recon):
    recon.initialize_from(ramp())
    recon.initialize_from(None)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    assert recon.initialized_from == "empty"


@pytest.mark.parametrize("rotation, transpose", [(165.0, False), (-15.0, True), (40.0, False)])
def test_an_image_of_another_orientation_is_no_start(recon, rotation, transpose):
    recon.initialize_from(ramp())
    recon.prepare(rotation=rotation, transpose=transpose)
    recon.run(1)
    assert recon.initialized_from == "empty" and "another rotation" in recon.message


def test_other_data_forget_the_image_and_the_estimates(recon, ducky):
    recon.initialize_from(ramp())
    recon.estimates = (Estimate("rotation", 1.0, None, "degrees", "given", "The rotation was given."),)
    recon.dataset = Dataset(ducky.data.copy(), ducky.calibration)
    assert recon.initial_image is None and recon.estimates == ()


def test_the_file_says_what_the_run_began_from(recon, ducky, tmp_path):
    recon.initialize_from(ramp())
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1).save(tmp_path / "run.h5")
    assert load_checkpoint(tmp_path / "run.h5").provenance["initialized_from"] == repr(ramp())
    again = Reconstruction.load(tmp_path / "run.h5", ducky)
    assert again.initialized_from == repr(ramp())
    again.run(1)
    assert again.iteration == 2


def test_nobody_gives_what_is_found(ducky):
    with pytest.raises(ParameterError, match="estimates"):
        Reconstruction(ducky, estimates=())


# ---------------------------------------------------------------- the whole start


def test_calibrate_sets_everything_and_says_why(ducky):
    recon = Reconstruction(ducky)
    start = recon.calibrate()
    assert recon.measurement is start.measurement
    assert recon.rotation == pytest.approx(-15, abs=3) and recon.transpose is False
    assert recon.optics.aberrations["defocus"] == pytest.approx(DEFOCUS, rel=0.2)
    assert recon.estimates and recon.estimates == tuple(start.estimates)
    assert all(estimate.sentence for estimate in recon.estimates)
    recon.run(1)
    assert recon.measurement is start.measurement, "it was prepared anew"


def test_of_several_slices_the_defocus_found_is_that_of_the_middle(ducky, monkeypatch):
    asked = []
    whole = calibrator.calibrate
    monkeypatch.setattr(calibrator, "calibrate", lambda data, **known: asked.append(known) or whole(data, **known))
    recon = Reconstruction(ducky, model=ModelConfig(slices=2, thickness=20))
    recon.calibrate()
    assert asked[0]["thickness"] == 20
    assert recon.model == ModelConfig(slices=2, thickness=20, focus="middle")
    thin = Reconstruction(ducky)
    thin.calibrate()
    assert "thickness" not in asked[1] and thin.model == ModelConfig()


def test_half_a_turn_asks_for_the_opposite_of_what_was_found(ducky):
    recon = Reconstruction(ducky)
    recon.calibrate()
    found, rotation = recon.optics.aberrations, recon.rotation
    recon.orient(rotation + 180, recon.transpose)
    for name, value in found.cartesian.items():
        assert recon.optics.aberrations.cartesian[name] == pytest.approx(-value, abs=1e-9)
    recon.orient(rotation, recon.transpose)
    assert recon.optics.aberrations["defocus"] == pytest.approx(found["defocus"])
    recon.optics = recon.optics.replace(aberrations={"defocus": 100})
    recon.orient(rotation + 180, recon.transpose)
    assert recon.optics.aberrations["defocus"] == 100, "what somebody has set is theirs"


def test_what_is_found_survives_a_change_of_the_origin(ducky):
    recon = Reconstruction(ducky)
    recon.calibrate()
    rotation = recon.rotation
    recon.prepare(origin="constant")
    assert recon.rotation == rotation


def test_no_start_is_looked_for_during_a_run(recon):
    recon.prepare(rotation=-15.0, transpose=False)
    recon.update_plan(iterations=10_000)
    recon.start()
    with pytest.raises(ParameterError, match="stop it first"):
        recon.calibrate()
    recon.stop()


def test_orientations_are_compared_and_nothing_is_changed(recon):
    recon.prepare(rotation=-15.0, transpose=False)
    before = recon.measurement
    found = recon.find_orientation()
    assert recon.measurement is before
    assert len(found.candidates) == 8 and 0 <= found.best < 8


def test_what_a_start_has_found_counts_where_orientations_are_compared_and_what_was_given_does_not():
    recon = Reconstruction(samples.ducky("tiny", dose=1e5))
    recon.calibrate()
    one, other = recon.start_alternatives[:2]
    assert abs(recon.find_orientation().rotation - one.rotation) < 0.1
    probable = (replace(other, probability=0.97), replace(one, probability=0.03))
    recon.set_trait("start_alternatives", probable)
    found = recon.find_orientation()
    assert (found.rotation, found.transpose) == pytest.approx((other.rotation, other.transpose))
    assert found.confidence == pytest.approx(0.97) and "trial reconstructions of the start" in found.message
    recon.calibrate(rotation=165.0, transpose=False)
    assert "trial reconstructions" not in recon.find_orientation().message


def test_the_doctor_speaks_in_sentences(recon):
    findings = recon.examine()
    assert findings and {finding.verdict for finding in findings} <= {"good", "warn", "bad"}
    assert all(finding.name and finding.sentence for finding in findings)
