"""TIFF with one pattern a page: read where the pages lie, or through tifffile where they are packed.

The pages are listed by a walk through the file's directories of our own, which counts them and holds their places
against the size of the file: of a file that is cut other readers see the pages that are left, and say nothing.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError, PtyError
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.data.dataset_checks import check_memory, checked_pattern, sizes
from ptywidgets.engine.io.arrays.placed import Placed
from ptywidgets.engine.io.arrays.stacks import Records, Scattered, Stack
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.packages import missing

KEY = "tiff"
NAME = "TIFF with one pattern a page"
_STARTS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}  # numbers, by type
_WANTED = {
    254: "subfile", 256: "width", 257: "rows", 258: "bits", 259: "compression", 262: "photometric", 266: "fill_order",
    270: "description", 273: "offsets", 277: "samples", 279: "counts", 317: "predictor", 322: "tile", 324: "offsets",
    325: "counts", 339: "sample_format",
}  # fmt: skip
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
MOST_STRIPS = 1_000_000
LONGEST_TEXT = 1_000_000  # bytes of a description
LONGEST_SHAPE = 2000  # of one that says a shape and little else


@dataclass(frozen=True)
class Page:
    """One image of the file."""

    shape: tuple[int, int]
    dtype: np.dtype
    place: int | None  # the byte at which its pixels begin; None where they are not all there in one piece
    why: str  # not in one piece, in words


@dataclass(frozen=True)
class Pages:
    """All of them, and what the file says about them as a whole."""

    pages: list[Page]
    numbers: list[int]  # of these pages among all in the file
    lead: tuple[int, ...]  # (Ry, Rx), or (T, Ry, Rx) of a series; () where nothing is said
    lead_from: str
    metadata: Mapping[str, str]


def understands(path: Path) -> bool:
    """Whether the file starts as TIFF or BigTIFF does, in either byte order."""
    return first_bytes(path, 4) in _STARTS


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack (J, Qy, Qx), with the shape of the scan where ImageJ or tifffile has stored one of four axes; where they
    have stored five, a series (T, Ry, Rx, Qy, Qx)."""
    if dataset is not None:
        raise FileFormatError(f"{printable(path.name)} holds pages and no names; leave out dataset={dataset!r}.")
    found = listed_pages(path)
    if len(found.pages) == 1 and scan_shape is None:
        raise FileFormatError(
            f"{printable(path.name)} holds a single image, {sizes(found.pages[0].shape)}; expected a page for each "
            "pattern. If it is a vacuum pattern, open the data first and pass it as read(path, vacuum=...)."
        )
    stack, metadata = _stack(path, found), dict(found.metadata)
    if len(found.lead) == 3 and (scan_shape is None or np.array_equal(scan_shape, found.lead[1:])):
        return FileContents(Placed(stack, np.arange(len(found.pages)).reshape(found.lead)), metadata=metadata)
    told = (found.lead[0], found.lead[1]) if len(found.lead) == 2 else None
    return FileContents(stack, metadata=metadata, scan_shape=told, scan_from=found.lead_from)


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The only page, (Qy, Qx)."""
    found = listed_pages(path)
    if len(found.pages) != 1:
        raise FileFormatError(
            f"{printable(path.name)} holds {len(found.pages)} pages; expected one pattern. Open it as data and take "
            "their mean: read(path, scan_shape=...).mean_pattern()."
        )
    return checked_pattern(_stack(path, found)[0])


def _stack(path: Path, found: Pages) -> Any:
    """The pages as a stack."""
    first = found.pages[0]
    packed = next((page.why for page in found.pages if page.place is None), "")
    check_memory(math.prod(first.shape) * first.dtype.itemsize, f"a page of {printable(path.name)}")
    if packed:
        return PackedPages(path, found.numbers, first.shape, first.dtype, packed)
    places = np.array([page.place for page in found.pages], np.int64)
    record, nbytes = np.dtype((first.dtype, first.shape)), math.prod(first.shape) * first.dtype.itemsize
    apart = np.unique(np.diff(places))
    if len(places) == 1 or (len(apart) == 1 and apart[0] >= nbytes):
        gap = 0 if len(places) == 1 else int(apart[0]) - nbytes
        fields = [("pattern", first.dtype, first.shape), *([("gap", f"V{gap}")] if gap else [])]
        return Records(path, np.dtype(fields), len(places), int(places[0]))
    return Scattered(path, record, places.tolist())


def listed_pages(path: Path) -> Pages:
    """Every page of the file that holds a pattern.

    Raises
    ------
    FileFormatError
        When it is cut off or damaged, or its pages are not all of one size and type.
    """
    try:
        with path.open("rb") as file:
            return _listed(file, path.stat().st_size, path)
    except PtyError:
        raise
    except (struct.error, KeyError, ValueError, OverflowError, IndexError, TypeError, OSError) as error:
        reason = printable(" ".join(str(error).split()) or type(error).__name__, 200)
        raise FileFormatError(
            f"{printable(path.name)} is cut off or damaged ({reason}); copy or download it again."
        ) from None


def _listed(file: BinaryIO, size: int, path: Path) -> Pages:
    walk = _Walk(file, size)
    pages: list[Page] = []
    numbers: list[int] = []
    texts: list[str] = []
    for number, tags in enumerate(walk.directories()):
        text = tags.get("description", b"")
        if tags.get("subfile", [0])[0] & 1:  # a smaller version of another page
            continue
        # the first is kept whole; those of others are looked at for a shape alone
        text = text if not pages or len(text) <= LONGEST_SHAPE else b""
        texts.append(text.decode("utf-8", "replace").split("\0")[0] if isinstance(text, bytes) else "")
        pages.append(_page(tags, walk.order, size, number, path))
        numbers.append(number)
    if not pages:
        raise ValueError("it holds no page")
    kinds = [(page.shape, page.dtype) for page in pages]
    odd = next((at for at, kind in enumerate(kinds) if kind != kinds[0]), None)
    if odd is not None:
        other = pages[odd]
        raise FileFormatError(
            f"{printable(path.name)} has pages of {sizes(pages[0].shape)} {pages[0].dtype.name} and of "
            f"{sizes(other.shape)} {other.dtype.name} (page {numbers[odd]}); expected patterns of one size and type. "
            "Save them in a file of their own."
        )
    first = pages[0]
    said, lead, where = _described(texts[0], first.shape)
    if said is not None and said > len(pages):
        nbytes = math.prod(first.shape) * first.dtype.itemsize
        if len(pages) == 1 and first.place is not None and first.place + said * nbytes <= size:
            # ImageJ and tifffile write one directory for very many pages that follow each other
            pages = [Page(first.shape, first.dtype, first.place + n * nbytes, "") for n in range(said)]
            numbers = list(range(said))
        else:
            raise FileFormatError(
                f"{printable(path.name)} says that it has {said} pages ({where}) and has {len(pages)}; it is cut off, "
                "or made of others. Copy it again, or save the patterns in a file of their own."
            )
    elif said is not None and said < len(pages):  # written piece by piece, each with a description of its own
        lead = (len(pages) // said, *lead) if len(lead) == 2 and _repeated(texts, said, lead, first.shape) else ()
    description = texts[0]
    metadata = {"description": printable("; ".join(description.split("\n")), 400)} if description.strip() else {}
    return Pages(pages, numbers, lead, where, metadata)


class _Walk:
    """The directories of a TIFF, one after the other."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.order, self.big = _STARTS[file.read(4)]
        self.entry = struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))
        self.word = struct.Struct(self.order + ("Q" if self.big else "I"))
        self.many = struct.Struct(self.order + ("Q" if self.big else "H"))

    def directories(self) -> Iterator[dict[str, Any]]:
        """What each says, by name."""
        self.file.seek(8 if self.big else 4)
        at, seen = self.word.unpack(self.file.read(self.word.size))[0], set()
        while at:
            if at in seen:
                raise ValueError("its list of pages runs in a circle")
            seen.add(at)
            if at + self.many.size > self.size:
                raise ValueError(f"page {len(seen) - 1} would be at byte {at} of {self.size}")
            self.file.seek(at)
            (many,) = self.many.unpack(self.file.read(self.many.size))
            length = many * self.entry.size
            if not 0 < many <= 4096 or at + length > self.size:
                raise ValueError(f"page {len(seen) - 1} has {many} entries")
            block = self.file.read(length + self.word.size)
            if len(block) < length + self.word.size:
                raise ValueError(f"page {len(seen) - 1} is cut off")
            yield self._tags(block[:length])
            (at,) = self.word.unpack(block[length:])

    def _tags(self, block: bytes) -> dict[str, Any]:
        tags: dict[str, Any] = {}
        for tag, kind, count, inline in self.entry.iter_unpack(block):
            name = _WANTED.get(tag)
            if name is None:
                continue
            if tag == 270:
                tags[name] = self._bytes(inline, min(count, LONGEST_TEXT), 1)
                continue
            code = _CODES.get(kind)
            if code is None or not 0 < count <= MOST_STRIPS:
                raise ValueError(f"the entry {tag} has the type {kind} and the count {count}")
            one = struct.calcsize(f"={code}")
            raw = self._bytes(inline, count, one)
            tags[name] = list(struct.unpack(f"{self.order}{count}{code}", raw))
            if tag in (322, 324):
                tags["tiled"] = True
        return tags

    def _bytes(self, inline: bytes, count: int, one: int) -> bytes:
        length = count * one
        if length <= len(inline):
            return inline[:length]
        (at,) = self.word.unpack(inline)
        if at + length > self.size:
            raise ValueError(f"{length} bytes at byte {at} of {self.size}")
        back = self.file.tell()
        self.file.seek(at)
        got = self.file.read(length)
        self.file.seek(back)
        return got


def _page(tags: Mapping[str, Any], order: str, size: int, number: int, path: Path) -> Page:
    """One page, by what its directory says."""
    shape = int(tags["rows"][0]), int(tags["width"][0])
    samples, photometric = tags.get("samples", [1])[0], tags.get("photometric", [1])[0]
    if samples != 1 or photometric in (2, 3, 5, 6, 8):
        raise FileFormatError(
            f"page {number} of {printable(path.name)} is a colour image ({samples} values a pixel, photometric "
            f"interpretation {photometric}); expected one number a pixel: it is an image of data, not the data."
        )
    bits, kind = tags.get("bits", [1])[0], _KINDS.get(tags.get("sample_format", [1])[0])
    if kind is None or bits not in ((16, 32, 64) if kind == "f" else (8, 16, 32, 64)):
        raise FileFormatError(
            f"page {number} of {printable(path.name)} has pixels of {bits} bits, sample format "
            f"{tags.get('sample_format', [1])[0]}; expected whole numbers of 8, 16, 32 or 64 bits or floats of 16, 32 "
            "or 64. Convert it first."
        )
    dtype = np.dtype(f"{order}{kind}{bits // 8}")
    if min(shape) < 1:
        raise ValueError(f"page {number} is {sizes(shape)}")
    offsets, counts = tags["offsets"], tags.get("counts")
    nbytes = math.prod(shape) * dtype.itemsize
    if counts is None:
        counts = [nbytes] if len(offsets) == 1 else []
    if len(counts) != len(offsets):
        raise ValueError(f"page {number} has {len(offsets)} pieces and {len(counts)} lengths")
    if any(at + length > size or at < 0 for at, length in zip(offsets, counts, strict=True)):
        raise ValueError(f"page {number} would end after the file, which has {size} bytes")
    why = ""
    if tags.get("compression", [1])[0] != 1:
        why = f"is compressed (method {tags['compression'][0]})"
    elif "tiled" in tags:
        why = "is stored in tiles"
    elif tags.get("fill_order", [1])[0] != 1 or tags.get("predictor", [1])[0] != 1:
        why = "has rearranged bits"
    elif any(at + length != after for at, length, after in zip(offsets, counts, offsets[1:], strict=False)):
        why = "is stored in pieces apart from each other"
    elif sum(counts) < nbytes:
        raise ValueError(f"page {number} has {sum(counts)} bytes; expected {nbytes} for {sizes(shape)} {dtype.name}")
    if why and nbytes > 1100 * max(1, sum(counts)):
        raise ValueError(f"page {number} has {sum(counts)} bytes for {sizes(shape)} {dtype.name}")
    return Page(shape, dtype, None if why else offsets[0], why)


def _described(text: str, shape: tuple[int, int]) -> tuple[int | None, tuple[int, ...], str]:
    """Number of pages, what they are beside the detector, and where it is said, from the description of a page.

    (Ry, Rx) of a scan, (T, Ry, Rx) of a series; () where it is neither.
    """
    if text.startswith("ImageJ="):
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        axes = [_whole(said.get(name, "1")) for name in ("frames", "slices", "channels")]  # the slowest first
        images = _whole(said.get("images", str(math.prod(axes))))
        long = tuple(n for n in axes if n > 1)
        whole = len(long) in (2, 3) and math.prod(long) == images
        return images, long if whole else (), "ImageJ's description"
    if text.lstrip().startswith("{"):
        try:
            stored = json.loads(text)
            full = [int(n) for n in stored["shape"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None, (), ""
        while len(full) > 2 and full[-1] == 1 and tuple(full[-2:]) != shape:
            full.pop()
        if tuple(full[-2:]) != shape or min(full) < 1:
            return None, (), ""
        lead = tuple(full[:-2])
        return math.prod(lead), lead if len(lead) in (2, 3) else (), "the shape in its description"
    return None, (), ""


def _repeated(texts: list[str], said: int, lead: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether the pages are scans of the same shape one after the other, each described where it begins."""
    starts = [at for at, text in enumerate(texts) if text]
    return starts == list(range(0, len(texts), said)) and all(
        _described(texts[at], shape)[:2] == (said, lead) for at in starts
    )


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{printable(text, 20)} images")
    return number


class PackedPages(Stack):
    """Pages that tifffile unpacks, one at a time; slicing is safe from any thread."""

    by_pattern = False

    def __init__(self, path: Path, numbers: list[int], shape: tuple[int, int], dtype: np.dtype, why: str) -> None:
        self.path, self.numbers, self.why = Path(os.path.abspath(path)), numbers, why
        self.shape = (len(numbers), *shape)
        self.stored, self.dtype = dtype, dtype.newbyteorder("=")
        self.input_files = listed_files((self.path,))
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._file: Any = None
        self._size = self.path.stat().st_size
        self[0]  # whatever tifffile lacks for it is told now

    def _patterns(self, first: int, end: int) -> np.ndarray:
        if self._pid != os.getpid():  # in a forked child: the lock may be held by a thread that is not here
            self._pid, self._lock, self._file = os.getpid(), threading.RLock(), None
        out = np.empty((end - first, *self.shape[1:]), self.dtype)
        try:
            import tifffile
        except ImportError as error:
            raise missing("tifffile", self.path, self.why, error) from error
        try:
            with self._lock:
                if self.path.stat().st_size < self._size:
                    raise ValueError("it has become shorter since it was opened")
                if self._file is None:
                    self._file = tifffile.TiffFile(self.path)
                for at in range(first, end):
                    page = np.asarray(self._file.pages[self.numbers[at]].asarray())
                    if page.shape != self.shape[1:]:
                        raise ValueError(f"page {self.numbers[at]} is {page.shape}")
                    out[at - first] = page
        except MemoryError as error:
            raise DataError(f"there is not enough memory for a page of {printable(self.path.name)}.") from error
        except Exception as error:  # of tifffile and its decoders, which raise nearly anything
            reason = printable(" ".join(str(error).split()) or type(error).__name__, 240)
            hint = "; pip install imagecodecs" if "imagecodecs" in reason else ""
            raise FileFormatError(
                f"{printable(self.path.name)} {self.why} and cannot be unpacked ({reason}){hint}. It may be cut off or "
                "damaged; else save it uncompressed."
            ) from None
        return out

    def __reduce__(self) -> Any:
        path = Path(os.path.abspath(self.path))  # another process may work in another folder
        return PackedPages, (path, self.numbers, self.shape[1:], self.stored, self.why)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next slice opens it again."""
        file, self._file = getattr(self, "_file", None), None
        if file is not None and self._pid == os.getpid():
            file.close()
