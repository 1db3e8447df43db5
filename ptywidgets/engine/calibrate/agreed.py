"""One set of numbers from two methods that look at different things: trial reconstructions, and the bright field.

Trials tell where the right well is, and its middle; the linear fit, begun in that well, tells the coma, too, which
trials hardly see, and goes on to tell the defocus where partial coherence blurs what trials look for. Where it has
found a coma with which trials explain the counts worse than without, it has fitted an alias of the scan, and none of it
is taken. Each has its uncertainty; they are averaged by these, and where the two disagree by more than they state, the
uncertainty is widened until they do not (the scale factor of Rosenfeld, Rev. Mod. Phys. 47, 535, 1975).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ptywidgets.engine.calibrate.search.response import parts_of
from ptywidgets.engine.calibrate.search.trial import Points, Trials
from ptywidgets.engine.calibrate.search.verdict import SWEEPS, SearchResult, margin
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit, in_words, refine, uncertainties_of
from ptywidgets.engine.calibrate.spectra.scan_spectra import ScanSpectra
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle

JACKKNIFE = 1.5  # of a block's parts, which share an object: they disagree less than they would alone
OF_DEFOCUS = 0.01  # what strong phases and the thickness of a specimen cost both methods alike
OF_DEPTH = (0.05, 0.02)  # of lambda / alpha^2: the same for a probe in focus, and for astigmatism
OF_COMA = 1.5  # a coma C21 is at the edge, 2 pi C21 alpha^3 / (3 lambda), what C10 = C21 alpha / 1.5 is there
OF_STRENGTH = 0.5  # the same times the share of counts that the specimen scatters: a strong one is no single plane
OF_ROTATION = 0.1  # degrees
OF_TRIALS = 0.025  # of the defocus: trials that are cut short, and the drawing of the aperture's edge, move the well
OF_BANDS = 0.1  # degrees: the linear fit states less than strong phases leave it
ALONE = 2.0  # of what one method says and the other cannot confirm: it has lost its way, or did not vary that number
SEEN = 3.0  # sigmas of a coma, from which on trials are asked about it
# Sigmas by which trials have to explain less with a coma, all else as it is best without, for it to be an alias: right
# ones cost up to 6, and aliases 17 to 65.
WORSE = 10.0
NEAR = (5.0, 0.2)  # degrees, and part of the defocus: a fit that goes farther has left the well


def agreed(
    found: SearchResult,
    linear: OpticsFit,
    bands: ScanSpectra,
    optics: Optics,
    terms: Sequence[str],
    held: Sequence[str],
    measurement: Measurement | None = None,
) -> OpticsFit:
    """The fit of the well that a search has found.

    Parameters
    ----------
    found : Found
    linear : OpticsFit
        Of the bright field alone, wherever it is.
    bands : ScanSpectra
        What it was fitted to.
    optics : Optics
        With the aberrations that are kept.
    terms : sequence of str
        The coefficients that were searched.
    held : sequence of str
        Those of them, or "rotation", that were given.
    measurement : Measurement, optional
        What the search was made in, to try a coma in.

    Returns
    -------
    OpticsFit
        `told` is the search's.
    """
    best = found.best
    kept = {k: v for k, v in optics.aberrations.cartesian.items() if v and k not in terms}
    values, sigmas = dict(zip(terms, best.values.tolist(), strict=True)), dict(found.uncertainties)
    values["rotation"] = best.rotation
    semiangle = bands.wavelength * bands.radius
    depth = bands.wavelength / semiangle**2
    local = _in_the_well(best.rotation, best.transpose, values, bands, terms, kept, held)
    alone, turns = 1.0, _rotation_scale(values, depth)
    if local is not None and measurement is not None and _is_refuted(local, found, measurement, optics, terms):
        local, alone = None, ALONE
    for name in (*terms, "rotation"):
        if name in held:
            sigmas[name] = 0.0
            continue
        own = alone * JACKKNIFE * sigmas[name] if sigmas[name] else math.inf  # it was not varied
        other = math.inf if local is None else local[1][name] * (1.0 if math.isfinite(own) else ALONE)
        if name == "rotation":
            other = math.hypot(other, turns * OF_BANDS)
        floor = turns * OF_ROTATION if name == "rotation" else OF_DEPTH[1] * depth * edge_scale(name, semiangle)
        if name == "C10":
            own = math.hypot(own, OF_TRIALS * values[name])
            floor = math.hypot((OF_DEPTH[0] + OF_STRENGTH * found.scattered) * depth, OF_DEFOCUS * values[name])
        between = 0.0 if local is None else local[0][name] - values[name]
        shift, sigma = _mean(between, own, other)
        values[name] += shift
        sigmas[name] = math.hypot(sigma, floor)
    angle = wrapped_angle(values.pop("rotation"))
    everything = [*terms, *kept]
    numbers = np.array([values[t] for t in terms] + list(kept.values()))
    uncertainties = {**{name: sigmas[name] for name in terms}, **dict.fromkeys(kept, 0.0)}
    uncertainties["rotation"], uncertainties["defocus"] = sigmas["rotation"], sigmas["C10"]
    aberrations = Aberrations(**{n: float(v) for n, v in zip(everything, numbers, strict=True) if v})
    return replace(
        linear,
        aberrations=aberrations,
        rotation=angle,
        transpose=best.transpose,
        uncertainties=uncertainties,
        share=bands.normal(everything, numbers, angle, best.transpose).share,
        phase=bands.phase(everything, numbers, angle, best.transpose),
        message=in_words(aberrations, angle, best.transpose, uncertainties),
        told=found.told,
    )


def edge_scale(name: str, semiangle: float) -> float:
    """What an uncertainty of the defocus has to be multiplied by to be as large a phase at the edge of the aperture.

    Parameters
    ----------
    name : str
        Cartesian, of an aberration of the second or third power of the angle, such as "C12a" or "C21b".
    semiangle : float
        rad.

    Returns
    -------
    float
        1 for defocus and astigmatism, 1.5 / semiangle for coma.

    Examples
    --------
    >>> edge_scale("C12b", 0.02), round(edge_scale("C21a", 0.02), 6)
    (1.0, 75.0)
    """
    return OF_COMA / semiangle if name.startswith("C21") else 1.0


def _rotation_scale(values: dict[str, float], depth: float) -> float:
    """By how much more the rotation is off where astigmatism moves the images of the bright field, too.

    They move by C10 k + C12 conj(k). A rotation turns both terms; of the second that is another direction of C12, so
    only the first tells it, while errors are of the size of both.
    """
    c10, c12 = abs(values["C10"]), math.hypot(values.get("C12a", 0.0), values.get("C12b", 0.0))
    return max(1.0, math.hypot(c10, c12) / max(c10, 0.5 * depth))


def _in_the_well(
    rotation: float,
    transpose: bool,
    values: dict[str, float],
    bands: ScanSpectra,
    terms: Sequence[str],
    kept: dict[str, float],
    held: Sequence[str],
) -> tuple[dict[str, float], dict[str, float]] | None:
    """What the linear fit says when it begins in a well, and its uncertainties; None where it leaves it."""
    names = [*terms, *kept]
    fixed = np.array([n in kept or n in held for n in names] + ["rotation" in held])
    start = np.array([values[t] for t in terms] + list(kept.values()))
    if fixed.all():
        return None
    numbers, angle, normal = refine(bands, names, start, rotation, transpose, fixed, 8)
    sigma = uncertainties_of(normal, fixed, np.hypot(*bands.frequencies))
    depth = bands.wavelength / (bands.wavelength * bands.radius) ** 2
    near = max(NEAR[1] * abs(values["C10"]), 0.5 * depth)
    if not (np.isfinite(numbers).all() and np.isfinite(sigma).all()):
        return None
    if abs(angle - rotation) > NEAR[0] or abs(numbers[names.index("C10")] - values["C10"]) > near:
        return None
    told = dict(zip(names, numbers.tolist(), strict=True)) | {"rotation": angle}
    return told, dict(zip([*names, "rotation"], [*sigma[:-1].tolist(), math.degrees(sigma[-1])], strict=True))


def _is_refuted(
    local: tuple[dict[str, float], dict[str, float]],
    found: SearchResult,
    measurement: Measurement,
    optics: Optics,
    terms: Sequence[str],
) -> bool:
    """Whether the coma that the linear fit is sure of makes trials explain the counts worse."""
    numbers, sigmas = local
    coma = {n: numbers[n] for n in terms if n.startswith("C21") and abs(numbers[n]) > SEEN * sigmas[n] > 0}
    if not coma:
        return False
    best = found.best.point()
    values = best.values.copy()
    for name, value in coma.items():
        values[0, list(terms).index(name)] = value
    kept = {n: v for n, v in optics.aberrations.cartesian.items() if v and n not in terms}
    trials = Trials(measurement, optics.replace(aberrations=Aberrations(**kept)), terms)
    without, having = trials.errors(Points.joined([best, replace(best, values=values)]), SWEEPS)
    return margin(without, having, parts_of(trials)) > WORSE


def _mean(between: float, own: float, other: float) -> tuple[float, float]:
    """How far to go from the own number to the other one, which is `between` on, and one sigma of where that is."""
    if not math.isfinite(other):
        return 0.0, own
    if not math.isfinite(own):
        return between, other
    square = own**2 + other**2
    if not square:
        return 0.5 * between, 0.5 * abs(between)
    share = own**2 / square
    widened = max(1.0, abs(between) / math.sqrt(square))
    return share * between, widened * own * other / math.sqrt(square)


__all__ = ["agreed", "edge_scale"]
