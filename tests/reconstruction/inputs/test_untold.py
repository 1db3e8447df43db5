"""A start that the data do not tell: nothing is taken over, what was set stays, and somebody chooses."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Calibration, Dataset
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import ParameterError


@pytest.fixture
def noise():
    rows, columns = np.mgrid[-16:16, -16:16]
    disk = 50.0 * (np.hypot(rows, columns) < 6)
    counts = np.random.default_rng(0).poisson(disk, (8, 8, 32, 32)).astype("uint16")
    return Dataset(counts, Calibration(energy=80e3, scan_step=1.0, q_pixel=0.08, semiangle=20.0))


def test_what_was_set_before_stays_where_nothing_better_is_found(noise):
    recon = Reconstruction(noise, defocus=0)
    recon.prepare(rotation=20.0, transpose=True)
    start = recon.calibrate()
    assert start.estimate("rotation").source == "cannot tell"
    assert (recon.preparation.rotation, recon.preparation.transpose) == (20.0, True)
    assert (recon.measurement.rotation, recon.measurement.transpose) == (20.0, True)
    assert recon.optics.aberrations.known and recon.optics.aberrations["defocus"] == 0
    assert "cannot tell" in recon.message
    recon.run(1)
    assert recon.iteration == 1


def test_what_nobody_has_set_stays_unknown_and_one_of_the_readings_can_be_taken(noise):
    recon = Reconstruction(noise)
    recon.calibrate()
    assert {"defocus", "rotation", "transpose"} <= set(recon.unknown)
    with pytest.raises(AskingError, match="start_alternatives"):
        recon.run()
    assert len(recon.start_alternatives) > 1 and recon.taken_alternative is None
    first = recon.start_alternatives[0]
    recon.take_alternative(0)
    assert recon.optics.aberrations["defocus"] == pytest.approx(first.defocus)
    assert recon.measurement.rotation == pytest.approx(first.rotation)
    assert recon.measurement.transpose == first.transpose
    recon.run(1)
    assert recon.iteration == 1


def test_a_start_that_is_told_takes_the_place_of_what_was_set():
    recon = Reconstruction(samples.ducky("tiny", dose=1e5))
    recon.prepare(rotation=20.0, transpose=True)
    recon.calibrate()
    assert abs(recon.rotation + 15) < 0.5 and recon.transpose is False


def test_a_start_is_not_taken_over_where_the_data_have_changed_meanwhile():
    recon = Reconstruction(samples.ducky("tiny", dose=1e5))

    def changes(words):
        recon.dataset = samples.ducky("tiny", dose=1e4)

    with pytest.raises(ParameterError, match="look again"):
        recon.calibrate(progress=changes)
    assert not recon.optics.aberrations.known and recon.estimates == ()


def test_a_transpose_that_is_not_told_is_asked_for_where_all_else_was_given():
    start = calibrate(samples.ducky("tiny", dose=1e5), rotation=-15, defocus=250)
    assert question(start) is None
    untold = [replace(d, source="cannot tell") if d.name == "transpose" else d for d in start.estimates]
    asked = question(replace(start, estimates=tuple(untold)))
    assert "transpose" in str(asked) and "--no-transpose or --transpose" in asked.told("command line")


def test_what_was_found_is_looked_for_again_in_a_part_of_the_data_and_what_was_given_stays():
    recon = Reconstruction(samples.ducky("tiny", dose=1e5))
    recon.calibrate()
    recon.take_alternative(1)  # half a turn, the wrong one
    recon.crop(scan=(0, 11, 0, 11))
    assert {"defocus", "rotation", "transpose"} <= set(recon.unknown)
    recon.run(1)
    assert abs(recon.rotation + 15) < 1 and recon.optics.aberrations["defocus"] > 200
    given = Reconstruction(samples.ducky("tiny", dose=1e5), defocus=240)
    given.crop(scan=(0, 11, 0, 11))
    assert given.optics.aberrations["defocus"] == 240 and "defocus" not in given.unknown


def test_no_run_ends_with_what_it_was_about_to_look_for():
    recon = Reconstruction(samples.ducky("small"), defocus=350)
    recon.run(2)
    assert recon.status == "finished" and not recon.message.startswith("Finding")
