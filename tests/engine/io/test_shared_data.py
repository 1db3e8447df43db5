"""Files that others have written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, FileFormatError, PtyError
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.io import contents, read, read_pattern
from ptywidgets.engine.io.formats.hdf5 import plain


@pytest.mark.parametrize("name", ["tiny", "small", "small_dose1e4", "small_mixed", "sto", "full_counts"])
def test_simulated_sets(simulated, name):
    if not (simulated / f"{name}.h5").exists():
        pytest.skip(f"no {name} set here")
    meta = json.loads((simulated / f"{name}_meta.json").read_text())
    vacuum = simulated / f"{name}_vacuum-probe.h5"
    dataset = read(simulated / f"{name}.h5", vacuum=vacuum, energy=meta["energy_eV"], semiangle=meta["semiangle_mrad"])
    assert dataset.shape == tuple(meta["shape"])
    assert dataset.dtype == ("uint16" if "counts" in name or "dose" in name else "float32")
    assert dataset.calibration.scan_step == pytest.approx(meta["scan_step_A"])
    assert dataset.calibration.q_pixel == pytest.approx(meta["q_pixel_invA"])
    assert dataset.calibration.missing == ()
    assert dataset.vacuum.shape == dataset.detector_shape
    if dataset.nbytes < 3e7:
        mean = dataset.mean_pattern()
        np.testing.assert_allclose(mean, dataset.load().data.mean((0, 1), dtype=float), rtol=1e-6, atol=1e-12)
        dataset.check()


LAYOUTS = {
    "tiny_tree.h5": (Calibration(None, 1.5, 0.05), True),
    "tiny_v0.13.17.h5": (Calibration(None, 1.5, 0.05), False),
    "tiny_v0.9.18.h5": (Calibration(), True),
    "tiny_abtem.h5": (Calibration(None, 1.5, 0.05), False),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_hold_the_same_patterns(simulated, name):
    expected, has_vacuum = LAYOUTS[name]
    dataset, plain = read(simulated / "layouts" / name), read(simulated / "tiny.h5").load().data
    np.testing.assert_array_equal(dataset.load().data, plain)
    for field in ("energy", "scan_step", "q_pixel", "semiangle"):
        got, wanted = getattr(dataset.calibration, field), getattr(expected, field)
        assert got == (None if wanted is None else pytest.approx(wanted, rel=1e-4)), field
    assert (dataset.vacuum is not None) == has_vacuum
    if has_vacuum:
        np.testing.assert_allclose(dataset.vacuum, read_pattern(simulated / "tiny_vacuum-probe.h5"), rtol=1e-6)


def test_layout_in_mrad_and_nm(simulated):
    path = simulated / "layouts" / "tiny_mrad_nm.h5"
    with pytest.raises(CalibrationError, match="energy"):
        read(path)
    calibration = read(path, energy=80e3).calibration
    assert calibration.q_pixel == pytest.approx(0.05, rel=1e-5) and calibration.scan_step == pytest.approx(1.5)


def test_layout_with_a_stack(simulated):
    path = simulated / "layouts" / "tiny_arina_master.h5"
    with pytest.raises(FileFormatError, match=r"scan_shape=\(12, 12\)"):
        read(path)
    assert read(path, scan_shape=(12, 12)).shape == (12, 12, 64, 64)


def test_emd_files_of_others(shared):
    folder = shared / "data" / "formats" / "emd"
    assert read(folder / "real_py4dstem.h5").calibration == Calibration(None, 2.5, 0.0125)
    small = read(folder / "py4DSTEM_size2x3x4x5.h5")
    assert small.shape == (2, 3, 4, 5) and small.calibration.scan_step == pytest.approx(1.26796875)
    for name in ("Camera Ceta Diffraction Micro.emd", "fei_example_dpc_titles.emd", "example_signal.emd"):
        assert plain.understands(folder / name) == (name == "example_signal.emd")  # the others are of Velox
        with pytest.raises(FileFormatError, match="no 4-D array"):
            read(folder / name)
        assert contents(folder / name)


def test_hyperspy_and_fpd(shared):
    folder = shared / "data" / "formats"
    hspy = read(folder / "hspy" / "tvips_sped_subset_2x2x256x256.hspy")
    assert hspy.shape == (2, 2, 256, 256)
    assert hspy.calibration.scan_step == pytest.approx(20) and hspy.calibration.q_pixel == pytest.approx(0.01261)
    fpd = read(folder / "fpd-hdf5" / "fpd_file_test.hdf5")
    assert fpd.shape == (2, 2, 256, 256) and fpd.pattern(1, 1).dtype == np.uint16


def test_everything_else_is_refused_politely(shared):
    data = shared / "data"
    for path in sorted(p for p in data.rglob("*") if p.is_file() and p.stat().st_size < 3e6):
        for attempt in (lambda path=path: read(path).pattern(0, 0), lambda path=path: read_pattern(path)):
            try:
                attempt()
            except PtyError as error:
                assert 20 < len(str(error)) < 2500, error


def test_git_lfs_pointer(shared):
    pointers = list((shared / "data" / "fesi-dpc").rglob("*.raw"))
    for path in pointers:
        with pytest.raises(FileFormatError, match="Git LFS pointer"):
            read(path)
