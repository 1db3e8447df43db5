"""Errors in words: what, got, expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class PtyError(ValueError):
    """Something the user can put right; the message says how."""

    def told(self, place: str = "code") -> str:
        """The message in the words of a place, "code", "command line" or "widget", where it depends on that."""
        return str(self)

    def about(self, words: str) -> PtyError:
        """The same error of a part, which `words` name."""
        return type(self)(f"{words}: {self}")


class DataError(PtyError):
    """The patterns themselves cannot be used: wrong shape, NaN, negative counts, empty."""


class InsufficientMemory(DataError):
    """The data, or what is made of them, need more memory than is free."""


class InsufficientData(DataError):
    """There is too little data to tell what was asked: too few scan positions, or too few detector pixels."""


class DiskNotFound(DataError):
    """A pattern shows no bright-field disk."""


class CalibrationError(PtyError):
    """A calibration is missing, impossible or contradicts another."""


class FileFormatError(PtyError):
    """A file is not what it should be, or holds no 4D-STEM data."""


class ClusterError(PtyError):
    """The workers of a cluster are gone, or are lost again and again; what was found up to then is kept."""


class FileInTheWay(FileFormatError):
    """A file would be replaced that nobody said may be.

    Parameters
    ----------
    problem : str
        The message without the advice.
    advice : str, optional
        What to do about it, where that is not the same as for everything that is saved.

    Examples
    --------
    >>> error = FileInTheWay("a.h5 already exists")
    >>> print(error)
    a.h5 already exists; pass overwrite=True to replace it, or choose another name.
    >>> error.told("command line")
    'a.h5 already exists; add --overwrite to replace it, or choose another name.'
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        self.problem, self.advice = problem, advice
        super().__init__(self.told("code"))

    def told(self, place: str = "code") -> str:
        """The message in the words of a place: "code", "command line" or "widget"."""
        asked = {"code": "pass overwrite=True to replace it, or ", "command line": "add --overwrite to replace it, or "}
        return f"{self.problem}; {self.advice or asked.get(place, '') + 'choose another name'}."

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.problem, self.advice)


class DiskCut(DataError):
    """A part of the detector would cut the bright-field disk.

    Parameters
    ----------
    problem : str
        Without advice and full stop.
    whole : tuple of int
        The part (y0, y1, x0, x1), half-open, that keeps the disk whole.

    Examples
    --------
    >>> error = DiskCut("this cuts the bright-field disk", (6, 17, 6, 17))
    >>> print(error)
    this cuts the bright-field disk; keep it whole with detector=(6, 17, 6, 17) at least, or pass cut_disk=True.
    >>> error.told("widget")
    'this cuts the bright-field disk; keep it whole with detector 6:17, 6:17 at least, or tick "cut disk".'
    """

    def __init__(self, problem: str, whole: tuple[int, ...]) -> None:
        self.problem, self.whole = problem, whole
        super().__init__(self.told("code"))

    def told(self, place: str = "code") -> str:
        """The message in the words of a place: "code", "command line" or "widget"."""
        y0, y1, x0, x1 = self.whole
        part, cut = {
            "command line": (f"--crop-detector {y0}:{y1},{x0}:{x1}", "add --cut-disk"),
            "widget": (f"detector {y0}:{y1}, {x0}:{x1}", 'tick "cut disk"'),
        }.get(place, (f"detector={self.whole}", "pass cut_disk=True"))
        return f"{self.problem}; keep it whole with {part} at least, or {cut}."

    def about(self, words: str) -> DiskCut:
        return DiskCut(f"{words}: {self.problem}", self.whole)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[int, ...]]]:
        return type(self), (self.problem, self.whole)


class ScanShapeUnknown(DataError):
    """A stack of patterns does not say in how many rows and columns it was scanned.

    Parameters
    ----------
    problem : str
        Without advice and full stop.
    likely : (int, int)
        The most nearly square raster of as many positions.

    Examples
    --------
    >>> error = ScanShapeUnknown("a.npy is a stack of 12 patterns", (3, 4))
    >>> print(error)
    a.npy is a stack of 12 patterns; pass the rows and columns of the scan: read(path, scan_shape=(3, 4)).
    >>> error.told("widget")
    'a.npy is a stack of 12 patterns; enter the rows and columns of the scan, such as 3 x 4, and open it again.'
    """

    def __init__(self, problem: str, likely: tuple[int, int]) -> None:
        self.problem, self.likely = problem, (int(likely[0]), int(likely[1]))
        super().__init__(self.told("code"))

    def told(self, place: str = "code") -> str:
        """The message in the words of a place: "code", "command line" or "widget"."""
        rows, columns = self.likely
        advice = {
            "command line": f"give the rows and columns of the scan: --scan-shape={rows},{columns}",
            "widget": f"enter the rows and columns of the scan, such as {rows} x {columns}, and open it again",
        }.get(place, f"pass the rows and columns of the scan: read(path, scan_shape={self.likely})")
        return f"{self.problem}; {advice}."

    def about(self, words: str) -> ScanShapeUnknown:
        return ScanShapeUnknown(f"{words}: {self.problem}", self.likely)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[int, int]]]:
        return type(self), (self.problem, self.likely)


class SeveralArrays(FileFormatError):
    """A file holds several arrays that could be the data.

    Parameters
    ----------
    problem : str
        Without advice and full stop.
    arrays : iterable of (str, str)
        Of each what `read` takes as ``dataset``, and what it is in words.
    said : str
        The advice in code, where that is not the usual one.
    rest : str
        A sentence after it.

    Examples
    --------
    >>> error = SeveralArrays("a.npz holds 2 arrays", [("u8", "'u8' 3 x 4 x 8 x 8"), ("u16", "'u16' 3 x 4 x 8 x 8")])
    >>> print(error)
    a.npz holds 2 arrays; say which: read(path, dataset='u8').
    >>> error.told("widget")
    'a.npz holds 2 arrays; choose one of them.'
    """

    def __init__(self, problem: str, arrays: Iterable[tuple[str, str]], said: str = "", rest: str = "") -> None:
        self.problem, self.arrays, self.rest = problem, tuple(arrays), rest
        shown = "".join(c if c.isprintable() else "\ufffd" for c in self.arrays[0][0])
        self.said = said or f"; say which: read(path, dataset={shown!r})"
        super().__init__(self.told("code"))

    def told(self, place: str = "code") -> str:
        """The message in the words of a place: "code", "command line" or "widget"."""
        advice = "; choose one of them" if place == "widget" else self.said
        return f"{self.problem}{advice}.{f' {self.rest}' if self.rest else ''}"

    def about(self, words: str) -> SeveralArrays:
        return SeveralArrays(f"{words}: {self.problem}", self.arrays, self.said, self.rest)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[tuple[str, str], ...], str, str]]:
        return type(self), (self.problem, self.arrays, self.said, self.rest)


class SeriesOfScans(DataError):
    """Data are several scans, of which one, or the sum of all, has to be chosen.

    Parameters
    ----------
    problem : str
        Without advice and full stop.
    count : int
        Of scans.

    Examples
    --------
    >>> error = SeriesOfScans("a.npy holds a series of 3 scans", 3)
    >>> error.told("widget")
    'a.npy holds a series of 3 scans; choose one of them, or the sum of all.'
    """

    def __init__(self, problem: str, count: int) -> None:
        self.problem, self.count = problem, int(count)
        super().__init__(self.told("code"))

    def told(self, place: str = "code") -> str:
        """The message in the words of a place: "code", "command line" or "widget"."""
        if place == "widget":
            return f"{self.problem}; choose one of them, or the sum of all."
        return (
            f"{self.problem}; take one of them, read(path, choose=0) to choose={self.count - 1}, or add them up, "
            "choose='sum' (--choose on the command line)."
        )

    def about(self, words: str) -> SeriesOfScans:
        return SeriesOfScans(f"{words}: {self.problem}", self.count)

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (self.problem, self.count)


class ParameterError(PtyError):
    """A parameter has an unknown name or a value out of its range."""


class UnknownAttributeError(ParameterError, AttributeError):
    """An attribute that would be set and mean nothing; an AttributeError, too, as Python has it."""


def look_up(what: str, got: Any, known: Iterable[str]) -> str:
    """The one of the known names that is meant: case, blanks, hyphens and underscores do not matter.

    Parameters
    ----------
    what : str
        What the name should name, such as ``"loss"``.
    got : str
        The name that was given.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        One of `known`, as it is written there.

    Raises
    ------
    ParameterError
        With the nearest known names, where there is none of this name.

    Examples
    --------
    >>> look_up("algorithm", "lsqml", ["PIE", "LSQ-ML"])
    'LSQ-ML'
    """
    names = list(known)
    if not isinstance(got, str):
        raise ParameterError(f"{what} is {got!r}; expected one of {', '.join(map(repr, names))}.")
    if got in names:
        return names[names.index(got)]
    meant = [name for name in names if alike(name, got)]
    if len(meant) != 1:
        raise unknown_name(what, str(got), names)
    return meant[0]


def alike(one: str, other: str) -> bool:
    """Whether two names differ in no more than case, blanks, hyphens and underscores.

    Examples
    --------
    >>> alike("conjugate gradients", "Conjugate_Gradients")
    True
    """
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " -_")


class DataWarning(UserWarning):
    """Something in the data does not count and was left out; the message says what, how much and why."""


def unknown_name(what: str, got: str, known: Iterable[str]) -> ParameterError:
    """The error for an unknown name, with the nearest known ones.

    Parameters
    ----------
    what : str
        What the name should name, such as ``"parameter of Plan"``.
    got : str
        The name that was given.
    known : iterable of str
        The names that exist.

    Examples
    --------
    >>> print(unknown_name("aberration", "defocsu", ["defocus", "C30"]))
    unknown aberration 'defocsu'; did you mean 'defocus'? Known: C30, defocus.
    """
    names = sorted(known)
    near = nearest(got, names)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    return ParameterError(f"unknown {what} {got!r}{hint} Known: {', '.join(names)}.")


def nearest(got: str, known: Iterable[str]) -> list[str]:
    """At most two of the known names that look like this one, whatever their case.

    Examples
    --------
    >>> nearest("postivity", ["Positivity", "PurePhase"])
    ['Positivity']
    """
    names = {_plain(name): name for name in sorted(known)}
    return [names[near] for near in difflib.get_close_matches(_plain(got), names, n=2, cutoff=0.6)]
