"""What the scan's spectra of a weak phase object look like, and how well one set of optics explains measured ones.

An image of the scan is taken for each detector pixel K; its spectrum at Q is
G(K, Q) = i phi(Q) [A*(K) A(K - Q) - A(K) A*(K + Q)] = i phi(Q) Gamma(K, Q), A = aperture exp(-i chi), both in the
detector frame; Pennycook et al., Ultramicroscopy 151, 160 (2015). The phase phi(Q) of the specimen is one unknown
number for each Q and leaves the problem in closed form: what remains is the share of the spectra's energy that Gamma
explains, S = sum_Q |<Gamma, G>|^2 / <Gamma, Gamma> / sum |G|^2. It depends on the aberrations, on the rotation and on
the transpose alone, and one number judges them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.optics.chi_terms import polynomials, slopes
from ptywidgets.engine.preprocess.enough import require_pixels, require_scan
from ptywidgets.engine.preprocess.measurement import scan_frequencies
from ptywidgets.engine.preprocess.rotation import unrotate_vectors

RIM = 2.0  # detector pixels left out at the rim, where descan and interpolation change the counts
FAINT = 0.02  # of the most that Gamma can have: below, the aperture passes nothing of that frequency
SEEN = 0.05  # how much of Gamma must be left for a frequency to be counted in a comparison of defocuses


@dataclass(frozen=True)
class Normal:
    """Normal equations of one set of optics, frequency by frequency."""

    share: float  # S, 0 to 1
    gradient: np.ndarray  # (F, P + 1), by the coefficients and the rotation (rad)
    matrix: np.ndarray  # (F, P + 1, P + 1)
    noise: float  # mean square of what is left, for each real number measured


@dataclass(frozen=True)
class ScanSpectra:
    """Measured spectra at the strongest spatial frequencies of the scan. Made by :meth:`prepare`."""

    spectra: np.ndarray  # (F, K) complex64, images divided by their mean, times `weights`
    frequencies: np.ndarray  # (2, F) 1/A, scan frame
    places: np.ndarray  # (2, F) int, where they are in the half spectrum
    tilts: np.ndarray  # (K,) complex64, ky + i kx in 1/A, detector frame
    weights: np.ndarray  # (K,) float32, root of the number of pixels summed, over its largest; in the spectra already
    radius: float  # 1/A
    edge: float  # 1/A, width of the aperture's edge
    wavelength: float  # A
    scan_shape: tuple[int, int]
    energy: float  # sum of |spectra|^2

    @classmethod
    def prepare(cls, bright: BrightField, strongest: int = 320, pixels: int = 400) -> ScanSpectra:
        """Transform the images of a bright field and keep the strongest frequencies.

        Parameters
        ----------
        bright : BrightField
        strongest : int
            Spatial frequencies kept.
        pixels : int
            Of the detector, about, at most: of more, neighbours are summed.
        """
        distance = np.hypot(*bright.tilts.T)
        inside = np.flatnonzero(distance <= max(bright.radius - RIM * bright.q_mean, 0.6 * bright.radius))
        inside = inside[bright.images[inside].mean((1, 2)) > 0]
        require_scan(bright.scan_shape, "rotation and aberrations")
        require_pixels(len(inside), "rotation and aberrations")
        images, tilts, weights = _summed(bright, inside, max(1, round(math.sqrt(len(inside) / pixels))))
        images *= (weights / images.mean((1, 2)))[:, None, None]
        whole = sfft.rfft2(images, workers=worker_count()).reshape(len(tilts), -1)
        grid = scan_frequencies(bright.scan_shape, bright.scan_steps)
        longest = max(n * step for n, step in zip(bright.scan_shape, bright.scan_steps, strict=True))
        scan = grid.reshape(2, -1)
        size = np.hypot(*scan)
        # Each frequency once, and none so low that it is no more than a slope or a bow across the whole scan.
        once = (scan[1] > 0) | (scan[0] > 0)
        allowed = once & (size > 1.2 / longest) & (size < 2 * bright.radius)
        power = (np.abs(whole) ** 2).sum(0) * allowed
        chosen = np.sort(np.argsort(-power)[: min(strongest, int(allowed.sum()))])
        spectra = np.ascontiguousarray(whole[:, chosen].T, np.complex64)
        return cls(
            spectra=spectra,
            frequencies=scan[:, chosen],
            places=np.stack(np.unravel_index(chosen, grid.shape[1:])),
            tilts=tilts,
            weights=weights,
            radius=bright.radius,
            edge=bright.q_mean,
            wavelength=wavelength(bright.energy),
            scan_shape=bright.scan_shape,
            energy=float((np.abs(spectra) ** 2).sum()),
        )

    def thinned(self, strongest: int, pixels: int) -> ScanSpectra:
        """Fewer frequencies and detector pixels, for a quick search."""
        power = (np.abs(self.spectra) ** 2).sum(1)
        chosen = np.sort(np.argsort(-power)[:strongest])
        every = slice(None, None, max(1, math.ceil(len(self.tilts) / pixels)))
        spectra = self.spectra[chosen][:, every]
        changes = {
            "spectra": spectra,
            "frequencies": self.frequencies[:, chosen],
            "places": self.places[:, chosen],
            "tilts": self.tilts[every],
            "weights": self.weights[every],
            "energy": float((np.abs(spectra) ** 2).sum()),
        }
        return ScanSpectra(**{**self.__dict__, **changes})

    def in_detector(self, rotation: float, transpose: bool) -> np.ndarray:
        """The frequencies (F,) in the detector frame, qy + i qx."""
        y, x = unrotate_vectors(self.frequencies, rotation, transpose)
        return (y + 1j * x).astype(np.complex64)

    def shares_by_defocus(self, rotation: float, transpose: bool, c10: np.ndarray) -> np.ndarray:
        """Share (F, D) that each frequency adds, for evenly spaced values of C10 (A) and no other aberration."""
        q = self.in_detector(rotation, transpose)[:, None]
        scale = math.pi * self.wavelength
        a1, a2 = self._aperture(self.tilts[None] - q), self._aperture(self.tilts[None] + q)
        # Gamma = a1 exp(i C p1) - a2 exp(i C p2); from one C to the next by one multiplication
        p1 = scale * (np.abs(self.tilts[None]) ** 2 - np.abs(self.tilts[None] - q) ** 2)
        p2 = scale * (np.abs(self.tilts[None] + q) ** 2 - np.abs(self.tilts[None]) ** 2)
        e1, e2 = (a * np.exp(1j * c10[0] * p).astype(np.complex64) for a, p in ((a1, p1), (a2, p2)))
        s1, s2 = (np.exp(1j * (c10[1] - c10[0]) * p).astype(np.complex64) for p in (p1, p2))
        out = np.empty((len(self.spectra), len(c10)))
        for index in range(len(c10)):
            gamma = e1 - e2
            size = _inner(gamma, gamma).real
            overlap = np.abs(_inner(gamma, self.spectra)) ** 2
            out[:, index] = overlap / np.maximum(size, SEEN * len(self.tilts))
            e1 *= s1
            e2 *= s2
        return out / self.energy

    def gamma(self, terms: Sequence[str], values: np.ndarray, rotation: float, transpose: bool) -> np.ndarray:
        """Gamma (F, K) of one set of optics."""
        first, second, *_ = self._bands(terms, values, self.in_detector(rotation, transpose)[:, None])
        return first - second

    def _bands(
        self, terms: Sequence[str], values: np.ndarray, q: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
        k, lam = self.tilts[None], self.wavelength
        here = polynomials(terms, k, lam)
        one = [b - c for b, c in zip(here, polynomials(terms, k - q, lam), strict=True)]
        two = [c - b for b, c in zip(here, polynomials(terms, k + q, lam), strict=True)]
        first, second = (self._wave(k + sign * q, values, basis) for sign, basis in ((-1, one), (1, two)))
        return first, second, one, two

    def _wave(self, other: np.ndarray, values: np.ndarray, basis: list[np.ndarray]) -> np.ndarray:
        angle = sum(np.float32(v) * b for v, b in zip(values, basis, strict=True))
        amount = self._aperture(other)
        out = np.empty(amount.shape, np.complex64)
        out.real, out.imag = amount * np.cos(angle), amount * np.sin(angle)
        return out

    def _aperture(self, k: np.ndarray) -> np.ndarray:
        return self.weights * np.clip((self.radius - np.abs(k)) / self.edge + 0.5, 0, 1).astype(np.float32)

    def normal(self, terms: Sequence[str], values: np.ndarray, rotation: float, transpose: bool) -> Normal:
        """Share, gradient and Gauss-Newton matrix by the coefficients and the rotation; phi is projected out."""
        q = self.in_detector(rotation, transpose)[:, None]
        first, second, one, two = self._bands(terms, values, q)
        gamma = first - second
        size = _inner(gamma, gamma).real
        seen = size > FAINT * len(self.tilts)
        size = np.where(seen, size, 1)
        phi = np.where(seen, _inner(gamma, self.spectra) / size, 0).astype(np.complex64)
        left = self.spectra - phi[:, None] * gamma
        # Turning the detector by +1 rad turns the frequencies by -1 rad; the transpose reverses the sense.
        along = q * np.complex64(1j if transpose else -1j)
        k, lam = self.tilts[None], self.wavelength
        turn_one = slopes(terms, values, k - q, along, lam)
        turn_two = slopes(terms, values, k + q, along, lam)
        d = np.empty((len(q), len(terms) + 1, len(self.tilts)), np.complex64)  # derivatives of Gamma, without the i
        for index, (a, b) in enumerate(zip([*one, turn_one], [*two, turn_two], strict=True)):
            np.subtract(a * first, b * second, out=d[:, index])
        conj = d.conj()
        # einsum, since a threaded matrix product of such small matrices waits for its threads longer than it works
        by_gamma = np.einsum("fpk,fk->fp", conj, gamma)
        gradient = -1j * np.einsum("fpk,fk->fp", conj, left) * phi.conj()[:, None]
        matrix = np.einsum("fpk,fqk->fpq", conj, d)
        matrix = matrix - by_gamma[:, :, None] * by_gamma.conj()[:, None] / size[:, None, None]
        matrix = (np.abs(phi) ** 2)[:, None, None] * matrix
        share = float((np.abs(phi) ** 2 * size / self.energy).sum())
        noise = float((np.abs(left[seen]) ** 2).mean()) / 2 if seen.any() else 1.0
        return Normal(share, gradient.real, matrix.real, noise)

    def phase(self, terms: Sequence[str], values: np.ndarray, rotation: float, transpose: bool) -> np.ndarray:
        """Phase (Ry, Rx) in rad of the frequencies kept, in the scan frame."""
        gamma = self.gamma(terms, values, rotation, transpose)
        size = _inner(gamma, gamma).real
        phi = _inner(gamma, self.spectra) / np.maximum(size, SEEN * len(self.tilts)) / 1j
        ny, nx = self.scan_shape
        spectrum = np.zeros((ny, nx // 2 + 1), complex)
        spectrum[tuple(self.places)] = phi
        spectrum[(-self.places[0]) % ny, self.places[1]] += np.where(self.places[1] == 0, phi.conj(), 0)
        return np.fft.irfft2(spectrum, s=(ny, nx)).astype(np.float32)


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner products (F,) of rows, the first conjugated."""
    return np.einsum("fk,fk->f", a.conj(), b)


def _summed(bright: BrightField, inside: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, tilts (complex) and weights of squares of `side` x `side` pixels among those `inside`."""
    tilts = bright.tilts[inside]
    if side == 1:
        return bright.images[inside], _complex(tilts), np.ones(len(inside), np.float32)
    squares = np.floor(tilts / (side * np.array(bright.q_pixels)) + 0.25).astype(int)
    _, square, count = np.unique(squares, axis=0, return_inverse=True, return_counts=True)
    square = square.reshape(-1)
    images = np.zeros((len(count), *bright.scan_shape), np.float32)
    np.add.at(images, square, bright.images[inside])
    mean = np.stack([np.bincount(square, t) / count for t in tilts.T], axis=1)
    return images, _complex(mean), np.sqrt(count / count.max()).astype(np.float32)


def _complex(tilts: np.ndarray) -> np.ndarray:
    return (tilts[:, 0] + 1j * tilts[:, 1]).astype(np.complex64)
