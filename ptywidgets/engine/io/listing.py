"""What a folder holds, as far as one can look it through: folders, data sets that are folders, files that may be data.

A file is told by its ending here, which costs nothing; what it really is :mod:`ptywidgets.engine.io.summary` tells.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.core.files import checked_path
from ptywidgets.engine.io.detect_format import is_store, printable

# Endings of files that one of the formats is in use with; what has another one may be data all the same.
ENDINGS = frozenset({
    ".mib", ".hdr", ".raw", ".bin", ".xml", ".json", ".dm3", ".dm4", ".blo", ".tvips", ".mrc", ".h5", ".hdf5", ".he5",
    ".emd", ".hspy", ".nxs", ".cxi", ".py4dstem", ".ptyd", ".mat", ".npy", ".npz", ".tif", ".tiff", ".btf", ".zarr",
    ".zspy", ".zip", ".app5", ".prz", ".ser",
})  # fmt: skip
MOST = 300  # entries that are shown
LOOKED_AT = 100_000  # entries that are looked at: of a folder with more, the first that the system tells
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Entry:
    """One name in a folder.

    Parameters
    ----------
    path : Path
    is_folder : bool
        Whether it can be entered.
    is_data : bool
        Of a folder, whether it is a data set itself (zarr), which can be opened and entered; of a file, whether its
        ending is that of data.
    size : int, optional
        Bytes of a file; None of folders, and where it cannot be asked for.
    broken : bool
        Whether it is a link that leads nowhere.
    """

    path: Path
    is_folder: bool = False
    is_data: bool = False
    size: int | None = None
    broken: bool = False

    @property
    def name(self) -> str:
        """Its name, fit to be shown: what cannot be printed is replaced."""
        return printable(self.path.name)


@dataclass(frozen=True)
class Listing:
    """What of a folder is shown, and what is not.

    Parameters
    ----------
    folder : Path
        Absolute.
    entries : tuple of Entry
        Folders first, each kind by name, in which numbers count as such.
    more : int
        Entries that fit and are not listed, because there are too many.
    others : int
        Files that are left out because their ending is not that of data.
    hidden : int
        Entries that are left out because their name begins with a dot.
    unseen : bool
        Whether there are more entries than were looked at.
    """

    folder: Path
    entries: tuple[Entry, ...] = ()
    more: int = 0
    others: int = 0
    hidden: int = 0
    unseen: bool = False

    def describe(self) -> str:
        """How much is shown, and how much is not.

        Examples
        --------
        >>> Listing(Path("/data"), (Entry(Path("/data/a.mib")),), more=20, others=3).describe()
        '1 entry; 20 more that fit are not listed, filter by text to see them; 3 files with other endings not listed'
        """
        parts = [f"{len(self.entries)} entr{'y' if len(self.entries) == 1 else 'ies'}"]
        if self.more:
            parts.append(f"{self.more} more that fit are not listed, filter by text to see them")
        if self.others:
            parts.append(f"{self.others} file{'s' * (self.others > 1)} with other endings not listed")
        if self.hidden:
            parts.append(f"{self.hidden} hidden")
        if self.unseen:
            parts.append(f"only the first {LOOKED_AT} of the folder were looked at")
        return "; ".join(parts)


def list_folder(
    folder: str | os.PathLike[str], text: str = "", *, all_files: bool = False, hidden: bool = False, most: int = MOST
) -> Listing:
    """What is in a folder; quick for a large one, as only what is listed is looked at closely.

    Parameters
    ----------
    folder : path
    text : str
        Only names that hold this text, whatever its case.
    all_files : bool
        Whether files are listed whose ending is not that of data.
    hidden : bool
        Whether names are listed that begin with a dot.
    most : int
        Entries that are listed.

    Raises
    ------
    FileFormatError
        When there is no such folder (any more), or it may not be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("scan_10.mib", "scan_9.mib", "notes.txt", ".hidden"):
    ...         Path(folder, name).touch()
    ...     listing = list_folder(folder)
    >>> [entry.name for entry in listing.entries], listing.others, listing.hidden
    (['scan_9.mib', 'scan_10.mib'], 1, 1)
    """
    where = checked_path(folder)
    wanted = text.casefold().strip()
    found: list[tuple[bool, os.DirEntry[str]]] = []
    others = unlisted = looked = 0
    unseen = False
    try:
        where = Path(os.path.abspath(where))
        with os.scandir(where) as entries:
            for entry in entries:
                if looked == LOOKED_AT:
                    unseen = True
                    break
                looked += 1
                if entry.name.startswith(".") and not hidden:
                    unlisted += 1
                    continue
                if wanted and wanted not in entry.name.casefold():
                    continue
                enters = _is_folder(entry)
                if not (enters or all_files or _ending(entry.name) in ENDINGS):
                    others += 1
                    continue
                found.append((enters, entry))
    except (OSError, ValueError) as error:
        raise _not_listed(where, error) from None
    found.sort(key=lambda one: (not one[0], _by_number(one[1].name)))
    shown = tuple(_entry(entry, enters) for enters, entry in found[:most])
    return Listing(where, shown, len(found) - len(shown), others, unlisted, unseen)


def folder_and_file(path: str | os.PathLike[str]) -> tuple[Path, Path | None]:
    """The folder to list for a path, and the file (or the folder that is a data set) in it that is meant, if it is one.

    Raises
    ------
    FileFormatError
        When nothing is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "scan.mib").touch()
    ...     found, file = folder_and_file(f"{folder}/scan.mib")
    >>> found == Path(folder), file.name
    (True, 'scan.mib')
    """
    text = os.fspath(path).strip().strip("\"'") if isinstance(path, str) else path
    here = checked_path(text or ".")
    try:
        here = Path(os.path.abspath(here))
        if here.is_dir() and not is_store(here):
            return here, None
        if os.path.lexists(here):
            return here.parent, here
    except (OSError, ValueError) as error:
        raise _not_listed(here, error) from None
    near = nearest_folder(here)
    raise FileFormatError(
        f"there is no file or folder {printable(str(here))}; what there is of it is {printable(str(near))}."
    )


def nearest_folder(path: str | os.PathLike[str]) -> Path:
    """The folder of a path: itself where it is one, else the first above it that there is.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nearest_folder(f"{folder}/gone/scan.mib") == Path(folder)
    True
    """
    here = Path(os.path.abspath(checked_path(path)))
    for folder in (here, *here.parents):
        with contextlib.suppress(OSError, ValueError):
            if folder.is_dir():
                return folder
    return Path(here.anchor)


def _not_listed(folder: Path, error: Exception) -> FileFormatError:
    shown = printable(str(folder))
    if isinstance(error, FileNotFoundError):
        return FileFormatError(f"there is no folder {shown} (any more); choose another one.")
    if isinstance(error, NotADirectoryError):
        return FileFormatError(f"{shown} is no folder; choose the folder that it is in.")
    if isinstance(error, PermissionError):
        return FileFormatError(f"the folder {shown} may not be read; check its permissions, or choose another one.")
    words = printable(getattr(error, "strerror", None) or str(error))
    return FileFormatError(f"the folder {shown} cannot be read: {words}; choose another one.")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that may not be followed
        return False


def _entry(entry: os.DirEntry[str], enters: bool) -> Entry:
    """With what has to be asked of the disk; what is gone meanwhile is listed all the same, as nothing can be told."""
    path = Path(entry.path)
    if enters:
        with contextlib.suppress(OSError):
            return Entry(path, is_folder=True, is_data=is_store(path))
        return Entry(path, is_folder=True)
    is_data = _ending(entry.name) in ENDINGS
    try:
        found = entry.stat()
    except FileNotFoundError:
        return Entry(path, is_data=is_data, broken=True)
    except OSError:
        return Entry(path, is_data=is_data)
    return Entry(path, is_data=is_data, size=found.st_size if stat.S_ISREG(found.st_mode) else None)


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _by_number(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts scan_9 before scan_10."""
    parts = _NUMBERS.split(name.casefold())
    return tuple((0, int(part), "") if n % 2 else (1, 0, part) for n, part in enumerate(parts))


__all__ = ["ENDINGS", "Entry", "Listing", "folder_and_file", "list_folder", "nearest_folder"]
