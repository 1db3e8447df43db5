"""Records of one length in a file that grows: the patterns that lie wholly in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.io.arrays.stacks import PATTERN, Decode, Records
from ptywidgets.engine.io.growing.stack import STILL, Growing, WatchedFile


class GrowingRecords(Growing):
    """Patterns in records of one length, one after the other, in a file that is being written.

    Parameters
    ----------
    path : path
    record : numpy.dtype
        As for :class:`~ptywidgets.engine.io.arrays.stacks.Records`.
    offset : int
        Bytes before the first.
    decode : callable, optional
        As for Records.
    sized : bool
        Whether the file is as long as what was written; not where room for all of it is made at first.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.raw"
    ...     _ = path.write_bytes(bytes(10))
    ...     stack = GrowingRecords(path, np.dtype(("u1", (2, 2))))
    ...     stack.look(), stack.shape
    (2, (2, 2, 2))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        record: np.dtype,
        offset: int = 0,
        decode: Decode | None = None,
        sized: bool = True,
    ) -> None:
        path = Path(os.path.abspath(path))
        record = record if record.names else np.dtype([(PATTERN, record)])
        inside, start = record.fields[PATTERN][:2]  # type: ignore[index]  # a structured type has fields
        self.record, self.offset, self.decode, self.sized = record, int(offset), decode, sized
        self._end = start + inside.itemsize  # of the pattern, from the beginning of its record
        self._file = WatchedFile(path)
        self._records: Records | None = None
        one = np.zeros((1, *inside.shape), inside.base)
        shown = one if decode is None else decode(one)
        super().__init__(path, shown.shape[1:], shown.dtype)
        self.input_files = (path,)

    @property
    def still(self) -> float:
        """Seconds since the file was last seen to change."""
        return self._file.still

    def look(self) -> int:
        """Whole patterns; the last once something follows it, or the file has been still for a moment."""
        size = self._file.look() - self.offset
        whole = max(0, (size + self.record.itemsize - self._end) // self.record.itemsize)
        followed = size > (whole - 1) * self.record.itemsize + self._end
        if whole and not (followed or self._file.still >= STILL):
            whole -= 1
        return self._take(whole)

    def finish(self) -> int:
        """All that lie wholly in the file."""
        size = self._file.look() - self.offset
        return self._take(max(0, (size + self.record.itemsize - self._end) // self.record.itemsize))

    def _patterns(self, first: int, end: int) -> np.ndarray:
        return self._opened()._patterns(first, end)

    def _opened(self) -> Records:
        """The records that are whole now; the file is opened once."""
        records = self._records
        if records is None:
            records = Records(self.path, self.record, self.count, self.offset, self.decode)
        elif records.count != self.count:
            records = records.longer(self.count)
        self._records = records
        return records

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        if self._records is not None:
            self._records.close()

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens the file by itself."""
        return vars(self) | {"_records": None}


__all__ = ["GrowingRecords"]
