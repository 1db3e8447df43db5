"""Writing EMD 1.0 that py4DSTEM.read opens: roots, array nodes, metadata; and whole data sets."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.io.atomic import atomic_file
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.hdf5.write import steady_hdf5


@dataclass(frozen=True)
class Axis:
    """One axis of an array node: the first two coordinates are start and start + step."""

    name: str = ""
    step: float = 1.0
    unit: str = "pixels"
    start: float = 0.0


def write_root(file: h5py.File, name: str) -> h5py.Group:
    """Mark `file` as EMD 1.0 and create a root group in it."""
    if "emd_group_type" not in file.attrs:
        file.attrs["emd_group_type"] = "file"
        file.attrs["version_major"] = 1
        file.attrs["version_minor"] = 0
        file.attrs["UUID"] = str(uuid.uuid4())
        file.attrs["authoring_program"] = "ptywidgets"
        file.attrs["authoring_user"] = ""
    root = file.create_group(name)
    root.attrs["emd_group_type"] = "root"
    root.attrs["python_class"] = "Root"
    return root


def write_array(
    parent: h5py.Group,
    name: str,
    data: Any = None,
    axes: Sequence[Axis] = (),
    unit: str = "",
    python_class: str = "Array",
    **create: Any,
) -> h5py.Dataset:
    """An array node `name` under a root or another node; returns its dataset, to be filled when `data` is None.

    Parameters
    ----------
    axes : sequence of Axis
        One for each axis of the data; pixels when not given.
    python_class : str
        "Array", "DataCube" (4-D), "VirtualDiffraction" or "RealSlice" (2-D) ...
    **create
        Passed to ``create_dataset``: `shape` and `dtype` without data, `chunks`, `compression`.
    """
    group = parent.create_group(name)
    group.attrs["emd_group_type"] = "array"
    group.attrs["python_class"] = python_class
    dataset = group.create_dataset("data", data=data, **create)
    dataset.attrs["units"] = unit
    axes = list(axes) or [Axis(f"dim{n}") for n in range(dataset.ndim)]
    if len(axes) != dataset.ndim:
        raise FileFormatError(f"array {printable(name)!r} has {dataset.ndim} axes but {len(axes)} were described.")
    for n, axis in enumerate(axes):
        # two numbers stand for the whole linear vector; emdfile extends them
        dim = group.create_dataset(f"dim{n}", data=np.array([axis.start, axis.start + axis.step], np.float64))
        dim.attrs["name"] = axis.name or f"dim{n}"
        dim.attrs["units"] = axis.unit
    return dataset


def write_metadata(
    parent: h5py.Group, name: str, items: Mapping[str, Any], python_class: str = "Metadata"
) -> h5py.Group:
    """A metadata group `name` in the bundle of a node.

    Values may be None, str, bool, numbers, arrays, dicts of such, and tuples or lists of one of numbers, strings
    or arrays; `emd.read_metadata` gives them back.

    Raises
    ------
    FileFormatError
        When a value is of another type.
    """
    bundle = parent.get("metadatabundle")
    if bundle is None:
        bundle = parent.create_group("metadatabundle")
        bundle.attrs["emd_group_type"] = "metadatabundle"
    group = bundle.create_group(name)
    group.attrs["emd_group_type"] = "metadata"
    group.attrs["python_class"] = python_class
    for key, value in items.items():
        _write_item(group, key, value)
    return group


def write(
    path: str | os.PathLike[str], dataset: Dataset, overwrite: bool = False, compression: str | None = None
) -> Path:
    """Write a data set as EMD 1.0: patterns, calibration, vacuum probe and masks, in a file that py4DSTEM.read opens.

    An old file stays whole until the new one is complete.

    Parameters
    ----------
    overwrite : bool
        Whether an existing file is replaced. A file that the data set itself was read from never is: its patterns are
        still in it, and were it replaced by what was made of it, the raw data would be gone.
    compression : "gzip", optional
        Smaller and slower; sparse counts shrink by far.

    Raises
    ------
    FileFormatError
        When the file may not or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write(f"{folder}/ones.h5", Dataset(np.ones((2, 3, 4, 4), np.float32)))
    ...     written.name
    'ones.h5'
    """
    if not isinstance(dataset, Dataset):
        raise FileFormatError(f"write() was given a {type(dataset).__name__}; expected a Dataset: Dataset(array).")
    if compression not in (None, "gzip"):
        raise FileFormatError(f"compression is {compression!r}; expected None or 'gzip'.")
    with atomic_file(path, overwrite, inputs=dataset.inputs) as temporary:
        free = shutil.disk_usage(temporary.parent).free
        if compression is None and dataset.nbytes > free:
            raise FileFormatError(
                f"{printable(str(path))} needs {in_bytes(dataset.nbytes)} and {in_bytes(free)} are free there; "
                "free some space, choose another folder, or pass compression='gzip'."
            )
        with steady_hdf5(temporary) as (file, check):
            _write_dataset(file, dataset, compression, check)
    return Path(os.fsdecode(path)).expanduser()


def _write_dataset(file: h5py.File, dataset: Dataset, compression: str | None, check: Callable[[], None]) -> None:
    calibration = dataset.calibration
    steps, step_unit = (calibration.scan_steps, "A") if calibration.scan_step else ((1.0, 1.0), "pixels")
    q_pixels, q_unit = (calibration.q_pixels, "A^-1") if calibration.q_pixel else ((1.0, 1.0), "pixels")
    root = write_root(file, "datacube_root")
    items: dict[str, Any] = {
        "Q_pixel_size": q_pixels[0],
        "Q_pixel_units": q_unit,
        "R_pixel_size": steps[0],
        "R_pixel_units": step_unit,
        "QR_flip": False,
        "_root_treepath": "",
        "_target_paths": ["/datacube"],
    }
    for name, pair in (("Q_pixel_sizes", q_pixels), ("R_pixel_sizes", steps)):
        if pair[0] != pair[1]:  # for which py4DSTEM has no place
            items[name] = pair
    if calibration.energy is not None:  # py4DSTEM has no place for it and keeps what it does not know
        items["energy"] = calibration.energy
    if calibration.semiangle is not None:
        items["convergence_semiangle_mrad"] = calibration.semiangle
    write_metadata(root, "calibration", items, python_class="Calibration")
    scan = [Axis(name, step, step_unit) for name, step in zip(("Rx", "Ry"), steps, strict=True)]
    detector = [Axis(name, q_pixel, q_unit) for name, q_pixel in zip(("Qx", "Qy"), q_pixels, strict=True)]
    patterns = write_array(
        root,
        "datacube",
        axes=scan + detector,
        unit="pixel intensity",
        python_class="DataCube",
        shape=dataset.shape,
        dtype=dataset.dtype,
        chunks=(1, 1, *dataset.detector_shape),
        compression=compression,
    )
    for first, block in dataset.rows():
        patterns[first : first + len(block)] = block
        check()
    if dataset.vacuum is not None:
        write_array(
            patterns.parent, "vacuum_probe", dataset.vacuum, unit="intensity", python_class="VirtualDiffraction"
        )
    if dataset.mask is not None:  # as NeXus says it: 0 where a pixel is good
        write_array(patterns.parent, "pixel_mask", (~dataset.mask).astype(np.uint32))
    if dataset.scan_mask is not None:
        write_array(patterns.parent, "scan_mask", dataset.scan_mask.astype(np.uint8))


def _write_item(group: h5py.Group, key: str, value: Any) -> None:
    """One item with the `type` attribute that emdfile reads it by."""
    if isinstance(value, Mapping):
        inner = group.create_group(key)
        inner.attrs["type"] = "dict"
        for k, v in value.items():
            _write_item(inner, str(k), v)
        return
    if isinstance(value, np.generic):
        value = value.item()
    kind: str
    stored: Any
    if value is None:
        kind, stored = "None", b"_None"
    elif isinstance(value, str):
        kind, stored = "string", value.encode()
    elif isinstance(value, bool):
        kind, stored = "bool", value
    elif isinstance(value, Number):
        kind, stored = "number", value
    elif isinstance(value, np.ndarray):
        kind, stored = "array", value
    elif isinstance(value, (tuple, list)):
        _write_sequence(group, key, value)
        return
    else:
        raise FileFormatError(f"metadata {printable(key)!r} is a {type(value).__name__}; that cannot be stored.")
    group.create_dataset(key, data=stored).attrs["type"] = np.bytes_(kind)


def _write_sequence(group: h5py.Group, key: str, values: tuple[Any, ...] | list[Any]) -> None:
    kind = "tuple" if isinstance(values, tuple) else "list"
    if all(isinstance(v, (Number, np.number)) for v in values):
        numbers = np.asarray(values, None if values else np.float64)
        group.create_dataset(key, data=numbers).attrs["type"] = np.bytes_(kind)
        return
    of = "strings" if all(isinstance(v, str) for v in values) else "arrays"
    if of == "arrays" and not all(isinstance(v, np.ndarray) for v in values):
        raise FileFormatError(
            f"metadata {printable(key)!r} is a {kind} of mixed types; expected numbers, strings or arrays."
        )
    inner = group.create_group(key)
    inner.attrs["type"] = np.bytes_(f"{kind}_of_{of}")
    inner.attrs["length"] = len(values)
    for i, v in enumerate(values):
        inner.create_dataset(str(i), data=v.encode() if isinstance(v, str) else v)
