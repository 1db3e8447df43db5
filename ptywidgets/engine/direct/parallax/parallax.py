"""Parallax, or tilt-corrected bright field: tilted images aligned and summed, and what their shifts tell of the lens.

By reciprocity each detector pixel in the aperture sees the specimen under its own tilt k, and with a defocused probe
its image is displaced by -grad chi(k) / 2 pi. Put back and summed, the images make one bright-field image with the
contrast 2 sin chi and nearly all of the dose; and the shifts, a map of grad chi, are the aberrations and the
orientation of the detector. Shifts are those that align: image(R - shift) lies where it belongs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.bright_field import BrightField, bright_field
from ptywidgets.engine.direct.parallax.align import Alignment
from ptywidgets.engine.direct.parallax.fit import ShiftFit, fit_shifts, predicted_shifts
from ptywidgets.engine.direct.parallax.search import RoundFit, clear_coherence, coarse_search, merged
from ptywidgets.engine.direct.parallax.tilt_spectra import TiltSpectra
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess.enough import require_pixels, require_scan

STRONG = 0.2  # relative contrast of the aligned image from which on the specimen is no weak object


@dataclass(frozen=True)
class Parallax:
    """The aligned bright field, and the optics that its shifts tell of."""

    bright: BrightField = field(repr=False)  # turned as was found
    predicted: np.ndarray = field(repr=False)  # (K, 2) A, scan frame, of the aberrations
    aberrations: Aberrations  # detector frame
    rotation: float  # degrees, detector to scan
    transpose: bool
    uncertainty: dict[str, float]  # one sigma: A for Cartesian coefficients, degrees for "rotation"
    error: float  # share of the images' variance that the common image does not explain, noise included
    coherence: float  # how much the images have in common, 1 being nothing
    message: str
    free: bool = False  # `aligned` is by the measured shifts

    @cached_property
    def spectra(self) -> TiltSpectra:
        """Of all images; transformed when first asked for, like what needs them."""
        return TiltSpectra.prepare(self.bright, margin=_margin(self.bright, self.predicted))

    @property
    def shifts(self) -> np.ndarray:
        """(K, 2) A, scan frame, measured one by one."""
        return self._measured[0]

    @property
    def weights(self) -> np.ndarray:
        """(K,) how well each shift is measured, 1 at best."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        return self.spectra.measured(self.predicted)

    @cached_property
    def aligned(self) -> np.ndarray:
        """The sum of the shifted images, relative to its mean, (Ry, Rx) float32."""
        return self.spectra.aligned(self.shifts if self.free else self.predicted)

    @property
    def unaligned(self) -> np.ndarray:
        """The plain sum of the images, relative to its mean, (Ry, Rx)."""
        return self.spectra.aligned(np.zeros_like(self.predicted))

    def align_with(
        self, aberrations: Mapping[str, float], rotation: float | None = None, transpose: bool | None = None
    ) -> np.ndarray:
        """The aligned image (Ry, Rx) for other aberrations and another orientation: see :func:`align_with`."""
        return align_with(
            self.spectra,
            aberrations,
            self.rotation if rotation is None else rotation,
            self.transpose if transpose is None else transpose,
        )


@counted(order=1, iterations=1, most=1)
def parallax(
    source: BrightField | Dataset,
    *,
    order: int = 2,
    rotation: float | None = None,
    transpose: bool | None = None,
    aberrations: Mapping[str, float] | None = None,
    free: bool = False,
    weak: bool | None = None,
    iterations: int = 6,
    most: int = 300,
) -> Parallax:
    """Align the tilted bright-field images and fit aberrations and orientation to their shifts.

    Parameters
    ----------
    source : BrightField or Dataset
        Of a dataset the bright field is gathered first. Of the two answers, 180 degrees apart and with opposite
        aberrations, the one nearer to the bright field's rotation is given.
    order : int
        Highest n of the coefficients C_nm that are fitted: 1 defocus and astigmatism, 2 coma and threefold, to 5.
    rotation, transpose : float (degrees), bool, optional
        Where they are known; otherwise found.
    aberrations : mapping, optional
        Where to start from; otherwise defocus and orientation are searched for.
    free : bool
        Align with the shifts as they were measured, and not with those of the fitted aberrations.
    weak : bool, optional
        Whether the specimen scatters little, which decides what spatial frequencies the fit may trust: see
        :func:`ptywidgets.engine.direct.parallax.align.Alignment`. By default told from the contrast.
    iterations : int
        Of the refinement, for each order.
    most : int
        Tilts in the refinement; where there are more, neighbours are merged for it.

    Returns
    -------
    Parallax

    Examples
    --------
    >>> from ptywidgets import samples
    >>> result = parallax(samples.ducky("small"), order=1)
    >>> abs(result.aberrations["defocus"] / samples.ducky_defocus("small") - 1) < 0.04, abs(result.rotation + 15) < 0.3
    (True, True)
    """
    bright = bright_field(source, rotation=rotation, transpose=transpose) if isinstance(source, Dataset) else source
    require_scan(bright.scan_shape, "shifts, rotation and aberrations")
    require_pixels(int((bright.images.mean((1, 2)) > 0).sum()), "shifts, rotation and aberrations")
    if aberrations is None:
        start = coarse_search(bright, rotation, transpose)
        fit = ShiftFit(Aberrations(defocus=start.defocus), start.rotation, start.transpose, {}, math.inf)
    else:
        turn = bright.rotation if rotation is None else rotation
        flip = bright.transpose if transpose is None else transpose
        start = RoundFit(0.0, turn, flip, math.inf)
        fit = ShiftFit(Aberrations(**aberrations), turn, flip, {}, math.inf)
    bright = bright.turned(fit.rotation, fit.transpose)
    fit, error = _refined(merged(bright, most), fit, order, rotation, iterations, weak)
    bright = bright.turned(fit.rotation, fit.transpose)
    wanted = predicted_shifts(bright.tilts, fit.aberrations, fit.rotation, fit.transpose, bright.wavelength)
    return Parallax(
        bright=bright,
        predicted=wanted,
        aberrations=fit.aberrations,
        rotation=fit.rotation,
        transpose=fit.transpose,
        uncertainty=fit.uncertainty,
        error=error,
        coherence=start.coherence,
        message=_in_words(fit, start.coherence > clear_coherence(len(bright.images))),
        free=free,
    )


def align_with(
    bright: BrightField | TiltSpectra,
    aberrations: Mapping[str, float],
    rotation: float | None = None,
    transpose: bool | None = None,
) -> np.ndarray:
    """The bright-field image (Ry, Rx) aligned with given aberrations, relative to its mean; fast enough for a slider.

    Parameters
    ----------
    bright : BrightField or TiltSpectra
        ``TiltSpectra.prepare(bright)`` once and many images from it, or one image from the bright field.
    aberrations : mapping
        Detector frame.
    rotation, transpose : float (degrees), bool, optional
        By default those of the bright field.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> spectra = TiltSpectra.prepare(bright_field(samples.ducky("tiny")))
    >>> sharp, blurred = (align_with(spectra, Aberrations(defocus=d), -15) for d in (250, 0))
    >>> bool(sharp.std() > blurred.std())
    True
    """
    spectra = bright if isinstance(bright, TiltSpectra) else TiltSpectra.prepare(bright)
    turn = spectra.rotation if rotation is None else rotation
    flip = spectra.transpose if transpose is None else transpose
    return spectra.aligned(predicted_shifts(spectra.tilts, aberrations, turn, flip, spectra.wavelength))


def _refined(
    bright: BrightField,
    fit: ShiftFit,
    order: int,
    rotation: float | None,
    iterations: int,
    weak: bool | None,
) -> tuple[ShiftFit, float]:
    """Gauss-Newton in the aberrations, order after order; the fit, and the share of variance left at its last step."""
    shifts = predicted_shifts(bright.tilts, fit.aberrations, fit.rotation, fit.transpose, bright.wavelength)
    spectra = TiltSpectra.prepare(bright, margin=_margin(bright, shifts, 1.3))
    if weak is None:
        weak = float(spectra.aligned(shifts).std()) < STRONG
    alignment = Alignment(bright, spectra, weak)
    error, before = 1.0, shifts + math.inf
    for n in range(1, order + 1):
        for _ in range(iterations if n == order else min(iterations, 3)):
            step = alignment.step(bright.turned(fit.rotation, fit.transpose), shifts)
            # Tilts at the edge, few of whose frequencies have both beams in the aperture, tell next to nothing.
            weights = step.stiffness + 1e-6 * float(np.trace(step.stiffness.mean(0))) * np.eye(2)
            moved = shifts + np.linalg.solve(weights, step.pull[..., None])[..., 0]
            fit = fit_shifts(
                bright.tilts,
                moved,
                bright.wavelength,
                order=n,
                weights=weights,
                rotation=rotation,
                transpose=fit.transpose,
                near=fit.rotation,
                recursive=False,
            )
            before, error = shifts, step.residual
            shifts = predicted_shifts(bright.tilts, fit.aberrations, fit.rotation, fit.transpose, bright.wavelength)
            if np.abs(shifts - before).max() < 0.02 * bright.step_mean:
                break
    return fit, error


def _margin(bright: BrightField, shifts: np.ndarray, reserve: float = 1.0) -> int:
    """Scan pixels by which the frame must be larger than the scan."""
    return min(max(4, math.ceil(reserve * (np.abs(shifts) / bright.scan_steps).max()) + 1), max(bright.scan_shape))


def _in_words(fit: ShiftFit, clear: bool) -> str:
    """What was found, in a sentence or two."""
    values = fit.aberrations.cartesian
    told = [
        f"{name} {values[name]:.4g} A (+- {sigma:.2g})" for name, sigma in fit.uncertainty.items() if name in values
    ]
    turned = f"rotation {fit.rotation:.2f} degrees"
    if "rotation" in fit.uncertainty:
        turned += f" (+- {fit.uncertainty['rotation']:.2g})"
    words = f"{turned}{', transposed' if fit.transpose else ''}; " + ", ".join(told) + "."
    if not clear:
        words += (
            " The images have little in common, so this may be chance: give the defocus or the rotation,"
            " or use a larger defocus."
        )
    if fit.uncertainty.get("rotation", 0.0) > 5:
        words += " Without defocus there is no telling the rotation from the shifts."
    return words
