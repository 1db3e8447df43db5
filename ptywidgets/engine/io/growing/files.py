"""A folder with a file for each pattern, or each few of them, that grows: the files that are whole."""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.growing.stack import OLD, STILL, Growing

KEPT = 4  # files that are held open, or in memory
_NUMBERS = re.compile(r"([0-9]+)")


def numbered(name: str) -> tuple[Any, ...]:
    """A name with its numbers as numbers, by which files are put in order.

    Examples
    --------
    >>> sorted(["p10.npy", "p9.npy"], key=numbered)
    ['p9.npy', 'p10.npy']
    """
    return tuple(int(part) if number % 2 else part.lower() for number, part in enumerate(_NUMBERS.split(name)))


class GrowingFiles(Growing):
    """Patterns in the files of a folder, in the order of the numbers in their names.

    A file counts once the next one is there, or it has been still for a moment.

    Parameters
    ----------
    folder : path
    suffix : str
        Of the files that hold patterns, such as ".npy".
    read : callable
        The stack (n, Qy, Qx) in a file.
    """

    def __init__(self, folder: str | os.PathLike[str], suffix: str, read: Callable[[Path], Any]) -> None:
        folder = Path(os.path.abspath(folder))
        self.suffix, self.read = suffix.lower(), read
        self._names: list[str] = []  # of whole files
        self._edges = [0]  # patterns before each, and all
        self._last: tuple[str, int, int] = "", 0, 0  # of the newest file: name, bytes, time of its last change
        self._since = time.monotonic()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        names = self._listed(folder)
        if not names:
            raise FileFormatError(f"{printable(folder.name)} holds no {suffix} file yet; follow it when it does.")
        first = read(folder / names[0])
        super().__init__(folder, first.shape[1:], np.dtype(first.dtype))
        self.input_files = (folder / names[0],)

    @property
    def still(self) -> float:
        """Seconds since the newest file was last seen to change."""
        return time.monotonic() - self._since

    def look(self) -> int:
        """Patterns in files that are whole."""
        return self._take_files(False)

    def finish(self) -> int:
        """Patterns in all files."""
        return self._take_files(True)

    def _take_files(self, last: bool) -> int:
        names = self._listed(self.path)
        if names[: len(self._names)] != self._names:
            raise FileFormatError(
                f"the files of {self.name} are no longer those that were there, or one has come that belongs before "
                "others which were read already; read it again."
            )
        if names:
            self._watch(self.path / names[-1])
        whole = names if last or self.still >= STILL else names[:-1]
        for name in whole[len(self._names) :]:
            part = self.read(self.path / name)
            if tuple(part.shape[1:]) != self.shape[1:] or np.dtype(part.dtype).newbyteorder("=") != self.dtype:
                raise FileFormatError(
                    f"{printable(name)} holds patterns of {tuple(part.shape[1:])} {part.dtype}; expected "
                    f"{self.shape[1:]} {self.dtype}, as in the first file of {self.name}."
                )
            self._names.append(name)
            self._edges.append(self._edges[-1] + int(part.shape[0]))
        self.input_files = tuple(self.path / name for name in self._names) or self.input_files
        return self._take(self._edges[-1])

    def _watch(self, newest: Path) -> None:
        try:
            status = newest.stat()
        except OSError as error:
            raise FileFormatError(f"{printable(newest.name)} cannot be followed ({error.strerror}).") from None
        mark = newest.name, status.st_size, status.st_mtime_ns
        if mark != self._last:
            age = time.time() - status.st_mtime
            self._since = time.monotonic() - (age if not self._last[0] and age > OLD else 0.0)
            self._last = mark

    def _listed(self, folder: Path) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.name.lower().endswith(self.suffix)]
        except OSError as error:
            raise FileFormatError(
                f"{printable(folder.name)} cannot be followed ({error.strerror}); is it still where it was?"
            ) from None
        return sorted((name for name in names if not name.startswith(".")), key=numbered)

    def _patterns(self, first: int, end: int) -> np.ndarray:
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        number = int(np.searchsorted(self._edges, first, "right")) - 1
        while number < len(self._names) and self._edges[number] < end:
            start, stop = self._edges[number], self._edges[number + 1]
            low, high = max(first, start), min(end, stop)
            out[low - first : high - first] = self._part(number)[low - start : high - start]
            number += 1
        return out

    def _part(self, number: int) -> Any:
        part = self._kept.get(number)
        if part is None:
            part = self._kept[number] = self.read(self.path / self._names[number])
            while len(self._kept) > KEPT:
                getattr(self._kept.popitem(last=False)[1], "close", bool)()
        return part

    def close(self) -> None:
        """Close the files; the next slice opens them again."""
        while self._kept:
            getattr(self._kept.popitem()[1], "close", bool)()

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens the files by itself."""
        return vars(self) | {"_kept": OrderedDict()}


__all__ = ["GrowingFiles", "numbered"]
