"""How alike two images or volumes are, frequency by frequency: Fourier ring and shell correlation, and what is enough.

The correlation of two measurements of one thing is, ring by ring, SNR / (1 + SNR), with the signal-to-noise ratio of
powers in either of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError


@dataclass(frozen=True)
class Ring:
    """Fourier ring correlation of two images, or shell correlation of two volumes."""

    frequency: np.ndarray  # (R,) 1/A
    correlation: np.ndarray  # (R,) -1 to 1
    counts: np.ndarray  # (R,) frequencies in each ring

    def resolution(self, threshold: float | Callable[[np.ndarray], np.ndarray] = 1 / 7) -> float:
        """Where the correlation falls below a threshold for two rings in a row, in A; else the finest ring.

        Parameters
        ----------
        threshold : float or function
            One value, or a function of the counts of the rings such as :func:`half_bit`.
        """
        level = threshold(self.counts) if callable(threshold) else np.full(len(self.counts), threshold)
        margin = self.correlation - level
        for ring in range(1, len(margin) - 1):
            if margin[ring] < 0 and margin[ring + 1] < 0:
                high, low = margin[ring - 1], margin[ring]
                part = high / (high - low) if high > 0 else 0.0
                frequency = self.frequency[ring - 1] + part * (self.frequency[ring] - self.frequency[ring - 1])
                return float(1 / frequency) if frequency > 0 else np.inf
        return float(1 / self.frequency[-1])

    def mean(self, low: float = 0.0, high: float = np.inf) -> float:
        """Mean correlation of the frequencies between two limits (1/A), each frequency counted once."""
        chosen = (self.frequency >= low) & (self.frequency <= high)
        return float(np.average(self.correlation[chosen], weights=self.counts[chosen]))

    @property
    def snr(self) -> np.ndarray:
        """Signal-to-noise ratio (R,) of powers in either of the two: FRC / (1 - FRC); inf where they are equal."""
        with np.errstate(divide="ignore"):
            return np.maximum(self.correlation, 0) / np.maximum(1 - self.correlation, 0)


def frc(first: np.ndarray, second: np.ndarray, sampling: float | tuple[float, float] = 1.0) -> Ring:
    """Fourier ring correlation of two images of the same thing with independent noise.

    FRC(ring) = Re sum F1 F2* / sqrt(sum |F1|^2 sum |F2|^2), of images under a Hann window; Saxton and Baumeister,
    J. Microsc. 127, 127 (1982).

    Parameters
    ----------
    first, second : ndarray (Y, X)
        Real, or complex of which the phase factors are compared.
    sampling : float or (float, float)
        Pixel size in A.

    Returns
    -------
    Ring

    Raises
    ------
    DataError
        When they are not two images of one shape.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> image, one, two = generator.normal(size=(3, 64, 64))
    >>> round(frc(image, image).mean(), 3), bool(0.4 < frc(image + one, image + two).mean() < 0.6)
    (1.0, True)
    """
    if first.shape != second.shape or first.ndim != 2:
        raise DataError(f"frc compares two images of one shape; got {first.shape} and {second.shape}.")
    return _correlated(first, second, sampling, taper=True, partial=False)


def fsc(
    first: np.ndarray,
    second: np.ndarray,
    sampling: float | tuple[float, float, float] = 1.0,
    *,
    taper: bool = True,
    partial: bool = False,
) -> Ring:
    """Fourier shell correlation of two volumes of the same thing with independent noise.

    The sums of :func:`frc` over shells of equal frequency in 1/A, whatever the voxels' shape; Harauz and van Heel,
    Optik 73, 146 (1986).

    Parameters
    ----------
    first, second : ndarray (Z, Y, X)
    sampling : float or (float, float, float)
        Voxel size in A.
    taper : bool
        Multiply by a Hann window along each axis, which volumes that do not go on periodically need.
    partial : bool
        Go on to the highest frequency of the finest axis; beyond that of the coarsest, shells are no longer whole. By
        default the last shell is whole.

    Returns
    -------
    Ring

    Raises
    ------
    DataError
        When they are not two volumes of one shape.

    Examples
    --------
    >>> volume = np.random.default_rng(0).normal(size=(12, 32, 32))
    >>> shells = fsc(volume, -volume, (2.0, 1.0, 1.0))
    >>> bool(np.allclose(shells.correlation, -1)), float(shells.frequency[-1])
    (True, 0.25)
    """
    if first.shape != second.shape or first.ndim != 3:
        raise DataError(f"fsc compares two volumes of one shape; got {first.shape} and {second.shape}.")
    return _correlated(first, second, sampling, taper=taper, partial=partial)


def information_threshold(counts: np.ndarray, bits: float) -> np.ndarray:
    """Correlation of two halves at which the whole, their sum, carries some bits of information per frequency.

    T(n) = (s + (2 sqrt(s) + 1) / sqrt(n)) / (s + 1 + 2 sqrt(s) / sqrt(n)) with s = (2^bits - 1) / 2, the
    signal-to-noise ratio of a half, and n the frequencies in the ring; van Heel and Schatz, J. Struct. Biol. 151, 250
    (2005).

    Parameters
    ----------
    counts : ndarray (R,)
        Frequencies in each ring, as in :class:`Ring`.
    bits : float
        Above 0.

    Returns
    -------
    ndarray (R,)

    Examples
    --------
    >>> information_threshold(np.array([1, 100, 10**8]), 0.5).round(4)
    array([1.    , 0.3067, 0.1717])
    """
    if not bits > 0:
        raise ParameterError(f"bits is {bits}; expected more than 0, such as 0.5 or 1.")
    snr, root = (2**bits - 1) / 2, np.sqrt(np.maximum(counts, 1))
    return (snr + (2 * np.sqrt(snr) + 1) / root) / (snr + 1 + 2 * np.sqrt(snr) / root)


def half_bit(counts: np.ndarray) -> np.ndarray:
    """The half-bit curve (R,), (0.2071 + 1.9102 / sqrt n) / (1.2071 + 0.9102 / sqrt n): where detail can be read.

    Examples
    --------
    >>> ring = Ring(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.9, 0.1, 0.0]), np.array([8, 12, 20, 24]))
    >>> round(ring.resolution(half_bit), 2)
    3.96
    """
    return information_threshold(counts, 0.5)


def one_bit(counts: np.ndarray) -> np.ndarray:
    """The one-bit curve (R,), (0.5 + 2.4142 / sqrt n) / (1.5 + 1.4142 / sqrt n): the stricter of the two.

    Examples
    --------
    >>> round(float(one_bit(np.array(10**12))), 4)
    0.3333
    """
    return information_threshold(counts, 1.0)


def _correlated(
    first: np.ndarray, second: np.ndarray, sampling: float | Sequence[float], *, taper: bool, partial: bool
) -> Ring:
    """Correlation over rings of a width that every axis can tell apart."""
    shape = first.shape
    steps = tuple(np.broadcast_to(np.asarray(sampling, float), len(shape)))
    window = np.ones(shape)
    for axis, n in enumerate(shape if taper else ()):
        # np.hanning begins and ends with 0, which would leave nothing of two slices
        hann = np.hanning(n) if n > 8 else np.hanning(n + 2)[1:-1]
        window = window * hann.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    spectra = [np.fft.fftn((a - (a * window).sum() / window.sum()) * window) for a in (first, second)]
    squares = np.zeros(shape)
    for k in np.meshgrid(*map(np.fft.fftfreq, shape, steps), indexing="ij", sparse=True):
        squares = squares + k**2
    extents = [n * s for n, s in zip(shape, steps, strict=True) if n > 1]
    width = max(1 / extent for extent in extents)
    rings = np.rint(np.sqrt(squares) / width).astype(int).ravel()
    coarsest = [s for n, s in zip(shape, steps, strict=True) if n > 1]
    last = min(int(0.5 / (min(coarsest) if partial else max(coarsest)) / width), int(rings.max()))
    cross, one, two = (
        np.bincount(rings, values.ravel(), rings.max() + 1)[1 : last + 1]
        for values in ((spectra[0] * spectra[1].conj()).real, *(np.abs(s) ** 2 for s in spectra))
    )
    counts = np.bincount(rings)[1 : last + 1]
    scale = np.sqrt(one * two)
    correlation = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    return Ring(np.arange(1, last + 1) * width, correlation, counts)
