"""stempy's counted electrons: of each frame the numbers of the pixels that an electron hit, and where it was taken."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.data.array_views import whole_key
from ptywidgets.engine.data.dataset_checks import check_memory, sizes
from ptywidgets.engine.io.detect_format import is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.tree import (
    attribute,
    attributes_as_text,
    hdf5_errors,
    member,
    open_hdf5,
    readable_dataset,
    resolve,
    whole,
)

KEY = "stempy"
NAME = "stempy counted electrons"
GROUP = "electron_events"
AT_ONCE = 256  # positions whose events are read at once
_LONGEST = 2**15  # rows or columns of a detector or a scan
read_pattern = plain.read_pattern


def understands(path: Path) -> bool:
    """Whether it is HDF5 with frames of variable length in the group of electron events."""
    try:
        if not is_hdf5(path):
            return False
        with open_hdf5(path) as file, hdf5_errors(path):
            group = member(file, GROUP)
            frames = member(group, "frames") if isinstance(group, h5py.Group) else None
            return isinstance(frames, h5py.Dataset) and h5py.check_vlen_dtype(frames.dtype) is not None
    except (FileFormatError, OSError):
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """Counts of each position, summed from its events when they are asked for."""
    if dataset is not None:
        return plain.read(path, dataset, scan_shape, allow_external)
    events = Events(path)
    with open_hdf5(path) as file, hdf5_errors(path):
        metadata = attributes_as_text(file, f"{GROUP}/frames")
    told, visited = events.scan_shape, events.visited
    mask = visited.reshape(told) if told is not None and scan_shape in (None, told) and not visited.all() else None
    return FileContents(
        events,
        metadata=metadata,
        scan_shape=told,
        scan_from=f"{GROUP}/scan_positions (Ny, Nx)" if told else "",
        scan_mask=mask,
    )


class Events:
    """Patterns (J, Qy, Qx) of counts, made of the electrons' pixel numbers; what is hit twice is counted twice.

    Frames of one position are added up; a position without a frame has no counts. Slicing is safe from any thread, and
    pickling carries the path.
    """

    ndim = 3
    dtype = np.dtype(np.uint16)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._open: Any = None  # the file, its frames, and a handle that says how long it is
        self.input_files = listed_files((self.path,))
        with open_hdf5(self.path) as file, hdf5_errors(self.path):
            frames = readable_dataset(resolve(file, f"{GROUP}/frames", self.path), self.path)
            base = h5py.check_vlen_dtype(frames.dtype)
            if frames.ndim not in (1, 2) or 0 in frames.shape or base is None or base.kind not in "iu":
                raise FileFormatError(
                    f"{GROUP}/frames of {printable(self.path.name)} is {sizes(frames.shape)} {frames.dtype}; expected "
                    "the pixel numbers of each frame, whole numbers of variable length."
                )
            detector = _rows_and_columns(frames)
            if detector is None:
                raise FileFormatError(
                    f"{GROUP}/frames of {printable(self.path.name)} has no attributes Ny and Nx, the rows and columns "
                    "of a frame, without which pixel numbers mean nothing; write them into the file."
                )
            self._expected = tuple(int(n) for n in frames.shape), detector
            count = self._expected[0][0]
            check_memory(4.0 * count * 8, printable(self.path.name))
            self.scan_shape, places = _places(file, count, self.path)
        positions = count if self.scan_shape is None else self.scan_shape[0] * self.scan_shape[1]
        self._frames = np.argsort(places, kind="stable")  # numbers of the frames, by their positions
        self._places = places[self._frames]
        self._first = np.searchsorted(self._places, np.arange(positions + 1))  # of each position, in that list
        self.visited = np.diff(self._first) > 0
        self.shape = (positions, *detector)

    def __getitem__(self, key: Any) -> np.ndarray:
        frames, *rest = whole_key(key, 3)
        if not isinstance(frames, (slice, int, np.integer)):
            return np.asarray(self)[key]
        if not isinstance(frames, slice):
            at = range(self.shape[0])[int(frames)]
            one = (0, *rest)
            return self._patterns(at, at + 1)[one]
        wanted = range(self.shape[0])[frames]
        many = (slice(None), *rest)
        if wanted.step == 1 and len(wanted):
            return self._patterns(wanted[0], wanted[-1] + 1)[many]
        parts = [self._patterns(at, at + 1) for at in wanted]
        return np.concatenate(parts or [np.empty((0, *self.shape[1:]), self.dtype)])[many]

    def _patterns(self, first: int, end: int) -> np.ndarray:
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._open = os.getpid(), threading.RLock(), None
        pixels = self.shape[1] * self.shape[2]
        out = np.zeros((end - first, *self.shape[1:]), self.dtype)
        for edge in range(first, end, AT_ONCE):
            stop = min(end, edge + AT_ONCE)
            low, high = int(self._first[edge]), int(self._first[stop])
            events, lengths = self._events(self._frames[low:high])
            if events.size and not 0 <= int(events.min()) <= int(events.max()) < pixels:
                raise DataError(
                    f"{printable(self.path.name)} has an electron in pixel {int(events.max())} of a detector of "
                    f"{self.shape[1]} x {self.shape[2]} = {pixels} pixels; Nx and Ny of the frames are wrong, or the "
                    "file is damaged."
                )
            places = self._places[low:high] - edge
            most = np.bincount(places, lengths).max(initial=0)  # electrons of a pattern, and so of a pixel
            if most > np.iinfo(self.dtype).max:
                raise DataError(
                    f"{printable(self.path.name)} has {most:.0f} electrons in one pattern; expected counted electrons, "
                    f"{np.iinfo(self.dtype).max} at most."
                )
            hit = np.repeat((edge - first + places) * pixels, lengths) + events.astype(np.int64)
            np.add.at(out.reshape(-1), hit, self.dtype.type(1))
        return out

    def _events(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel numbers of some frames, one after the other, and how many each has."""
        if not len(frames):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        edges = [0, *(np.flatnonzero(np.diff(frames) != 1) + 1).tolist(), len(frames)]
        each: list[np.ndarray] = []
        with self._lock, hdf5_errors(self.path):
            found, handle, size = self._opened()
            for low, high in pairwise(edges):  # runs that lie one after the other are read at once
                rows = found[int(frames[low]) : int(frames[low]) + high - low]
                each += list(rows) if rows.ndim == 1 else [np.concatenate(list(row)) for row in rows]
            if os.fstat(handle.fileno()).st_size < size:  # beyond the end the library reads nothing
                raise FileFormatError(
                    f"{printable(self.path.name)} has become shorter since it was opened; copy it again, and read it."
                )
        return np.concatenate(each), np.array([len(one) for one in each])

    def _opened(self) -> tuple[Any, Any, int]:
        if self._open is None:
            # the events lie in heaps, which are looked at before the library reads them
            found = open_hdf5(self.path)[f"{GROUP}/frames"]
            if (tuple(found.shape), _rows_and_columns(found)) != self._expected:
                raise FileFormatError(f"{self.path.name} has been replaced since it was opened; read it again.")
            handle = self.path.open("rb", buffering=0)
            self._open = found, handle, os.fstat(handle.fileno()).st_size
        opened: tuple[Any, Any, int] = self._open
        return opened

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._patterns(0, self.shape[0]).astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> Any:
        return Events, (Path(os.path.abspath(self.path)),)  # another process may work in another folder

    def __repr__(self) -> str:
        return f"Events({self.path.name!r}, shape={self.shape})"

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open[0].file.close()
                self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        if getattr(self, "_open", None) is not None:
            self._open[1].close()


def _rows_and_columns(found: h5py.Dataset) -> tuple[int, int] | None:
    """Attributes Ny and Nx."""
    sides = []
    for name in ("Ny", "Nx"):
        value = np.asarray(attribute(found, name))
        if value.size != 1 or value.dtype.kind not in "iu" or not 0 < int(value.reshape(-1)[0]) < _LONGEST:
            return None
        sides.append(int(value.reshape(-1)[0]))
    return sides[0], sides[1]


def _places(file: h5py.File, frames: int, path: Path) -> tuple[tuple[int, int] | None, np.ndarray]:
    """Rows and columns of the scan where they are said, and the number of the position of each frame."""
    found = member(file[GROUP], "scan_positions")
    if not isinstance(found, h5py.Dataset):
        return None, np.arange(frames)
    shape = _rows_and_columns(found)
    if found.shape != (frames,) or found.dtype.kind not in "iu":
        raise FileFormatError(
            f"{GROUP}/scan_positions of {printable(path.name)} is {sizes(found.shape)} {found.dtype}; expected a whole "
            f"number for each of {frames} frames."
        )
    places = np.asarray(whole(found)).astype(np.int64)
    if shape is None:
        return None, np.arange(frames)
    if places.min() < 0 or places.max() >= shape[0] * shape[1]:
        raise DataError(
            f"{printable(path.name)} has frames at positions {places.min()} to {places.max()} of a scan of "
            f"{shape[0]} x {shape[1]} = {shape[0] * shape[1]}; Nx and Ny of the scan positions are wrong."
        )
    check_memory(8.0 * shape[0] * shape[1], printable(path.name))
    return shape, places
