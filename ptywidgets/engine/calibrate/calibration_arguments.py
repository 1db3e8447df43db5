"""What :func:`~ptywidgets.engine.calibrate.calibrate` is given, looked at before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS
from ptywidgets.engine.core.errors import ParameterError, unknown_name
from ptywidgets.engine.core.params import Parameter
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names
from ptywidgets.engine.preprocess.measurement import Preparation

PAIRED = "ab"  # the last letters of the two parts of a coefficient that has a direction


def checked_start(
    dataset: Any,
    *,
    defocus: Any,
    aberrations: Any,
    preparation: Any,
    thickness: Any,
    refine: Any,
    terms: Any,
    progress: Any,
) -> tuple[float | None, Aberrations | None, float | None, bool, tuple[str, ...]]:
    """Defocus (A), aberrations, thickness (A), refine and terms as the search takes them.

    Calibration, rotation, transpose and origin are checked where they are set.

    Raises
    ------
    ParameterError
        With what was given, what was expected, and what to do.
    """
    if not isinstance(dataset, Dataset):
        raise ParameterError(
            f"a start is looked for in {_kind(dataset)}; expected a Dataset, from read(path) or Dataset(data, "
            "Calibration(...))."
        )
    check_progress(progress)
    if preparation is not None and not isinstance(preparation, Preparation):
        raise ParameterError(
            f"preparation is {preparation!r}; expected a Preparation, such as Preparation(rotation=-15), or leave it "
            "out."
        )
    if aberrations is not None and not isinstance(aberrations, Aberrations):
        if not isinstance(aberrations, Mapping):
            raise ParameterError(
                f"aberrations is {aberrations!r}; expected Aberrations, such as Aberrations(defocus=350), or leave "
                "them out to have them found."
            )
        aberrations = Aberrations(**aberrations)
    number = _number("defocus", defocus, "expected a finite number of A, or leave it out to have it found")
    thick = _number("thickness", thickness, "expected a number of A from 0 on, or leave it out")
    if thick is not None and thick < 0:
        raise ParameterError(f"thickness is {thickness!r}; expected a number of A from 0 on, or leave it out.")
    return (
        number,
        aberrations,
        thick,
        Parameter("refine", True, type=bool).check(refine),
        _checked_terms(terms, number is not None),
    )


def check_progress(progress: Any) -> None:
    """Refuse what cannot be called with words.

    Examples
    --------
    >>> check_progress(print)
    >>> check_progress(1)
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.ParameterError: progress is 1; expected a function that is called with words, such \
as print, or leave it out.
    """
    if progress is not None and not callable(progress):
        raise ParameterError(
            f"progress is {progress!r}; expected a function that is called with words, such as print, or leave it out."
        )


def _number(name: str, value: Any, expected: str) -> float | None:
    if value is None:
        return None
    try:
        return Parameter(name, 0.0).check(value)
    except ParameterError:
        raise ParameterError(f"{name} is {value!r}; {expected}.") from None


def _checked_terms(terms: Any, defocus_given: bool) -> tuple[str, ...]:
    """Each once, a single name as well as several; both parts of what has a direction."""
    names = (terms,) if isinstance(terms, str) else tuple(terms) if isinstance(terms, Iterable) else (terms,)
    known = coefficient_names()
    for name in names:
        if not isinstance(name, str):
            raise ParameterError(
                f"terms is {terms!r}; expected names of coefficients, such as {TERMS!r}, or leave it out."
            )
        if name not in known:
            raise unknown_name("coefficient among the terms", name, known)
    for name in names:
        other = name[:-1] + PAIRED.replace(name[-1], "")
        if name[-1] in PAIRED and other not in names:
            raise ParameterError(
                f"terms is {terms!r}, with {name} and without {other}; expected both parts of {name[:-1]}, which turn "
                f"into each other with the scan: add {other!r}."
            )
    if not defocus_given and "C10" not in names:
        raise ParameterError(
            f"terms is {terms!r}; expected 'C10', the defocus, among them: the defocus is neither fitted nor given. "
            'Put "C10" among the terms, or give defocus=....'
        )
    return tuple(dict.fromkeys(names))


def _kind(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, type(None))) else f"a {type(value).__name__}"


__all__ = ["check_progress", "checked_start"]
