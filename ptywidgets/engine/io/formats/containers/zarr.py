"""zarr, a folder or a zip: plain arrays, HyperSpy's .zspy, and what abTEM and quantem write."""

from __future__ import annotations

import contextlib
import json
import math
import os
import posixpath
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError, PtyError
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.data.dataset_checks import check_memory, checked_pattern
from ptywidgets.engine.io.arrays.axes import Mark
from ptywidgets.engine.io.arrays.conventions import (
    abtem_entries,
    abtem_mark,
    hyperspy_entries,
    hyperspy_mark,
    sampling_marks,
    words,
)
from ptywidgets.engine.io.arrays.lazy import dropped_axes
from ptywidgets.engine.io.calibration_entries import CalibrationEntry
from ptywidgets.engine.io.detect_format import first_bytes, is_store, printable
from ptywidgets.engine.io.formats.containers.npz import ZIP, first_name, member_names
from ptywidgets.engine.io.formats.containers.several import chosen, chosen_pattern, vacuum_of
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.tree import Entry
from ptywidgets.engine.io.formats.packages import missing
from ptywidgets.engine.io.named_entries import stated_entries

KEY = "zarr"
NAME = "zarr, a folder or a zip (.zarr, .zspy)"
MARKS = ("zarr.json", ".zgroup", ".zarray")  # files that say what a folder of a store is
MOST_ARRAYS, DEEPEST = 5000, 20
MOST_COUNTED = 20_000  # chunks whose files are counted as the store is opened
MOST_TEXTS = 40


def understands(path: Path) -> bool:
    """Whether a folder is a store, or a zip holds one."""
    try:
        if path.is_dir():
            return is_store(path)
        names = member_names(path)
        if names is None:  # no zip, or one that is cut
            start = first_bytes(path, 30 + 200)
            return start.startswith(ZIP) and posixpath.basename(first_name(start)) in MARKS
        return _inside(names) is not None
    except (OSError, ValueError):
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The array called `dataset`, or the only one of four axes."""
    store = _Store(path)
    try:
        with _errors(path):
            arrays = store.arrays()
        found = chosen([a.entry for a in arrays], path, dataset, scan_shape is not None)
        array = next(a for a in arrays if a.entry is found)
        with _errors(path):
            said = _Said.of(store.root, array)
            metadata = {**_texts(said.attributes), **_stored(array.node, path)}
        beside = vacuum_of([a.entry for a in arrays], found.shape[-2:])
        vacuum = None
        if beside is not None and beside is not found:
            vacuum = checked_pattern(_whole(store, beside))
            metadata["vacuum"] = beside.path
    finally:
        store.close()
    return FileContents(
        ZarrArray(path, found.path),
        said.entries,
        vacuum,
        metadata,
        at=found.path,
        vacuum_at="" if vacuum is None or beside is None else beside.path,
        axes=tuple(said.marks[-4:]),  # those before are of a series
    )


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The 2-D array called `dataset`, the one called vacuum or probe, or the only one, (Qy, Qx)."""
    store = _Store(path)
    try:
        with _errors(path):
            entries = [array.entry for array in store.arrays()]
        return checked_pattern(_whole(store, chosen_pattern(entries, path, dataset)))
    finally:
        store.close()


@dataclass(frozen=True)
class _Array:
    """An array of a store, with the group that it lies in."""

    node: Any
    entry: Entry
    group: Any  # None where the store is this array alone


class _Store:
    """A store that is open for reading."""

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise missing("zarr", path, "is a zarr store", error) from error
        old = zarr.__version__.startswith("2.")
        self.path = path
        self.root: Any = None
        self._zip: Any = None
        with _errors(path):
            if path.is_dir():
                names, within = [name for name in MARKS if (path / name).is_file()], ""
                store: Any = str(path)
            else:
                listed = member_names(path)
                if listed is None:
                    raise ValueError("its table of contents, at the end, is not there")
                within = _inside(listed) or ""
                names = [posixpath.relpath(name, within or ".") for name in listed if posixpath.basename(name) in MARKS]
            if old and "zarr.json" in names:
                raise FileFormatError(
                    f"{printable(path.name)} is a zarr store of version 3, which zarr {zarr.__version__} does not "
                    "read; expected zarr 3, which needs Python 3.11 or newer. Or save it with zarr_format=2."
                )
            if not path.is_dir():
                self._size = path.stat().st_size
                store = self._zip = zarr.storage.ZipStore(str(path), mode="r")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about files that are not zarr's
                self.root = zarr.open(store, mode="r", path=within) if within else zarr.open(store, mode="r")

    def arrays(self) -> list[_Array]:
        """All arrays."""
        if hasattr(self.root, "shape"):
            return [_Array(self.root, _entry(self.root, ""), None)]
        found: list[_Array] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._collect(self.root, "", found, 0)
        return sorted(found, key=lambda array: array.entry.path)

    def _collect(self, group: Any, at: str, found: list[_Array], depth: int) -> None:
        for name, node in group.arrays():
            found.append(_Array(node, _entry(node, f"{at}{name}"), group))
            if len(found) > MOST_ARRAYS:
                raise ValueError(f"it holds more than {MOST_ARRAYS} arrays; open the group that holds the data")
        if depth < DEEPEST:
            for name, node in group.groups():
                self._collect(node, f"{at}{name}/", found, depth + 1)

    def array(self, name: str) -> Any:
        """The array of that name; the store itself where it is one."""
        return self.root[name] if name else self.root

    def shrunk(self) -> bool:
        """Whether a zip is shorter than it was: what is missing of one could be read as chunks that are not there."""
        return self._zip is not None and self.path.stat().st_size < self._size

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()


class ZarrArray:
    """An array of a store, read block by block; slicing is safe from any thread, and pickling carries the path.

    Parameters
    ----------
    path : path
        Of the folder or the zip.
    name : str
        Of the array in it; empty where the store is one array.
    expected : (shape, type), optional
        What it was when it was opened first.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, expected: Any = None) -> None:
        self.path, self.name, self._expected = Path(os.path.abspath(path)), name, expected
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._store: _Store | None = None
        self._found: Any = None
        with self._lock:
            array = self._array()
            full = tuple(int(n) for n in array.shape)
            self._dropped = dropped_axes(full)
            keep = [axis for axis in range(len(full)) if axis not in self._dropped]
            self.shape = tuple(full[axis] for axis in keep)
            self.ndim = len(self.shape)
            self.chunks = tuple(int(array.chunks[axis]) for axis in keep)
            self.dtype = np.dtype(array.dtype).newbyteorder("=")
        chunk = math.prod(self.chunks) * self.dtype.itemsize
        check_memory(chunk, f"one chunk of {printable(self.path.name)}", "save it with smaller chunks")
        self.input_files = listed_files((self.path,))

    def _array(self) -> Any:
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._store, self._found = os.getpid(), threading.RLock(), None, None
        with self._lock:
            if self._found is None:
                self._store = _Store(self.path)
                with _errors(self.path):
                    found = self._store.array(self.name)
                    is_now = tuple(int(n) for n in found.shape), np.dtype(found.dtype)
                if self._expected is not None and self._expected != is_now:
                    raise FileFormatError(f"{self.path.name} has been replaced since it was opened; read it again.")
                self._expected, self._found = is_now, found
            return self._found

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = list(key) if isinstance(key, tuple) else [key]
        if self._dropped:
            if Ellipsis in parts:
                at = parts.index(Ellipsis)
                parts[at : at + 1] = [slice(None)] * (self.ndim - len(parts) + 1)
            parts += [slice(None)] * (self.ndim - len(parts))
            for axis in self._dropped:
                parts.insert(axis, 0)
        array = self._array()
        with _errors(self.path):
            if self._store is not None and self._store.shrunk():
                raise ValueError("it has become shorter since it was opened")
            return np.asarray(array[tuple(parts)]).astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> Any:
        path = Path(os.path.abspath(self.path))  # another process may work in another folder
        return ZarrArray, (path, self.name, self._expected)

    def __repr__(self) -> str:
        return f"ZarrArray({self.path.name!r}, {self.name!r}, shape={self.shape}, dtype={self.dtype})"

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        store, self._store, self._found = getattr(self, "_store", None), None, None
        if store is not None and self._pid == os.getpid():
            store.close()


@dataclass(frozen=True)
class _Said:
    """What stands beside an array about it."""

    marks: list[Mark]
    entries: list[CalibrationEntry]
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, root: Any, array: _Array) -> _Said:
        """By the conventions of whoever wrote it: HyperSpy, quantem, abTEM, xarray; else by attributes of the array."""
        node, group, n = array.node, array.group, len(array.entry.shape)
        kept = [axis for axis in range(n) if axis not in dropped_axes(array.entry.shape)]
        own, outer = dict(node.attrs), dict(root.attrs)
        attributes = {**outer, **own}
        marks: list[Mark] = []
        entries: list[CalibrationEntry] = []
        name = array.entry.path.rsplit("/", 1)[-1]
        number = name.removeprefix("array")
        if group is not None and all(f"axis-{i}" in group for i in range(n)):
            marks = [hyperspy_mark(_hyperspy_axis(group[f"axis-{i}"]), f"axis-{i}") for i in range(n)]
        elif group is not None and name == "_array" and "_sampling" in group and "_units" in group:
            units = dict(group["_units"].attrs)
            steps = np.asarray(group["_sampling"][...]).ravel().tolist()
            if len(steps) == n and all(str(i) in units for i in range(n)):
                marks = sampling_marks(steps, [units[str(i)] for i in range(n)])
            if "_metadata" in group:
                attributes = {**attributes, **dict(group["_metadata"].attrs)}
        elif number.isdigit() and (stated := _mapping(outer.get(f"metadata{number}"))):
            axes = _mapping(stated.get("axes"))
            said = [_mapping(axes.get(f"axis_{i}")) for i in range(n)]
            marks, entries = [abtem_mark(axis) for axis in said], abtem_entries(stated)
            attributes = {key: value for key, value in stated.items() if key != "axes"}
        elif number.isdigit() and (older := _mapping(outer.get(f"kwargs{number}"))):
            entries = abtem_entries(_mapping(older.get("metadata")))
        else:
            marks = _labelled(group, node, n) or _sampled(own, n)
        if group is not None and "metadata/Acquisition_instrument/TEM" in group:
            entries = hyperspy_entries(dict(group["metadata/Acquisition_instrument/TEM"].attrs).get)
        entries = [
            *entries,
            *(c for key, value in attributes.items() for c in stated_entries(str(key), value, None, str(key))),
        ]
        marks = marks if len(marks) == n else [Mark()] * n
        return cls([marks[axis] for axis in kept], entries, attributes)


def _hyperspy_axis(axis: Any) -> dict[str, Any]:
    said = dict(axis.attrs)
    return {**said, "axis": axis["axis"][...]} if "axis" in axis else said


def _labelled(group: Any, node: Any, n: int) -> list[Mark]:
    """Axes by name, as xarray writes them, with coordinates in arrays of these names."""
    names = getattr(getattr(node, "metadata", None), "dimension_names", None) or dict(node.attrs).get(
        "_ARRAY_DIMENSIONS"
    )
    if not isinstance(names, (list, tuple)) or len(names) != n:
        return []
    marks = []
    for name, length in zip((words(name) for name in names), node.shape, strict=True):
        along = group[name] if group is not None and name and name in group else None
        if along is not None and getattr(along, "shape", ()) == (length,) and np.dtype(along.dtype).kind in "iuf":
            unit = words(dict(along.attrs).get("units"))
            marks.append(Mark.of_coordinates(along[...], name, unit, f"coordinates {name!r}"))
        else:
            marks.append(Mark(name))
    return marks


def _sampled(attributes: Mapping[str, Any], n: int) -> list[Mark]:
    """Axes by two lists among the attributes, of steps and of units."""
    steps, units = attributes.get("sampling"), attributes.get("units")
    if isinstance(steps, list) and isinstance(units, list) and len(steps) == len(units) == n:
        return sampling_marks(steps, units)
    return []


def _mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, also where it is kept as JSON; empty for anything else."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value if isinstance(value, dict) else {}


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes that are short, as text."""
    plain = {
        str(k): v
        for k, v in attributes.items()
        if isinstance(v, (str, int, float)) and str(v) and not str(k).startswith("_")
    }
    return {printable(k, 60): printable(str(v), 200) for k, v in list(plain.items())[:MOST_TEXTS]}


def _stored(node: Any, path: Path) -> dict[str, str]:
    """A word where chunks are not there: they are read as the fill value, be that meant or because a copy broke off."""
    total = int(node.nchunks)
    nested = getattr(node, "_dimension_separator", ".") == "/"  # of which zarr 2 counts too few
    if nested or getattr(node, "shards", None) is not None or total > MOST_COUNTED:
        return {}
    there = int(node.nchunks_initialized)
    if there >= total:
        return {}
    sentence = f"{there} of {total} chunks are stored, the others are read as {node.fill_value}"
    warnings.warn(
        f"of {printable(path.name)} {sentence}: they were all of that value, or a copy broke off.",
        DataWarning,
        stacklevel=5,
    )
    return {"chunks": sentence}


def _whole(store: _Store, entry: Entry) -> np.ndarray:
    nbytes = math.prod(entry.shape) * entry.dtype.itemsize
    check_memory(nbytes, f"{entry} of {printable(store.path.name)}")
    with _errors(store.path):
        return np.asarray(store.array(entry.path)[...])


def _entry(node: Any, name: str) -> Entry:
    try:
        dtype = np.dtype(node.dtype)
    except TypeError:  # text of any length and the like
        dtype = np.dtype(object)
    return Entry(name, tuple(int(n) for n in node.shape), dtype)


def _inside(names: list[str]) -> str | None:
    """The folder of a zip in which a store begins, "" for the zip itself; None where there is none."""
    found = [posixpath.dirname(name) for name in names if posixpath.basename(name) in MARKS]
    return min(found, key=lambda name: (name.count("/") + bool(name), name)) if found else None


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn whatever zarr and its codecs raise over a damaged store into a FileFormatError."""
    try:
        yield
    except PtyError:
        raise
    except MemoryError as error:
        raise DataError(f"there is not enough memory for what is asked of {printable(path.name)}.") from error
    except Exception as error:
        reason = printable(f"{type(error).__name__}: {' '.join(str(error).split())}", 240)
        raise FileFormatError(
            f"{printable(path.name)} is cut off or damaged, or no zarr store that can be read here ({reason}); copy or "
            "download it again."
        ) from None
