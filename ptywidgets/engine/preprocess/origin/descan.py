"""Descan: the origin of each pattern from the edge of its disk, and the smooth surface through all origins.

The centre of mass follows the specimen too; the edge of the bright-field disk hardly does. A pattern is compared with
the disk at every place by its likelihood as counts spread over disk and background, sum_q I(q) log(E(q - d) + b): a
cross-correlation, which counts only what crosses the edge, however uneven the inside is.
"""

from __future__ import annotations

import numpy as np
from scipy import fft as sfft
from scipy.interpolate import RegularGridInterpolator

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.detectors import filled_by_symmetry
from ptywidgets.engine.optics.probe_report import few_patterns_mean
from ptywidgets.engine.preprocess.defects.pixels import sample_patterns, sampled_positions
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.disk.disk import DiskFit
from ptywidgets.engine.preprocess.origin.origin_fit import fill_com

_BACKGROUND = 0.03  # of the disk's height: how surprising light beside the disk is
_FINE = np.arange(-5, 6) * 0.25  # px, places that are tried about the coarse one


@counted(block=1)
def disk_origins(dataset: Dataset, disk: DiskFit, block: int | None = None) -> np.ndarray:
    """Centre of the bright-field disk in every pattern, by its edge.

    Parameters
    ----------
    dataset : Dataset
        Read once, in chunks.
    disk : DiskFit
        Its size and shape, from :func:`measure_disk` on a vacuum pattern or on :func:`centred_mean`.
    block : int, optional
        Patterns of `block` x `block` neighbouring positions are summed, and the origins interpolated between the
        blocks; by default 1 where a pattern has 300 counts, and more where it has fewer.

    Returns
    -------
    ndarray (2, Ry, Rx) float64
        Row and column in detector pixels; positions that are left out are filled from their neighbours.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.preprocess.disk.disk import measure_disk
    >>> dataset = samples.ducky("tiny")
    >>> origins = disk_origins(dataset, measure_disk(dataset.vacuum))
    >>> origins.shape, bool(np.ptp(origins[0]) > 3)  # descan moves the patterns by some pixels
    ((2, 12, 12), True)
    """
    if block is None:
        block = _block_for(dataset)
    dataset, search = repaired(dataset), _Search(dataset.detector_shape, disk)
    rows, columns = dataset.scan_shape
    counted = dataset.scan_mask
    parts: list[np.ndarray] = []
    waiting: list[np.ndarray] = []  # rows of the block that is not complete yet
    for first, chunk in dataset.rows(24e6):
        for y, line in enumerate(chunk, first):
            if counted is not None and not counted[y].all():
                line = np.where(counted[y][:, None, None], line, line.dtype.type(0))
            waiting.append(line)
            if len(waiting) < block and y + 1 < rows:
                continue
            parts.append(search.origins(_summed(waiting, block)))
            waiting = []
    found = np.stack(parts, axis=1)  # (2, blocks down, blocks across)
    if counted is not None:
        seen = np.add.reduceat(counted, np.arange(0, rows, block), axis=0, dtype=int)
        found = fill_com(found, np.add.reduceat(seen, np.arange(0, columns, block), axis=1) > 0)
    if block == 1:
        return found
    middles = [np.array([(s + min(s + block, n) - 1) / 2 for s in range(0, n, block)]) for n in (rows, columns)]
    return _spread(found, middles, (rows, columns))


@counted(most=1)
def centred_mean(dataset: Dataset, origin: np.ndarray, most: int = 400, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean pattern (Qy, Qx) of about `most` positions, each rolled by whole pixels to the mean origin: no descan in it.

    Parameters
    ----------
    dataset : Dataset
    origin : ndarray (2, Ry, Rx)
        Detector pixels.
    most : int
        Patterns that are read, spread over the scan.
    mask : ndarray (Qy, Qx) bool, optional
        True where a pixel was measured, and not only repaired from its neighbours as `dataset` has it. Where wide holes
        hide a part of the disk, the mean has there what is on the other side of the disk's centre.
    """
    positions, sample = sampled_positions(dataset, most), sample_patterns(dataset, most)
    if dataset.scan_mask is not None:
        kept = dataset.scan_mask[tuple(positions.T)]
        if not kept.any():  # none of the rows that are looked at
            return dataset.mean_pattern()
        positions, sample = positions[kept], sample[kept]
    shifts = np.rint(origin.mean((1, 2))[:, None] - origin[:, positions[:, 0], positions[:, 1]]).astype(int).T
    total = np.zeros(dataset.detector_shape)
    for pattern, shift in zip(sample, shifts, strict=True):
        total += np.roll(pattern, shift, (0, 1))
    mean = total / len(positions)
    if mask is None or mask.all():
        return mean
    seen = np.logical_and.reduce([np.roll(mask, shift, (0, 1)) for shift in np.unique(shifts, axis=0)])
    return filled_by_symmetry(mean, ~seen, dataset.calibration.relative_pixels)[0] if seen.any() else mean


class _Search:
    """The disk's likelihood at every place: first on binned pixels by FFT, then in quarters of a pixel."""

    def __init__(self, shape: tuple[int, int], disk: DiskFit) -> None:
        self.shape, self.binning = shape, max(1, int(disk.radius // 5))
        b = self.binning
        self.coarse_shape = tuple(-(-n // b) for n in shape)
        self.fast = tuple(sfft.next_fast_len(n, real=True) for n in self.coarse_shape)
        dy, dx = (np.fft.fftfreq(n, 1 / n) * b for n in self.fast)
        kernel = self._log_disk(disk, dy[:, None], dx[None], max(disk.edge_width, 1.5 * b))
        self.kernel = np.conj(sfft.rfft2(kernel.astype(np.float32)))
        half = int(np.ceil(disk.radius * max(1.0, disk.ellipticity) + disk.edge_width + 3))
        self.window = np.arange(-half, half + 1)
        places = np.stack(np.meshgrid(_FINE, _FINE, indexing="ij")).reshape(2, -1)
        y, x = self.window[:, None, None], self.window[None, :, None]
        bank = self._log_disk(disk, y - places[0], x - places[1], max(disk.edge_width, 1.0))
        varied = np.ptp(bank, axis=-1) > 1e-3  # pixels that all places see alike tell nothing
        self.used = np.nonzero(varied)
        self.bank = bank[varied].astype(np.float32)

    @staticmethod
    def _log_disk(disk: DiskFit, y: np.ndarray, x: np.ndarray, width: float) -> np.ndarray:
        inside = disk.profile(y + disk.centre[0], x + disk.centre[1], width)
        return np.log((inside + _BACKGROUND) / _BACKGROUND)

    def origins(self, patterns: np.ndarray) -> np.ndarray:
        """(2, n) px of patterns (n, Qy, Qx)."""
        patterns = patterns.astype(np.float32, copy=False)
        if not np.isfinite(patterns).all():
            raise DataError("some patterns have NaN or infinite counts; replace them, for instance by 0.")
        centres = np.rint(self._coarse(patterns)).astype(int)
        found, inside = self._refined(patterns, centres)
        for _ in range(3):
            again = np.flatnonzero(~inside)
            if not len(again):
                break
            found[again], inside[again] = self._refined(patterns[again], np.rint(found[again]).astype(int))
        return found.T

    def _coarse(self, patterns: np.ndarray) -> np.ndarray:
        """Places (n, 2) px from binned pixels, good to half a pixel or so."""
        b, (rows, columns), count = self.binning, self.coarse_shape, len(patterns)
        extra = [n * b - have for n, have in zip(self.coarse_shape, self.shape, strict=True)]
        if any(extra):
            patterns = np.pad(patterns, [(0, 0), (0, extra[0]), (0, extra[1])])
        summed = patterns.reshape(count, rows, b, columns * b).sum(2)
        coarse = (summed.reshape(-1, b) @ np.ones(b, np.float32)).reshape(count, rows, columns)
        spectrum = sfft.rfft2(coarse, s=self.fast, workers=worker_count()) * self.kernel
        likeness = sfft.irfft2(spectrum, s=self.fast, workers=worker_count())
        best = np.unravel_index(likeness.reshape(count, -1).argmax(1), self.fast)
        places = np.empty((count, 2))
        for axis, (at, n) in enumerate(zip(best, self.fast, strict=True)):
            beside = [list(best), list(best)]
            beside[0][axis], beside[1][axis] = (at - 1) % n, (at + 1) % n
            low, high, top = (likeness[(np.arange(count), where[0], where[1])] for where in (*beside, best))
            bend = np.minimum(low + high - 2 * top, -1e-30)
            whole = np.where(at >= self.coarse_shape[axis], at - n, at)
            places[:, axis] = (whole + (0.5 * (low - high) / bend).clip(-0.5, 0.5)) * b + (b - 1) / 2
        return places

    def _refined(self, patterns: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (n, 2) of the most likely disk near `centres`, and whether it lies within the places tried."""
        y = centres[:, :1] + self.window[self.used[0]]
        x = centres[:, 1:] + self.window[self.used[1]]
        on = (y >= 0) & (y < self.shape[0]) & (x >= 0) & (x < self.shape[1])
        index = np.where(on, y * self.shape[1] + x, 0)
        light = np.where(on, np.take_along_axis(patterns.reshape(len(patterns), -1), index, axis=1), 0)
        surface = (light @ self.bank).reshape(len(patterns), len(_FINE), len(_FINE))
        n = len(_FINE)
        row, column = np.unravel_index(surface.reshape(len(patterns), -1).argmax(1), (n, n))
        inside = (row > 0) & (row < n - 1) & (column > 0) & (column < n - 1)
        row, column, each = row.clip(2, n - 3), column.clip(2, n - 3), np.arange(len(patterns))
        # A parabola through five points along each axis: wide enough that the likelihood's grain does not count.
        offsets = np.arange(-2, 3)
        along = [surface[each[:, None], row[:, None] + offsets, column[:, None]]]
        along.append(surface[each[:, None], row[:, None], column[:, None] + offsets])
        step = []
        for values in along:
            slope = values @ offsets / 10
            curvature = values @ np.array([2, -1, -2, -1, 2]) / 7
            step.append(np.where(curvature < 0, -slope / np.where(curvature < 0, curvature, -1), 0).clip(-2, 2))
        fine = _FINE[np.stack([row, column], 1)] + np.stack(step, 1) * 0.25
        return centres + fine, inside


def _block_for(dataset: Dataset) -> int:

    if dataset.dtype.kind not in "iu":
        return 1  # intensities that are scaled say nothing about their noise
    counts = max(few_patterns_mean(dataset, 9), 1.0)
    return int(np.clip(np.ceil(np.sqrt(300 / counts)), 1, max(1, min(dataset.scan_shape) // 3)))


def _summed(lines: list[np.ndarray], block: int) -> np.ndarray:
    """Sums (n, Qy, Qx) over blocks of `block` columns of scan rows (Rx, Qy, Qx) together."""
    if block == 1:
        return lines[0]
    total = np.stack(lines).sum(0, dtype=np.float32)
    return np.add.reduceat(total, np.arange(0, len(total), block), axis=0)


def _spread(found: np.ndarray, middles: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Origins of blocks, linearly interpolated and extrapolated to every position."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).astype(float)
    for axis in (0, 1):
        if len(middles[axis]) == 1:  # one block along this axis: the same everywhere
            found = np.repeat(found, 2, axis=axis + 1)
            middles[axis] = middles[axis][0] + np.array([0.0, 1.0])
    whole = RegularGridInterpolator(middles, np.moveaxis(found, 0, -1), bounds_error=False, fill_value=None)
    return np.moveaxis(whole(grid), -1, 0)
