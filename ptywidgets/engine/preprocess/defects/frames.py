"""Frames that do not count: lost, empty, taken with the beam blanked, on the flyback, repeated, saturated.

Everything is judged from the sums that the origin needs anyway: the total and the centre of mass of every pattern, one
pass over the data. Only what looks odd is read again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.core.errors import DataError, DataWarning
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.hooks import answers
from ptywidgets.engine.preprocess.defects.fill import fill_positions
from ptywidgets.engine.preprocess.defects.masked_sums import neighbour_sums, with_mean_disk
from ptywidgets.engine.preprocess.defects.pixels import gap_pixels, sample_patterns
from ptywidgets.engine.preprocess.origin.origin_fit import fill_com

_CHUNK = 1e6  # bytes that are summed while they lie in the cache
_ROUNDS = 4  # passes over the data, where pixels turn out to be bad in few frames only; one where all is in order
_SAMPLE = 64  # patterns in which pixels without a measurement are looked for
_NEGATIVE = 0.1  # share of the data beyond which negative counts are no accident of a few frames or pixels
_BLANKED = 0.02  # of the scan's median total
_DIM = 0.3  # of the median: what lies between is neither blanked nor lit, and a specimen has it at its edges
_BLOB = 3  # rows that are dark below each other, from which on it is the specimen
_FLYBACK = 3  # columns at either edge that are compared with the others
_LIKELY = 0.5  # expected number of empty patterns, by chance alone, from which on they are measurements like others

UNUSABLE = ("lost", "empty")  # kinds that nothing can be made of, and that are left out without being asked
WORDS = {
    "lost": "without a measurement (NaN, infinite or negative)",
    "empty": "without a single count",
    "blanked": "with the beam blanked",
    "flyback": "in a flyback column",
    "repeated": "that repeat the one before",
    "saturated": "at the end of the detector's range",
}


@dataclass(frozen=True, eq=False)
class BadFrames:
    """Which scan positions do not count."""

    mask: np.ndarray  # (Ry, Rx) bool: of any kind
    kinds: Mapping[str, np.ndarray]  # (Ry, Rx) bool of each kind that was found: see WORDS
    pixels: np.ndarray  # (Qy, Qx) bool: pixels without a measurement in all, or in some, of the frames
    sentences: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        return " ".join(self.sentences) or "No frame is empty, lost, blanked, repeated or saturated."

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {name: int(where.sum()) for name, where in self.kinds.items()}

    def __repr__(self) -> str:
        kinds = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return f"BadFrames({kinds or 'none'})"


@dataclass(frozen=True, eq=False)
class Screened:
    """A dataset without what nothing can be made of, and the sums of its patterns."""

    dataset: Dataset  # masks added for what was found
    totals: np.ndarray  # (Ry, Rx) counts, filled where a position does not count
    com: np.ndarray  # (2, Ry, Rx) px, as well
    bad: BadFrames  # found in addition to what the dataset leaves out already
    notes: tuple[str, ...] = field(default=())  # one sentence about each thing that is left out, and why

    def without(self, bad: BadFrames) -> Screened:
        """The same with more positions left out; no data are read."""
        if not bad.mask.any():
            return self
        counted = _counted(self.dataset) & ~bad.mask
        both = {**self.bad.kinds, **bad.kinds}
        merged = BadFrames(
            self.bad.mask | bad.mask, both, self.bad.pixels | bad.pixels, (*self.bad.sentences, *bad.sentences)
        )
        return Screened(
            self.dataset.with_scan_mask(counted),
            fill_positions(self.totals, counted),
            fill_com(self.com, counted),
            merged,
            (*self.notes, *(f"Left out: {sentence}" for sentence in bad.sentences)),
        )


@answers("bad_frames")
def bad_frames(dataset: Dataset) -> BadFrames:
    """Find scan positions that do not count, in one pass over the data.

    Lost and empty frames are recognised by their totals; blanked ones by a total far below the scan's median without
    anything between (a dark specimen fades in over some positions, and is dark in row below row); a flyback column by
    totals and centres of mass unlike those of all other columns; repeated frames by being equal, count by count, to
    the one before; and saturated ones by far too many counts and many pixels at the end of their range.

    Parameters
    ----------
    dataset : Dataset
        Positions that its scan mask leaves out already are not looked at.

    Returns
    -------
    BadFrames

    Raises
    ------
    DataError
        When most frames are lost or empty, or negative counts are everywhere.

    Examples
    --------
    >>> data = np.random.default_rng(0).poisson(5, (6, 6, 16, 16)).astype(np.uint16)
    >>> data[2, 3] = 0
    >>> bad = bad_frames(Dataset(data))
    >>> bad, np.argwhere(bad.mask).tolist()
    (BadFrames(1 empty), [[2, 3]])
    """
    screened = screen(dataset)
    return screened.without(suspects(screened)).bad


def screen(
    dataset: Dataset, weights: np.ndarray | None = None, summed: Callable[..., PatternSums] | None = None
) -> Screened:
    """Sum every pattern, and leave out what would make all of it unusable: gaps of the detector, lost and empty frames.

    Parameters
    ----------
    dataset : Dataset
        Read once; twice where pixels are found to be without a measurement in a few frames only.
    weights : ndarray (Qy, Qx), optional
        Of the detector pixels, for the sums.
    summed : callable, optional
        Instead of :func:`pattern_sums`, where some of the sums are known.

    Raises
    ------
    DataError
        When that leaves less than half of the frames, or negative counts are everywhere.
    """
    notes: list[str] = []
    counted = _counted(dataset)
    gaps = gap_pixels(sample_patterns(dataset, _SAMPLE, counting=True), dataset.mask)
    if gaps.any():
        if (gaps | _masked(dataset)).all():
            raise DataError(
                "no detector pixel has a measurement: all patterns looked at are NaN, negative or at the end of their "
                "range; check how the file was written, and the mask."
            )
        notes.append(f"{_count(int(gaps.sum()), 'detector pixel')} without a measurement in any frame masked (gaps).")
        dataset = dataset.with_mask(~(gaps | _masked(dataset)))
    odd = np.zeros(dataset.detector_shape, bool)
    lost = np.zeros(dataset.scan_shape, bool)
    for turn in range(_ROUNDS):
        found = (summed or pattern_sums)(dataset, weights)
        broken = (~np.isfinite(found.seen[..., 0]) | found.negative) & counted & ~lost
        if not broken.any():
            break
        if turn == _ROUNDS - 1:
            lost |= broken
            break
        pixels, frames = _least_loss(dataset, broken, counted, found.negative)
        lost |= frames
        if not pixels.any():
            break
        odd |= pixels
        dataset = dataset.with_mask(~(pixels | _masked(dataset)))
    total = found.seen[..., 0]
    if odd.any():
        notes.append(
            f"{_count(int(odd.sum()), 'detector pixel')} without a measurement in some frames masked: that loses less "
            "than leaving those frames out."
        )
    dark = counted & ~lost & ~(total > 0)
    measured = counted & ~lost & ~dark
    typical = float(np.median(total[measured])) if measured.any() else 0.0
    by_chance = (
        dark.any() and measured.any() and counted.sum() * math.exp(-min(_electrons(dataset, typical), 700)) > _LIKELY
    )
    empty = np.zeros_like(dark) if by_chance else dark
    kinds = {name: where for name, where in (("lost", lost), ("empty", empty)) if where.any()}
    left = counted & ~lost & ~empty
    for name, where in kinds.items():
        if not measured.any() or where.sum() > 0.5 * counted.sum():
            row, column = np.argwhere(where)[0]
            words = "no counts at all" if name == "empty" else "NaN, infinite or negative counts"
            raise DataError(
                f"{int(where.sum())} of {int(counted.sum())} patterns have {words}, the first at scan "
                f"[{row}, {column}]; leave those positions out, dataset.with_scan_mask(...), or crop the scan."
            )
    sentences = tuple(_sentence(name, where) for name, where in kinds.items())
    notes += [f"Left out: {sentence}" for sentence in sentences]
    if kinds:
        dataset = dataset.with_scan_mask(left)
    sums = found.repaired
    if dataset.mask is not None and weights is None:
        sums = with_mean_disk(dataset, found.seen, sums, measured)
    total = sums[..., 0]
    middle = [n // 2 for n in dataset.detector_shape]
    with np.errstate(invalid="ignore", divide="ignore"):
        com = np.stack([sums[..., n + 1] / total + middle[n] for n in (0, 1)])
    bad = BadFrames(lost | empty, kinds, gaps | odd, sentences)
    return Screened(dataset, fill_positions(total, left), fill_com(com, measured), bad, tuple(notes))


def screened_or_warned(dataset: Dataset, weights: np.ndarray | None = None) -> Screened:
    """The same for functions that have no other place to say what was left out: they warn."""
    screened = screen(dataset, weights)
    if screened.notes:
        warnings.warn(" ".join(screened.notes), DataWarning, stacklevel=3)
    return screened


@dataclass(frozen=True, eq=False)
class PatternSums:
    """Total and first moments of every pattern about the detector's middle pixel."""

    seen: np.ndarray  # (Ry, Rx, 3), masked pixels as nothing
    repaired: np.ndarray  # (Ry, Rx, 3), masked pixels interpolated from their neighbours
    negative: np.ndarray  # (Ry, Rx) bool: patterns with negative counts


def pattern_sums(dataset: Dataset, weights: np.ndarray | None = None) -> PatternSums:
    """Sum every pattern, in one pass; positions that are left out are summed like the others, and mean nothing."""
    qy, qx = dataset.detector_shape
    weighted = None if weights is None else np.asarray(weights, np.float32)
    bad = None if dataset.mask is None or dataset.mask.all() else ~dataset.mask
    middle = (qy // 2, qx // 2)  # moments about the middle lose no digits in single precision
    kernels = pattern_kernels()
    sums = np.empty((*dataset.scan_shape, 3))
    hidden = None if bad is None else np.empty_like(sums)
    negative = np.zeros(dataset.scan_shape, bool)
    chunk = max(1, int(_CHUNK / (qy * qx * dataset.dtype.itemsize)))
    if bad is not None:
        beside, share = neighbour_sums(bad, middle, weighted)
    with np.errstate(invalid="ignore", over="ignore"):
        for first, block in dataset.rows():
            patterns = block.reshape(-1, qy, qx)
            rows = slice(first, first + len(block))
            out, signs = sums[rows].reshape(-1, 3), negative[rows].reshape(-1)
            for start in range(0, len(patterns), chunk):
                few = slice(start, start + chunk)
                part = patterns[few]
                if bad is not None:
                    part = part.copy()
                    part[:, bad] = 0
                if kernels.moments(part, middle, out[few]):
                    signs[few] = (part < 0).any((1, 2))
                if weighted is not None:
                    kernels.moments(part * weighted, middle, out[few])
                if hidden is not None:
                    near = part.reshape(len(part), -1)[:, beside].astype(np.float64)
                    hidden[rows].reshape(-1, 3)[few] = near @ share
    return PatternSums(sums, sums if hidden is None else sums + hidden, negative)


def suspects(screened: Screened) -> BadFrames:
    """Frames that were measured, but not what they should show: judged by totals and centres of mass."""
    dataset, total, com = screened.dataset, screened.totals, screened.com
    counted = _counted(dataset)
    typical = float(np.median(total[counted]))
    found = {
        "blanked": _blanked(dataset, total, counted, typical),
        "flyback": _flyback(total, com, counted),
        "repeated": _repeated(dataset, total, com, counted, typical),
        "saturated": _saturated(dataset, total, counted, typical),
    }
    seen = np.zeros_like(counted)
    kinds: dict[str, np.ndarray] = {}
    for name, where in found.items():
        where = where & ~seen
        if where.any() and (seen | where).sum() < 0.5 * counted.sum():  # that many are no exception
            kinds[name] = where
            seen |= where
    nothing = np.zeros(dataset.detector_shape, bool)
    return BadFrames(seen, kinds, nothing, tuple(_sentence(name, where) for name, where in kinds.items()))


def _electrons(dataset: Dataset, total: float) -> float:
    """How many electrons, at most, a pattern shows that sums up to `total`.

    One counts as much as the smallest value of any pixel: 1 in counts, less where they were divided by something, more
    where they were multiplied. Intensities simulated without noise have next to nothing as their smallest value, so
    that no frame of theirs is dark by chance.
    """
    seen = sample_patterns(dataset, _SAMPLE, counting=True)[:, ~_masked(dataset)]
    positive = seen[np.isfinite(seen) & (seen > 0)]
    return total / float(positive.min()) if positive.size else total


def _blanked(dataset: Dataset, total: np.ndarray, counted: np.ndarray, typical: float) -> np.ndarray:
    """Far below the median, without frames between: at the edge of a dark specimen there are some."""
    dark = counted & (total < _BLANKED * typical)
    if not dark.any() or _electrons(dataset, typical) * _BLANKED < 1:
        return np.zeros_like(dark)
    labels, count = ndimage.label(dark)
    starts = dark.ravel().copy()  # in the order of the scan, the first frame of each run
    starts[1:] &= ~dark.ravel()[:-1]
    runs_of = np.bincount(labels.ravel(), starts, minlength=count + 1)
    dark &= runs_of[labels] < _BLOB  # dark in row below row is a place, not a time: something that stops the beam
    if not dark.any():
        return dark
    dim = counted & ~dark & (total < _DIM * typical)
    beside = np.zeros_like(dark)  # dim frames next to dark ones across the rows: a blanker works along them
    for axis, step in ((0, 1), (0, -1)):
        moved = np.roll(dark, step, axis)
        moved[0 if step == 1 else -1] = False
        beside |= moved & dim
    line = dark.ravel()  # in the order of the scan
    runs = int((line[1:] & ~line[:-1]).sum()) + int(line[0])
    if dim.sum() > 2 * runs or beside.sum() > runs:
        return np.zeros_like(dark)
    # One dim frame at the end of a run: the blanker worked while it was recorded.
    near = line.copy()
    near[1:] |= line[:-1]
    near[:-1] |= line[1:]
    return dark | (dim & near.reshape(dark.shape))


def _flyback(total: np.ndarray, com: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Columns at the edges unlike all others: in their totals, or in where the patterns lie, row by row."""
    out = np.zeros_like(counted)
    rows, columns = counted.shape
    if columns < 8 or rows < 4:
        return out
    level = max(float(np.median(total[counted])), 1e-30)
    signals = [total / level, com[0], com[1]]
    least = (0.05, 0.3, 0.3)  # smaller steps do no harm: a share of the counts, px
    for edge in (0, -1):
        odd = 0
        for signal, floor in zip(signals, least, strict=True):
            # A column against the one beside it: how far it is off in all rows together, and how far others are.
            steps = np.median(np.diff(signal, axis=1), axis=0)
            inner = steps[_FLYBACK:-_FLYBACK] if columns > 2 * _FLYBACK + 3 else steps[1:-1]
            middle = float(np.median(inner))
            spread = 1.4826 * float(np.median(np.abs(inner - middle))) + float(np.abs(inner - middle).max())
            outer = steps if edge == 0 else steps[::-1]
            off = np.abs(outer[:_FLYBACK] - middle)
            beyond = np.flatnonzero(off > np.maximum(4 * spread, floor))
            if len(beyond):
                odd = max(odd, int(beyond.max()) + 1)
        if odd and edge == 0:
            out[:, :odd] = True
        elif odd:
            out[:, columns - odd :] = True
    return out & counted


def _repeated(dataset: Dataset, total: np.ndarray, com: np.ndarray, counted: np.ndarray, typical: float) -> np.ndarray:
    """Frames equal to the one before, count by count: noise is never the same twice."""
    out = np.zeros(counted.size, bool)
    if dataset.dtype.kind not in "iuf":
        return out.reshape(counted.shape)
    flat, places, good = total.ravel(), com.reshape(2, -1), counted.ravel()
    alike = (flat[1:] == flat[:-1]) & (places[:, 1:] == places[:, :-1]).all(0) & good[1:] & good[:-1]
    if not alike.any() or _electrons(dataset, typical) < 100:  # so few may well fall alike
        return out.reshape(counted.shape)
    columns = counted.shape[1]
    for index in np.flatnonzero(alike)[:4096] + 1:
        one, other = (np.asarray(dataset.data[divmod(int(i), columns)]) for i in (index - 1, index))
        if not _are_counts(one):  # simulated without noise, where nothing stands are equal patterns
            break
        out[index] = np.array_equal(one, other)
    return out.reshape(counted.shape)


def _saturated(dataset: Dataset, total: np.ndarray, counted: np.ndarray, typical: float) -> np.ndarray:
    """Far more counts than the others, and many pixels at the end of the range."""
    out = np.zeros_like(counted)
    if dataset.dtype.kind not in "iuf":
        return out
    for y, x in np.argwhere(counted & (total > 3 * typical)):
        pattern = np.asarray(dataset.data[int(y), int(x)])
        pattern = pattern.ravel() if dataset.mask is None else pattern[dataset.mask]
        top = pattern.max()
        out[y, x] = _are_counts(pattern) and (pattern == top).mean() > 0.01 and (int(top) + 1) & int(top) == 0
    return out


def _are_counts(pattern: np.ndarray) -> bool:
    """Whether these are whole numbers, of whatever type."""
    return pattern.dtype.kind in "iu" or bool((pattern == np.rint(pattern)).all())


def _least_loss(
    dataset: Dataset, broken: np.ndarray, counted: np.ndarray, negative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels to mask, or frames to leave out, for NaN and negative values in some frames: whichever loses less."""
    good = ~_masked(dataset)
    pixels = np.zeros(dataset.detector_shape, bool)
    frames = np.zeros(dataset.scan_shape, bool)
    few = np.argwhere(broken)
    for y, x in few[:: max(1, len(few) // 1024)]:
        pattern = np.asarray(dataset.data[int(y), int(x)])
        odd = good & ~(pattern >= 0) | good & (np.isinf(pattern) if pattern.dtype.kind == "f" else False)
        if odd.sum() > 0.5 * good.sum():
            frames[y, x] = True
        else:
            pixels |= odd
    rest = broken & ~frames
    if not rest.any():
        pixels[:] = False
    by_pixels, by_frames = pixels.sum() / good.sum(), rest.sum() / counted.sum()
    refused = rest if min(by_pixels, by_frames) > _NEGATIVE else frames if frames.mean() > 0.5 else None
    if refused is not None and refused.any():
        what, remedy = (
            ("negative counts", "subtract the detector's dark reference and clip at 0")
            if (negative & refused).any()
            else ("NaN or infinite counts", "mask those pixels, or leave those positions out")
        )
        row, column = np.argwhere(refused)[0]
        raise DataError(f"{int(refused.sum())} patterns have {what}, the first at scan [{row}, {column}]; {remedy}.")
    if by_pixels <= by_frames:
        return pixels, frames
    return np.zeros_like(pixels), broken


def _counted(dataset: Dataset) -> np.ndarray:
    return np.ones(dataset.scan_shape, bool) if dataset.scan_mask is None else np.array(dataset.scan_mask)


def _masked(dataset: Dataset) -> np.ndarray:
    return np.zeros(dataset.detector_shape, bool) if dataset.mask is None else ~dataset.mask


def _sentence(name: str, where: np.ndarray) -> str:
    row, column = np.argwhere(where)[0]
    count = int(where.sum())
    first = f"at scan [{row}, {column}]" if count == 1 else f"the first at scan [{row}, {column}]"
    return f"{_count(count, 'frame')} of {where.size} {WORDS[name]}, {first}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


__all__ = ["UNUSABLE", "WORDS", "BadFrames", "Screened", "bad_frames", "pattern_sums", "screen", "suspects"]
