"""How good a result is, from the data alone: counts thinned into independent halves, and how alike two images are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError


@dataclass(frozen=True)
class Ring:
    """Fourier ring correlation of two images."""

    frequency: np.ndarray  # (R,) 1/A
    correlation: np.ndarray  # (R,) -1 to 1
    counts: np.ndarray  # (R,) frequencies in each ring

    def resolution(self, threshold: float = 1 / 7) -> float:
        """Where the correlation falls below a threshold for two rings in a row, in A; else the finest ring."""
        below = self.correlation < threshold
        for ring in range(1, len(below) - 1):
            if below[ring] and below[ring + 1]:
                high, low = self.correlation[ring - 1], self.correlation[ring]
                part = (high - threshold) / (high - low) if high > threshold else 0.0
                frequency = self.frequency[ring - 1] + part * (self.frequency[ring] - self.frequency[ring - 1])
                return float(1 / frequency) if frequency > 0 else np.inf
        return float(1 / self.frequency[-1])

    def mean(self, low: float = 0.0, high: float = np.inf) -> float:
        """Mean correlation of the frequencies between two limits (1/A), each frequency counted once."""
        chosen = (self.frequency >= low) & (self.frequency <= high)
        return float(np.average(self.correlation[chosen], weights=self.counts[chosen]))


def frc(first: np.ndarray, second: np.ndarray, sampling: float | tuple[float, float] = 1.0) -> Ring:
    """Fourier ring correlation of two images of the same thing with independent noise.

    Parameters
    ----------
    first, second : ndarray (Y, X)
        Real, or complex of which the phase factors are compared.
    sampling : float or (float, float)
        Pixel size in A.

    Returns
    -------
    Ring

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> image, one, two = generator.normal(size=(3, 64, 64))
    >>> round(frc(image, image).mean(), 3), bool(0.4 < frc(image + one, image + two).mean() < 0.6)
    (1.0, True)
    """
    if first.shape != second.shape or first.ndim != 2:
        raise DataError(f"frc compares two images of one shape; got {first.shape} and {second.shape}.")
    shape = first.shape
    steps = (sampling, sampling) if isinstance(sampling, (int, float)) else sampling
    window = np.hanning(shape[0])[:, None] * np.hanning(shape[1])[None]
    spectra = [np.fft.fft2((a - (a * window).sum() / window.sum()) * window) for a in (first, second)]
    ky, kx = (np.fft.fftfreq(n, s) for n, s in zip(shape, steps, strict=True))
    k = np.hypot(ky[:, None], kx[None])
    width = max(1 / (n * s) for n, s in zip(shape, steps, strict=True))
    rings = np.rint(k / width).astype(int).ravel()
    last = int(0.5 / max(steps) / width)
    cross, one, two = (
        np.bincount(rings, values.ravel(), rings.max() + 1)[1 : last + 1]
        for values in ((spectra[0] * spectra[1].conj()).real, *(np.abs(s) ** 2 for s in spectra))
    )
    counts = np.bincount(rings)[1 : last + 1]
    scale = np.sqrt(one * two)
    correlation = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    return Ring(np.arange(1, last + 1) * width, correlation, counts)


def thin_counts(dataset: Dataset, share: float = 0.5, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Share out the counts of a dataset at random: two measurements at lower dose, independent of each other.

    Binomial thinning of Poisson counts gives Poisson counts, whose noise is independent.

    Parameters
    ----------
    dataset : Dataset
        Of whole counts; read as a whole.
    share : float
        Of the counts that go into the first.
    seed : int

    Returns
    -------
    (Dataset, Dataset)

    Examples
    --------
    >>> data = np.random.default_rng(0).poisson(5.0, (2, 3, 8, 8))
    >>> one, two = thin_counts(Dataset(data))
    >>> bool((one.data + two.data == data).all())
    True
    """
    data = np.asarray(dataset.data[...])
    if data.dtype.kind == "f" and not np.array_equal(data, np.rint(data)):
        raise DataError(
            "thin_counts needs whole counts; these are intensities. Scale them to electrons and round them."
        )
    if data.min() < 0:
        raise DataError("thin_counts needs counts; there are negative ones. Subtract the dark reference and clip at 0.")
    whole = data.astype(np.int64)
    first = np.random.default_rng(seed).binomial(whole, share)
    kind = data.dtype if data.dtype.kind in "ui" else np.dtype(np.float32)
    halves = (first.astype(kind), (whole - first).astype(kind))
    one, two = (
        replace(dataset, data=half, name=f"{dataset.name}, {word} part", path=None, metadata={})
        for half, word in zip(halves, ("first", "second"), strict=True)
    )
    return one, two
