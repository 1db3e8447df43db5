"""HDF5's own dimension scales and labels, as netCDF4, xarray and h5py write them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io import read

TRUTH = np.random.default_rng(6).integers(0, 99, (3, 4, 7, 5)).astype(np.uint16)
OURS = [("y", "nm", 0.4), ("x", "nm", 0.3), ("ky", "1/nm", 0.5), ("kx", "1/nm", 0.4)]


def scaled(path, order=(0, 1, 2, 3), data=TRUTH, axes=OURS):
    with h5py.File(path, "w") as file:
        array = file.create_dataset("counts", data=data.transpose(order))
        for at, axis in enumerate(order):
            name, unit, step = axes[axis]
            scale = file.create_dataset(name, data=np.arange(data.shape[axis]) * step)
            scale.attrs["units"] = unit
            scale.make_scale(name)
            array.dims[at].attach_scale(scale)
    return path


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1), (3, 2, 1, 0), (0, 2, 1, 3)])
def test_attached_scales_say_which_axis_is_which_and_its_step(tmp_path, order):
    dataset = read(scaled(tmp_path / "a.h5", order))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.scan_step == pytest.approx((4.0, 3.0))
    assert dataset.calibration.q_pixel == pytest.approx((0.05, 0.04))
    assert ("axes" in dataset.metadata) == (order != (0, 1, 2, 3))


def test_a_stack_has_the_pixels_of_its_detector(tmp_path):
    axes = [("frame", "", 1.0), *OURS[2:]]
    dataset = read(scaled(tmp_path / "a.h5", (0, 1, 2), TRUTH.reshape(12, 7, 5), axes), scan_shape=(3, 4))
    assert dataset.calibration.q_pixel == pytest.approx((0.05, 0.04)) and dataset.calibration.scan_step is None


def test_labels_alone_say_which_axis_is_which(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("counts", data=TRUTH.transpose(2, 3, 0, 1))
        for at, name in enumerate(("ky", "kx", "y", "x")):
            array.dims[at].label = name
    dataset = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert "ky, kx, y, x" in dataset.metadata["axes"]


def test_a_dimension_of_netcdf_without_a_variable_has_a_name_and_no_step(tmp_path):
    path = scaled(tmp_path / "a.nc", (2, 3, 0, 1))
    with h5py.File(path, "r+") as file:
        for name in ("y", "x", "ky", "kx"):
            words = f"This is a netCDF dimension but not a netCDF variable. {file[name].size:10d}"
            file[name].attrs["NAME"] = np.bytes_(words)
            file[name][...] = 0
    dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.scan_step is None and dataset.calibration.q_pixel is None


def test_an_array_that_was_copied_without_its_scales(tmp_path):
    scaled(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file, h5py.File(tmp_path / "b.h5", "w") as other:
        file.copy("counts", other)
    with pytest.warns(DataWarning, match="copied without it"):
        dataset = read(tmp_path / "b.h5")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.scan_step is None


def test_references_that_lead_nowhere_are_told(tmp_path):
    path = scaled(tmp_path / "a.h5")
    with h5py.File(path) as file:
        at = h5py.h5o.get_info(file["y"].id).addr
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    where = data.index(at.to_bytes(8, "little"), heap)
    path.write_bytes(data[:where] + (12345).to_bytes(8, "little") + data[where + 8 :])
    with pytest.warns(DataWarning, match="dimension scale of axis 0 of '/counts' is not where"):
        dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"fletcher32": True}])
def test_a_damaged_chunk_is_no_unknown_compression(tmp_path, options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        found = file.create_dataset("counts", data=np.tile(TRUTH, (1, 1, 4, 4)), chunks=(1, 4, 28, 20), **options)
        at = found.id.get_chunk_info(1).byte_offset
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[at + 50 : at + 60] = b"0123456789"
    (tmp_path / "a.h5").write_bytes(data)
    dataset = read(tmp_path / "a.h5")
    with pytest.raises(FileFormatError, match="stored values are damaged") as caught:
        dataset.load()
    assert "pip" not in str(caught.value)


@pytest.mark.parametrize("nexus", [False, True])
def test_coordinates_that_fall(tmp_path, nexus):
    path = scaled(tmp_path / "a.h5", axes=[("y", "nm", -0.4), *OURS[1:]])
    if nexus:
        with h5py.File(path, "r+") as file:
            del file["counts"].attrs["DIMENSION_LIST"]
            file.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "ky", "kx"]})
    with pytest.warns(DataWarning, match="coordinates of the scan's rows that fall"):
        dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, TRUTH[::-1])
    assert dataset.calibration.scan_step == pytest.approx((4.0, 3.0))
