"""Fine alignment of the tilted bright-field images: Gauss-Newton steps on the images as they were recorded.

Every image is compared with the common one, shifted back to it; nothing is assumed beyond the edges of the scan. Of the
step, the coefficients of the aberrations take what they can explain. What stays from step to step is worked out once:
the images' own transforms, and which frequencies of each are to be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.parallax.tilt_spectra import CHUNK, TiltSpectra, edge_window, turns
from ptywidgets.engine.direct.threads import shared
from ptywidgets.engine.preprocess.rotation import wrapped_angle

TURN = 1.0  # degrees, from which on it is asked anew which spatial frequencies are to be trusted


@dataclass(frozen=True)
class ShiftStep:
    """What the images say about a change of their shifts."""

    pull: np.ndarray  # (K, 2) 1/A, downhill: minus half the gradient of the squared residual
    stiffness: np.ndarray  # (K, 2, 2) 1/A^2, half its second derivative
    residual: float  # share of the images' variance that the common image leaves


class Alignment:
    """Compares every recorded image with the common one, shifted back to it.

    Where one of the two diffracted beams misses the aperture, images are not shifted copies of one another: the phase
    is turned by chi itself, and the shift seems smaller.

    Parameters
    ----------
    bright : BrightField
    spectra : TiltSpectra
        Of the same images.
    weak : bool
        Use only spatial frequencies at which both beams pass, for each tilt on its own: exact for a weak object. In
        images of high contrast the beams are not two but many, and the slow waves of the outer tilts are made of those
        that were cut off; then frequencies up to half of the aperture's radius are used, the same for all tilts.
    """

    def __init__(self, bright: BrightField, spectra: TiltSpectra, weak: bool = True) -> None:
        self.spectra, self.weak = spectra, weak
        self.contrast = bright.images / np.maximum(spectra.means, 1e-30)[:, None, None] - 1
        ny, nx = spectra.scan_shape
        window = edge_window(spectra.scan_shape, max(2.0, min(ny, nx) / 8))
        self.window, self.squared = window, window**2
        self.ky = np.fft.fftfreq(spectra.frame[0], spectra.scan_steps[0])
        self.kx = np.fft.rfftfreq(spectra.frame[1], spectra.scan_steps[1])
        self.data = self._transformed(self.contrast * self.squared)
        self.flat = flat_radius(bright)
        self.trusted: _Trusted | None = None

    def step(self, bright: BrightField, shifts: np.ndarray) -> ShiftStep:
        """A step from shifts (K, 2) in A, scan frame, near the sought ones; `bright` is read for its orientation."""
        if self.trusted is None or self.trusted.turned_from(bright) > TURN:
            self.trusted = _Trusted(bright, self)
        common = self.trusted.common(shifts)
        spectrum = sfft.rfft2(common)
        slopes = [spectrum * (2j * math.pi * self.ky[:, None]), spectrum * (2j * math.pi * self.kx)]
        spectrum = spectrum.astype(np.complex64)
        ny, nx = self.spectra.scan_shape
        pull, left = np.empty((len(shifts), 2)), np.empty(len(shifts))
        trusted = self.trusted

        def work(part: slice) -> None:
            down, right = (turns(shifts[part, axis, None] * k) for axis, k in ((0, self.ky), (1, self.kx)))
            moved = (spectrum * down[:, :, None]) * right[:, None]
            expected = sfft.irfft2(moved, s=self.spectra.frame)[..., :ny, :nx]
            rest = self.data[part] - self._transformed(expected * self.squared)
            weighted = rest.conj() * trusted.weights[part]
            left[part] = np.einsum("kyx,kyx->k", weighted, rest).real
            # image(R) = common(R + s): d/ds is the slope, i 2 pi Q times the spectrum
            against = (weighted * moved).imag
            pull[part, 0], pull[part, 1] = -against.sum(2) @ self.ky, -against.sum(1) @ self.kx

        shared(work, len(shifts), CHUNK)
        residual = float(left.sum()) / max(trusted.whole, 1e-300)
        return ShiftStep(2 * math.pi * pull, self._stiffness(slopes), residual)

    def _stiffness(self, slopes: list[np.ndarray]) -> np.ndarray:
        """(K, 2, 2) from the slopes of the common image, cut out where it lies unshifted."""
        assert self.trusted is not None
        ny, nx = self.spectra.scan_shape
        fields = sfft.irfft2(np.stack(slopes), s=self.spectra.frame)[:, :ny, :nx]
        down, right = self._transformed((fields * self.window).astype(np.float32))
        products = np.stack([np.abs(down) ** 2, (down * right.conj()).real, np.abs(right) ** 2])
        weights = self.trusted.weights.reshape(len(self.data), -1)
        return (weights @ products.reshape(3, -1).T)[:, [0, 1, 1, 2]].reshape(-1, 2, 2).astype(np.float64)

    def _transformed(self, fields: np.ndarray) -> np.ndarray:
        return sfft.rfft2(fields, s=self.spectra.frame, workers=worker_count())


class _Trusted:
    """At which spatial frequencies the image of a tilt is a shifted copy of the others, for one orientation."""

    def __init__(self, bright: BrightField, alignment: Alignment) -> None:
        self.rotation, self.transpose = bright.rotation, bright.transpose
        self.spectra = spectra = alignment.spectra
        tilts = bright.tilts.astype(np.float32)[:, :, None, None]

        def mask(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            """(K, Y, X) 0 or 1."""
            q = bright.to_detector(np.stack(np.broadcast_arrays(rows[:, None], columns))).astype(np.float32)
            squared = (q**2).sum(0)
            if not alignment.weak:
                inner = (squared <= (bright.radius / 2) ** 2).astype(np.float32)
                return np.broadcast_to(inner, (len(tilts), *inner.shape))
            # |k + Q| and |k - Q| at most the radius
            furthest = squared + (tilts**2).sum(1) + 2 * np.abs(tilts[:, 0] * q[0] + tilts[:, 1] * q[1])
            return (furthest <= alignment.flat**2).astype(np.float32)

        twice = np.where(alignment.kx > 0, 2, 1).astype(np.float32)
        kept = mask(spectra.rows, spectra.columns)
        self.weights = (kept if spectra.whole else mask(alignment.ky, alignment.kx)) * twice
        self.weights *= spectra.means[:, None, None]
        self.whole = float(np.einsum("kyx,kyx,kyx->", alignment.data, self.weights, alignment.data.conj()).real)
        self.masked = replace(spectra, spectra=spectra.spectra * np.moveaxis(kept, 0, 1))
        q = np.hypot(spectra.rows[:, None], spectra.columns)
        self.ring = (q / bright.radius * 20).astype(int)
        self.count = kept.sum(0)
        self.share = np.einsum("kyx,k->yx", kept, spectra.means)
        alone = (self.masked.spectra.real**2 + self.masked.spectra.imag**2).sum(1)
        self.alone = np.bincount(self.ring.ravel(), alone.ravel())
        seen = np.bincount(self.ring.ravel(), (self.count > 0).ravel())
        self.images = np.bincount(self.ring.ravel(), self.count.ravel()) / np.maximum(1, seen)

    def turned_from(self, bright: BrightField) -> float:
        """Degrees to another orientation; infinite to a transposed one."""
        return abs(wrapped_angle(bright.rotation - self.rotation)) if bright.transpose == self.transpose else math.inf

    def common(self, shifts: np.ndarray) -> np.ndarray:
        """Contrast (Py, Px) of the aligned sum, each spatial frequency from the images that are trusted with it.

        The fastest waves are made of few images; they are weakened by the share of noise in them, which would else
        pass for detail that none of the images may move against.
        """
        total, windows = self.masked.sums(shifts)
        # Of n images with a common S and noise N, the sum has the power n^2 S + n N, and they alone have n (S + N).
        power = np.abs(total) ** 2 / np.maximum(self.count, 1)
        together = np.bincount(self.ring.ravel(), power.ravel())
        noise = np.maximum(self.alone - together, 0) / np.maximum(self.images - 1, 1)
        total *= np.clip(1 - noise / np.maximum(together, 1e-30), 0, 1).astype(np.float32)[self.ring]
        seen = self.spectra.to_image(windows) / self.spectra.means.sum()
        image = self.spectra.to_image(np.where(self.share > 0, total / np.maximum(self.share, 1e-12), 0))
        return np.where(seen > 0.05, image / np.maximum(seen, 0.05), 0)


def flat_radius(bright: BrightField) -> float:
    """Radius (1/A) within which the aperture is evenly bright: its soft edge dims one beam before the other."""
    distance = np.hypot(*bright.tilts.T)
    means = bright.images.mean(axis=(1, 2), dtype=np.float64)
    ring = (distance / bright.q_mean).astype(int)
    profile = np.bincount(ring, means) / np.maximum(np.bincount(ring), 1)
    dim = np.flatnonzero(profile < 0.9 * np.median(means[distance <= 0.7 * bright.radius]))
    last = dim[0] - 1 if len(dim) else bright.radius / bright.q_mean - 1  # beams that fall on whole pixels
    return bright.radius * float(np.clip(last * bright.q_mean / bright.radius, 0.6, 1))
