"""The aperture from the disk of the patterns, however its semi-angle is stated."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, make_probe, prepare
from ptywidgets.engine.core.errors import DiskNotFound
from ptywidgets.engine.data.detectors import INSIDE
from ptywidgets.engine.optics.probe import make_aperture
from ptywidgets.engine.preprocess.disk.aperture import measured_aperture
from ptywidgets.engine.preprocess.disk.disk import measure_disk

ENERGY, SAMPLING, SHAPE = 80e3, (0.25, 0.25), (128, 128)


def recorded(semiangle, rolloff):
    """A scan of nothing: each pattern is the disk."""
    lens = Optics(semiangle=semiangle, rolloff=rolloff, aberrations=Aberrations(defocus=200))
    disk = np.abs(np.fft.fftshift(np.fft.fft2(make_probe(lens, SHAPE, SAMPLING, ENERGY, 1e4), norm="ortho"))) ** 2
    calibration = Calibration(energy=ENERGY, scan_step=1.0, q_pixel=1 / (SHAPE[0] * SAMPLING[0]), semiangle=semiangle)
    dataset = Dataset(np.broadcast_to(disk.astype(np.float32), (6, 6, *SHAPE)).copy(), calibration)
    return dataset, prepare(dataset, origin="constant", rotation=0.0, transpose=False)


@pytest.mark.parametrize("semiangle, rolloff", [(20.0, 2.0), (20.0, 4.0), (26.0, 3.0)])
@pytest.mark.parametrize("at", ["half of the amplitude", "half of the counts", "the end"])
def test_it_is_drawn_as_it_is(semiangle, rolloff, at):
    dataset, measurement = recorded(semiangle, rolloff)
    moved = {"half of the amplitude": 0.0, "half of the counts": -INSIDE, "the end": 0.5}[at] * rolloff
    drawn = measured_aperture(Optics(semiangle=semiangle + moved), dataset, measurement)
    assert drawn.semiangle == pytest.approx(semiangle, abs=0.1)
    assert drawn.rolloff == pytest.approx(rolloff, abs=0.8)  # a pixel, which softens it, is 1.3 mrad
    true, found = (
        make_aperture(o, SHAPE, SAMPLING, ENERGY) for o in (Optics(semiangle=semiangle, rolloff=rolloff), drawn)
    )
    assert np.sum(true * found) > 0.999


@pytest.mark.parametrize("stated", [15.0, 25.0])
def test_what_the_disk_is_not_is_kept_as_stated(stated):
    dataset, measurement = recorded(20.0, 2.0)
    assert measured_aperture(Optics(semiangle=stated), dataset, measurement).semiangle == stated


def test_where_no_disk_is_seen_all_is_kept_as_stated():
    """The pattern of a thick crystal has no edge that is one disk's; its start failed where nothing was amiss."""
    dataset, measurement = recorded(20.0, 2.0)
    scattered = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    dataset = Dataset(np.broadcast_to(scattered, dataset.shape).copy(), dataset.calibration)
    with pytest.raises(DiskNotFound):
        measure_disk(scattered)
    lens = Optics(semiangle=20.0, rolloff=2.0)
    assert measured_aperture(lens, dataset, measurement) is lens
