"""numpy's .npz, a zip of .npy files: read where it lies when it is stored, whole when it is compressed."""

from __future__ import annotations

import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.data.dataset_checks import check_memory, checked_pattern, sizes
from ptywidgets.engine.io.arrays.lazy import ScanView
from ptywidgets.engine.io.arrays.stacks import Records
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.containers.several import chosen, chosen_pattern, vacuum_of
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.tree import Entry
from ptywidgets.engine.io.named_entries import stated_entries

KEY = "npz"
NAME = "numpy .npz"
STORED = zipfile.ZIP_STORED
ZIP = b"PK\x03\x04"
MOST_MEMBERS = 10_000
LONGEST_HEADER = 10_000  # bytes, of a .npy
TIGHTEST = 1100  # no method packs more bytes into one than deflate, 1032
PIECE = 4_000_000  # bytes that are unpacked at once
SCALARS = 50  # numbers beside the array that are kept as metadata


@dataclass(frozen=True)
class Member:
    """One array of the zip."""

    info: zipfile.ZipInfo
    entry: Entry
    fortran: bool
    header: int  # bytes of the .npy before the numbers

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.entry.shape) * self.entry.dtype.itemsize


def understands(path: Path) -> bool:
    """Whether it is a zip of .npy files and of nothing else, or the beginning of one."""
    try:
        names = member_names(path)
        if names is None:
            start = first_bytes(path, 30 + 200)
            return start.startswith(ZIP) and first_name(start).endswith(".npy")
    except (OSError, ValueError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names) and not is_prz(names)


def member_names(path: Path) -> list[str] | None:
    """Names in a zip, without folders; None where it is none, or its table of contents is not there."""
    if first_bytes(path, 4) != ZIP:
        return None
    try:
        with zipfile.ZipFile(path) as file:
            return [name for name in file.namelist()[:MOST_MEMBERS] if not name.endswith("/")]
    except Exception:  # zipfile raises nearly anything over a damaged file
        return None


def is_prz(names: list[str]) -> bool:
    """Whether these are the members of a .prz of CEOS Panta Rhei, which is a .npz too."""
    return {"data.npy", "file_format_version.npy"} <= set(names) and any(name.startswith("meta_data") for name in names)


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The array called `dataset`, or the only one of four axes."""
    members = opened(path)
    found = chosen([m.entry for m in members], path, _plain(dataset), scan_shape is not None)
    member = next(m for m in members if m.entry is found)
    metadata, entries = {}, []
    for scalar in [m for m in members if m.entry.shape == () and m.entry.dtype.kind in "iuf"][:SCALARS]:
        value = float(values(path, scalar)[()])
        entries += stated_entries(scalar.entry.path, value, None, scalar.entry.path)
        metadata[printable(scalar.entry.path)] = f"{value:g}"
    beside = vacuum_of([m.entry for m in members], found.shape[-2:])
    vacuum = None
    if beside is not None and beside is not found:
        vacuum = checked_pattern(values(path, next(m for m in members if m.entry is beside)))
        metadata["vacuum"] = beside.path
    data = lazily(path, member)
    if data is None:
        data = values(path, member)
        kind = "in columns first" if member.info.compress_type == zipfile.ZIP_STORED else "compressed"
        metadata["reading"] = f"stored {kind} and read whole, {sizes(found.shape)} {found.dtype}"
    at = "" if vacuum is None or beside is None else beside.path
    return FileContents(data, entries, vacuum, metadata, at=found.path, vacuum_at=at)


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The 2-D array called `dataset`, the one called vacuum or probe, or the only one, (Qy, Qx)."""
    members = opened(path)
    found = chosen_pattern([m.entry for m in members], path, _plain(dataset))
    return checked_pattern(values(path, next(m for m in members if m.entry is found)))


def lazily(path: Path, member: Member) -> Any:
    """The array where it lies in the file; None where it is compressed or otherwise not in the order of a scan."""
    shape = member.entry.shape
    stored = member.info.compress_type == zipfile.ZIP_STORED
    if not stored or len(shape) not in (3, 4) or (member.fortran and sum(n > 1 for n in shape) > 1):
        return None
    record = np.dtype((member.entry.dtype, shape[-2:]))
    stack = Records(path, record, math.prod(shape[:-2]), _start(path, member.info) + member.header)
    return stack if len(shape) == 3 else ScanView(stack, (shape[0], shape[1]))


def opened(path: Path) -> list[Member]:
    """What is in the zip; each header is read, and what it says held against the size that the zip says.

    Raises
    ------
    FileFormatError
        When the zip is damaged. A member that holds Python objects is listed, and never read.
    """
    members, size = [], path.stat().st_size
    try:
        with zipfile.ZipFile(path) as file:
            infos = [info for info in file.infolist() if info.filename.endswith(".npy")]
            if len(infos) > MOST_MEMBERS:
                raise ValueError(f"{len(infos)} arrays; expected {MOST_MEMBERS} at most")
            for info in infos:
                if info.flag_bits & 1:
                    raise ValueError("it is encrypted")
                with file.open(info) as stream:
                    shape, fortran, dtype = _header(stream)
                    header = stream.tell()
                entry = Entry(info.filename.removesuffix(".npy"), shape, dtype)
                member = Member(info, entry, fortran, header)
                needed = header + member.nbytes
                if not dtype.hasobject and (needed != info.file_size or min(shape, default=0) < 0):
                    raise ValueError(f"{entry} takes {needed} bytes where the zip has {info.file_size}")
                if info.header_offset + info.compress_size > size or info.file_size > TIGHTEST * info.compress_size:
                    raise ValueError(f"{entry} does not fit into the {size} bytes of the file")
                members.append(member)
    except Exception as error:  # zipfile and numpy's header parser may raise nearly anything over a damaged file
        raise _damaged(path, error) from None
    return members


def values(path: Path, member: Member) -> np.ndarray:
    """A whole array, in memory."""
    entry = member.entry
    if entry.dtype.hasobject:
        raise FileFormatError(
            f"{printable(entry.path)!r} in {printable(path.name)} holds Python objects, which are never opened: they "
            "can run any program. Save it again as an array of numbers."
        )
    check_memory(
        member.nbytes,
        f"{entry} in {printable(path.name)}, which is read whole,",
        "save it with numpy.savez instead of savez_compressed, which is read piece by piece",
    )
    try:
        out = np.empty(math.prod(entry.shape), entry.dtype)
        todo = out.view(np.uint8).data.cast("B")
        with zipfile.ZipFile(path) as file, file.open(member.info.filename) as stream:
            stream.read(member.header)
            while len(todo) and (got := stream.read(min(len(todo), PIECE))):
                todo[: len(got)] = got
                todo = todo[len(got) :]
            if len(todo) or stream.read(1):
                raise ValueError("it is shorter or longer than it says")
    except MemoryError as error:
        raise DataError(f"there is not enough memory for {entry} of {printable(path.name)}.") from error
    except Exception as error:
        raise _damaged(path, error) from None
    return out.reshape(entry.shape, order="F" if member.fortran else "C").astype(
        entry.dtype.newbyteorder("="), copy=False
    )


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    if version not in ((1, 0), (2, 0), (3, 0)):  # the third is the second with other letters in names of fields
        raise ValueError(f"version {version} of .npy")
    shape, fortran, dtype = reader(stream, max_header_size=LONGEST_HEADER)
    return tuple(int(n) for n in shape), bool(fortran), dtype


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: after a header of its own, which the table of contents does not tell."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
    if len(local) < 30 or not local.startswith(ZIP):
        raise _damaged(path, ValueError(f"{printable(info.filename)} is not where its table of contents says"))
    name, extra = struct.unpack("<HH", local[26:30])
    return info.header_offset + 30 + name + extra


def first_name(start: bytes) -> str:
    """Name of the first member of a zip, by its first bytes."""
    return start[30 : 30 + struct.unpack("<H", start[26:28])[0]].decode("utf-8", "replace") if len(start) >= 30 else ""


def _plain(dataset: str | None) -> str | None:
    return None if dataset is None else str(dataset).removesuffix(".npy")


def _damaged(path: Path, error: BaseException) -> FileFormatError:
    reason = printable(" ".join(str(error).split()) or type(error).__name__, 240)
    return FileFormatError(f"{printable(path.name)} is cut off or damaged ({reason}); copy or download it again.")
