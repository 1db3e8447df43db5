"""The cepstrum of diffraction patterns: distances between atoms, straight from each pattern.

c(x) = |F[w(q) log(1 + I(q) / b)]|. The logarithm turns the product of what atoms and what the lattice do into a sum,
and a lattice vector shows as a peak at its own length, whatever tilt and thickness do to the intensities; Padgett et
al., Ultramicroscopy 214, 112994 (2020). A modulus knows no shift, so descan does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import ParameterError
from ptywidgets.engine.prepare.frames import screened_or_warned
from ptywidgets.engine.prepare.mend import mended

_PORTION = 16e6  # bytes of patterns that are transformed at once


@dataclass(frozen=True)
class Cepstrum:
    """Mean cepstrum of a scan; zero distance in the middle, at [Qy // 2, Qx // 2]."""

    mean: np.ndarray  # (Qy, Qx) float64
    sampling: tuple[float, float] | None  # A per pixel; None without a calibration of the detector
    background: float  # counts that were taken for none


def cepstrum(dataset: Dataset, background: float | None = None) -> Cepstrum:
    """Mean of the patterns' cepstra.

    Parameters
    ----------
    dataset : Dataset
        Read once, in portions.
    background : float, optional
        Intensity below which the logarithm levels off; by default a thousandth of the mean pattern's brightest pixels,
        and one count at least where the data are counts.

    Returns
    -------
    Cepstrum

    Examples
    --------
    >>> from ptywidgets import samples
    >>> found = cepstrum(samples.ducky("tiny"))
    >>> found.mean.shape, found.sampling
    ((64, 64), (0.3125, 0.3125))
    """
    dataset = screened_or_warned(dataset).dataset
    level = _background(dataset, background)
    total = np.zeros(dataset.detector_shape)
    counted = np.ones(dataset.scan_shape, bool) if dataset.scan_mask is None else dataset.scan_mask
    for first, part in _cepstra(dataset, level):
        total += part[counted.flat[first : first + len(part)]].sum(0, dtype=np.float64)
    known = dataset.calibration.q_pixel is not None
    sampling = dataset.calibration.sampling(dataset.detector_shape) if known else None
    return Cepstrum(total / counted.sum(), sampling, level)


def cepstral_image(dataset: Dataset, mask: np.ndarray, background: float | None = None) -> np.ndarray:
    """Virtual image (Ry, Rx): the cepstrum of every pattern summed over a mask, for instance over a lattice vector.

    Parameters
    ----------
    dataset : Dataset
        Read once, in portions.
    mask : ndarray (Qy, Qx) bool
        In the frame of :class:`Cepstrum`; :func:`ptywidgets.engine.virtual.annulus_mask` and its like make one.
    background : float, optional
        As of :func:`cepstrum`.

    Returns
    -------
    ndarray (Ry, Rx)
        NaN where a position is left out.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != dataset.detector_shape:
        raise ParameterError(f"the mask is {mask.shape}; expected the detector's shape, {dataset.detector_shape}.")
    dataset = screened_or_warned(dataset).dataset
    image = np.empty(dataset.scan_shape[0] * dataset.scan_shape[1])
    for first, part in _cepstra(dataset, _background(dataset, background)):
        image[first : first + len(part)] = part[:, mask].sum(1, dtype=np.float64)
    if dataset.scan_mask is not None:
        image[~dataset.scan_mask.ravel()] = np.nan
    return image.reshape(dataset.scan_shape)


def _cepstra(dataset: Dataset, background: float) -> Iterator[tuple[int, np.ndarray]]:
    """Index of the first pattern and cepstra (n, Qy, Qx) float32, portion by portion."""
    window = np.outer(*[np.hanning(n + 2)[1:-1] for n in dataset.detector_shape]).astype(np.float32)
    columns, dataset = dataset.scan_shape[1], mended(dataset)
    for first, block in dataset.rows(_PORTION):
        patterns = block.reshape(-1, *dataset.detector_shape)
        logs = np.log1p(patterns.astype(np.float32).clip(0) / np.float32(background))
        logs -= logs.mean((1, 2), keepdims=True)  # its peak at zero distance says nothing and would cover the near ones
        spectra = np.abs(sfft.fft2(logs * window, workers=2))
        yield first * columns, np.fft.fftshift(spectra, axes=(1, 2))


def _background(dataset: Dataset, background: float | None) -> float:
    if background is not None:
        if not background > 0:
            raise ParameterError(f"background is {background!r}; expected an intensity above 0.")
        return float(background)
    counted = np.arange(dataset.scan_shape[0])
    if dataset.scan_mask is not None:
        counted = np.flatnonzero(dataset.scan_mask.any(1))
    rows = counted[np.unique(np.linspace(0, len(counted) - 1, 4).astype(int))]
    mean = np.mean([dataset.mean_pattern((int(y), int(y) + 1, 0, dataset.scan_shape[1])) for y in rows], axis=0)
    level = 1e-3 * float(np.quantile(mean, 0.99))
    return max(level, 1.0) if dataset.dtype.kind in "iu" else max(level, 1e-30)


__all__ = ["Cepstrum", "cepstral_image", "cepstrum"]
