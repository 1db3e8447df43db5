"""Any HDF5 file with one 4-D array in it: abTEM, HyperSpy, EMD 0.1, py4DSTEM 0.9 to 0.13, one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.dataset import checked_pattern
from ptywidgets.engine.errors import FileFormatError
from ptywidgets.engine.io.claims import Claim, claim
from ptywidgets.engine.io.found import Found
from ptywidgets.engine.io.hdf5_tree import (
    Entry,
    attribute,
    attributes_as_text,
    datasets,
    external_links,
    hdf5_errors,
    inventory,
    member,
    open_hdf5,
    readable_dataset,
    resolve,
    text,
    walk,
    whole,
)
from ptywidgets.engine.io.lazy import LazyArray, ScanView, dropped_axes, likely_scan_shape
from ptywidgets.engine.io.recognise import is_hdf5, printable

NAME = "HDF5 with a 4-D array (.h5, .hdf5, .emd, .hspy)"
SAVED = "ptywidgets_reconstruction_root"  # root of a saved reconstruction
understands = is_hdf5


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> Found:
    """The 4-D array at `dataset`, or the only one in the file."""
    with open_hdf5(path, allow_external) as file, hdf5_errors(path):
        name = pick(file, path, dataset, scan_shape is not None, allow_external)
        found = readable_dataset(resolve(file, name, path, allow_external), path, allow_external)
        claims = sibling_claims(found)
        metadata = {} if allow_external else attributes_as_text(file, name)
        vacuum_at = vacuum_path(file, tuple(found.shape[-2:]))
        vacuum = None if vacuum_at is None else array_2d(file[vacuum_at], path)
        if vacuum_at is not None:
            metadata["vacuum"] = vacuum_at
    data: Any = LazyArray(path, name, allow_external=allow_external, squeeze=True)
    if data.ndim == 3 and scan_shape is not None:
        data = ScanView.of(data, scan_shape)
    return Found(data, claims, vacuum, metadata, at=name, vacuum_at=vacuum_at or "")


def pick(file: h5py.File, path: Path, dataset: str | None, stack: bool, allow_external: bool) -> str:
    """Path of the array to read: the given one, or the only one that can be meant."""
    if dataset is not None:
        found = resolve(file, dataset, path, allow_external)
        if isinstance(found, h5py.Dataset):
            return dataset
        if member(found, "data") is not None:
            return f"{dataset.rstrip('/')}/data"
        raise FileFormatError(
            f"{printable(dataset)!r} in {printable(path.name)} is a group without 'data'. {inventory(file, path)}"
        )
    arrays = [entry for entry in datasets(file, allow_external) if entry.dtype.kind in "biuf"]
    for plausible in (_is_4d, _is_3d) if stack else (_is_4d, _is_5d):
        fitting = [entry for entry in arrays if plausible(entry)]
        if len(fitting) == 1:
            return fitting[0].path
        if fitting:
            listed = "; ".join(str(entry) for entry in fitting[:8])
            raise FileFormatError(
                f"{printable(path.name)} holds {len(fitting)} arrays that could be the data: {listed}; say which: "
                f"read(path, dataset={printable(fitting[0].path)!r})."
            )
    if SAVED in file:
        raise FileFormatError(
            f"{printable(path.name)} is a saved reconstruction, not data; open it by Reconstruction.load(path), or "
            "Reconstruction.open(path)."
        )
    hint = ""
    stacks = [entry for entry in arrays if _is_3d(entry)]
    if stacks and not stack:
        patterns = stacks[0].shape[0]
        hint = (
            f" If {printable(stacks[0].path)!r} is a stack of {patterns} patterns, pass "
            f"scan_shape={likely_scan_shape(patterns)}."
        )
    patterns_2d = [entry for entry in arrays if _is_pattern(entry)]
    if len(patterns_2d) == 1 and not stacks:
        hint = " If this is a vacuum pattern, open the data first and pass it as read(path, vacuum=...)."
    links = [] if allow_external else external_links(file)
    if links:
        hint += f" It also has links to other files: {', '.join(links[:3])}; to follow them pass allow_external=True."
    raise FileFormatError(
        f"{printable(path.name)} holds no 4-D array of numbers (Ry, Rx, Qy, Qx). {inventory(file, path)}{hint}"
    )


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The 2-D pattern at `dataset`, the one called vacuum or probe, or the only one, (Qy, Qx)."""
    with open_hdf5(path, allow_external) as file, hdf5_errors(path):
        if dataset is None:
            found = [e for e in datasets(file, allow_external) if e.dtype.kind in "biuf" and _is_pattern(e)]
            named = [e for e in found if _says_vacuum(e.path)]
            chosen = found if len(found) == 1 else named
            if len(chosen) != 1:
                raise FileFormatError(
                    f"{printable(path.name)} holds {len(found) or 'no'} 2-D patterns; expected one. "
                    f"{inventory(file, path, allow_external)} Say which: read_pattern(path, dataset=...)."
                )
            dataset = chosen[0].path
        found_at = resolve(file, pick(file, path, dataset, False, allow_external), path, allow_external)
        return array_2d(readable_dataset(found_at, path, allow_external), path)


def array_2d(found: h5py.Dataset, path: Path) -> np.ndarray:
    """A dataset as a checked pattern; py4DSTEM's Probe holds the pattern and a kernel, the first is taken."""
    shape = tuple(found.shape or ())
    first = shape[0] == 2 and len(shape) == 3 and text(attribute(found.parent, "python_class")) == "Probe"
    with hdf5_errors(path):
        values = np.asarray(whole(readable_dataset(found, path), 0 if first else ()))
    return checked_pattern(values.squeeze() if values.ndim > 2 and values.squeeze().ndim == 2 else values)


def vacuum_path(file: h5py.File, detector_shape: tuple[int, ...]) -> str | None:
    """Path of the only array of the detector's shape that is called vacuum or probe, or is a Probe.

    A mean pattern is of the same class and shape, so the class alone does not tell.
    """
    names = []
    for path, found in walk(file):
        if not isinstance(found, h5py.Dataset) or found.shape is None or found.dtype.kind not in "biuf":
            continue
        shape = tuple(found.shape)
        is_probe = shape == (2, *detector_shape) and text(attribute(found.parent, "python_class")) == "Probe"
        if is_probe or (shape == detector_shape and _says_vacuum(path)):
            names.append(path)
    return names[0] if len(names) == 1 else None


def sibling_claims(found: h5py.Dataset) -> list[Claim]:
    """What stands beside an array: dimension scales, a calibration group, abTEM's sampling, HyperSpy's axes."""
    group, claims = found.parent, []
    series = int(len(found.shape) == 5 and not dropped_axes(found.shape))  # its first axis is not of a scan
    begin = series + (member(group, "dim0") is None)
    numbered = [f"dim{n}" for n in range(begin, begin + 4)]
    quantities = ("scan_step", "scan_step", "q_pixel", "q_pixel")
    for name, quantity in zip(numbered, quantities, strict=True):
        dim = member(group, name)
        if isinstance(dim, h5py.Dataset) and dim.ndim == 1 and dim.size >= 2 and dim.dtype.kind in "iuf":
            claims += claim(quantity, float(dim[1]) - float(dim[0]), text(attribute(dim, "units")), str(dim.name))
    sampling, units = member(group, "sampling"), member(group, "units")
    four = (4 + series,)
    if isinstance(sampling, h5py.Dataset) and isinstance(units, h5py.Dataset) and sampling.shape == units.shape == four:
        for i, quantity in enumerate(quantities, series):
            claims += claim(quantity, sampling[i], text(units[i]), f"sampling[{i}]")
    for i, quantity in enumerate(quantities, series):
        axis = member(group, f"axis-{i}")
        if isinstance(axis, h5py.Group):
            claims += claim(quantity, attribute(axis, "scale"), text(attribute(axis, "units")), f"axis-{i}")
    beside = member(group, "calibration")
    if isinstance(beside, h5py.Group):
        claims += calibration_claims(beside)
    return claims


def calibration_claims(group: h5py.Group) -> list[Claim]:
    """py4DSTEM's calibration items; energy and semi-angle only where somebody has added them."""

    def item(name: str) -> Any:
        found = member(group, name)
        return whole(found) if isinstance(found, h5py.Dataset) and found.shape == () else None

    where = str(group.name)
    return [
        *claim("q_pixel", item("Q_pixel_size"), text(item("Q_pixel_units")), f"{where}/Q_pixel_size"),
        *claim("scan_step", item("R_pixel_size"), text(item("R_pixel_units")), f"{where}/R_pixel_size"),
        *claim("energy", item("energy"), "eV", f"{where}/energy"),
        *claim("semiangle", item("convergence_semiangle_mrad"), "mrad", f"{where}/convergence_semiangle_mrad"),
    ]


def _is_4d(entry: Entry) -> bool:
    shape = entry.shape
    if len(shape) > 4 and dropped_axes(shape):
        shape = tuple(n for axis, n in enumerate(shape) if axis not in dropped_axes(entry.shape))
    return len(shape) == 4 and min(shape[-2:]) > 1


def _is_5d(entry: Entry) -> bool:
    """A series of scans."""
    return len(entry.shape) == 5 and not dropped_axes(entry.shape) and min(entry.shape[-2:]) > 1


def _is_3d(entry: Entry) -> bool:
    return len(entry.shape) == 3 and min(entry.shape[-2:]) > 1


def _is_pattern(entry: Entry) -> bool:
    shape = tuple(n for n in entry.shape if n != 1)
    return min(shape, default=0) > 1 and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 2))


def _says_vacuum(path: str) -> bool:
    words = path.lower().removesuffix("/data")
    return any(word in words.split("/")[-1] for word in ("vacuum", "probe"))
