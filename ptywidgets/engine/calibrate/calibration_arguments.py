"""What :func:`~ptywidgets.engine.calibrate.calibrate` is given, looked at before any work is done."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.calibrate.coarse.thick import SLICE
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS
from ptywidgets.engine.core.errors import CalibrationError, ParameterError, unknown_name
from ptywidgets.engine.core.params import Parameter
from ptywidgets.engine.core.stopping import check_stop_function, takes
from ptywidgets.engine.data.calibration import in_words, single
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names
from ptywidgets.engine.preprocess.measurement import Preparation

PAIRED = "ab"  # the last letters of the two parts of a coefficient that has a direction
THICKEST = 500 * SLICE  # A: of as many slices as a model may have
# Times the detector's longer side: a disk that is wider is not the one on the detector. One that a region of the
# detector cuts is seen in part.
WIDEST_DISK = 1.5
SMALLEST_SCAN = 1.0  # times the finest detail that an aperture passes: a smaller scan has no frequency to look at
WIDEST_PROBE = 10.0  # times the box of the probe: it wraps round so often that it has no form


@dataclass(frozen=True)
class Given:
    """What a calibration is given, checked."""

    semiangle: float | None  # mrad
    q_pixel: float | tuple[float, float] | None  # 1/A
    rotation: float | None  # degrees; the preparation's, where none is given beside it
    transpose: bool | None  # likewise
    defocus: float | None  # A
    aberrations: Aberrations | None
    preparation: Preparation  # with this rotation and transpose
    origin: str | None
    thickness: float | None  # A
    refine: bool
    terms: tuple[str, ...]

    @property
    def held(self) -> dict[str, Any]:
        """What no search changes, by name; None where it is to be found."""
        return {"rotation": self.rotation, "transpose": self.transpose, "defocus": self.defocus}


def checked_start(
    dataset: Any,
    *,
    semiangle: Any,
    q_pixel: Any,
    rotation: Any,
    transpose: Any,
    origin: Any,
    defocus: Any,
    aberrations: Any,
    preparation: Any,
    thickness: Any,
    refine: Any,
    terms: Any,
    progress: Any,
    stop: Any,
) -> Given:
    """The arguments as the search takes them, refused before any pattern is read where they are none of what they can
    be.

    Raises
    ------
    ParameterError, CalibrationError
        With what was given, what was expected, and what to do.
    """
    if not isinstance(dataset, Dataset):
        raise ParameterError(
            f"a start is looked for in {_kind(dataset)}; expected a Dataset, from read(path) or Dataset(data, "
            "Calibration(...))."
        )
    check_progress(progress)
    check_stop_function(stop)
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
        unnamed = [name for name in aberrations if not isinstance(name, str)]
        if unnamed:
            raise ParameterError(
                f"aberrations has {unnamed[0]!r} for the name of a coefficient; expected names, such as "
                'Aberrations(defocus=350, C30=1e4) or {"defocus": 350, "C30": 1e4}, in A.'
            )
        aberrations = Aberrations(**aberrations)
    number = _number("defocus", defocus, "expected a finite number of A, or leave it out to have it found")
    thick = _number("thickness", thickness, "expected a number of A from 0 on, or leave it out")
    if thick is not None and thick < 0:
        raise ParameterError(f"thickness is {thickness!r}; expected a number of A from 0 on, or leave it out.")
    if thick is not None and thick > THICKEST:
        raise ParameterError(
            f"thickness is {thick:.3g} A; expected a number of A from 0 to {THICKEST:.0f}: 10 nm are 100 A."
        )
    switch, names = Parameter("refine", True, type=bool).check(refine), _checked_terms(terms, number is not None)
    others = {"rotation": rotation, "transpose": transpose, "origin": origin}
    Preparation().replace(**{name: value for name, value in others.items() if value is not None})
    given = {name: value for name, value in (("semiangle", semiangle), ("q_pixel", q_pixel)) if value is not None}
    check_sizes(dataset.with_calibration(**given) if given else dataset, number, aberrations)
    wanted = Preparation() if preparation is None else preparation
    rotation = wanted.rotation if rotation is None else rotation
    transpose = wanted.transpose if transpose is None else transpose
    wanted = wanted.replace(rotation=rotation, transpose=transpose)
    return Given(semiangle, q_pixel, rotation, transpose, number, aberrations, wanted, origin, thick, switch, names)


def check_sizes(dataset: Dataset, defocus: float | None = None, aberrations: Aberrations | None = None) -> None:
    """Refuse a calibration, or a lens, with which disk, scan and probe have sizes that no experiment has.

    Work and memory grow with these sizes, so they are looked at first; of what is not known nothing is said.

    Parameters
    ----------
    dataset : Dataset
    defocus : float, optional
        In A.
    aberrations : Aberrations, optional

    Raises
    ------
    CalibrationError, ParameterError

    Examples
    --------
    >>> from ptywidgets import samples
    >>> check_sizes(samples.ducky("tiny").with_calibration(q_pixel=1e-9))
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.CalibrationError: with a semi-angle of 20 mrad, 80 keV and q_pixel = 1e-09 1/A the \
bright-field disk has a radius of 4.79e+08 pixels; expected one of 0.5 to 48 on a detector of 64 x 64 pixels: check \
q_pixel (1/A, not 1/nm), semiangle (mrad) and energy (eV), or leave out q_pixel or semiangle to have it found from the \
disk.
    """
    known, shape = dataset.calibration, dataset.detector_shape
    if known.energy is None:
        return
    aperture = None if known.semiangle is None else math.sin(1e-3 * known.semiangle) / known.wavelength  # 1/A
    if aperture is not None and known.q_pixel is not None:
        radii, most = [aperture / width for width in known.q_pixels], WIDEST_DISK * max(shape) / 2
        if not all(0.5 <= radius <= most for radius in radii):
            size = in_words(single(tuple(radii)), 3)
            raise CalibrationError(
                f"with a semi-angle of {known.semiangle:g} mrad, {1e-3 * known.energy:g} keV and q_pixel = "
                f"{in_words(known.q_pixel)} 1/A the bright-field disk has a radius of {size} pixels; expected one of "
                f"0.5 to {most:g} on a detector of {shape[0]} x {shape[1]} pixels: check q_pixel (1/A, not 1/nm), "
                "semiangle (mrad) and energy (eV), or leave out q_pixel or semiangle to have it found from the disk."
            )
    box = None if known.q_pixel is None else 1 / min(known.q_pixels)  # A
    if known.scan_step is not None:
        along = [(step, n) for step, n in zip(known.scan_steps, dataset.scan_shape, strict=True) if n > 1]
        if box is not None and along and max(step for step, _ in along) > box:
            raise CalibrationError(
                f"scan_step is {in_words(known.scan_step)} A; expected less than {box:.3g} A, the width of the box "
                f"that a detector pixel of {in_words(single(known.q_pixels))} 1/A leaves the probe: farther apart, "
                "positions have nothing in common. Check scan_step (A: 0.4 nm is 4.0) and q_pixel (1/A)."
            )
        extent = max((step * n for step, n in along), default=math.inf)
        if aperture is not None and extent < SMALLEST_SCAN / (2 * aperture):
            raise CalibrationError(
                f"scan_step is {in_words(known.scan_step)} A, so that the whole scan is {extent:.3g} A wide; expected "
                f"more than {SMALLEST_SCAN / (2 * aperture):.3g} A, the finest detail that an aperture of "
                f"{known.semiangle:g} mrad passes. Check scan_step (A: 0.4 nm is 4.0) and semiangle (mrad)."
            )
    if aperture is not None and box is not None and known.semiangle is not None:
        _check_probe(defocus, aberrations, 1e-3 * known.semiangle, box)


def _check_probe(defocus: float | None, aberrations: Aberrations | None, semiangle: float, box: float) -> None:
    """Refuse an aberration that makes the probe many times wider than its box; `semiangle` in rad, `box` in A."""
    lens = {} if aberrations is None else {name: abs(value) for name, value in aberrations.cartesian.items() if value}
    named = {"defocus": abs(lens.pop("C10", 0.0)), **lens}
    if defocus is not None:
        named["defocus"] = abs(defocus)
    for name, size in named.items():
        order = 1 if name == "defocus" else int(name[1])
        most = WIDEST_PROBE * box / (2 * semiangle**order)  # rays at the edge are off by size semiangle^order
        if size > most:
            raise ParameterError(
                f"{name} is {size:.3g} A in size, which makes the probe {2 * size * semiangle**order:.3g} A wide, in a "
                f"box of {box:.3g} A; expected at most {most:.3g} A of it with this semi-angle and detector pixel. "
                f"Check {name} (A: 50 nm is 500), semiangle (mrad) and q_pixel (1/A)."
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
    if progress is not None and not takes(progress, "words"):
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


__all__ = ["Given", "check_progress", "check_sizes", "checked_start"]
