"""What a calibration has estimated, in words: each number with its uncertainty, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ptywidgets.engine.calibrate.alternatives import Alternative
from ptywidgets.engine.calibrate.calibration_arguments import Given
from ptywidgets.engine.calibrate.coarse.refine_optics import OpticsRefinement
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit
from ptywidgets.engine.calibrate.search.verdict import LEAST, SearchResult, are_flips
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.optics.vacuum import clean_vacuum
from ptywidgets.engine.preprocess.defects.frames import Screened
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle

GIVEN = "given"
CANNOT = "cannot tell"
SET_SINCE = "set since"
FLIP = "180-degree ambiguity"
READING = ("rotation", "transpose")
FOUND = "from trial reconstructions and the bright field"
MULTISLICE = "from a coarse multislice reconstruction"
TRANSPARENT = 1000.0  # A; hardly an electron goes through more without being scattered many times


@dataclass(frozen=True)
class Estimate:
    """One estimated quantity, with its uncertainty, its source and a sentence."""

    name: str  # what it is about: "defocus", "180-degree ambiguity", ...
    value: Any
    uncertainty: float | None  # one sigma, in `unit`
    unit: str
    source: str  # where it comes from: "given", "from least curl", ...
    sentence: str
    told: Estimate | None = field(default=None, repr=False)  # what had been estimated, before another value was set


def revised(
    estimates: Sequence[Estimate], before: Mapping[str, Any], now: Mapping[str, Any], sizes: Mapping[str, Any]
) -> tuple[Estimate, ...]:
    """Estimates after numbers in use were set: what is in use now, and what had been estimated.

    Parameters
    ----------
    estimates : sequence of Estimate
    before, now : mapping of str to value
        What was in use, and what is, by the names of estimates; numbers or tuples of them. Of what is not there nothing
        is known.
    sizes : mapping of str to value
        What is shown of those in `now` that are no single number.

    Examples
    --------
    >>> found = Estimate("rotation", 20.0, 1.0, "degrees", "from least curl", "The rotation is 20 degrees (+- 1).")
    >>> (one,) = revised([found], {"rotation": 20.0}, {"rotation": 30.0}, {})
    >>> one.value, one.sentence
    (30.0, 'The rotation is 30 degrees now; 20 degrees (+- 1) had been estimated, from least curl.')
    >>> revised([one], {"rotation": 30.0}, {"rotation": 20.0}, {}) == (found,)
    True
    """
    changed = {name for name, value in now.items() if name not in before or not _alike(name, before[name], value)}
    had = {one.name: (one.told or one).value for one in estimates}
    away = [name for name in READING if name in now and name in had and not _alike(name, had[name], now[name])]
    if changed & set(READING):
        changed |= {FLIP} if "rotation" not in now else {FLIP, "rotation"}  # a rotation is found with its transpose
    out = []
    for one in estimates:
        first = one.told or one
        if one.name not in changed:
            out.append(one)
        elif one.name == FLIP:
            words = f"It is decided by the {' and the '.join(away)} that was set; before: {first.sentence}"
            told = replace(first, value="resolved", source=SET_SINCE, sentence=words, told=first)
            out.append(told if away else first)
        elif one.name == "rotation" and away == ["transpose"]:
            kinds = ("not transposed", "transposed")
            words = (
                f"The rotation is {now['rotation']:.4g} degrees still, which had been estimated with the detector "
                f"{kinds[bool(had['transpose'])]}: {first.sentence}"
            )
            out.append(replace(first, uncertainty=None, source=SET_SINCE, sentence=words, told=first))
        else:
            value = sizes.get(one.name, now[one.name])
            same = value is not None and first.value is not None and _alike(one.name, first.value, value)
            out.append(first if same else _set_since(first, value))
    return tuple(out)


def _set_since(first: Estimate, value: Any) -> Estimate:
    if first.name == "transpose":
        kinds = ("not transposed", "transposed")
        words = f"The detector is {kinds[bool(value)]} now; {kinds[bool(first.value)]} had been estimated"
    else:
        is_now = "not set any more" if value is None else f"{value:.4g} {first.unit} now"
        spread = "" if first.uncertainty is None else f" (+- {first.uncertainty:.2g})"
        had = "none" if first.value is None else f"{first.value:.4g} {first.unit}{spread}"
        words = f"The {first.name} is {is_now}; {had} had been estimated"
    return replace(
        first, value=value, uncertainty=None, source=SET_SINCE, sentence=f"{words}, {first.source}.", told=first
    )


def _alike(name: str, one: Any, other: Any) -> bool:
    """Whether two values in use are the same, but for the last digits of a fit."""
    if one is None or other is None:
        return one is other
    away = np.subtract(one, other, dtype=float)
    if name == "rotation":
        return abs(wrapped_angle(float(away))) <= 0.01
    return bool(np.all(np.abs(away) <= 1e-6 * np.maximum(1.0, np.abs(np.asarray(one, float)))))


def about_data(screened: Screened) -> list[Estimate]:
    """What was left out, and what was repaired; nothing where all is in order."""
    out = []
    dataset, notes = screened.dataset, screened.notes
    if dataset.scan_mask is not None and not dataset.scan_mask.all():
        count, total = int((~dataset.scan_mask).sum()), dataset.scan_mask.size
        told = [note.removeprefix("Left out: ") for note in notes if note.startswith("Left out: ")]
        source = "from the data" if told else GIVEN
        words = f"{count} of {total} scan positions are left out" + (f": {' '.join(told)}" if told else ", as given.")
        out.append(Estimate("positions left out", count, None, "positions", source, words))
    masked = [note for note in notes if not note.startswith("Left out: ")]
    if masked:
        count = int(screened.bad.pixels.sum())
        out.append(Estimate("pixels masked", count, None, "px", "from the data", " ".join(masked)))
    if dataset.vacuum is not None:
        clean = clean_vacuum(dataset.vacuum, dataset.mask, dataset.calibration.relative_pixels)
        if clean.sentence:
            count = int((clean.odd | clean.unmeasured).sum())
            out.append(Estimate("vacuum pattern", count, None, "px", "from its neighbours", clean.sentence))
    return out


def about_descan(measurement: Measurement, why: str) -> Estimate:
    """How far descan moved the patterns, and why a surface was taken that nobody asked for."""
    span = float(np.hypot(*np.ptp(measurement.origin, axis=(1, 2))))
    model = measurement.preparation.origin
    sentence = f"Descan moves the patterns by {span:.2f} px across the scan; a {model} is taken off" + (
        f": {why}." if why else "."
    )
    return Estimate("descan", span, None, "px", "from the centre of mass", sentence)


def about_orientation(
    measurement: Measurement,
    fit: OpticsFit,
    search: SearchResult | None,
    given: Given,
    sign_known: bool,
    cannot: str,
) -> list[Estimate]:
    """Rotation, transpose, and whether the 180-degree ambiguity is resolved; `cannot` says why the data are too few to
    tell."""
    angle, sigma = measurement.rotation, fit.uncertainties["rotation"]
    if given.rotation is not None:
        source, words, spread = GIVEN, f"The rotation, {angle:.2f} degrees, was given.", None
    elif cannot:
        source, spread = CANNOT, None
        words = f"The data cannot tell the rotation: {in_a_sentence(cannot)}. It is taken for {angle:.2f} degrees."
    elif not fit.found:
        source, spread = CANNOT, None
        words = (
            f"The data cannot tell the rotation: {untold(search)}; the centre of mass has least curl at {angle:.2f} "
            f"degrees (+- {measurement.rotation_fit.uncertainty:.1f})."
        )
    else:
        source, spread = FOUND, sigma
        words = f"With {angle:.2f} degrees (+- {sigma:.2g}) trial reconstructions explain the counts best."
    out = [Estimate("rotation", angle, spread, "degrees", source, words)]
    turned = "transposed" if measurement.transpose else "not transposed"
    source = GIVEN if given.transpose is not None else source if given.rotation is None else FOUND
    if (cannot or not fit.found) and given.transpose is None:
        source, turned = CANNOT, f"taken for {turned}; the data cannot tell"
    out.append(Estimate("transpose", measurement.transpose, None, "", source, f"The detector is {turned}."))
    other = wrapped_angle(angle + 180)
    if given.rotation is not None:
        source, words = GIVEN, "Which of two opposite rotations is true was given with the rotation."
    elif sign_known:
        source, words = (
            "from the sign of the defocus",
            f"The sign of the defocus tells {angle:.0f} from {other:.0f} degrees.",
        )
    elif fit.found and search is not None and search.by_atoms:
        source = "from the atoms"
        words = f"Atoms come out bright with {angle:.0f} degrees and would be dark with {other:.0f}."
    elif fit.found and search is not None and search.by_slices:
        source = MULTISLICE
        words = f"A thick specimen explains the counts clearly better with {angle:.0f} degrees than with {other:.0f}."
    elif fit.found and search is not None and search.flip_told:
        source = "from the counts"
        words = (
            f"A potential that attracts electrons explains the counts better with {angle:.0f} degrees than with "
            f"{other:.0f}, by {min(search.flip_margin, 99):.0f} sigma."
        )
    else:
        source = "undecided"
        words = f"The data cannot tell {angle:.0f} from {other:.0f} degrees; turn it round if atoms come out dark."
        if fit.found and search is not None and search.unresolved:
            words += " The lattice is hardly resolved: bright atoms and bright gaps explain the counts alike."
    resolved = "unresolved" if source == "undecided" else "resolved"
    out.append(Estimate(FLIP, resolved, None, "", source, words))
    return out


def about_thickness(found: ThicknessFit | None) -> list[Estimate]:
    """Of a specimen that a thin object does not describe: how thick it is, or that nobody knows."""
    if found is None:
        return []
    if not found.clear:
        words = "The data cannot tell the thickness: several slices leave about as much of them unexplained as one."
        return [Estimate("thickness", None, None, "A", CANNOT, words)]
    words = (
        f"The specimen is {found.thickness:.3g} A thick (+- {found.uncertainty:.2g}): with several slices, all alike, "
        f"{100 * found.left:.0f} % is left of the error of a thin object."
    )
    return [Estimate("thickness", found.thickness, found.uncertainty, "A", MULTISLICE, words)]


def about_lens(
    fit: OpticsFit,
    refinement: OpticsRefinement | None,
    optics: Optics,
    slices: int,
    thin: float,
    search: SearchResult | None,
    given: Given,
    cannot: str,
) -> list[Estimate]:
    """Defocus, astigmatism and coma, each with the plane or the size that its number is of.

    The defocus was found with so many slices, 0 for one plane; specimens up to `thin`, in A, are one; `cannot` says why
    the data are too few to tell.
    """
    refined = refinement is not None and refinement.accepted
    source = FOUND if fit.found else CANNOT
    value, sigma = optics.aberrations["defocus"], fit.uncertainties["defocus"]
    if given.defocus is None and not fit.found:
        why = in_a_sentence(cannot) if cannot else untold(search)
        words = f"The defocus was not found: {why}. Give it, or look for it by eye."
        out = [Estimate("defocus", None, None, "A", source, words)]
    elif given.defocus is not None:
        words = f"The defocus, {value:.4g} A, was given."
        out = [Estimate("defocus", value, None, "A", GIVEN, words)]
    else:
        if slices:
            source = MULTISLICE
        words = f"The defocus is {value:.4g} A (+- {sigma:.2g}), counted from the middle of the specimen."
        if given.thickness:
            words += f" At the entrance of the {given.thickness:.4g} A it is {value + given.thickness / 2:.4g} A."
        if slices:
            words += f" It was found with {slices} slices, all alike."
        elif refinement is not None and not refined:
            words += " A thin object does not describe these data well: take it with care."
            if thin < TRANSPARENT:
                words += (
                    f" If the specimen is thicker than {thin:.0f} A, give its thickness in A, calibrate(..., "
                    "thickness=...), to have it found with several slices."
                )
        out = [Estimate("defocus", value, sigma, "A", source, words)]
    for symbol, name in (("C12", "astigmatism"), ("C21", "coma")):
        size = optics.aberrations[symbol]
        if not fit.found or f"{symbol}a" not in given.terms:
            words = f"The {name}, {size:.3g} A, is the one that was set."
            if size:
                out.append(Estimate(name, size, None, "A", GIVEN, words))
            continue
        spread = float(np.hypot(fit.uncertainties[f"{symbol}a"], fit.uncertainties[f"{symbol}b"]) / np.sqrt(2))
        if not np.isfinite(spread):
            taken = f"{size:.3g} A, which fits best, is taken" if size else "none is assumed"
            words = f"The data cannot tell the {name}; {taken}."
            out.append(Estimate(name, None, None, "A", CANNOT, words))
            continue
        seen = "" if size > 2 * spread else ", which is none within the uncertainty"
        words = f"The {name} is {size:.3g} A (+- {spread:.2g}){seen}."
        out.append(Estimate(name, size, spread, "A", FOUND, words))
    return out


def in_a_sentence(reason: str) -> str:
    """A reason, to be put into a sentence after a colon."""
    return reason[:1].lower() + reason[1:].rstrip(".")


def untold(search: SearchResult | None) -> str:
    """Why a search has not told anything: what is left, or how near the best two are, and which they are.

    A reading and the same turned by half a turn are one to a search, so the two are never these.
    """
    if search is None or not search.alternatives:
        return "the counts show too little"
    best = search.alternatives[0]
    first, *others = (_reading(a) for a in search.alternatives if a is best or not are_flips(a, best))
    if search.hidden:
        return search.hidden
    if search.at_edge:
        return f"{first} explains the counts best, which is the widest that the detector's pixels allow"
    if search.poor:
        return (
            f"{first} explains the counts best, but leaves {search.left:.0%} of them: the specimen is no thin one, or "
            "scan step, semi-angle or energy are others"
        )
    if search.astigmatic and not search.favoured:
        return (
            f"{first} explains the counts best, with an astigmatism nearly as strong as the defocus, and not clearly "
            "enough better than others: each of the two may be the other"
        )
    if search.unresolved:
        return (
            f"{first} explains the counts best, but what it shows is a lattice of which one spatial frequency is seen, "
            "and the scan's aliases may show one, too"
        )
    if not others or search.explained <= LEAST:
        return f"{first} explains the counts best, but hardly better than no specimen at all"
    return f"{first} explains the counts hardly better than {others[0]}"


def _reading(one: Alternative) -> str:
    transposed = ", transposed," if one.transpose else ""
    return f"{one.rotation:.1f} degrees{transposed} with a defocus of {one.defocus:.0f} A"
