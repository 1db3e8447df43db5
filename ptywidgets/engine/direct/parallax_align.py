"""Fine alignment of the tilted bright-field images: Gauss-Newton steps on the images as they were recorded.

Every image is compared with the common one, shifted back to it; nothing is assumed beyond the edges of the scan. Of the
step, the coefficients of the aberrations take what they can explain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.tilt_spectra import CHUNK, TiltSpectra, edge_window


@dataclass(frozen=True)
class ShiftStep:
    """What the images say about a change of their shifts."""

    pull: np.ndarray  # (K, 2) 1/A, downhill: minus half the gradient of the squared residual
    stiffness: np.ndarray  # (K, 2, 2) 1/A^2, half its second derivative
    residual: float  # share of the images' variance that the common image leaves


def shift_step(bright: BrightField, spectra: TiltSpectra, shifts: np.ndarray, weak: bool = True) -> ShiftStep:
    """Compare every recorded image with the common one, shifted back to it.

    Where one of the two diffracted beams misses the aperture, images are not shifted copies of one another: the phase
    is turned by chi itself, and the shift seems smaller.

    Parameters
    ----------
    bright : BrightField
    spectra : TiltSpectra
        Of the same images.
    shifts : ndarray (K, 2)
        A, scan frame, about the sought ones.
    weak : bool
        Use only spatial frequencies at which both beams pass, for each tilt on its own: exact for a weak object. In
        images of high contrast the beams are not two but many, and the slow waves of the outer tilts are made of those
        that were cut off; then frequencies up to half of the aperture's radius are used, the same for all tilts.
    """
    trusted = _Trusted(bright, weak)
    spectrum = sfft.rfft2(_common(bright, spectra, shifts, trusted))
    ky = np.fft.fftfreq(spectra.frame[0], spectra.scan_step)[:, None]
    kx = np.fft.rfftfreq(spectra.frame[1], spectra.scan_step)[None]
    slopes = np.stack([spectrum, 2j * math.pi * ky * spectrum, 2j * math.pi * kx * spectrum]).astype(np.complex64)
    ny, nx = spectra.scan_shape
    window = edge_window(spectra.scan_shape, max(2.0, min(ny, nx) / 8))
    q = trusted.frequencies(ky, kx)
    twice = np.where(kx > 0, 2, 1).astype(np.float32)
    pull, stiffness = np.empty((len(shifts), 2)), np.empty((len(shifts), 2, 2))
    left = whole = 0.0
    for first in range(0, len(shifts), CHUNK):
        part = slice(first, first + CHUNK)
        s = shifts[part, :, None, None]
        back = (np.exp(2j * math.pi * s[:, 0] * ky) * np.exp(2j * math.pi * s[:, 1] * kx)).astype(np.complex64)
        expected = sfft.irfft2(slopes[:, None] * back, s=spectra.frame, workers=2)[..., :ny, :nx]
        contrast = bright.images[part] / spectra.means[part, None, None] - 1
        fields = np.concatenate([(contrast - expected[0])[None], expected[1:], contrast[None]]) * window
        transformed = sfft.rfft2(fields, s=spectra.frame, workers=2)
        weight = spectra.means[part, None, None] * twice * trusted(part, q)
        rest, down, right, data = transformed * np.sqrt(weight)
        left += float(np.vdot(rest, rest).real)
        whole += float(np.vdot(data, data).real)
        # image(R) = common(R + s): d/ds is the slope
        pull[part, 0], pull[part, 1] = _dot(rest, down), _dot(rest, right)
        stiffness[part, 0, 0], stiffness[part, 1, 1] = _dot(down, down), _dot(right, right)
        stiffness[part, 0, 1] = stiffness[part, 1, 0] = _dot(down, right)
    return ShiftStep(pull, stiffness, left / max(whole, 1e-300))


class _Trusted:
    """At which spatial frequencies the image of a tilt is a shifted copy of the others."""

    def __init__(self, bright: BrightField, weak: bool) -> None:
        self.bright, self.weak = bright, weak
        self.flat = flat_radius(bright)
        self.tilts = bright.tilts.astype(np.float32)[:, :, None, None]

    def frequencies(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(2, Y, X) 1/A, detector frame."""
        return self.bright.to_detector(np.stack(np.broadcast_arrays(rows, columns))).astype(np.float32)

    def __call__(self, part: slice, q: np.ndarray) -> np.ndarray:
        """(K, Y, X) 0 or 1."""
        if not self.weak:
            inner = (q**2).sum(0) <= (self.bright.radius / 2) ** 2
            return np.broadcast_to(inner, (len(self.tilts[part]), *inner.shape)).astype(np.float32)
        k = self.tilts[part]
        return (np.maximum(((k + q) ** 2).sum(1), ((k - q) ** 2).sum(1)) <= self.flat**2).astype(np.float32)


def _common(bright: BrightField, spectra: TiltSpectra, shifts: np.ndarray, trusted: _Trusted) -> np.ndarray:
    """Contrast (Py, Px) of the aligned sum, each spatial frequency from the images that are trusted with it.

    The fastest waves are made of few images; they are weakened by the share of noise in them, which would else pass
    for detail that none of the images may move against.
    """
    down, right = spectra.ramps(shifts)
    q = trusted.frequencies(spectra.rows[:, None], spectra.columns[None])
    total = np.zeros((len(spectra.rows), len(spectra.columns)), np.complex64)
    share, count, power = (np.zeros(total.shape, np.float32) for _ in range(3))
    for first in range(0, len(shifts), CHUNK):
        part = slice(first, first + CHUNK)
        mask = trusted(part, q)
        share += np.einsum("kyx,k->yx", mask, spectra.means[part])
        count += mask.sum(0)
        moved = spectra.spectra[:, part] * right[part] * down[part].T[:, :, None]
        total += np.einsum("ykx,kyx->yx", moved, mask)
        power += np.einsum("ykx,kyx->yx", moved.real**2 + moved.imag**2, mask)
    ring = (np.hypot(*q) / bright.radius * 20).astype(int)
    # Of n images with a common S and noise N, the sum has the power n^2 S + n N, and they alone have n (S + N).
    together = np.bincount(ring.ravel(), (np.abs(total) ** 2 / np.maximum(count, 1)).ravel())
    alone = np.bincount(ring.ravel(), power.ravel())
    images = np.bincount(ring.ravel(), count.ravel()) / np.maximum(1, np.bincount(ring.ravel(), (count > 0).ravel()))
    noise = np.maximum(alone - together, 0) / np.maximum(images - 1, 1)
    total *= np.clip(1 - noise / np.maximum(together, 1e-30), 0, 1).astype(np.float32)[ring]
    seen = spectra.to_image(spectra.windows(down, right)) / spectra.means.sum()
    image = spectra.to_image(np.where(share > 0, total / np.maximum(share, 1e-12), 0))
    return np.where(seen > 0.05, image / np.maximum(seen, 0.05), 0)


def flat_radius(bright: BrightField) -> float:
    """Radius (1/A) within which the aperture is evenly bright: its soft edge dims one beam before the other."""
    distance = np.hypot(*bright.tilts.T)
    means = bright.images.mean(axis=(1, 2), dtype=np.float64)
    ring = (distance / bright.q_pixel).astype(int)
    profile = np.bincount(ring, means) / np.maximum(np.bincount(ring), 1)
    dim = np.flatnonzero(profile < 0.9 * np.median(means[distance <= 0.7 * bright.radius]))
    last = dim[0] - 1 if len(dim) else bright.radius / bright.q_pixel - 1  # beams that fall on whole pixels
    return bright.radius * float(np.clip(last * bright.q_pixel / bright.radius, 0.6, 1))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar product of each pair of spectra (K, Py, Px)."""
    return np.einsum("kyx,kyx->k", a, b.conj()).real
