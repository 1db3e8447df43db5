"""Virtual images: sums over a mask for every scan position, fast enough to be dragged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Dataset
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
    copy is made once where it fits; larger data are summed chunk by chunk from where they are.

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
        if dataset.nbytes <= _COPY_LIMIT:
            qy, qx = dataset.detector_shape
            ry, rx = dataset.scan_shape
            self._pixels = np.empty((qy * qx, ry * rx), dataset.dtype)
            for first, block in dataset.rows():
                flat = block.reshape(-1, qy * qx)
                self._pixels[:, first * rx : first * rx + len(flat)] = flat.T
            self._total = self._sum(np.flatnonzero(self._good))

    @property
    def fast(self) -> bool:
        """Whether the detector-major copy is there."""
        return self._pixels is not None

    def image(self, mask: np.ndarray) -> np.ndarray:
        """Sum over the mask (Qy, Qx), for every scan position: (Ry, Rx) float64, NaN where one is left out."""
        mask = np.asarray(mask, bool) & self._good
        out = np.empty(self.dataset.scan_shape)
        if self._pixels is None:
            for first, block in self.dataset.rows():
                out[first : first + len(block)] = block[..., mask].sum(-1, dtype=np.float64)
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

    def mean_pattern(self) -> np.ndarray:
        """Mean pattern (Qy, Qx) float64: of all positions, or of some rows where the data are not held in memory."""
        shape, counted = self.dataset.detector_shape, self.dataset.scan_mask
        if self._pixels is not None and counted is None and np.isfinite(self._total).all():
            return np.where(self._good, self._pixels.mean(1, dtype=np.float64).reshape(shape), 0)
        if self._pixels is not None:
            return self.dataset.mean_pattern()
        rows = np.arange(self.dataset.scan_shape[0]) if counted is None else np.flatnonzero(counted.any(1))
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, 8).astype(int))]
        width = self.dataset.scan_shape[1]
        return np.mean([self.dataset.mean_pattern((int(y), int(y) + 1, 0, width)) for y in rows], axis=0)

    def _sum(self, chosen: np.ndarray) -> np.ndarray:
        out = np.zeros(self._pixels.shape[1])  # type: ignore[union-attr]  # called where pixels are kept only
        for start in range(0, len(chosen), 256):
            out += self._pixels[chosen[start : start + 256]].sum(0, dtype=np.float64)  # type: ignore[index]  # called where pixels are kept only
        return out


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
