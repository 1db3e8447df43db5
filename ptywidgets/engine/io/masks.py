"""Masks in files: NeXus's and DECTRIS's pixel_mask, CXI's mask, and plain arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.data.hooks import answers
from ptywidgets.engine.data.masks import understood
from ptywidgets.engine.io.detect_format import existing_file, is_hdf5, printable
from ptywidgets.engine.io.formats.containers import npy
from ptywidgets.engine.io.formats.hdf5.tree import (
    datasets,
    hdf5_errors,
    inventory,
    member,
    open_hdf5,
    readable_dataset,
    resolve,
    walk,
)

PIXEL_MASK = "pixel_mask"
SCAN_MASK = "scan_mask"  # of this program: True where a scan position counts


@answers("read_mask")
def read_mask(path: str | os.PathLike[str], dataset: str | None = None) -> tuple[np.ndarray, str, str]:
    """A mask from HDF5 or .npy, True where a pixel counts; what it is follows from its name in the file.

    Parameters
    ----------
    path : path
    dataset : str, optional
        Path inside an HDF5 file; by default the only array called pixel_mask, else mask, else the only 2-D one.

    Returns
    -------
    mask : ndarray (2-D) bool
    dataset : str
        Where it was found in the file.
    words : str
        What it was taken for.
    """
    file = existing_file(path)
    if not is_hdf5(file):
        return _with_place(npy.read_plane(file), "")
    with open_hdf5(file) as opened, hdf5_errors(file):
        at = _only_mask(opened, file) if dataset is None else dataset
        found = readable_dataset(resolve(opened, at, file), file)
        return _with_place(_plane(found, file), at, kind_of(opened, at))


def kind_of(file: h5py.File, path: str) -> str:
    """What the mask at `path` of a file is by its name; see :func:`ptywidgets.engine.data.masks.understood`."""
    parts = path.lower().removesuffix("/data").split("/")
    name = parts[-1]
    if name == PIXEL_MASK:
        return "pixel_mask"
    if name == "mask" and (member(file, "cxi_version") is not None or parts[0].startswith("entry_")):
        return "cxi"
    return "bad" if any(word in name for word in ("bad", "dead", "excluded", "defect")) else ""


def mask_beside(file: h5py.File, data: str, shape: tuple[int, ...]) -> str | None:
    """Path of the mask of the detector's shape that belongs to the data at `data`: the nearest one in the tree.

    Only what says by its name how it is meant: pixel_mask, or the mask of a CXI file.
    """
    found = [path for path in _planes(file, shape) if kind_of(file, path) in ("pixel_mask", "cxi")]
    found.sort(key=lambda path: -len(os.path.commonpath(["/" + path, "/" + data.strip("/")])))
    near = [len(os.path.commonpath(["/" + path, "/" + data.strip("/")])) for path in found]
    return found[0] if found and near.count(near[0]) == 1 else None


def scan_mask_beside(file: h5py.File, shape: tuple[int, ...]) -> str | None:
    """Path of the only scan mask of the scan's shape."""
    found = [path for path in _planes(file, shape) if _name(path) == SCAN_MASK]
    return found[0] if len(found) == 1 else None


def stored_mask(file: h5py.File, at: str, path: Path) -> tuple[np.ndarray, str]:
    """The mask at `at` of an open file, and what it was taken for."""
    mask, _, words = _with_place(_plane(readable_dataset(file[at], path), path), at, kind_of(file, at))
    return mask, words


def _planes(file: h5py.File, shape: tuple[int, ...]) -> list[str]:
    """Paths of arrays of whole numbers of a shape, axes of length one aside."""
    return [
        path
        for path, found in walk(file)
        if isinstance(found, h5py.Dataset)
        and found.shape is not None
        and found.dtype.kind in "biu"
        and tuple(found.shape[-2:]) == tuple(shape)
        and all(n == 1 for n in found.shape[:-2])
        and not (found.is_virtual or found.external)
    ]


def _only_mask(file: h5py.File, path: Path) -> str:
    plane = [e for e in datasets(file) if e.dtype.kind in "biuf" and len([n for n in e.shape if n != 1]) == 2]
    likeliest_first: tuple[Callable[[str], bool], ...] = (
        lambda name: name == PIXEL_MASK,
        lambda name: name == "mask",
        lambda name: "mask" in name and name != SCAN_MASK,
        lambda name: True,
    )
    for fits in likeliest_first:
        chosen = [e.path for e in plane if fits(_name(e.path))]
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            break
    raise FileFormatError(
        f"{printable(path.name)} holds {len(plane) or 'no'} 2-D arrays that could be the mask; expected one called "
        f"pixel_mask or mask. {inventory(file, path)} Say which: with_mask(path, dataset=...)."
    )


def _plane(found: h5py.Dataset, path: Path) -> np.ndarray:
    """The values (Qy, Qx), axes of length one before them aside."""
    shape = tuple(found.shape)
    if len(shape) < 2 or any(n != 1 for n in shape[:-2]) or found.dtype.kind not in "biuf":
        raise FileFormatError(
            f"{printable(str(found.name))} in {printable(path.name)} is {' x '.join(map(str, shape)) or 'one value'} "
            f"{found.dtype}; expected a 2-D mask."
        )
    check_memory(found.size * found.dtype.itemsize, "the mask")
    return np.asarray(found[()]).reshape(shape[-2:])


def _name(path: str) -> str:
    return path.lower().removesuffix("/data").split("/")[-1]


def _with_place(values: Any, at: str, kind: str = "") -> tuple[np.ndarray, str, str]:
    mask, words = understood(values, kind)
    return mask, at, words


__all__ = ["PIXEL_MASK", "SCAN_MASK", "kind_of", "mask_beside", "read_mask", "scan_mask_beside", "stored_mask"]
