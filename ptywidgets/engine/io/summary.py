"""What a file is, before it is opened: format, shape, type, which calibration it has and from where, what is missing.

Whatever stands against opening it is part of the answer, as the same error that :func:`ptywidgets.read` raises, and so
is what it asks for: how a stack was scanned, which of several arrays is meant.
"""

from __future__ import annotations

import dataclasses
import math
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ptywidgets.engine.core.asked import QUANTITIES, AskingError
from ptywidgets.engine.core.errors import (
    DataWarning,
    FileFormatError,
    PtyError,
    ScanShapeUnknown,
    SeriesOfScans,
    SeveralArrays,
    unknown_name,
)
from ptywidgets.engine.core.files import checked_path
from ptywidgets.engine.data.calibration import CALIBRATED, NAMES, Calibration, in_words
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes, sizes
from ptywidgets.engine.data.source import Stated
from ptywidgets.engine.io import ARGUMENTS, contents, read
from ptywidgets.engine.io.arrays.lazy import likely_scan_shape
from ptywidgets.engine.io.calibration_entries import origins, resolve_calibration
from ptywidgets.engine.io.detect_format import existing_path, is_hdf5, is_store, looks_like, printable
from ptywidgets.engine.io.formats.containers import npz
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, member, open_hdf5
from ptywidgets.engine.io.formats.registry import format_of

READ_WHOLE = ("matlab", "topspin", "npz")  # formats that are, or may be, read whole as they are opened
LARGE = 200e6  # bytes on disk: of more, one of these is not read in order to tell what it is
PATIENCE = 2.0  # s
_LABELS = {"energy": ("energy", "keV"), "q_pixel": ("q pixel", "1/A")}  # as fields have them, where that is otherwise
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class FileSummary:
    """What a file is, in numbers and words.

    Parameters
    ----------
    path : Path
    kind : {"data", "reconstruction", "folder", "other"}
        What it was taken for. A folder is one that is no data set.
    format : str
        Name of its format; empty where none is known.
    shape : tuple of int
        (Ry, Rx, Qy, Qx); of a stack whose scan is not known (J, Qy, Qx), of a series (T, Ry, Rx, Qy, Qx); () where it
        is not known.
    dtype : str
        Of a pixel.
    nbytes : int
        Of all patterns, in memory.
    on_disk : int
        Bytes of the file; of a folder, and of several files, of what was named. 0 where it cannot be asked for.
    calibration : Calibration
    stated : tuple of Stated
        Of each number of the calibration that is known, where it came from.
    vacuum, left_out : str
        Where a vacuum pattern was found, and what masks leave out, in words; empty for none.
    notes : tuple of str
        What reading it warned of.
    asked : tuple of str
        Arguments of `read` that it needs, or that it was given for that: ``scan_shape``, ``dataset``, ``choose``,
        ``dtype``, ``detector_shape``, or a calibration such as ``energy``.
    likely : (Ry, Rx), optional
        A raster of as many positions as a stack has.
    arrays : tuple of (str, str)
        Of each array that may be the data what `read` takes as ``dataset``, and what it is in words.
    scans : int
        Of a series; 0 where there is none.
    error : PtyError, optional
        Why it cannot be opened like this.
    reading : mapping
        How it was read, as for `read`.
    headline, text : str
        One line, and a few, about the data set; empty where it could not be opened.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/stack.npy", np.ones((12, 8, 8), np.uint16))
    >>> summary = summarise(f"{folder.name}/stack.npy")
    >>> summary.can_open, summary.shape, summary.asked, summary.likely
    (False, (12, 8, 8), ('scan_shape',), (3, 4))
    >>> summary = summarise(f"{folder.name}/stack.npy", scan_shape=(3, 4), energy=80e3)
    >>> summary.can_open, summary.shape, summary.missing
    (True, (3, 4, 8, 8), ('scan_step', 'semiangle', 'q_pixel'))
    >>> folder.cleanup()
    """

    path: Path
    kind: str = "other"
    format: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    nbytes: int = 0
    on_disk: int = 0
    calibration: Calibration = field(default_factory=Calibration)
    stated: tuple[Stated, ...] = ()
    vacuum: str = ""
    left_out: str = ""
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    likely: tuple[int, int] | None = None
    arrays: tuple[tuple[str, str], ...] = ()
    scans: int = 0
    error: PtyError | None = None
    reading: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    headline: str = ""
    text: str = ""

    @property
    def can_open(self) -> bool:
        """Whether it can be opened, read as it was here."""
        return self.error is None and self.kind in ("data", "reconstruction")

    @property
    def missing(self) -> tuple[str, ...]:
        """What a reconstruction needs, and neither the file nor the data tell: of two where one is enough, both."""
        known = self.calibration
        if self.kind != "data" or not self.shape:
            return ()
        needed = tuple(name for name in ("energy", "scan_step") if getattr(known, name) is None)
        either = tuple(name for name in ("semiangle", "q_pixel") if getattr(known, name) is None)
        return needed + (either if len(either) == 2 else ())

    def to_give(self, place: str = "code") -> str:
        """What has to be given to reconstruct these data, in the words of a place; empty where nothing has.

        Examples
        --------
        >>> FileSummary(Path("a.blo"), "data", shape=(3, 4, 8, 8)).to_give("widget")
        'To reconstruct, give: energy (keV), scan step (A), and one of: semi-angle (mrad), q pixel (1/A)'
        """
        return ", ".join(self._lines(place)[0])

    def found(self, place: str = "code") -> str:
        """What the file does not say and is found from the data, in the words of a place."""
        return self._lines(place)[1]

    def needs(self, place: str = "code") -> list[str]:
        """What has to be given to reconstruct these data, and what is found from them, as sentences without a stop.

        Parameters
        ----------
        place : {"code", "command line", "widget"}
            In whose words.

        Examples
        --------
        >>> known = Calibration(energy=80e3, semiangle=20)
        >>> FileSummary(Path("a.mib"), "data", shape=(3, 4, 8, 8), calibration=known).needs("widget")[0]
        'To reconstruct, give: scan step (A)'
        """
        give, found = self._lines(place)
        better = []
        if not self.vacuum:
            way = {"command line": "--vacuum FILE (vacuum pattern)", "code": "vacuum=path (vacuum pattern)"}
            better = [f"Better than an aperture that is drawn: {way.get(place, 'a vacuum pattern')}"]
        return [*give, found, *better]

    def _lines(self, place: str) -> tuple[list[str], str]:
        def listed(names: list[str]) -> str:
            return ", ".join(_named(name, place) for name in names)

        known = self.calibration
        needed = [name for name in ("energy", "scan_step") if getattr(known, name) is None]
        absent = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
        found = ["defocus", "rotation", "transpose"]
        lines = []
        if len(absent) == 1:
            found = absent + found
        if needed:
            lines.append(f"To reconstruct, give: {listed(needed)}")
        if len(absent) == 2:
            lines.append(f"{'and one of' if needed else 'To reconstruct, give one of'}: {listed(absent)}")
        return lines, f"Not in the file, and found from the data unless you give it: {listed(found)}"

    def problem(self, place: str = "code") -> str:
        """Why it cannot be opened, in the words of a place; empty where it can."""
        if self.error is None:
            return ""
        if place == "widget" and "dtype" in self.asked and not self.reading:
            name = printable(self.path.name)
            return f"{name} is binary data of an unknown format; if they are bare numbers, fill in how they lie."
        return self.error.told(place)

    def rows(self) -> list[tuple[str, str]]:
        """What is known, as pairs of a name and words.

        Examples
        --------
        >>> energy = Stated("energy", 80e3, "from the file (header)")
        >>> data = FileSummary(Path("a.blo"), "data", "a blockfile", (3, 4, 64, 64), "uint8", 49152,
        ...     calibration=Calibration(energy=80e3), stated=(energy,))
        >>> dict(data.rows())["energy"], dict(data.rows())["scan step"]
        ('80 keV, from the file (header)', 'not known')
        """
        rows = [("format", self.format)] if self.format else []
        if self.shape:
            *before, qy, qx = self.shape
            what = {1: "stack", 2: "scan", 3: "series of scans"}.get(len(before), "data")
            unit = "patterns" if len(before) == 1 else "positions"
            rows.append((what, f"{sizes(tuple(before))} {unit}" if before else "one pattern"))
            rows.append(("detector", f"{qy} x {qx} px, {self.dtype}"))
        size = [f"{in_bytes(self.on_disk)} on disk"] if self.on_disk else []
        size += [f"{in_bytes(self.nbytes)} as counts"] if self.nbytes else []
        rows += [("size", ", ".join(size))] if size else []
        if self.kind != "data" or not self.shape:
            return rows
        where = {one.name: one.where for one in self.stated}
        for name in CALIBRATED:
            value, quantity = getattr(self.calibration, name), QUANTITIES[name]
            words = "not known"
            if value is not None:
                shown = f"{value / 1e3:g} keV" if name == "energy" else f"{in_words(value, 4)} {quantity.unit}"
                words = f"{shown}, {where.get(name, 'given')}"
            rows.append((_LABELS.get(name, (quantity.title,))[0], words))
        rows.append(("vacuum pattern", self.vacuum or "none"))
        if self.left_out:
            rows.append(("left out", self.left_out))
        return rows

    def describe(self, place: str = "code") -> str:
        """All of it as text: what it is, or why it cannot be opened, and what is still to be given."""
        lines = [self.headline or printable(str(self.path))]
        lines += [self.text] if self.text else [f"{name:<15} {words}" for name, words in self.rows()]
        if self.error is not None:
            lines.append(self.problem(place))
        elif self.kind == "data" and self.shape:
            lines += self.needs(place)
        return "\n".join([*lines, *self.notes])


def summarise(path: str | os.PathLike[str], **reading: Any) -> FileSummary:
    """What a file is, without opening it for good; no patterns are read, but where a format can only be read whole.

    Parameters
    ----------
    path : path
        A file, or a folder.
    **reading
        How it is to be read and what is known of its calibration, as for :func:`ptywidgets.read`.

    Returns
    -------
    FileSummary
        Also of what cannot be opened, with the reason in its `error`.

    Raises
    ------
    ParameterError
        When an argument is none of those of `read`.

    Examples
    --------
    >>> summarise("nowhere.h5").problem()
    'no such file: nowhere.h5.'
    """
    for name in reading:
        if name not in (*ARGUMENTS, *NAMES):
            raise unknown_name("argument of summarise()", name, (*NAMES, *ARGUMENTS))
    reading = {name: value for name, value in reading.items() if value is not None}
    try:
        file = checked_path(path)
    except FileFormatError as error:
        return FileSummary(Path("?"), error=error, reading=reading)
    known = FileSummary(file, reading=MappingProxyType(reading), asked=_given(reading))
    try:
        known = dataclasses.replace(known, on_disk=_regular(file))
        if file.is_dir() and not is_store(file):
            known = dataclasses.replace(known, kind="folder")
        file = existing_path(file)
        if _is_saved(file):
            return dataclasses.replace(known, kind="reconstruction", format="a saved reconstruction of ptywidgets")
        large = None if {"dtype", "detector_shape"} & set(reading) else _too_large(file, reading.get("format"))
        if large is not None:
            return dataclasses.replace(known, kind="data", format=large[0], notes=(large[1],))
    except PtyError as error:
        return dataclasses.replace(known, error=error)
    except OSError as error:
        return dataclasses.replace(known, error=_unreadable(file, error))
    with _heard() as notes:
        try:
            found = summary_of(read(file, **reading))
        except PtyError as error:
            return dataclasses.replace(_refused(known, file, reading, error), notes=tuple(notes))
        except OSError as error:  # it is gone, or the disk is
            return dataclasses.replace(known, error=_unreadable(file, error))
    return dataclasses.replace(
        found, path=known.path, on_disk=known.on_disk, reading=known.reading, asked=known.asked, notes=tuple(notes)
    )


def summary_of(dataset: Dataset) -> FileSummary:
    """The same of data that are open already.

    Examples
    --------
    >>> import numpy as np
    >>> summary_of(Dataset(np.ones((2, 2, 8, 8), np.uint8), Calibration(energy=80e3, q_pixel=0.05))).missing
    ('scan_step',)
    """
    masks = ((dataset.mask, "detector pixels"), (dataset.scan_mask, "scan positions"))
    left_out = [f"{int((~mask).sum())} of {mask.size} {what}" for mask, what in masks if mask is not None]
    vacuum = ""
    if dataset.vacuum is not None:
        supplied = dataset.source.vacuum
        own = supplied is not None and supplied.path == dataset.source.path and supplied.path
        vacuum = f"in the file ({printable(supplied.dataset)})" if own and supplied is not None else str(supplied)
    return FileSummary(
        Path(dataset.path or ""),
        "data",
        dataset.source.format,
        dataset.shape,
        str(dataset.dtype),
        dataset.nbytes,
        calibration=dataset.calibration,
        stated=dataset.source.calibration,
        vacuum=vacuum,
        left_out=", ".join(left_out),
        headline=repr(dataset),
        text=dataset.describe(),
    )


# ---------------------------------------------------------------- what stands against it


def _refused(known: FileSummary, file: Path, reading: dict[str, Any], error: PtyError) -> FileSummary:
    """As much as can be told of what `read` refuses."""
    asked, likely, arrays, scans = list(known.asked), None, known.arrays, 0
    if isinstance(error, ScanShapeUnknown):
        asked, likely = [*asked, "scan_shape"], error.likely
    elif isinstance(error, SeveralArrays):
        asked, arrays = [*asked, "dataset"], error.arrays
    elif isinstance(error, SeriesOfScans):
        asked, scans = [*asked, "choose"], error.count
    elif isinstance(error, AskingError):
        asked += [name for name in error.names if name in NAMES]
    try:
        reader = format_of(file, reading.get("format"))
    except (PtyError, OSError):
        if isinstance(error, FileFormatError) and not reading and _is_binary(file):
            asked += ["dtype", "detector_shape"]
        return dataclasses.replace(known, error=error, asked=_once(asked))
    known = dataclasses.replace(known, kind="data", format=reader.NAME)
    stacks = _stacks(file) if reader.KEY in ("hdf5", "emd") and not {"dataset", "scan_shape"} & set(reading) else []
    if stacks and not asked and type(error) is FileFormatError:
        asked, arrays = ["scan_shape"], tuple((at, words) for at, words, _ in stacks) if len(stacks) > 1 else ()
        likely = likely_scan_shape(stacks[0][2])
        if len(stacks) > 1:
            asked.insert(0, "dataset")
            error = SeveralArrays(f"{printable(file.name)} holds {len(stacks)} stacks of patterns", arrays)
        else:
            name = printable(file.name)
            error = ScanShapeUnknown(f"{name} holds a stack, {stacks[0][1]}, and no scan of four axes", likely)
    known = dataclasses.replace(known, error=error, asked=_once(asked), likely=likely, arrays=arrays, scans=scans)
    if likely is None and not scans:
        return known
    return _with_stack(known, file, reading, reader, stacks)


def _with_stack(
    known: FileSummary, file: Path, reading: dict[str, Any], reader: Any, stacks: list[tuple[str, str, int]]
) -> FileSummary:
    """With shape, type and calibration of a stack, or of a series, which are known before they are a scan."""
    given = {name: reading[name] for name in NAMES if name in reading}
    at = reading.get("dataset") or (stacks[0][0] if stacks else None)
    try:
        found = reader.read(file, at, known.likely if stacks else None, False)
        calibration = resolve_calibration(found.entries, given, file.name)
    except (PtyError, OSError):
        return known
    shape = tuple(int(n) for n in found.data.shape)
    where = origins(found.entries, given)
    return dataclasses.replace(
        known,
        shape=shape,
        dtype=str(found.data.dtype.newbyteorder("=")),
        nbytes=math.prod(shape) * found.data.dtype.itemsize,
        calibration=calibration,
        stated=tuple(
            Stated(name, value, where[name])
            for name in CALIBRATED
            if name in where and (value := getattr(calibration, name)) is not None
        ),
        vacuum="" if found.vacuum is None else f"in the file ({printable(found.vacuum_at)})",
    )


def _stacks(file: Path) -> list[tuple[str, str, int]]:
    """Path, words and length of each stack of an HDF5 file that holds nothing of four axes."""
    try:
        entries = contents(file)
    except (PtyError, OSError):
        return []
    numbers = [entry for entry in entries if entry.dtype.kind in "biuf" and min(entry.shape[-2:], default=0) > 1]
    if any(len(entry.shape) > 3 for entry in numbers):
        return []
    return [(entry.path, str(entry), entry.shape[0]) for entry in numbers if len(entry.shape) == 3 and entry.shape[0]]


def _given(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for before, and answered."""
    layout = ("dtype", "detector_shape")  # of which one is of no use without the other
    answers = [name for name in ("dataset", "choose") if name in reading]
    answers += layout if any(name in reading for name in layout) else ()
    return (*answers, *(name for name in ("scan_shape", *NAMES) if name in reading))


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _regular(file: Path) -> int:
    """Bytes of a file, 0 of a folder and of what is not there; an error for what may not be opened at all, for a pipe
    would be waited for."""
    try:
        found = os.stat(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0  # which is told in better words by whoever opens it
    if stat.S_ISREG(found.st_mode):
        return found.st_size
    if not stat.S_ISDIR(found.st_mode):
        raise FileFormatError(f"{printable(str(file))} is a pipe or a device, not a file; choose a file.")
    return 0


def _is_saved(file: Path) -> bool:
    """Whether it is a saved reconstruction and nothing else."""
    if not is_hdf5(file):
        return False
    try:
        with open_hdf5(file) as opened, hdf5_errors(file):
            return len(opened) == 1 and member(opened, plain.SAVED) is not None
    except FileFormatError:
        return False  # `read` says what is wrong with it


def _too_large(file: Path, key: str | None) -> tuple[str, str] | None:
    """Name of the format, and a word on it, of a large file that can be read only as a whole."""
    if file.is_dir() or file.stat().st_size <= LARGE:
        return None
    reader = format_of(file, key)
    if reader.KEY not in READ_WHOLE:
        return None
    if reader.KEY == "npz" and all(one.info.compress_type == npz.STORED for one in npz.opened(file)):
        return None
    return reader.NAME, "It is read whole when it is opened, which takes a while; what it holds is told then."


def _is_binary(file: Path) -> bool:
    try:
        return file.is_file() and looks_like(file).startswith("binary data")
    except OSError:
        return False


def _unreadable(file: Path, error: OSError) -> FileFormatError:
    shown = printable(str(file))
    if isinstance(error, FileNotFoundError):
        return FileFormatError(f"{shown} is gone; choose another file, or copy it again.")
    if isinstance(error, PermissionError):
        return FileFormatError(f"{shown} may not be read; check its permissions.")
    return FileFormatError(f"{shown} could not be read: {printable(error.strerror or str(error))}; try again.")


def _named(name: str, place: str) -> str:
    quantity = QUANTITIES[name]
    title = f"{quantity.title}, {quantity.unit}" if quantity.unit else quantity.title
    if place == "widget":
        title, unit = _LABELS.get(name, (quantity.title, quantity.unit))
        return f"{title} ({unit})" if unit else title
    return f"{quantity.flag if place == 'command line' else quantity.code} ({title})"


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What is warned of data in the block, as sentences; other warnings are passed on.

    Two threads that change how warnings are shown would not put it back. While another one reads, of a disk that does
    not answer for ever, warnings are shown as ever and not heard here.
    """
    notes: list[str] = []
    if not _ONE_AT_A_TIME.acquire(timeout=PATIENCE):
        yield notes
        return
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            yield notes
            notes += dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, DataWarning))
    finally:
        _ONE_AT_A_TIME.release()
    for one in caught:
        if not issubclass(one.category, DataWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


__all__ = ["FileSummary", "summarise", "summary_of"]
