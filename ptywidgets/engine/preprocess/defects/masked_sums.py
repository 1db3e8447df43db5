"""Sums of patterns with masked pixels inside the disk: what these would have counted, from the mean of all disks.

As nothing, a masked pixel would push the centre of mass away from a gap, and by another distance wherever descan moves
the disk; a tenth of a pixel across the scan is enough to spoil a reconstruction. Interpolated from its neighbours it
still does, at the disk's edge. The mean of the patterns, each brought to its origin, knows the disk also where a gap
covers it, since descan moves the one and not the other.
"""

from __future__ import annotations

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.preprocess.defects.pixels import neighbour_means, sample_patterns, sampled_positions
from ptywidgets.engine.preprocess.origin.origin_fit import fit_origin

_LEAST = 1e-3  # share of the counts in masked pixels below which their neighbours do
_NOTHING = 1e-4  # the same, below which they are nothing: what is interpolated there is noise
_TEMPLATES, _ROUNDS = 2, 6  # mean disks made, and fits of the origin with each
_PATTERNS = 400  # that a mean disk is made of


def neighbour_sums(
    bad: np.ndarray, middle: tuple[int, int], weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels (P,) lie beside masked ones, and what each adds (P, 3) to a pattern's sums in their place."""
    stand_in = neighbour_means(bad).tocsc()
    y, x = np.nonzero(bad)
    functions = np.stack([np.ones(len(y)), y - middle[0], x - middle[1]], axis=1)
    if weights is not None:
        functions *= weights[bad][:, None]
    used = np.flatnonzero(np.diff(stand_in.indptr))
    return used, stand_in[:, used].T @ functions


def with_mean_disk(dataset: Dataset, seen: np.ndarray, repaired: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Sums (Ry, Rx, 3) of whole patterns, from those of their unmasked pixels.

    Parameters
    ----------
    dataset : Dataset
        Its mask says which pixels are missing; some hundred patterns are read.
    seen : ndarray (Ry, Rx, 3)
        Total and first moments about the detector's middle pixel, masked pixels as nothing.
    repaired : ndarray (Ry, Rx, 3)
        The same with masked pixels interpolated from their neighbours: where the origin is looked for first.
    counted : ndarray (Ry, Rx) bool
        Positions whose sums can be believed.
    """
    assert dataset.mask is not None
    share = 1 - seen[counted, 0].sum() / repaired[counted, 0].sum()
    if not share > _NOTHING:
        return seen
    if share < _LEAST or counted.sum() < 4:
        return repaired
    middle = np.array([n // 2 for n in dataset.detector_shape])
    sums = repaired
    for _ in range(_TEMPLATES):
        origin = _origin(sums, counted)
        template = _mean_disk(dataset, origin + middle[:, None, None], counted)
        if template is None:
            return repaired
        maps = _hidden(template, ~dataset.mask, middle)
        whole = template.sum()
        for _ in range(_ROUNDS):
            places = origin + middle[:, None, None]  # of [0, 0] of the maps: no shift
            hidden = np.stack([ndimage.map_coordinates(one, places, order=3, mode="grid-wrap") for one in maps], -1)
            visible = np.maximum(whole - hidden[..., 0], 0.1 * whole)
            sums = seen + hidden * (seen[..., 0] / visible)[..., None]
            origin = _origin(sums, counted)
    return sums


def _origin(sums: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Smooth origin (2, Ry, Rx), from the detector's middle pixel."""
    with np.errstate(invalid="ignore", divide="ignore"):
        com = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
    return fit_origin(com, "parabola" if min(counted.shape) > 2 else "plane", known=counted)


def _mean_disk(dataset: Dataset, origin: np.ndarray, counted: np.ndarray) -> np.ndarray | None:
    """Mean pattern (Qy, Qx) of unmasked pixels, its origin at the detector's middle pixel; None where none is there."""
    assert dataset.mask is not None
    places, sample = sampled_positions(dataset, _PATTERNS), sample_patterns(dataset, _PATTERNS)
    kept = counted[tuple(places.T)]
    total, weight = np.zeros((2, *dataset.detector_shape))
    middle = np.array([n // 2 for n in dataset.detector_shape])
    for pattern, (y, x) in zip(sample[kept], places[kept], strict=True):
        off = middle - origin[:, y, x]
        move = np.rint(off).astype(int)
        rest = off - move  # shared with the neighbours, which does not move the middle of anything
        values = np.where(dataset.mask, pattern, 0).astype(float)
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            step = np.where(rest < 0, -1, 1) * (dy, dx)
            part = float(np.prod(np.where((dy, dx), np.abs(rest), 1 - np.abs(rest))))
            total += part * np.roll(values, move + step, (0, 1))
            weight += part * np.roll(dataset.mask, move + step, (0, 1))
    if not len(sample[kept]) or not weight.any():
        return None
    known = weight > 0.02 * weight.max()
    mean = np.where(known, total / np.maximum(weight, 1e-30), 0)
    if not known.all():
        mean[~known] = neighbour_means(~known) @ mean.ravel()
    return mean


def _hidden(template: np.ndarray, bad: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """What lies under masked pixels (3, Qy, Qx), total and first moments, by where the disk's origin is."""
    y, x = (np.arange(n) - m for n, m in zip(bad.shape, middle, strict=True))
    functions = np.stack([bad, bad * y[:, None], bad * x[None]]).astype(float)
    # sum_q f(q) T(q - o + middle): a correlation over all places o of the origin
    spectrum = sfft.rfft2(functions) * np.conj(sfft.rfft2(np.roll(template, -middle, (0, 1))))
    return sfft.irfft2(spectrum, s=bad.shape)


__all__ = ["neighbour_sums", "with_mean_disk"]
