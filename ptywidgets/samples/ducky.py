"""A ducky of our own: sheets of carbon in the shape of a duck, scanned with a defocused probe; made in a second or two.

Everything that makes data difficult is in it and known: a detector turned by -15 degrees, descan, counting noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import look_up
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.preprocess.measurement import scan_positions
from ptywidgets.engine.preprocess.rotation import rotate_vectors
from ptywidgets.engine.simulate import diffraction_patterns, poisson_counts, projected_phase

ENERGY = 80e3  # eV
SEMIANGLE = 20.0  # mrad
ROTATION = -15.0  # degrees, detector to scan


@dataclass(frozen=True)
class Size:
    """Scan, detector and optics of one size."""

    scan: int  # positions on a side
    detector: int  # pixels on a side
    scan_step: float  # A
    q_pixel: float  # 1/A
    defocus: float  # A
    layers: tuple[int, int, int]  # sheets in the body, in beak and wing, in outline and eye


SIZES = {
    "tiny": Size(12, 64, 1.5, 0.05, 250.0, (3, 4, 5)),
    "small": Size(24, 96, 2.0, 0.0375, 350.0, (2, 3, 4)),
    "medium": Size(32, 128, 3.0, 0.03125, 420.0, (2, 4, 5)),
    "full": Size(41, 200, 4.0, 0.025, 500.0, (2, 4, 6)),
}


def ducky(
    size: str = "small",
    *,
    dose: float | None = 1e5,
    descan: float = 1.0,
    seed: int = 2024,
    scan_step: float | tuple[float, float] | None = None,
    q_pixel: float | tuple[float, float] | None = None,
) -> Dataset:
    """Simulated 4D-STEM data of a duck.

    Parameters
    ----------
    size : {"tiny", "small", "medium", "full"}
        From 12x12x64x64 to the tutorial's 41x41x200x200.
    dose : float, optional
        Electrons per A^2; None gives noise-free intensities.
    descan : float
        Strength of the planar descan; 1 moves the patterns by a few per cent of the detector across the scan.
    seed : int
        Of the counting noise.
    scan_step : float or (float, float), optional
        A, instead of the size's own; two numbers for rows and columns. :func:`ducky_truth` is asked with the same.
    q_pixel : float or (float, float), optional
        1/A, instead of the size's own, likewise.

    Returns
    -------
    Dataset
        With calibration and vacuum pattern; what a user has to find (rotation, defocus) is told in its metadata.

    Examples
    --------
    >>> ducky("tiny").shape
    (12, 12, 64, 64)
    """
    s = _size(size)
    calibration = _calibration(s, scan_step, q_pixel)
    detector = (s.detector, s.detector)
    sampling = calibration.sampling(detector)
    phase, positions = ducky_truth(size, scan_step=scan_step, q_pixel=q_pixel)
    optics = Optics(semiangle=SEMIANGLE, aberrations=Aberrations(defocus=s.defocus))
    counts = 1.0 if dose is None else dose * calibration.scan_steps[0] * calibration.scan_steps[1]
    probe = make_probe(optics, detector, sampling, ENERGY, counts)
    y, x = np.meshgrid(*[np.linspace(-1, 1, s.scan)] * 2, indexing="ij")
    wander = descan * 0.01 * s.detector * np.stack([x - 2 * y, -x - 3 * y])
    patterns = diffraction_patterns(phase, probe, positions / np.array(sampling), wander.reshape(2, -1).T)
    vacuum = np.fft.fftshift(np.abs(np.fft.fft2(probe, norm="ortho")) ** 2)
    if dose is not None:
        generator = np.random.default_rng(seed)
        patterns = poisson_counts(patterns, generator)
        vacuum = generator.poisson(16 * vacuum)  # a vacuum pattern is recorded for longer
    return Dataset(
        data=patterns.reshape(s.scan, s.scan, *detector),
        calibration=calibration,
        vacuum=vacuum.astype(np.float32),
        name=f"ducky {size}",
        metadata={
            "specimen": "simulated carbon duck",
            "defocus": f"{s.defocus:g} A",
            "rotation": f"{ROTATION:g} degrees",
            "dose": "noise-free" if dose is None else f"{dose:g} e/A^2",
        },
    )


def ducky_defocus(size: str = "small") -> float:
    """Defocus of the simulated probe in A: what a microscopist would have noted down.

    Examples
    --------
    >>> ducky_defocus("full")
    500.0
    """
    return _size(size).defocus


def ducky_truth(
    size: str = "small",
    *,
    scan_step: float | tuple[float, float] | None = None,
    q_pixel: float | tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The true phase and positions of :func:`ducky`.

    Parameters
    ----------
    size, scan_step, q_pixel
        As there.

    Returns
    -------
    phase : ndarray (Y, X) float32
        In rad, in the detector frame, in the pixels of a reconstruction.
    positions : ndarray (J, 2)
        In A, from pixel [0, 0].
    """
    s = _size(size)
    calibration = _calibration(s, scan_step, q_pixel)
    sampling = np.array(calibration.sampling((s.detector, s.detector)))
    positions = scan_positions((s.scan, s.scan), calibration.scan_steps, ROTATION)
    extent = np.ptp(positions, axis=0).max() / sampling
    pixels = np.ceil(extent).astype(int) + s.detector + 4
    field = pixels * sampling
    atoms, sheets = _atoms(field, 0.42 * (s.scan - 1) * min(calibration.scan_steps), s.layers)
    shape = int(pixels[0]), int(pixels[1])
    phase = projected_phase(atoms, shape, (float(sampling[0]), float(sampling[1])), ENERGY, weights=sheets)
    return phase, positions + pixels // 2 * sampling


def _calibration(
    s: Size, scan_step: float | tuple[float, float] | None, q_pixel: float | tuple[float, float] | None
) -> Calibration:
    step = s.scan_step if scan_step is None else scan_step
    pixel = s.q_pixel if q_pixel is None else q_pixel
    return Calibration(energy=ENERGY, scan_step=step, q_pixel=pixel, semiangle=SEMIANGLE)


def _size(size: str) -> Size:
    size = look_up("size of ducky", size, SIZES)
    return SIZES[size]


def _atoms(field: np.ndarray, radius: float, layers: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (A, 2) of carbon columns in A and the number of sheets in each; the duck stands upright in the scan."""
    bond = 1.42
    reach = field.max()
    rows = np.arange(-reach, reach, 1.5 * bond)
    columns = np.arange(-reach, reach, np.sqrt(3) * bond)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + np.where(np.arange(len(rows)) % 2, np.sqrt(3) / 2 * bond, 0)[:, None]
    sheet = np.concatenate([np.stack([y, x], -1).reshape(-1, 2), np.stack([y + bond, x], -1).reshape(-1, 2)])
    upright = rotate_vectors(sheet.T, 8.0)  # the lattice must not lie along the scan
    v, u = upright / radius
    sheets = 1 + _duck_layers(v, u, layers)
    atoms = rotate_vectors(upright, -ROTATION).T + field / 2
    inside = ((atoms >= 0) & (atoms < field)).all(1)
    return atoms[inside], sheets[inside]


def _duck_layers(v: np.ndarray, u: np.ndarray, layers: tuple[int, int, int]) -> np.ndarray:
    """Extra sheets at (v down, u right) of a swimming duck that fits in the unit circle."""

    def ellipse(cv: float, cu: float, rv: float, ru: float, grow: float = 0.0) -> np.ndarray:
        return ((v - cv) / (rv + grow)) ** 2 + ((u - cu) / (ru + grow)) ** 2 < 1

    def body(grow: float = 0.0) -> np.ndarray:
        tail = (u > 0.45) & (u < 0.97 + grow) & (v > -0.62 + 0.55 * (0.97 - u) - grow) & (v < 0.4)
        return ellipse(0.35, 0.08, 0.45, 0.85, grow) | ellipse(-0.38, -0.42, 0.36, 0.36, grow) | tail

    beak = ellipse(-0.3, -0.84, 0.11, 0.17)
    wing = ellipse(0.28, 0.2, 0.24, 0.42) & ~ellipse(0.2, 0.2, 0.2, 0.36)
    eye = ellipse(-0.48, -0.52, 0.08, 0.08)
    inside = body()
    outline = inside & ~body(-0.09)
    extra = np.zeros(v.shape, int)
    extra[inside] = layers[0]
    extra[beak | wing] = layers[1]
    extra[outline | eye] = layers[2]
    return extra
