"""Walking an HDF5 file that is not trusted: links that lead out of it are refused, every failure is a PtyError."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError, PtyError
from ptywidgets.engine.core.files import hdf5_path
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.io.detect_format import is_hdf5, looks_like, printable
from ptywidgets.engine.io.formats.hdf5.guarded import watched_hdf5
from ptywidgets.engine.io.formats.packages import missing

_MOST_OBJECTS = 50_000
_DEEPEST = 64
_MOST_PACKED = 1e6  # times the size of the file; deflate packs zeros 1032 times
_LARGEST_ATTRIBUTE = 1_000_000  # bytes; the format itself stops at 64 kB, a damaged file claims more
_FILTERS = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2"}


class Entry(NamedTuple):
    """One dataset of a file."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape)) or "scalar"
        return f"{printable(self.path)!r} {shape} {printable(str(self.dtype), 40)}"


@contextlib.contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """Turn whatever h5py raises over a damaged file into a FileFormatError."""
    try:
        yield
    except PtyError:
        raise
    except MemoryError as error:
        raise DataError(
            f"there is not enough memory for what is asked of {printable(path.name)}; ask for less at a time, or crop "
            "or bin the data."
        ) from error
    except (OSError, RuntimeError, LookupError, ArithmeticError, ValueError, TypeError, AttributeError) as error:
        reason = printable(" ".join(str(error).split()) or type(error).__name__, 240)
        if "filter returned failure" in reason:
            # each filter is looked for before anything is read, so it is there and the values are not what it wrote
            advice = "; the stored values are damaged (they do not unpack, or their checksum is wrong), copy it again"
        elif "filter" in reason:
            advice = '; its compression is not known here, try: pip install "ptywidgets[formats]"'
        elif not path.exists():
            advice = "; the file is gone"
        else:
            advice = "; it seems damaged, download or copy it again"
        raise FileFormatError(f"{printable(path.name)} could not be read{advice} ({reason}).") from error


def open_hdf5(path: Path, trusted: bool = False) -> h5py.File:
    """The file, open for reading without a lock where the library can do that.

    Parameters
    ----------
    path : Path
    trusted : bool
        Whether the structure is known to be sound, because it has been read before, or links to other files are to be
        followed. Then the library reads for itself, which is quicker for patterns; else see :func:`watched_hdf5`.
    """
    try:
        hdf5 = is_hdf5(path)
    except OSError as error:
        raise FileFormatError(f"{printable(str(path))} could not be opened: {error.strerror}.") from None
    if not hdf5:
        raise FileFormatError(f"{printable(path.name)} is not HDF5; it looks like {looks_like(path)}.")
    try:
        if not trusted:
            return watched_hdf5(path)
        try:
            return h5py.File(path, "r", locking=False, rdcc_nbytes=32 * 1024**2)
        except (TypeError, ValueError):  # an HDF5 library that cannot choose
            return h5py.File(path, "r", rdcc_nbytes=32 * 1024**2)
        except OSError as error:
            if "locking flag" not in str(error):
                raise
            return h5py.File(path, "r", rdcc_nbytes=32 * 1024**2)  # open already in this process, with a lock
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        if "truncated" in reason:
            size = os.path.getsize(path)
            words = f"is cut off after {size} bytes; download or copy it again"
        else:
            words = "is a damaged HDF5 file, or is still being written; download or copy it again"
        raise FileFormatError(f"{printable(path.name)} {words} ({printable(reason, 240)}).") from None


def resolve(file: h5py.File, name: str, path: Path, allow_external: bool = False) -> h5py.Group | h5py.Dataset:
    """The object called `name`, step by step, so that no link leads to another file unnoticed."""
    here: Any = file
    with hdf5_errors(path):
        todo, hops = name.split("/")[::-1], 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            link = here.get(part, getlink=True) if isinstance(here, h5py.Group) and part in _keys(here) else None
            if link is None:
                raise FileFormatError(
                    f"there is no {printable(name)!r} in {printable(path.name)}. {inventory(file, path)}"
                )
            if isinstance(link, h5py.ExternalLink) and not allow_external:
                raise FileFormatError(_refusal(path, part, link.filename))
            if isinstance(link, h5py.SoftLink):
                hops += 1
                if hops > 16:
                    raise FileFormatError(f"the links of {printable(name)!r} in {printable(path.name)} go in a circle.")
                todo += link.path.split("/")[::-1]
                here = file if link.path.startswith("/") else here
                continue
            try:
                here = here[part]
            except (KeyError, OSError, RuntimeError) as error:
                if not isinstance(link, h5py.ExternalLink):
                    raise
                raise FileFormatError(
                    f"{printable(part)!r} in {printable(path.name)} takes its data from another file, "
                    f"{printable(link.path)!r} in {printable(link.filename)!r}, which cannot be opened "
                    f"({printable(' '.join(str(error).split()), 240)}); put that file where the link leads."
                ) from error
    return here


def readable_dataset(found: Any, path: Path, allow_external: bool = False) -> h5py.Dataset:
    """`found` when it is a dataset whose values can be read from this file."""
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise FileFormatError(f"{printable(str(getattr(found, 'name', found)))!r} in {path.name} holds no array.")
    if not allow_external and (found.is_virtual or found.external):
        sources = found.virtual_sources() if found.is_virtual else found.external
        raise FileFormatError(_refusal(path, str(found.name), str(sources[0][1 if found.is_virtual else 0])))
    said, there = float(found.size) * found.dtype.itemsize, path.stat().st_size
    if not allow_external and said > _MOST_PACKED * there:
        raise FileFormatError(
            f"{printable(str(found.name))!r} in {printable(path.name)} is said to be "
            f"{' x '.join(map(str, found.shape))} {printable(str(found.dtype), 40)}, which is {said / there:.0e} times "
            "the size of the file; it seems damaged, or hardly anything has been written yet."
        )
    filters = found.id.get_create_plist()
    for i in range(filters.get_nfilters()):
        code = filters.get_filter(i)[0]
        if not h5py.h5z.filter_avail(code):
            _plugin(code, path)
    return found


def whole(found: h5py.Dataset, key: Any = ()) -> Any:
    """The values of a dataset that is read at once, or of its part `key`, if there is memory for all of it."""
    check_memory(float(found.size or 0) * found.dtype.itemsize, printable(str(found.name)))
    return found[key]


def check_all(file: h5py.File, path: Path) -> None:
    """Refuse a file, all of which is to be read, that leads to other files or says to hold more than memory does."""
    needed, outside = 0.0, external_links(file)
    for name, found in walk(file):
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            needed += float(found.size) * found.dtype.itemsize
            outside += [printable(name)] if found.is_virtual or found.external else []
    if outside:
        raise FileFormatError(
            f"{printable(path.name)} takes {outside[0]} from another file, which nothing saved by ptywidgets does; "
            "it is not opened."
        )
    check_memory(needed, printable(path.name))


def walk(file: h5py.File, allow_external: bool = False) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Every group and dataset once, parents first; links that leave the file only when allowed."""
    todo: list[tuple[str, Any, int]] = [("", file, 0)]
    seen: set[Any] = set()
    while todo and len(seen) < _MOST_OBJECTS:
        path, here, depth = todo.pop()
        # not h5o.get_info: it measures the tree of a group as well, from node to node, for ever if they lie in a ring
        info = h5py.h5g.get_objinfo(here.id)
        if (info.fileno, info.objno) in seen:
            continue
        seen.add((info.fileno, info.objno))
        yield path, here
        if not isinstance(here, h5py.Group) or depth >= _DEEPEST:
            continue
        for key in reversed(_keys(here)):
            link = here.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink) or (isinstance(link, h5py.ExternalLink) and not allow_external):
                continue
            try:
                child = here[key]
            except (KeyError, OSError, RuntimeError):  # a link to nowhere
                continue
            if isinstance(child, (h5py.Group, h5py.Dataset)):
                todo.append((f"{path}/{key}" if path else key, child, depth + 1))


def member(group: h5py.Group, name: str) -> Any:
    """A child that lies in this file, or None: asking must not open another file."""
    if name not in _keys(group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    child = group[name]
    if isinstance(child, h5py.Dataset) and (child.shape is None or child.is_virtual or child.external):
        return None
    return child


def external_links(file: h5py.File) -> list[str]:
    """Descriptions of the links that lead to other files."""
    return [
        f"{printable(f'{path}/{key}'.strip('/'))!r} -> {printable(link.filename)!r}"
        for path, group in walk(file)
        if isinstance(group, h5py.Group)
        for key in _keys(group)
        if isinstance(link := group.get(key, getlink=True), h5py.ExternalLink)
    ]


def linked_files(found: h5py.Dataset, path: Path) -> tuple[str, ...]:
    """Absolute paths of the other files that hold the values of a dataset: by a link, or in parts."""
    here = hdf5_path(found.file) or path
    names = [here]
    if found.is_virtual:
        names += [here.parent / part.file_name for part in found.virtual_sources() if part.file_name != "."]
    elif found.external:
        names += [here.parent / os.fsdecode(part[0]) for part in found.external]
    return tuple(dict.fromkeys(str(name.absolute()) for name in names if name.absolute() != path.absolute()))


def datasets(file: h5py.File, allow_external: bool = False) -> list[Entry]:
    """Path, shape and type of every dataset."""
    return [
        Entry(path, tuple(int(n) for n in found.shape), found.dtype)
        for path, found in walk(file, allow_external)
        if isinstance(found, h5py.Dataset) and found.shape is not None
    ]


def inventory(file: h5py.File, path: Path, allow_external: bool = False) -> str:
    """One sentence that lists what is in a file, the largest arrays first."""
    found = sorted(datasets(file, allow_external), key=lambda e: (-len(e.shape), -int(np.prod(e.shape, dtype=float))))
    if not found:
        return "It holds no datasets."
    more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
    return f"It holds: {'; '.join(str(entry) for entry in found[:8])}{more}."


def text(value: Any) -> str:
    """An attribute or a scalar string as text, whatever it is stored as."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def attribute(found: h5py.Group | h5py.Dataset, name: str) -> Any:
    """The attribute, or None where it is missing or cannot be read."""
    try:
        if name not in found.attrs or found.attrs.get_id(name).get_storage_size() > _LARGEST_ATTRIBUTE:
            return None
        return found.attrs.get(name)
    except (OSError, TypeError, RuntimeError, ValueError, KeyError):
        return None


def attributes_as_text(file: h5py.File, path: str, limit: int = 200) -> dict[str, str]:
    """Attributes of a dataset and of all its parents: ``{"group/data@units": "counts"}``."""
    parts = [part for part in path.split("/") if part]
    found: dict[str, str] = {}
    for n in range(len(parts) + 1):
        where = "/".join(parts[:n])
        here = file[where] if where else file
        try:
            names = list(here.attrs)
        except (OSError, RuntimeError, TypeError, ValueError):
            continue
        for name in names[: limit - len(found)]:
            value = attribute(here, name)
            if value is not None:
                found[f"{where}@{name}"] = text(value)[:2000]
    return found


def _keys(group: h5py.Group) -> list[str]:
    return list(group.keys())


def _refusal(path: Path, name: str, target: str) -> str:
    return (
        f"{printable(name)!r} in {printable(path.name)} takes its data from another file, {printable(target)!r}; if "
        "you trust this file, pass allow_external=True."
    )


def _plugin(code: int, path: Path) -> None:
    """Load the package that knows filters which h5py does not, or say what a file lacks."""
    kind = f"is compressed with {_FILTERS.get(code, f'filter {code}')}"
    try:
        import hdf5plugin  # noqa: F401  # it registers its filters
    except ImportError as error:
        raise missing("hdf5plugin", path, kind, error) from None
    if not h5py.h5z.filter_avail(code):
        raise FileFormatError(
            f"{printable(path.name)} {kind}, which neither h5py nor hdf5plugin knows; write it anew with another "
            "compression, such as gzip: h5repack -f GZIP=4 in.h5 out.h5."
        )
