"""Other packages' arrays: read through every door with their calibration, or refused at once."""

from __future__ import annotations

import math
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess import prepare

TRUTH = np.random.default_rng(2).integers(1, 99, (3, 4, 8, 6)).astype(np.uint16)
STEPS, UNITS, NAMES = (0.4, 0.3, 0.05, 0.04), ("nm", "nm", "1/A", "1/A"), ("y", "x", "ky", "kx")


def works(data, truth=TRUTH, **fields):
    """Every way of reading gives `truth`; the data set, for more to be asked."""
    dataset = Dataset(data, **fields)
    np.testing.assert_array_equal(np.concatenate([block for _, block in dataset.rows(200)]), truth)
    np.testing.assert_array_equal(dataset.pattern(2, 1), truth[2, 1])
    np.testing.assert_allclose(dataset.mean_pattern((1, 3, 0, 2)), truth[1:3, 0:2].mean((0, 1)))
    np.testing.assert_array_equal(dataset.load().data, truth)
    dataset.check()
    known = dataset.with_calibration(energy=80e3, scan_step=4.0, q_pixel=0.05)
    np.testing.assert_array_equal(np.asarray(prepare(known, rotation=0).patterns.counts).reshape(truth.shape), truth)
    return dataset


class Blocks:
    """dask's protocol: a size, chunks as tuples of tuples, numpy only when asked."""

    __dask_graph__ = compute = None

    def __init__(self, array, shape=None):
        self.array, self.shape, self.dtype = array, array.shape if shape is None else shape, array.dtype
        self.chunksize = (2, *array.shape[1:])
        self.chunks = ((2, 1), *((n,) for n in array.shape[1:]))

    def __getitem__(self, key):
        return Blocks(self.array[key]) if not isinstance(self.array[key], np.generic) else self.array[key]

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(dtype or self.array.dtype)


class Labelled:
    """xarray's protocol."""

    def __init__(self, data, dims=NAMES, steps=STEPS, units=UNITS, **coords):
        self.data, self.dims, self.shape, self.dtype = data, dims, data.shape, data.dtype
        self.coords = {
            name: SimpleNamespace(values=coords.get(name, np.arange(n) * step), attrs={"units": unit})
            for name, n, step, unit in zip(dims, data.shape, steps, units, strict=True)
        }

    @property
    def values(self):
        raise AssertionError("everything in memory, which nobody asked for")


def signal(data, **microscope):
    """HyperSpy's protocol: no shape."""
    axes = [
        SimpleNamespace(name=name, units=unit, scale=step, navigate=i < 2, is_uniform=True)
        for i, (name, unit, step) in enumerate(zip(NAMES, UNITS, STEPS, strict=True))
    ]
    get = {f"Acquisition_instrument.TEM.{k}": v for k, v in microscope.items()}.get
    return SimpleNamespace(axes_manager=SimpleNamespace(_axes=axes), data=data, metadata=SimpleNamespace(get_item=get))


def measurement(array, units=("Å", "Å", "1/Å", "1/Å")):
    """abTEM's protocol."""
    axes = [
        SimpleNamespace(label=name, units=unit, sampling=step)
        for name, unit, step in zip(("x", "y", "kx", "ky"), units, (4.0, 3.0, 0.05, 0.04), strict=True)
    ]
    return SimpleNamespace(
        axes_metadata=axes, array=array, shape=array.shape, dtype=array.dtype,
        metadata={"energy": 80e3, "semiangle_cutoff": 20.0},
    )  # fmt: skip


def datacube(data, step=4.0):
    """py4DSTEM's protocol."""
    calibration = SimpleNamespace(
        get_R_pixel_size=lambda: step, get_R_pixel_units=lambda: "A",
        get_Q_pixel_size=lambda: 0.05, get_Q_pixel_units=lambda: "A^-1",
    )  # fmt: skip
    return SimpleNamespace(calibration=calibration, Rshape=data.shape[:2], data=data, shape=data.shape)


ANISOTROPIC = Calibration(scan_step=(4.0, 3.0), q_pixel=(0.05, 0.04))


def test_dask():
    dataset = works(Blocks(TRUTH))
    assert dataset.is_lazy and dataset.data.chunks == (2, 4, 8, 6)
    works(Blocks(TRUTH > 40), (TRUTH > 40).astype(np.uint8))
    np.testing.assert_array_equal(
        Dataset.from_stack(Blocks(TRUTH.reshape(12, 8, 6)), scan_shape=(3, 4)).load().data, TRUTH
    )
    with pytest.raises(DataError, match=r"size is not known, \(nan, 4, 8, 6\).*compute_chunk_sizes"):
        Dataset(Blocks(TRUTH, (math.nan, 4, 8, 6)))


def test_an_error_at_the_time_of_computing_is_one_of_ours():
    class Broken(Blocks):
        def __getitem__(self, key):
            raise ZeroDivisionError("in a graph")

    dataset = Dataset(Broken(TRUTH))  # which computes nothing now
    with pytest.raises(DataError, match=r"Broken, of which a block cannot be had.*ZeroDivisionError: in a graph"):
        dataset.pattern(0, 0)


@pytest.mark.parametrize("inner", [np.asarray, Blocks])
def test_xarray(inner):
    assert works(Labelled(inner(TRUTH))).calibration == ANISOTROPIC
    dims = ("kx", "ky", "x", "y")
    turned = Labelled(inner(TRUTH.transpose()), dims, STEPS[::-1], UNITS[::-1])
    dataset = works(turned)
    assert dataset.calibration == ANISOTROPIC and "stored as (Qx, Qy, Rx, Ry)" in dataset.metadata["axes"]
    assert Dataset(turned, Calibration(q_pixel=0.02)).calibration == Calibration(scan_step=(4.0, 3.0), q_pixel=0.02)


def test_a_stack_brings_what_it_knows_of_the_detector():
    stack = Labelled(TRUTH.reshape(12, 8, 6), ("frame", "ky", "kx"), (1, 0.05, 0.04), ("", "1/A", "1/A"))
    dataset = Dataset.from_stack(stack, scan_shape=(3, 4), name="x")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration == Calibration(q_pixel=(0.05, 0.04)) and dataset.name == "x"
    with pytest.raises(DataError, match=r"axes of the stack are ky \[1/A\].*number of the pattern first"):
        turned = TRUTH.reshape(12, 8, 6).transpose(1, 2, 0)
        Dataset.from_stack(Labelled(turned, ("ky", "kx", "n"), (0.05, 0.04, 1), ("1/A", "1/A", "")), scan_shape=(2, 4))


def test_unequal_coordinates_are_refused():
    uneven = Labelled(TRUTH, y=np.array([0, 0.1, 0.8]))
    with pytest.raises(CalibrationError, match=r"along its rows: steps from 0.1 to 0.7 nm.*Dataset\(data, Calibration"):
        Dataset(uneven)
    assert Dataset(uneven, Calibration(scan_step=(4, 3))).calibration.scan_step == (4.0, 3.0)


@pytest.mark.parametrize("inner", [np.asarray, Blocks])
def test_hyperspy(inner):
    dataset = works(signal(inner(TRUTH), beam_energy=80.0, convergence_angle=20.0))
    assert dataset.calibration == Calibration(80e3, (4.0, 3.0), (0.05, 0.04), 20.0)
    assert works(signal(inner(TRUTH))).calibration == ANISOTROPIC
    assert Dataset(signal(inner(TRUTH), beam_energy=80.0, convergence_angle=0.0)).calibration.semiangle is None


@pytest.mark.parametrize("inner", [np.asarray, Blocks])
def test_abtem(inner):
    dataset = works(measurement(inner(TRUTH)))
    assert dataset.calibration == Calibration(80e3, (4.0, 3.0), (0.05, 0.04), 20.0)
    with pytest.raises(DataError, match=r"5 axes"):
        Dataset(measurement(TRUTH[None]))


def test_py4dstem_and_quantem():
    assert works(datacube(TRUTH)).calibration == Calibration(scan_step=4.0, q_pixel=0.05)
    quantem = SimpleNamespace(
        signal_units="counts", sampling=np.array((4.0, 3.0, 0.05, 0.04)), units=["A", "A", "A^-1", "A^-1"],
        array=TRUTH, shape=TRUTH.shape,
    )  # fmt: skip
    assert works(quantem).calibration == ANISOTROPIC


def test_a_container_of_another_version_is_refused_in_words():
    cube = datacube(TRUTH)
    cube.calibration = SimpleNamespace()
    with pytest.raises(DataError, match=r"calibration of a types SimpleNamespace could not be read \(AttributeError"):
        Dataset(cube)


def test_a_calibration_that_is_given_wins_over_the_data():
    dataset = Dataset(measurement(TRUTH), Calibration(energy=200e3, scan_step=5.0))
    assert dataset.calibration == Calibration(200e3, 5.0, (0.05, 0.04), 20.0)


def test_hdf5_datasets_outlive_their_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["hit"] = TRUTH, TRUTH > 40
        works(file["x"])  # open for writing: read as it is
    with h5py.File(tmp_path / "a.h5", "r") as file:
        dataset, hit, found = Dataset(file["x"]), Dataset(file["hit"]), file["x"]
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    np.testing.assert_array_equal(hit.load().data, (TRUTH > 40).astype(np.uint8))
    with pytest.raises(DataError, match=r"file of the data is closed"):
        Dataset(found)


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_hdf5_datasets_bring_what_lies_beside_them(tmp_path, mode):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/data"], file["m"] = TRUTH.transpose(2, 3, 0, 1), TRUTH.transpose(1, 0, 3, 2)
        file["m"].attrs["MATLAB_class"] = b"uint16"
        for n, axis in enumerate((2, 3, 0, 1)):
            dim = file.create_dataset(f"scan/dim{n}", data=[0, STEPS[axis]])
            dim.attrs["units"] = UNITS[axis]
    with h5py.File(tmp_path / "a.h5", mode) as file:
        assert works(file["scan/data"]).calibration == ANISOTROPIC
        assert "MATLAB" in works(file["m"]).metadata["axes"]


@pytest.mark.parametrize("kind", ["?", "f2", ">u2", ">f4", "f8", "i8", "u8", "i4", "g"])
def test_every_type_of_number_works(kind, tmp_path):
    array = (TRUTH > 40 if kind == "?" else TRUTH).astype(kind)
    dataset = works(array, array.astype(float))
    assert dataset.dtype.isnative and dataset.dtype.kind != "b" and dataset.dtype.itemsize in (1, 2, 4, 8)
    if kind == "g":
        return
    mapped = np.memmap(tmp_path / "raw", kind, "w+", shape=array.shape)
    mapped[...] = array
    assert works(mapped, array.astype(float)).is_lazy


@pytest.mark.parametrize("kind", ["O", "c8", "M8[s]", "U3"])
def test_other_types_are_refused(kind):
    with pytest.raises(DataError, match=r"expected real numbers"):
        Dataset(TRUTH.astype(kind))


def test_whatever_numpy_understands_works_and_else_is_refused_now():
    class Only:
        shape, dtype = TRUTH.shape, "a type of another package"

        def __array__(self, dtype=None, copy=None):
            return TRUTH

    works(Only())

    class Locked:
        shape, dtype = TRUTH.shape, TRUTH.dtype

        def __getitem__(self, key):
            raise RuntimeError("no")

    with pytest.raises(DataError, match=r"Locked, of which a block cannot be had.*RuntimeError: no"):
        Dataset(Locked())

    class Outer(Locked):  # indexes like a spreadsheet
        def __getitem__(self, key):
            return TRUTH[0]

    with pytest.raises(DataError, match=r"first pattern is \(4, 8, 6\)"):
        Dataset(Outer())

    class Device(Locked):
        __cuda_array_interface__ = None

    with pytest.raises(DataError, match=r"in a device's memory.*copy it there"):
        Dataset(Device())
    for nonsense in ([[1]], "x", None, 3.0):
        with pytest.raises(DataError, match=r"expected an array \(Ry, Rx, Qy, Qx\)"):
            Dataset(nonsense)


def test_the_packages_themselves():
    dask = pytest.importorskip("dask.array", reason="no dask here")
    works(dask.from_array(TRUTH, chunks=(2, 3, 4, 6)))
    xarray = pytest.importorskip("xarray", reason="no xarray here")
    array = xarray.DataArray(TRUTH, dims=NAMES)
    for name, n, step, unit in zip(NAMES, TRUTH.shape, STEPS, UNITS, strict=True):
        array = array.assign_coords({name: (name, np.arange(n) * step, {"units": unit})})
    assert works(array.transpose("ky", "kx", "y", "x").chunk({"y": 2})).calibration == ANISOTROPIC


def test_a_measurement_of_abtem_itself():
    abtem = pytest.importorskip("abtem", reason="no abTEM here")
    axes = pytest.importorskip("abtem.core.axes", reason="no abTEM here")
    scan = [axes.ScanAxis(label=label, sampling=step, units="Å") for label, step in (("x", 4.0), ("y", 3.0))]
    patterns = abtem.measurements.DiffractionPatterns(
        TRUTH.astype(np.float32), sampling=(0.05, 0.04), ensemble_axes_metadata=scan, metadata={"energy": 80e3}
    )
    assert works(patterns).calibration == ANISOTROPIC.replace(energy=80e3)
