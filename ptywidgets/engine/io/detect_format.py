"""Telling what a file is from its first bytes, and saying it in words."""

from __future__ import annotations

import difflib
import itertools
import os
import re
from pathlib import Path

from ptywidgets.engine.core.errors import FileFormatError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the data itself; run `git lfs pull` or download the data"),
    (b"PK\x03\x04", "a zip archive, and none of arrays (.npz, .prz, zarr); unpack it first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (HDF5_SIGNATURE, "HDF5 of Velox with no 4-D array of numbers; export the data from there, or open it in HyperSpy"),
    (b"\x80", "perhaps a Python pickle, which is never opened: it can run any program"),
)
_CHUNK = re.compile(r"[0-9]+(\.[0-9]+){2,}")  # the number of a chunk along each axis
_LOOKED_AT = 1000  # names in a folder
PATTERN_FILES = (".npy", ".tif", ".tiff")  # of which a folder may hold one for each pattern
_CONVERT = "convert it to HDF5 or .npy, such as with rosettasciio or py4DSTEM.import_file"


def existing_path(path: str | os.PathLike[str]) -> Path:
    """`path` as a Path when a readable file is there, or a folder that is a store of arrays (zarr)."""
    return _existing(path, stores=True)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """`path` as a Path when a readable file is there, else an error that names the nearest file in its folder."""
    return _existing(path, stores=False)


def is_store(folder: Path) -> bool:
    """Whether a folder is a store of zarr: what its arrays are stands in it by name."""
    return any((folder / name).is_file() for name in (".zgroup", ".zarray", ".zattrs", "zarr.json"))


def numbered_files(folder: Path) -> str:
    """Ending of the files of a folder that hold patterns: numbered, and of one kind; empty where they are not so."""
    names = [file.name for file in folder.iterdir() if file.suffix.lower() in PATTERN_FILES]
    kinds = {Path(name).suffix.lower() for name in names}
    return kinds.pop() if len(kinds) == 1 and all(re.search("[0-9]", Path(name).stem) for name in names) else ""


def _like_zarr(folder: Path) -> str:
    """What in a folder is as in a store of zarr, in words; empty where nothing is."""
    if folder.suffix.lower() in (".zarr", ".zspy"):
        return "by its name"
    names = sorted(itertools.islice((file.name for file in folder.iterdir()), _LOOKED_AT))
    for name in names:
        if _CHUNK.fullmatch(name):
            return f"it holds {printable(name, 40)!r}, as chunks are called"
    chunks = folder / "c"  # of version 3
    if chunks.is_dir() and any(child.name.isdigit() for child in itertools.islice(chunks.iterdir(), _LOOKED_AT)):
        return "it holds 'c', as the folder of chunks is called"
    return ""


def _existing(path: str | os.PathLike[str], stores: bool) -> Path:
    try:
        file = Path(path).expanduser()
        if file.is_file():
            with file.open("rb"):
                return file
        if stores and file.is_dir() and (is_store(file) or numbered_files(file)):
            return file
        if file.is_dir():
            chunks = _like_zarr(file) if stores else ""
            if chunks:
                raise FileFormatError(
                    f"{printable(str(file))} looks like a zarr store ({chunks}) without the file that says what it "
                    "holds, zarr.json, or .zgroup or .zarray of older ones; copy or download it again, all of it."
                )
            inside = [
                f.name
                for f in sorted(file.iterdir())
                if f.suffix.lower() in (".h5", ".hdf5", ".emd", ".npy") or (stores and f.is_dir() and is_store(f))
            ]
            hint = f"; it holds {_listed(inside)}" if inside else ""
            raise FileFormatError(
                f"{printable(str(file))} is a folder that is no data set by itself; expected a file, a zarr store or a "
                f"folder of numbered .npy or .tif files{hint}."
            )
        if file.exists():
            raise FileFormatError(f"{printable(str(file))} is a pipe, a socket or a device; expected a file.")
        parent = file.parent
        if not parent.is_dir():
            raise FileFormatError(f"no such file: {printable(str(file))}; there is no folder {printable(str(parent))}.")
        names = [f.name for f in parent.iterdir() if f.is_file()]
    except FileFormatError:  # a ValueError, too
        raise
    except PermissionError:
        raise FileFormatError(f"{printable(str(path))} may not be read; check its permissions.") from None
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"{printable(repr(path))} is not a usable path: {printable(str(error))}.") from None
    near = difflib.get_close_matches(file.name, names, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(printable(name)) for name in near)}?" if near else ""
    raise FileFormatError(f"no such file: {printable(str(file))}.{hint}")


def first_bytes(path: Path, n: int = 512) -> bytes:
    """The first `n` bytes; none of a folder."""
    if path.is_dir():
        return b""
    with path.open("rb") as file:
        return file.read(n)


def is_hdf5(path: Path) -> bool:
    """Whether an HDF5 signature stands at the start, or where a user block would end; not of a folder."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        for offset in (0, 512, 1024, 2048, 4096):
            file.seek(offset)
            if file.read(8) == HDF5_SIGNATURE:
                return True
    return False


def looks_like(path: Path) -> str:
    """What a file seems to be, in words, with what to do about it."""
    start = first_bytes(path)
    if not start:
        return "empty (0 bytes); download or copy it again"
    for magic, words in _MAGIC:
        if start.startswith(magic):
            return words
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, probably an error message of the server it was downloaded from; download it again"
    if start.startswith(HDF5_SIGNATURE[:4]):
        return "the beginning of an HDF5 file, cut off; download or copy it again"
    if not any(byte < 9 or 13 < byte < 32 for byte in start):
        return "text"
    return (
        "binary data of an unknown format; if they are bare numbers, say how they lie: "
        "read(path, dtype='<u2', detector_shape=(256, 256))"
    )


def not_understood(path: Path, known: str) -> FileFormatError:
    """The error for a file that no reader understands."""
    words = looks_like(path)
    advice = "" if ";" in words else f"; {_CONVERT}"
    return FileFormatError(f"{printable(path.name)} is {words}{advice}. Formats that are read: {known}.")


def printable(text: str, limit: int = 160) -> str:
    r"""`text` fit for a message: names in files are data and may hold anything.

    Examples
    --------
    >>> printable("a\x1b[31m\n<b>")
    'a�[31m�<b>'
    """
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def _listed(names: list[str], n: int = 5) -> str:
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(repr(printable(name)) for name in names[:n]) + more
