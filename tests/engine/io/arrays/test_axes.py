"""Axes of a file: brought into order by what it says about them, refused where that makes no sense."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError, DataWarning
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read, write
from ptywidgets.engine.io.arrays.axes import Reordered

TRUTH = np.random.default_rng(2).integers(0, 99, (3, 4, 7, 5)).astype(np.uint16)
FORMATS = Path(__file__).parents[5] / "shared" / "data" / "formats" / "made"
A, INVERSE = "angstrom", "1/angstrom"
OURS = [("y", A, 4.0), ("x", A, 3.0), ("ky", INVERSE, 0.05), ("kx", INVERSE, 0.04)]


def berkeley(path, order=(0, 1, 2, 3), first=1, axes=OURS, whole=False, **changes):
    """An EMD 0.2 file whose array has the axes of TRUTH in `order`, each with its own dimension vector."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("signals/scan")
        group["data"] = TRUTH.transpose(order)
        for n, axis in enumerate(order):
            name, unit, step = axes[axis]
            values = np.arange(TRUTH.shape[axis] if whole else 2) * step
            dim = group.create_dataset(f"dim{first + n}", data=changes.get(name, values))
            dim.attrs["name"], dim.attrs["units"] = name, unit
    return path


def assert_is_truth(dataset, truth=TRUTH):
    np.testing.assert_array_equal(np.concatenate([block for _, block in dataset.rows(200)]), truth)
    np.testing.assert_array_equal(dataset.pattern(2, 1), truth[2, 1])
    np.testing.assert_allclose(dataset.mean_pattern((1, 3, 0, 2)), truth[1:3, 0:2].mean((0, 1)))
    np.testing.assert_array_equal(dataset.load().data, truth)


@pytest.mark.parametrize("order", [(2, 3, 0, 1), (3, 2, 1, 0), (0, 1, 2, 3), (0, 2, 1, 3), (3, 0, 2, 1)])
@pytest.mark.parametrize("first", [0, 1])
def test_emd_says_by_units_and_names_which_axis_is_which(tmp_path, order, first):
    dataset = read(berkeley(tmp_path / "a.emd", order, first), energy=80e3)
    assert_is_truth(dataset)
    assert dataset.calibration == Calibration(80e3, (4.0, 3.0), (0.05, 0.04))
    assert ("axes" in dataset.metadata) == (order != (0, 1, 2, 3)) == ("stored as" in dataset.describe())
    assert_is_truth(pickle.loads(pickle.dumps(dataset)))


def test_what_was_exchanged_is_written_in_our_order(tmp_path):
    dataset = read(berkeley(tmp_path / "a.emd", (3, 2, 1, 0)))
    again = read(write(tmp_path / "b.h5", dataset))
    assert_is_truth(again)
    assert again.calibration == dataset.calibration and "axes" not in again.metadata


def test_names_alone_say_it_too(tmp_path):
    axes = [("scanY", "pixel", 1), ("scanX", "pixel", 1), ("detY", "", 1), ("detX", "", 1)]
    assert_is_truth(read(berkeley(tmp_path / "a.emd", (3, 2, 1, 0), axes=axes)))


def test_py4dstem_calls_its_rows_x(tmp_path):
    axes = [("Rx", A, 4), ("Ry", A, 4), ("Qx", INVERSE, 0.05), ("Qy", INVERSE, 0.05)]
    assert_is_truth(read(berkeley(tmp_path / "a.emd", axes=axes)))


def test_without_any_mark_the_order_is_taken_as_it_is(tmp_path):
    axes = [("", "", 1)] * 4
    path = berkeley(tmp_path / "a.emd", (2, 3, 0, 1), axes=axes)
    assert read(path).shape == (7, 5, 3, 4)
    assert_is_truth(read(path, axes="Qy Qx Ry Rx"))
    assert read(path, axes=["Qy", "Qx", "Ry", "Rx"]).metadata["axes"].endswith("as was asked for")
    with pytest.raises(DataError, match=r"axes is 'Ry Rx Q'; expected the four names Ry, Rx"):
        read(path, axes="Ry Rx Q")


def test_units_that_make_no_sense_are_refused_unless_the_user_says_what_the_axes_are(tmp_path):
    axes = [("a", INVERSE, 1), ("b", A, 1), ("c", A, 1), ("d", A, 1)]
    path = berkeley(tmp_path / "odd.emd", axes=axes)
    with pytest.raises(DataError, match=r"axes of odd.emd are a \[1/angstrom\], b \[angstrom\].*axes='Ry Rx Qy Qx'"):
        read(path)
    assert_is_truth(read(path, axes="Ry Rx Qy Qx"))


def test_an_axis_of_length_one_between_them_moves_no_unit(tmp_path):
    path = tmp_path / "fpd.emd"
    with h5py.File(path, "w") as file:
        group = file.create_group("fpd")
        group["data"] = TRUTH[:, :, None]
        for n, (name, unit, step) in enumerate([OURS[0], OURS[1], ("colour", A, 7.0), OURS[2], OURS[3]], 1):
            group[f"dim{n}"] = np.arange(2) * step
            group[f"dim{n}"].attrs["name"], group[f"dim{n}"].attrs["units"] = name, unit
    dataset = read(path)
    assert_is_truth(dataset)
    assert dataset.calibration == Calibration(scan_step=(4.0, 3.0), q_pixel=(0.05, 0.04))


def test_a_vacuum_pattern_is_looked_for_with_the_shape_of_the_detector(tmp_path):
    path = berkeley(tmp_path / "a.emd", (2, 3, 0, 1))
    with h5py.File(path, "a") as file:
        file["vacuum"], file["probe"] = TRUTH[0, 0], TRUTH[:, :, 0, 0]
    np.testing.assert_array_equal(read(path).vacuum, TRUTH[0, 0])


# ------------------------------------------------------------------ MATLAB


def matlab(path, **arrays):
    """Arrays as MATLAB's -v7.3 writes them: behind a user block, with its class, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_(str(array.dtype))
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    with path.open("r+b") as file:
        file.write(head)
    return path


def test_matlab_runs_the_other_way(tmp_path):
    path = matlab(tmp_path / "cbed.mat", cbed=TRUTH.transpose(2, 3, 0, 1), vacuum=TRUTH[0, 0])
    dataset = read(path)
    assert_is_truth(dataset)
    assert "stored as (Rx, Ry, Qx, Qy)" in dataset.metadata["axes"] and "[Qy Qx Ry Rx]" in dataset.describe()
    np.testing.assert_array_equal(dataset.vacuum, TRUTH[0, 0])
    other = matlab(tmp_path / "other.mat", cbed=TRUTH)  # [Ry Rx Qy Qx] in MATLAB, which nothing in the file says
    assert_is_truth(read(other, axes="Qx Qy Rx Ry"))
    with h5py.File(matlab(tmp_path / "open.mat", cbed=TRUTH.transpose(2, 3, 0, 1)), "r") as file:
        assert_is_truth(Dataset(file["cbed"]))


def test_a_matlab_stack_too(tmp_path):
    stack = TRUTH.reshape(12, 7, 5).transpose(1, 2, 0)  # [Qy Qx J]
    dataset = read(matlab(tmp_path / "dp.mat", dp=stack), scan_shape=(3, 4))
    assert_is_truth(dataset)
    assert (
        "(Ry, Rx, Qx, Qy)" in dataset.metadata["axes"] and "scan rows one after the other" in dataset.metadata["axes"]
    )
    other = read(tmp_path / "dp.mat", scan_shape=(3, 4), axes="Ry Rx Qy Qx")
    np.testing.assert_array_equal(other.load().data, TRUTH.swapaxes(2, 3))


# ------------------------------------------------------------------ unequal steps


def test_a_scan_axis_that_is_not_equidistant_is_refused(tmp_path):
    path = berkeley(tmp_path / "a.emd", whole=True, x=np.array([0, 1, 2, 6.0]))
    match = r"a.emd says that the scan is not equally spaced along its columns: steps from 1 to 4.*scan_step=\(4, 2\)"
    with pytest.raises(CalibrationError, match=match):
        read(path)
    assert read(path, scan_step=(4, 2)).calibration.scan_steps == (4.0, 2.0)


def test_rounding_is_not_a_step(tmp_path):
    x = (1e4 + np.arange(4) * 3.0).astype(np.float32) + np.float32(1e-3) * np.array([0, 1, 0, 1], np.float32)
    assert read(berkeley(tmp_path / "a.emd", whole=True, x=x)).calibration.scan_steps == pytest.approx((4, 3), rel=1e-3)


def nexus(path, y):
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        data.attrs["NX_class"], data.attrs["signal"], data.attrs["axes"] = "NXdata", "counts", ["y", "x", "ky", "kx"]
        data["counts"] = TRUTH
        for (name, unit, step), n in zip(OURS, TRUTH.shape, strict=True):
            data[name] = y if name == "y" else np.arange(n) * step
            data[name].attrs["units"] = unit
    return path


def test_nexus_names_its_axes(tmp_path):
    dataset = read(nexus(tmp_path / "a.nxs", np.arange(3) * 4.0))
    assert dataset.calibration == Calibration(scan_step=(4.0, 3.0), q_pixel=(0.05, 0.04))
    with pytest.raises(CalibrationError, match=r"along its rows: steps from 1 to 7"):
        read(nexus(tmp_path / "b.nxs", np.array([0, 1.0, 8.0])))


def cxi(path, x, y):
    with h5py.File(path, "w") as file:
        file["entry_1/data_1/data"] = TRUTH.reshape(12, 7, 5)
        file["entry_1/sample_1/geometry_1/translation"] = np.stack([x, y, np.zeros_like(x)], -1).reshape(12, 3)
    return path


def test_positions_of_cxi_are_a_raster_or_refused(tmp_path):
    y, x = np.meshgrid(np.arange(3) * -4e-10, np.arange(4) * 3e-10, indexing="ij")
    dataset = read(cxi(tmp_path / "a.cxi", x, y), scan_shape=(3, 4))
    assert_is_truth(dataset)
    assert dataset.calibration.scan_steps == pytest.approx((4, 3))
    moved = x.copy()
    moved[1, 2] += 1.5e-10
    with pytest.raises(CalibrationError, match=r"not equally spaced along its columns.*scan_step=\(4, 3\)"):
        read(cxi(tmp_path / "b.cxi", moved, y), scan_shape=(3, 4))
    with pytest.raises(DataError, match=r"columns come first: its x changes from row to row"):
        read(cxi(tmp_path / "c.cxi", y, x), scan_shape=(3, 4))


def test_a_reordered_array_slices_like_numpy():
    class Disk:
        """Not a numpy array, sliced like one."""

        shape, dtype, chunks = TRUTH.shape, TRUTH.dtype, (1, 2, 7, 5)

        def __getitem__(self, key):
            return TRUTH[key]

    view, whole = Reordered(Disk(), (3, 0, 2, 1)), TRUTH.transpose(3, 0, 2, 1)
    assert view.shape == whole.shape and view.chunks == (5, 1, 7, 2)
    for key in ((1, 2), 0, (slice(1, 3), slice(0, 2)), (..., 1), (slice(None), 1, slice(2), 0), (1, 1, 1, 1)):
        np.testing.assert_array_equal(view[key], whole[key])


# ------------------------------------------------------------------ files in vendors' layouts


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("matlab/cbed_v73.mat", Calibration(80e3, None, 0.05, 20)),
        ("hspy/made.hspy", Calibration(80e3, 1.5, 0.05, 20)),
        ("nexus/nxdata.nxs", Calibration(80e3, 1.5, 0.05)),
        ("nexus/rsciio.nxs", Calibration(80e3, 1.5, 0.05, 20)),
        ("cxi/made.cxi", Calibration(80e3, 1.5, 0.05)),
    ],
)
def test_made_files_equal_their_truth(name, known):
    if not (FORMATS / name).exists():
        pytest.skip("no shared data")
    dataset = read(FORMATS / name)
    with np.load(FORMATS / "truth.npz") as truth:
        assert_is_truth(dataset, truth["u16"])
    for quantity in ("energy", "scan_step", "q_pixel", "semiangle"):
        want = getattr(known, quantity)
        assert getattr(dataset.calibration, quantity) == (want if want is None else pytest.approx(want, rel=1e-5))


def test_the_made_cxi_equals_its_truth():
    if not (FORMATS / "cxi/made.cxi").exists():
        pytest.skip("no shared data")
    dataset = read(FORMATS / "cxi/made.cxi", scan_shape=(3, 4))
    with np.load(FORMATS / "truth.npz") as truth:
        assert_is_truth(dataset, truth["u16"])
    assert dataset.calibration.scan_step == pytest.approx(1.5)


def test_three_names_say_how_a_stack_is_stored(tmp_path):
    stack = TRUTH.reshape(12, 7, 5)
    np.save(tmp_path / "a.npy", stack.transpose(1, 2, 0))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dp"] = stack.transpose(2, 1, 0)  # a name that is taken for MATLAB's order
    for name, axes in (("a.npy", "Qy Qx J"), ("a.h5", "Qx, Qy, J")):
        dataset = read(tmp_path / name, axes=axes, scan_shape=(3, 4))
        assert_is_truth(dataset)
        assert "read as (J, Qy, Qx): as was asked for" in dataset.metadata["axes"]
        assert_is_truth(pickle.loads(pickle.dumps(dataset)))
        assert_is_truth(dataset.source.open())
    np.save(tmp_path / "a.npy", stack)
    assert "axes" not in read(tmp_path / "a.npy", axes=("J", "Qy", "Qx"), scan_shape=(3, 4)).metadata
    np.save(tmp_path / "b.npy", TRUTH)
    with pytest.raises(DataError, match=r"three axes of a stack, but the data of b.npy are 3 x 4 x 7 x 5"):
        read(tmp_path / "b.npy", axes="Qy Qx J")
    with pytest.raises(DataError, match=r"four names.*or, for a stack of patterns, the three names J"):
        read(tmp_path / "a.npy", axes="Qy Qx")


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 3, 0, 1)])
@pytest.mark.parametrize("falling", [("y",), ("x",), ("y", "x")])
def test_a_scan_whose_coordinates_fall_is_turned_about_and_told(tmp_path, order, falling):
    steps = [(name, unit, -step if name in falling else step) for name, unit, step in OURS]
    path = berkeley(tmp_path / "a.emd", order, axes=steps, whole=True)
    words = " and ".join(word for word, name in (("rows", "y"), ("columns", "x")) if name in falling)
    with pytest.warns(DataWarning, match=rf"coordinates of the scan's {words} that fall.*by flip=") as told:
        dataset = read(path)
    assert told[0].filename == __file__
    truth = TRUTH[:: -1 if "y" in falling else 1, :: -1 if "x" in falling else 1]
    assert_is_truth(dataset, truth)
    assert dataset.calibration.scan_step == (4.0, 3.0) and words in dataset.metadata["scan"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).load().data, truth)
    np.testing.assert_array_equal(dataset.crop((1, 3, 1, 3)).load().data, truth[1:3, 1:3])
    with pytest.warns(DataWarning, match="that fall"):
        flipped = read(path, flip="columns")
    np.testing.assert_array_equal(flipped.load().data, truth[..., ::-1])


@pytest.mark.parametrize(
    ("falling", "flip", "pixel"), [(("ky",), "rows", "(0.05, 0.04)"), (("ky", "kx"), "both", "(0.05, 0.04)")]
)
def test_a_detector_whose_coordinates_fall_is_refused_with_what_to_pass(tmp_path, falling, flip, pixel):
    steps = [(name, unit, -step if name in falling else step) for name, unit, step in OURS]
    path = berkeley(tmp_path / "a.emd", axes=steps, whole=True)
    with pytest.raises(CalibrationError) as caught:
        read(path)
    assert f"pass read(path, flip={flip!r}, q_pixel={pixel})" in str(caught.value)
    dataset = read(path, flip=flip, q_pixel=(0.05, 0.04))
    assert_is_truth(dataset, TRUTH[:, :, ::-1, :: -1 if flip == "both" else 1])


def test_an_array_whose_scan_coordinates_fall(tmp_path):
    path = berkeley(tmp_path / "a.emd", axes=[("y", A, -4.0), *OURS[1:]], whole=True)
    with h5py.File(path, "r") as file, pytest.warns(DataWarning, match="the data has coordinates of the scan's rows"):
        dataset = Dataset(file["signals/scan/data"], Calibration(80e3))
    np.testing.assert_array_equal(dataset.load().data, TRUTH[::-1])
