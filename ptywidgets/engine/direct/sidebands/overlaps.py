"""Overlaps of the aperture with itself: what a spatial frequency of a weak phase object does to the bright field.

With the transfer A(K) = a(K) exp(-i chi(K)), a phase phi << 1 and the scan transform G(K, Q) of the scan images,
G = i phi(Q) Gamma(K, Q), Gamma = A*(K) A(K - Q) - A(K) A*(K + Q); Rodenburg, McCallum and Nellist, Ultramicroscopy
48, 304 (1993). The detector's grid of K and the scan's grid of Q need not fit, so A is tabulated once on a grid some
times finer than the detector's, and read at the nearest point.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.calibration import both, mean_of, relative
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.threads import shared
from ptywidgets.engine.optics.aberrations import Aberrations, chi
from ptywidgets.engine.optics.probe import Optics, aperture_amplitude, centred_to_corner

FAINT = 0.1  # of the largest amplitude, below which vacuum pixels count as outside of the aperture
PHASE_STEP = 0.2  # rad, that the aberrations may change between points of the table
FINEST = 16  # points of the table in a detector pixel
TABLE_LIMIT = 4e6  # points


@dataclass(frozen=True)
class Aperture:
    """Amplitude of the aperture, 1 at most, at any spatial frequency."""

    radius: float  # 1/A, where half of it is left: the semi-angle; overlaps beyond two of them are of edges only
    end: float  # 1/A, beyond which there is nothing
    semiangle: float  # mrad
    rolloff: float  # mrad
    energy: float  # eV
    vacuum: np.ndarray | None = None  # (n, n) amplitude, origin in the middle
    q_pixel: float | tuple[float, float] = 0.0  # 1/A, of the vacuum pattern; or one for rows and one for columns

    @classmethod
    def of(cls, optics: Optics, bright: BrightField) -> Aperture:
        """The aperture that `optics` say for this bright field: the vacuum pattern before the semi-angle."""
        per_mrad = 1e-3 / bright.wavelength
        if optics.vacuum is None:
            if optics.semiangle is None:
                raise AskingError("no aperture is known; {set}.", "semiangle", "vacuum", joined="or")
            radius, end = (angle * per_mrad for angle in (optics.semiangle, optics.semiangle + optics.rolloff / 2))
            return cls(radius, end, optics.semiangle, optics.rolloff, bright.energy)
        pixels = bright.q_pixels[0] / bright.binning, bright.q_pixels[1] / bright.binning
        amplitude = np.sqrt(np.fft.fftshift(centred_to_corner(optics.vacuum)))
        amplitude = amplitude / np.percentile(amplitude[amplitude > 0.5 * amplitude.max()], 50)
        amplitude[amplitude < FAINT] = 0
        lit = np.argwhere(amplitude) - np.array(amplitude.shape) // 2
        half = int(np.abs(lit).max()) + 1
        middle = tuple(slice(max(0, n // 2 - half), n // 2 + half + 1) for n in amplitude.shape)
        radius = math.sqrt(np.count_nonzero(amplitude > 0.5) / math.pi) * mean_of(pixels)
        end = (float(np.hypot(*(lit * relative(pixels)).T).max()) + 0.5) * mean_of(pixels)
        framed = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        part = amplitude[middle]
        first = [half - (n // 2 - s.start) for n, s in zip(amplitude.shape, middle, strict=True)]
        framed[first[0] : first[0] + part.shape[0], first[1] : first[1] + part.shape[1]] = part
        return cls(radius, end, radius / per_mrad, 0.0, bright.energy, framed, pixels)

    def amplitude(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Amplitude at `ky`, `kx` (1/A)."""
        if self.vacuum is None:
            alpha = np.hypot(ky, kx) * (1e3 * wavelength(self.energy))
            return aperture_amplitude(self.semiangle, self.rolloff, alpha)
        half = (len(self.vacuum) - 1) / 2
        index = [k / pixel + half for k, pixel in zip((ky, kx), both(self.q_pixel), strict=True)]
        return ndimage.map_coordinates(self.vacuum, index, order=1, mode="constant")


@dataclass(frozen=True)
class Table:
    """Points of the fine grid that lie in the aperture, and the amplitude there; aberrations come later."""

    fine: int  # points in a detector pixel
    width: int  # detector pixels on a side of the table
    step: tuple[float, float]  # 1/A, detector pixel
    energy: float  # eV
    places: np.ndarray  # (P,) int, in the flat table (fine, fine, width, width)
    ky: np.ndarray  # (P,) 1/A
    kx: np.ndarray  # (P,) 1/A
    amplitude: np.ndarray  # (P,) float32

    @functools.cached_property
    def lit(self) -> np.ndarray:
        """(width^2,) bool: pixels of the table with a point in the aperture."""
        out = np.zeros(self.width**2, bool)
        out[self.places % self.width**2] = True
        return out

    @classmethod
    def make(cls, aperture: Aperture, step: float | tuple[float, float], fine: int, reach: float = 3.0) -> Table:
        """`fine` points in each pixel of `step`, for rows and columns; frequencies up to `reach` times the aperture's
        end may be asked for."""
        steps = both(step)
        half = math.ceil(aperture.end / min(steps))  # the aperture's own part of the table
        whole = math.ceil(reach * aperture.end / min(steps)) + 2
        width = 2 * whole + 1
        pixel, part = np.arange(-half, half + 1), np.arange(fine)
        down, right = ((pixel[None] + part[:, None] / fine) * s for s in steps)  # (fine, 2 half + 1)
        ky, kx = np.broadcast_arrays(down[:, None, :, None], right[None, :, None, :])
        inside = ky**2 + kx**2 <= aperture.end**2
        ky, kx = ky[inside], kx[inside]
        phases = (part[:, None] * fine + part) * width**2
        pixels = (pixel[:, None] + whole) * width + (pixel + whole)
        places = (phases[:, :, None, None] + pixels)[inside]
        amplitude = aperture.amplitude(ky, kx).astype(np.float32)
        return cls(fine, width, steps, aperture.energy, places, ky, kx, amplitude)

    def transfer(self, aberrations: Aberrations) -> np.ndarray:
        """A on the flat table, complex64."""
        out = np.zeros(self.fine**2 * self.width**2, np.complex64)

        def fill(part: slice) -> None:
            phase = chi(aberrations, self.ky[part], self.kx[part], self.energy).astype(np.float32)
            values = np.empty(len(phase), np.complex64)
            values.real = self.amplitude[part] * np.cos(phase)
            values.imag = self.amplitude[part] * -np.sin(phase)
            out[self.places[part]] = values

        shared(fill, len(self.places))
        return out

    def bases(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Where in the flat table the spatial frequencies (1/A) lie, at the nearest point; pixels add to it."""
        scaled = (k * (self.fine / step) for k, step in zip((ky, kx), self.step, strict=True))
        (row, y), (column, x) = (np.divmod(np.rint(k).astype(np.intp), self.fine) for k in scaled)
        middle = self.width // 2
        return ((y * self.fine + x) * self.width + row + middle) * self.width + column + middle


def fineness(aperture: Aperture, step: float | tuple[float, float], aberrations: Aberrations) -> int:
    """How many points of the table in a detector pixel, whose longer side counts, follow the aberrations, within
    reason.

    Examples
    --------
    >>> aperture = Aperture(0.48, 0.5, 20.0, 2.0, 80e3)
    >>> fineness(aperture, 0.025, Aberrations()), fineness(aperture, 0.025, Aberrations(defocus=500))
    (4, 8)
    """
    short, long = min(both(step)), max(both(step))
    axis = np.linspace(-aperture.end, aperture.end, max(9, 2 * math.ceil(aperture.end / short) + 1))
    phase = chi(aberrations, axis[:, None], axis[None], aperture.energy)
    inside = axis[:, None] ** 2 + axis[None] ** 2 <= aperture.end**2
    phase = np.where(inside, phase, np.nan)
    steepest = max(float(np.nanmax(np.abs(np.diff(phase, axis=a)), initial=0.0)) for a in (0, 1))
    steepest *= long / (axis[1] - axis[0])
    widest = 2 * math.ceil(3 * aperture.end / short) + 5
    most = max(1, min(FINEST, int(math.sqrt(TABLE_LIMIT) / widest)))
    return min(most, max(4, math.ceil(steepest / PHASE_STEP)))


@dataclass(frozen=True)
class Overlaps:
    """Gamma for detector pixels K, a frequency Q at a time or many."""

    table: Table
    transfer: np.ndarray  # flat table, complex64
    pixels: np.ndarray  # (K,) int, flat steps from the origin
    at: np.ndarray  # (K,) complex64, A(K)

    @classmethod
    def of(cls, table: Table, aberrations: Aberrations, tilts: np.ndarray) -> Overlaps:
        """For tilts (K, 2) in 1/A on the detector's grid."""
        steps = np.rint(tilts / table.step).astype(np.intp)
        if (np.abs(steps * table.step - tilts) > 0.01 * np.array(table.step)).any():
            raise ParameterError("the tilts do not lie on a grid of detector pixels about the origin.")
        transfer = table.transfer(aberrations)
        pixels = steps @ np.array([table.width, 1])
        near = np.abs(steps).max(1, initial=0) <= table.width // 2
        at = np.zeros(len(tilts), np.complex64)
        at[near] = transfer[pixels[near] + table.bases(np.zeros(1), np.zeros(1))]
        return cls(table, transfer, pixels, at)

    def restricted(self, which: np.ndarray) -> Overlaps:
        """The same for some of the pixels."""
        return replace(self, pixels=self.pixels[which], at=self.at[which])

    def weighted(self, root: np.ndarray) -> Overlaps:
        """The same with each pixel's beams multiplied by its `root` (K,)."""
        return replace(self, at=self.at * root)

    def beams(
        self, ky: np.ndarray, kx: np.ndarray, places: np.ndarray | None = None, size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A*(K) A(K - Q) and A(K) A*(K + Q), complex64, for frequencies Q = (ky, kx) (Q,).

        They are (Q, K), or (Q, `size`) with each pixel at its place (K,).
        """
        places = np.arange(len(self.pixels)) if places is None else places
        ends = self.table.bases(-ky, -kx), self.table.bases(ky, kx)
        return pattern_kernels().beams(self.transfer, ends, self.pixels, places, self.at, size or len(places))

    def products(self, ky: np.ndarray, kx: np.ndarray, counts: np.ndarray, data: np.ndarray) -> np.ndarray:
        """sum_K conj(b_m) b_n (C, N + 1, N + 1) complex64, b being the Gamma of the first `counts` (C,) of the
        frequencies (C, N), and last the data (C, K) complex64."""
        ends = self.table.bases(-ky, -kx), self.table.bases(ky, kx)
        return pattern_kernels().products(
            self.transfer, self.table.lit, ends, counts, self.pixels, self.at, np.ascontiguousarray(data, np.complex64)
        )


def exact_beams(
    aperture: Aperture, aberrations: Aberrations, tilts: np.ndarray, ky: np.ndarray, kx: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What :meth:`Overlaps.beams` gives for tilts (K, 2), without a table: slower, right to rounding."""

    def transfer(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        wave = np.exp(-1j * chi(aberrations, y, x, aperture.energy).astype(np.float32))
        return aperture.amplitude(y, x).astype(np.float32) * wave

    at = transfer(*tilts.T)
    y, x = ky[:, None], kx[:, None]
    minus, plus = (transfer(tilts[:, 0] + sign * y, tilts[:, 1] + sign * x) for sign in (-1, 1))
    return at.conj() * minus, at * plus.conj()
