"""What aligned bright field, and a coherent image, pass on of the specimen's phase at each spatial frequency.

In a thin specimen with the phase phi the aligned sum has the spectrum T(Q) phi(Q), with T = 2 sin chi(Q) O(Q) for
aberrations of first order, O being the overlap of two apertures Q apart. With higher ones, which shift the beams of
each tilt differently, T is the mean over tilts of i [A(k - Q) exp(i chi(k) - i chi(k - Q)) - A(k + Q) exp(i chi(k + Q)
- i chi(k))] exp(-i Q . grad chi(k)), which is not real where odd aberrations move detail of one size against the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.parallax.search import merged_tilts
from ptywidgets.engine.optics.aberrations import SYMBOLS, Aberrations, chi
from ptywidgets.engine.optics.chi_terms import taylor_terms
from ptywidgets.engine.preprocess.rotation import unrotate_vectors

TILTS = 36  # about, of which the mean transfer is taken; four times as many differ by 0.01 (rms; 0.4 is that of T)


def contrast_transfer(
    aberrations: Mapping[str, float],
    shape: tuple[int, int],
    sampling: float | tuple[float, float],
    energy: float,
    *,
    rotation: float = 0.0,
    transpose: bool = False,
) -> np.ndarray:
    """sin chi over the spatial frequencies of an image of the scan, to be drawn over its Fourier transform.

    Parameters
    ----------
    aberrations : mapping
        Detector frame.
    shape : (int, int)
        Of the image.
    sampling : float or (float, float)
        A per pixel.
    energy : float
        eV.
    rotation, transpose : float (degrees), bool
        Detector to scan.

    Returns
    -------
    ndarray shape float64
        Frequency 0 at pixel N // 2, as :func:`numpy.fft.fftshift` puts it.

    Examples
    --------
    >>> contrast_transfer({"C10": -500.0}, (8, 8), 1.0, 80e3)[4, 4].item()
    0.0
    """
    pair = (sampling, sampling) if isinstance(sampling, (int, float)) else sampling
    axes = [np.fft.fftshift(np.fft.fftfreq(n, s)) for n, s in zip(shape, pair, strict=True)]
    ky, kx = unrotate_vectors(np.stack(np.meshgrid(*axes, indexing="ij")), rotation, transpose)
    return np.sin(chi(aberrations, ky, kx, energy))


@counted(directions=1)
def contrast_zeros(
    aberrations: Mapping[str, float],
    highest: float,
    energy: float,
    *,
    rotation: float = 0.0,
    transpose: bool = False,
    directions: int = 180,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the contrast transfer sin chi crosses zero, as rings to be drawn over the image's Fourier transform.

    Parameters
    ----------
    aberrations, energy, rotation, transpose
        As for :func:`contrast_transfer`.
    highest : float
        1/A, up to which crossings are looked for.
    directions : int
        Azimuths all around.

    Returns
    -------
    angles : ndarray (directions,)
        rad in the scan frame, from the row axis (down) towards the column axis (right).
    radii : ndarray (directions, Z)
        1/A, of the first to the last crossing; NaN where a direction has fewer than others.

    Examples
    --------
    >>> angles, radii = contrast_zeros({"C10": -500.0}, 0.3, 80e3)
    >>> round(float(radii[0, 0]), 4)  # sqrt(1 / (lambda defocus))
    0.2189
    """
    angles = np.arange(directions) * (2 * math.pi / directions)
    radii = np.linspace(0, highest, 2001)[1:]
    unit = np.stack([np.cos(angles), np.sin(angles)])
    ky, kx = unrotate_vectors(unit[:, :, None] * radii, rotation, transpose)
    cycles = chi(aberrations, ky, kx, energy) / math.pi  # whole numbers at the zeros
    crossed = np.floor(cycles[:, 1:]) != np.floor(cycles[:, :-1])
    found = np.full((directions, max(1, int(crossed.sum(1).max()))), np.nan)
    for into, hits, value in zip(found, crossed, cycles, strict=True):
        at = np.flatnonzero(hits)
        target = np.maximum(np.floor(value[at]), np.floor(value[at + 1]))
        share = np.clip((target - value[at]) / (value[at + 1] - value[at]), 0, 1)
        into[: len(at)] = radii[at] + share * (radii[at + 1] - radii[at])
    return angles, found


def sum_transfer(bright: BrightField, aberrations: Mapping[str, float], frequencies: np.ndarray) -> np.ndarray:
    """The transfer T of the aligned sum at scan frequencies (2, ...) in 1/A, complex64.

    First-order aberrations in closed form, higher ones by a mean over some forty tilts.
    """
    qy, qx = bright.to_detector(frequencies)
    size = np.hypot(qy, qx)
    cartesian = Aberrations(**aberrations).cartesian
    if not any(value for name, value in cartesian.items() if SYMBOLS[name.rstrip("ab")][0] > 1):
        x = np.minimum(size / (2 * bright.radius), 1)
        overlap = 2 / math.pi * (np.arccos(x) - x * np.sqrt(1 - x**2))
        return (2 * overlap * np.sin(chi(aberrations, qy, qx, bright.energy))).astype(np.complex64)
    tilts, weights, apart = merged_tilts(bright, TILTS)
    inside = size < 2 * bright.radius
    q = (qy[inside] + 1j * qx[inside]).astype(np.complex64)
    out = np.zeros(size.shape, np.complex64)
    along = tilts[:, 0] + 1j * tilts[:, 1]
    out[inside] = _mean_transfer(bright, cartesian, q, along, weights / weights.sum(), apart)
    return out


def _mean_transfer(
    bright: BrightField,
    cartesian: Mapping[str, float],
    q: np.ndarray,
    tilts: np.ndarray,
    weights: np.ndarray,
    apart: float,
) -> np.ndarray:
    """T at q_y + i q_x (P,), from tilts k_y + i k_x (T,), `apart` from their neighbours (1/A), with weights of sum 1:
    complex64. The aperture's edge is as soft as a tilt is wide, since each stands for all about it.

    With E and O the terms of chi(k + Q) of second, fourth, ... and of third, fifth, ... order in Q, T is the mean of
    -i exp(i O) [A(k + Q) exp(i E) - A(k - Q) exp(-i E)]: what chi(k) and its slope do is gone.
    """
    even, odd = (taylor_terms(cartesian, tilts, q, bright.wavelength, parity) for parity in (0, 1))
    common = [bool((term[0] == term[0][:1]).all()) for term in (even, odd)]
    total = np.zeros(q.shape, np.complex64)
    turned: list[Any] = [None, None]
    for n, (k, weight) in enumerate(zip(tilts.astype(np.complex64), weights.astype(np.float32), strict=True)):
        for into, (coefficients, basis), same in zip((0, 1), (even, odd), common, strict=True):
            if turned[into] is None or not same:
                phase = coefficients[n] @ basis
                turned[into] = np.cos(phase), np.sin(phase)
        # |k + Q| and |k - Q|
        plus, minus = (_soft_disk(np.abs(q + sign * k), bright.radius, apart) for sign in (1, -1))
        cosine, sine = (plus - minus) * turned[0][0], (plus + minus) * turned[0][1]
        if common[1]:  # exp(i O) is put on at the end
            total.real += weight * cosine
            total.imag += weight * sine
        else:
            total.real += weight * (cosine * turned[1][0] - sine * turned[1][1])
            total.imag += weight * (cosine * turned[1][1] + sine * turned[1][0])
    if common[1]:
        total *= turned[1][0] + 1j * turned[1][1]
    return -1j * total


def _soft_disk(distance: np.ndarray, radius: float, edge: float) -> np.ndarray:
    """1 in the aperture, 0 outside, with an edge of some width, at distances from its middle; in their memory."""
    distance *= np.float32(-1 / edge)
    distance += np.float32(radius / edge + 0.5)
    return distance.clip(0, 1, out=distance)
