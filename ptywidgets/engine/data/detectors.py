"""Detectors on the pattern: masks, the bright-field disk and what is fitted to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.errors import look_up, unknown_name
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.masks import nearest_good

INSIDE = 0.5 - math.acos(math.sqrt(2) - 1) / math.pi  # of the roll-off: where half a cosine squared is 1/2, before 1/2
WIDE = 2.5  # px from the nearest measured pixel: a hole that is nowhere deeper is told by its neighbours
RIM, ROUNDS = 12, 8  # points of the rim, at least, that a circle is drawn through, and rounds of drawing it
ARC = 2.0  # rad: so long an arc of the rim has to be seen
OFF = 0.06  # of the radius, and half a pixel: what the rim may be off the circle, rms
UNLIKE = 0.2  # of the disk's height: what pixels on opposite sides may differ by, in the median


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


def filled_by_symmetry(
    pattern: np.ndarray, unmeasured: np.ndarray, pixels: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """The pattern with large holes filled by point reflection through the disk's centre.

    An aperture looks nearly the same when it is turned by half a turn. Where a mask hides a large part of it, the pixel
    on the other side of the centre tells more than the nearest pixels that were measured, which only repeat the border.
    What is opposite to a hole, too, gets the median of the nearest pixels that are known by then.

    Parameters
    ----------
    pattern : ndarray (Qy, Qx)
        A vacuum pattern or a mean pattern. What stands at pixels that were not measured does not matter.
    unmeasured : ndarray (Qy, Qx) bool
        True where a pixel does not count.
    pixels : (float, float)
        Height and width of a pixel, of which the ratio matters.

    Returns
    -------
    filled : ndarray (Qy, Qx)
        float64; a copy.
    where : ndarray (Qy, Qx) bool
        The pixels that were filled: not those of holes a few pixels wide, nor any where no disk is seen, or one that is
        not the same on both sides.

    Examples
    --------
    >>> y, x = np.mgrid[:32, :32]
    >>> disk = np.where(np.hypot(y - 15.5, x - 16) < 8, 100.0, 0.0)
    >>> hidden = x > 17
    >>> filled, where = filled_by_symmetry(np.where(hidden, 0.0, disk), hidden)
    >>> bool(np.abs(filled - disk)[where].mean() < 3), bool(where[15, 20])
    (True, True)
    """
    out, where = np.array(pattern, np.float64), np.zeros(pattern.shape, bool)
    depth = ndimage.distance_transform_edt(unmeasured)
    labels, count = ndimage.label(unmeasured, np.ones((3, 3)))
    if not count or depth.max() <= WIDE or unmeasured.all():
        return out, where
    deep = np.asarray(ndimage.maximum(depth, labels, np.arange(count + 1))) > WIDE
    wide = deep[labels] & unmeasured
    disk = rim_circle(out, ~unmeasured, pixels)
    if disk is None:
        return out, where
    measured = np.where(unmeasured, np.nan, out)
    places = np.indices(out.shape, float)
    opposite = np.stack([2 * c - p for c, p in zip(disk.centre, places, strict=True)])
    turned = ndimage.map_coordinates(measured, opposite, order=1, cval=np.nan)
    both = np.isfinite(turned) & ~unmeasured
    height = float(np.median(measured[both & _inside(places, disk, pixels)])) if both.any() else np.nan
    if np.isfinite(height) and float(np.median(np.abs(turned - measured)[both & _inside(places, disk, pixels)])) > (
        UNLIKE * height
    ):
        return out, where
    where = wide & np.isfinite(turned)
    out[where] = turned[where]
    rest = wide & ~where  # opposite to what was not measured, or beyond the detector
    if where.any() and rest.any():
        out[rest] = np.median(out[nearest_good(rest, where | ~unmeasured)], axis=-1)
    return out, where | (rest & where.any())


def rim_circle(pattern: np.ndarray, measured: np.ndarray, pixels: tuple[float, float] = (1.0, 1.0)) -> Disk | None:
    """The circle through the rim of the bright-field disk, where it is seen between measured pixels; radius in pixels
    of the mean size. None where too little of a rim is seen.

    Parameters
    ----------
    pattern : ndarray (Qy, Qx)
    measured : ndarray (Qy, Qx) bool
    pixels : (float, float)

    Examples
    --------
    >>> y, x = np.mgrid[:32, :32]
    >>> disk = rim_circle(np.where(np.hypot(y - 15.5, x - 16) < 8, 100.0, 0.0), x < 18)
    >>> abs(disk.centre[0] - 15.5) < 0.3, abs(disk.centre[1] - 16) < 0.3, round(disk.radius)
    (True, True, 8)
    """
    level = _half_height(pattern[measured])
    smooth = ndimage.uniform_filter(np.where(measured, pattern, 0.0), 3, mode="nearest")
    weight = ndimage.uniform_filter(measured.astype(float), 3, mode="nearest")
    smooth = smooth / np.maximum(weight, 1e-9)
    labels, count = ndimage.label((smooth > level) & measured)
    if not count or not level > 0:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(np.ones(pattern.shape), labels, np.arange(1, count + 1))))
    bright = ndimage.binary_fill_holes(labels == largest)
    points = []
    for axis in (0, 1):
        one, other = (slice(None, -1), slice(1, None))
        a, b = ((one, slice(None)), (other, slice(None))) if axis == 0 else ((slice(None), one), (slice(None), other))
        crossed = (bright[a] != bright[b]) & measured[a] & measured[b]
        place = np.argwhere(crossed).astype(float)
        first, second = smooth[a][crossed], smooth[b][crossed]
        part = np.clip((level - first) / np.where(second == first, 1.0, second - first), 0.0, 1.0)
        place[:, axis] += part
        points.append(place)
    scale = np.asarray(pixels, float) / np.sqrt(pixels[0] * pixels[1])
    rim = np.concatenate(points) * scale
    kept = np.ones(len(rim), bool)
    centre, radius = np.zeros(2), 0.0
    for _ in range(ROUNDS):
        if kept.sum() < RIM:
            return None
        middle = rim[kept].mean(0)  # which keeps the equations well conditioned
        near = rim[kept] - middle
        solution, *_ = np.linalg.lstsq(np.c_[2 * near, np.ones(len(near))], (near**2).sum(1), rcond=None)
        centre = middle + solution[:2]
        radius = float(np.sqrt(max(solution[2] + (solution[:2] ** 2).sum(), 0.0)))
        off = np.abs(np.hypot(*(rim - centre).T) - radius)
        kept = off <= max(3 * float(np.median(off[kept])), 1.0)
    angles = np.sort(np.arctan2(*(rim[kept] - centre).T))
    gap = float(np.max(np.diff(np.r_[angles, angles[0] + 2 * np.pi])))
    rms = float(np.sqrt((off[kept] ** 2).mean()))
    if gap > 2 * np.pi - ARC or rms > OFF * radius + 0.5 or not 1 < radius < max(pattern.shape):
        return None
    return Disk((float(centre[0] / scale[0]), float(centre[1] / scale[1])), radius)


def _half_height(seen: np.ndarray) -> float:
    """Half of the height of what is bright: that of the pixels that hold the first half of the intensity."""
    values = np.sort(seen)[::-1]
    total = values.clip(0).cumsum()
    if not total[-1] > 0:
        return 0.0
    return 0.5 * float(np.median(values[: int(np.searchsorted(total, 0.5 * total[-1])) + 1]))


def _inside(places: np.ndarray, disk: Disk, pixels: tuple[float, float]) -> np.ndarray:
    mean = np.sqrt(pixels[0] * pixels[1])
    off = [(p - c) * size / mean for p, c, size in zip(places, disk.centre, pixels, strict=True)]
    return np.asarray(np.hypot(*off) <= disk.radius)
