"""Reading HDF5 so that a damaged file cannot hold the process for good, or end it.

The HDF5 library (1.8 to 2.0 at least) never comes back from a global heap, where texts of variable length lie, in which
an entry has the length 0 and the number 0: it goes on by no bytes, for ever. And it writes beyond its memory over the
table of a virtual dataset, which lies in such a heap too, because it uses the table before it compares its checksum.
A group's own heap, of names, whose list of free places goes in a circle, takes all memory that there is. Nothing in the
interface tells beforehand in which heap something lies. So structures are read through a file object, which sees each
heap before the library does and hands a broken one over without its signature; the library then says itself that the
heap is damaged.

Patterns are not read this way: their arrays know no heap, and the library's own driver is quicker for large blocks.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py

from ptywidgets.engine.core.files import name_of_watched

HEAP = b"GCOL"  # of all the file
LOCAL_HEAP = b"HEAP"  # of one group
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# the table of a virtual dataset: version, number of sources, then of the first its file, its dataset and a selection
_VIRTUAL = re.compile(rb"[\0\1].{8}[\0-\7]?(?:[^\0-\x1f]+\0){1,2}[\0-\3]\0\0\0", re.DOTALL)
_LAYOUT = re.compile(
    rb"(?=[\x04\x05]\x03)"
)  # of a virtual dataset: then a heap's address, and the number of an entry in it
_WORD = 0xFFFFFFFF
_HEAPS = re.compile(HEAP + b"|" + LOCAL_HEAP)
_LARGEST = 64 * 1024**2  # bytes of a heap; nothing that is read here lies in a larger one
_FARTHEST = 2**62  # an address that no file reaches, and most systems cannot seek
_LEAST = 16  # bytes of a heap's head, and of an entry's


def watched_hdf5(path: Path) -> h5py.File:
    """The file, open to read its structure, attributes and small arrays; no lock is taken.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/a.h5", "w") as file:
    ...         file.attrs["unit"] = "counts"
    ...     with watched_hdf5(Path(folder) / "a.h5") as file:
    ...         file.attrs["unit"]
    'counts'
    """
    return h5py.File(_Watched(path), "r")


class _Watched:
    """A binary file as h5py's driver for file objects reads it."""

    def __init__(self, path: Path) -> None:
        self._name = name_of_watched(path)
        self._raw = path.open("rb", buffering=0)
        self._at = 0
        self._known: dict[int, bool] = {}  # heaps, by address, and whether they are broken
        self._base, self._address_bytes, self._length_bytes = 0, 8, 8  # as the superblock says

    def __repr__(self) -> str:  # which h5py takes for the name of the file
        return self._name

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset += os.fstat(self._raw.fileno()).st_size
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0 if self._at <= _FARTHEST else view.nbytes
        if not filled:
            self._raw.seek(self._at)
        while filled < view.nbytes and (n := self._raw.readinto(view[filled:])):
            filled += n
        view[filled:] = bytes(view.nbytes - filled)  # zeros beyond the end, as the library's own drivers give
        self._look(view, self._at)
        self._at += view.nbytes
        return view.nbytes

    def _look(self, view: memoryview, at: int) -> None:
        """Take the signatures from broken heaps; learn from the superblock how long numbers are.

        A heap may begin anywhere in what the library reads, even be cut by its edge: it keeps what it has read before
        and asks for what is missing.
        """
        if view.nbytes > 14 and view[:8] == _SIGNATURE:
            said = view[13:15] if view[8] < 2 else view[9:11]
            self._base, self._address_bytes, self._length_bytes = (at, *(n if n in (2, 4, 8) else 8 for n in said))
        edge = 2 + self._address_bytes + 4 - 1  # of the longest that is looked for
        before, after = self._bytes(max(at - edge, 0), min(at, edge)), self._bytes(at + view.nbytes, edge)
        seen = b"".join((before, view, after))
        for match in _LAYOUT.finditer(seen):
            start = match.start() - len(before)
            if self._wrong_table(seen[match.start() : match.start() + edge + 1]):
                _overwrite(view, start, b"\xff" * (edge + 1))  # no class of layout, no address
        for match in _HEAPS.finditer(seen):
            start = match.start() - len(before)
            if at + start not in self._known:
                self._known[at + start] = self._broken(match[0], at + start)
            if self._known[at + start]:
                _overwrite(view, start, bytes(len(HEAP)))

    def _bytes(self, at: int, n: int) -> bytes:
        """So many bytes of the file, or as many as there are."""
        if at > _FARTHEST:
            return b""
        self._raw.seek(at)
        return self._raw.read(n)

    def _wrong_table(self, layout: bytes) -> bool:
        """Whether what looks like the layout of a virtual dataset leads to a heap, and there to no sound table."""
        n = self._address_bytes
        at = self._base + int.from_bytes(layout[2 : 2 + n], "little")
        if len(layout) < 2 + n + 4 or at >= os.fstat(self._raw.fileno()).st_size or self._bytes(at, 4) != HEAP:
            return False
        size = int.from_bytes(self._bytes(at + 8, self._length_bytes), "little")
        if size > _LARGEST:
            return True
        heap, number = memoryview(self._bytes(at, size)), int.from_bytes(layout[2 + n :], "little")
        tables = [entry for each, entry in heap_entries(heap, self._length_bytes) if each == number]
        return not (tables and _sound(tables[0]))

    def _broken(self, signature: bytes, at: int) -> bool:
        """Whether the heap at `at` would keep the library for ever or have it write beyond its memory."""
        n = self._length_bytes
        head = self._bytes(at, 8 + 2 * n + self._address_bytes)
        size = int.from_bytes(head[8 : 8 + n], "little")
        if signature == HEAP:
            return head[4:5] == b"\1" and (size > _LARGEST or broken_heap(memoryview(self._bytes(at, size)), n))
        free, data = int.from_bytes(head[8 + n : 8 + 2 * n], "little"), int.from_bytes(head[8 + 2 * n :], "little")
        seen: set[int] = set()
        while free + 2 * n <= size and free not in seen:
            seen.add(free)
            free = int.from_bytes(self._bytes(self._base + data + free, n), "little")
        return free in seen

    def read(self, n: int) -> bytes:
        buffer = bytearray(n)
        self.readinto(buffer)
        return bytes(buffer)

    def write(self, data: bytes) -> int:
        raise OSError("this file is open for reading only")

    def truncate(self, size: int | None = None) -> int:
        raise OSError("this file is open for reading only")

    def flush(self) -> None:
        """Nothing is written here."""

    def __del__(self) -> None:  # when the library lets go of it, which is when the file is closed
        self._raw.close()


def _overwrite(view: memoryview, start: int, values: bytes) -> None:
    """Put `values` at `start`, as far as that is within the view."""
    first, end = max(start, 0), min(start + len(values), view.nbytes)
    if first < end:
        view[first:end] = values[first - start : end - start]


def broken_heap(view: memoryview, length_bytes: int = 8) -> bool:
    """Whether a walk through a global heap would stand still, or an entry is the table of a virtual dataset, damaged.

    Parameters
    ----------
    view : memoryview
        The heap from its signature on, or as much of it as there is.
    length_bytes : int
        Bytes of a length in this file.

    Examples
    --------
    >>> head = HEAP + bytes([1, 0, 0, 0]) + (64).to_bytes(8, "little")
    >>> entry = bytes([1, 0, 1, 0, 0, 0, 0, 0]) + (4).to_bytes(8, "little") + b"text" + bytes(4)
    >>> free = bytes(8) + (24).to_bytes(8, "little") + bytes(8)
    >>> broken_heap(memoryview(head + entry + free)), broken_heap(memoryview(head + entry + bytes(24)))
    (False, True)
    """
    for number, entry in heap_entries(view, length_bytes):
        if number is None or (_VIRTUAL.match(entry) and not _sound(entry)):
            return True
    return False


def heap_entries(view: memoryview, length_bytes: int = 8) -> Iterator[tuple[int | None, memoryview]]:
    """Number and bytes of each entry of a global heap that is whole; at last (None, nothing) where a walk stands still.

    Parameters
    ----------
    view : memoryview
        The heap from its signature on, or as much of it as there is.
    length_bytes : int
        Bytes of a length in this file.

    Examples
    --------
    >>> head = HEAP + bytes([1, 0, 0, 0]) + (64).to_bytes(8, "little")
    >>> entry = bytes([1, 0, 1, 0, 0, 0, 0, 0]) + (4).to_bytes(8, "little") + b"text" + bytes(4)
    >>> [(number, bytes(found)) for number, found in heap_entries(memoryview(head + entry + bytes(24)))]
    [(1, b'text'), (None, b'')]
    """
    size = min(int.from_bytes(view[8 : 8 + length_bytes], "little"), view.nbytes)
    at = _LEAST
    while at + _LEAST <= size:
        length = int.from_bytes(view[at + 8 : at + 8 + length_bytes], "little")
        number = int.from_bytes(view[at : at + 2], "little")
        step = length if number == 0 else _LEAST + (length + 7) // 8 * 8
        step %= 256**8  # as the library adds
        if step == 0:
            yield None, view[:0]
            return
        if number and at + _LEAST + length <= size:
            yield number, view[at + _LEAST : at + _LEAST + length]
        at += step


def _sound(table: memoryview) -> bool:
    """Whether the table of a virtual dataset has the checksum that stands at its end."""
    return table.nbytes > 4 and lookup3(bytes(table[:-4])) == int.from_bytes(table[-4:], "little")


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash of that name (hashlittle), as HDF5 uses it for checksums.

    Examples
    --------
    >>> f"{lookup3(b'Four score and seven years ago'):08x}"
    '17770551'
    """
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    if not data:
        return c
    last = (len(data) - 1) // 12 * 12
    words = struct.unpack(f"<{last // 4}I", data[:last])
    for at in range(0, last // 4, 3):
        a, b, c = (a + words[at]) & _WORD, (b + words[at + 1]) & _WORD, (c + words[at + 2]) & _WORD
        a = (a - c) & _WORD ^ _turned(c, 4)
        c = (c + b) & _WORD
        b = (b - a) & _WORD ^ _turned(a, 6)
        a = (a + c) & _WORD
        c = (c - b) & _WORD ^ _turned(b, 8)
        b = (b + a) & _WORD
        a = (a - c) & _WORD ^ _turned(c, 16)
        c = (c + b) & _WORD
        b = (b - a) & _WORD ^ _turned(a, 19)
        a = (a + c) & _WORD
        c = (c - b) & _WORD ^ _turned(b, 4)
        b = (b + a) & _WORD
    x, y, z = struct.unpack("<3I", data[last:].ljust(12, b"\0"))
    a, b, c = (a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD
    c = ((c ^ b) - _turned(b, 14)) & _WORD
    a = ((a ^ c) - _turned(c, 11)) & _WORD
    b = ((b ^ a) - _turned(a, 25)) & _WORD
    c = ((c ^ b) - _turned(b, 16)) & _WORD
    a = ((a ^ c) - _turned(c, 4)) & _WORD
    b = ((b ^ a) - _turned(a, 14)) & _WORD
    return ((c ^ b) - _turned(b, 24)) & _WORD


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _WORD
