"""Orientation and aberrations by how well short reconstructions predict the counts, wherever in their range they lie.

Coarse to fine: every rotation, transpose and defocus on a grid that misses no well, on a small block of the scan; from
the lowest distinct points down, on a larger block, each beside its twin; the lowest of these to the end, with
astigmatism and coma. What other methods propose (curl, the linear fit to the bright field) is tried beside the grid and
judged as it is. The judge is by how much one is better than another, position by position, in what parts of the block
disagree about it; one that is not clearly better is not told. A proposal that two methods agree on, and that stands out
from a sample of the grid, is taken without the rest of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.prepare.alternatives import Alternative, Landscape
from ptywidgets.engine.prepare.measurement import Measurement
from ptywidgets.engine.prepare.response import Bottom, bottoms, parts_of, reach_of, scales_of
from ptywidgets.engine.prepare.rotation import wrapped_angle
from ptywidgets.engine.prepare.trial import Points, Trials
from ptywidgets.engine.probe import Optics, make_aperture
from ptywidgets.engine.units import wavelength

COARSE_SIDES, COARSE_SWEEPS = (6, 8), 2  # positions on a side of the block; the larger one where counts are few
FEW = 0.5  # step of trials, below which counts are few
SIDE, SWEEPS = 11, 3
ROTATIONS = (5.0, 15.0)  # degrees from one to the next, at least and at most
RATIO = 1.25  # of a defocus to the next: the well about the truth is 12 % wide on both sides
NEAR_FOCUS = 0.3  # of lambda / alpha^2: steps of the defocus where it is less than that
EDGE = 0.95  # of the widest defocus: what lies there may lie beyond
WIDEST = 0.9  # of the window, that a probe may fill
CELLS = 6  # distinct points of the grid that are followed
FINALISTS = 3
APART = (2.5, 0.25)  # in steps of the rotation's grid, and of the defocus: points that are nearer are one
CONNECTED = 0.6  # the same once they have come down, where a well near focus is wide and its bottom flat
IN_FOCUS = 0.6  # of lambda / alpha^2: the same where the defocus is small
UNEXPLAINED = 0.05  # of the counts, beyond twice the noise: with more left, the model is not the specimen's
CLEAR = (3.0, 6.0)  # sigmas by which the best has to be better than another to count as told: usually, and
LITTLE = 0.15  # where less than this share of what is no noise is explained, and chance has its say
MUCH = 1.08  # as much as any other but its twin it has to explain, too: one in a well that is none is hardly better
SAMPLE = 64  # points of the grid that a proposal has to stand out from
OUTSTANDING = 1.2  # as much as the best of them, it has to explain


@dataclass(frozen=True, eq=False)
class Found:
    """What a search has found."""

    best: Bottom
    uncertainties: dict[str, float]  # one sigma, of the terms (A) and "rotation" (degrees)
    alternatives: tuple[Alternative, ...]  # the best first
    landscape: Landscape
    told: bool  # whether the best is clearly better than all others but its twin
    twin_told: bool  # whether it is clearly better than its twin
    margin: float  # sigmas to the next but its twin
    twin_margin: float  # sigmas to its twin
    thorough: bool  # whether the whole grid was looked at
    explained: float  # of what an empty object leaves, the share that the best explains
    left: float  # of the counts, what the best leaves beyond noise
    poor: bool  # whether that is so much that the model is not the specimen's
    at_edge: bool  # whether the best is at the edge of the range: what is true may lie beyond


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
) -> Found:
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
    known = _Known(_depth(measurement, optics), rotation, transpose, defocus, sign)
    others = optics.aberrations.cartesian
    kept = {k: v for k, v in others.items() if v and k not in terms}
    lens = optics.replace(aberrations=Aberrations(**kept))
    terms = tuple(terms)
    small = Trials(measurement, lens, terms, side=COARSE_SIDES[0])
    if small.step < FEW:
        small = Trials(measurement, lens, terms, side=COARSE_SIDES[1])
    grid = _grid(small, measurement, optics, known)
    asked = _allowed(proposals, known, len(terms))
    thorough = not (trusted and len(asked) and _stands_out(small, grid, asked, measurement, optics, known))
    seen, errors = asked, np.zeros(0)
    if thorough:
        progress(f"{len(grid)} orientations and defocuses")
        seen = Points.joined([asked, grid])
        errors = small.errors(seen, COARSE_SWEEPS).mean(1)
    elif len(asked):
        seen = asked.take(slice(0, 1))
        errors = small.errors(seen, COARSE_SWEEPS).mean(1)
    spacing = _rotation_step(small, measurement, optics)
    favoured = asked.take([0]) if trusted and len(asked) else None
    chosen = _distinct(seen, errors, spacing, CELLS if thorough else 1, known)
    if favoured is not None and not any(_same(favoured, seen.take([c]), spacing, known) for c in chosen):
        chosen.append(0)
    progress("the best of them")
    landscape = _landscape(seen, errors, small)
    widest = float(np.abs(grid.values[:, 0]).max())
    return _followed(measurement, lens, optics, terms, known, seen.take(chosen), favoured, landscape, thorough, widest)


# ---------------------------------------------------------------------------------------------- what is looked at


@dataclass(frozen=True)
class _Known:
    depth: float  # lambda / alpha^2, A
    rotation: float | None
    transpose: bool | None
    defocus: float | None
    sign: float

    @property
    def half_a_turn(self) -> bool:
        """Whether a point's twin is another reading, or contradicts what is known."""
        return self.rotation is None and self.defocus is None and not self.sign


def _radius(measurement: Measurement, optics: Optics) -> float:
    """Of the aperture, 1/A."""
    shape = measurement.patterns.shape[-2:]
    energy = measurement.calibration.require("energy")
    aperture = make_aperture(optics, shape, measurement.sampling, energy)
    area = int(np.count_nonzero(aperture > 0.5 * aperture.max()))
    q = [1 / (n * s) for n, s in zip(shape, measurement.sampling, strict=True)]
    return math.sqrt(max(area, 1) * q[0] * q[1] / math.pi)


def _depth(measurement: Measurement, optics: Optics) -> float:
    """Depth of field, lambda / alpha^2, A."""
    return 1 / (wavelength(measurement.calibration.require("energy")) * _radius(measurement, optics) ** 2)


def _rotation_step(trials: Trials, measurement: Measurement, optics: Optics) -> float:
    """Degrees between rotations of the grid: the block's edge moves by what the aperture resolves."""
    resolved = 0.5 / _radius(measurement, optics)
    return float(np.clip(2.2 * math.degrees(resolved / reach_of(trials)), *ROTATIONS))


def _grid(trials: Trials, measurement: Measurement, optics: Optics, known: _Known) -> Points:
    radius, lam = _radius(measurement, optics), wavelength(measurement.calibration.require("energy"))
    farthest = WIDEST * 0.5 * trials.n * float(min(trials.sampling)) / (lam * radius)
    sizes: list[float] = [0.0]
    while sizes[-1] < farthest:
        sizes.append(max(sizes[-1] + NEAR_FOCUS * known.depth, sizes[-1] * RATIO))
    defoci = np.array([*[-s for s in sizes[:0:-1]], *sizes])
    if known.defocus is not None:
        defoci = np.array([known.defocus])
    elif known.sign:
        defoci = defoci[defoci * known.sign >= 0]
    turn = 180.0 if known.half_a_turn else 360.0
    count = math.ceil(turn / _rotation_step(trials, measurement, optics))
    rotations = np.arange(count) * turn / count if known.rotation is None else np.array([known.rotation])
    transposes = np.array([False, True] if known.transpose is None else [known.transpose])
    t, r, d = (a.ravel() for a in np.meshgrid(transposes, rotations, defoci, indexing="ij"))
    values = np.zeros((len(r), len(trials.terms)))
    values[:, trials.terms.index("C10")] = -d
    return Points(r.astype(float), t.astype(bool), values)


def _allowed(proposals: Points | None, known: _Known, size: int) -> Points:
    """Proposals that do not contradict what is known."""
    if proposals is None:
        return Points(np.zeros(0), np.zeros(0, bool), np.zeros((0, size)))
    ok = np.ones(len(proposals), bool)
    if known.transpose is not None:
        ok &= proposals.transpose == known.transpose
    if known.rotation is not None:
        ok &= [abs(wrapped_angle(r - known.rotation)) < 1e-6 for r in proposals.rotation]
    return proposals.take(ok)


def _stands_out(
    trials: Trials, grid: Points, asked: Points, measurement: Measurement, optics: Optics, known: _Known
) -> bool:
    """Whether the first proposal is better than any of a sample of the grid, and far from what is usual there."""
    rng = np.random.default_rng(0)
    sample = grid.take(np.sort(rng.choice(len(grid), min(SAMPLE, len(grid)), replace=False)))
    first = asked.take(slice(0, 1))
    errors = trials.errors(Points.joined([first, first.turned(), sample]), COARSE_SWEEPS).mean(1)
    own = float(errors[:2].min() if known.half_a_turn else errors[0])
    spacing = _rotation_step(trials, measurement, optics)
    others = errors[2:][[not _same(first, sample.take([i]), spacing, known) for i in range(len(sample))]]
    if len(others) < 8:
        return False
    return trials.nothing - own > OUTSTANDING * max(trials.nothing - float(others.min()), 0.0)


def _same(a: Points, b: Points, spacing: float, known: _Known) -> bool:
    """Whether two points lie in one well, or in a well and its twin's."""
    if bool(a.transpose[0]) != bool(b.transpose[0]):
        return False
    apart = abs(wrapped_angle(float(a.rotation[0] - b.rotation[0])))
    one, other = float(a.values[0, 0]), float(b.values[0, 0])
    near = max(APART[1] * max(abs(one), abs(other)), IN_FOCUS * known.depth)
    if apart < APART[0] * spacing and abs(one - other) < near:
        return True
    return known.half_a_turn and 180 - apart < APART[0] * spacing and abs(one + other) < near


def _distinct(points: Points, errors: np.ndarray, spacing: float, count: int, known: _Known) -> list[int]:
    """Indices of the lowest points that are not of one well."""
    chosen: list[int] = []
    for index in np.argsort(errors, kind="stable"):
        one = points.take([int(index)])
        if not any(_same(one, points.take([c]), spacing, known) for c in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen


# ---------------------------------------------------------------------------------------------- down the wells


def _followed(
    measurement: Measurement,
    lens: Optics,
    optics: Optics,
    terms: Sequence[str],
    known: _Known,
    cells: Points,
    favoured: Points | None,
    landscape: Landscape,
    thorough: bool,
    widest: float,
) -> Found:
    trials = Trials(measurement, lens, terms, side=SIDE)
    radius = _radius(measurement, optics)
    scales = scales_of(trials, radius, wavelength(measurement.calibration.require("energy")))
    spacing = _rotation_step(trials, measurement, optics)
    movable = np.array([*(t != "C10" or known.defocus is None for t in terms), known.rotation is None])

    def free(*names: str) -> np.ndarray:
        return movable & np.array([any(t.startswith(n) for n in names) for t in (*terms, "rotation")])

    if known.half_a_turn:  # each well has two readings, and from here on they are told apart
        twins = cells.turned()
        both = trials.errors(Points.joined([cells, twins]), SWEEPS).mean(1).reshape(2, -1)
        cells = Points.joined([(twins if b else cells).take([i]) for i, b in enumerate(both.argmin(0))])
    wells = _apart(bottoms(trials, cells, scales, free("C10", "rotation")), spacing, known)
    few = [w.point() for w in wells[:FINALISTS]]
    if favoured is not None:
        few += [w.point() for w in wells[FINALISTS:] if _same(favoured, w.point(), ROTATIONS[1], known)]
    finalists = _apart(bottoms(trials, Points.joined(few), scales, free("C10", "C12", "rotation")), spacing, known)
    rest = [w for w in wells if not any(_same(w.point(), f.point(), CONNECTED * spacing, known) for f in finalists)]
    wells = [*finalists, *rest]
    tried = Points.joined([w.point() for w in wells])
    errors = trials.errors(Points.joined([tried, tried.turned()] if known.half_a_turn else [tried]), SWEEPS)
    part = parts_of(trials)
    if known.half_a_turn:
        ours, turned = errors[: len(wells)], errors[len(wells) :]
        for index, well in enumerate(wells):
            if turned[index].mean() < ours[index].mean():
                wells[index] = well.twin()
                ours[index], turned[index] = turned[index].copy(), ours[index].copy()
    else:
        ours, turned = errors, None
    order = np.argsort(ours.mean(1), kind="stable")
    first = int(order[0])
    margins = np.array([_margin(ours[first], e, part) for e in ours])
    others = np.delete(margins, first)
    margin = float(others.min()) if len(others) else math.inf
    explained = trials.nothing - ours.mean(1)
    most = float(np.delete(explained, first).max(initial=0.0))
    structure = max(trials.nothing - trials.noise, 1e-30)
    clear = CLEAR[0] if float(explained[first]) > LITTLE * structure else CLEAR[1]
    told = margin >= clear and float(explained[first]) > MUCH * most
    if not told and favoured is not None:  # what two other methods agree on, and the counts do not speak against
        likely = [i for i in order if margins[i] < CLEAR[0] and _same(favoured, wells[i].point(), ROTATIONS[1], known)]
        if likely:
            first, told = int(likely[0]), True
    best = wells[first]
    left = float(ours[first].mean()) - trials.noise
    poor = left > UNEXPLAINED + trials.noise
    agreed = favoured is not None and _same(favoured, best.point(), ROTATIONS[1], known)
    at_edge = known.defocus is None and abs(float(best.values[0])) > EDGE * widest
    told = told and (agreed or not (poor or at_edge))
    twin_margin = math.inf if turned is None else _margin(ours[first], turned[first], part)
    entries = [
        (w.point(), e, 1.0 if i == first else 2 * ndtr(-max(m, 0.0)))
        for i, (w, e, m) in enumerate(zip(wells, ours, margins, strict=True))
    ]
    if turned is not None:
        entries.append((best.point().turned(), turned[first], 2 * ndtr(-max(twin_margin, 0.0))))
    total = sum(weight for *_, weight in entries)
    c10 = tuple(terms).index("C10")
    alternatives = [
        Alternative(
            wrapped_angle(float(p.rotation[0])),
            bool(p.transpose[0]),
            -float(p.values[0, c10]),
            float(e.mean() / trials.nothing),
            float(weight / total),
            Aberrations(**{t: float(v) for t, v in zip(terms, p.values[0], strict=True) if v}),
        )
        for p, e, weight in entries
    ]
    taken = alternatives.pop(first)
    return Found(
        best,
        dict(zip((*terms, "rotation"), best.sigma.tolist(), strict=True)),
        (taken, *sorted(alternatives, key=lambda a: (-a.probability, a.misfit))),
        landscape,
        told,
        twin_margin >= clear and (turned is None or not poor),
        margin,
        twin_margin,
        thorough,
        1 - float(ours[first].mean()) / trials.nothing,
        left,
        poor,
        at_edge,
    )


def _apart(wells: list[Bottom], spacing: float, known: _Known) -> list[Bottom]:
    """Those that have not come down to where a lower one is, the lowest first."""
    chosen: list[Bottom] = []
    for well in sorted(wells, key=lambda w: w.error):
        if not any(_same(well.point(), c.point(), CONNECTED * spacing, known) for c in chosen):
            chosen.append(well)
    return chosen


def _margin(best: np.ndarray, other: np.ndarray, part: np.ndarray) -> float:
    """By how much one is better than another, in the uncertainty that the parts of the block leave of it."""
    difference = other - best
    groups = np.unique(part)
    if len(groups) < 2:
        return 0.0
    without = np.array([difference[part != g].mean() for g in groups])
    spread = math.sqrt((len(groups) - 1) / len(groups) * float(((without - without.mean()) ** 2).sum()))
    return float(difference.mean()) / max(spread, 1e-30)


def _landscape(points: Points, errors: np.ndarray, trials: Trials) -> Landscape:
    rotation = np.array([wrapped_angle(float(r)) for r in points.rotation])
    c10 = trials.terms.index("C10")
    return Landscape(rotation, points.transpose, -points.values[:, c10], errors / trials.nothing)


__all__ = ["Found", "search"]
