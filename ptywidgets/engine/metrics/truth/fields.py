"""A known truth made ready to be looked up at the pixels of a reconstruction: band-limited, smooth, in its slices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.problem.resample import cut_spectrum

SOFTNESS = 0.04  # of the edge of a low-pass, of its frequency
_ORDER, _FINER = 3, 3  # of splines; how much finer than need be their grid is: good to 2e-3 at the highest frequency


@dataclass(frozen=True, eq=False)
class Field:
    """Band-limited images between their pixels; beyond their edges they go on periodically."""

    coefficients: np.ndarray  # (S, Y, X) of splines, real or complex
    matrix: np.ndarray  # (2, 2) from pixels of the reconstruction to those of `coefficients`
    offset: np.ndarray  # (2,) px

    def at(self, pixels: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Values (S, P) at pixels (2, P) of a reconstruction that lies `shift` pixels off: truth(r - shift)."""
        places = self.matrix @ (pixels - np.asarray(shift, float)[:, None]) + self.offset[:, None]
        return np.stack(
            [
                ndimage.map_coordinates(c, places, order=_ORDER, mode="grid-wrap", prefilter=False)
                for c in self.coefficients
            ]
        )

    def total(self) -> Field:
        """The sum of all slices."""
        return Field(self.coefficients.sum(0, keepdims=True), self.matrix, self.offset)


def make_field(
    truth: np.ndarray,
    sampling: np.ndarray,
    matrix: np.ndarray,
    offset: np.ndarray,
    limits: np.ndarray,
    cutoff: float | None,
) -> Field:
    """Splines through a truth (S, Y, X) without the frequencies that a reconstruction cannot have.

    Parameters
    ----------
    sampling : ndarray (2,)
        A per pixel of the truth.
    matrix, offset : ndarray (2, 2), (2,)
        From pixels of the reconstruction to places in the truth, A from its pixel [0, 0].
    limits : ndarray (2,)
        Highest frequency (1/A) along either axis that is kept.
    cutoff : float or None
        Of a soft low-pass on top of that.
    """
    shape = truth.shape[-2:]
    spectrum = sfft.fft2(truth, workers=worker_count())
    k = [np.fft.fftfreq(n, s) for n, s in zip(shape, sampling, strict=True)]
    keep = (np.abs(k[0]) <= limits[0] + 1e-9)[:, None] & (np.abs(k[1]) <= limits[1] + 1e-9)[None]
    highest = np.minimum(limits, 0.5 / sampling)
    spectrum = spectrum * (keep if cutoff is None else keep * soft_edge(k[0][:, None], k[1][None], cutoff))
    if cutoff is not None:
        highest = np.minimum(highest, (1 + 4 * SOFTNESS) * cutoff)
    least = 2 * _FINER * highest * np.array(shape) * sampling
    finer = tuple(sfft.next_fast_len(max(math.ceil(n), 8)) for n in least)
    values = sfft.ifft2(cut_spectrum(spectrum, finer), workers=worker_count()) * (math.prod(finer) / math.prod(shape))
    if not np.iscomplexobj(truth):
        values = values.real
    kind = np.result_type(values, np.float64)
    splines = np.stack([ndimage.spline_filter(v, order=_ORDER, output=kind, mode="grid-wrap") for v in values])
    per_angstrom = np.array(finer) / (np.array(shape) * sampling)
    return Field(splines, per_angstrom[:, None] * matrix, per_angstrom * offset)


def soft_edge(ky: np.ndarray, kx: np.ndarray, cutoff: float) -> np.ndarray:
    """Weights of frequencies (1/A): 1 below the cut-off, 0 above, a logistic edge between.

    Examples
    --------
    >>> soft_edge(np.array([0.1, 0.5, 0.9]), np.zeros(3), 0.5).round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    excess = (np.hypot(ky, kx) - cutoff) / (SOFTNESS * cutoff)
    return 1 / (1 + np.exp(np.clip(excess, -50, 50)))


def low_pass(image: np.ndarray, sampling: np.ndarray, cutoff: float) -> np.ndarray:
    """An image (..., Y, X) without the frequencies above a cut-off (1/A), real or complex as it was."""
    ky, kx = (np.fft.fftfreq(n, s) for n, s in zip(image.shape[-2:], sampling, strict=True))
    smooth = sfft.ifft2(
        sfft.fft2(image, workers=worker_count()) * soft_edge(ky[:, None], kx[None], cutoff), workers=worker_count()
    )
    return smooth if np.iscomplexobj(image) else smooth.real


def depth_weights(
    slices: int, thickness: float, true_slices: int, true_thickness: float, shift: float = 0.0
) -> np.ndarray:
    """Share (S, T) of each true slice in each slice of a reconstruction that shows things `shift` A deeper.

    Phases add up along the beam, so what is cut differently is shared out by overlap.

    Examples
    --------
    >>> depth_weights(2, 3.0, 3, 2.0)
    array([[1. , 0.5, 0. ],
           [0. , 0.5, 1. ]])
    """
    top = np.arange(slices)[:, None] * thickness - shift
    true_top = np.arange(true_slices)[None] * true_thickness
    overlap = np.minimum(top + thickness, true_top + true_thickness) - np.maximum(top, true_top)
    return np.clip(overlap, 0, None) / true_thickness
