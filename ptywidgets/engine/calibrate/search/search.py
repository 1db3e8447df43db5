"""Orientation and aberrations by how well short reconstructions predict the counts, wherever in their range they lie.

Coarse to fine: every rotation, transpose and defocus on a grid about as fine as wells are wide, on a small block; of
its lowest points, among which the true one may be hidden, the other reading, half a turn on, and about them
astigmatism in all directions; from the lowest distinct points down, on a larger block, each beside its
flip; the lowest of these to the end, with astigmatism and coma. What other methods propose (curl, the linear fit to the
bright field) is tried beside the grid and judged as it is. The judge is by how much one is better than another,
position by position, in what parts of the block disagree about it; one that is not clearly better is not told. A
proposal that two methods agree on, and that stands out from a sample of the grid, is taken without the rest of it.

Small probes are tried with a binned detector first. What is followed from there is chosen by trials with the detector
as it is, and so is all that is judged. Blocks of large windows have fewer positions, and all of them only where those
do not tell which well is the right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ptywidgets.engine.calibrate.alternatives import Landscape
from ptywidgets.engine.calibrate.search.response import Bottom, bottoms, reach_of, scales_of
from ptywidgets.engine.calibrate.search.trial import WIDEST, Points, Trials
from ptywidgets.engine.calibrate.search.verdict import (
    NEARBY,
    SWEEPS,
    Known,
    SearchResult,
    is_astigmatic,
    same_well,
    verdict,
)
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics, make_aperture
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle

# Positions on a side of the block, the least, for large windows, and the most; the second where counts are few.
COARSE_SIDES, COARSE_SWEEPS = ((6, 6), (7, 8)), 2
COARSE_REACH = 1.4  # radii of the aperture, of the detector: the wells are there in half of the time
FEW = 0.5  # step of trials, below which counts are few
SIDE = (8, 11)  # the least and the most of the block on which the best are followed
ROTATIONS = (5.0, 15.0)  # degrees from one to the next, at least and at most
RATIO = 1.25  # of a defocus to the next: the well about the truth is 12 % wide on both sides
NEAR_FOCUS = 0.3  # of lambda / alpha^2: steps of the defocus where it is less than that
CELLS = 6  # distinct points of the grid that are followed
TWICE = 2  # as many are tried without binning before they are chosen
# Distinct points of the grid that are turned by half a turn, and about which astigmatism is looked for, the share of a
# well that they are apart, and how many more are followed then. Without its own astigmatism, or as its other reading,
# what is true was among the first 2 to 40 of those that are a whole well apart.
LOWEST, APART_BEFORE, MORE = 100, 0.25, 6
ASTIGMATISM, DIRECTIONS = 0.9, 8  # of lambda / alpha^2; a well reaches 0.6 on all sides, so that 0.3 to 1.4 are met
FINALISTS = 4
CONNECTED = 0.6  # the same once they have come down, where a well near focus is wide and its bottom flat
SAMPLE = 64  # points of the grid that a proposal has to stand out from
# As much as the best of them it has to explain, and the best point of the grid as much as any other well for
# astigmatism not to be looked for. Three proposals that were wrong explained 1.3 to 1.7 times as much, right ones 1.55
# to 4.9.
OUTSTANDING, FOREMOST = 2.0, 1.2
PROVEN = 0.5  # and this share of what is no noise; wrong ones explained 0.2 to 0.52, right ones 0.54 and more


def search(
    measurement: Measurement,
    optics: Optics,
    *,
    terms: Sequence[str] = ("C10", "C12a", "C12b", "C21a", "C21b"),
    rotation: float | None = None,
    transpose: bool | None = None,
    defocus: float | None = None,
    sign: float = 0.0,
    proposals: Points | None = None,
    trusted: bool = False,
    progress: Callable[[str], object] = lambda _words: None,
) -> SearchResult:
    """Search all orientations and defocuses.

    Parameters
    ----------
    measurement : Measurement
        Its own rotation is not used.
    optics : Optics
        For the aperture, and aberrations that are not among the terms.
    terms : sequence of str
        Cartesian names of the coefficients that are looked for, "C10" the first.
    rotation, transpose, defocus : float (degrees), bool, float (A), optional
        What is known, and held.
    sign : float
        Of the defocus, where it is known; else 0.
    proposals : Points, optional
        Where other methods say it is, with values of `terms`; the most trusted first.
    trusted : bool
        Whether the first proposal may be taken without the whole grid, where it stands out.
    progress : callable
        Called with words before each part; what it raises ends the search.

    Returns
    -------
    Found

    Raises
    ------
    InsufficientData
        Where there are no counts, or no pixels, to look at.
    """
    radius, lam = _radius(measurement, optics), wavelength(measurement.calibration.require("energy"))
    known = Known(1 / (lam * radius**2), rotation, transpose, defocus, sign)
    kept = {k: v for k, v in optics.aberrations.cartesian.items() if v and k not in terms}
    lens = optics.replace(aberrations=Aberrations(**kept))
    terms = tuple(terms)
    small = _coarse(measurement, lens, terms, COARSE_SIDES[0])
    if small.step < FEW:
        small = _coarse(measurement, lens, terms, COARSE_SIDES[1])
    grid = _grid(small, radius, known)
    asked = _allowed(proposals, known, len(terms))
    thorough = not (trusted and len(asked) and _stands_out(small, grid, asked, radius, known))
    if thorough:
        progress(f"{len(grid)} orientations and defocuses")
    seen = Points.joined([asked, grid]) if thorough else asked.take([0])
    errors = small.gauge(seen, _rough(small, seen), COARSE_SWEEPS)
    spacing = _rotation_step(small, radius)
    landscape = _landscape(seen, errors, small)
    count = CELLS

    def lowest() -> Points:
        return seen.take(_distinct(seen, errors, APART_BEFORE * spacing, LOWEST, known))

    def seen_with(more: Points) -> tuple[Points, np.ndarray]:
        return Points.joined([seen, more]), np.r_[errors, _rough(small, more)]

    def followed(count: int) -> tuple[Points, np.ndarray]:
        """The lowest distinct points, by errors that are not rough, and these."""
        cells = seen.take(_distinct(seen, errors, spacing, TWICE * count, known))
        exactly = small.errors(cells, COARSE_SWEEPS).mean(1)
        lowest_first = np.argsort(exactly, kind="stable")[:count]
        return cells.take(lowest_first), exactly[lowest_first]

    if thorough and known.half_a_turn:  # strong phases fit one of two readings much better, and the grid has the other
        seen, errors = seen_with(lowest().turned())
    first, *others = (float(e) for e in followed(CELLS)[1])
    if (
        thorough
        and {"C12a", "C12b"} <= set(terms)
        and not _is_proven(small, first, min(others, default=math.inf), FOREMOST)
    ):
        progress("astigmatism about the best of them")
        seen, errors = seen_with(_astigmatic(lowest(), terms, known.depth))
        count += MORE
    progress("the best of them")
    if thorough:
        seen, errors = _nearer(small, radius, lam, followed(count)[0], known)
    cells = seen.take(_distinct(seen, errors, spacing, CELLS, known))
    favoured = asked.take([0]) if trusted and len(asked) else None
    if favoured is not None and not any(same_well(favoured, c, spacing, known) for c in cells.each()):
        cells = Points.joined([cells, favoured])
    widest = float(np.abs(grid.values[:, 0]).max()) if defocus is None else math.inf
    for least in SIDE:  # the small block tells most of them, and the whole one some more
        trials = Trials(measurement, lens, terms, side=SIDE[1], rough=True, least=least)
        wells = _bottoms(trials, radius, lam, cells, favoured, known)
        found = verdict(trials, wells, favoured, known, landscape, thorough, widest)
        if found.told or trials.side == SIDE[1]:
            break
        cells = Points.joined([well.point() for well in wells])
    return found


# ---------------------------------------------------------------------------------------------- what is looked at


def _radius(measurement: Measurement, optics: Optics) -> float:
    """Of the aperture, 1/A."""
    shape = measurement.patterns.shape[-2:]
    energy = measurement.calibration.require("energy")
    aperture = make_aperture(optics, shape, measurement.sampling, energy)
    area = int(np.count_nonzero(aperture > 0.5 * aperture.max()))
    q = [1 / (n * s) for n, s in zip(shape, measurement.sampling, strict=True)]
    return math.sqrt(max(area, 1) * q[0] * q[1] / math.pi)


def _coarse(measurement: Measurement, lens: Optics, terms: tuple[str, ...], sides: tuple[int, int]) -> Trials:
    return Trials(measurement, lens, terms, side=sides[1], reach=COARSE_REACH, rough=True, least=sides[0])


def _rough(trials: Trials, points: Points) -> np.ndarray:
    """Errors (K,) of points, of those that fit it with the binned detector."""
    return trials.errors(points, COARSE_SWEEPS, trials.fit_binned(points)).mean(1)


def _rotation_step(trials: Trials, radius: float) -> float:
    """Degrees between rotations of the grid: the block's edge moves by what the aperture, of a radius, resolves."""
    return float(np.clip(2.2 * math.degrees(0.5 / radius / reach_of(trials)), *ROTATIONS))


def _grid(trials: Trials, radius: float, known: Known) -> Points:
    half = 0.5 * trials.n * float(min(trials.sampling))  # of the window, A
    farthest = WIDEST * half * radius * known.depth  # over the semi-angle in rad, 1 / (radius depth)
    sizes: list[float] = [0.0]
    while sizes[-1] < farthest:
        sizes.append(max(sizes[-1] + NEAR_FOCUS * known.depth, sizes[-1] * RATIO))
    defoci = np.array([*[-s for s in sizes[:0:-1]], *sizes])
    if known.defocus is not None:
        defoci = np.array([known.defocus])
    elif known.sign:
        defoci = defoci[defoci * known.sign >= 0]
    turn = 180.0 if known.half_a_turn else 360.0
    count = math.ceil(turn / _rotation_step(trials, radius))
    rotations = np.arange(count) * turn / count if known.rotation is None else np.array([known.rotation])
    transposes = np.array([False, True] if known.transpose is None else [known.transpose])
    t, r, d = (a.ravel() for a in np.meshgrid(transposes, rotations, defoci, indexing="ij"))
    values = np.zeros((len(r), len(trials.terms)))
    values[:, trials.terms.index("C10")] = -d
    return Points(r.astype(float), t.astype(bool), values)


def _astigmatic(points: Points, terms: Sequence[str], depth: float) -> Points:
    """Some points with every astigmatism of the grid in the place of their own."""
    first, second = terms.index("C12a"), terms.index("C12b")
    out = []
    for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        values = points.values.copy()
        values[:, first], values[:, second] = ASTIGMATISM * depth * np.array([np.cos(angle), np.sin(angle)])
        out.append(replace(points, values=values))
    return Points.joined(out)


def _allowed(proposals: Points | None, known: Known, size: int) -> Points:
    """Proposals that do not contradict what is known."""
    if proposals is None:
        return Points(np.zeros(0), np.zeros(0, bool), np.zeros((0, size)))
    ok = np.ones(len(proposals), bool)
    if known.transpose is not None:
        ok &= proposals.transpose == known.transpose
    if known.rotation is not None:
        ok &= [abs(wrapped_angle(r - known.rotation)) < 1e-6 for r in proposals.rotation]
    return proposals.take(ok)


def _stands_out(trials: Trials, grid: Points, asked: Points, radius: float, known: Known) -> bool:
    """Whether the first proposal is better than any of a sample of the grid, and far from what is usual there."""
    rng = np.random.default_rng(0)
    sample = grid.take(np.sort(rng.choice(len(grid), min(SAMPLE, len(grid)), replace=False)))
    first = asked.take(slice(0, 1))
    errors = trials.errors(Points.joined([first, first.turned(), sample]), COARSE_SWEEPS).mean(1)
    own = float(errors[:2].min() if known.half_a_turn else errors[0])
    spacing = _rotation_step(trials, radius)
    others = errors[2:][[not same_well(first, sample.take([i]), spacing, known) for i in range(len(sample))]]
    if len(others) < 8:
        return False
    times = OUTSTANDING if len(grid) > SAMPLE else FOREMOST  # of a small grid the sample misses nothing
    return _is_proven(trials, own, float(others.min()), times)


def _is_proven(trials: Trials, own: float, next_best: float, times: float) -> bool:
    """Whether trials of an error explain so much, and so much more than the next best, that it needs no more search."""
    least = max(times * (trials.nothing - next_best), PROVEN * (trials.nothing - trials.noise))
    return trials.nothing - own > least


def _distinct(points: Points, errors: np.ndarray, spacing: float, count: int, known: Known) -> list[int]:
    """Indices of the lowest points that are not of one well."""
    chosen: list[int] = []
    for index in np.argsort(errors, kind="stable"):
        one = points.take([int(index)])
        if not any(same_well(one, points.take([c]), spacing, known) for c in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen


# ---------------------------------------------------------------------------------------------- down the wells


def _nearer(small: Trials, radius: float, lam: float, cells: Points, known: Known) -> tuple[Points, np.ndarray]:
    """Points of the grid moved towards the bottoms of their wells, as far as the small block tells, with their errors:
    on the larger block the wells are narrower than the grid's steps."""
    free, scales = _free(small, known, "C10", "C12", "rotation"), scales_of(small, radius, lam)
    moved = Points.joined([b.point() for b in bottoms(small, cells, scales, free, sweeps=COARSE_SWEEPS, rough=2)])
    both = Points.joined([cells, moved])
    errors = small.errors(both, COARSE_SWEEPS).mean(1)
    lower = errors.reshape(2, -1).argmin(0) * len(cells) + np.arange(len(cells))
    return both.take(lower), errors[lower]


def _free(trials: Trials, known: Known, *names: str) -> np.ndarray:
    """Which of the values and the rotation may change, of those whose names begin with some."""
    movable = np.array([*(t != "C10" or known.defocus is None for t in trials.terms), known.rotation is None])
    return movable & np.array([any(t.startswith(n) for n in names) for t in (*trials.terms, "rotation")])


def _bottoms(
    trials: Trials, radius: float, lam: float, cells: Points, favoured: Points | None, known: Known
) -> list[Bottom]:
    """The distinct wells of some points: all as far as orientation and defocus go, the lowest with astigmatism."""
    scales = scales_of(trials, radius, lam)
    spacing = _rotation_step(trials, radius)
    cells = _better_ways_round(trials, cells, known)
    plain, whole = _free(trials, known, "C10", "rotation"), _free(trials, known, "C10", "C12", "rotation")
    wells = bottoms(trials, cells, scales, plain, sweeps=SWEEPS, rough=2)
    exactly = trials.errors(Points.joined([w.point() for w in wells]), SWEEPS).mean(1)
    wells = _apart([replace(w, error=float(e)) for w, e in zip(wells, exactly, strict=True)], spacing, known)
    few = [w.point() for w in wells[:FINALISTS]]
    if favoured is not None:
        few += [w.point() for w in wells[FINALISTS:] if same_well(favoured, w.point(), NEARBY, known)]
    lowest = bottoms(trials, Points.joined(few), scales, whole, sweeps=SWEEPS, rough=1)
    if known.transpose is None and known.rotation is None and {"C10", "C12a", "C12b"} <= set(trials.terms):
        strong = [w.point() for w in lowest if is_astigmatic(w.point(), trials.terms)]
        if strong:  # the same images lie as far apart with the other transpose, defocus and astigmatism exchanged
            others = _better_ways_round(trials, Points.joined(strong).exchanged(trials.terms), known)
            lowest += bottoms(trials, others, scales, whole, sweeps=SWEEPS, rough=1)
    lowest = _apart(lowest, spacing, known)
    near = CONNECTED * spacing
    return lowest + [w for w in wells if not any(same_well(w.point(), f.point(), near, known) for f in lowest)]


def _better_ways_round(trials: Trials, points: Points, known: Known) -> Points:
    """Of the two readings of each point the one that fits better: from here on they are told apart."""
    if not known.half_a_turn:
        return points
    flips = points.turned()
    both = trials.errors(Points.joined([points, flips]), SWEEPS).mean(1).reshape(2, -1)
    return Points.joined([(flips if b else points).take([i]) for i, b in enumerate(both.argmin(0))])


def _apart(wells: list[Bottom], spacing: float, known: Known) -> list[Bottom]:
    """Those that have not come down to where a lower one is, the lowest first."""
    chosen: list[Bottom] = []
    for well in sorted(wells, key=lambda w: w.error):
        if not any(same_well(well.point(), c.point(), CONNECTED * spacing, known) for c in chosen):
            chosen.append(well)
    return chosen


def _landscape(points: Points, errors: np.ndarray, trials: Trials) -> Landscape:
    rotation = np.array([wrapped_angle(float(r)) for r in points.rotation])
    c10 = trials.terms.index("C10")
    return Landscape(rotation, points.transpose, -points.values[:, c10], errors / trials.nothing)


__all__ = ["search"]
