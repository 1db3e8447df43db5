"""The vacuum pattern as a probe can be made of it: its bad pixels repaired, with a word about each kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.detectors import filled_by_symmetry
from ptywidgets.engine.data.masks import is_mark, nearest_good

_SEEN = 0.02  # of the disk's height: a pixel that is off by less does no harm
_STRUCTURE, _NOISE = (
    5.0,
    8.0,
)  # times the neighbours' spread, sigmas: as of :mod:`ptywidgets.engine.preprocess.defects.pixels`
_BRIGHTEST = 30  # pixels: the hot ones are among them, and the disk is as high as the last of them


@dataclass(frozen=True, eq=False)
class CleanVacuum:
    """A vacuum pattern without holes and hot pixels."""

    pattern: np.ndarray  # (Qy, Qx)
    unmeasured: np.ndarray  # (Qy, Qx) bool: masked, NaN, negative or marked
    odd: np.ndarray  # (Qy, Qx) bool: far brighter or darker than its neighbours
    sentence: str  # what was repaired; empty where nothing was


def clean_vacuum(
    vacuum: np.ndarray, mask: np.ndarray | None = None, pixels: tuple[float, float] = (1.0, 1.0)
) -> CleanVacuum:
    """Repair a vacuum pattern: pixels that do not count get the median of the nearest ones that do.

    Holes that are wide get what was measured on the other side of the disk's centre, as far as it was measured: an
    aperture is nearly the same when it is turned by half a turn.

    Parameters
    ----------
    vacuum : ndarray (Qy, Qx)
        NaN and negative values count as not measured.
    mask : ndarray (Qy, Qx) bool, optional
        True where a detector pixel counts.
    pixels : (float, float)
        Height and width of a detector pixel, of which the ratio matters.

    Returns
    -------
    CleanVacuum

    Examples
    --------
    >>> y, x = np.mgrid[:32, :32]
    >>> vacuum = np.where(np.hypot(y - 16, x - 16) < 8, 100.0, 0.0)
    >>> vacuum[3, 28] = 1e6
    >>> clean = clean_vacuum(vacuum)
    >>> clean.pattern.max().item(), np.argwhere(clean.odd).tolist()
    (100.0, [[3, 28]])
    """
    values = np.asarray(vacuum)
    pattern = np.array(values, np.float64)
    masked = np.zeros(pattern.shape, bool) if mask is None else ~mask
    unmeasured = masked | ~(pattern >= 0) | np.isinf(pattern)
    unmeasured |= _marked(pattern, unmeasured)
    if unmeasured.all():
        raise DataError("the vacuum pattern has no measured pixel where the mask lets it count; check mask and vacuum.")
    if masked.any() and not pattern[~unmeasured].any() and pattern[masked].max(initial=0.0) > 0:
        raise DataError(
            "the mask hides all of the vacuum pattern that has counts; True in a mask is a pixel that counts."
        )
    if unmeasured.any():
        _repair(pattern, unmeasured)
    odd = _odd(pattern) & ~unmeasured
    if odd.any():
        _repair(pattern, odd | unmeasured)
    turned, mirrored = filled_by_symmetry(pattern, odd | unmeasured, pixels)
    mirrored &= unmeasured
    pattern[mirrored] = turned[mirrored]
    words = []
    if unmeasured.any():
        words.append(f"pixels of the vacuum pattern that are masked or without a measurement: {int(unmeasured.sum())}")
        if mirrored.any():
            words[0] += f" ({int(mirrored.sum())} of them by those on the other side of the disk's centre)"
    if odd.any():
        y, x = np.argwhere(odd)[0]
        words.append(f"pixels of the vacuum pattern that are hot or dead: {int(odd.sum())}, the first at [{y}, {x}]")
    sentence = f"Replaced by their neighbours: {'; '.join(words)}." if words else ""
    if not words:
        return CleanVacuum(values, unmeasured, odd, "")
    return CleanVacuum(pattern.astype(values.dtype if values.dtype.kind == "f" else float), unmeasured, odd, sentence)


def _marked(pattern: np.ndarray, unmeasured: np.ndarray) -> np.ndarray:
    """Pixels that all hold the highest number, 2^n - 1 or the like, far beyond every other."""
    seen = pattern[~unmeasured]
    top = float(seen.max()) if seen.size else 0.0
    rest = seen[seen < top]
    if rest.size and is_mark(top) and top > 4 * max(float(rest.max()), 1.0):
        return (pattern == top) & ~unmeasured
    return np.zeros(pattern.shape, bool)


def _odd(pattern: np.ndarray) -> np.ndarray:
    """Single pixels unlike their 24 neighbours: beyond the third of them by far, as these spread and as they are
    noisy."""
    out = np.zeros(pattern.shape, bool)
    if min(pattern.shape) < 5:
        return out
    top = np.sort(pattern, axis=None)[-min(_BRIGHTEST, pattern.size)]
    inside = np.argwhere(pattern > 0.3 * top)
    if not top > 0 or not len(inside):
        return out
    height = float(np.median(pattern[tuple(inside.T)]))
    some = inside[:: max(1, len(inside) // 1000)]
    around = np.median(_around(pattern, some), axis=1)
    lit = around > 0.5 * height
    own = pattern[tuple(some.T)]
    gain = float(np.median((own[lit] - around[lit]) ** 2) / 0.455 / height) if lit.any() else 0.0
    # Few pixels differ from the mean of their neighbours by as much as is looked for; only these are asked further.
    apart = pattern - (9 * ndimage.uniform_filter(pattern, 3, mode="mirror") - pattern) / 8
    places = np.argwhere(np.abs(apart) > 0.5 * _SEEN * height)
    if not len(places):
        return out
    ring = np.sort(_around(pattern, places), axis=1)
    own, median = pattern[tuple(places.T)], np.median(ring, axis=1)
    noise = _NOISE * np.sqrt(gain * np.maximum(median, 0.01 * height))
    bright = own - ring[:, -3] - _STRUCTURE * (ring[:, -3] - median) - noise > _SEEN * height
    dark = (ring[:, 2] - own - _STRUCTURE * (median - ring[:, 2]) - noise > _SEEN * height) & (own < 0.5 * median)
    out[tuple(places[bright | dark].T)] = True
    return out


def _around(pattern: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The 24 neighbours (n, 24) of pixels (n, 2), mirrored at the edges."""
    padded = np.pad(pattern, 2, mode="reflect")
    steps = np.array([(y, x) for y in range(5) for x in range(5) if (y, x) != (2, 2)])
    where = places[:, None] + steps
    return padded[where[..., 0], where[..., 1]]


def _repair(pattern: np.ndarray, bad: np.ndarray) -> None:
    """Put the median of the nearest good pixels in the place of bad ones."""
    pattern[bad] = np.median(pattern[nearest_good(bad)], axis=-1)
