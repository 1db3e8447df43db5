"""The Fourier transform of an image beside the contrast transfer that it ought to have had: one half of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ptywidgets.engine.data.calibration import both
from ptywidgets.engine.direct import BrightField
from ptywidgets.engine.direct.parallax.transfer import sum_transfer
from ptywidgets.reconstruction.result.snapshot import fourier_amplitude

SEEN = (20.0, 99.7)  # percentiles of the transform that are drawn dark and bright


def spectrum(image: np.ndarray, step: float | tuple[float, float]) -> tuple[np.ndarray, float | tuple[float, float]]:
    """Amplitude (N, N) of an image's transform, 0 to 1, logarithmic, zero frequency at N // 2; and its pixel in 1/A.

    Parameters
    ----------
    image : ndarray (Y, X)
    step : float or (float, float)
        A per pixel.
    """
    amplitude, pixel = fourier_amplitude(image, step)
    low, high = np.percentile(amplitude, SEEN)
    return np.clip((amplitude - low) / max(high - low, 1e-12), 0, 1).astype(np.float32), pixel


def beside_transfer(
    amplitude: np.ndarray, pixel: float | tuple[float, float], bright: BrightField, aberrations: Mapping[str, float]
) -> np.ndarray:
    """A spectrum of which the right half is the transfer of the aligned sum: rings of one should go on in the other.

    Parameters
    ----------
    amplitude, pixel
        From :func:`spectrum`.
    bright : BrightField
        Turned as it is to be read.
    aberrations : mapping
        Detector frame.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.direct import bright_field
    >>> bright = bright_field(samples.ducky("tiny"))
    >>> half = beside_transfer(*spectrum(bright.images.sum(0), bright.scan_step), bright, {"C10": -250.0})
    >>> half.shape, float(half[6, 6])
    ((12, 12), 0.0)
    """
    middle = len(amplitude) // 2
    down, along = ((np.arange(len(amplitude)) - middle) * width for width in both(pixel))
    frequencies = np.stack(np.meshgrid(down, along[middle:], indexing="ij"))
    picture = amplitude.copy()
    picture[:, middle:] = np.abs(sum_transfer(bright, aberrations, frequencies)) / 2
    return picture


__all__ = ["beside_transfer", "spectrum"]
