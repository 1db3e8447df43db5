"""How a movie of a Direct Electron camera was scanned: its info file and its list of positions."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.io.detect_format import printable

INFO = "_info.txt"
SCAN = "_scan_coordinates.csv"
_LARGEST_INFO, _LARGEST_SCAN = 10_000_000, 200_000_000  # bytes
_MOST_POSITIONS = 100_000_000


@dataclass(frozen=True)
class DEInfo:
    """Lines ``key = value``, as text."""

    values: dict[str, str]
    name: str

    def number(self, key: str) -> float | None:
        """The value as a number; None where it is none."""
        try:
            return float(self.values.get(key, ""))
        except ValueError:
            return None

    def whole(self, key: str) -> int:
        """The value as a whole number; 0 where it is none."""
        number = self.number(key)
        return int(number) if number is not None and math.isfinite(number) and abs(number) < 2**31 else 0

    @property
    def scans(self) -> bool:
        """Whether the beam was scanned."""
        return self.values.get("Scan - Enable", "").lower() == "enable"

    @property
    def scan_shape(self) -> tuple[int, int] | None:
        """(Ry, Rx) of the positions; of the region where only one was scanned."""
        region = "ROI " if self.values.get("Scan - ROI Enable", "").lower() == "enable" else ""
        rows, columns = (self.whole(f"Scan - {region}Size {letter}") for letter in "YX")
        return (rows, columns) if rows > 0 and columns > 0 else None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(columns, rows) of a pattern."""
        columns, rows = (self.whole(f"Image Size {letter} (pixels)") for letter in "XY")
        return (columns, rows) if rows > 0 and columns > 0 else None

    @property
    def unsigned(self) -> bool:
        """Whether the bytes of the movie have no sign, which MRC itself cannot say."""
        kinds = (self.values.get(f"Autosave {how} Movie Pixel Format", "") for how in ("Counted", "Integrated"))
        return any(kind.lower() == "uint8" for kind in kinds)


@dataclass(frozen=True)
class Placing:
    """Where the patterns of a stack belong."""

    shape: tuple[int, int]  # (Ry, Rx)
    numbers: np.ndarray | None  # of the pattern at each position, (Ry, Rx) or (T, Ry, Rx); None: row by row
    why: str


def read_info(path: Path) -> DEInfo:
    """All lines of an info file."""
    text = _text(path, _LARGEST_INFO)
    pairs = (line.partition("=") for line in text.splitlines())
    return DEInfo({key.strip(): value.strip() for key, mark, value in pairs if mark}, path.name)


def read_coordinates(path: Path) -> np.ndarray:
    """(J, 2) whole numbers, column and row of each pattern."""
    lines = [line for line in _text(path, _LARGEST_SCAN).splitlines() if line.strip()]
    try:
        found = np.array([[int(part) for part in line.split(",")] for line in lines], np.int64)
    except (ValueError, OverflowError):
        found = np.empty(0, np.int64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < 1 or found.min() < 0:
        raise FileFormatError(
            f"{printable(path.name)} is no list of a column and a row of the scan, two whole numbers from 0 on in each "
            "line; positions off a raster cannot be read. Take it out of the folder, and say how the patterns were "
            "scanned: read(path, scan_shape=(rows, columns))."
        )
    return found


def frame_numbers(info: DEInfo, coordinates: np.ndarray | None, patterns: int, name: str) -> Placing | None:
    """Where each of so many patterns was taken; None where nothing says it.

    Parameters
    ----------
    info : DEInfo
    coordinates : ndarray of int, (J, 2), optional
        Columns and rows.
    patterns : int
    name : str
        Of the movie, for messages.
    """
    if coordinates is not None:
        return _listed(info, coordinates, patterns, name)
    shape = info.scan_shape
    if not info.scans or shape is None:
        return None
    kind = info.values.get("Scan - Type", "Raster")
    if kind.lower() != "raster":
        warnings.warn(
            f"{printable(info.name)} says that the scan was of the type {printable(kind, 40)!r}, not row by row, and "
            f"no list of positions ({SCAN}) lies beside {name}; the order of its patterns is not known.",
            DataWarning,
            stacklevel=4,
        )
        return None
    repeats, each = (max(1, info.whole(f"Scan - {key}")) for key in ("Repeats", "Camera Frames Per Point"))
    once = math.prod(shape)
    if repeats * each > 1 and patterns == repeats * each * once:
        order = np.arange(patterns).reshape(repeats, *shape, each)
        numbers = order.transpose(0, 3, 1, 2).reshape(repeats * each, *shape)
        return Placing(shape, numbers, f"row by row, {repeats} times with {each} patterns at each position")
    if patterns == repeats * once and repeats > 1:
        return Placing(shape, np.arange(patterns).reshape(repeats, *shape), f"row by row, {repeats} times")
    if patterns == each * once and each > 1:
        numbers = np.arange(patterns).reshape(*shape, each).transpose(2, 0, 1)
        return Placing(shape, numbers, f"row by row, {each} patterns at each position")
    return Placing(shape, None, printable(info.name))


def _listed(info: DEInfo, coordinates: np.ndarray, patterns: int, name: str) -> Placing:
    if patterns > len(coordinates) and patterns % len(coordinates) == 0:
        coordinates = np.tile(coordinates, (patterns // len(coordinates), 1))
    if patterns > len(coordinates):
        raise FileFormatError(
            f"{name} has {patterns} patterns but the list of positions beside it {len(coordinates)}; expected as many, "
            "or a multiple. Is it of another movie?"
        )
    if patterns < len(coordinates):
        warnings.warn(
            f"{name} has {patterns} patterns but the list of positions beside it {len(coordinates)}; the last "
            "positions are taken for not visited.",
            DataWarning,
            stacklevel=5,
        )
        coordinates = coordinates[:patterns]
    columns, rows = coordinates.T
    shape = info.scan_shape or (int(rows.max()) + 1, int(columns.max()) + 1)
    if rows.max() >= shape[0] or columns.max() >= shape[1] or math.prod(shape) > _MOST_POSITIONS:
        raise FileFormatError(
            f"the list of positions beside {name} goes to row {rows.max()} and column {columns.max()}, but "
            f"{printable(info.name)} says that the scan has {shape[0]} rows and {shape[1]} columns. One of them is of "
            "another movie."
        )
    places = np.ravel_multi_index((rows, columns), shape)
    order = np.argsort(places, kind="stable")
    visits = np.bincount(places)
    visits = visits[visits > 0]
    times = int(visits.max())
    if visits.min() != times:
        raise FileFormatError(
            f"the list of positions beside {name} has some {visits.min()} times and some {times} times; expected each "
            "position as often as any other. Sum the patterns of each position, and write them as a scan."
        )
    numbers = np.full((times, math.prod(shape)), -1)
    numbers[:, places[order][::times]] = np.arange(patterns)[order].reshape(-1, times).T
    why = "as the list of positions beside the movie says" + (f", {times} patterns at each" if times > 1 else "")
    return Placing(shape, numbers.reshape(*((times,) if times > 1 else ()), *shape), why)


def _text(path: Path, largest: int) -> str:
    try:
        size = path.stat().st_size
        if size <= largest:
            return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise FileFormatError(f"{printable(path.name)} cannot be read ({error.strerror or error}).") from None
    raise FileFormatError(f"{printable(path.name)} has {size} bytes; expected {largest} at most. It is something else.")
