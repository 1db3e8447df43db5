"""ptypy's .ptyd: patterns in chunks, each with the numbers that they have in the scan, and positions in m."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.arrays.axes import Mark
from ptywidgets.engine.io.arrays.lazy import LazyArray
from ptywidgets.engine.io.arrays.stacks import Joined, Ordered
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set
from ptywidgets.engine.io.detect_format import is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.positions import position_marks, raster_shape
from ptywidgets.engine.io.formats.hdf5.stated import of_geometry
from ptywidgets.engine.io.formats.hdf5.tree import (
    hdf5_errors,
    member,
    open_hdf5,
    readable_dataset,
    text,
    whole,
)

KEY = "ptyd"
NAME = "ptypy .ptyd"
LEAST_ENERGY = 40.0  # keV; below it is the energy of photons as likely, which the file does not tell from electrons
_MOST_CHUNKS = 100_000
read_pattern = plain.read_pattern


def understands(path: Path) -> bool:
    """Whether it is HDF5 with a group of numbered chunks, and a group of metadata beside it."""
    try:
        if not is_hdf5(path):
            return False
        with open_hdf5(path) as file, hdf5_errors(path):
            return isinstance(member(file, "meta"), h5py.Group) and bool(_chunks(file))
    except (FileFormatError, OSError):
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """All chunks as one stack in the order of their indices; `dataset` reads one array as of any other HDF5 file."""
    if dataset is not None:
        return plain.read(path, dataset, scan_shape, allow_external)
    with open_hdf5(path) as file, hdf5_errors(path):
        names = _chunks(file)
        if not names:
            raise FileFormatError(f"{printable(path.name)} has no chunks/0/data; expected ptypy's chunks of patterns.")
        counts, numbers, places = [], [], []
        for name in names:
            group = file[name]
            found = readable_dataset(group["data"], path)
            if found.ndim != 3 or 0 in found.shape or found.dtype.kind not in "biuf":
                raise FileFormatError(
                    f"{name}/data of {printable(path.name)} is {sizes(found.shape)} {found.dtype}; expected patterns "
                    "(J, Qy, Qx)."
                )
            counts.append(int(found.shape[0]))
            numbers.append(_array(group, "indices", (counts[-1],)))
            places.append(_array(group, "positions", (counts[-1], 2)))
        entries, metadata = _of_meta(file)
        weights = [name for name in names if (w := member(file[name], "weights")) is not None and w.size]
    order = _order(numbers, counts, path)
    stack: Any = Joined.of([LazyArray(path, f"{name}/data") for name in names])
    if order is not None:
        stack = Ordered(stack, order)
    if weights:
        metadata["weights"] = f"of pixels, in {len(weights)} chunks; not applied, pass a mask"
    marks: list[Mark] = []
    told = None
    if all(place is not None for place in places):
        y, x = np.concatenate(places).astype(np.float64).T  # type: ignore[arg-type]  # none of them is None
        if order is not None:
            y, x = y[order], x[order]
        told = raster_shape(y, x)
        shape = told if scan_shape is None else scan_shape
        if shape is not None and shape[0] * shape[1] == y.size:
            marks = position_marks(y, x, (int(shape[0]), int(shape[1])), "positions")
    return FileContents(
        stack,
        entries,
        metadata=metadata,
        scan_shape=told,
        scan_from="positions (a raster)" if told else "",
        scan_axes=tuple(marks),
    )


def _chunks(file: h5py.File) -> list[str]:
    """Paths of the groups with patterns, by their numbers."""
    group = member(file, "chunks")
    if not isinstance(group, h5py.Group):
        return []
    numbers = sorted(int(name) for name in list(group)[:_MOST_CHUNKS] if name.isdecimal() and name == str(int(name)))
    names = [f"chunks/{number}" for number in numbers]
    groups = {name: member(group, name.split("/")[1]) for name in names}
    return [
        name
        for name, chunk in groups.items()
        if isinstance(chunk, h5py.Group) and isinstance(member(chunk, "data"), h5py.Dataset)
    ]


def _array(group: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    found = member(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape != shape or found.dtype.kind not in "iuf":
        return None
    return np.asarray(whole(found))


def _order(numbers: list[np.ndarray | None], counts: list[int], path: Path) -> np.ndarray | None:
    """Which pattern of the chunks is the first, second ... of the scan; None where they lie in that order."""
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    indices: np.ndarray = np.concatenate(known)
    order = np.argsort(indices, kind="stable")
    same = np.flatnonzero(np.diff(indices[order]) == 0)
    if len(same):
        raise FileFormatError(
            f"{printable(path.name)} has pattern number {indices[order][same[0]]} twice in chunks/*/indices; expected "
            "each once. The file is damaged, or was written by two runs."
        )
    return None if (order == np.arange(sum(counts))).all() else order


def _of_meta(file: h5py.File) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """Energy, and from the geometry the detector's pixel; all single values as text."""
    meta = file["meta"] if isinstance(member(file, "meta"), h5py.Group) else None
    values: dict[str, Any] = {}
    for name in [] if meta is None else list(meta)[:100]:
        found = member(meta, name)
        if isinstance(found, h5py.Dataset) and 1 <= found.size <= 4 and found.dtype.kind in "iufbSO":
            values[name] = whole(found)
    units = {"energy": "keV", "distance": "m", "psize": "m"}
    metadata = {}
    for name, value in values.items():
        shown = text(value) if np.size(value) == 1 else str(np.asarray(value).tolist())
        metadata[f"meta/{name}"] = f"{shown} {units.get(name, '')}".strip()[:200]
    numbers = {name: np.asarray(values.get(name, np.nan)).reshape(-1) for name in units}
    if any(array.dtype.kind not in "iuf" for array in numbers.values()):
        return [], metadata
    energy = float(numbers["energy"][0])
    if not LEAST_ENERGY <= energy < np.inf:
        if "meta/energy" in metadata:
            metadata["meta/energy"] += ", of electrons or photons, is not said"
        return [], metadata
    entries = entry_if_set("energy", energy, "keV", "meta/energy")
    pixel = numbers["psize"] if numbers["psize"].size == 2 else np.repeat(numbers["psize"][:1], 2)
    entries += of_geometry(
        (float(pixel[0]), float(pixel[1])), float(numbers["distance"][0]), "meta, psize and distance"
    )
    return entries, metadata
