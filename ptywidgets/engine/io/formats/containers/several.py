"""Files that hold several arrays by name: which of them are the data, and numbers whose name says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptywidgets.engine.core.errors import FileFormatError, SeveralArrays
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.formats.hdf5.tree import Entry

SHOWN = 8  # arrays in a message


def chosen(entries: Sequence[Entry], path: Path, dataset: str | None, stack: bool) -> Entry:
    """The array called `dataset`, or the only one that can be the data.

    Parameters
    ----------
    entries : sequence of Entry
        Everything in the file, named as the user would.
    path : Path
    dataset : str, optional
    stack : bool
        Whether the shape of the scan is given, so that a stack (J, Qy, Qx) may be meant before a series.

    Raises
    ------
    FileFormatError
        When there is none, or more than one (SeveralArrays).
    """
    if dataset is not None:
        for entry in entries:
            if str(dataset).strip("/") == entry.path.strip("/"):
                return _numbers(entry, path)
        raise FileFormatError(f"{printable(path.name)} holds no array {printable(repr(dataset))}; {_held(entries)}.")
    arrays = [entry for entry in entries if entry.dtype.kind in "biuf" and 0 not in entry.shape]
    for ndim in (4, 3, 5) if stack else (4, 5, 3):
        fitting = [entry for entry in arrays if len(entry.shape) == ndim and min(entry.shape[-2:]) > 1]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise SeveralArrays(
                f"{printable(path.name)} holds {len(fitting)} arrays that could be the data: {_listed(fitting)}",
                [(entry.path, str(entry)) for entry in fitting],
            )
    raise FileFormatError(
        f"{printable(path.name)} holds no 4-D array of numbers (Ry, Rx, Qy, Qx); {_held(entries)}. If one of them is a "
        "vacuum pattern, open the data first and pass it as read(path, vacuum=...)."
    )


def chosen_pattern(entries: Sequence[Entry], path: Path, dataset: str | None) -> Entry:
    """The 2-D array called `dataset`, the one called vacuum or probe, or the only one."""
    if dataset is not None:
        return chosen(entries, path, dataset, False)
    planes = [entry for entry in entries if _is_plane(entry)]
    named = [entry for entry in planes if says_vacuum(entry.path)]
    found = planes if len(planes) == 1 else named
    if len(found) != 1:
        raise FileFormatError(
            f"{printable(path.name)} holds {len(planes) or 'no'} 2-D patterns; expected one; {_held(entries)}. Say "
            "which: read_pattern(path, dataset=...)."
        )
    return found[0]


def vacuum_of(entries: Sequence[Entry], detector_shape: Sequence[int]) -> Entry | None:
    """The only array of the detector's shape that is called vacuum or probe."""
    found = [e for e in entries if _is_plane(e) and e.shape == tuple(detector_shape) and says_vacuum(e.path)]
    return found[0] if len(found) == 1 else None


def says_vacuum(name: str) -> bool:
    """Whether an array is called a vacuum pattern or a probe."""
    return any(word in name.lower().rsplit("/", 1)[-1] for word in ("vacuum", "probe"))


def _numbers(entry: Entry, path: Path) -> Entry:
    if entry.dtype.kind not in "biuf" or 0 in entry.shape:
        raise FileFormatError(f"{entry} in {printable(path.name)} is no array of real numbers; name another one.")
    return entry


def _is_plane(entry: Entry) -> bool:
    return len(entry.shape) == 2 and entry.dtype.kind in "biuf" and min(entry.shape) > 1


def _held(entries: Sequence[Entry]) -> str:
    return f"it holds {_listed(entries)}" if entries else "it holds no array"


def _listed(entries: Sequence[Entry]) -> str:
    more = f"; and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return "; ".join(str(entry) for entry in entries[:SHOWN]) + more
