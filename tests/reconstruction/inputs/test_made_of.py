"""What a result was made of: an equal value changes nothing, and other data are said to be others."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Dataset, Reconstruction, samples
from ptywidgets.engine import prepare
from ptywidgets.engine.checks.doctor import Finding
from ptywidgets.reconstruction import TiltSeriesData
from ptywidgets.reconstruction.inputs.made_of import alike


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")  # with a vacuum pattern


@pytest.fixture
def recon(data):
    recon = Reconstruction(data, defocus=250)
    return recon.run(2)


def again(optics):
    return replace(optics, vacuum=np.array(optics.vacuum))


SAME = {
    "optics": lambda r: setattr(r, "optics", again(r.optics)),
    "update_optics": lambda r: r.update_optics(defocus=250),
    "set_calibration": lambda r: r.set_calibration(energy=r.calibration.energy, scan_step=r.calibration.scan_step),
    "set_calibration of the aperture": lambda r: r.set_calibration(semiangle=r.calibration.semiangle),
    "set_calibration as measured": lambda r: r.set_calibration(q_pixel=r.calibration.q_pixel, origin="measured"),
    "dataset": lambda r: setattr(r, "dataset", replace(r.dataset)),
    "dataset of the same array": lambda r: setattr(
        r, "dataset", Dataset(r.dataset.data, r.calibration, r.dataset.vacuum, name="the duck")
    ),
    "prepare": lambda r: r.prepare(),
    "prepare as it is": lambda r: r.prepare(rotation=r.rotation, transpose=r.transpose),
    "orient": lambda r: r.orient(r.rotation, r.transpose),
    "preparation": lambda r: setattr(r, "preparation", r.preparation.replace(rotation=r.rotation)),
    "measurement": lambda r: setattr(r, "measurement", replace(r.measurement)),
    "measurement of one's own": lambda r: setattr(
        r, "measurement", prepare(r.dataset, r.preparation.replace(rotation=r.rotation, transpose=r.transpose))
    ),
    "crop of nothing": lambda r: r.crop(scan=(0, 12, 0, 12)),
    "bin of nothing": lambda r: r.bin(),
    "begin_with nothing": lambda r: r.begin_with(),
    "initialize_from nothing": lambda r: r.initialize_from(None),
    "views": lambda r: setattr(r, "views", None),
    "model": lambda r: setattr(r, "model", r.model.replace()),
}


@pytest.mark.parametrize("way", SAME)
def test_what_is_as_it_was_leaves_the_result_as_it_is(recon, way):
    """The next run began anew, though nothing had changed."""
    lens, images = recon.optics, recon.object_phase
    SAME[way](recon)
    assert recon.result.made_with == "" and "made with" not in repr(recon)
    assert recon.optics is lens and np.array_equal(recon.object_phase, images)
    assert recon.measurement is not None
    assert recon.run(1).iteration == 3


def test_given_waves_and_images_that_are_equal(data):
    recon = Reconstruction(data, defocus=250)
    recon.begin_with(probe=recon.probe)
    recon.run(1)
    recon.given = replace(recon.given, probe=recon.given.probe.copy())
    assert recon.run(1).iteration == 2
    recon.begin_with(probe=recon.given.probe, centred=False)  # to begin anew is what it asks for
    assert recon.run(1).iteration == 1
    recon.initialize_from(recon.direct("dpc"))
    recon.run(1)
    recon.initial_image = replace(recon.initial_image, phase=recon.initial_image.phase.copy())
    assert recon.run(1).iteration == 2
    recon.initialize_from(recon.initial_image)
    assert recon.result.made_with == "other settings" and recon.run(1).iteration == 1


def test_a_series(data):
    recon = Reconstruction([data, samples.ducky("tiny", seed=2)], tilts=[0.0, 4.0], defocus=250)
    recon.model = recon.model.replace(slices=2, thickness=20.0)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    for way in ("optics", "update_optics", "set_calibration", "prepare", "dataset", "crop of nothing"):
        SAME[way](recon)
        assert recon.result.made_with == "" and recon.views is not None, way
    recon.views = TiltSeriesData(recon.views.datasets, recon.views.tilts)
    recon.dataset = recon.views.datasets[1]
    assert recon.run(1).iteration == 2
    recon.update_optics(defocus=300)
    assert recon.result.made_with == "other optics"
    recon.dataset = samples.ducky("tiny", seed=3)
    assert recon.result.made_with == "other data (2 tilts from 0° to 4°)"


CHANGES = {
    "other data (ducky tiny of 12 x 12 patterns)": lambda r: setattr(r, "dataset", samples.ducky("tiny", seed=5)),
    "other data (ducky tiny)": lambda r: setattr(r, "dataset", replace(samples.ducky("tiny", seed=5), name="another")),
    "another calibration": lambda r: r.set_calibration(scan_step=1.4),
    "another preparation": lambda r: r.prepare(rotation=30),
    "other optics": lambda r: r.update_optics(defocus=300),
    "another beginning": lambda r: r.begin_with(probe=r.probe),
    "other settings": lambda r: r.initialize_from(r.direct("dpc")),
    "another calibration and other optics": lambda r: r.set_calibration(semiangle=19.0),
}


@pytest.mark.parametrize("made_with", CHANGES)
@pytest.mark.parametrize("way", ["itself", "copy", "file"])
def test_what_was_made_with_something_else_says_so(recon, data, made_with, way, tmp_path):
    """It said "finished, iteration 2 of 2, error 0.01" beside the other data."""
    assert "made with" not in repr(recon) and recon.message != ""
    before = recon.message
    CHANGES[made_with](recon)
    assert recon.message != before
    if way == "copy":
        recon = recon.copy()
    elif way == "file" and "other data" not in made_with:  # they are not in a file
        recon = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert recon.result.made_with == made_with and f"error {recon.error:.4g}, made with {made_with})" in repr(recon)
    recon.run(1)
    assert recon.result.made_with == "" and "made with" not in repr(recon)


def test_the_message_is_of_the_result_no_longer(recon):
    recon.dataset = samples.ducky("tiny", seed=5)
    words = "The result was made with other data (ducky tiny of 12 x 12 patterns); the next run begins anew"
    assert recon.message.startswith(words)
    recon.update_optics(defocus=300)
    assert recon.message.startswith(words)
    recon.dataset = None
    assert recon.result.made_with == "other data (ducky tiny)"
    recon.reset()
    assert recon.result.made_with == "" and recon.message == ""


def test_what_was_doubted_of_the_result_is_still_said(recon):
    recon.doubts = (Finding("patterns", "bad", 1.0, "", "It does not fit.", "Look again."),)
    recon.update_optics(defocus=300)
    assert "made with other optics" in recon.message and "Doubtful: It does not fit. Look again." in recon.message


def test_patterns_are_told_apart_by_their_memory(data):
    assert alike(data, replace(data)) and not alike(data, replace(data, data=data.data.copy()))
    assert alike([1, (2.0, None)], [1, (2.0, None)]) and not alike([1], [1, 2]) and not alike([1], (1,))
    assert alike(np.array([1.0, np.nan]), np.array([1.0, np.nan])) and not alike(np.zeros(2), np.zeros(3))
