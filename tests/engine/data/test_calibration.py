"""Calibration: one number where rows and columns agree, two where they do not, and never one of them in silence."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.core.errors import CalibrationError
from ptywidgets.engine.core.units import inverse_angstrom_to_mrad
from ptywidgets.engine.data.calibration import Calibration, mean_of, relative, single
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read, write

TWO = Calibration(energy=80e3, scan_step=(4.0, 3.0), q_pixel=(0.025, 0.02), semiangle=20)


@pytest.mark.parametrize("given", [4.0, 4, np.float32(4), (4, 4.0), [4.0, 4.0], np.array([4.0, 4.0])])
def test_what_is_equal_is_one_number(given):
    known = Calibration(scan_step=given)
    assert known.scan_step == 4.0 and isinstance(known.scan_step, float)
    assert known.scan_steps == (4.0, 4.0) and known.relative_steps == (1.0, 1.0)


@pytest.mark.parametrize("given", [(4.0, 3.0), [4.0, 3.0], np.array([4.0, 3.0])])
def test_what_differs_is_a_pair(given):
    known = Calibration(scan_step=given)
    assert known.scan_step == (4.0, 3.0) and all(type(step) is float for step in known.scan_step)
    assert known == Calibration(scan_step=(4.0, 3.0)) and hash(known) == hash(Calibration(scan_step=(4.0, 3.0)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((4.0, -3.0), "scan_step is -3 A; expected a positive"),
        ((4.0, 3.0, 2.0), r"scan_step is \(4.0, 3.0, 2.0\); expected a number in A.*or two, for rows and columns"),
        ((4.0,), r"expected a number in A"),
        ((4.0, None), "expected a number in A"),
        ((4.0, np.nan), "scan_step is nan A"),
        ("4.0", "expected a number in A"),
        ((4.0, True), "scan_step is True"),
    ],
)
def test_nonsense_is_refused(given, says):
    with pytest.raises(CalibrationError, match=says):
        Calibration(scan_step=given)


@pytest.mark.parametrize("name", ["energy", "semiangle"])
def test_others_have_one_number(name):
    with pytest.raises(CalibrationError, match=f"{name} is \\(4.0, 3.0\\); expected a number in"):
        Calibration(**{name: (4.0, 3.0)})


def test_who_asks_for_one_number_is_told_that_there_are_two():
    assert Calibration(scan_step=4.0).require("scan_step") == 4.0
    with pytest.raises(CalibrationError, match="scan_step is 4 x 3 A along rows and columns, and this works with one"):
        TWO.require("scan_step")
    with pytest.raises(CalibrationError, match=r"q_pixel is 0.025 x 0.02 1/A"):
        _ = TWO.angle_pixel
    with pytest.raises(CalibrationError, match=r"q_pixel \(1/A\) is not set"):
        _ = Calibration().q_pixels


def test_angles_dose_and_sampling_of_two():
    assert TWO.dose(1200) == 100.0
    assert TWO.sampling((100, 200)) == pytest.approx((0.4, 0.25))
    assert TWO.angle_pixels == tuple(inverse_angstrom_to_mrad(q, 80e3) for q in (0.025, 0.02))
    assert TWO.angle_mean == pytest.approx(np.sqrt(np.prod(TWO.angle_pixels)))
    assert Calibration(energy=80e3).replace(angle_pixel=TWO.angle_pixels).q_pixel == pytest.approx((0.025, 0.02))
    with pytest.raises(CalibrationError, match=r"q_pixel=0.025 x 0.03 1/A and angle_pixel=.* contradict each other"):
        TWO.replace(q_pixel=(0.025, 0.03), angle_pixel=TWO.angle_pixels)
    assert TWO.even(np.ones((2, 5)))[:, 0] == pytest.approx((np.sqrt(1.25), np.sqrt(0.8)))
    same = np.ones((2, 5))
    assert Calibration(q_pixel=0.02).even(same) is same and Calibration().even(same) is same


def test_it_is_shown_with_both():
    assert "scan step    4 x 3 A" in TWO.describe() and "0.025 x 0.02 1/A (1.044 x 0.8351 mrad)" in TWO.describe()
    words = repr(Dataset(np.ones((2, 2, 4, 4)), TWO))
    assert "step 4 x 3 A, q pixel 0.025 x 0.02 1/A" in words


def test_helpers():
    assert mean_of((4.0, 1.0)) == 2.0 and mean_of((0.1, 0.1)) == 0.1
    assert relative((4.0, 1.0)) == (2.0, 0.5) and relative((0.1, 0.1)) == (1.0, 1.0)
    assert single((3.0, 3.0)) == 3.0 and single((3.0, 4.0)) == (3.0, 4.0)


@pytest.mark.parametrize(
    "known", [TWO, Calibration(80e3, 4.0, (0.025, 0.02)), Calibration(None, (4.0, 3.0)), Calibration()]
)
def test_files_carry_it(tmp_path, known):
    again = read(write(tmp_path / "a.h5", Dataset(np.ones((2, 3, 4, 5), np.uint8), known)))
    assert again.calibration == known
    assert from_plain(to_plain(known)) == known


def test_a_file_of_one_number_is_written_as_before(tmp_path):
    import h5py

    path = write(tmp_path / "a.h5", Dataset(np.ones((2, 3, 4, 5), np.uint8), Calibration(80e3, 4.0, 0.025)))
    with h5py.File(path) as file:
        assert not [name for name in file["datacube_root/metadatabundle/calibration"] if name.endswith("sizes")]


def test_files_whose_axes_differ_are_no_contradiction_but_a_single_number_beside_them_is(tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((2, 3, 4, 5))
        for n, (step, unit) in enumerate([(0.4, "nm"), (3.0, "A"), (0.025, "1/A"), (0.0251, "1/A")]):
            file[f"dim{n}"] = [0, step]
            file[f"dim{n}"].attrs["units"] = unit
    assert read(path).calibration == Calibration(scan_step=(4.0, 3.0), q_pixel=0.025)  # within 1 %: one number
    with h5py.File(path, "a") as file:
        file["calibration/R_pixel_size"], file["calibration/R_pixel_units"] = 4.0, "A"
    with pytest.raises(CalibrationError, match=r"contradicts itself: scan_step is 4 A .* and 3 A"):
        read(path)
    assert read(path, scan_step=(4.0, 3.0)).calibration.scan_steps == (4.0, 3.0)


def test_angles_need_the_energy_along_both_axes(tmp_path):
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((2, 3, 4, 5))
        file["sampling"], file["units"] = [4.0, 3.0, 1.0, 0.8], [b"A", b"A", b"mrad", b"mrad"]
    assert read(path, energy=80e3).calibration.angle_pixels == pytest.approx((1.0, 0.8))
    with pytest.raises(CalibrationError, match="needs the energy"):
        read(path)
