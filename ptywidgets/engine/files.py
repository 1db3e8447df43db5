"""Which files an array is read from: they are never written over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

MOST = 100  # arrays within arrays


def files_of(*arrays: Any) -> tuple[Path, ...]:
    """The files that memory maps, HDF5 datasets and views of them are read from; none of arrays in memory.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.ones((4, 4)))
    ...     view = np.asarray(np.load(f"{folder}/a.npy", mmap_mode="r"))[1:]
    ...     [file.name for file in files_of(view, np.ones(3))]
    ['a.npy']
    """
    return listed_files(file for array in arrays for file in _files(array))


def listed_files(files: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Each file once, by its absolute path, which still names it when the working folder has become another one."""
    return tuple(dict.fromkeys(Path(os.path.abspath(Path(file).expanduser())) for file in files))


def _files(array: Any, seen: set[int] | None = None) -> Iterator[str | os.PathLike[str]]:
    """What an array is read from, and what those arrays are that it is a view of, of whatever kind they are."""
    seen = set() if seen is None else seen
    if id(array) in seen or len(seen) > MOST:
        return
    seen.add(id(array))
    if isinstance(array, np.memmap) and array.filename is not None:
        yield array.filename
    elif isinstance(array, np.ndarray):
        yield from _files(array.base, seen)
    elif isinstance(getattr(getattr(array, "file", None), "filename", None), str) and hasattr(array, "is_virtual"):
        yield from _hdf5(array)
    else:
        yield from getattr(array, "input_files", ())  # of a lazy array of our own
        source = getattr(array, "encoding", None)  # of xarray
        if isinstance(source, dict) and isinstance(source.get("source"), str):
            yield source["source"]
        for inner in _inside(array):
            if _is_array(inner):
                yield from _files(inner, seen)


def _is_array(value: Any) -> bool:
    try:
        return hasattr(value, "shape") and hasattr(value, "dtype")
    except Exception:  # of another package, such as a dataset whose file is closed
        return False


def _hdf5(dataset: Any) -> Iterator[str | os.PathLike[str]]:
    """Of an HDF5 dataset; its library need not be loaded for that."""
    holder = dataset.file.filename
    yield holder
    named = [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
    named += [name for name, *_ in dataset.external or ()]
    for name in named:  # relative to the file, or to where one works
        yield from (found for found in (Path(holder).parent / name, Path(name)) if found.is_file())


def _inside(array: Any) -> Iterator[Any]:
    """Arrays that a wrapper holds; of dask those that its graph begins with."""
    graph = array.__dask_graph__() if hasattr(array, "__dask_graph__") else None
    if graph is None:
        yield from getattr(array, "__dict__", {}).values()
        yield from (
            getattr(array, name, None) for name in ("variable", "_data")
        )  # of xarray, which keeps them in slots
        return
    for layer in getattr(graph, "layers", {"": graph}).values():
        if getattr(layer, "is_materialized", bool)() or isinstance(layer, dict):  # making it would take long
            yield from _of_task(next(iter(layer.values()), None))  # its blocks are of one array
        else:
            yield from _of_task(getattr(layer, "task", None))


def _of_task(task: Any) -> Iterator[Any]:
    for part in (task, *(task if isinstance(task, tuple) else getattr(task, "args", ()))):
        yield getattr(part, "value", part)
