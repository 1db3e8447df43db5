"""A scratch file: counts that are slow to read pattern by pattern, written once as they are, for as long as they are
needed.

It has no name in its folder: whatever happens to the process, the system takes it away. On Windows it is removed when
it is closed, or when the process ends.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.files import files_of
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.io.arrays.lazy import ScanView
from ptywidgets.engine.io.arrays.stacks import Stack
from ptywidgets.engine.io.detect_format import printable

VARIABLE = "PTYWIDGETS_SCRATCH"
SPARE = 64_000_000  # bytes of the disk that are left to others
PIECE = 16_000_000  # bytes that are read at once: between them the thread can be interrupted


def scratch_folder() -> Path:
    """The folder for scratch files.

    That is what the environment variable ``PTYWIDGETS_SCRATCH`` says; without it the system's folder for temporary
    files, or the user's cache where that folder is itself in memory.

    Raises
    ------
    DataError
        When the variable names no folder.

    Examples
    --------
    >>> scratch_folder().is_dir()
    True
    """
    stated = os.environ.get(VARIABLE, "")
    if stated:
        if not Path(stated).is_dir():
            raise DataError(f"the environment variable {VARIABLE} is {stated!r}; expected a folder for scratch files.")
        return Path(stated)
    usual = Path(tempfile.gettempdir())
    if _in_memory(usual):
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        if cache.is_dir() and os.access(cache, os.W_OK) and not _in_memory(cache):
            return cache
    return usual


def _in_memory(folder: Path) -> bool:
    """Whether a folder's file system is one that Linux keeps in memory."""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return False
    mounts = [line.split()[1:3] for line in lines if len(line.split()) > 2]
    real = str(folder.resolve())
    within = [(len(where), kind) for where, kind in mounts if real == where or real.startswith(where.rstrip("/") + "/")]
    return bool(within) and max(within)[1] in ("tmpfs", "ramfs")


class ScratchStack(Stack):
    """Patterns (J, Qy, Qx) in a file without a name; slicing is safe from any thread.

    Parameters
    ----------
    file : file object
        Open for reading, with all patterns in it, one after the other in the machine's byte order.
    shape : (J, Qy, Qx)
    dtype : numpy.dtype
    """

    def __init__(self, file: Any, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file, self._lock = file, threading.Lock()
        self._one = int(np.prod(shape[1:])) * self.dtype.itemsize

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        left = out.reshape(-1).view(np.uint8).data.cast("B")
        at = first * self._one
        while left:
            piece = left[:PIECE]
            if hasattr(os, "preadv"):
                got = os.preadv(self._file.fileno(), [piece], at)
            else:
                with self._lock:
                    self._file.seek(at)
                    got = self._file.readinto(piece)
            if not got:
                raise DataError("the scratch file of the counts has become shorter; prepare the data again.")
            left, at = left[got:], at + got
        return out

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()


class ScratchScan(ScanView):
    """A scan (Ry, Rx, Qy, Qx) in a scratch file, with the array that it is a copy of.

    What is pickled of it is that array: a scratch file belongs to its process.
    """

    is_copy = True  # whatever becomes of the file that the array is in

    def __init__(self, stack: ScratchStack, scan_shape: tuple[int, int], original: Any) -> None:
        super().__init__(stack, scan_shape)
        self.original = original
        self.input_files = files_of(original)

    def __reduce__(self) -> Any:
        return _itself, (self.original,)

    def __copy__(self) -> ScratchScan:
        return self

    def __deepcopy__(self, memo: Any) -> ScratchScan:
        return self


def _itself(array: Any) -> Any:
    return array


def scratch_copy(dataset: Dataset, tell: Callable[[str], object] | None = None) -> ScratchScan:
    """Write a data set's counts to a scratch file, as they are once read: cropped, binned, repaired, in their type.

    Parameters
    ----------
    dataset : Dataset
    tell : callable, optional
        Is told how far it is, in words.

    Returns
    -------
    ScratchScan

    Raises
    ------
    DataError
        When the disk has not enough room, which is looked at before; or when writing fails.
    WorkStopped
        When whoever asked for the work stops it; nothing is left on the disk.

    Examples
    --------
    >>> dataset = Dataset(np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4))
    >>> scan = scratch_copy(dataset)
    >>> scan.shape, bool((scan[1, 0:2] == dataset.data[1, 0:2]).all())
    ((2, 3, 4, 4), True)
    """
    folder = scratch_folder()
    room = shutil.disk_usage(folder).free - SPARE
    what = f"a scratch file of the counts in {printable(str(folder))}"
    advice = f"free some, name a folder on a larger disk in the environment variable {VARIABLE}, or bin the data"
    if dataset.nbytes > room:
        raise DataError(f"{what} needs {in_bytes(dataset.nbytes)} and {in_bytes(max(0, room))} are free; {advice}.")
    ry, rx, qy, qx = dataset.shape
    file = tempfile.TemporaryFile(prefix="ptywidgets-", dir=folder)  # noqa: SIM115  # it lives as long as the stack
    try:
        for first, block in dataset.rows():
            check_stop()
            if tell is not None:
                tell(f"{first / ry:.0%} of {in_bytes(dataset.nbytes)} of counts written to a scratch file")
            file.write(np.ascontiguousarray(block, dataset.dtype).data.cast("B"))
        file.flush()
    except BaseException as error:
        file.close()
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise DataError(
                f"{what} could not be written ({error.strerror or error}); "
                f"{advice if full else 'is the folder writable?'}."
            ) from None
        raise
    return ScratchScan(ScratchStack(file, (ry * rx, qy, qx), dataset.dtype), (ry, rx), dataset.data)


__all__ = ["ScratchScan", "ScratchStack", "scratch_copy", "scratch_folder"]
