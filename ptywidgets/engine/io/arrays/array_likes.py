"""Arrays of other packages, told by what they have and never by importing the package.

Whatever is not a plain numpy array is either understood here, with the calibration that it holds, or refused at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, PtyError
from ptywidgets.engine.core.files import hdf5_path
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset_checks import check_memory, check_patterns
from ptywidgets.engine.data.hooks import answers
from ptywidgets.engine.io.arrays.axes import Mark, reordered
from ptywidgets.engine.io.arrays.conventions import (
    abtem_entries,
    abtem_mark,
    hyperspy_entries,
    hyperspy_mark,
    sampling_marks,
    words,
)
from ptywidgets.engine.io.arrays.lazy import LazyArray
from ptywidgets.engine.io.calibration_entries import (
    CalibrationEntry,
    calibration_entry,
    resolve_calibration,
)
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors


class Foreign:
    """Another package's array, read block by block as numpy arrays of one type; its errors become a DataError."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.shape = _sizes(data)
        self.dtype = counted(np.dtype(data.dtype))
        self.ndim = len(self.shape)
        chunks = getattr(data, "chunksize", None) or getattr(data, "chunks", None)  # dask's chunks are the first
        whole = isinstance(chunks, Sequence) and len(chunks) == self.ndim and all(_is_whole(n) for n in chunks)
        self.chunks = tuple(int(n) for n in chunks) if whole else None  # type: ignore[union-attr]  # a sequence where it is whole

    def __getitem__(self, key: Any) -> np.ndarray:
        try:
            return np.asarray(self.data[key]).astype(self.dtype, copy=False)
        except (PtyError, MemoryError):
            raise
        except Exception as error:  # whatever another package raises, also at the time it computes
            raise _unreadable(self.data, error) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Foreign({_kind(self.data)}, shape={self.shape}, dtype={self.dtype})"


def counted(dtype: np.dtype) -> np.dtype:
    """The type in which counts of type `dtype` are worked on: the same, but for those with which nothing is computed.

    Examples
    --------
    >>> [str(counted(np.dtype(name))) for name in ("bool", "float16", ">u2", "int64")]
    ['uint8', 'float32', 'uint16', 'int64']
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype.newbyteorder("=")


def understood(data: Any) -> FileContents | None:
    """`data` as an array of known behaviour, with what it says about itself; None where it is one already.

    numpy arrays and maps, HDF5 datasets, dask, zarr, xarray, HyperSpy's signals, py4DSTEM's DataCube, measurements of
    abTEM, data sets of quantem, and whatever else has a shape, a type, and slices that numpy understands.

    Raises
    ------
    DataError
        When it could not be read later.
    """
    if isinstance(data, np.ndarray):
        target = counted(data.dtype) if data.dtype.kind in "bf" else data.dtype
        if data.dtype.kind == "b":
            return FileContents(data.view(np.uint8))
        if target == data.dtype.newbyteorder("="):
            return None
        if isinstance(data, np.memmap):
            return FileContents(Foreign(data))
        check_memory(data.size * target.itemsize, f"the data set as {target}", "crop or bin it first")
        return FileContents(data.astype(target))
    if isinstance(data, LazyArray):
        return None if counted(data.dtype) == data.dtype else FileContents(Foreign(data))
    if type(data).__module__.startswith("ptywidgets."):
        # a view of an array that has been looked at, in this package
        dtype = np.dtype(data.dtype)
        return None if counted(dtype) == dtype.newbyteorder("=") else FileContents(Foreign(data))
    inner, entries, marks = _opened(data)
    if inner is not data:
        inside = understood(inner)
        return FileContents(inner if inside is None else inside.data, entries, axes=tuple(marks))
    if isinstance(data, h5py.Dataset):
        return _hdf5(data)
    return FileContents(_checked(data))


@answers("fields_of")
def fields_of(data: Any, calibration: Calibration, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a data set of a foreign array that says something about itself; what is given wins. None of numpy's."""
    found = understood(data)
    return {} if found is None else _taken_over(found, calibration, metadata)


@answers("fields_of_stack")
def fields_of_stack(
    stack: Any, scan_shape: tuple[int, int], calibration: Calibration, metadata: Mapping[str, str]
) -> dict[str, Any]:
    """The same of a stack (J, Qy, Qx) of any kind, as the scan (Ry, Rx, Qy, Qx) that a raster made of it."""
    found = understood(stack) or FileContents(stack)
    check_patterns(found.data, 3, "(J, Qy, Qx)", "pass 4-D data to Dataset(data)")
    return _taken_over(found.as_scan(scan_shape), calibration, metadata)


def _taken_over(found: FileContents, calibration: Calibration, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a data set from an array that says something about itself; what is given wins."""
    if hasattr(found.data, "shape"):
        found = found.in_order(what="the data")
    if found.entries:
        known = {name: getattr(calibration, name) for name in ("energy", "scan_step", "q_pixel", "semiangle")}
        calibration = resolve_calibration(found.entries, known, "data", "Dataset(data, Calibration({}))")
    return {"data": found.data, "calibration": calibration, "metadata": {**found.metadata, **metadata}}


def _opened(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    """What lies inside a container of another package, and what it says; `data` itself where it is none."""
    for marked, opener in (
        (("dims", "coords", "values"), _xarray),
        (("axes_manager", "data"), _hyperspy),
        (("calibration", "Rshape", "data"), _py4dstem),
        (("axes_metadata", "array"), _abtem),
        (("signal_units", "sampling", "array"), _quantem),
    ):
        if all(hasattr(type(data), name) or name in getattr(data, "__dict__", {}) for name in marked):
            try:
                return opener(data)
            except PtyError:
                raise
            except Exception as error:  # of a version whose parts have other names
                raise DataError(
                    f"the calibration of {_kind(data)} could not be read ({_reason(error)}); pass its array instead: "
                    "Dataset(numpy.asarray(...), Calibration(...))."
                ) from error
    return data, [], []


def _xarray(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    marks = []
    for name in data.dims:
        if name not in data.coords:
            marks.append(Mark(str(name)))
        else:
            along = data.coords[name]
            unit = str(along.attrs.get("units", "") or "")
            marks.append(Mark.of_coordinates(along.values, str(name), unit, f"coordinates {name!r}"))
    return data.data, [], marks


def _hyperspy(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    marks = []
    for axis in data.axes_manager._axes:
        uniform = getattr(axis, "is_uniform", True)
        said = {name: getattr(axis, name) for name in ("name", "units", "navigate", "scale" if uniform else "axis")}
        marks.append(hyperspy_mark(said, f"axis {words(axis.name)!r}"))
    get = getattr(getattr(data, "metadata", None), "get_item", lambda path: None)
    return data.data, hyperspy_entries(lambda name: get(f"Acquisition_instrument.TEM.{name}")), marks


def _py4dstem(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    known = data.calibration
    return (
        data.data,
        [
            *calibration_entry(
                "scan_step", known.get_R_pixel_size(), str(known.get_R_pixel_units()), "calibration, R_pixel_size"
            ),
            *calibration_entry(
                "q_pixel", known.get_Q_pixel_size(), str(known.get_Q_pixel_units()), "calibration, Q_pixel_size"
            ),
        ],
        [],
    )


def _abtem(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    names = ("label", "units", "sampling")
    marks = [abtem_mark({name: getattr(axis, name, None) for name in names}) for axis in data.axes_metadata]
    return data.array, abtem_entries(getattr(data, "metadata", None) or {}), marks


def _quantem(data: Any) -> tuple[Any, list[CalibrationEntry], list[Mark]]:
    return data.array, [], sampling_marks(list(data.sampling), list(data.units))


def _hdf5(data: h5py.Dataset) -> FileContents:
    """An open HDF5 dataset, opened anew where that can be done, so that it outlives its file object."""
    if not data:
        raise DataError("the HDF5 file of the data is closed; open it again, or use ptywidgets.read(path).")
    file, name = data.file, str(data.name or "")
    known = hdf5_path(file)
    path = Path(str(file.filename)) if known is None else known
    if file.mode == "r" and file.driver != "core" and known is not None and path.is_file() and name:
        array: Any = LazyArray(path, name, allow_external=True, squeeze=True)
        array = array if counted(array.dtype) == array.dtype else Foreign(array)
    else:
        array = Foreign(data) if data.dtype.kind in "biuf" else data
    with hdf5_errors(path):
        marks, (order, why) = plain.axis_marks(data), plain.reversed_by_matlab(data, len(array.shape))
        entries = plain.sibling_entries(data)
    if len(array.shape) == 3 and order:
        array, order, marks = reordered(array, order), (), []
    return FileContents(array, entries, axes=tuple(marks), order=order, order_from=why)


def _checked(data: Any) -> Any:
    """Any other array, of which one pattern is looked at now, so that nothing fails later."""
    if hasattr(data, "__cuda_array_interface__") or words(getattr(data, "device", "")).startswith(("cuda", "<CUDA")):
        raise DataError(f"data is {_kind(data)} in a device's memory; expected an array of the host: copy it there.")
    lazy = hasattr(data, "__dask_graph__")
    if not lazy and not (_has_dtype(data) and hasattr(data, "shape") and hasattr(data, "__getitem__")):
        # no type that numpy knows, as of torch
        return _plain(data) if hasattr(data, "__array__") and hasattr(data, "shape") else data
    foreign = Foreign(data) if np.dtype(data.dtype).kind in "biuf" else data
    if lazy or not isinstance(foreign, Foreign) or foreign.ndim < 3 or 0 in foreign.shape:
        return foreign
    pattern = foreign[(0,) * (foreign.ndim - 2)]
    if pattern.shape != foreign.shape[-2:]:
        raise DataError(
            f"data is {_kind(data)}, whose first pattern is {pattern.shape} and not {foreign.shape[-2:]}; expected an "
            "array that is indexed as numpy's are: pass numpy.asarray(data)."
        )
    return foreign


def _plain(data: Any) -> Any:
    try:
        array = np.asarray(data)
    except PtyError:
        raise
    except Exception as error:
        raise _unreadable(data, error) from error
    if array.dtype.kind == "O":
        raise _unreadable(data, TypeError("numpy makes Python objects of it"))
    return array if counted(array.dtype) == array.dtype else array.astype(counted(array.dtype))


def _sizes(data: Any) -> tuple[int, ...]:
    if any(not _is_number(n) or math.isnan(n) for n in data.shape):
        raise DataError(
            f"data is {_kind(data)} whose size is not known, {tuple(data.shape)}; with dask, call "
            "data.compute_chunk_sizes() first."
        )
    return tuple(int(n) for n in data.shape)


def _has_dtype(data: Any) -> bool:
    try:
        return getattr(data, "dtype", None) is not None and isinstance(np.dtype(data.dtype), np.dtype)
    except TypeError:
        return False


def _unreadable(data: Any, error: BaseException) -> DataError:
    return DataError(
        f"data is {_kind(data)}, of which a block cannot be had as a numpy array ({_reason(error)}); pass "
        "numpy.asarray(data), or the array inside it."
    )


def _kind(data: Any) -> str:
    kind = type(data)
    return f"a {kind.__module__.split('.')[0]} {kind.__name__}"


def _reason(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {' '.join(str(error).split())}", 200)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer))
