"""The eight ways in which detector and scan may lie to each other, each with what speaks for it.

For either transpose there are four rotations a quarter turn apart. Curl tells the even from the odd ones; which optics
explain the bright field tells much more, also where curl ties. Half a turn is told by neither: it takes a defocus of
known sign, or atoms that attract electrons. Where a scan is coarser than the lattice both may be wrong, and trial
reconstructions, which have searched for a start, are believed rather than these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from ptywidgets.engine.calibrate.alternatives import Alternative
from ptywidgets.engine.calibrate.coarse.refine_optics import refine_optics
from ptywidgets.engine.calibrate.spectra.coarse_search import defocus_grid
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit, find_optics
from ptywidgets.engine.calibrate.spectra.scan_spectra import ScanSpectra
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.bright_field import BrightField, bright_field
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement, prepare
from ptywidgets.engine.preprocess.rotation import curl_share, find_rotation, integrate, rotate_vectors, wrapped_angle

NEARBY = (-10.0, -5.0, 0.0, 5.0, 10.0)  # degrees about the angle of least curl, which noise may have moved
DOUBT = 0.02  # confidence left to a flip that the atoms speak against
RIVAL = 0.2  # of the confidence of the best: with as much another one is worth a look
APART = 10.0  # degrees: the bright field disagrees with the trials
SURE = 0.9  # confidence from which on the best counts as told


@dataclass(frozen=True)
class Candidate:
    """One orientation of the detector."""

    rotation: float  # degrees, detector to scan
    transpose: bool
    curl: float  # share of the deflection's energy that is divergence-free: 0 for a gradient
    likelihood: float  # share of the bright field's modulation that the best defocus explains with it
    score: float  # the same, from 0 (chance) to 1 (the best of the eight)
    confidence: float  # of the eight together 1
    phase: np.ndarray  # (Ry, Rx) float32, rad, integrated centre of mass


@dataclass(frozen=True)
class Orientation:
    """The eight candidates compared."""

    candidates: tuple[Candidate, ...]
    best: int
    confidence: float  # of the best
    flip_resolved: bool  # whether the 180-degree ambiguity was resolved
    message: str

    @property
    def rotation(self) -> float:
        """Degrees, of the best."""
        return self.candidates[self.best].rotation

    @property
    def transpose(self) -> bool:
        """Of the best."""
        return self.candidates[self.best].transpose


def find_orientation(
    source: Dataset | BrightField,
    measurement: Measurement | None = None,
    optics: Optics | None = None,
    *,
    fit: OpticsFit | None = None,
    flip_told: bool | None = None,
    trials: Sequence[Alternative] = (),
) -> Orientation:
    """Compare the eight orientations.

    Parameters
    ----------
    source : Dataset or BrightField
        A dataset's bright field is gathered, in one more pass over the data.
    measurement : Measurement, optional
        Where the centre of mass is taken from, and the patterns for resolving the 180-degree ambiguity by the atoms.
    optics : Optics, optional
        The sign of its defocus, if it has one, resolves the 180-degree ambiguity.
    fit : OpticsFit, optional
        From :func:`find_optics`, where it is there already; it is one of the candidates then.
    flip_told : bool, optional
        With `fit`: whether the 180-degree ambiguity is resolved from it already; by default a coarse reconstruction is
        asked.
    trials : sequence of Alternative
        What a search for a start says, with nothing of the orientation given: its probabilities are the confidence
        then, and curl and bright field only tell how far they agree.

    Returns
    -------
    Orientation

    Examples
    --------
    >>> from ptywidgets import samples
    >>> found = find_orientation(samples.ducky("small"))
    >>> len(found.candidates), bool(abs(found.rotation + 15) < 0.3), found.transpose
    (8, True, False)
    """
    if isinstance(source, Dataset):
        measurement = measurement or prepare(source)
        optics = optics or Optics.from_dataset(source)
        source = bright_field(source, measurement)
    com = _deflection(source) if measurement is None else measurement.com
    steps = source.scan_steps
    curls = {t: find_rotation(com, t, steps).rotation for t in (False, True)}
    sign = np.sign(0.0 if optics is None else optics.aberrations["defocus"])
    if fit is None:
        fit = find_optics(source, optics)
        if sign == 0 and not trials and measurement is not None and optics is not None and fit.found:
            fit, flip_told = tell_flip(measurement, optics, fit)
    told = bool(sign) if flip_told is None else flip_told
    bands = ScanSpectra.prepare(source, 60, 200)
    grid = defocus_grid(bands)
    angles = {t: fit.rotation if t == fit.transpose and fit.found else curls[t] for t in curls}
    near = {t: (0.0,) if t == fit.transpose and fit.found else NEARBY for t in curls}
    for one in reversed(trials):  # of each transpose the most probable comes last
        angles[one.transpose], near[one.transpose] = one.rotation, (0.0,)
    shares: dict[tuple[bool, int], tuple[np.ndarray, float]] = {}
    for transpose in (False, True):
        nearby = near[transpose]
        for quarter in (0, 1):
            tried = []
            for off in nearby:
                angle = angles[transpose] + 90 * quarter + off
                every = bands.shares_by_defocus(angle, transpose, grid)
                tried.append((every[:, int(every.sum(0).argmax())], angle))
            shares[transpose, quarter] = max(tried, key=lambda item: float(item[0].sum()))
            nearby = (shares[transpose, quarter][1] - angles[transpose] - 90 * quarter,)  # the next is a quarter on
    candidates = []
    top = max(shares.values(), key=lambda item: float(item[0].sum()))[0]
    chance = min(fit.noise_share, 0.9 * float(top.sum()))
    for (transpose, _), (share, angle) in shares.items():
        difference = top - share
        spread = math.sqrt(float((difference**2).sum()))
        weight = 1.0 if spread == 0 else 2 * float(ndtr(-float(difference.sum()) / spread))
        for half in (0, 180):
            rotation = wrapped_angle(angle + half)
            kept = transpose == fit.transpose and abs(wrapped_angle(rotation - fit.rotation)) < 45
            opposite = transpose == fit.transpose and abs(wrapped_angle(rotation - fit.rotation)) > 135
            belief = (1 - DOUBT) if told and kept else DOUBT if told and opposite else 0.5
            likelihood = float(share.sum())
            candidates.append(
                Candidate(
                    rotation,
                    transpose,
                    curl_share(com, rotation, transpose, steps),
                    likelihood,
                    min(1.0, max(0.0, (likelihood - chance) / (float(top.sum()) - chance))),
                    weight * belief,
                    integrate(rotate_vectors(com, rotation, transpose), steps).astype(np.float32),
                )
            )
    if trials:
        candidates = [replace(c, confidence=_probability(c, trials)) for c in candidates]
    total = sum(c.confidence for c in candidates)
    ordered = tuple(
        sorted(
            (replace(c, confidence=c.confidence / total) for c in candidates),
            key=lambda c: (c.transpose, c.rotation % 360),
        )
    )
    # Of a fit and its flip that nothing tells apart the fit's is taken, as it is by find_optics; or the start's.
    taken = trials[0].rotation if trials else fit.rotation
    best = max(
        range(8), key=lambda i: (round(ordered[i].confidence, 6), -abs(wrapped_angle(ordered[i].rotation - taken)))
    )
    if trials:
        words = _by_trials(ordered, best, fit)
        return Orientation(ordered, best, ordered[best].confidence, ordered[best].confidence > SURE, words)
    return Orientation(ordered, best, ordered[best].confidence, told, _in_words(ordered, best, told, fit))


def tell_flip(measurement: Measurement, optics: Optics, fit: OpticsFit) -> tuple[OpticsFit, bool]:
    """Of a fit and its flip the one with bright atoms on a coarse reconstruction, and whether that is beyond chance."""
    refinement = refine_optics(measurement, optics, fit, rounds=2)
    return (fit.flipped() if refinement.peaks < 0 else fit), refinement.peaks_clear


def _probability(candidate: Candidate, trials: Sequence[Alternative]) -> float:
    """Of all that a search has found in the quarter of a turn about a candidate."""
    alike = (t for t in trials if t.transpose == candidate.transpose)
    return float(sum(t.probability for t in alike if abs(wrapped_angle(t.rotation - candidate.rotation)) < 45))


def _by_trials(candidates: tuple[Candidate, ...], best: int, fit: OpticsFit) -> str:
    first = candidates[best]
    rival = max((c for c in candidates if c is not first), key=lambda c: c.confidence)
    words = f"{_named(first)}, explains the counts best, in the trial reconstructions of the start"
    if rival.confidence > RIVAL * first.confidence:
        words = f"{words}, but {_named(rival)}, hardly less: compare the images"
    apart = abs(wrapped_angle(2 * (fit.rotation - first.rotation))) / 2  # neither tells half a turn
    if fit.transpose == first.transpose and apart < APART:
        return f"{words}."
    alone = f"{fit.rotation:.0f} degrees, {'' if fit.transpose else 'not '}transposed"
    return f"{words}. The bright field alone speaks for {alone}, which is less sure: it knows no specimen."


def _named(candidate: Candidate) -> str:
    return f"{candidate.rotation:.2f} degrees, {'' if candidate.transpose else 'not '}transposed"


def _deflection(bright: BrightField) -> np.ndarray:
    """Centre of mass (2, Ry, Rx) 1/A of the bright field alone."""
    total = np.maximum(bright.images.sum(0), 1e-12)
    return np.stack([np.tensordot(bright.tilts[:, i], bright.images, 1) / total for i in (0, 1)])


def _in_words(candidates: tuple[Candidate, ...], best: int, told: bool, fit: OpticsFit) -> str:
    first = candidates[best]
    words = f"{first.rotation:.2f} degrees" + (", transposed" if first.transpose else ", not transposed")
    if not fit.found:
        return f"The data cannot tell the orientation; {words}, has the least curl. Set it by hand."
    rivals = [
        c for c in candidates if abs(wrapped_angle(c.rotation - first.rotation)) < 135 or c.transpose != first.transpose
    ]
    rival = max((c for c in rivals if c is not first), key=lambda c: c.confidence)
    if rival.confidence > RIVAL * first.confidence:
        as_well = f"{rival.rotation:.0f} degrees" + (", transposed" if rival.transpose else ", not transposed")
        return f"{words} fits best, but {as_well}, hardly less: compare the images."
    if not told:
        other = wrapped_angle(first.rotation + 180)
        return f"{words}; the data cannot tell it from {other:.2f}: turn it where atoms are dark."
    return f"{words} explains the data best."
