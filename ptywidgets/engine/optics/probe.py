"""The probe: from a measured vacuum pattern or an ideal aperture, and the aberrations of the lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.aberrations import Aberrations, chi
from ptywidgets.engine.optics.vacuum import clean_vacuum


@dataclass(frozen=True, eq=False)
class Optics(Params):
    """What forms the probe.

    Parameters
    ----------
    semiangle, rolloff
        Radius of an ideal aperture, in the middle of its soft edge where half of the amplitude is left, and the width
        of that edge, in mrad; see :func:`aperture_amplitude`.
    vacuum : ndarray (Ny, Nx), optional
        Measured pattern without specimen, not corner-centred; replaces the ideal aperture.
    aberrations : Aberrations
        In the detector frame. Where none are given the defocus is not known, ``Aberrations(defocus=None)``: it counts
        as 0 where a probe is drawn, and a :class:`~ptywidgets.Reconstruction` finds it before it begins.

    Raises
    ------
    DataError
        When the vacuum pattern is not a 2-D array of finite numbers with counts in it.

    Examples
    --------
    >>> Optics(semiangle=20, aberrations=Aberrations(defocus=500)).aberrations["defocus"]
    500.0
    """

    semiangle: float | None = param(None, unit="mrad", low=0.01, high=500, step=0.1, doc="Convergence semi-angle.")
    rolloff: float = param(2.0, unit="mrad", low=0, high=50, step=0.1, doc="Width of the aperture's soft edge.")
    vacuum: Any = None
    aberrations: Aberrations = field(default_factory=partial(Aberrations, defocus=None))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.aberrations, Aberrations):
            if not (isinstance(self.aberrations, Mapping) and all(isinstance(name, str) for name in self.aberrations)):
                raise ParameterError(
                    f"aberrations is {self.aberrations!r:.80}; expected coefficients by name, in A, such as "
                    "Aberrations(defocus=500, C12=20)."
                )
            object.__setattr__(self, "aberrations", Aberrations(**dict(self.aberrations)))
        if self.vacuum is not None:
            object.__setattr__(self, "vacuum", _checked_vacuum(self.vacuum))

    @classmethod
    def from_dataset(cls, dataset: Dataset, **changes: Any) -> Optics:
        """The optics that a dataset brings: its vacuum pattern if there is one, and its semi-angle.

        Pixels of the vacuum pattern that the dataset's mask leaves out, that were not measured, or that are hot or
        dead, are repaired from their neighbours: :func:`ptywidgets.engine.optics.vacuum.clean_vacuum`.
        """
        vacuum = changes.get("vacuum", dataset.vacuum)
        if vacuum is not None and np.shape(vacuum) == dataset.detector_shape:
            changes["vacuum"] = clean_vacuum(vacuum, dataset.mask, dataset.calibration.relative_pixels).pattern
        return cls(**{"vacuum": vacuum, "semiangle": dataset.calibration.semiangle, **changes})


def _checked_vacuum(vacuum: Any) -> np.ndarray:
    pattern = np.asarray(vacuum)
    if pattern.ndim != 2 or pattern.dtype.kind not in "buif":
        raise DataError(
            f"the vacuum pattern is an array of shape {pattern.shape}, type {pattern.dtype}; "
            "expected a 2-D array of counts."
        )
    pattern = pattern.astype(np.float64)
    if not np.isfinite(pattern).all():
        raise DataError("the vacuum pattern has NaN or infinite pixels; replace them, for instance by 0.")
    if pattern.sum() <= 0:
        raise DataError("the vacuum pattern has no counts; expected an image of the bright-field disk.")
    return pattern


def aperture_amplitude(semiangle: float, rolloff: float, alpha: np.ndarray) -> np.ndarray:
    """Amplitude of a soft round aperture at scattering angles `alpha` (mrad).

    1 inside `semiangle - rolloff / 2`, 0 beyond `semiangle + rolloff / 2`, half a cosine between: 1/2 at `semiangle`,
    whatever the width of the edge.

    Examples
    --------
    >>> aperture_amplitude(20, 2, np.array([19, 19.5, 20, 20.5, 21])).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464, 0.    ])
    """
    if rolloff <= 0:
        return (alpha < semiangle).astype(float)
    inner = semiangle - rolloff / 2
    return 0.5 * (1 + np.cos(np.pi * np.clip((alpha - inner) / rolloff, 0, 1)))


def frequencies(shape: tuple[int, int], sampling: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Spatial frequencies (1/A) of the rows (Ny, 1) and columns (1, Nx), in FFT order."""
    return np.fft.fftfreq(shape[0], sampling[0])[:, None], np.fft.fftfreq(shape[1], sampling[1])[None, :]


def make_aperture(optics: Optics, shape: tuple[int, int], sampling: tuple[float, float], energy: float) -> np.ndarray:
    """Amplitude in the aperture plane (Ny, Nx), corner-centred, with the sum of squares 1."""
    if optics.vacuum is not None:
        if optics.vacuum.shape != tuple(shape):
            raise DataError(
                f"the vacuum pattern is {optics.vacuum.shape} pixels but the patterns are {tuple(shape)}; "
                "crop or bin them alike."
            )
        amplitude = np.sqrt(centred_to_corner(optics.vacuum))
    elif optics.semiangle is not None:
        ky, kx = frequencies(shape, sampling)
        amplitude = aperture_amplitude(optics.semiangle, optics.rolloff, 1e3 * wavelength(energy) * np.hypot(ky, kx))
    else:
        raise AskingError("no aperture is known; {set}.", "semiangle", "vacuum", joined="or")
    power = float((amplitude**2).sum())
    if power <= 0:
        raise ParameterError(
            f"the aperture of {optics.semiangle} mrad is smaller than a detector pixel; check semiangle and q_pixel."
        )
    return amplitude / np.sqrt(power)


def centred_to_corner(pattern: np.ndarray) -> np.ndarray:
    """Move a pattern's centre of mass to pixel [0, 0] by a Fourier shift; clipped at 0."""
    weights = pattern - np.median(pattern)  # the background must not pull the centre to the middle of the frame
    weights = np.where(weights > 0.1 * weights.max(), weights, 0)
    total = weights.sum()
    centre = [(weights.sum(1 - axis) * np.arange(pattern.shape[axis])).sum() / total for axis in (0, 1)]
    ky, kx = np.fft.fftfreq(pattern.shape[0])[:, None], np.fft.fftfreq(pattern.shape[1])[None]
    whole = [round(c) for c in centre]
    rest = [c - w for c, w in zip(centre, whole, strict=True)]
    moved = np.roll(pattern, [-w for w in whole], (0, 1))
    if max(abs(r) for r in rest) > 0.02:
        ramp = np.exp(2j * np.pi * (ky * rest[0] + kx * rest[1]))
        moved = np.real(np.fft.ifft2(np.fft.fft2(moved) * ramp))
    return moved.clip(0)


def make_probe(
    optics: Optics,
    shape: tuple[int, int],
    sampling: tuple[float, float],
    energy: float,
    mean_intensity: float = 1.0,
) -> np.ndarray:
    """The probe at the entrance of the specimen: P = F^-1[aperture exp(-i chi)].

    Parameters
    ----------
    optics : Optics
        Aperture or vacuum pattern, and aberrations.
    shape : (Ny, Nx)
        Pixels.
    sampling : (float, float)
        Pixel size in A.
    energy : float
        Electron energy in eV.
    mean_intensity : float
        Sum of |P|^2, the counts of a pattern.

    Returns
    -------
    ndarray (Ny, Nx) complex64
        Corner-centred.

    Examples
    --------
    >>> probe = make_probe(Optics(semiangle=20), (64, 64), (0.3, 0.3), 80e3, mean_intensity=5)
    >>> probe.shape, round(float((abs(probe) ** 2).sum()), 3)
    ((64, 64), 5.0)
    """
    ky, kx = frequencies(shape, sampling)
    spectrum = make_aperture(optics, shape, sampling, energy) * np.exp(-1j * chi(optics.aberrations, ky, kx, energy))
    return (sfft.ifft2(spectrum, norm="ortho") * np.sqrt(mean_intensity)).astype(np.complex64)
