"""The bright field as a stack of scan images: one for each detector pixel inside the aperture, seen under its own tilt.

Every direct method starts from it. The patterns are gathered about their own origin, so that descan is gone, and read
between pixels by a windowed sinc: rounding would make a pattern of its own in the scan, and linear interpolation would
blur each pattern in its own way, which costs the fine side bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.calibration import both, mean_of, single
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.data.detectors import fit_disk
from ptywidgets.engine.direct.threads import shared
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.defects.fill import fill_positions
from ptywidgets.engine.preprocess.defects.frames import screened_or_warned
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.measurement import Measurement, left_out_alike, scan_frequencies
from ptywidgets.engine.preprocess.origin.origin import fit_origin
from ptywidgets.engine.preprocess.rotation import find_rotation, rotate_vectors, unrotate_vectors, wrapped_angle

LOBES = 4  # of the windowed sinc by which patterns are read between pixels
AT_ONCE = 64  # patterns that are gathered before their pixels, still in the cache, go to the images
STACK_LIMIT = 1e9  # bytes of the stack, beyond which detector pixels are binned
STACK_SHARE = 1 / 8  # of the memory that is free: spectra of it, and what is made of them, take as much again


@dataclass(frozen=True)
class BrightField:
    """Scan images of the detector pixels in the aperture, with what is needed to read them."""

    images: np.ndarray  # (K, Ry, Rx) float32, counts
    tilts: np.ndarray  # (K, 2) 1/A, detector frame, from the patterns' origin
    q_pixel: float | tuple[float, float]  # 1/A, distance of neighbouring tilts: the detector pixel, times the binning
    scan_step: float | tuple[float, float]  # A; both: one number, or one for rows and one for columns
    energy: float  # eV
    radius: float  # 1/A, of the aperture as it was taken
    rotation: float  # degrees in (-180, 180], detector to scan
    transpose: bool
    binning: int = 1  # detector pixels to a tilt, in each direction
    counted: bool = False  # whether the numbers are electrons that were counted, with Poisson noise

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", wrapped_angle(self.rotation))

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(Ry, Rx)."""
        return self.images.shape[1:]

    @property
    def q_pixels(self) -> tuple[float, float]:
        """Distance in 1/A of neighbouring tilts along rows and columns."""
        return both(self.q_pixel)

    @property
    def q_mean(self) -> float:
        """1/A: side of a square of the same area."""
        return mean_of(self.q_pixels)

    @property
    def scan_steps(self) -> tuple[float, float]:
        """A, along rows and columns."""
        return both(self.scan_step)

    @property
    def step_mean(self) -> float:
        """A: side of a square of the same area."""
        return mean_of(self.scan_steps)

    @property
    def wavelength(self) -> float:
        """A, of the electrons; of light where :func:`ptywidgets.engine.core.units.energy_of_wavelength` gave the
        energy."""
        return wavelength(self.energy)

    def turned(self, rotation: float, transpose: bool | None = None) -> BrightField:
        """The same images read with another rotation (degrees) and transpose."""
        return replace(self, rotation=rotation, transpose=self.transpose if transpose is None else transpose)

    def to_detector(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (2, ...) of the scan frame (positions, spatial frequencies) in the detector frame."""
        return unrotate_vectors(vectors, self.rotation, self.transpose)

    def to_scan(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (2, ...) of the detector frame (tilts, shifts) in the scan frame."""
        return rotate_vectors(vectors, self.rotation, self.transpose)

    def frequencies(self) -> np.ndarray:
        """Spatial frequencies (2, Ry, Rx // 2 + 1) of the scan, 1/A, detector frame, ordered as by rfft2."""
        return self.to_detector(scan_frequencies(self.scan_shape, self.scan_steps))


@counted(binning=1)
def bright_field(
    source: Dataset,
    measurement: Measurement | None = None,
    *,
    radius: float | None = None,
    rotation: float | None = None,
    transpose: bool | None = None,
    binning: int | None = None,
) -> BrightField:
    """Gather the bright field of a dataset.

    Parameters
    ----------
    source : Dataset
        With a complete calibration; read once, in chunks.
    measurement : Measurement, optional
        Where origin, rotation and transpose are taken from; by default they are found (plane of descan, least curl).
    radius : float, optional
        Of the aperture, in detector pixels (square ones of the same area, where they are not); by default
        from the semi-angle of the calibration, else from the disk of
        the vacuum pattern or of the mean pattern.
    rotation, transpose : float (degrees), bool, optional
        Instead of those found.
    binning : int, optional
        Detector pixels summed in each direction; by default as many as bring the stack under a gigabyte,
        and under an eighth of the memory that is free.

    Returns
    -------
    BrightField

        Where scan positions are left out, by the dataset or by the measurement, its images are filled from their
        neighbours: a Fourier transform over the scan must not meet holes.

    Raises
    ------
    CalibrationError
        When the calibration is not complete.
    DataError
        When most patterns are empty, negative or NaN.

    Warns
    -----
    DataWarning
        Without a measurement, when some are: they are left out.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> bright = bright_field(samples.ducky("tiny"))
    >>> bright.images.shape[1:], bright.tilts.shape == (len(bright.images), 2)
    ((12, 12), True)
    """
    calibration = source.calibration
    calibration.check_complete()
    if measurement is None:
        screened = screened_or_warned(source)
        source, com = screened.dataset, screened.com
        origin = fit_origin(com)
        if rotation is None or transpose is None:
            fit = find_rotation(calibration.even(com - origin), transpose, calibration.scan_steps)
            rotation, transpose = fit.rotation if rotation is None else rotation, fit.transpose
    else:
        origin = measurement.origin
        rotation = measurement.rotation if rotation is None else rotation
        transpose = measurement.transpose if transpose is None else transpose
    if origin.shape[1:] != source.scan_shape:
        raise DataError(
            f"the measurement is of a scan of {origin.shape[1:]} but the dataset's is {source.scan_shape}; "
            "prepare this dataset."
        )
    if measurement is not None:
        source = left_out_alike(source, measurement)
    source = repaired(source)
    if radius is None:
        radius = aperture_radius(source)
    if binning is None:
        pixels = math.pi * radius**2 * math.prod(source.scan_shape) * 4
        free = memory.available_memory()
        limit = STACK_LIMIT if free is None else min(STACK_LIMIT, STACK_SHARE * free)
        binning = max(1, math.ceil(math.sqrt(pixels / limit)))
    index, inside = _inside(source, radius, binning)
    images = _on_whole_scan(source, origin, inside, binning)
    tilts = np.stack(np.broadcast_arrays(index[:, None], index[None]), axis=-1)[inside] * calibration.q_pixels
    return BrightField(
        images=images,
        tilts=tilts,
        q_pixel=single(tuple(q * binning for q in calibration.q_pixels)),
        scan_step=single(calibration.scan_steps),
        energy=calibration.require("energy"),
        radius=radius * mean_of(calibration.q_pixels),
        rotation=float(rotation),
        transpose=bool(transpose),
        binning=binning,
        counted=source.dtype.kind in "iu",
    )


def with_more_rows(bright: BrightField, source: Dataset, measurement: Measurement, first: int) -> BrightField:
    """The bright field of a scan that is being written, with the rows that have come since; only these are read.

    Parameters
    ----------
    bright : BrightField
        Of the first rows of the same data.
    source : Dataset
    measurement : Measurement
        Of the rows that are there now. What was gathered about an origin that has been fitted anew since stays.
    first : int
        The first row that is not in it.
    """
    source = repaired(left_out_alike(source, measurement))
    part = measured_rows(source)
    rows = part.scan_shape[0]
    if rows <= first:
        return bright
    inside = _inside(source, bright.radius / mean_of(source.calibration.q_pixels), bright.binning)[1]
    new = part.crop(scan=(first, rows, 0, part.scan_shape[1]))
    more = fill_positions(_gathered(new, measurement.origin[:, first:rows], inside, bright.binning), new.scan_mask)
    return replace(bright, images=_filled_up(np.concatenate([bright.images[:, :first], more], 1), source.scan_shape[0]))


def _inside(source: Dataset, radius: float, binning: int) -> tuple[np.ndarray, np.ndarray]:
    """Places along an axis of the detector, from the origin, and which pixels (side, side) of them are in the disk."""
    tall, wide = source.calibration.relative_pixels
    side = 2 * math.ceil(radius / binning / min(tall, wide)) + 1
    index = (np.arange(side) - (side - 1) / 2) * binning
    return index, np.hypot(index[:, None] * tall, index[None] * wide) <= radius


def _filled_up(images: np.ndarray, rows: int) -> np.ndarray:
    """Images (K, n, Rx) of all rows of a scan: in those that are still to come each is its own mean."""
    missing = rows - images.shape[1]
    if not missing:
        return images
    flat = images.mean((1, 2), dtype=np.float64).astype(images.dtype)[:, None, None]
    return np.concatenate([images, np.broadcast_to(flat, (len(images), missing, images.shape[2]))], 1)


def aperture_radius(source: Dataset) -> float:
    """Radius of the aperture in detector pixels; in square ones of the same area, where they are not."""
    if source.calibration.semiangle:
        return source.calibration.semiangle / source.calibration.angle_mean
    return fit_disk(source.mean_pattern() if source.vacuum is None else Optics.from_dataset(source).vacuum).radius


def _on_whole_scan(source: Dataset, origin: np.ndarray, inside: np.ndarray, binning: int) -> np.ndarray:
    """The same as :func:`_gathered`, without holes; in rows that are still to come each image is its own mean."""
    part = measured_rows(source)
    rows = part.scan_shape[0]
    images = fill_positions(_gathered(part, origin[:, :rows], inside, binning), part.scan_mask)
    return _filled_up(images, source.scan_shape[0])


def _gathered(source: Dataset, origin: np.ndarray, inside: np.ndarray, binning: int) -> np.ndarray:
    """Sums (K, Ry, Rx) of `binning` x `binning` pixels about each pattern's origin, where `inside` (side, side)."""
    side = len(inside)
    starts = origin - (side * binning - 1) / 2
    whole = np.floor(starts).astype(np.int64)
    taps = _lanczos(starts - whole)
    if binning > 1:  # the weights of neighbours that are summed
        taps = np.sum([np.pad(taps, [(0, 0)] * 3 + [(n, binning - 1 - n)]) for n in range(binning)], axis=0)
    first = np.moveaxis(whole - (LOBES - 1), 0, -1)
    taps = np.moveaxis(taps, 0, -2)
    within = inside.argmax(1), side - inside[:, ::-1].argmax(1)
    within[1][~inside.any(1)] = 0
    corners = np.ascontiguousarray(first.reshape(-1, 2))
    weights = np.ascontiguousarray(taps.reshape(len(corners), 2, -1))
    images = np.empty((int(inside.sum()), len(corners)), np.float32)
    for row, block in source.rows():
        patterns, before = block.reshape(-1, *source.detector_shape), row * source.scan_shape[1]

        def gathered(part: slice, patterns: np.ndarray = patterns, before: int = before) -> None:
            few = patterns[part]
            here = slice(before + part.start, before + part.stop)
            values = np.empty((len(few), len(images)), np.float32)
            pattern_kernels().between(few, corners[here], weights[here], binning, within, values)
            images[:, here] = values.T

        shared(gathered, len(patterns), AT_ONCE)
    return images.reshape(-1, *source.scan_shape)


def _lanczos(part: np.ndarray) -> np.ndarray:
    """Weights (..., 2 LOBES) of the neighbours of points that lie `part` of a pixel beyond the middle left one."""
    x = np.arange(1 - LOBES, LOBES + 1) - part[..., None]
    weights = np.sinc(x) * np.sinc(x / LOBES)
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)
