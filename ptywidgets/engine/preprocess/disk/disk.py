"""The bright-field disk, measured: centre, radius, edge and ellipse with their uncertainties; what they calibrate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erfc

from ptywidgets.engine.core.errors import CalibrationError, DataError, DiskNotFound
from ptywidgets.engine.data.calibration import Calibration, in_words, relative, single
from ptywidgets.engine.data.detectors import Disk, disk_semiangle
from ptywidgets.engine.preprocess.disk.disk_edge import binned, binning_for, distance, first_guess, fit_edge

OF_EDGE = (0.03, 0.1)  # of the edge's width: what a soft edge leaves unsure of the radius, in vacuum and of a specimen
ROUND = 0.02  # the detector counts as free of distortion where the axes differ by less
_TEN_TO_NINETY = 2.5631  # width from 90 to 10 % of a normal edge, in its sigmas


@dataclass(frozen=True)
class DiskFit:
    """The bright-field disk in detector pixels, each number with one sigma of uncertainty."""

    centre: tuple[float, float]  # px, row and column
    radius: float  # px, at half height; geometric mean of the axes
    edge_width: float  # px, from 90 to 10 % of the height
    ellipticity: float  # longer axis over shorter axis, 1 or more
    ellipse_angle: float  # degrees of the longer axis, from the rows' axis (down) to the columns' (right), in (-90, 90]
    centre_uncertainty: tuple[float, float]  # px
    radius_uncertainty: float  # px
    edge_uncertainty: float  # px
    ellipticity_uncertainty: float
    ellipse_angle_uncertainty: float  # degrees
    contrast: float  # step at the edge over the height of the inside: 1 where all is dark outside
    cut: float = 0.0  # share of the edge that lies beyond the detector
    pixels: tuple[float, float] = (1.0, 1.0)  # height and width of a detector pixel, over their geometric mean
    message: str = ""

    @property
    def disk(self) -> Disk:
        """The same as the plain disk that virtual detectors are fitted to."""
        return Disk(self.centre, self.radius, self.radius + self.edge_width)

    @property
    def is_smeared(self) -> bool:
        """Whether the edge is so soft that it will not be that of an aperture."""
        return self.edge_width > 0.35 * self.radius

    @property
    def distortion(self) -> tuple[float, float]:
        """Ellipticity and angle (degrees) as angles of scattering have them: pixels that are not square make an ellipse
        of a round disk, too."""
        if self.pixels[0] == self.pixels[1]:
            return self.ellipticity, self.ellipse_angle
        angle = math.radians(self.ellipse_angle)
        along = np.array([math.cos(angle), math.sin(angle)])
        shape = np.eye(2) / self.ellipticity + (self.ellipticity - 1 / self.ellipticity) * np.outer(along, along)
        sizes, axes = np.linalg.eigh(np.diag(self.pixels) @ shape @ np.diag(self.pixels))
        turned = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
        return float(sizes[1]), 90 - (90 - turned) % 180

    @property
    def is_round(self) -> bool:
        """Whether no distortion is seen: the axes differ by less than 2 %, or than four sigmas."""
        return self.distortion[0] - 1 < max(ROUND, 4 * self.ellipticity_uncertainty)

    def profile(self, y: np.ndarray, x: np.ndarray, width: float | None = None) -> np.ndarray:
        """The disk at rows `y` and columns `x` (which broadcast): 1 inside, 0 outside, `width` px from 90 to 10 %."""
        stretch, angle = math.log(self.ellipticity) / 2, math.radians(2 * self.ellipse_angle)
        rho = distance(y, x, (*self.centre, -stretch * math.cos(angle), -stretch * math.sin(angle)))
        sigma = max(self.edge_width if width is None else width, 1e-3) / _TEN_TO_NINETY
        return 0.5 * erfc((rho - self.radius) / (math.sqrt(2) * sigma))


def measure_disk(pattern: np.ndarray, pixels: tuple[float, float] = (1.0, 1.0)) -> DiskFit:
    """Measure the bright-field disk of a mean or vacuum pattern.

    Parameters
    ----------
    pattern : ndarray (Qy, Qx)
        Counts or intensities. Where descan moves the disk, the mean of patterns brought to one origin
        (:func:`ptywidgets.engine.preprocess.origin.descan.centred_mean`) has a sharp edge, the plain mean has not.
    pixels : (float, float)
        Height and width of a detector pixel, of which the ratio matters: where they differ, a round disk is an ellipse.

    Returns
    -------
    DiskFit

    Raises
    ------
    DataError
        When the pattern is empty or not finite; DiskNotFound when it has no disk.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> pattern = 100 / (1 + np.exp(2 * (np.hypot(y - 30.3, x - 33.6) - 12.4)))
    >>> disk = measure_disk(pattern)
    >>> [round(c, 1) for c in disk.centre], round(disk.radius, 1), disk.is_round
    ([30.3, 33.6], 12.4, True)
    """
    pattern = _checked(pattern)
    start = first_guess(pattern)
    binning = binning_for(pattern, start)
    pattern = binned(pattern, binning)
    offset = (binning - 1) / 2
    middle = [(c - offset) / binning for c in start.centre]
    first = start.radius / binning
    # First round and with a wide edge, which is drawn from afar; then as it is.
    fit = fit_edge(pattern, np.array([first, math.log(max(1.0, 0.1 * first)), *middle, 0, 0]), rounds=8, free=4)
    fit = fit_edge(pattern, fit.values, rounds=25, free=6)
    radius, log_sigma, cy, cx, a, b = (float(value) for value in fit.values)
    if not (0.5 < radius < max(pattern.shape) and fit.contrast * fit.clear > 1.5):
        raise DiskNotFound(
            "no bright-field disk is seen in the pattern: expected a round region brighter than what surrounds it; "
            "give the mean of the data or a vacuum pattern in which the whole disk is on the detector."
        )
    errors = [float(error) for error in fit.errors]
    width, stretch = binning * math.exp(log_sigma) * _TEN_TO_NINETY, math.hypot(a, b)
    found = DiskFit(
        centre=(binning * cy + offset, binning * cx + offset),
        radius=binning * radius,
        edge_width=width,
        ellipticity=math.exp(2 * stretch),
        ellipse_angle=0.5 * math.degrees(math.atan2(-b, -a)) if stretch else 0.0,
        centre_uncertainty=(binning * errors[2], binning * errors[3]),
        radius_uncertainty=binning * errors[0],
        edge_uncertainty=width * errors[1],
        ellipticity_uncertainty=2 * math.exp(2 * stretch) * max(errors[4:]),
        ellipse_angle_uncertainty=min(90.0, math.degrees(0.5 * max(errors[4:]) / max(stretch, 1e-12))),
        contrast=fit.contrast,
        cut=fit.cut,
        pixels=relative(pixels),
    )
    return replace(found, message=_in_words(found))


@dataclass(frozen=True)
class DetectorCalibration:
    """What the disk says about the detector."""

    energy: float  # eV
    q_pixel: float | tuple[float, float]  # 1/A
    semiangle: float  # mrad
    relative_uncertainty: float  # of what was found, one sigma
    is_round: bool
    message: str

    @property
    def changes(self) -> dict[str, float | tuple[float, float]]:
        """For ``dataset.with_calibration(**found.changes)``."""
        return {"energy": self.energy, "q_pixel": self.q_pixel, "semiangle": self.semiangle}


def calibrate_detector(
    disk: DiskFit,
    energy: float,
    *,
    semiangle: float | None = None,
    q_pixel: float | tuple[float, float] | None = None,
    rolloff: float = 0.0,
    vacuum: bool = False,
) -> DetectorCalibration:
    """The width of a detector pixel from the disk and a known semi-angle, or the semi-angle from a known pixel.

    Parameters
    ----------
    disk : DiskFit
        From :func:`measure_disk`.
    energy : float
        eV.
    semiangle : float, optional
        mrad, where it is known; then `q_pixel` is found.
    q_pixel : float or (float, float), optional
        1/A, where it is known; then the semi-angle is found.
    rolloff : float
        mrad: width of the soft edge of the aperture as :class:`ptywidgets.engine.Optics` has it, whose semi-angle is
        where half of the amplitude is left. With 0 it is where half of the intensity is left, as of a sharp aperture.
    vacuum : bool
        Whether the disk is that of a vacuum pattern. A specimen scatters across the edge, which moves it.

    Returns
    -------
    DetectorCalibration
        Its uncertainty is that of the fit and, as the form of the edge is not known better, 10 % of the edge's width
        over the contrast, or 3 % with `vacuum`: errors over 70 simulated sets, of crystals, particles, films and thick
        specimens at 5e2 to 1e6 e/A^2, lay within 2.3 of this.

    Raises
    ------
    CalibrationError
        Unless just one of `semiangle` and `q_pixel` is given.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> disk = measure_disk(1 / (1 + np.exp(3 * (np.hypot(y - 32, x - 32) - 19.16))))
    >>> found = calibrate_detector(disk, 80e3, semiangle=20.0)
    >>> round(found.q_pixel, 4), Calibration().replace(**found.changes).semiangle
    (0.025, 20.0)
    """
    if (semiangle is None) == (q_pixel is None):
        raise CalibrationError(
            "calibrate_detector needs the semi-angle to find the detector pixel, or the pixel to find the semi-angle: "
            "pass either semiangle=20.0 (mrad) or q_pixel=0.025 (1/A)."
        )
    contrast = min(max(disk.contrast, 0.1), 1.0)
    share = math.hypot(disk.radius_uncertainty, OF_EDGE[not vacuum] * disk.edge_width / contrast) / disk.radius
    if q_pixel is None:  # of pixels whose ratio is that with which the disk was measured
        unit = Calibration(energy=energy, q_pixel=1.0, semiangle=semiangle)  # all angles grow with the pixel
        semiangle = unit.require("semiangle")
        if rolloff > 2 * semiangle:
            raise CalibrationError(
                f"rolloff is {rolloff:g} mrad; expected an edge at most twice as wide as the semi-angle, "
                f"{semiangle:g} mrad."
            )
        half_height = semiangle - disk_semiangle(0.0, unit, rolloff)
        size = half_height / disk_semiangle(disk.radius, unit)
        q_pixel = single((size * disk.pixels[0], size * disk.pixels[1]))
        words = (
            f"A detector pixel is {in_words(q_pixel, 5)} +- {share * size:.1g} 1/A, for a semi-angle of "
            f"{semiangle:g} mrad"
        )
    else:
        known = Calibration(energy=energy, q_pixel=q_pixel)
        semiangle = disk_semiangle(disk.radius, known, rolloff)
        words = (
            f"The semi-angle is {semiangle:.4g} +- {share * semiangle:.1g} mrad, as a pixel is {in_words(q_pixel)} 1/A"
        )
    words += f" and the disk has a radius of {disk.radius:.2f} px."
    if not disk.is_round:
        words += f" {_ellipse_in_words(disk)}"
    found = Calibration(energy=energy, q_pixel=q_pixel, semiangle=semiangle)
    return DetectorCalibration(
        energy=found.require("energy"),
        q_pixel=single(found.q_pixels),
        semiangle=found.require("semiangle"),
        relative_uncertainty=share,
        is_round=disk.is_round,
        message=words,
    )


def _checked(pattern: np.ndarray) -> np.ndarray:
    pattern = np.asarray(pattern, float)
    if pattern.ndim != 2 or min(pattern.shape) < 6:
        raise DataError(f"the pattern is {pattern.shape}; expected one of (Qy, Qx), at least 6 x 6 pixels.")
    missing = int((~np.isfinite(pattern)).sum())
    if missing:
        raise DataError(f"the pattern has {missing} NaN or infinite values; replace them by 0.")
    if np.ptp(pattern) == 0:
        raise DataError("the pattern is the same everywhere; expected a bright-field disk. Was the beam on?")
    return pattern


def _in_words(disk: DiskFit) -> str:
    words = (
        f"The disk has a radius of {disk.radius:.2f} +- {disk.radius_uncertainty:.1g} px about ({disk.centre[0]:.2f}, "
        f"{disk.centre[1]:.2f}) and an edge of {disk.edge_width:.1f} px."
    )
    if disk.is_smeared:
        words += " The edge is soft: descan may smear it; measure the mean of patterns brought to one origin."
    elif not disk.is_round:
        words += f" {_ellipse_in_words(disk)}"
    if disk.cut > 0.02:
        words += f" {100 * disk.cut:.0f} % of the edge lies beyond the detector."
    return words


def _ellipse_in_words(disk: DiskFit) -> str:
    ellipticity, angle = disk.distortion
    return (
        f"It is an ellipse, {100 * (ellipticity - 1):.1f} % longer at {angle:.0f} degrees from the "
        "rows' axis, so the scale of angles depends on the direction: correct the projector lens, or expect an object "
        "that is stretched as much."
    )
