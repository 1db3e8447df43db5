"""Aberrations and rotation from the bright field alone: the optics that explain the scan's spectra best.

Every orientation is tried with a range of defocuses, coarsely, by the share S of the spectra that they explain (see
:mod:`ptywidgets.engine.calibrate.spectra.scan_spectra`). From the best on, a damped Gauss-Newton fit finds all
coefficients and the rotation together. The rotation turned by 180 degrees, with the opposite of all aberrations,
explains the data as well; what tells the two apart is a defocus of known sign, or that atoms attract electrons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.calibrate.spectra.coarse_search import search
from ptywidgets.engine.calibrate.spectra.scan_spectra import Normal, ScanSpectra
from ptywidgets.engine.core.errors import ParameterError, unknown_name
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.rotation import wrapped_angle

TERMS = ("C10", "C12a", "C12b", "C21a", "C21b")
GROUPS = 8  # rings of frequencies of the jackknife
MODEL_ERROR = 0.01  # of the defocus: what strong phases and the specimen's thickness cost the linear model


@dataclass(frozen=True)
class OpticsFit:
    """Aberrations and rotation that explain the bright field, with what is known about them."""

    aberrations: Aberrations  # detector frame
    rotation: float  # degrees, detector to scan
    transpose: bool
    uncertainties: dict[str, float]  # one sigma, of "rotation" (degrees), "defocus" and the Cartesian coefficients (A)
    share: float  # of the spectra's energy that is explained, 0 to 1
    noise_share: float  # what wrong optics explain by chance
    phase: np.ndarray  # (Ry, Rx) rad, scan frame, of the frequencies that were used
    message: str
    told: bool | None = None  # by a search that compared all orientations; None where none was made

    @property
    def found(self) -> bool:
        """Whether the data have told anything."""
        return self.share > 2.5 * self.noise_share if self.told is None else self.told

    def flipped(self) -> OpticsFit:
        """The other reading of the same data: turned by 180 degrees, with chi and the phase of the opposite sign."""
        rotation = wrapped_angle(self.rotation + 180)
        aberrations = Aberrations(**{name: -value for name, value in self.aberrations.cartesian.items() if value})
        message = in_words(aberrations, rotation, self.transpose, self.uncertainties)
        return replace(self, aberrations=aberrations, rotation=rotation, phase=-self.phase, message=message)


@counted(strongest=1)
def find_optics(
    bright: BrightField,
    optics: Optics | None = None,
    *,
    terms: Sequence[str] = TERMS,
    rotation: float | None = None,
    transpose: bool | None = None,
    defocus: float | None = None,
    strongest: int = 320,
    bands: ScanSpectra | None = None,
) -> OpticsFit:
    """Find the aberrations, and the rotation and transpose unless they are given.

    Parameters
    ----------
    bright : BrightField
        Its own rotation and transpose are where the search begins; they are not taken for granted.
    optics : Optics, optional
        Its aberrations that are not among `terms` are kept, as they are. The sign of its defocus resolves the
        180-degree ambiguity.
    terms : sequence of str
        What is fitted: "C10", and both of "C12a" and "C12b", and so on.
    rotation, transpose : float (degrees), bool, optional
        Kept as given.
    defocus : float, optional
        Kept as given, in A.
    strongest : int
        Spatial frequencies used.
    bands : ScanSpectra, optional
        The spectra of `bright`, where they are there already.

    Returns
    -------
    OpticsFit
        Without a defocus of known sign and without a given rotation, of the two answers 180 degrees apart the one is
        returned that is nearer to the bright field's rotation.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.direct import bright_field
    >>> fit = find_optics(bright_field(samples.ducky("small")))
    >>> bool(abs(fit.rotation + 15) < 0.3), bool(abs(fit.aberrations["defocus"] - 350) < 7)
    (True, True)
    """
    terms = _checked_terms(terms)
    bands = ScanSpectra.prepare(bright, strongest) if bands is None else bands
    kept = Aberrations() if optics is None else optics.aberrations
    sign = np.sign(kept["defocus"] if defocus is None else defocus)
    few = bands.thinned(60, 200)
    start = search(bands.thinned(40, 130), bright, rotation, transpose, None if defocus is None else -defocus)
    free = [t for t in terms if not (t == "C10" and defocus is not None)]
    names = [*(["C10"] if defocus is not None else []), *free]
    others = {k: v for k, v in kept.cartesian.items() if v and k not in names}
    values = np.array([*([start.c10] + [0.0] * (len(names) - 1)), *others.values()])
    everything = [*names, *others]
    fixed = [n in others or (n == "C10" and defocus is not None) for n in everything] + [rotation is not None]
    if names[0] != "C10":
        raise ParameterError("the defocus is neither fitted nor given; put C10 among the terms or give defocus=....")
    values, angle, _ = refine(few, everything, values, start.rotation, start.transpose, np.array(fixed), 12)
    values, angle, normal = refine(bands, everything, values, angle, start.transpose, np.array(fixed), 8)
    sigma = uncertainties_of(normal, np.array(fixed), np.hypot(*bands.frequencies))
    uncertainties = dict(zip(everything, sigma[:-1].tolist(), strict=True))
    uncertainties["rotation"] = math.degrees(sigma[-1])
    if defocus is None:
        uncertainties["C10"] = math.hypot(uncertainties["C10"], MODEL_ERROR * values[0])
    uncertainties["defocus"] = uncertainties["C10"]
    aberrations = Aberrations(**{n: float(v) for n, v in zip(everything, values, strict=True) if v})
    angle = wrapped_angle(angle)
    fit = OpticsFit(
        aberrations,
        angle,
        start.transpose,
        uncertainties,
        normal.share,
        start.chance,
        bands.phase(everything, values, angle, start.transpose),
        in_words(aberrations, angle, start.transpose, uncertainties),
    )
    away = abs(wrapped_angle(fit.rotation - bright.rotation)) > 90
    if rotation is None and (sign * fit.aberrations["defocus"] < 0 or (sign == 0 and away)):
        fit = fit.flipped()
    if not fit.found:
        fit = replace(fit, message="the bright field shows too little to find the optics from; set them by hand.")
    return fit


def cannot_tell(optics: Optics, rotation: float, transpose: bool, shape: tuple[int, ...], reason: str) -> OpticsFit:
    """The fit of data that tell nothing: what is known already, and nothing of it is found."""
    uncertainties = dict.fromkeys((*TERMS, "defocus"), math.inf) | {"rotation": 90.0}
    return OpticsFit(optics.aberrations, rotation, transpose, uncertainties, 0.0, 1.0, np.zeros(shape), reason)


def _checked_terms(terms: Sequence[str]) -> tuple[str, ...]:
    known = coefficient_names()
    for term in terms:
        if term not in known:
            raise unknown_name("coefficient", term, known)
    return tuple(sorted(set(terms), key=known.index))


def refine(
    bands: ScanSpectra,
    terms: Sequence[str],
    values: np.ndarray,
    rotation: float,
    transpose: bool,
    fixed: np.ndarray,
    rounds: int,
) -> tuple[np.ndarray, float, Normal]:
    """Damped Gauss-Newton steps from a start; `fixed` (P + 1,) says which coefficients, and the rotation, are held."""
    free = np.flatnonzero(~fixed)
    normal = bands.normal(terms, values, rotation, transpose)
    damping = 1e-3
    for _ in range(rounds):
        check_stop()
        gradient, matrix = normal.gradient.sum(0)[free], normal.matrix.sum(0)[np.ix_(free, free)]
        scale = np.sqrt(np.diag(matrix).astype(np.float64)).clip(1e-30)
        matrix = matrix / np.outer(scale, scale)
        step = np.zeros(len(fixed))
        step[free] = np.linalg.solve(matrix + damping * np.eye(len(free)), gradient / scale) / scale
        new = bands.normal(terms, values + step[:-1], rotation + math.degrees(step[-1]), transpose)
        if new.share < normal.share:
            damping *= 10
            if damping > 1e3:
                break
            continue
        gain = new.share - normal.share
        values, rotation, normal = values + step[:-1], rotation + math.degrees(step[-1]), new
        damping = max(damping / 10, 1e-6)
        if gain < 1e-6 * normal.share:
            break
    return values, rotation, normal


def uncertainties_of(normal: Normal, fixed: np.ndarray, size: np.ndarray) -> np.ndarray:
    """One sigma (P + 1,): the larger of what the noise gives, and the jackknife over rings of frequencies.

    Rings of like `size` (F,), since what the model lacks errs alike on frequencies that are alike.
    """
    free = np.flatnonzero(~fixed)
    out = np.zeros(len(fixed))
    whole = normal.matrix.sum(0, dtype=np.float64)[np.ix_(free, free)]
    scale = np.sqrt(np.diag(whole)).clip(1e-30)
    inverse = np.linalg.pinv(whole / np.outer(scale, scale)) / np.outer(scale, scale)
    by_noise = np.sqrt(np.diag(inverse).clip(0) * normal.noise)
    member = np.argsort(np.argsort(size)) * GROUPS // len(size)
    moves = []
    for group in range(GROUPS):
        left = normal.matrix[member != group].sum(0)[np.ix_(free, free)] / np.outer(scale, scale)
        moves.append(np.linalg.pinv(left) @ (normal.gradient[member != group].sum(0)[free] / scale) / scale)
    spread = np.array(moves) - np.mean(moves, 0)
    out[free] = np.maximum(by_noise, np.sqrt((GROUPS - 1) / GROUPS * (spread**2).sum(0)))
    return out


def in_words(aberrations: Aberrations, rotation: float, transpose: bool, uncertainties: dict[str, float]) -> str:
    """Aberrations and rotation, each with its uncertainty, as a message tells them."""
    words = [f"defocus {aberrations['defocus']:.0f} A (+- {uncertainties['defocus']:.0f})"]
    for symbol, name in (("C12", "astigmatism"), ("C21", "coma")):
        sigma = math.hypot(*(uncertainties.get(f"{symbol}{part}", 0.0) for part in "ab")) / math.sqrt(2)
        if not math.isfinite(sigma):
            words.append(f"{name} not told")
        elif sigma:  # else it was given
            words.append(f"{name} {aberrations[symbol]:.0f} A (+- {sigma:.0f})")
    words.append(f"rotation {rotation:.2f} degrees (+- {uncertainties['rotation']:.2f})")
    return ", ".join(words) + (", transposed." if transpose else ".")
