"""EMD 1.0, as py4DSTEM 0.14 and emdfile write it: roots, array nodes and metadata bundles."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import FileFormatError, SeveralArrays
from ptywidgets.engine.io.detect_format import is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.tree import (
    attribute,
    hdf5_errors,
    inventory,
    member,
    open_hdf5,
    text,
    walk,
    whole,
)

KEY = "emd"
NAME = "EMD 1.0 (py4DSTEM)"
read_pattern = plain.read_pattern


def understands(path: Path) -> bool:
    """Whether `path` is HDF5 whose root says that it is an EMD file."""
    if not is_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file, hdf5_errors(path):
            return text(attribute(file, "emd_group_type")) == "file"
    except FileFormatError:
        return False  # the plain HDF5 reader says what is wrong


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The datacube at `dataset` (a group or an array), or the only one, with the calibration of its tree."""
    with open_hdf5(path, allow_external) as file, hdf5_errors(path):
        if dataset is None:
            cubes = [
                name
                for name, group in walk(file)
                if text(attribute(group, "python_class")) == "DataCube"
                and isinstance(group, h5py.Group)
                and isinstance(member(group, "data"), h5py.Dataset)
            ]
            if len(cubes) > 1:
                raise SeveralArrays(
                    f"{printable(path.name)} holds {len(cubes)} datacubes",
                    [(cube, printable(cube)) for cube in cubes],
                    rest=inventory(file, path),
                )
            dataset = cubes[0] if cubes else None
        name = plain.pick(file, path, dataset, scan_shape is not None, allow_external)
        root = name.strip("/").split("/")[0]
        group = _calibration(file, root)
    found = plain.read(path, name, scan_shape, allow_external)
    if group is None:
        return found
    with open_hdf5(path) as file, hdf5_errors(path):
        entries = plain.calibration_entries(file[group])
        items = {f"{group}/{k}": _words(v) for k, v in read_metadata(file[group]).items() if not k.startswith("_")}
    return dataclasses.replace(found, entries=entries + found.entries, metadata={**found.metadata, **items})


def read_metadata(group: h5py.Group) -> dict[str, Any]:
    """The items of an EMD metadata group, by their `type` attribute; the inverse of `emd_write.write_metadata`.

    Strings become str, scalars Python numbers, arrays ndarray; items of an unknown type are left out.
    """
    items: dict[str, Any] = {}
    for name in group:
        found = member(group, name)
        if found is None:
            continue
        kind = text(attribute(found, "type"))
        if isinstance(found, h5py.Group):
            if kind == "dict":
                items[name] = read_metadata(found)
            elif "_of_" in kind:
                each = [_scalar_or_array(found[str(i)]) for i in range(len(found)) if str(i) in found]
                items[name] = tuple(each) if kind.startswith("tuple") else each
        elif found.shape is None or found.size is None or found.size > 10_000_000:
            continue
        elif kind in ("None", "string", "number", "bool"):
            value = _scalar_or_array(found)
            items[name] = None if kind == "None" or value == "_None" else value
        elif kind == "array":
            items[name] = whole(found)
        elif kind in ("tuple", "list"):
            items[name] = (tuple if kind == "tuple" else list)(np.asarray(whole(found)).tolist())
    return items


def _scalar_or_array(found: Any) -> Any:
    value = whole(found) if isinstance(found, h5py.Dataset) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind != "O":
        return value
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value


def _calibration(file: h5py.File, root: str) -> str | None:
    here: Any = file
    for name in (root, "metadatabundle", "calibration"):
        here = member(here, name) if isinstance(here, h5py.Group) else None
    return f"{root}/metadatabundle/calibration" if isinstance(here, h5py.Group) else None


def _words(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    return str(value)[:2000]
