"""What least squares for a phase alone make of the real part of a transmission, and how it is taken off again.

A specimen that is not weak has t - 1 = i s - c, s = sin phi and c = 1 - cos phi. With x = A*(K) A(K - Q) and y = A(K)
A*(K + Q), the scan transform G then has -c (x + y) beside i s (x - y). To a focused probe the two are orthogonal. To a
defocused one they are not where both beams overlap the third, sum W (x - y)* (x + y) = 2 i sum W Im(x* y), and what is
found for a phase is s - u c, u = 2 sum W Im(x* y) / (sum W |x - y|^2 + L). Atoms of half a radian come out a third too
high by it with one sign of the defocus.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.direct.sidebands.overlaps import Overlaps

PIXELS = 64  # of the detector, about, by which the sum is told: it is smooth
ROUNDS = 2  # half of the way each: more change little


def sparse(tilts: np.ndarray, step: tuple[float, float], about: int = PIXELS) -> np.ndarray:
    """Indices of every n-th pixel of every n-th row, of tilts (K, 2) on a grid of `step`: `about` so many."""
    every = max(1, round(math.sqrt(len(tilts) / about)))
    return np.flatnonzero((np.rint(tilts / step).astype(int) % every == 0).all(1))


def crossed(overlaps: Overlaps, ky: np.ndarray, kx: np.ndarray, radius: float) -> np.ndarray:
    """2 sum_K Im(x* y) (Q,) float32 at frequencies (1/A), of an aperture of `radius`, by the beams of `overlaps`."""
    out = np.zeros(len(ky), np.float32)
    near = np.hypot(ky, kx) < radius  # beyond, no pixel has both beams
    one, other = overlaps.beams(ky[near], kx[near])
    out[near] = 2 * (one.real * other.imag - one.imag * other.real).sum(1)
    return out


def less_real_part(found: np.ndarray, share: np.ndarray) -> np.ndarray:
    """phi (Y, X), of zero mean, from s - u c that was found and the `share` u (Y, X) in FFT order.

    Examples
    --------
    >>> found = np.zeros((4, 4), np.float32)
    >>> less_real_part(found, np.ones((4, 4))).any()
    np.False_
    """
    phase = found
    for _ in range(ROUNDS):
        real = sfft.rfft2(1 - np.cos(phase), workers=worker_count())
        real *= share[:, : real.shape[1]]
        sine = found + sfft.irfft2(real, phase.shape, workers=worker_count())
        phase = phase + (sine - np.sin(phase)) / 2
        phase -= phase.mean()
    return phase
