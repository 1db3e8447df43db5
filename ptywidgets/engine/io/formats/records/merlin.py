"""Quantum Detectors Merlin: .mib, a header before every frame, and the .hdr of the acquisition beside it.

The detector's rows stay as they are in the file. What scan it was is said by ScanX and ScanY of the .hdr, by its Frames
per Trigger, or by pauses between the time stamps of the frames, which are looked at in some dozens of headers only.
"""

from __future__ import annotations

import contextlib
import glob
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io.arrays.stacks import PATTERN, Decode, Joined, Records
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array
from ptywidgets.engine.io.formats.records.medipix import raw_field
from ptywidgets.engine.io.growing.records import GrowingRecords

KEY = "merlin"
NAME = "Merlin (.mib, .hdr)"
MARK, HDR_MARK = b"MQ1,", b"HDR,"

_KINDS = {"U08": "u1", "U8": "u1", "U16": ">u2", "U32": ">u4"}
_MOST_PIXELS = 16384  # along an axis: more is damage
_MOST_HEADER = 65536  # bytes
_ROWS_LOOKED_AT = 96
_DAY = 86_400_000_000_000  # ns
_WRAPS_AT = 10**6  # the number of a frame has six digits
_MOST_GAPS = 3  # places of lost frames that are looked for


def understands(path: Path) -> bool:
    """Whether it begins as a frame or as the .hdr of an acquisition does."""
    return path.is_file() and first_bytes(path, 4) in (MARK, HDR_MARK)


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack of all frames of the acquisition; its files are those whose numbers, in name and header, go on."""
    if dataset is not None:
        raise FileFormatError(f"{printable(path.name)} holds a single array; leave out dataset={dataset!r}.")
    name = printable(path.name)
    first = first_bytes(path, 4)
    if first not in (MARK, HDR_MARK):
        raise FileFormatError(f"{name} does not begin with {MARK.decode()!r}; expected a frame's header. Is it a .mib?")
    settings: dict[str, str] = {}
    settings_name = ""
    if first == HDR_MARK:
        path, settings, settings_name = _frames_of(path), _settings(path), path.name
    elif (beside := _settings_of(path)) is not None:
        settings, settings_name = _settings(beside), beside.name
    parts = _series(path, settings)
    headers, name = _Headers(parts), printable(parts[0].path.name)
    metadata = _described(headers[0], settings)
    shape, said_by = None, ""
    try:
        if scan_shape is None:
            shape, said_by = _scan(headers, settings, settings_name, name)
        _check_all_alike(headers, name)
        metadata["frame_numbers"] = _numbered(headers, name)
    except _Unwritten as error:
        warnings.warn(f"{error} Frames that are zero throughout are read as such.", DataWarning, stacklevel=3)
    stack = Joined.of([Records(part.path, part.record, part.count, decode=part.decode) for part in parts])
    return FileContents(stack, metadata=metadata, scan_shape=shape, scan_from=said_by)


def growing(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The frames of one .mib that is being written; what scan it is stands in the .hdr, where that is written first."""
    single_array(path, dataset)
    settings: dict[str, str] = {}
    by = ""
    if first_bytes(path, 4) == HDR_MARK:
        path, settings, by = _frames_of(path), _settings(path), path.name
    elif (beside := _settings_of(path)) is not None:
        settings, by = _settings(beside), beside.name
    for step in (-1, 1):
        if (other := _next_part(part := _part(path, settings), step, settings)) is not None:
            raise FileFormatError(
                f"{printable(path.name)} is one file of a series, as {printable(other.path.name)} goes on with it; of "
                "these a single one can be followed while it is written. Open it when it is complete: leave out follow."
            )
    shape = _told_scan(settings, _whole(settings, "Frames in Acquisition"))
    stack = GrowingRecords(part.path, part.record, decode=part.decode)
    return FileContents(stack, metadata=_described(part.first, settings), scan_shape=shape, scan_from=printable(by))


def _told_scan(settings: dict[str, str], frames: int) -> tuple[int, int] | None:
    """Rows and columns by the .hdr alone."""
    if (columns := _whole(settings, "ScanX")) and (rows := _whole(settings, "ScanY")):
        return rows, columns
    per_trigger = _whole(settings, "Frames per Trigger")
    if 1 < per_trigger < frames and not frames % per_trigger:
        return frames // per_trigger, per_trigger
    return None


class _Unwritten(FileFormatError):
    """A frame's header is zeros: room for it was made, and it was never written."""


@dataclass(frozen=True)
class _Header:
    """What stands before one frame."""

    number: int
    nbytes: int
    chips: int
    width: int
    height: int
    kind: str
    layout: str
    counter: str
    date: str
    time: int | None  # ns of the day
    dwell: float  # s; 0 where it is not said
    threshold: str  # keV, of counter 0
    depth: int | None  # bits, where it is said

    @property
    def alike(self) -> tuple[Any, ...]:
        """What all frames of an acquisition share."""
        return self.nbytes, self.chips, self.width, self.height, self.kind, self.layout, self.depth


def _parsed(data: bytes, name: str) -> _Header:
    """The header that begins `data`, which may hold more."""
    try:
        text = data.decode("ascii", "replace")
        if not text.startswith("MQ1,"):
            raise ValueError("it does not begin with MQ1")
        nbytes = int(text.split(",", 3)[2])
        said = [part.strip() for part in text[:nbytes].split("\0")[0].rstrip(", \r\n").split(",")]
        more = said[said.index("MQ1A") + 1 :] if "MQ1A" in said else []
        found = _Header(
            number=int(said[1]),
            nbytes=nbytes,
            chips=int(said[3]),
            width=int(said[4]),
            height=int(said[5]),
            kind=said[6].upper(),
            layout=said[7],
            counter=said[11],
            date=said[9],
            time=_time(more[0] if more else said[9]),
            dwell=int(more[1].removesuffix("ns")) * 1e-9 if len(more) > 1 else float(said[10]),
            threshold=said[14] if len(said) > 14 else "",
            depth=int(more[2]) if len(more) > 2 else None,
        )
        sides = 1 <= found.width <= _MOST_PIXELS and 1 <= found.height <= _MOST_PIXELS
        if not (sides and 1 <= found.chips <= 64 and 32 <= nbytes <= _MOST_HEADER):
            raise ValueError(f"{found.height} x {found.width} pixels of {found.chips} chips after {nbytes} bytes")
        if found.kind not in (*_KINDS, "R64"):
            raise ValueError(f"pixels of type {found.kind}; expected {', '.join(_KINDS)} or R64")
        return found
    except (ValueError, IndexError, OverflowError) as error:
        raise FileFormatError(
            f"a frame's header in {name} cannot be understood ({printable(str(error), 100)}); the file is cut off or "
            "damaged, copy it again."
        ) from None


def _time(text: str) -> int | None:
    """Nanoseconds since midnight."""
    found = re.search(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?", text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return (3600 * hours + 60 * minutes + seconds) * 10**9 + int((found[4] or "").ljust(9, "0"))


# -------------------------------------------------- files of a measurement


@dataclass(frozen=True)
class _Part:
    """One file of frames."""

    path: Path
    record: np.dtype
    decode: Decode | None
    count: int
    left: int  # bytes after the last whole frame
    first: _Header


def _part(path: Path, settings: dict[str, str]) -> _Part:
    name = printable(path.name)
    first = _parsed(first_bytes(path, _MOST_HEADER), name)
    decode: Decode | None = None
    if first.kind != "R64":
        field = np.dtype((_KINDS[first.kind], (first.height, first.width)))
    else:
        depth = first.depth or _whole(settings, "Counter Depth")
        if not depth:
            raise FileFormatError(
                f"{name} is raw (R64) and neither it nor a .hdr beside it says how many bits a pixel has; put the .hdr "
                "of the acquisition beside it, with the same name."
            )
        try:
            field, decode = raw_field(first.width, first.height, depth, first.chips, first.layout)
        except FileFormatError as error:
            raise FileFormatError(f"{name} cannot be read: {printable(str(error), 400)}") from None
    record = np.dtype([("header", f"V{first.nbytes}"), (PATTERN, field)])
    size = path.stat().st_size
    count, left = divmod(size, record.itemsize)
    if not count:
        raise FileFormatError(
            f"{name} has {size} bytes; expected {record.itemsize} or more, a header and a frame of "
            f"{first.height} x {first.width} pixels. It is cut off or damaged; copy it again."
        )
    return _Part(path, record, decode, count, left, first)


def _series(path: Path, settings: dict[str, str]) -> list[_Part]:
    """The file with those before and after it whose numbers, in the name and of the frames, go on."""
    parts = [_part(path, settings)]
    while (before := _next_part(parts[0], -1, settings)) is not None:
        parts.insert(0, before)
    while (after := _next_part(parts[-1], 1, settings)) is not None:
        parts.append(after)
    return parts


def _next_part(part: _Part, step: int, settings: dict[str, str]) -> _Part | None:
    """The file before (-1) or after (1) one, where there is one that goes on with it."""
    path = _numbered_name(part.path, step)
    if path is None:
        return None
    try:
        other = _part(path, settings)
    except (FileFormatError, OSError):
        return None  # whatever it is, it is not seen to go on with this one
    first, second = (part, other) if step > 0 else (other, part)
    goes_on = not (first.first.number + first.count - second.first.number) % _WRAPS_AT
    return other if goes_on and not first.left and first.first.alike == second.first.alike else None


def _numbered_name(path: Path, step: int) -> Path | None:
    """The file whose name has the number before or after that of `path`."""
    found = re.fullmatch(r"(.*?)([0-9]{1,9})(\.[mM][iI][bB])", path.name)
    if found is None or int(found[2]) + step < 0:
        return None
    next_one = path.with_name(f"{found[1]}{int(found[2]) + step:0{len(found[2])}d}{found[3]}")
    return next_one if next_one.is_file() else None


def _frames_of(header: Path) -> Path:
    """The .mib that belongs to a .hdr: of its name, or of its name and the lowest number."""
    pattern = f"{glob.escape(str(header.with_suffix('')))}*"
    named = [Path(found) for found in glob.glob(pattern) if Path(found).suffix.lower() == ".mib"]
    stem = re.escape(header.stem)
    numbers = {file: re.fullmatch(rf"{stem}_?([0-9]{{0,9}})", file.stem) for file in named}
    fitting = sorted((int(found[1] or -1), file.name, file) for file, found in numbers.items() if found is not None)
    if not fitting:
        raise FileFormatError(
            f"{printable(header.name)} is the header of a Merlin acquisition and there is no "
            f"{printable(header.stem)}.mib beside it, which holds the patterns; put it there."
        )
    return fitting[0][2]


def _settings_of(frames: Path) -> Path | None:
    """The .hdr that belongs to a .mib: of its name, or of its name without its number where no .mib has that."""
    stems = [frames.stem]
    without = re.sub(r"_?[0-9]+$", "", frames.stem)
    if without and not any(frames.with_name(f"{without}{suffix}").is_file() for suffix in (".mib", ".MIB")):
        stems.append(without)
    for stem in dict.fromkeys(stems):
        for suffix in (".hdr", ".HDR"):
            file = frames.with_name(f"{stem}{suffix}")
            with contextlib.suppress(OSError):  # not to be read: it is as if it were not there
                if file.is_file() and first_bytes(file, 4) == HDR_MARK:
                    return file
    return None


def _settings(header: Path) -> dict[str, str]:
    """What a .hdr says, by what stands before the colon without the brackets."""
    lines = first_bytes(header, _MOST_HEADER).decode("latin-1").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {key.split("(")[0].rstrip(": "): value.strip() for key, value in pairs}


def _whole(settings: dict[str, str], key: str) -> int:
    """A number above 0; 0 where none is said."""
    text = settings.get(key, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


# -------------------------------------------------- headers of the frames


class _Headers:
    """The headers of all frames, each read when it is asked for."""

    def __init__(self, parts: list[_Part]) -> None:
        self.parts = parts
        self.known: dict[int, _Header] = {}

    def __len__(self) -> int:
        return sum(part.count for part in self.parts)

    def __getitem__(self, index: int) -> _Header:
        if index not in self.known:
            at = index
            for part in self.parts:
                if at < part.count:
                    self.known[index] = _header(part, at)
                    break
                at -= part.count
        return self.known[index]


def _header(part: _Part, at: int) -> _Header:
    name = printable(part.path.name)
    try:
        with part.path.open("rb", buffering=0) as file:  # one of hundreds at a time
            file.seek(at * part.record.itemsize)
            data = file.read(part.first.nbytes)
    except OSError as error:
        raise FileFormatError(f"{name} cannot be read ({error.strerror or error}).") from None
    if not any(data):
        raise _Unwritten(f"{name} has room for {part.count} frames, of which that of number {at} was never written.")
    return _parsed(data, f"{name} (that of frame {at})")


def _check_all_alike(headers: _Headers, name: str) -> None:
    """Raise where the frames are not of one kind; warn where the last one is not whole."""
    count = len(headers)
    for index in (1, count - 1):
        if 0 < index < count and headers[index].alike != headers[0].alike:
            raise FileFormatError(
                f"frame {index} of {name} is not like the first, {headers[index].alike} and {headers[0].alike} (bytes "
                "of header, chips, width, height, type, layout, bits); it is damaged or made of several acquisitions."
            )
    if count > 1 and headers[0].counter != headers[1].counter:
        raise FileFormatError(
            f"{name} holds frames of counters {printable(headers[0].counter, 10)} and "
            f"{printable(headers[1].counter, 10)} in turn; expected one. Save one counter in Merlin's software."
        )
    if headers.parts[-1].left:
        warnings.warn(
            f"the last frame of {name} is cut off: {headers.parts[-1].left} of "
            f"{headers.parts[-1].record.itemsize} bytes are there. It is left out.",
            DataWarning,
            stacklevel=4,
        )


def _described(first: _Header, settings: dict[str, str]) -> dict[str, str]:
    """What is worth telling the user, with units."""
    bits = first.depth or _whole(settings, "Counter Depth")
    chips = f"{first.chips} chip{'s' if first.chips > 1 else ''} ({printable(first.layout, 10)})"
    said = {
        "detector": f"Merlin, {chips}, {first.kind}{f', {bits} bits' if bits else ''}",
        "detector_rows": "in the order of the file; flip='rows' where the microscope shows them the other way",
        "date": printable(first.date, 40),
        "dwell_time": f"{first.dwell:.6g} s" if 0 < first.dwell < 1e6 else "",
        "threshold": f"{value:g} keV" if (value := _number(first.threshold)) else "",
        "chip": printable(settings.get("Chip ID", ""), 60),
    }
    return {key: text for key, text in said.items() if text}


def _number(text: str) -> float:
    """A finite number; 0 where it is none."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if abs(value) < 1e12 else 0.0


def _numbered(headers: _Headers, name: str) -> str:
    """What the numbers of the frames say about frames that are not there; a warning where some are not."""
    count = len(headers)
    begin, end = headers[0].number, headers[count - 1].number
    if not (end - begin - (count - 1)) % _WRAPS_AT:
        return f"{begin} to {end}, none is missing"
    if end - begin < count:
        return f"{begin} to {end} for {count} frames: they do not tell whether any is missing"
    lost = end - begin - (count - 1)
    places = [f"{many} before pattern {at}" for at, many in _gaps(headers)]
    words = f"{lost} {'frame is' if lost == 1 else 'frames are'} missing"
    words += f" ({', '.join(places)}{', ...' if len(places) == _MOST_GAPS else ''})"
    warnings.warn(
        f"{name}: by the numbers of the frames {words}. What comes after lies too early in the scan; keep what comes "
        "before (Dataset.crop), or measure again.",
        DataWarning,
        stacklevel=4,
    )
    return words


def _gaps(headers: _Headers) -> Iterator[tuple[int, int]]:
    """The first places where frames are missing: the pattern after the gap, and how many."""
    count, low = len(headers), 0

    def ahead(index: int) -> int:
        return headers[index].number - headers[0].number - index

    for _ in range(_MOST_GAPS):
        known, high = ahead(low), count - 1
        if ahead(high) <= known:
            return
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if ahead(middle) > known else (middle, high)
        yield high, ahead(high) - known
        low = high


# -------------------------------------------------- the scan


def _scan(
    headers: _Headers, settings: dict[str, str], settings_name: str, name: str
) -> tuple[tuple[int, int] | None, str]:
    """Rows and columns, and who says so."""
    count, by = len(headers), printable(settings_name)
    if (columns := _whole(settings, "ScanX")) and (rows := _whole(settings, "ScanY")):
        return (rows, columns), f"ScanX and ScanY in {by}"
    timed = _row_by_pauses(lambda index: headers[index].time, count)
    total = _whole(settings, "Frames in Acquisition") or count
    per_trigger = _whole(settings, "Frames per Trigger")
    if 1 < per_trigger < total and not total % per_trigger:
        if timed not in (None, per_trigger):
            warnings.warn(
                f"{by} says {per_trigger} frames per trigger, which is taken for a row of the scan of {name}; by the "
                f"pauses between its frames a row has {timed}. Pass read(path, scan_shape=...) if that is right.",
                DataWarning,
                stacklevel=4,
            )
        return (total // per_trigger, per_trigger), f"Frames per Trigger in {by}"
    if timed is not None:
        return (-(-count // timed), timed), f"the pauses between the time stamps of {name}, one row of {timed} frames,"
    return None, ""


def _row_by_pauses(time: Callable[[int], int | None], count: int) -> int | None:
    """Frames in a row, where there is a pause after each row and nowhere else; None where that is not so.

    Examples
    --------
    >>> stamps = [1000 * n + 5000 * (n // 4) for n in range(20)]
    >>> _row_by_pauses(stamps.__getitem__, 20), _row_by_pauses(list(range(20)).__getitem__, 20)
    (4, None)
    """

    def between(first: int, last: int) -> float:
        start, end = time(first), time(last)
        return float("nan") if start is None or end is None else (end - start) % _DAY

    few = sorted(between(n, n + 1) for n in range(min(count - 1, 16)))
    step = few[(len(few) - 1) // 2] if few else 0.0
    if not step > 0:
        return None
    low, high = 0, 1  # no pause before `low`; one before `high`
    while not between(0, high) > (high + 0.2) * step:
        step = step if high < 16 else between(0, high) / high
        low, high = high, min(2 * high, count - 1)
        if high == low or not step > 0:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if between(0, middle) > (middle + 0.2) * step else (middle, high)
    row, rows = high, -(-count // high)
    if row < 2 or rows < 3:
        return None
    step = between(0, row - 1) / (row - 1)
    extra = between(row - 1, row) - step
    if not extra > 0.2 * step:
        return None
    for number in np.unique(np.linspace(1, rows - 1, _ROWS_LOOKED_AT).astype(int)):
        begin, end = int(number) * row, min(int(number + 1) * row, count) - 1
        if not 0.5 * extra < between(begin - 1, begin) - step < 2 * extra:
            return None
        if not abs(between(begin, end) - (end - begin) * step) < 0.5 * extra:
            return None
    return row


__all__ = ["KEY", "NAME", "read", "understands"]
