"""Shifted images on a grid finer than the scan's: kernel density of all values where they belong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.parallax.tilt_spectra import CHUNK, edge_window


@dataclass(frozen=True)
class Kernel:
    """Bilinear sharing among four pixels, followed by a Gaussian."""

    sigma: tuple[float, float]  # A, along rows and columns
    pixel: tuple[float, float]  # A

    def transfer(self, frequencies: np.ndarray) -> np.ndarray:
        """What it leaves of spatial frequencies (2, ...) in 1/A."""
        across = (2, *[1] * (frequencies.ndim - 1))
        sigma, pixel = (np.reshape(size, across) for size in (self.sigma, self.pixel))
        gauss = np.exp(-2 * math.pi**2 * ((frequencies * sigma) ** 2).sum(0))
        return gauss * (np.sinc(frequencies * pixel) ** 2).prod(0)


@dataclass(frozen=True)
class FineImage:
    """An image on a fine grid, in a frame somewhat larger than the scan."""

    image: np.ndarray  # (Y', X') relative to its mean
    seen: np.ndarray  # (Y', X') 1 where all tilts contribute, 0 where none does
    margin: tuple[int, int]  # fine pixels before the first scan position
    shape: tuple[int, int]  # (Y, X) of the scan
    sampling: tuple[float, float]  # A
    kernel: Kernel

    def cropped(self, image: np.ndarray) -> np.ndarray:
        """The part of the scan (Y, X) of an image in the frame."""
        (y, x), (ny, nx) = self.margin, self.shape
        return np.ascontiguousarray(image[y : y + ny, x : x + nx])


def upsampling(bright: BrightField) -> float:
    """Pixels per scan step that the bright field can fill: up to the aperture's diameter in spatial frequency.

    The contrast reaches out to 2 k_max, and a scan with shifted images resolves it if there are enough of them.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.direct import bright_field
    >>> upsampling(bright_field(samples.ducky("small")))
    4.0
    """
    wanted = 4 * bright.radius * max(bright.scan_steps)
    filled = math.sqrt(len(bright.images) / 4)  # at least four values in each pixel
    return float(max(1, min(math.ceil(wanted), math.floor(filled))))


def scattered(
    bright: BrightField,
    shifts: np.ndarray,
    factor: float,
    kernel: float = 0.125,
    offsets: np.ndarray | None = None,
) -> FineImage:
    """Every value of every image, put where it belongs on the fine grid.

    Parameters
    ----------
    bright : BrightField
    shifts : ndarray (K, 2)
        A, scan frame.
    factor : float
        Pixels per scan step.
    kernel : float
        Sigma in scan steps.
    offsets : ndarray (2, Ry, Rx), optional
        A, scan frame: by how much each scan position was off its place.
    """
    if not 0.5 <= factor <= 32:
        raise ParameterError(f"factor is {factor!r}; expected a number from 0.5 to 32 pixels per scan step.")
    scan, steps = bright.scan_shape, np.array(bright.scan_steps)
    shape = tuple(max(1, round(n * factor)) for n in scan)
    scale = np.array([fine / n / step for fine, n, step in zip(shape, scan, steps, strict=True)])  # fine pixels per A
    furthest = np.minimum(np.abs(shifts).max(0), steps * np.array(scan))
    margin = np.ceil(furthest * scale + 4 * kernel * steps * scale + 2).astype(int)
    frame = np.array(shape) + 2 * margin
    means = bright.images.mean(axis=(1, 2), dtype=np.float64)
    window = edge_window(scan)
    whole = factor == round(factor) and bool((np.abs(shifts).max(0) <= furthest).all())
    if whole and offsets is None:
        contrast = (bright.images - means.astype(np.float32)[:, None, None]) * window
        weight = means.astype(np.float32)[:, None, None] * window
        values, density = (_images_added(a, shifts * scale + margin, round(factor), frame) for a in (contrast, weight))
    else:
        axes = [np.arange(n) * step for n, step in zip(scan, steps, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        grid = grid if offsets is None else grid + offsets
        values, density = _shared(bright.images, means, window, grid, shifts, scale, margin, frame)
    sigma = kernel * steps * scale
    values, density = (ndimage.gaussian_filter(a, sigma, mode="constant") for a in (values, density))
    seen = density / (means.sum() / np.prod(np.array(shape) / np.array(scan)))
    image = 1 + np.where(seen > 0.05, values / np.maximum(density, 0.05 / np.maximum(seen, 1e-9) * density + 1e-30), 0)
    sampling = tuple(float(1 / s) for s in scale)
    return FineImage(
        image=image.astype(np.float32),
        seen=np.clip(seen, 0, 1).astype(np.float32),
        margin=(int(margin[0]), int(margin[1])),
        shape=shape,  # type: ignore[arg-type]  # rows and columns
        sampling=sampling,  # type: ignore[arg-type]  # rows and columns
        kernel=Kernel((kernel * steps[0], kernel * steps[1]), sampling),  # type: ignore[arg-type]  # rows and columns
    )


def _images_added(images: np.ndarray, places: np.ndarray, factor: int, frame: np.ndarray) -> np.ndarray:
    """Sum (Y', X') float32 of images (K, Ry, Rx) whose pixels lie `factor` fine pixels apart from `places` (K, 2) on.

    Pixels of the frame that are `factor` apart make a plane, onto which whole images are added.
    """
    first = np.floor(places).astype(np.int64)
    rest = places - first
    corners = first[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # (K, 4, 2)
    cells, planes = np.divmod(corners, factor)
    spots = np.concatenate([(planes @ np.array([factor, 1]))[..., None], cells], axis=-1)
    down, right = (np.stack([1 - rest[:, axis], rest[:, axis]], axis=1) for axis in (0, 1))
    shares = (down[:, :, None] * right[:, None]).reshape(-1, 4).astype(np.float32)
    shape = -(-frame // factor) + 1
    target = np.zeros((factor**2, *shape), np.float32)
    pattern_kernels().add_images(np.ascontiguousarray(images, np.float32), np.ascontiguousarray(spots), shares, target)
    fine = target.reshape(factor, factor, *shape).transpose(2, 0, 3, 1).reshape(shape * factor)
    return fine[: frame[0], : frame[1]]


def _shared(
    images: np.ndarray,
    means: np.ndarray,
    window: np.ndarray,
    grid: np.ndarray,
    shifts: np.ndarray,
    scale: np.ndarray,
    margin: np.ndarray,
    frame: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums (Y', X') of contrasts and of weights, each position for itself: for any factor, and positions (2, Ry, Rx)
    in A that are on no raster."""
    size = int(frame.prod())
    values, density = np.zeros(size), np.zeros(size)
    for first in range(0, len(shifts), CHUNK):
        part = slice(first, first + CHUNK)
        place = (grid[None] + shifts[part, :, None, None]) * scale[:, None, None] + margin[:, None, None]
        place = np.clip(place, 0, (frame - 1.001)[:, None, None])
        whole = place.astype(np.int64)
        rest = place - whole
        contrast = (images[part] - means[part, None, None]) * window
        weight = means[part, None, None] * window
        for dy in (0, 1):
            share_y = rest[:, 0] if dy else 1 - rest[:, 0]
            for dx in (0, 1):
                share = share_y * (rest[:, 1] if dx else 1 - rest[:, 1])
                index = ((whole[:, 0] + dy) * frame[1] + whole[:, 1] + dx).ravel()
                values += np.bincount(index, (share * contrast).ravel(), size)
                density += np.bincount(index, (share * weight).ravel(), size)
    return values.reshape(frame), density.reshape(frame)
