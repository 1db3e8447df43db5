"""Virtual images: sums over a mask for every scan position, fast enough to be dragged."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.data.detectors import (
    PRESETS,
    Detector,
    Disk,
    annulus_mask,
    disk_mask,
    disk_semiangle,
    fit_disk,
    preset_detector,
    rectangle_mask,
    scan_range,
)

_COPY_LIMIT = 1.5e9  # bytes: up to here a second, detector-major copy is made for speed
_SAMPLE_BYTES, _SAMPLE_SECONDS = 6e7, 0.8  # of larger data, that are read beforehand at most, and the time for that
_SAMPLE_LEAST = 16  # patterns of it, however slowly they are read


@dataclass(frozen=True)
class Histogram:
    """How many pixels have which value."""

    edges: np.ndarray  # (B + 1,)
    counts: np.ndarray  # (B,)
    limits: tuple[float, float]  # values at the percentiles that were asked for

    @property
    def heights(self) -> np.ndarray:
        """Logarithm of 1 + counts (B,), the highest 1: so that a few bright pixels are seen beside many dark ones."""
        heights = np.log1p(self.counts)
        return heights / max(heights.max(), 1e-12)


@counted(bins=1)
def histogram(image: np.ndarray, bins: int = 64, percentiles: tuple[float, float] = (0.0, 100.0)) -> Histogram:
    """Histogram of the finite values of an image; whole numbers get bins of whole width.

    Examples
    --------
    >>> histogram(np.array([[0, 1], [1, 3]]), bins=4).counts.tolist()
    [1, 2, 0, 1]
    """
    image = np.asarray(image)
    values = image[np.isfinite(image)] if image.dtype.kind == "f" else image.ravel()
    if values.size == 0:
        values = np.zeros(1)
    low, high = float(values.min()), float(values.max())
    if image.dtype.kind in "iu":
        width = max(1, math.ceil((high - low + 1) / bins))
        edges = np.arange(low, high + width + 1, width) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    counts, edges = np.histogram(values, edges)
    ranks = np.percentile(values, percentiles)
    return Histogram(edges, counts, (float(ranks[0]), float(ranks[1])))


class VirtualImager:
    """Virtual images of a dataset; NaN where a scan position is left out, without the pixels that the mask leaves out.

    Sums over a mask read only the pixels in it when the data are held detector-major: pixel by pixel an image. That
    copy is made once where it fits; larger data are summed chunk by chunk from where they are, and of them a sample of
    positions, on a coarser raster, is held for :meth:`preview`.

    Parameters
    ----------
    dataset : Dataset

    Examples
    --------
    >>> imager = VirtualImager(Dataset(np.ones((3, 4, 8, 8))))
    >>> imager.image(disk_mask((8, 8), (4, 4), 1.2)).tolist()[0]
    [5.0, 5.0, 5.0, 5.0]
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._pixels: np.ndarray | None = None
        self._good = np.ones(dataset.detector_shape, bool) if dataset.mask is None else dataset.mask
        self._summed: tuple[np.ndarray, int, np.ndarray] | None = None  # of rows that come: mask, rows, image
        if dataset.nbytes <= _COPY_LIMIT:
            qy, qx = dataset.detector_shape
            ry, rx = dataset.scan_shape
            part = measured_rows(dataset)
            whole = part is dataset or part.scan_shape == dataset.scan_shape
            self._pixels = (np.empty if whole else np.zeros)((qy * qx, ry * rx), dataset.dtype)
            self._copy(part, 0)
            self._held = part.scan_shape[0] * rx  # positions; others are still to come
            self._total = self._sum(np.flatnonzero(self._good))
        else:
            self._sample = _Sample(dataset)

    def take(self, dataset: Dataset) -> None:
        """Take in rows that have come since; only these are read.

        Parameters
        ----------
        dataset : Dataset
            The same data, while or after they are written.
        """
        first = measured_rows(self.dataset).scan_shape[0]
        rows, columns = measured_rows(dataset).scan_shape
        if self._pixels is None:
            self._sample.take(dataset)
        elif rows > first:
            new = dataclasses.replace(dataset, scan_mask=None).crop(scan=(first, rows, 0, columns))
            self._copy(new, first)
            total = self._total.copy()
            total += self._sum(np.flatnonzero(self._good), slice(first * columns, rows * columns))
            self._total, self._held = total, rows * columns
        self.dataset = dataset

    def _copy(self, part: Dataset, first: int) -> None:
        """Patterns of some rows, from row `first` on, into the detector-major copy."""
        columns, pixels = part.scan_shape[1], math.prod(part.detector_shape)
        assert self._pixels is not None
        for row, block in part.rows():
            here = slice((first + row) * columns, (first + row + len(block)) * columns)
            _transpose(block.reshape(-1, pixels), self._pixels[:, here])

    @property
    def fast(self) -> bool:
        """Whether the detector-major copy is there."""
        return self._pixels is not None

    def preview(self, mask: np.ndarray) -> np.ndarray:
        """The image at once: :meth:`image` where that is quick, else of a sample of the positions, each of which stands
        for those about it; (Ry, Rx) float64."""
        return self.image(mask) if self.fast else self._sample.image(mask)

    def image(self, mask: np.ndarray, progress: Callable[[float], object] = lambda _share: None) -> np.ndarray:
        """Sum over the mask, for every scan position; NaN where one is left out.

        Parameters
        ----------
        mask : ndarray (Qy, Qx) bool
        progress : callable
            Called with the share that is done, 0 to 1, where that takes a while.

        Returns
        -------
        ndarray (Ry, Rx) float64
        """
        mask = np.asarray(mask, bool) & self._good
        out = np.empty(self.dataset.scan_shape)
        if self._pixels is None:
            self._sum_rows(mask, out, progress)
        else:
            chosen = np.flatnonzero(mask)
            if 2 * len(chosen) > self._good.sum():  # fewer pixels to read in what is left out
                sums = self._total - self._sum(np.flatnonzero(self._good & ~mask))
            else:
                sums = self._sum(chosen)
            out = sums.reshape(self.dataset.scan_shape)
        if self.dataset.scan_mask is not None:
            out[~self.dataset.scan_mask] = np.nan
        return out

    def _sum_rows(self, mask: np.ndarray, out: np.ndarray, progress: Callable[[float], object]) -> None:
        """Sums of data that are not held, into `out`; of those that grow with the rows that were summed before."""
        dataset, begun = self.dataset, 0
        part = measured_rows(dataset)
        if dataset.source.follow and self._summed is not None and np.array_equal(self._summed[0], mask):
            begun = min(self._summed[1], part.scan_shape[0])
            out[:begun] = self._summed[2][:begun]
        rows, columns = part.scan_shape
        out[rows:] = 0
        if begun < rows:
            new = part if not begun else dataclasses.replace(part, scan_mask=None).crop(scan=(begun, rows, 0, columns))
            for first, block in new.rows():
                here = slice(begun + first, begun + first + len(block))
                out[here] = block[..., mask].sum(-1, dtype=np.float64)
                progress(here.stop / rows)
        if dataset.source.follow:
            self._summed = mask, rows, out.copy()

    def mean_pattern(self) -> np.ndarray:
        """Mean pattern (Qy, Qx) float64: of all positions, or of a sample where the data are not held in memory."""
        shape, counted = self.dataset.detector_shape, self.dataset.scan_mask
        if self._pixels is not None and counted is None and np.isfinite(self._total).all():
            return np.where(self._good, self._pixels.mean(1, dtype=np.float64).reshape(shape), 0)
        if self._pixels is not None:
            return self.dataset.mean_pattern()
        return self._sample.mean_pattern()

    def _sum(self, chosen: np.ndarray, here: slice | None = None) -> np.ndarray:
        """Sums over pixels, of all positions that are held or of some of them; 0 of others."""
        assert self._pixels is not None  # called where pixels are kept only
        here = slice(self._held) if here is None else here
        out = np.zeros(self._pixels.shape[1])
        part, held = out[here], self._pixels[:, here]
        for start in range(0, len(chosen), 256):
            part += held[chosen[start : start + 256]].sum(0, dtype=np.float64)
        return out


def _transpose(patterns: np.ndarray, out: np.ndarray) -> None:
    """`patterns` (n, Q) as `out` (Q, n), in tiles that stay in the processor's cache: a quarter of the time."""
    for first in range(0, len(patterns), 32):
        for pixel in range(0, len(out), 4096):
            tile = slice(pixel, pixel + 4096), slice(first, first + 32)
            out[tile] = patterns[tile[::-1]].T


class _Sample:
    """Patterns of a coarser raster of positions, held in memory for what is wanted at once of large data.

    As many as can be read in a fraction of a second; at the ends of a raster of whole steps the last position stands
    for what is left over.
    """

    def __init__(self, dataset: Dataset) -> None:
        begun = time.perf_counter()
        first = dataset.pattern(0, 0)
        each = max(time.perf_counter() - begun, 1e-6)
        most = min(_SAMPLE_SECONDS / each, _SAMPLE_BYTES / first.nbytes)
        ry, rx = dataset.scan_shape
        step = max(1, math.ceil(math.sqrt(ry * rx / max(most, _SAMPLE_LEAST))))
        self._rows, self._columns = (np.arange(min(step // 2, n - 1), n, step) for n in (ry, rx))
        self._patterns = np.zeros((len(self._rows), len(self._columns), *dataset.detector_shape), dataset.dtype)
        self._there = np.zeros(len(self._rows), bool)  # of these rows
        self._good = np.ones(dataset.detector_shape, bool) if dataset.mask is None else dataset.mask
        self.take(dataset)
        near = [
            np.clip(np.arange(n) // step, 0, len(places) - 1) for n, places in ((ry, self._rows), (rx, self._columns))
        ]
        self._near = np.ix_(*near)

    def take(self, dataset: Dataset) -> None:
        """Read the rows of the sample that are there and were not."""
        rows = measured_rows(dataset).scan_shape[0]
        for y, row in enumerate(self._rows):
            if row >= rows or self._there[y]:
                continue
            check_stop()
            for x, column in enumerate(self._columns):
                self._patterns[y, x] = dataset.pattern(int(row), int(column))
            self._there[y] = True
        self._whole, self._small = dataset, Dataset(self._patterns, mask=dataset.mask)
        counted = None if dataset.scan_mask is None else dataset.scan_mask[np.ix_(self._rows, self._columns)]
        self._some = counted is None or bool(counted.any())
        if counted is not None and self._some:
            self._small = self._small.with_scan_mask(counted, confirm=True)

    def image(self, mask: np.ndarray) -> np.ndarray:
        chosen = np.flatnonzero(np.asarray(mask, bool) & self._good)
        patterns = np.asarray(self._small.data).reshape(*self._small.scan_shape, -1)
        sums = np.take(patterns, chosen, axis=-1).sum(-1, dtype=np.float64)
        sums[~self._there] = np.nan
        out = sums[self._near]
        if self._whole.scan_mask is not None:
            out[~self._whole.scan_mask] = np.nan
        return out

    def mean_pattern(self) -> np.ndarray:
        return (self._small if self._some else self._whole).mean_pattern()


__all__ = [
    "PRESETS",
    "Detector",
    "Disk",
    "Histogram",
    "VirtualImager",
    "annulus_mask",
    "disk_mask",
    "disk_semiangle",
    "fit_disk",
    "histogram",
    "preset_detector",
    "rectangle_mask",
    "scan_range",
]
