"""Which axis of an array is which: told by marks, names and units, and put into the order (Ry, Rx, Qy, Qx).

A file or an array-like may hold its four axes in any order. Where it says what they are, they are brought into order
without a copy; where what it says makes no sense, it is refused; where it says nothing, the order is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.array_views import FlippedArray, whole_key
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, calibration_entry, unit_of
from ptywidgets.engine.io.detect_format import printable

ORDER = ("Ry", "Rx", "Qy", "Qx")
STACK = ("J", "Qy", "Qx")  # of a stack, J counts the patterns
AXES = "axes"  # the key of the metadata that says what was done to them
EVEN = 0.01  # steps that differ by more than this share of their mean are not equal
_SCAN = re.compile(r"(scan|nav|r|pos|position|probe)?[ _]*(x|y|rows?|columns?|cols?|width|height)")
_DETECTOR = re.compile(r"(d|det|detector|sig|diffraction|k|q|g|a|angle|alpha)[ _]*(x|y|rows?|columns?|cols?)|[kq][xy]?")
_ROWS = re.compile(r".*(y|rows?|height)")
_COLUMNS = re.compile(r".*(x|columns?|cols?|width)")


@dataclass(frozen=True)
class Mark:
    """What is said about one axis of an array; empty where nothing is."""

    name: str = ""
    unit: str = ""
    step: float | None = None  # in `unit`
    kind: str = ""  # "scan" or "detector" where the source says so itself
    uneven: str = ""  # in words, where the coordinates are not equally spaced
    where: str = ""

    @classmethod
    def of_coordinates(cls, values: Any, name: str, unit: str, where: str, kind: str = "") -> Mark:
        """From the coordinates along the axis, (n,); two of them may stand for the whole of a longer axis."""
        values = np.asarray(values)
        if values.ndim != 1 or values.size < 2 or values.dtype.kind not in "iuf":
            return cls(name, unit, kind=kind, where=where)
        step, uneven = spacing(values)
        return cls(name, unit, step, kind, uneven, where)

    def __str__(self) -> str:
        return " ".join(printable(part, 30) for part in (self.name, f"[{self.unit}]" if self.unit else "") if part)


def spacing(values: np.ndarray) -> tuple[float, str]:
    """Mean step of coordinates (n,), and in words how unequal the steps are; empty where they are equal.

    Examples
    --------
    >>> spacing(np.array([0, 0.5, 1.0])), spacing(np.array([0, 1.0, 4.0]))
    ((0.5, ''), (2.0, 'steps from 1 to 3'))
    """
    exact = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(exact)
        mean = float(steps.mean())
    if not (np.isfinite(exact).all() and np.isfinite(mean)):
        return float("nan"), "coordinates that are not numbers, or too large"
    rounding = np.finfo(values.dtype).eps * float(np.abs(exact).max()) if values.dtype.kind == "f" else 0.0
    if np.abs(steps - mean).max() > EVEN * abs(mean) + 4 * rounding:
        return mean, f"steps from {steps.min():.4g} to {steps.max():.4g}"
    # of equal steps the first is closest to what was meant: a mean has the rounding of the sum in it
    return float(steps[0]) if abs(steps[0] - mean) <= 1e-9 * abs(mean) else mean, ""


def found_order(marks: Sequence[Mark], what: str) -> tuple[int, ...]:
    """For each of (Ry, Rx, Qy, Qx) the axis of the array that holds it; (0, 1, 2, 3) where nothing else is said.

    Raises
    ------
    DataError
        Where the units of the first two axes cannot be those of a scan, and do not say what else they are.

    Examples
    --------
    >>> found_order([Mark("ky", "1/nm"), Mark("kx", "1/nm"), Mark("y", "nm"), Mark("x", "nm")], "data")
    (2, 3, 0, 1)
    >>> found_order([Mark("kx", "1/nm"), Mark("ky", "1/nm"), Mark("x", "nm"), Mark("y", "nm")], "data")
    (3, 2, 1, 0)
    """
    kinds = _kinds(marks)
    if kinds is None:
        odd = [i for i in (0, 1) if unit_of(marks[i].unit)[0] in ("inverse", "angle")]
        if odd and all(unit_of(m.unit)[0] in ("inverse", "angle", "") for m in marks[2:]):
            odd = []  # a scan over angles, or units of the detector alone that make no sense: order as it is
        if odd:
            raise DataError(
                f"the axes of {what} are {listed(marks)}; expected a scan in lengths and a detector in inverse lengths "
                "or angles. Say what they are: read(path, axes='Ry Rx Qy Qx') in the order of the array, or pass "
                "Dataset an array without units in the order (Ry, Rx, Qy, Qx)."
            )
        return (0, 1, 2, 3)
    scan = [i for i in range(4) if kinds[i] == "scan"]
    detector = [i for i in range(4) if kinds[i] == "detector"]
    columns_first = [_columns_first(marks, pair) for pair in (scan, detector)]
    exchanged = [*scan, *detector] != [0, 1, 2, 3]
    # a file in our order whose axes are called x, y, kx, ky calls its rows x, as py4DSTEM and abTEM do; only where
    # scan and detector are called by different rules, or the whole order is another, names say rows from columns
    if (columns_first[0] and columns_first[1] and exchanged) or (columns_first[0] and columns_first[1] is False):
        scan = scan[::-1]
    if (columns_first[0] and columns_first[1] and exchanged) or (columns_first[1] and columns_first[0] is False):
        detector = detector[::-1]
    return (*scan, *detector)


def given_order(axes: str | Sequence[str]) -> tuple[int, ...]:
    """The same from the names of the array's axes, such as "Qy Qx Ry Rx"; of a stack for each of (J, Qy, Qx).

    Examples
    --------
    >>> given_order("Qx Qy Rx Ry"), given_order("Qy Qx J")
    ((3, 2, 1, 0), (2, 0, 1))
    """
    several = axes.replace(",", " ").split() if isinstance(axes, str) else axes
    names = [str(name) for name in several] if isinstance(several, Iterable) else []
    for known in (ORDER, STACK):
        if sorted(names) == sorted(known):
            return tuple(names.index(name) for name in known)
    raise DataError(
        f"axes is {axes!r}; expected the four names Ry, Rx (scan) and Qy, Qx (detector) in the order of the array, "
        "such as axes='Qy Qx Ry Rx', or, for a stack of patterns, the three names J (number of the "
        "pattern), Qy and Qx, such as axes='Qy Qx J'."
    )


def order_in_words(order: Sequence[int], why: str) -> str:
    """What was done to the axes, for the metadata.

    Examples
    --------
    >>> order_in_words((1, 0, 3, 2), "MATLAB")
    'stored as (Rx, Ry, Qx, Qy), read as (Ry, Rx, Qy, Qx): MATLAB'
    """
    names = ORDER if len(order) == len(ORDER) else STACK
    stored = [names[list(order).index(i)] for i in range(len(names))]
    return f"stored as ({', '.join(stored)}), read as ({', '.join(names)}): {why}"


def reordered(data: Any, order: Sequence[int]) -> Any:
    """`data` with its axes in another order, without a copy."""
    if list(order) == list(range(len(order))):
        return data
    return np.transpose(data, order) if isinstance(data, np.ndarray) else Reordered(data, order)


class Reordered:
    """An array whose axis i is the axis ``order[i]`` of another one, which stays where it is."""

    def __init__(self, data: Any, order: Sequence[int]) -> None:
        self.data, self.order = data, tuple(int(axis) for axis in order)
        self.shape = tuple(int(data.shape[axis]) for axis in self.order)
        self.dtype = data.dtype
        self.ndim = len(self.shape)
        chunks = getattr(data, "chunks", None)
        self.chunks = tuple(chunks[axis] for axis in self.order) if chunks else None

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = whole_key(key, self.ndim)
        inner: list[Any] = [None] * self.ndim
        for axis, part in zip(self.order, parts, strict=True):
            inner[axis] = part
        left = [axis for axis in range(self.ndim) if isinstance(inner[axis], slice)]  # axes the block still has
        wanted = [axis for axis, part in zip(self.order, parts, strict=True) if isinstance(part, slice)]
        block = np.asarray(self.data[tuple(inner)])
        return block.transpose([left.index(axis) for axis in wanted])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def close(self) -> None:
        """Close the file behind it, where there is one."""
        getattr(self.data, "close", bool)()


def rising(marks: Sequence[Mark], scan: Sequence[int]) -> tuple[list[Mark], tuple[bool, bool]]:
    """Marks with steps above 0 along the two axes of the scan, and which of the two have been below.

    Coordinates that fall say that the axis is stored from its far end.

    Examples
    --------
    >>> marks, against = rising([Mark("y", "nm", -0.2), Mark("x", "nm", 0.2)], (0, 1))
    >>> marks[0].step, against
    (0.2, (True, False))
    """
    found = list(marks)
    rows, columns = (
        (step := marks[axis].step) is not None and step < 0 and unit_of(marks[axis].unit)[0] == "length"
        for axis in scan
    )
    for axis, turn in zip(scan, (rows, columns), strict=True):
        step = marks[axis].step
        if turn and step is not None:
            found[axis] = replace(marks[axis], step=-step)
    return found, (rows, columns)


def turned_scan(data: Any, rows: bool, columns: bool) -> Any:
    """`data` with the rows, or the columns, of its scan in the reverse order, without a copy."""
    if isinstance(data, np.ndarray):
        return data[:: -1 if rows else 1, :: -1 if columns else 1]
    return FlippedArray(data, rows=False, columns=False, scan_rows=rows, scan_columns=columns)


def axis_entries(marks: Sequence[Mark], order: Sequence[int]) -> list[CalibrationEntry]:
    """What the axes say about steps and pixels, once they are in order."""
    entries: list[CalibrationEntry] = []
    for at, axis in enumerate(order):
        mark = marks[axis]
        quantity = "scan_step" if at < 2 else "q_pixel"
        entries += calibration_entry(quantity, mark.step, mark.unit, mark.where, axis=at % 2, uneven=mark.uneven)
    return entries


def _kinds(marks: Sequence[Mark]) -> list[str] | None:
    """Kind of each axis, "scan" or "detector", by its units, its own words or its name; None where nothing says it."""
    for told in (_kind_by_unit, lambda m: m.kind, _kind_by_name):
        kinds = [told(mark) for mark in marks]
        if kinds.count("scan") == kinds.count("detector") == 2:
            return kinds
        # two detector axes by their units leave the other two for the scan; lengths may be those of a camera's pixels
        if told is _kind_by_unit and kinds.count("detector") == 2 and kinds.count("scan") == 0:
            return [kind or "scan" for kind in kinds]
    return None


def _kind_by_unit(mark: Mark) -> str:
    return {"length": "scan", "inverse": "detector", "angle": "detector"}.get(unit_of(mark.unit)[0], "")


def _kind_by_name(mark: Mark) -> str:
    name = mark.name.strip().lower()
    return "detector" if _DETECTOR.fullmatch(name) else "scan" if _SCAN.fullmatch(name) else ""


def _columns_first(marks: Sequence[Mark], pair: Sequence[int]) -> bool | None:
    """Whether of two axes the first is called x and the second y; None where the names do not say."""
    first, second = (marks[axis].name.strip().lower() for axis in pair)
    if _ROWS.fullmatch(first) and _COLUMNS.fullmatch(second):
        return False
    return True if _COLUMNS.fullmatch(first) and _ROWS.fullmatch(second) else None


def listed(marks: Sequence[Mark]) -> str:
    """Names and units, separated by commas."""
    return ", ".join(str(mark) or "unnamed" for mark in marks)
