"""What a search may be believed: by how much the best of some wells is better than the others, and than its flip.

Two wells are compared position by position, in what parts of the block disagree about their difference. Chance, a model
that is not the specimen's, and the edge of the range each have a rule of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from ptywidgets.engine.calibrate.alternatives import Alternative, Landscape
from ptywidgets.engine.calibrate.search.response import Bottom, parts_of
from ptywidgets.engine.calibrate.search.trial import Points, Trials
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess.rotation import wrapped_angle

SWEEPS = 3  # of the trials that are followed and compared
APART = (2.5, 0.25)  # in steps of the rotation, and of the defocus: points that are nearer are of one well
IN_FOCUS = 0.6  # of lambda / alpha^2: the same where the defocus is small
NEARBY = 15.0  # degrees, the step in which what two methods agree on is looked for again among the wells
EDGE = 0.95  # of the widest defocus: what lies there may lie beyond
UNEXPLAINED = 0.05  # of the counts, beyond twice the noise: with more left, the model is not the specimen's
CLEAR = (3.0, 6.0)  # sigmas by which the best has to be better than another to count as told: usually, and
LITTLE = 0.15  # where less than this share of what is no noise is explained, and chance has its say
# Sigmas by which the best has to be better than its flip, from which only the second order of the phase, and its sign,
# tell it; with less the atoms have to say so, too.
FLIP = 6.0
# Stated sigmas that make one: what the model lacks is alike in all parts of the block, which do not disagree about it.
# With it the probabilities of alternatives are as often right as they say (437 variants, benchmarks/calibration.py).
UNSEEN = 2.0
ASTIGMATIC = 0.3  # astigmatism over defocus, from which on each may be the other: it has to be clearer, CLEAR[1]
FRINGES = 0.7  # share of a phase that has one spatial frequency: a lattice whose atoms are not resolved
LEAST = 0.03  # of what an empty object leaves: with less explained, wells of the noise are as deep
MUCH = 1.08  # as much as any other but its flip it has to explain, too: one in a well that is none is hardly better


@dataclass(frozen=True)
class Known:
    """What somebody has told a search."""

    depth: float  # lambda / alpha^2, A
    rotation: float | None
    transpose: bool | None
    defocus: float | None
    sign: float

    @property
    def half_a_turn(self) -> bool:
        """Whether a point's flip is another reading, or contradicts what is known."""
        return self.rotation is None and self.defocus is None and not self.sign


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search has found."""

    best: Bottom
    uncertainties: dict[str, float]  # one sigma, of the terms (A) and "rotation" (degrees)
    alternatives: tuple[Alternative, ...]  # the best first
    landscape: Landscape
    told: bool  # whether the best is clearly better than all others but its flip
    flip_told: bool  # whether it is clearly better than its flip
    margin: float  # sigmas to the next but its flip
    flip_margin: float  # sigmas to its flip
    thorough: bool  # whether the whole grid was looked at
    explained: float  # of what an empty object leaves, the share that the best explains
    scattered: float  # of the counts, what an empty object leaves beyond noise: how strongly the specimen scatters
    left: float  # of the counts, what the best leaves beyond noise
    poor: bool  # whether that is so much that the model is not the specimen's
    at_edge: bool  # whether the best is at the edge of the range: what is true may lie beyond
    astigmatic: bool  # whether its astigmatism is strong, and it is not clear enough for that
    favoured: bool = False  # whether curl and linear fit have proposed it, both
    hidden: str = ""  # what of the disk is masked, in words, where that may have misled it
    unresolved: bool = False  # whether only a lattice's first reflections are seen, which are bright and dark alike
    by_slices: bool = False  # whether it is what a thick specimen scatters many times
    by_atoms: bool = False  # whether it is the atoms, bright on a coarse reconstruction, that tell it from its flip

    def with_fringes(self, share: float) -> SearchResult:
        """The same where so large a share of the phase has one spatial frequency: a lattice that is hardly resolved.

        From :data:`FRINGES` on, potentials that attract electrons fit bright atoms and bright gaps alike, and it is not
        told from its flip. Such fringes fit many an alias of a coarse scan, too: without another method that says the
        same, nothing is told.
        """
        if share <= FRINGES or self.poor:
            return self
        return replace(self, told=self.told and self.favoured, flip_told=False, unresolved=True)

    def with_atoms(self, peaks: float) -> SearchResult:
        """The same where atoms tell it from its flip, by the skewness of a phase that is beyond chance; where they are
        dark it is the flip, unless counts say otherwise by so much that the two contradict each other."""
        if self.flip_told or self.poor or self.unresolved or not math.isfinite(self.flip_margin) or not peaks:
            return self
        if peaks < 0 and self.flip_margin >= CLEAR[0]:
            return self
        return replace(self._turned() if peaks < 0 else self, flip_told=True, by_atoms=True)

    def with_slices(self, turned: bool) -> SearchResult:
        """The same where a thick specimen tells it from its flip, or that it is the flip."""
        return replace(self._turned() if turned else self, flip_told=True, by_slices=True)

    def _turned(self) -> SearchResult:
        """With the flip of the best in its place, where there is one."""
        readings = list(self.alternatives)
        flip = next((i for i, one in enumerate(readings) if are_flips(one, readings[0])), None)
        if flip is None:
            return self
        first, other = readings[0], readings.pop(flip)
        readings[0] = replace(first, probability=other.probability)  # they were those of the counts of one plane
        readings.insert(0, replace(other, probability=first.probability))
        return replace(self, best=self.best.flipped(), alternatives=tuple(readings))


def same_well(a: Points, b: Points, spacing: float, known: Known) -> bool:
    """Whether two points lie in one well, or in a well and its flip's."""
    if bool(a.transpose[0]) != bool(b.transpose[0]):
        return False
    apart = abs(wrapped_angle(float(a.rotation[0] - b.rotation[0])))
    one, other = float(a.values[0, 0]), float(b.values[0, 0])
    near = max(APART[1] * max(abs(one), abs(other)), IN_FOCUS * known.depth)
    if apart < APART[0] * spacing and abs(one - other) < near:
        return True
    return known.half_a_turn and 180 - apart < APART[0] * spacing and abs(one + other) < near


def verdict(
    trials: Trials,
    wells: list[Bottom],
    favoured: Points | None,
    known: Known,
    landscape: Landscape,
    thorough: bool,
    widest: float,
) -> SearchResult:
    """Judge wells by trials at their bottoms.

    Parameters
    ----------
    trials : Trials
    wells : list of Bottom
        Distinct ones.
    favoured : Points, optional
        The one that two other methods agree on: it is believed where the counts do not speak against it.
    known : Known
    landscape : Landscape
        What has been seen on the way.
    thorough : bool
        Whether that is the whole range.
    widest : float
        Defocus at the edge of the range, A.

    Returns
    -------
    SearchResult
    """
    tried = Points.joined([w.point() for w in wells])
    errors = trials.errors(Points.joined([tried, tried.turned()] if known.half_a_turn else [tried]), SWEEPS)
    wells, ours, turned = _right_way_round(wells, errors, known)
    part = parts_of(trials)
    order = np.argsort(ours.mean(1), kind="stable")
    first = int(order[0])
    margins = np.array([margin(ours[first], e, part) for e in ours])
    least = float(np.delete(margins, first).min(initial=math.inf))
    explained = trials.nothing - ours.mean(1)
    most = float(np.delete(explained, first).max(initial=0.0))
    clear = CLEAR[0] if float(explained[first]) > LITTLE * (trials.nothing - trials.noise) else CLEAR[1]
    enough = max(MUCH * most, LEAST * trials.nothing)
    told = least >= clear and float(explained[first]) > enough
    rivals = [
        i for i in order if i != first and margins[i] < clear and _is_exchanged(wells[i], wells[first], known, trials)
    ]
    likely = [] if rivals else [i for i in order if margins[i] < CLEAR[0] and _is(favoured, wells[i], known)]
    if not told and likely:
        first, told = int(likely[0]), True
    best = wells[first]
    left = float(ours[first].mean()) - trials.noise
    poor, at_edge = left > UNEXPLAINED + trials.noise, abs(float(best.values[0])) > EDGE * widest
    free = known.transpose is None and known.rotation is None and {"C12a", "C12b"} <= set(trials.terms)
    astigmatic = free and is_astigmatic(best.point(), trials.terms) and least < CLEAR[1]
    flip_margin = math.inf if turned is None else margin(ours[first], turned[first], part)
    readings = [(w.point(), e, _chance(m)) for w, e, m in zip(wells, ours, margins, strict=True)]
    readings[first] = (best.point(), ours[first], 1.0)
    if turned is not None:
        readings.append((best.point().turned(), turned[first], _chance(flip_margin)))
    alternatives = _alternatives(readings, trials)
    taken = alternatives.pop(first)
    return SearchResult(
        best,
        dict(zip((*trials.terms, "rotation"), best.sigma.tolist(), strict=True)),
        (taken, *sorted(alternatives, key=lambda a: (-a.probability, a.misfit))),
        landscape,
        told and not at_edge and (_is(favoured, best, known) or not (poor or astigmatic)),
        flip_margin >= FLIP and (turned is None or not poor),
        least,
        flip_margin,
        thorough,
        1 - float(ours[first].mean()) / trials.nothing,
        max(0.0, trials.nothing - trials.noise),
        left,
        poor,
        at_edge,
        astigmatic,
        _is(favoured, best, known),
    )


def are_flips(one: Alternative, other: Alternative) -> bool:
    """Whether one is the other turned by half a turn, with the opposite defocus."""
    apart = abs(wrapped_angle(one.rotation - other.rotation))
    return one.transpose == other.transpose and apart > 179.9 and one.defocus * other.defocus <= 0


def is_astigmatic(point: Points, terms: Sequence[str]) -> bool:
    """Return whether defocus and astigmatism are so alike that the other transpose, with the two exchanged, is likely.

    Examples
    --------
    >>> [is_astigmatic(Points(np.zeros(1), np.zeros(1, bool), np.array([[300.0, 0, c]])), ("C10", "C12a", "C12b"))
    ...  for c in (20.0, 200.0)]
    [False, True]
    """
    values = dict(zip(terms, point.values[0].tolist(), strict=True))
    return math.hypot(values["C12a"], values["C12b"]) > ASTIGMATIC * abs(values["C10"])


def _is_exchanged(well: Bottom, best: Bottom, known: Known, trials: Trials) -> bool:
    """Whether a well is another one's with the other transpose, defocus and astigmatism exchanged."""
    if not {"C12a", "C12b"} <= set(trials.terms) or not is_astigmatic(best.point(), trials.terms):
        return False
    return same_well(best.point().exchanged(trials.terms), well.point(), NEARBY, known)


def _is(favoured: Points | None, well: Bottom, known: Known) -> bool:
    return favoured is not None and same_well(favoured, well.point(), NEARBY, known)


def _right_way_round(
    wells: list[Bottom], errors: np.ndarray, known: Known
) -> tuple[list[Bottom], np.ndarray, np.ndarray | None]:
    """Each well as the better of its two readings, the errors of that, and of the other one; None where it is known."""
    if not known.half_a_turn:
        return wells, errors, None
    ours, turned = errors.reshape(2, len(wells), -1)
    flipped = turned.mean(1) < ours.mean(1)
    wells = [well.flipped() if other else well for well, other in zip(wells, flipped, strict=True)]
    return wells, np.where(flipped[:, None], turned, ours), np.where(flipped[:, None], ours, turned)


def _chance(margin: float) -> float:
    """How probable a reading is, for one of the best: that it is worse by so many sigmas by chance."""
    return float(2 * ndtr(-max(margin, 0.0) / UNSEEN))


def _alternatives(readings: list[tuple[Points, np.ndarray, float]], trials: Trials) -> list[Alternative]:
    total = sum(weight for *_, weight in readings)
    return [
        Alternative(
            wrapped_angle(float(point.rotation[0])),
            bool(point.transpose[0]),
            -float(point.values[0, trials.terms.index("C10")]),
            float(errors.mean() / trials.nothing),
            float(weight / total),
            Aberrations(**{t: float(v) for t, v in zip(trials.terms, point.values[0], strict=True) if v}),
        )
        for point, errors, weight in readings
    ]


def margin(best: np.ndarray, other: np.ndarray, part: np.ndarray) -> float:
    """By how much one is better than another, in the uncertainty that the parts of the block leave of it.

    Parameters
    ----------
    best, other : ndarray (J,)
        Errors of the positions of the block.
    part : ndarray (J,) int
        Which part of it each is in.
    """
    difference = other - best
    groups = np.unique(part)
    if len(groups) < 2:
        return 0.0
    without = np.array([difference[part != g].mean() for g in groups])
    spread = math.sqrt((len(groups) - 1) / len(groups) * float(((without - without.mean()) ** 2).sum()))
    return float(difference.mean()) / max(spread, 1e-30)


__all__ = ["LEAST", "NEARBY", "SWEEPS", "Known", "SearchResult", "are_flips", "is_astigmatic", "same_well", "verdict"]
