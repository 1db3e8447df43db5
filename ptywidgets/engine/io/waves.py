"""Probes and objects in files: complex arrays in .npy or HDF5, as other programs and people keep them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.io.detect_format import existing_file, printable
from ptywidgets.engine.io.formats.containers import npy
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, inventory, open_hdf5, readable_dataset, walk

KEPT_IN = ("data", "value", "array")  # what the array in a group of the wave's name may be called


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
    source = existing_file(path)
    if npy.understands(source):
        return _loaded(npy.mapped(source), what, source.name)
    with open_hdf5(source) as file, hdf5_errors(source):
        return _loaded(_only_one(file, what, source), what, source.name)


def _only_one(file: h5py.File, what: str, path: Path) -> h5py.Dataset:
    found: dict[str, h5py.Dataset] = {}
    for place, item in walk(file):
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "fc":
            *groups, own = place.casefold().split("/")
            if own == what or (own in KEPT_IN and groups and groups[-1] == what):
                found[place] = item
    if len(found) != 1:
        listed = ", ".join(printable(place) for place in sorted(found)[:8])
        there = f"it has {listed}" if found else "it has none of 2 or 3 axes under that name"
        raise FileFormatError(
            f"{printable(path.name)!r} should have one array named {what!r}, but {there}; read it and give the array. "
            f"{inventory(file, path)}"
        )
    return readable_dataset(next(iter(found.values())), path)


def _loaded(array: Any, what: str, name: str) -> np.ndarray:
    if array.ndim not in (2, 3) or array.dtype.kind not in "biufc" or 0 in array.shape:
        raise FileFormatError(
            f"the {what} in {name!r} is {array.shape} {array.dtype}; expected numbers with 2 axes, or 3 for several."
        )
    check_memory(math.prod(array.shape) * array.dtype.itemsize, f"the {what} in {name!r}")
    return np.asarray(array[...])


__all__ = ["read_wave"]
