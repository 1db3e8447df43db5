"""numpy's .npy, read piece by piece and never unpickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.dataset_checks import checked_pattern
from ptywidgets.engine.io.arrays.axes import reordered
from ptywidgets.engine.io.arrays.planes import Planes
from ptywidgets.engine.io.arrays.stacks import Records
from ptywidgets.engine.io.detect_format import first_bytes, not_understood, printable
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array
from ptywidgets.engine.io.growing.records import GrowingRecords

KEY = "npy"
NAME = "numpy .npy"


def understands(path: Path) -> bool:
    """Whether the file starts as .npy files do."""
    return first_bytes(path, 6) == b"\x93NUMPY"


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A 4-D array, or a 3-D stack."""
    single_array(path, dataset)
    return FileContents(_in_pieces(path, mapped(path)))


def growing(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack, or a scan, for which the whole file was made at first, as :func:`numpy.lib.format.open_memmap` does."""
    single_array(path, dataset)
    array = mapped(path)
    if array.ndim not in (3, 4) or array.dtype.kind not in "iuf" or 0 in array.shape or not array.flags.c_contiguous:
        raise FileFormatError(
            f"{printable(path.name)} holds an array {array.shape} {array.dtype}; to be followed it has to be a stack "
            "(J, Qy, Qx) or a scan (Ry, Rx, Qy, Qx) of numbers, in the order of C."
        )
    record = np.dtype((array.dtype, array.shape[-2:]))
    shape = (array.shape[0], array.shape[1]) if array.ndim == 4 else None
    stack = GrowingRecords(path, record, int(getattr(array, "offset", 0)), sized=False)
    return FileContents(stack, scan_shape=shape, scan_from="its header")


def _in_pieces(path: Path, array: np.ndarray) -> Any:
    """The array as one that is read piece by piece: a map whose file becomes shorter would end the process.

    Others than scans and stacks of whole and real numbers stay mapped.
    """
    if not isinstance(array, np.memmap) or array.dtype.kind not in "iuf" or 0 in array.shape:
        return array
    offset, shape = int(array.offset), array.shape
    if array.ndim == 3 and array.flags.c_contiguous:
        return Records(path, np.dtype((array.dtype, shape[1:])), shape[0], offset)
    if array.ndim == 4 and array.flags.c_contiguous:
        return Planes(path, array.dtype, shape, offset)
    if array.ndim == 4 and array.flags.f_contiguous:
        return reordered(Planes(path, array.dtype, shape[::-1], offset), (3, 2, 1, 0))
    return array


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """A 2-D array, (Qy, Qx)."""
    return checked_pattern(read_plane(path))


def read_plane(path: Path) -> np.ndarray:
    """A 2-D array of whatever is in it."""
    if not understands(path):
        raise not_understood(path, f"HDF5; {NAME}")
    data = mapped(path)
    if data.ndim > 2 and data.size == data.shape[-1] * data.shape[-2]:  # a stack of one
        data = data.reshape(data.shape[-2:])
    if data.ndim != 2:
        raise FileFormatError(f"{printable(path.name)} holds an array of shape {data.shape}; expected a 2-D pattern.")
    return data


def mapped(path: Path) -> np.ndarray:
    """The array, mapped for reading; FileFormatError where that cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy's header parser may raise nearly anything over a damaged file
        reason = printable(" ".join(str(error).split()), 200)
        raise FileFormatError(
            f"{printable(path.name)} is cut off, damaged, or holds Python objects, which are never opened ({reason})."
        ) from None
