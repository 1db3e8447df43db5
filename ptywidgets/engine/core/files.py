"""Which files an array is read from: they are never written over."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError

MOST = 100  # arrays within arrays
_NAMED = "read-through:"  # begins the name of an HDF5 file that is read through an object which knows its path


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


def checked_path(path: Any) -> Path:
    """The path of a file, of whatever type paths have.

    Raises
    ------
    FileFormatError
        When it is something else.

    Examples
    --------
    >>> checked_path(b"duck.h5").name
    'duck.h5'
    >>> checked_path(5)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.FileFormatError: a path is expected, got 5; give the name of a file, such as duck.h5.
    """
    try:
        return Path(os.fsdecode(path)).expanduser()
    except (TypeError, RuntimeError):  # RuntimeError: there is no such home folder
        raise FileFormatError(
            f"a path is expected, got {path!r:.80}; give the name of a file, such as duck.h5."
        ) from None


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
    elif isinstance(_part(_part(array, "file"), "filename"), str) and _part(array, "is_virtual") is not None:
        yield from _hdf5(array)
    else:
        yield from _part(array, "input_files") or ()  # of a lazy array of our own
        source = _part(array, "encoding")  # of xarray
        if isinstance(source, dict) and isinstance(source.get("source"), str):
            yield source["source"]
        for inner in _inside(array):
            if _is_array(inner):
                yield from _files(inner, seen)


def _part(value: Any, name: str) -> Any:
    """What another package's object has by a name; None where it has none, or fails, as a dataset whose file is closed.

    A search must not fail for what it looks at: whoever reads such an object is told what is wrong with it.
    """
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def _is_array(value: Any) -> bool:
    return _part(value, "shape") is not None and _part(value, "dtype") is not None


def name_of_watched(path: str | os.PathLike[str]) -> str:
    """The name, in ASCII, of an object through which h5py reads the file at `path`; it is what h5py calls the file.

    Examples
    --------
    >>> name_of_watched("a b \N{ANGSTROM SIGN}.h5").endswith("/a%20b%20%E2%84%AB.h5")
    True
    """
    return _NAMED + urllib.parse.quote(os.fsencode(os.path.abspath(path)))


def hdf5_path(file: Any) -> Path | None:
    """Where an open h5py.File lies; None when it is read through an object of which that is not known.

    Examples
    --------
    >>> import io
    >>> from types import SimpleNamespace as Opened
    >>> hdf5_path(Opened(filename=name_of_watched("a b.h5"), driver="fileobj")).name
    'a b.h5'
    >>> hdf5_path(Opened(filename=repr(io.BytesIO()), driver="fileobj"))
    """
    name = str(file.filename)
    if name.startswith(_NAMED):
        return Path(os.fsdecode(urllib.parse.unquote_to_bytes(name.removeprefix(_NAMED))))
    return None if file.driver == "fileobj" else Path(name)


def _hdf5(dataset: Any) -> Iterator[str | os.PathLike[str]]:
    """Of an HDF5 dataset; its library need not be loaded for that."""
    holder = hdf5_path(dataset.file)
    if holder is not None:
        yield holder
    named = [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
    named += [os.fsdecode(name) for name, *_ in dataset.external or ()]
    folders = [Path()] if holder is None else [holder.parent, Path()]
    for name in named:  # relative to the file, or to where one works
        yield from (found for folder in folders if (found := folder / name).is_file())


def _inside(array: Any) -> Iterator[Any]:
    """Arrays that a wrapper holds; of dask those that its graph begins with."""
    graph = _part(array, "__dask_graph__")
    graph = graph() if callable(graph) else None
    if graph is None:
        yield from getattr(array, "__dict__", {}).values()
        yield from (_part(array, name) for name in ("variable", "_data"))  # of xarray, which keeps them in slots
        return
    for layer in getattr(graph, "layers", {"": graph}).values():
        if getattr(layer, "is_materialized", bool)() or isinstance(layer, dict):  # making it would take long
            yield from _of_task(next(iter(layer.values()), None))  # its blocks are of one array
        else:
            yield from _of_task(getattr(layer, "task", None))


def _of_task(task: Any) -> Iterator[Any]:
    for part in (task, *(task if isinstance(task, tuple) else getattr(task, "args", ()))):
        yield getattr(part, "value", part)
