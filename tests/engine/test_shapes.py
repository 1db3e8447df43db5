"""Whatever the shape of scan and detector, every function gives finite numbers or says in our words why not."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, PtyError
from ptywidgets.engine.calibrate import calibrate, find_optics, find_orientation
from ptywidgets.engine.checks import doctor
from ptywidgets.engine.data.virtual import VirtualImager
from ptywidgets.engine.direct import bright_field, corrected, detector_segments, dpc, obf, parallax, ssb, wdd
from ptywidgets.engine.metrics.thinning import thin_counts
from ptywidgets.engine.preprocess import (
    bad_frames,
    bad_pixels,
    centre_of_mass,
    disk_origins,
    fit_descan,
    fit_origin,
    integrate,
    measure_disk,
    prepare,
    rotation_curves,
)

WHOLE = samples.ducky("tiny")
OPTICS = Optics(semiangle=20, aberrations=Aberrations(defocus=250))
SCANS = [(1, 1), (1, 5), (4, 1), (2, 2), (3, 3), (3, 5), (4, 4), (5, 5)]
DETECTORS = [(63, 64), (33, 64), (64, 31), (5, 5), (3, 2), (1, 8), (1, 1)]


def cut(scan, detector):
    y, x = ((64 - n) // 2 for n in detector)
    data = WHOLE.data[3 : 3 + scan[0], 4 : 4 + scan[1], y : y + detector[0], x : x + detector[1]]
    return replace(WHOLE, data=data, vacuum=WHOLE.vacuum if detector == (64, 64) else None)


SETS = [cut(scan, (64, 64)) for scan in SCANS]
SETS += [cut(scan, detector) for detector in DETECTORS for scan in ((1, 1), (2, 2), (5, 5))]


def quadrants(dataset):
    centre = tuple((n - 1) / 2 for n in dataset.detector_shape)
    return detector_segments(dataset.detector_shape, centre, 13)


FUNCTIONS = {
    "centre of mass": centre_of_mass,
    "prepare": lambda d: prepare(d).com_corrected,
    "start": lambda d: calibrate(d).measurement.rotation,
    "start with defocus": lambda d: calibrate(d, defocus=250).measurement.rotation,
    "pixels": lambda d: bad_pixels(d).mask,
    "frames": lambda d: bad_frames(d).mask,
    "descan": lambda d: fit_descan(centre_of_mass(d)).origin,
    "parabola": lambda d: fit_origin(centre_of_mass(d), "parabola"),
    "disks": lambda d: disk_origins(d, measure_disk(d.mean_pattern())),
    "orientation": lambda d: find_orientation(d).rotation,
    "optics": lambda d: find_optics(bright_field(d)).rotation,
    "curves": lambda d: rotation_curves(prepare(d).com).curl,
    "integrate": lambda d: integrate(prepare(d).com),
    "dpc": lambda d: dpc(d).phase,
    "dpc, mirrored": lambda d: dpc(d, edges="mirror").phase,
    "dpc, iterative": lambda d: dpc(d, "iterative").phase,
    "dpc, segments": lambda d: dpc(d, segments=quadrants(d)).phase,
    "bright field": lambda d: bright_field(d).images,
    "parallax": lambda d: corrected(parallax(bright_field(d))).phase,
    "ssb": lambda d: ssb(bright_field(d), OPTICS).phase,
    "obf": lambda d: obf(bright_field(d), OPTICS).phase,
    "wdd": lambda d: np.abs(wdd(d, OPTICS).phase),
    "virtual": lambda d: VirtualImager(d).image(np.ones(d.detector_shape, bool)),
    "thinning": lambda d: thin_counts(d)[0].data,
    "doctor": lambda d: len(doctor.examine(d, prepare(d), OPTICS)),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_finite_or_a_word(function):
    worked = 0
    for dataset in SETS:
        try:
            found = function(dataset)
        except PtyError as error:
            assert str(error).endswith("."), dataset
        else:
            assert np.isfinite(found).all(), dataset
            worked += 1
    assert worked
