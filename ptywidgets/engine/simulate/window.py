"""The window in which one probe travels, and how its far field falls on the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import CalibrationError, ParameterError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import chi
from ptywidgets.engine.optics.probe import Optics, aperture_amplitude


@dataclass(frozen=True)
class Window:
    """A square around a probe position, finely sampled, and the detector behind it.

    The square is binning / q_pixel wide, so that `binning` x `binning` spatial frequencies fall on one detector pixel.
    With an even binning they are moved by half a frequency, which keeps zero in the middle of the central pixel.

    Parameters
    ----------
    detector : (int, int)
        Pixels of the detector; pixel N // 2 lies at zero.
    q_pixel : float
        Width of a detector pixel in 1/A.
    pixels : int
        Samples along a side of the square. Waves are band-limited to 2/3 of what these can carry.
    binning : int
        Spatial frequencies on a side of a detector pixel: the larger, the wider the square and the less a probe meets
        its own periodic images.

    Examples
    --------
    >>> window = Window((96, 96), 0.0375, 192, binning=1)
    >>> round(window.extent, 2), round(window.sampling, 4), round(window.max_frequency, 2)
    (26.67, 0.1389, 2.4)
    """

    detector: tuple[int, int]
    q_pixel: float
    pixels: int
    binning: int = 1

    def __post_init__(self) -> None:
        if not (self.q_pixel > 0 and self.binning >= 1 and min(self.detector) >= 1):
            raise ParameterError(
                f"detector {self.detector}, q_pixel {self.q_pixel} binning {self.binning}; expected positive numbers."
            )
        if max(self.detector) * self.binning > self.pixels:
            raise ParameterError(
                f"{self.pixels} samples carry {self.pixels // self.binning} detector pixels and the detector has "
                f"{max(self.detector)}; pass pixels={max(self.detector) * self.binning * 3 // 2} or more."
            )

    @property
    def extent(self) -> float:
        """Side of the square in A."""
        return self.binning / self.q_pixel

    @property
    def sampling(self) -> float:
        """Distance of samples in A."""
        return self.extent / self.pixels

    @property
    def max_frequency(self) -> float:
        """Highest spatial frequency of a wave in 1/A: two thirds of the sampling's, against aliasing."""
        return 1 / (3 * self.sampling)

    @property
    def frequencies(self) -> np.ndarray:
        """Spatial frequencies of a side (pixels,) in 1/A, in FFT order, moved by half a step if `binning` is even."""
        steps = np.fft.fftfreq(self.pixels, 1 / self.pixels) + (0.0 if self.binning % 2 else 0.5)
        return steps / self.extent

    @property
    def radii(self) -> np.ndarray:
        """|k| of every sample of the far field (pixels, pixels) in 1/A, in FFT order."""
        k = self.frequencies
        return np.hypot(k[:, None], k[None])

    def probe(self, optics: Optics, energy: float) -> np.ndarray:
        """The probe's far field (pixels, pixels) complex, probe at the origin, sum of squares 1.

        Raises
        ------
        CalibrationError
            Without a semi-angle: measured vacuum patterns are too coarse to simulate from.
        ParameterError
            When the aperture does not fit into the band.
        """
        if optics.semiangle is None or optics.vacuum is not None:
            raise CalibrationError(
                "simulations need an ideal aperture: Optics(semiangle=20), without a vacuum pattern."
            )
        if (optics.semiangle + optics.rolloff / 2) * 1e-3 / wavelength(energy) > self.max_frequency:
            raise ParameterError(
                f"the aperture of {optics.semiangle:g} mrad reaches beyond the {self.max_angle(energy):.1f} mrad that "
                "are simulated; pass more pixels."
            )
        k = self.frequencies
        amplitude = aperture_amplitude(optics.semiangle, optics.rolloff, 1e3 * wavelength(energy) * self.radii)
        field = amplitude * np.exp(-1j * chi(optics.aberrations, k[:, None], k[None], energy))
        return field / np.sqrt((amplitude**2).sum())

    def max_angle(self, energy: float) -> float:
        """`max_frequency` as a scattering angle in mrad."""
        return 1e3 * wavelength(energy) * self.max_frequency

    def annuli(self, angles: tuple[tuple[float, float], ...], energy: float) -> np.ndarray:
        """Masks (A, pixels * pixels) float32 of rings of `angles` (inner, outer) in mrad."""
        alpha = 1e3 * wavelength(energy) * self.radii.ravel()
        for inner, outer in angles:
            if not 0 <= inner < outer <= self.max_angle(energy) * (1 + 1e-9):
                raise ParameterError(
                    f"the annulus is {inner:g} to {outer:g} mrad; expected 0 <= inner < outer <= "
                    f"{self.max_angle(energy):.1f} mrad, which more pixels would raise."
                )
        masks = [(alpha >= inner) & (alpha < outer) for inner, outer in angles]
        return np.array(masks, np.float32).reshape(len(masks), alpha.size)

    def detected(self, intensity: np.ndarray) -> np.ndarray:
        """Far-field intensity (B, pixels, pixels) in FFT order on the detector: (B, Ny, Nx), centred."""
        b = self.binning
        rows, columns = (
            (np.arange(size * b) - size // 2 * b - b // 2) % self.pixels for size in self.detector
        )  # which frequencies fall on which pixel, those of one pixel next to each other
        picked = intensity.take(rows, axis=1).take(columns, axis=2)
        if b == 1:
            return picked
        return picked.reshape(len(picked), self.detector[0], b, self.detector[1], b).sum((2, 4))
