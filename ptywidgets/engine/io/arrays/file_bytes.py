"""Bytes of a file that stays on disk: read when they are asked for, and never mapped into memory.

A file that is cut, or whose disk goes away, while it is in use is then an error that says so, where a map would end the
process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.io.detect_format import printable


class FileBytes:
    """A file, opened when it is first read and anew in a forked process; reading is safe from any thread.

    Parameters
    ----------
    path : path
        It is found again when the working folder has become another one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a").write_bytes(b"abcdef")
    ...     file, few = FileBytes(f"{folder}/a"), bytearray(3)
    ...     file.size, file.read([(2, memoryview(few))]), bytes(few), file.read([(4, memoryview(few))])
    (6, 0, b'cde', 1)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self.size = self.path.stat().st_size
        self.input_files = listed_files((self.path,))
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._file: Any = None

    def read(self, places: Iterable[tuple[int, memoryview]]) -> int:
        """Fill buffers, each from a byte of the file on; how many bytes the first lacks that cannot be filled, or 0.

        Raises
        ------
        FileFormatError
            When the file cannot be read any more.
        """
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._file = os.getpid(), threading.RLock(), None
        try:
            with self._lock:
                if self._file is None:
                    self._file = self.path.open("rb", buffering=0)
                seek, readinto = self._file.seek, self._file.readinto
                for at, buffer in places:
                    seek(at)
                    got = readinto(buffer)
                    while got and got != len(buffer):
                        buffer = buffer[got:]
                        got = readinto(buffer)
                    if len(buffer) != got:
                        return len(buffer)
        except OSError as error:
            raise FileFormatError(
                f"{printable(self.path.name)} cannot be read any more ({error.strerror or error}); is it still where "
                "it was?"
            ) from None
        return 0

    def shorter(self, what: str) -> FileFormatError:
        """The error where what was there is not there any more."""
        return FileFormatError(
            f"{printable(self.path.name)} has become shorter since it was opened: {what} are not there. Open it again."
        )

    def close(self) -> None:
        """Close it; the next read opens it again."""
        with self._lock:
            if self._file is not None and self._pid == os.getpid():
                self._file.close()
            self._file = None

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()


def opened_again(kind: Callable[..., Any], path: Path, size: int, rest: tuple[Any, ...]) -> Any:
    """What was pickled of an array in a file, opened again.

    Raises
    ------
    FileFormatError
        When the file is no longer there, or has another size.
    """
    try:
        now = os.path.getsize(path)
    except OSError as error:
        raise FileFormatError(
            f"{printable(path.name)} is no longer where it was: {printable(str(path))} ({error.strerror})."
        ) from None
    if now != size:
        raise FileFormatError(f"{printable(path.name)} has been replaced since it was opened; read it again.")
    return kind(path, *rest)


__all__ = ["FileBytes", "opened_again"]
