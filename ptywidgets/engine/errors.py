"""Errors in words: what, got, expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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


class CalibrationError(PtyError):
    """A calibration is missing, impossible or contradicts another."""


class FileFormatError(PtyError):
    """A file is not what it should be, or holds no 4D-STEM data."""


class ParameterError(PtyError):
    """A parameter has an unknown name or a value out of its range."""


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
    near = difflib.get_close_matches(got, names, n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    return ParameterError(f"unknown {what} {got!r}{hint} Known: {', '.join(names)}.")
