"""How the detector is turned against the scan.

An electron wave deflected by a phase has the centre of mass <k> = <grad phi> / 2 pi, and a gradient has no curl. So the
detector is turned until the field has none. Written with the Helmholtz decomposition in Fourier space, the energy of
the divergence-free part is a quadratic form in (cos theta, sin theta): its minimum has a closed form, with no grid of
angles and no finite differences. Noise has no direction, so it does not pull the angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.data.calibration import both, mean_of, relative
from ptywidgets.engine.preprocess.enough import LEAST


@dataclass(frozen=True)
class Curves:
    """Mean absolute curl and divergence against the angle; index 0 as measured, 1 with the detector transposed."""

    angles: np.ndarray  # (A,) degrees
    curl: np.ndarray  # (2, A)
    divergence: np.ndarray  # (2, A)


@dataclass(frozen=True)
class RotationFit:
    """The angle from detector to scan, with what is known about it."""

    rotation: float  # degrees; the centre of mass turns by +rotation into the scan frame
    transpose: bool
    uncertainty: float  # degrees, one sigma, by jackknife over directions of spatial frequency
    solenoidal_share: float  # energy that stays divergence-free, 0 (perfect) to 0.5 (nothing to find)
    other_share: float  # the same for the other transpose
    flip_resolved: bool  # whether the data told this angle from the one turned by 180 degrees
    message: str


def rotate_vectors(field: np.ndarray, rotation: float, transpose: bool = False) -> np.ndarray:
    """Turn a vector field (2, ...) from the detector frame into the scan frame.

    Parameters
    ----------
    field : ndarray (2, ...)
        Row and column components.
    rotation : float
        Degrees.
    transpose : bool
        Exchange rows and columns first.

    Examples
    --------
    >>> rotate_vectors(np.array([1.0, 0.0]), 90).round(6).tolist()
    [0.0, 1.0]
    """
    c, s = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    y, x = (field[1], field[0]) if transpose else (field[0], field[1])
    return np.stack([c * y - s * x, s * y + c * x])


def unrotate_vectors(field: np.ndarray, rotation: float, transpose: bool = False) -> np.ndarray:
    """Turn a vector field (2, ...) from the scan frame into the detector frame: the inverse of :func:`rotate_vectors`.

    Examples
    --------
    >>> unrotate_vectors(rotate_vectors(np.array([1.0, 2.0]), 30, True), 30, True).round(6).tolist()
    [1.0, 2.0]
    """
    turned = rotate_vectors(field, -rotation)
    return turned[::-1] if transpose else turned


def directions(field: np.ndarray) -> np.ndarray:
    """A vector field (2, Ry, Rx) as complex numbers whose phase is the direction on the screen: 0 right, pi/2 up.

    Examples
    --------
    >>> directions(np.array([-1.0, 1.0])).item()
    (1+1j)
    """
    return field[1] - 1j * field[0]


def rotation_curves(
    com: np.ndarray, angles: np.ndarray | None = None, steps: tuple[float, float] = (1.0, 1.0)
) -> Curves:
    """Mean absolute curl and divergence of a centre-of-mass field for many angles.

    Both are sinusoids in the angle for every scan point: curl(theta) = cos theta curl_0 + sin theta div_0.

    Parameters
    ----------
    com : ndarray (2, Ry, Rx)
        Centre of mass without descan.
    angles : ndarray (A,), optional
        Degrees; by default -90 to 90 in steps of 1.
    steps : (float, float)
        Of the scan along rows and columns.

    Returns
    -------
    Curves
        0 everywhere where the scan has less than 3 x 3 positions, which have neither curl nor divergence.

    Examples
    --------
    >>> curves = rotation_curves(np.random.default_rng(0).normal(size=(2, 8, 8)))
    >>> curves.curl.shape
    (2, 181)
    """
    angles = np.arange(-90.0, 91.0) if angles is None else np.asarray(angles, float)
    if min(com.shape[1:]) < 3:
        return Curves(angles, np.zeros((2, len(angles))), np.zeros((2, len(angles))))
    curl, divergence = [], []

    def down(part: np.ndarray) -> np.ndarray:
        return (part[2:, 1:-1] - part[:-2, 1:-1]) / steps[0]

    def right(part: np.ndarray) -> np.ndarray:
        return (part[1:-1, 2:] - part[1:-1, :-2]) / steps[1]

    for field in (com, com[::-1]):
        div0, curl0 = down(field[0]) + right(field[1]), down(field[1]) - right(field[0])
        turns = [(math.cos(t), math.sin(t)) for t in np.radians(angles)]
        curl.append([np.abs(c * curl0 + s * div0).mean() for c, s in turns])
        divergence.append([np.abs(c * div0 - s * curl0).mean() for c, s in turns])
    return Curves(angles, np.array(curl), np.array(divergence))


def find_rotation(
    com: np.ndarray, transpose: bool | None = None, steps: tuple[float, float] = (1.0, 1.0)
) -> RotationFit:
    """Rotation and transpose that leave the least energy in the divergence-free part of the field.

    Parameters
    ----------
    com : ndarray (2, Ry, Rx)
        Centre of mass without descan, any unit that is the same along rows and columns.
    transpose : bool, optional
        Given where it is known.
    steps : (float, float)
        Of the scan along rows and columns; only their ratio matters.

    Returns
    -------
    RotationFit
        Its `rotation` lies in (-180, 180]. Of the two angles 180 degrees apart, which have the same curl, the one is
        taken whose integrated phase is peaked upwards (atoms attract electrons) where that is beyond chance, and else
        the one in (-90, 90]; `flip_resolved` says which. Where the scan has fewer than 4 positions on a side nothing
        can be told: 0, and the message says so. A known defocus tells more: see
        :func:`ptywidgets.engine.calibrate.flip.resolve_flip`.

    Examples
    --------
    >>> y, x = np.mgrid[-2:2:32j, -2:2:32j]
    >>> atom = np.exp(-4 * (y - 0.3)**2 - 4 * (x + 0.2)**2)
    >>> field = rotate_vectors(np.stack(np.gradient(atom)), 15)
    >>> fit = find_rotation(field)
    >>> round(fit.rotation, 1), fit.transpose, fit.flip_resolved
    (-15.0, False, True)
    """
    candidates = [False, True] if transpose is None else [transpose]
    if min(com.shape[1:]) < LEAST:
        by = f"{com.shape[1]} x {com.shape[2]}"
        message = (
            f"cannot tell the rotation from a scan of {by} positions, {LEAST} x {LEAST} are the least: set it by hand."
        )
        return RotationFit(0.0, candidates[0], 90.0, 0.5, 0.5, False, message)
    steps = relative(steps)
    fits = {t: _closed_form(com[::-1] if t else com, steps) for t in (False, True)}
    best = min(candidates, key=lambda t: fits[t][1])
    rotation, share, uncertainty = fits[best]
    skewness, clear = _peakedness(rotate_vectors(com, rotation, best), steps)
    if clear and skewness < 0:
        rotation += 180
    rotation = wrapped_angle(rotation)
    other = fits[not best][1]
    words = [f"rotation {rotation:.2f} degrees (+- {uncertainty:.2f})" + (", transposed" if best else "")]
    if share > 0.4:
        words.append("the field has hardly any structure: set the rotation by hand")
    elif transpose is None and abs(other - share) < 0.02:
        words.append("transposed or not is uncertain: compare the two curves")
    if not clear:
        words.append(
            f"it could as well be {wrapped_angle(rotation + 180):.2f}: flip by 180 degrees if atoms come out dark"
        )
    return RotationFit(rotation, best, uncertainty, share, other, clear, "; ".join(words) + ".")


def integrate(field: np.ndarray, scan_step: float | tuple[float, float] = 1.0) -> np.ndarray:
    """Phase (rad) whose gradient is 2 pi times the field (2, Ry, Rx) in 1/A, steps in A: integrated centre of mass.

    The step is one number, or one for rows and one for columns.

    Phi(k) = k . F[field](k) / (i |k|^2), the least-squares solution with periodic edges; Lazic, Bosch and Lazar,
    Ultramicroscopy 160, 265 (2016).

    Examples
    --------
    >>> x = np.arange(32)
    >>> phase = np.cos(2 * np.pi * x / 32)[:, None] * np.ones(32)
    >>> gradient = -2 * np.pi / 32 * np.sin(2 * np.pi * x / 32)[:, None] * np.ones(32)
    >>> bool(np.allclose(integrate(np.stack([gradient, 0 * gradient]) / (2 * np.pi)), phase))
    True
    """
    steps = both(scan_step)
    ky, kx, squared = _frequencies(field.shape[1:], relative(steps))
    spectrum = (ky * np.fft.fft2(field[0]) + kx * np.fft.fft2(field[1])) / (1j * squared)
    return np.real(np.fft.ifft2(spectrum)) * mean_of(steps)


def _frequencies(
    shape: tuple[int, ...], steps: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    # The frequency at the very edge of the band has no sign; a gradient has nothing there.
    ky = np.where(np.abs(ky) == 0.5, 0, ky) / steps[0]
    kx = np.where(np.abs(kx) == 0.5, 0, kx) / steps[1]
    squared = ky**2 + kx**2
    return ky, kx, np.where(squared > 0, squared, 1.0)


def curl_share(com: np.ndarray, rotation: float, transpose: bool, steps: tuple[float, float] = (1.0, 1.0)) -> float:
    """Share of the energy of a deflection (2, Ry, Rx) that is divergence-free once it is turned into the scan frame.

    `steps` are those of the scan along rows and columns.

    Examples
    --------
    >>> y, x = np.mgrid[-2:2:32j, -2:2:32j]
    >>> field = np.stack(np.gradient(np.exp(-4 * y**2 - 4 * x**2)))
    >>> round(curl_share(field, 0, False), 2), round(curl_share(field, 90, False), 2)
    (0.0, 1.0)
    """
    parts = _helmholtz(rotate_vectors(com, rotation, transpose), relative(steps))
    along, across = (float((np.abs(part) ** 2).sum()) for part in parts)
    return across / (along + across) if along + across > 0 else 0.5


def _helmholtz(field: np.ndarray, steps: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of the parts of a field (2, Ry, Rx) along its spatial frequencies (curl-free) and across them."""
    ky, kx, squared = _frequencies(field.shape[1:], steps)
    spectrum = np.fft.fft2(field)
    norm = 1 / np.sqrt(squared)
    return (ky * spectrum[0] + kx * spectrum[1]) * norm, (ky * spectrum[1] - kx * spectrum[0]) * norm


def _closed_form(com: np.ndarray, steps: tuple[float, float]) -> tuple[float, float, float]:
    """Angle (degrees, in (-90, 90]), its share of solenoidal energy, and the jackknife uncertainty."""
    ky, kx, _ = _frequencies(com.shape[1:], steps)
    along, across = _helmholtz(com, steps)
    aa, bb, ab = np.abs(along) ** 2, np.abs(across) ** 2, np.real(along * across.conj())
    total = float(aa.sum() + bb.sum())
    if total <= 0:
        return 0.0, 0.5, 90.0

    def angle(weight: np.ndarray | float = 1.0) -> float:
        # cos^2 bb + sin^2 aa + 2 sin cos ab is least where 2 theta = atan2(-2 ab, aa - bb)
        return 0.5 * math.atan2(-2 * float((weight * ab).sum()), float((weight * (aa - bb)).sum()))

    theta = angle()
    c, s = math.cos(theta), math.sin(theta)
    share = float((c * c * bb + s * s * aa + 2 * s * c * ab).sum()) / total
    sector = (np.arctan2(ky, kx) % np.pi) // (np.pi / 8)
    left_out = [angle(np.where(sector == k, 0.0, 1.0)) for k in range(8)]
    differences = [(d - theta + math.pi / 2) % math.pi - math.pi / 2 for d in left_out]
    spread = math.sqrt(7 / 8 * sum(d * d for d in differences))
    return math.degrees(theta), share, math.degrees(spread)


def _peakedness(field: np.ndarray, steps: tuple[float, float]) -> tuple[float, bool]:
    """Skewness of the integrated phase, and whether it is beyond chance."""
    phase = integrate(field, steps)
    phase = phase - phase.mean()
    spread = phase.std()
    if spread == 0:
        return 0.0, False
    skewness = float((phase**3).mean() / spread**3)
    # Neighbours are alike, so the independent samples are fewer than the pixels: as many as the spectrum is wide.
    power = np.abs(np.fft.fft2(phase)) ** 2
    independent = max(1.0, float(power.sum() ** 2 / (power**2).sum()))
    return skewness, abs(skewness) > 3 * math.sqrt(6 / independent)


def wrapped_angle(angle: float) -> float:
    """An angle in degrees, brought into (-180, 180].

    Examples
    --------
    >>> wrapped_angle(190.0), wrapped_angle(-180.0)
    (-170.0, 180.0)
    """
    return angle if -180 < angle <= 180 else -((-angle + 180) % 360 - 180)  # as it is, to the last digit
