"""Simulation by the engine's own model: atoms to phase, phase and probe to patterns, patterns to counts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.errors import ParameterError, unknown_name
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.composed import Geometry
from ptywidgets.engine.units import interaction

# Electron scattering factors f(k) = sum a/(k^2 + b) + c exp(-d k^2), k in 1/A, f in A; Kirkland, Advanced Computing in
# Electron Microscopy, appendix C. Three (a, b) and three (c, d) for each element.
SCATTERING = {
    "C": (
        (2.12080767e-1, 2.08605417e-1, 1.99811865e-1, 2.08610186e-1, 1.68254385e-1, 5.57870773),
        (1.42048360e-1, 1.33311887, 3.63830672e-1, 3.80800263, 8.35012044e-4, 4.03982620e-2),
    ),
}
_VOLT_ANGSTROM = 47.87764  # h^2 / (2 pi m e) in V A^2


def scattering_factor(element: str, k: np.ndarray) -> np.ndarray:
    """Electron scattering factor in A at spatial frequencies `k` (1/A).

    Examples
    --------
    >>> round(float(scattering_factor("C", np.array(0.0))), 2)
    2.51
    """
    if element not in SCATTERING:
        raise unknown_name("element", element, SCATTERING)
    lorentz, gauss = SCATTERING[element]
    k2 = np.asarray(k) ** 2
    out = np.zeros_like(k2)
    for a, b in zip(lorentz[::2], lorentz[1::2], strict=True):
        out += a / (k2 + b)
    for c, d in zip(gauss[::2], gauss[1::2], strict=True):
        out += c * np.exp(-d * k2)
    return out


def projected_phase(
    atoms: np.ndarray,
    shape: tuple[int, int],
    sampling: float,
    energy: float,
    *,
    element: str = "C",
    weights: np.ndarray | None = None,
    b_factor: float = 0.5,
) -> np.ndarray:
    """Phase shift sigma V of atoms in projection.

    Parameters
    ----------
    atoms : ndarray (A, 2)
        Row and column positions in A.
    shape : (int, int)
        Pixels of the periodic result.
    sampling : float
        Pixel size in A.
    energy : float
        Electron energy in eV.
    weights : ndarray (A,), optional
        How many atoms lie above one another at each position.
    b_factor : float
        Debye-Waller factor in A^2.

    Returns
    -------
    ndarray (Y, X) float32
        In rad, band-limited at the pixel.

    Examples
    --------
    >>> phase = projected_phase(np.array([[5.0, 5.0]]), (50, 50), 0.2, 80e3)
    >>> np.unravel_index(phase.argmax(), phase.shape) == (25, 25)
    True
    """
    weights = np.ones(len(atoms)) if weights is None else np.asarray(weights, float)
    fine = tuple(2 * n for n in shape)
    grid = np.zeros(fine, np.float32)
    for offsets, share in _spline_shares(atoms / (sampling / 2)):
        np.add.at(grid, tuple((offsets % np.array(fine)).T), share * weights)
    # Points spread by a cubic B-spline on a grid twice as fine; its transfer function sinc^4 is divided out.
    spectrum = sfft.rfft2(grid, workers=2)
    rows = np.r_[0 : (shape[0] + 1) // 2, fine[0] - shape[0] // 2 : fine[0]]
    spectrum = spectrum[rows, : shape[1] // 2 + 1]
    ky = np.fft.fftfreq(shape[0], sampling)[:, None]
    kx = np.fft.rfftfreq(shape[1], sampling)[None]
    k = np.hypot(ky, kx)
    spread = (np.sinc(ky * sampling / 2) * np.sinc(kx * sampling / 2)) ** 4
    form = scattering_factor(element, k) * np.exp(-b_factor * k**2 / 4) * (k < 0.5 / sampling)
    spectrum = spectrum * (form / spread * _VOLT_ANGSTROM * interaction(energy) / sampling**2)
    return np.ascontiguousarray(sfft.irfft2(spectrum, s=shape, workers=2), np.float32)


def _spline_shares(points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Grid points (A, 2) and weights (A,) of the 16 neighbours among which a cubic B-spline shares each point."""
    base = np.floor(points).astype(int)
    t = points - base
    basis = [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]
    for i in range(4):
        for j in range(4):
            yield base + np.array([i - 1, j - 1]), basis[i][:, 0] * basis[j][:, 1]


def diffraction_patterns(
    phase: np.ndarray,
    probe: np.ndarray,
    positions: np.ndarray,
    shifts: np.ndarray | None = None,
) -> np.ndarray:
    """Patterns of a phase object: the engine's single-slice forward model on its own.

    Parameters
    ----------
    phase : ndarray (Y, X)
        In rad.
    probe : ndarray (Ny, Nx) or (M, Ny, Nx)
        Corner-centred, in the pixels of `phase`; M incoherent modes.
    positions : ndarray (J, 2)
        In pixels of `phase`; windows must lie inside it.
    shifts : ndarray (J, 2), optional
        Descan: shift of each pattern in detector pixels.

    Returns
    -------
    ndarray (J, Ny, Nx) float32
        Centred at pixel N // 2; each sums to about the probe's intensity.
    """
    backend = CpuBackend()
    model = single_slice("potential")
    probe = np.asarray(probe, np.complex64).reshape(-1, *np.shape(probe)[-2:])
    window = probe.shape[-2:]
    geometry = Geometry.from_pixels(np.asarray(positions, float), window, shifts)
    if (geometry.corners < 0).any() or (geometry.corners + np.array(window) > np.array(phase.shape)).any():
        raise ParameterError("a position's window lies outside the phase; make it larger or move the positions.")
    obj = np.asarray(phase, np.float32)[None]
    try:
        patterns = model.intensities(backend, obj, probe, geometry, np.arange(len(positions)))
    finally:
        backend.close()
    return np.fft.fftshift(patterns, axes=(-2, -1))


def poisson_counts(intensity: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Counted electrons, uint16, for mean counts `intensity` (J, Ny, Nx); the same in every run of one seed."""
    out = np.empty(intensity.shape, np.uint16)
    parts = np.array_split(np.arange(len(intensity)), min(16, len(intensity)))

    def fill(part: np.ndarray, own: np.random.Generator) -> None:
        out[part] = np.minimum(own.poisson(intensity[part].clip(0)), 65535)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, parts, generator.spawn(len(parts))))
    return out
