"""Detector pixels that do not count: hot, dead, saturated, gaps; found in the statistics of the scan.

A pixel is judged by its neighbours only, at their own spread: the third highest of the 24 around it must be surpassed
by five times its distance from their median, and by eight times the noise. An edge or a Bragg disk has more than three
bright pixels within that window, a hot pixel has not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.masks import is_mark, nearest_good

_STRUCTURE = 5.0  # times the neighbours' own spread
_NOISE = 8.0  # sigmas of the noise
_EXPECTED = 25.0  # counts that the neighbours got where a pixel without any is called dead
_SAMPLE = 64  # patterns in which gaps are looked for
_LARGEST = 64  # pixels of a dead spot; larger dark regions are taken for what the beam made


@dataclass(frozen=True, eq=False)
class BadPixels:
    """Which detector pixels do not count."""

    mask: np.ndarray  # (Qy, Qx) bool: hot, dead or a gap, to be repaired
    hot: np.ndarray  # (Qy, Qx) bool, too bright or too restless
    dead: np.ndarray  # (Qy, Qx) bool, too dark
    saturated: np.ndarray  # (Qy, Qx) bool: at the end of their range in some pattern; neighbours could not repair them
    sentence: str
    gaps: np.ndarray | None = None  # (Qy, Qx) bool: without a measurement, marked NaN, -1, 2^n - 1; None: no

    def __repr__(self) -> str:
        gaps = "" if self.gaps is None else f", {self.gaps.sum()} gaps"
        return f"BadPixels({self.hot.sum()} hot, {self.dead.sum()} dead, {self.saturated.sum()} saturated{gaps})"


@counted(most=1)
def bad_pixels(dataset: Dataset, most: int | None = None) -> BadPixels:
    """Find hot, dead and saturated detector pixels, and gaps: pixels that are marked as not measured.

    Parameters
    ----------
    dataset : Dataset
        Read once, in chunks.
    most : int, optional
        Look at about so many patterns only, spread over the scan; by default at all of them.

    Returns
    -------
    BadPixels

    Examples
    --------
    >>> data = np.random.default_rng(0).poisson(5, (6, 6, 16, 16))
    >>> data[:, :, 4, 7] = 300
    >>> data[:, :, 10, 3] = 0
    >>> bad = bad_pixels(Dataset(data.astype(np.uint16)))
    >>> np.argwhere(bad.hot).tolist(), np.argwhere(bad.dead).tolist()
    ([[4, 7]], [[10, 3]])
    """
    known = dataset.mask
    sample = sample_patterns(dataset, _SAMPLE, counting=True)
    gaps = gap_pixels(sample, known)
    left_out = gaps if known is None else gaps | ~known
    alone = ndimage.uniform_filter(gaps.astype(float), 3, mode="constant") < 1.5 / 9
    stuck = gaps & alone & (sample.max(0) > 0)  # a single pixel at the end of the range is no gap between chips
    blocks: Iterable[np.ndarray]
    if most is not None:
        blocks = [sample_patterns(dataset, most, counting=True)]
    else:
        blocks = (
            block.reshape(-1, *dataset.detector_shape)
            if dataset.scan_mask is None
            else block[dataset.scan_mask[first : first + len(block)]]
            for first, block in dataset.rows()
        )
    return bad_pixels_of(blocks, gaps & ~stuck, left_out, stuck)


def bad_pixels_of(
    blocks: Iterable[np.ndarray],
    gaps: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
    stuck: np.ndarray | None = None,
) -> BadPixels:
    """The same for blocks (n, Qy, Qx) of patterns, one at a time.

    Pixels in `left_out`, among which are the `gaps` and those that are `stuck`, take their neighbours' counts and are
    not judged.
    """
    repair = _neighbours(left_out) if left_out is not None and left_out.any() and not left_out.all() else None
    total = squares = highest = np.zeros(())
    seen, dtype = 0, np.dtype(float)
    for block in blocks:
        shape, dtype = block.shape[1:], block.dtype
        for part in np.array_split(block, max(1, block.nbytes // 16_000_000)):
            flat = part.reshape(len(part), -1).astype(np.float32)
            if part.dtype.kind == "f":
                np.nan_to_num(flat, copy=False, nan=0, posinf=0, neginf=0)
            if repair is not None:
                flat[:, repair[0]] = flat[:, repair[1]]
            total = total + flat.sum(0, dtype=np.float64).reshape(shape)
            squares = squares + np.einsum("np,np->p", flat, flat).reshape(shape)
            highest = np.maximum(highest, flat.max(0).reshape(shape))
            seen += len(part)
    if not seen:
        raise DataError("the scan mask leaves out every position; expected some patterns to judge the pixels by.")
    mean = total / seen
    return _judged(mean, (squares / seen - mean**2).clip(0), highest, seen, dtype, gaps, left_out, stuck)


def _neighbours(left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of pixels that are left out, and of the nearest one that is not."""
    nearest = ndimage.distance_transform_edt(left_out, return_distances=False, return_indices=True)
    flat = np.ravel_multi_index(tuple(nearest), left_out.shape)
    return np.flatnonzero(left_out), flat[left_out]


@counted(most=1)
def sample_patterns(dataset: Dataset, most: int, counting: bool = False) -> np.ndarray:
    """About `most` patterns (n, Qy, Qx), spread over the scan: some of its rows, first and last among them, whole or
    thinned out.

    With `counting`, those that the scan mask leaves out are not among them, where any other is.

    Examples
    --------
    >>> sample_patterns(Dataset(np.zeros((9, 50, 4, 4))), 100).shape
    (104, 4, 4)
    """
    sample = np.concatenate([dataset.data[int(y), ::step] for y, step in _sampled_rows(dataset, most)])
    if not counting or dataset.scan_mask is None:
        return sample
    kept = dataset.scan_mask[tuple(sampled_positions(dataset, most).T)]
    if kept.any():
        return sample[kept]
    y, x = np.argwhere(dataset.scan_mask)[0]
    return np.asarray(dataset.data[int(y), int(x)])[None]


def gap_pixels(sample: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Detector pixels (Qy, Qx) that hold a mark in the place of a measurement, in all of a sample (n, Qy, Qx).

    NaN or an infinite value; one and the same negative number in every pattern; or there one and the same 2^n - 1
    (such as 65535 or 2^32 - 1), or 67108872, twice beyond whatever the other pixels count. Pixels that `mask`
    leaves out already are not among them.

    Examples
    --------
    >>> sample = np.random.default_rng(0).poisson(5, (9, 8, 8))
    >>> sample[:, 3] = -1
    >>> np.flatnonzero(gap_pixels(sample).any(1)).tolist()
    [3]
    """
    looked = np.ones(sample.shape[1:], bool) if mask is None else mask
    kind = sample.dtype.kind
    if kind == "f":
        finite = np.isfinite(sample)
        whole = finite[:, looked].mean(1) > 0.5  # of a lost frame all pixels are NaN
        if not whole.any():
            return np.zeros(sample.shape[1:], bool)
        sample, finite = sample[whole], finite[whole]
        gaps = finite.mean(0) < 0.5
        sample = np.where(finite, sample, 0)
    else:
        gaps = np.zeros(sample.shape[1:], bool)
    lowest, highest = sample.min(0), sample.max(0)
    same = (lowest == highest) & looked & ~gaps
    if kind in "fi":
        gaps |= same & (highest < 0) & (sample.shape[0] > 1 or kind == "i")
    others = looked & ~gaps
    if sample.shape[0] > 1 and (lowest < highest)[others].any():
        # The largest first: as long as a constant mark towers over all that is smaller, it counts nothing.
        for value in np.unique(highest[same & others & (highest > 0)])[::-1]:
            smaller = highest[others & (highest < value)]
            if not (is_mark(float(value)) and smaller.size and value > 2 * max(float(smaller.max()), 1.0)):
                break
            if (highest > value)[others].any() or (~same & (highest == value))[others].any():
                break  # some pixels come up to it at times, or further: saturation
            gaps |= same & others & (highest == value)
            others &= ~gaps
    return gaps & looked


def neighbour_means(bad: np.ndarray) -> sparse.csr_matrix:
    """Matrix (n, Qy Qx) that makes the means of the nearest good pixels of each of n bad ones."""
    flat = np.ravel_multi_index(nearest_good(bad), bad.shape)
    count = flat.shape[1]
    rows = np.repeat(np.arange(len(flat)), count)
    return sparse.csr_matrix((np.full(flat.size, 1 / count), (rows, flat.ravel())), shape=(len(flat), bad.size))


def sampled_positions(dataset: Dataset, most: int) -> np.ndarray:
    """Scan indices (n, 2) of :func:`sample_patterns`."""
    columns = dataset.scan_shape[1]
    return np.array([(y, x) for y, step in _sampled_rows(dataset, most) for x in range(0, columns, step)])


def _sampled_rows(dataset: Dataset, most: int) -> list[tuple[int, int]]:
    """Rows to read and the step along each."""
    rows, columns = dataset.scan_shape
    count = min(rows, max(2, math.ceil(math.sqrt(most / 2))))
    step = max(1, math.ceil(count * columns / most))
    return [(int(y), step) for y in np.unique(np.linspace(0, rows - 1, count).round())]


def _judged(
    mean: np.ndarray,
    variance: np.ndarray,
    highest: np.ndarray,
    seen: int,
    dtype: np.dtype,
    gaps: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
    stuck: np.ndarray | None = None,
) -> BadPixels:
    counted = dtype.kind in "iub"
    lit = mean > 0.02 * max(float(np.quantile(mean, 0.98)), 0)
    gain = 1.0 if counted or not lit.any() else float(np.median(variance[lit] / mean[lit]))
    hot = _sticks_out(mean, variance, seen, gain)
    # Restless: the variance sticks out, and that is not the doing of one pattern alone, as a cosmic ray would be.
    share = (highest - mean) ** 2 / np.maximum(seen * variance, 1e-300)
    wavering = variance * (2 * variance + gain * mean)
    hot |= _sticks_out(variance, wavering, seen, gain**2) & (share < 0.3) & (seen > 16)
    dead = _sticks_out(-mean, variance, seen, gain) & (mean < 0.7 * ndimage.median_filter(mean, 3)) & ~hot
    if counted:
        counts = np.where(hot, ndimage.median_filter(mean, 3), mean) * seen
        dead |= (_holes(counts) | _dark_lines(counts)) & ~hot
    saturated = _saturated(highest, dtype)
    if left_out is not None:
        hot, dead, saturated = (m & ~left_out for m in (hot, dead, saturated))
    if stuck is not None:
        hot = hot | stuck
    if gaps is not None and not gaps.any():
        gaps = None
    bad = hot | dead if gaps is None else hot | dead | gaps
    kinds = (("hot", hot), ("dead", dead), ("saturated", saturated))
    found = [f"{m.sum()} {name}" for name, m in kinds if m.any()]
    if gaps is not None:
        found.append(f"{gaps.sum()} unmeasured (NaN, -1 or the end of the range in every pattern)")
    if not found:
        sentence = "No hot, dead or saturated detector pixels."
    else:
        sentence = f"{', '.join(found)} detector pixels"
        sentence += "; repair_pixels replaces them by their neighbours." if bad.any() else "."
        if saturated.any():
            sentence += " Saturated pixels lose counts: their patterns need less dose or a larger range."
    return BadPixels(bad, hot, dead, saturated, sentence, gaps)


def _sticks_out(values: np.ndarray, variance: np.ndarray, seen: int, gain: float) -> np.ndarray:
    """Pixels above the third highest of their 24 neighbours, by far as these spread and beyond noise."""
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    third = ndimage.rank_filter(values, -3, footprint=ring, mode="mirror")
    median = ndimage.median_filter(values, footprint=ring, mode="mirror")
    around = ndimage.median_filter(variance, footprint=ring, mode="mirror")
    floor = gain * np.maximum(gain / seen, np.abs(third))  # a Poisson mean varies by itself, and by one count at least
    noise = np.sqrt(np.maximum(around, floor) / seen) + gain / seen
    scale = 1e-6 * float(np.abs(values).max())
    return values - third > _STRUCTURE * (third - median) + _NOISE * noise + scale


def _holes(counts: np.ndarray) -> np.ndarray:
    """Small spots without a single count whose surroundings have many: no more than a fifth of these may be dim."""
    labels, number = ndimage.label(counts == 0)
    out = np.zeros(counts.shape, bool)
    if number == 0:
        return out
    size = ndimage.sum_labels(np.ones(counts.shape), labels, np.arange(1, number + 1))
    places = ndimage.find_objects(labels)
    brightest = ndimage.maximum(ndimage.maximum_filter(counts, 3), labels, np.arange(1, number + 1))
    for label in np.flatnonzero((size <= _LARGEST) & (brightest > _EXPECTED)) + 1:
        window = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in places[label - 1])
        spot = labels[window] == label
        border = ndimage.binary_dilation(spot, np.ones((3, 3))) & ~spot
        if border.any() and np.quantile(counts[window][border], 0.2) > _EXPECTED:
            out[window] |= spot
    return out


def _dark_lines(counts: np.ndarray) -> np.ndarray:
    """Whole rows and columns without a count, up to four together, with counts on both sides: gaps and dead lines."""
    out = np.zeros(counts.shape, bool)
    for axis in (0, 1):
        lines = np.moveaxis(counts, axis, 0)
        labels, number = ndimage.label(lines.sum(1) == 0)
        for label in range(1, number + 1):
            dark = np.flatnonzero(labels == label)
            if len(dark) <= 4 and dark[0] > 0 and dark[-1] < len(lines) - 1:
                beside = np.minimum(lines[dark[0] - 1], lines[dark[-1] + 1])
                if (beside > _EXPECTED).sum() >= 3:
                    np.moveaxis(out, axis, 0)[dark] = True
    return out


def _saturated(highest: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Pixels at the end of the number's range, or at a highest value that suspiciously many share."""
    top = float(highest.max())
    at_top = highest >= top
    if dtype.kind in "iu" and top >= np.iinfo(dtype).max:
        return at_top
    below = (highest < top) & (highest >= top - max(3.0, 0.05 * top))
    clipped = top >= 50 and at_top.sum() >= 10 and at_top.sum() > 2 * below.sum()
    return at_top if clipped and at_top.sum() < 0.5 * at_top.size else np.zeros(highest.shape, bool)
