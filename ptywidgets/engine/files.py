"""Which files an array is read from: they are never written over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


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


def _files(array: Any) -> Iterator[str | os.PathLike[str]]:
    if isinstance(array, np.ndarray):
        here: Any = array
        while here is not None:  # a view knows what it is a view of
            if isinstance(here, np.memmap) and here.filename is not None:
                yield here.filename
                return
            here = getattr(here, "base", None)
        return
    yield from getattr(array, "input_files", ())  # arrays of our own
    holder = getattr(getattr(array, "file", None), "filename", None)
    if isinstance(holder, str) and hasattr(array, "is_virtual"):  # an HDF5 dataset, without its library
        yield holder
        named = [source.file_name for source in array.virtual_sources()] if array.is_virtual else []
        named += [name for name, *_ in array.external or ()]
        for name in named:  # relative to the file, or to where one works
            yield from (found for found in (Path(holder).parent / name, Path(name)) if found.is_file())
