"""An HDF5 dataset that is being written: as its writer shows it to others (SWMR), or as far as it has been flushed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, open_hdf5, readable_dataset, resolve
from ptywidgets.engine.io.growing.stack import OLD, Growing, WatchedFile


@contextmanager
def open_growing(path: Path) -> Iterator[h5py.File]:
    """A file that somebody else may be writing, open to read its structure, without a lock.

    Raises
    ------
    FileFormatError
        When it cannot be read while it is written.
    """
    try:
        file = open_hdf5(path)
    except FileFormatError:
        file = _opened(path)
    with file, hdf5_errors(path):
        yield file


def _opened(path: Path) -> h5py.File:
    """The file as its writer has left it (to be opened again when it has changed), or as one in SWMR shows it."""
    reason = ""
    for swmr in (False, True):
        try:
            return h5py.File(path, "r", swmr=swmr, locking=False, rdcc_nbytes=32 * 1024**2)
        except (OSError, ValueError, TypeError) as error:
            reason += " ".join(str(error).split())
    try:
        return open_hdf5(path)  # through an object, which asks for no permission
    except FileFormatError:
        if "already open for write" not in reason:
            raise
        raise FileFormatError(
            f"{printable(path.name)} is being written so that others cannot read it. To be followed, its writer has to "
            "switch to SWMR (h5py: swmr_mode = True, in a file of libver='latest'); else open it when it is complete."
        ) from None


class GrowingHdf5(Growing):
    """A stack (J, Qy, Qx) or a scan (Ry, Rx, Qy, Qx), pattern by pattern, in a file that is being written.

    Its first axis may grow, or have its whole length from the beginning: then what still holds the fill value was not
    written yet. The size of the file tells nothing, so that a pattern counts when another one was written behind it.

    Parameters
    ----------
    path : path
    name : str
        Of the dataset in the file.

    Raises
    ------
    FileFormatError, DataError
        When it cannot be read while it is written, or has other axes.
    """

    sized = False

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        path = Path(os.path.abspath(path))
        self.at = name
        self._file = WatchedFile(path, shrinks=True)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._open: h5py.File | None = None
        self._found: h5py.Dataset | None = None
        with open_growing(path) as file:
            found = readable_dataset(resolve(file, name, path), path, True)  # hardly anything may be written yet
            if found.ndim not in (3, 4):
                raise DataError(
                    f"{printable(name)} in {printable(path.name)} is {sizes(found.shape)}; to be followed it has to be "
                    "a stack (J, Qy, Qx) or a scan (Ry, Rx, Qy, Qx)."
                )
            self.full = tuple(int(n) for n in found.shape)  # as it was when it was opened
            most = found.maxshape[0] if found.maxshape[0] is not None else 0
            self.most = max(int(most), self.full[0]) if most else 0  # along the first axis; 0 where that is open
            super().__init__(path, found.shape[-2:], found.dtype)
            self._fill = np.asarray(found.fillvalue, found.dtype)
        self.input_files = (path,)

    @property
    def columns(self) -> int:
        """Patterns to an entry of the first axis."""
        return self.full[1] if len(self.full) == 4 else 1

    @property
    def still(self) -> float:
        """Seconds since the file was last seen to change."""
        return self._file.still

    def look(self) -> int:
        """Patterns that the dataset has room for; which of them were written is told by what stands in them."""
        before = self._file.still
        self._file.look()
        try:
            with self._reading() as found:
                if found.file.swmr_mode:
                    found.refresh()
                elif self._file.still < before:  # what the library knows of it is from when it was opened
                    self._close()
            with self._reading() as found:
                shape = tuple(int(n) for n in found.shape)
        except FileFormatError:
            if self._file.still > OLD:
                raise
            self.close()  # in the middle of a change: the next look finds it whole
            return self.count
        if shape[1:] != self.full[1:] or shape[0] * self.columns < self.count:
            raise FileFormatError(f"{self.name} has been replaced while it was followed; read it again.")
        if shape[0] * self.columns != self.count:
            self._file.touch()
        return self._take(shape[0] * self.columns)

    def written(self, index: int) -> bool:
        """Whether a pattern has anything else in it than the fill value."""
        pattern = self._patterns(index, index + 1)
        empty = np.isnan(pattern) if self._fill != self._fill else pattern == self._fill
        return not bool(empty.all())

    def _patterns(self, first: int, end: int) -> np.ndarray:
        with self._reading() as found:
            if len(self.full) == 3:
                block = found[first:end]
            else:
                top, low = first // self.columns, -(-end // self.columns)
                if low - top == 1:
                    block = found[top, first - top * self.columns : end - top * self.columns]
                else:
                    block = found[top:low].reshape(-1, *self.shape[1:])[first - top * self.columns :][: end - first]
        return np.asarray(block).astype(self.dtype, copy=False)

    @contextmanager
    def _reading(self) -> Iterator[h5py.Dataset]:
        """The dataset, open; one thread at a time."""
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._open, self._found = os.getpid(), threading.RLock(), None, None
        with self._lock, hdf5_errors(self.path):
            if self._found is None or not self._open:
                self._open = _opened(self.path)
                self._found = resolve(self._open, self.at, self.path)
            assert self._found is not None
            yield self._found

    def _close(self) -> None:
        if self._open and self._pid == os.getpid():
            self._open.close()
        self._open = self._found = None

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        with self._lock:
            self._close()

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens the file by itself."""
        return {name: value for name, value in vars(self).items() if name != "_lock"} | {"_open": None, "_found": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_lock": threading.RLock(), "_pid": os.getpid()})


__all__ = ["GrowingHdf5", "open_growing"]
