"""Detectors on the pattern: masks, the bright-field disk and what is fitted to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import look_up, unknown_name
from ptywidgets.engine.data.calibration import Calibration

INSIDE = 0.5 - math.acos(math.sqrt(2) - 1) / math.pi  # of the roll-off: where half a cosine squared is 1/2, before 1/2


def disk_mask(
    shape: tuple[int, int], centre: tuple[float, float], radius: float, pixels: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Pixels (Qy, Qx) whose centre lies within `radius` of `centre` (row, column).

    `pixels` are their height and width in the unit of the radius: the detector's ``q_pixels`` make a disk in 1/A of it,
    also where pixels are not square. The centre is in pixels.

    Examples
    --------
    >>> int(disk_mask((5, 5), (2, 2), 1).sum())
    5
    >>> disk_mask((5, 5), (2, 2), 0.05, pixels=(0.05, 0.02)).sum(1).tolist()
    [0, 1, 5, 1, 0]
    """
    return _distance(shape, centre, pixels) <= radius


def annulus_mask(
    shape: tuple[int, int],
    centre: tuple[float, float],
    inner: float,
    outer: float,
    pixels: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Pixels (Qy, Qx) farther than `inner` and within `outer` of `centre`; `pixels` as of :func:`disk_mask`."""
    distance = _distance(shape, centre, pixels)
    return (distance > inner) & (distance <= outer)


def rectangle_mask(shape: tuple[int, int], centre: tuple[float, float], height: float, width: float) -> np.ndarray:
    """Pixels (Qy, Qx) in a rectangle about `centre`."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (np.abs(y - centre[0]) <= height / 2) & (np.abs(x - centre[1]) <= width / 2)


def _distance(shape: tuple[int, int], centre: tuple[float, float], pixels: tuple[float, float]) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot((y - centre[0]) * pixels[0], (x - centre[1]) * pixels[1])


@dataclass(frozen=True)
class Disk:
    """The bright-field disk in detector pixels."""

    centre: tuple[float, float]
    radius: float
    outer: float = 0.0  # px: how far its light reaches, farther than the radius where descan has moved it; 0: unknown


def fit_disk(pattern: np.ndarray) -> Disk:
    """Centre and radius of the bright-field disk of a mean or vacuum pattern.

    The disk is what is brighter than half of the bright plateau; its area gives the radius.

    Parameters
    ----------
    pattern : ndarray (Qy, Qx)

    Examples
    --------
    >>> fit_disk(disk_mask((64, 64), (30, 34), 12).astype(float)).centre
    (30.0, 34.0)
    """
    pattern = np.asarray(pattern, float)
    floor = np.median(pattern)
    values = np.sort((pattern - floor).ravel())[::-1]
    total = values.clip(0).cumsum()
    # The plateau's height: mean of the pixels that hold the first half of the intensity, robust to hot pixels.
    count = int(np.searchsorted(total, 0.5 * total[-1])) + 1
    plateau = float(np.median(values[:count]))
    inside = pattern - floor > 0.5 * plateau
    y, x = np.nonzero(inside)
    if len(y) == 0:
        return Disk(((pattern.shape[0] - 1) / 2, (pattern.shape[1] - 1) / 2), min(pattern.shape) / 8)
    lit = np.count_nonzero(pattern - floor > 0.02 * plateau)
    return Disk((float(y.mean()), float(x.mean())), float(np.sqrt(len(y) / np.pi)), float(np.sqrt(lit / np.pi)))


@dataclass(frozen=True)
class Detector:
    """A virtual detector: which pixels of the pattern are summed.

    Examples
    --------
    >>> int(Detector("disk", 2, 2, r=1).mask((5, 5)).sum())
    5
    """

    shape: str  # disk | annulus | rectangle
    y: float  # px, centre
    x: float
    r: float = 0.0  # px, (outer) radius
    r_inner: float = 0.0
    h: float = 0.0  # px, height and width
    w: float = 0.0

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Its pixels (Qy, Qx)."""
        if self.shape == "disk":
            return disk_mask(shape, (self.y, self.x), self.r)
        if self.shape == "annulus":
            return annulus_mask(shape, (self.y, self.x), self.r_inner, self.r)
        if self.shape == "rectangle":
            return rectangle_mask(shape, (self.y, self.x), self.h, self.w)
        raise unknown_name("shape of a detector", self.shape, ("disk", "annulus", "rectangle"))

    @property
    def code(self) -> str:
        """The call that makes its mask, with ``shape`` for the shape of the detector."""
        centre = f"({self.y:.6g}, {self.x:.6g})"
        if self.shape == "disk":
            return f"disk_mask(shape, {centre}, {self.r:.6g})"
        if self.shape == "annulus":
            return f"annulus_mask(shape, {centre}, {self.r_inner:.6g}, {self.r:.6g})"
        return f"rectangle_mask(shape, {centre}, {self.h:.6g}, {self.w:.6g})"


PRESETS = ("BF", "ABF", "ADF")


def preset_detector(name: str, disk: Disk, shape: tuple[int, int]) -> Detector:
    """A usual detector, fitted to the bright-field disk.

    BF is the inner half of the disk, where descan does not bring its edge in, and ABF the outer half; ADF begins where
    the disk's light ends, between 1.1 and 1.5 radii, and goes to the edge of the detector.

    Examples
    --------
    >>> preset_detector("ABF", Disk((32.0, 32.0), 10.0), (64, 64))
    Detector(shape='annulus', y=32.0, x=32.0, r=10.0, r_inner=5.0, h=0.0, w=0.0)
    """
    name = look_up("detector", name, PRESETS)
    (y, x), r = disk.centre, disk.radius
    if name == "BF":
        return Detector("disk", y, x, r=r / 2)
    if name == "ABF":
        return Detector("annulus", y, x, r=r, r_inner=r / 2)
    inner = min(max(1.1 * r, disk.outer + 1), 1.5 * r)
    edge = max(min(y, x, shape[0] - 1 - y, shape[1] - 1 - x), inner + 1)
    return Detector("annulus", y, x, r=edge, r_inner=inner)


def disk_semiangle(radius: float, calibration: Calibration, rolloff: float = 0.0) -> float:
    """Convergence semi-angle (mrad) of a bright-field disk of `radius` px at half of its height.

    The angle of the radius is radius times q_pixel times wavelength; where pixels are not square, the disk is an
    ellipse on them, whose radius is the geometric mean of its axes. The semi-angle is where half of the amplitude is
    left; the intensity, its square, is at half height somewhat inside, by 0.14 of the `rolloff` (mrad) of
    :func:`ptywidgets.engine.optics.probe.aperture_amplitude`.

    Examples
    --------
    >>> round(disk_semiangle(19.16, Calibration(energy=80e3, q_pixel=0.025)), 1)
    20.0
    """
    return radius * calibration.angle_mean + INSIDE * rolloff


def scan_range(
    centre: tuple[float, float], height: float, width: float, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Scan positions in a rectangle, at least one, as (y0, y1, x0, x1), half-open.

    Examples
    --------
    >>> scan_range((2.0, 2.0), 2, 3, (10, 10))
    (1, 4, 1, 4)
    """
    edges = []
    for middle, size, n in zip(centre, (height, width), shape, strict=True):
        first = min(max(math.ceil(middle - size / 2), 0), n - 1)
        edges += [first, min(max(math.floor(middle + size / 2) + 1, first + 1), n)]
    return edges[0], edges[1], edges[2], edges[3]
