"""A scan that grows is measured as the part that is there, and at the end as the whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.bright_field import bright_field, with_more_rows
from ptywidgets.engine.io import read
from ptywidgets.engine.io.growing.follower import Follower
from ptywidgets.engine.preprocess.growing import GrowingMeasurement
from ptywidgets.engine.preprocess.measurement import Preparation, prepare, reorient
from ptywidgets.engine.preprocess.rotation import find_rotation

SIZE = "small"


@pytest.fixture(scope="module")
def duck():
    return samples.ducky(SIZE)


class Scan:
    """A file that the test writes row by row."""

    def __init__(self, path, duck):
        self.path, self.duck, self.rows = path, duck, 0
        self.patterns = np.asarray(duck.data).astype("<u2")
        path.touch()

    def write(self, rows):
        with self.path.open("ab") as file:
            file.write(self.patterns[self.rows : rows].tobytes())
            self.rows = rows
            if rows < len(self.patterns):
                file.write(b"")

    @property
    def known(self):
        names = ("energy", "scan_step", "q_pixel", "semiangle")
        return {name: getattr(self.duck.calibration, name) for name in names}

    def open(self):
        layout = {"dtype": "<u2", "detector_shape": self.duck.detector_shape, "scan_shape": self.duck.scan_shape}
        return read(self.path, follow=True, **layout, **self.known)


def follower_of(scan, rows):
    scan.write(rows)
    follower = Follower(scan.open(), interval=30)
    follower.complete_now()  # the last row, too, without waiting until it is still
    follower.scan.finished = False
    return follower


def alike(one, other, leaving_out=()):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("patterns", "rotation_fit", "calibration", *leaving_out):
            continue
        np.testing.assert_equal(a, b, err_msg=field.name)
    np.testing.assert_array_equal(one.patterns.counts, other.patterns.counts)
    np.testing.assert_array_equal(one.patterns.origin, other.patterns.origin)


def test_rows_are_read_once_and_all_of_them_are_the_whole_scan(tmp_path, duck, monkeypatch):
    scan, growing, wanted, read_rows = Scan(tmp_path / "a.raw", duck), GrowingMeasurement(), Preparation(), []
    follower = follower_of(scan, 9)
    records = type(follower.scan.source)
    plain = records._patterns
    monkeypatch.setattr(records, "_patterns", lambda self, a, b: read_rows.append((a, b)) or plain(self, a, b))
    first = growing.of(follower.dataset, wanted)
    alike(first, prepare(follower.dataset), ("rows_there",))
    ry, rx = duck.scan_shape
    assert first.rows_there == 9 and len(first.patterns) == 9 * rx and first.scan_shape == duck.scan_shape
    for rows in (11, 17, ry):
        scan.write(rows)
        follower.scan.look()
        follower.scan.finish()
        follower.look()
        read_rows.clear()
        found = growing.of(follower.dataset, wanted)
        assert sum(b - a for a, b in read_rows) <= (rows - 9) * rx
    whole = prepare(Dataset(scan.patterns, duck.calibration))
    alike(found, whole, ("preparation",))
    assert found.rotation == whole.rotation and found.rows_there is None and found.scan_mask is None


def test_fewer_than_half_of_the_rows_are_fitted_by_themselves(tmp_path, duck):
    follower = follower_of(Scan(tmp_path / "a.raw", duck), 8)
    measurement = prepare(follower.dataset)
    part = prepare(duck.crop(scan=(0, 8, 0, duck.scan_shape[1])))
    assert measurement.rotation == part.rotation
    np.testing.assert_array_equal(measurement.com[:, :8], part.com)
    assert not measurement.com[:, 8:].any()
    turned = reorient(measurement, Preparation(rotation=5))
    assert turned.rotation_fit == find_rotation(part.com_measured - part.origin, None, part.calibration.scan_steps)
    bright = bright_field(follower.dataset, measurement)
    np.testing.assert_array_equal(bright.images[:, :8], bright_field(duck[:8], part).images)
    assert not np.ptp(bright.images[:, 8:], axis=(1, 2)).any()


def test_a_start_is_found_from_the_rows_that_are_there(tmp_path, duck):
    follower = follower_of(Scan(tmp_path / "a.raw", duck), 16)
    start = calibrate(follower.dataset)
    assert start.measurement.scan_shape == duck.scan_shape and start.measurement.rows_there == 16
    assert abs(start.measurement.rotation + 15) < 1


def test_a_frame_that_is_left_out_stays_so(tmp_path, duck):
    scan = Scan(tmp_path / "a.raw", duck)
    scan.patterns[2, 3] = 0
    follower = follower_of(scan, 6)
    measurement = GrowingMeasurement().of(follower.dataset, Preparation())
    assert np.argwhere(~measurement.scan_mask[:6]).tolist() == [[2, 3]]
    assert any("1 frame" in note for note in measurement.notes)


def test_the_bright_field_takes_rows_in(tmp_path, duck):
    scan = Scan(tmp_path / "a.raw", duck)
    follower = follower_of(scan, 8)
    few = bright_field(follower.dataset, prepare(follower.dataset), binning=2)
    scan.write(17)
    follower.scan.finish()
    follower.look()
    measurement = prepare(follower.dataset)
    grown = with_more_rows(few, follower.dataset, measurement, 8)
    whole = bright_field(follower.dataset, measurement, binning=2)
    np.testing.assert_array_equal(grown.images[:, :8], few.images[:, :8])
    np.testing.assert_array_equal(grown.images[:, 8:17], whole.images[:, 8:17])
    assert grown.images.shape == whole.images.shape and not np.ptp(grown.images[:, 17:], axis=(1, 2)).any()
    assert with_more_rows(grown, follower.dataset, measurement, 17) is grown
