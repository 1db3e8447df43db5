"""What a ParallaxExplorer shows of a bright field: the engine's answers for any aberrations, rotation and transpose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.units import inverse_angstrom_to_mrad
from ptywidgets.engine.data.calibration import single
from ptywidgets.engine.direct import BrightField, DirectImage
from ptywidgets.engine.direct.parallax.fit import predicted_shifts
from ptywidgets.engine.direct.parallax.image import corrected, upsampled
from ptywidgets.engine.direct.parallax.parallax import Parallax, align_with, parallax
from ptywidgets.engine.direct.parallax.tilt_spectra import TiltSpectra
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.reconstruction.result.half_spectra import beside_transfer, spectrum
from ptywidgets.widgets.controls.formatting import quantity_text
from ptywidgets.widgets.controls.tables import escaped_text, table

WEAK = 0.1  # weight of a measured shift, of 1 at best, below which it is not drawn
ARROWS = 90  # about as many shifts are drawn: more are not told apart


@dataclass(frozen=True)
class Guess:
    """What the sliders say."""

    aberrations: Aberrations  # detector frame
    rotation: float  # degrees, detector to scan
    transpose: bool


@dataclass(frozen=True)
class Fine:
    """What is shown when the sliders rest."""

    aligned: np.ndarray  # (Y, X), relative to its mean
    step: float | tuple[float, float]  # A
    phase: DirectImage


class TiltedImages:
    """A bright field with the spectra of its images, kept ready for sliders."""

    def __init__(self, bright: BrightField) -> None:
        self.bright = bright
        self.spectra = TiltSpectra.prepare(bright)
        self._spectrum = spectrum(self.spectra.aligned(np.zeros_like(bright.tilts)), bright.scan_step)
        index = np.rint(bright.tilts / bright.q_pixels).astype(int)
        every = int(np.ceil(np.sqrt(len(index) / ARROWS)))
        self._some = np.flatnonzero((index % every == 0).all(1))

    @property
    def step(self) -> float | tuple[float, float]:
        """Scan step in A."""
        return self.bright.scan_step

    @property
    def angle(self) -> float:
        """Radius of the aperture in mrad."""
        return inverse_angstrom_to_mrad(self.bright.radius, self.bright.energy)

    def shifts(self, guess: Guess) -> np.ndarray:
        """(K, 2) A, scan frame: what the aberrations predict."""
        wavelength = self.bright.wavelength
        return predicted_shifts(self.bright.tilts, guess.aberrations, guess.rotation, guess.transpose, wavelength)

    def tilts(self, guess: Guess) -> np.ndarray:
        """(K, 2) mrad, scan frame."""
        turned = self.bright.turned(guess.rotation, guess.transpose)
        return turned.to_scan(self.bright.tilts.T).T * inverse_angstrom_to_mrad(1.0, self.bright.energy)

    def arrows(self, guess: Guess, fit: Parallax | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Tilts, measured and predicted shifts of some of the images, evenly spread."""
        some = self._some
        if fit is None:
            measured = None
        else:
            measured = np.where(fit.weights[some, None] > WEAK, fit.shifts[some], np.nan)
        return self.tilts(guess)[some], measured, self.shifts(guess)[some]

    def aligned(self, guess: Guess) -> np.ndarray:
        """(Ry, Rx): sum of the images shifted by what is predicted, relative to its mean."""
        return align_with(self.spectra, guess.aberrations, guess.rotation, guess.transpose)

    def transfer(self, guess: Guess) -> tuple[np.ndarray, float | tuple[float, float]]:
        """Half of the last fine image's transform beside half of the contrast transfer, and its pixel in 1/A."""
        amplitude, pixel = self._spectrum
        turned = self.bright.turned(guess.rotation, guess.transpose)
        return beside_transfer(amplitude, pixel, turned, guess.aberrations), pixel

    def finely(self, guess: Guess) -> Fine:
        """What takes longer: the sum on a finer grid, and the phase with its contrast transfer corrected."""
        result = self._read_as(guess)
        image, sampling = upsampled(result)
        self._spectrum = spectrum(image, sampling)
        return Fine(image, single(sampling), corrected(result))

    def fit(self, guess: Guess, order: int) -> Parallax:
        """Rotation and aberrations that align the images best; of two 180 degrees apart that nearer to the guess."""
        return parallax(self.bright.turned(guess.rotation, guess.transpose), order=order)

    def _read_as(self, guess: Guess) -> Parallax:
        return Parallax(
            bright=self.bright.turned(guess.rotation, guess.transpose),
            predicted=self.shifts(guess),
            aberrations=guess.aberrations,
            rotation=guess.rotation,
            transpose=guess.transpose,
            uncertainty={},
            error=np.nan,
            coherence=np.nan,
            message="",
        )


def fit_table(fit: Parallax) -> str:
    """Rotation and aberrations with their uncertainties, in HTML."""
    values = fit.aberrations.cartesian
    sigma = fit.uncertainty
    rows = [("rotation", fit.rotation, sigma.get("rotation"), "degrees"), ("transposed", fit.transpose, None, "")]
    for name in (n for n in sigma if n in values):
        label, sign = ("defocus", -1) if name == "C10" else (name, 1)
        rows.append((label, sign * values[name], sigma[name], "A"))
    return table(
        [(escaped_text(name), escaped_text(quantity_text(value, error, unit))) for name, value, error, unit in rows],
        "pty-fit",
    )


def fit_text(fit: Parallax) -> tuple[str, str]:
    """What matters most of a fit, with a doubt where there is one; and "good" or "warn"."""
    turned = quantity_text(fit.rotation, fit.uncertainty.get("rotation"), "degrees")
    defocus = quantity_text(fit.aberrations["defocus"], fit.uncertainty.get("C10"), "A")
    doubt = fit.message.partition(". ")[2]
    text = f"The images align best with a rotation of {turned} and a defocus of {defocus}. {doubt}"
    return text.strip(), "warn" if doubt else "good"


__all__ = ["Guess", "TiltedImages", "fit_table", "fit_text"]
