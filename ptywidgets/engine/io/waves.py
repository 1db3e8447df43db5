"""Probes and objects in files: complex arrays in .npy or HDF5, as other programs and people keep them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.dataset import check_memory
from ptywidgets.engine.errors import FileFormatError

KEPT_IN = ("data", "value", "array")  # what the array in a group of the wave's name may be called
MOST_SEEN = 10_000  # objects of a file that are looked at


def read_wave(path: str | os.PathLike[str], what: str) -> np.ndarray:
    """The array that a file holds, or of an HDF5 file the one that is named after what it is.

    Parameters
    ----------
    path : path
        .npy, or HDF5 under any name.
    what : {"probe", "object"}

    Returns
    -------
    ndarray (ny, nx) or (K, ny, nx)

    Raises
    ------
    FileFormatError
        When there is no such file or array, or more than one.
    """
    source = Path(path).expanduser()
    if not source.is_file():
        raise FileFormatError(f"there is no file {source.name!r} in {str(source.parent)!r}.")
    try:
        if source.suffix.lower() == ".npy":
            array = np.load(source, mmap_mode="r", allow_pickle=False)
            return _loaded(array, what, source.name)
        with h5py.File(source, "r") as file:
            return _loaded(_only_one(file, what, source.name), what, source.name)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"no {what} can be read from {source.name!r}: {error}; expected .npy, HDF5, or a saved reconstruction."
        ) from error


def _only_one(file: Any, what: str, name: str) -> Any:
    found: dict[str, Any] = {}
    seen = 0

    def visit(place: str, item: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen > MOST_SEEN:
            return True
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "fc":
            *groups, own = place.casefold().split("/")
            if own == what or (own in KEPT_IN and groups and groups[-1] == what):
                found[place] = item
        return None

    file.visititems(visit)
    if len(found) != 1:
        there = f"it has {', '.join(sorted(found))}" if found else "it has none of 2 or 3 axes under that name"
        raise FileFormatError(
            f"{name!r} should have one array named {what!r}, but {there}; read it and give the array."
        )
    return next(iter(found.values()))


def _loaded(array: Any, what: str, name: str) -> np.ndarray:
    if array.ndim not in (2, 3) or array.dtype.kind not in "biufc" or 0 in array.shape:
        raise FileFormatError(
            f"the {what} in {name!r} is {array.shape} {array.dtype}; expected numbers with 2 axes, or 3 for several."
        )
    check_memory(math.prod(array.shape) * array.dtype.itemsize, f"the {what} in {name!r}")
    return np.asarray(array[...])


__all__ = ["read_wave"]
