"""Which part of the data a coarse reconstruction looks at: a block of the scan, and the pixels that can be believed.

A sharp edge, moved by descan and seen by pixels, is nothing that samples of a wave can follow: the rim of the aperture
is left out, since on weak specimens its errors would outweigh what the specimen does to the probe. For the same reason
descan moves the aperture itself here, and is no ramp on the wave, which would let the edge ring all over the disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.errors import InsufficientData
from ptywidgets.engine.data.calibration import relative
from ptywidgets.engine.preprocess.measurement import Measurement

ASKED = 0.8  # part of half the detector whose pixels count; what is scattered beyond the cut leaves its trace near it
RIM = 1.0  # detector pixels on both sides of the aperture's edge that are not asked; wider, and low frequencies go


@dataclass(frozen=True, eq=False)
class Cut:
    """The square of detector pixels about the aperture that is looked at; its arrays are corner-centred."""

    n: int  # pixels on a side
    full: tuple[int, ...]  # and of the whole detector
    radius: float  # of the aperture, in pixels of the mean size
    pixels: tuple[float, float]  # height and width of a pixel in those
    sampling: tuple[float, float]  # A, of the pixels of a window

    @classmethod
    def about(cls, aperture: np.ndarray, sampling: tuple[float, float], reach: float, multiple: int = 2) -> Cut:
        """As far as `reach` radii of an aperture (Ny, Nx), corner-centred, and half a pixel; `sampling` in A. Its side
        is a multiple of an even number, and of a length of which transforms are fast, where the detector has it.

        Examples
        --------
        >>> k = np.fft.fftfreq(64, 1 / 64)
        >>> Cut.about(np.hypot(k[:, None], k) < 8, (0.5, 0.5), 1.5).n
        28
        """
        radius = math.sqrt(np.count_nonzero(aperture > 0.5 * aperture.max()) / math.pi)
        sides = [1 / (n * s) for n, s in zip(aperture.shape, sampling, strict=True)]
        pixels = relative((sides[0], sides[1]))
        least = math.ceil(2 * math.ceil(reach * (radius + 0.5) / min(pixels)) / multiple)
        n = min(*aperture.shape, multiple * sfft.next_fast_len(least))
        n -= n % multiple
        if n < 4:
            raise InsufficientData(
                f"the detector is {aperture.shape}; expected 4 x 4 pixels at least for a reconstruction."
            )
        down, along = (s * full / n for s, full in zip(sampling, aperture.shape, strict=True))
        return cls(n, aperture.shape, radius, pixels, (down, along))

    @property
    def k(self) -> np.ndarray:
        """(2, n, n) 1/A, of rows and columns."""
        return np.stack(np.meshgrid(*(np.fft.fftfreq(self.n, s) for s in self.sampling), indexing="ij"))

    def of(self, values: np.ndarray) -> np.ndarray:
        """The part of an array (Ny, Nx)."""
        rows, columns = (np.r_[0 : self.n // 2, full - self.n // 2 : full] for full in self.full)
        return values[rows[:, None], columns[None]]

    def asked(self, tilts: np.ndarray) -> np.ndarray:
        """What :func:`asked_pixels` says of apertures that are moved by `tilts` (J, 2)."""
        return asked_pixels(self.n, self.radius, tilts, self.pixels)


def require_counts(counts: float, who: str) -> None:
    """Raise an InsufficientData where there are no counts in the pixels that are asked."""
    if not counts > 0:
        raise InsufficientData(
            f"no counts lie in the detector pixels that {who}, inside and outside of the aperture's rim; use less "
            "binning, or check semiangle and q_pixel."
        )


def asked_pixels(n: int, radius: float, tilts: np.ndarray, pixels: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """1 for the pixels that count (J, n, n), corner-centred, and 0 at the rim of the aperture and near the cut.

    Parameters
    ----------
    n : int
        Pixels on a side.
    radius : float
        Of the aperture, in pixels.
    tilts : ndarray (J, 2)
        Where its middle is, in pixels.
    pixels : (float, float)
        Height and width of a pixel in those that the radius is counted in.

    Examples
    --------
    >>> asked_pixels(16, 4.0, np.zeros((1, 2)))[0, 0, :8].astype(int)
    array([1, 1, 1, 0, 0, 0, 1, 0])
    """
    k = np.fft.fftfreq(n, 1 / n)
    y, x = (k - tilts[:, axis, None] for axis in (0, 1))
    rim = np.abs(np.hypot(y[:, :, None] * pixels[0], x[:, None, :] * pixels[1]) - radius) <= RIM
    near = np.hypot(k[:, None], k[None]) < ASKED * n / 2
    return (near & ~rim).astype(np.float32)


def moved_aperture(aperture: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Amplitudes (J, n, n) of an aperture moved by parts of a pixel (J, 2): counts shared by neighbours cannot ring."""
    counts = aperture[None] ** 2
    for axis in (0, 1):
        part = shifts[:, axis, None, None].astype(np.float32)
        near = np.where(part >= 0, np.roll(counts, 1, axis + 1), np.roll(counts, -1, axis + 1))
        counts = counts + np.abs(part) * (near - counts)
    return np.sqrt(counts)


def deflected_block(measurement: Measurement, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (J,) of the patterns of a block of positions where the specimen deflects most, and their places (2, J) in
    the scan, A; those that are left out are not among them."""
    ny, nx = measurement.scan_shape
    height, width = min(side, ny), min(side, nx)
    strength = (measurement.com**2).sum(0)
    if measurement.scan_mask is not None:
        strength = strength * measurement.scan_mask
    sums = np.pad(strength, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    y0, x0 = np.unravel_index(int(inside.argmax()), inside.shape)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    down, right = measurement.calibration.scan_steps
    grid = np.stack([(rows - (height - 1) / 2).ravel() * down, (columns - (width - 1) / 2).ravel() * right])
    chosen = ((rows + y0) * nx + columns + x0).ravel()
    if measurement.scan_mask is None:
        return chosen, grid
    counted = measurement.scan_mask.ravel()
    grid = grid[:, counted[chosen]]
    grid -= (grid.max(1, keepdims=True) + grid.min(1, keepdims=True)) / 2  # about the middle of what is left of it
    return (np.cumsum(counted) - 1)[chosen[counted[chosen]]], grid
