"""Writing HDF5 so that a full disk is an exception and not the end of the process.

When a write fails, the HDF5 library cannot close the file and may take the whole process with it, and with the kernel
the reconstruction that was to be saved. So it writes through a file object that never fails: the first error is kept,
nothing more is written, and the error is raised when the library is done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from ptywidgets.engine.io.atomic import atomic_file


@contextlib.contextmanager
def atomic_hdf5(path: str | os.PathLike[str], overwrite: bool = False, **rule: Any) -> Iterator[h5py.File]:
    """A new HDF5 file that becomes `path` when the block ends well; else the old one stays, see `atomic_file`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_hdf5(f"{folder}/a.h5") as file:
    ...         file["x"] = [1, 2, 3]
    ...     with h5py.File(f"{folder}/a.h5") as file:
    ...         file["x"].shape
    (3,)
    """
    with atomic_file(path, overwrite, **rule) as temporary, steady_hdf5(temporary) as (file, _):
        yield file


@contextlib.contextmanager
def steady_hdf5(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """An HDF5 file over the existing, empty `path`, and a function that raises once a write has failed."""
    with path.open("r+b", buffering=0) as raw:
        steady = _Steady(raw)
        try:
            with h5py.File(steady, "w") as file:
                yield file, steady.check
        finally:
            steady.check()


class _Steady:
    """A binary file whose methods never raise; `check` does."""

    def __init__(self, raw: Any) -> None:
        self._raw, self._at, self._end = raw, 0, 0
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raise the first error there was, also an interruption that fell into a write."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:
        n = memoryview(data).nbytes
        self._attempt(self._write, memoryview(data).cast("B"))
        self._at += n
        self._end = max(self._end, self._at)
        return n

    def readinto(self, buffer: bytearray) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = bytes(view.nbytes)  # where a write was lost there are zeros
        self._attempt(self._read, view)
        self._at += view.nbytes
        return view.nbytes

    def read(self, n: int) -> bytes:
        buffer = bytearray(n)
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int | None = None) -> int:
        self._end = self._at if size is None else size
        self._attempt(lambda _: self._raw.truncate(self._end), None)
        return self._end

    def flush(self) -> None:
        """Nothing is buffered here."""

    def _write(self, view: memoryview) -> None:
        self._raw.seek(self._at)
        while view.nbytes:
            view = view[self._raw.write(view) :]

    def _read(self, view: memoryview) -> None:
        self._raw.seek(self._at)
        while view.nbytes and (n := self._raw.readinto(view)):
            view = view[n:]

    def _attempt(self, action: Callable[[Any], object], argument: Any) -> None:
        if self._error is None:
            try:
                action(argument)
            except BaseException as error:  # the library must not see it; check() raises it
                self._error = error
