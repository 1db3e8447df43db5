"""Another size of pixel for the same field: spectra cut or padded with zeros, exact for what both grids can hold.

A detector window of n pixels instead of N makes object pixels N / n times as large. Band-limited fields change from one
grid to the other without interpolation, by their Fourier coefficients; an object is first brought to a size that is a
whole number of pixels on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft

from ptywidgets.engine.core.workers import worker_count


def cut_spectrum(spectrum: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Central frequencies (..., ny, nx) of a spectrum (..., Ny, Nx) in FFT order; zeros where there are none.

    Examples
    --------
    >>> cut_spectrum(np.arange(5.0)[None], (1, 3)).tolist()
    [[0.0, 1.0, 4.0]]
    """
    out = np.zeros((*spectrum.shape[:-2], *shape), spectrum.dtype)
    (y_low, y_high), (x_low, x_high) = (
        ((n + 1) // 2, n // 2) for n in (min(a, b) for a, b in zip(spectrum.shape[-2:], shape, strict=True))
    )
    for rows in (slice(0, y_low), slice(-y_high, None)) if y_high else (slice(0, y_low),):
        for columns in (slice(0, x_low), slice(-x_high, None)) if x_high else (slice(0, x_low),):
            out[..., rows, columns] = spectrum[..., rows, columns]
    return out


def resample_probe(probe: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """A corner-centred probe (M, Ny, Nx) in a window of other pixels and the same extent, with the same counts.

    Examples
    --------
    >>> probe = np.ones((1, 4, 4), np.complex64)
    >>> finer = resample_probe(probe, (8, 8))
    >>> finer.shape, float((abs(finer) ** 2).sum())
    ((1, 8, 8), 16.0)
    """
    spectrum = cut_spectrum(scipy.fft.fft2(probe, norm="ortho"), window)
    return scipy.fft.ifft2(spectrum, norm="ortho").astype(probe.dtype)


def resampled_shape(shape: tuple[int, ...], window: tuple[int, int], new: tuple[int, int]) -> tuple[int, ...]:
    """Shape (S, Y, X) of an object of this `shape` and `window` when the window becomes `new`: whole pixels, rounded
    up.

    Examples
    --------
    >>> resampled_shape((1, 1180, 1180), (200, 200), (128, 128))
    (1, 768, 768)
    """
    return (*shape[:-2], *(n for _, n in _commensurate(shape, window, new)))


def resample_object(
    obj: np.ndarray, window: tuple[int, int], new: tuple[int, int], shape: tuple[int, ...], empty: float
) -> np.ndarray:
    """An object (S, Y, X) on the grid of another window; pixel [0, 0] stays where it is.

    Parameters
    ----------
    obj : ndarray (S, Y, X)
        On the grid of `window`.
    window, new : (int, int)
        Detector windows of the old grid and of the new one, px.
    shape : (S, Y, X)
        Of the result; what lies beyond the old object is empty.
    empty : float
        What an object is where there is nothing: 1 for a transmission, 0 for a potential.

    Returns
    -------
    ndarray (S, Y, X), as `obj`
    """
    sizes = _commensurate(obj.shape, window, new)
    padded = np.full((len(obj), *(n for n, _ in sizes)), empty, obj.dtype)
    padded[:, : obj.shape[1], : obj.shape[2]] = obj
    finer = tuple(n for _, n in sizes)
    if np.iscomplexobj(obj):
        spectrum = cut_spectrum(scipy.fft.fft2(padded, workers=worker_count()), finer)
        field = scipy.fft.ifft2(spectrum, workers=worker_count()) * np.float32(
            math.prod(finer) / math.prod(padded.shape[-2:])
        )
    else:  # half of the numbers, and with an axis at a time the second one is shorter already
        field = _resample_real(_resample_real(padded, finer[1], -1), finer[0], -2)
    out = np.full(shape, empty, obj.dtype)
    rows, columns = (min(a, b) for a, b in zip(shape[-2:], finer, strict=True))
    out[:, :rows, :columns] = field[:, :rows, :columns]
    return out


@dataclass(frozen=True)
class WindowChange:
    """From the grid of one detector window to that of another: a :class:`~ptywidgets.engine.core.protocols.GridChange`.

    Parameters
    ----------
    window, new : (int, int)
        Detector windows of the old grid and of the new one, px.
    shape : (S, Y, X)
        Of the object on the new one.
    """

    window: tuple[int, int]
    new: tuple[int, int]
    shape: tuple[int, ...]

    def on_object(self, maps: np.ndarray, beyond: float) -> np.ndarray:
        return resample_object(maps, self.window, self.new, (len(maps), *self.shape[-2:]), beyond)

    def on_detector(self, pattern: np.ndarray, beyond: float) -> np.ndarray:
        return np.asarray(cut_spectrum(pattern - beyond, self.new) + np.float32(beyond))


def _resample_real(field: np.ndarray, size: int, axis: int) -> np.ndarray:
    """A real field with `size` pixels along one of the last two axes."""
    old = field.shape[axis]
    if size == old:
        return field
    spectrum = scipy.fft.rfft(field, axis=axis, workers=worker_count())
    last = min(old, size) // 2
    spectrum = spectrum[..., : last + 1] if axis == -1 else spectrum[..., : last + 1, :]
    if min(old, size) % 2 == 0:  # the highest frequency of one grid stands for both signs, of which the other has two
        spectrum[(..., last) if axis == -1 else (..., last, slice(None))] *= 0.5 if size > old else 2
    return scipy.fft.irfft(spectrum, size, axis=axis, workers=worker_count()) * np.float32(size / old)


def _commensurate(shape: tuple[int, ...], window: tuple[int, int], new: tuple[int, int]) -> list[tuple[int, int]]:
    """For each axis the least size of at least `shape` that is whole on both grids, on the old and on the new one."""
    sizes = []
    for size, old, other in zip(shape[-2:], window, new, strict=True):
        common = math.gcd(old, other)
        blocks = -(-size // (old // common))
        sizes.append((blocks * (old // common), blocks * (other // common)))
    return sizes
