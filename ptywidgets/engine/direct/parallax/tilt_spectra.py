"""Fourier transforms of the tilted bright-field images, kept ready: shifting and summing them again is then cheap.

Shifted by s, an image with the spectrum G(Q) has G(Q) exp(-2 pi i Q . s); the aligned image is the transform of the sum
over all tilts. The images end where the scan ends, so each carries a window, and the sum is divided by that of the
windows shifted alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.direct.bright_field import BrightField

SPECTRA_LIMIT = 512e6  # bytes of the spectra that are kept, beyond which the highest frequencies are left out
CHUNK = 64  # images that are worked on at a time
BLAS_SIZE = 4000  # of a matrix times a vector, below which BLAS stays on its thread; its own pool would fight ours


@dataclass(frozen=True)
class TiltSpectra:
    """Spectra of the images less their means, in a frame somewhat larger than the scan."""

    spectra: np.ndarray  # (Py', K, Px' // 2 + 1) complex64, counts; the tilt in the middle, for the sum's sake
    window: np.ndarray  # (Py', Px' // 2 + 1) complex64, spectrum of the window that the images carry
    means: np.ndarray  # (K,) counts, float32
    rows: np.ndarray  # (Py',) 1/A
    columns: np.ndarray  # (Px' // 2 + 1,) 1/A
    frame: tuple[int, int]  # (Py, Px), the scan with its margin
    scan_shape: tuple[int, int]
    scan_steps: tuple[float, float]  # A, along rows and columns
    tilts: np.ndarray  # (K, 2) 1/A, detector frame
    wavelength: float  # A
    rotation: float  # degrees, of the bright field that was transformed
    transpose: bool

    @classmethod
    def prepare(cls, bright: BrightField, margin: int | None = None, limit: float = SPECTRA_LIMIT) -> TiltSpectra:
        """Transform the bright field, in chunks.

        Parameters
        ----------
        bright : BrightField
        margin : int, optional
            Scan pixels added on each side, at least as many as the largest shift; by default a sixth of the scan.
        limit : float
            Bytes; where the spectra would need more, only the lower frequencies are kept.

        Examples
        --------
        >>> from ptywidgets import samples
        >>> from ptywidgets.engine.direct import bright_field
        >>> spectra = TiltSpectra.prepare(bright_field(samples.ducky("tiny")))
        >>> spectra.aligned(np.zeros((len(spectra.means), 2))).shape
        (12, 12)
        """
        ny, nx = bright.scan_shape
        margin = max(4, -(-max(ny, nx) // 6)) if margin is None else int(margin)
        frame = tuple(sfft.next_fast_len(n + 2 * margin, real=True) for n in (ny, nx))
        band = _band(frame, len(bright.images), limit)
        keep = _lowest(frame[0], band[0])
        window = edge_window(bright.scan_shape)
        means = bright.images.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        spectra = np.empty((band[0], len(means), band[1] // 2 + 1), np.complex64)
        for first in range(0, len(means), CHUNK):
            part = slice(first, first + CHUNK)
            images = (bright.images[part] - means[part, None, None]) * window
            spectrum = sfft.rfft2(images, s=frame, workers=worker_count())[:, keep, : band[1] // 2 + 1]
            spectra[:, part] = np.moveaxis(spectrum, 1, 0)
        return cls(
            spectra=spectra,
            window=sfft.rfft2(window, s=frame)[keep, : band[1] // 2 + 1].astype(np.complex64),
            means=means,
            rows=np.fft.fftfreq(frame[0], bright.scan_steps[0])[keep],
            columns=np.fft.rfftfreq(frame[1], bright.scan_steps[1])[: band[1] // 2 + 1],
            frame=frame,
            scan_shape=bright.scan_shape,
            scan_steps=bright.scan_steps,
            tilts=bright.tilts,
            wavelength=bright.wavelength,
            rotation=bright.rotation,
            transpose=bright.transpose,
        )

    @property
    def whole(self) -> bool:
        """Whether all frequencies of the scan are there."""
        return len(self.rows) == self.frame[0]

    def ramps(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """exp(-2 pi i Q . s) of the shifts (K, 2) in A, as factors of rows (K, Py') and columns (K, Px' // 2 + 1)."""
        return turns(-shifts[:, :1] * self.rows), turns(-shifts[:, 1:] * self.columns)

    def sums(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spectra (Py', Px' // 2 + 1) of the shifted images' sum and of their windows' sum."""
        down, right = self.ramps(shifts)
        return self.total(down, right), self.windows(down, right)

    def total(self, down: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Spectrum (Py', Px' // 2 + 1) of the sum of the images, turned by the :meth:`ramps`."""
        total = np.zeros((len(self.rows), 1, len(self.columns)), np.complex64)
        few = max(1, BLAS_SIZE // len(self.columns))
        for first in range(0, len(self.means), few):
            part = slice(first, first + few)
            total += np.matmul(down[part].T[:, None], self.spectra[:, part] * right[part])
        return total[:, 0]

    def windows(self, down: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Spectrum (Py', Px' // 2 + 1) of the sum of the windows, turned by the :meth:`ramps`."""
        weighted = (down * self.means[:, None]).T
        total = np.zeros((len(self.rows), len(self.columns)), np.complex64)
        few = max(1, 15 * BLAS_SIZE // total.size)
        for first in range(0, len(self.means), few):
            total += weighted[:, first : first + few] @ right[first : first + few]
        return total * self.window

    def to_image(self, spectrum: np.ndarray) -> np.ndarray:
        """The image (Py, Px) of a spectrum."""
        if self.whole:
            return sfft.irfft2(spectrum, s=self.frame)
        full = np.zeros((self.frame[0], self.frame[1] // 2 + 1), np.complex64)
        full[_lowest(self.frame[0], len(self.rows)), : spectrum.shape[1]] = spectrum
        return sfft.irfft2(full, s=self.frame)

    def aligned(self, shifts: np.ndarray) -> np.ndarray:
        """The sum of the images shifted by (K, 2) A, relative to its mean: (Ry, Rx) float32."""
        return self.aligned_frame(shifts)[0][: self.scan_shape[0], : self.scan_shape[1]]

    def aligned_frame(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same in the whole frame (Py, Px), with the share of the images that each pixel was seen by."""
        total, windows = self.sums(shifts)
        seen = self.to_image(windows) / self.means.sum()
        image = self.to_image(total) / self.means.sum()
        return 1 + np.where(seen > 0.05, image / np.maximum(seen, 0.05), 0), seen

    def measured(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each image's own shift (K, 2) in A, one step on from near ones, and its weight (K,), 1 at best.

        The phases of the cross-spectrum of an image and the aligned sum, by weighted least squares: a straight plane
        through 0 in the spatial frequencies. What is badly measured stays near the given shift.
        """
        total, windows = self.sums(shifts)
        seen = self.to_image(windows)
        common = np.where(seen > 0.05 * seen.max(), self.to_image(total) / np.maximum(seen, 0.05 * seen.max()), 0)
        spectrum = sfft.rfft2(common * _spread(edge_window(self.scan_shape), self.frame), s=self.frame)
        spectrum = self.crop(spectrum)
        twice = np.where(np.arange(len(self.columns)) > 0, 2, 1)
        q = np.stack(np.broadcast_arrays(self.rows[:, None], self.columns)) * (2 * math.pi)
        power = np.abs(spectrum) ** 2 * twice
        stiffness = np.einsum("ayx,byx,yx->ab", q, q, power)
        down, right = self.ramps(shifts)
        cross = spectrum.conj() * twice
        pull = np.empty((len(shifts), 2))
        for first in range(0, len(shifts), CHUNK):
            part = slice(first, first + CHUNK)
            moved = self.spectra[:, part] * right[part] * down[part].T[:, :, None]
            phases = np.einsum("ykx,yx->kyx", moved, cross).imag
            pull[part] = np.einsum("kyx,ayx->ka", phases, q)
        weights = self.means / self.means.max()
        firm = stiffness * self.means[:, None, None] + 1e-3 * np.trace(stiffness) * self.means.max() * np.eye(2)
        return shifts - np.linalg.solve(firm, pull[..., None])[..., 0], weights

    def crop(self, spectrum: np.ndarray) -> np.ndarray:
        """The frequencies that are kept, of a spectrum of the whole frame."""
        return spectrum[_lowest(self.frame[0], len(self.rows)), : len(self.columns)]


def _lowest(full: int, count: int) -> np.ndarray:
    """Indices of the `count` lowest of `full` frequencies in FFT order."""
    return np.r_[0 : (count + 1) // 2, full - count // 2 : full]


def turns(cycles: np.ndarray) -> np.ndarray:
    """exp(2 pi i cycles), complex64."""
    angle = (2 * math.pi * (cycles - np.rint(cycles))).astype(np.float32)
    out = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


def _spread(image: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """An image of the scan in the whole frame, with zeros about it."""
    return np.pad(image, [(0, f - n) for f, n in zip(frame, image.shape, strict=True)])


def edge_window(shape: tuple[int, int], width: float = 2.0) -> np.ndarray:
    """1 inside, falling to 0 over the outermost `width` pixels: (Ry, Rx) float32."""
    sides = []
    for n in shape:
        inside = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
        sides.append(np.sin(math.pi / 2 * np.minimum(1, inside / width)) ** 2)
    return np.outer(*sides).astype(np.float32)


def _band(frame: tuple[int, ...], count: int, limit: float) -> tuple[int, int]:
    """How many frequencies of rows and columns may be kept."""
    needed = count * frame[0] * (frame[1] // 2 + 1) * 8
    if needed <= limit:
        return frame[0], frame[1]
    share = math.sqrt(limit / needed)
    return max(8, int(frame[0] * share) // 2 * 2), max(8, int(frame[1] * share) // 2 * 2)
