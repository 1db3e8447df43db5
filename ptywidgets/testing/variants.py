"""Simulated data of five classes of specimens by any microscope, with what is true of them.

A variant is drawn by its seed: energy, lens, scan, detector, dose, and what is not as it should be. Nothing of the
reconstruction's forward model is used: probes travel through slices in windows with twice the detector's samples, and
the aperture's edge is sharp, its middle at the semi-angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len, rfft2

from ptywidgets.engine.backends.transforms import load_transform
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.aberrations import chi
from ptywidgets.engine.preprocess.measurement import scan_positions
from ptywidgets.engine.simulate import Atoms, Window, grid_shape, phase_slices, poisson_counts
from ptywidgets.testing.recipes import KINDS, Recipe, recipe
from ptywidgets.testing.specimens import CLASSES

SLICE = 12.0  # A, the thickest slice of a simulation; finer than any that a start reconstructs


@dataclass(frozen=True, eq=False)
class Variant:
    """A dataset, and what is true of it."""

    recipe: Recipe
    dataset: Dataset
    phase: np.ndarray  # (Y, X) rad, all slices together, detector frame
    positions: np.ndarray  # (J, 2) A, from pixel [0, 0] of `phase`
    thickness: float  # A

    @property
    def kind(self) -> str:
        """Class of the specimen."""
        return self.recipe.kind

    @property
    def dose(self) -> float | None:
        """Electrons per A^2; None without noise."""
        return self.recipe.dose

    @property
    def truth(self) -> dict[str, float]:
        """Rotation in degrees; transpose; defocus and the Cartesian C12 and C21 in A."""
        lens = self.recipe.aberrations.cartesian
        names = ("C12a", "C12b", "C21a", "C21b")
        return {
            "rotation": self.recipe.rotation,
            "transpose": self.recipe.transpose,
            "defocus": self.recipe.aberrations["defocus"],
            **{name: lens.get(name, 0.0) for name in names},
        }


def variant(seed: int, kind: str | None = None) -> Variant:
    """A simulated dataset by its seed.

    Parameters
    ----------
    seed : int
        0 or more. One seed, one variant.
    kind : str, optional
        One of `KINDS`; by default they take turns.

    Examples
    --------
    >>> from ptywidgets.testing import variant
    >>> one = variant(3)
    >>> one.kind, one.dataset.scan_shape == one.recipe.scan, sorted(one.truth)
    ('island', True, ['C12a', 'C12b', 'C21a', 'C21b', 'defocus', 'rotation', 'transpose'])
    """
    return simulated(recipe(seed, kind))


def simulated(made: Recipe) -> Variant:
    """The variant of a recipe; change a recipe by :func:`dataclasses.replace`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> small = simulated(replace(recipe(0), scan=(3, 4), dose=None))
    >>> small.dataset.shape[:2], small.dataset.data.dtype.name
    ((3, 4), 'float32')
    """
    specimen, wander, counting = np.random.default_rng([1702, made.seed]).spawn(3)
    window = Window((made.detector, made.detector), made.q_pixel, next_fast_len(2 * made.detector))
    places = scan_positions(made.scan, made.step, made.rotation, made.transpose)
    places = places + made.jitter * wander.standard_normal(places.shape)
    height, width = (float(np.ptp(p)) + 0.85 * window.extent for p in places.T)
    atoms = CLASSES[made.kind](specimen, (height, width))
    positions = places - (places.min(0) + places.max(0)) / 2 + np.array([height, width]) / 2
    patterns, vacuum = _patterns(made, atoms, window, positions)
    if made.dose is not None:
        electrons = made.dose * made.step**2
        patterns = poisson_counts(patterns * electrons, counting)
        vacuum = counting.poisson(16 * electrons * vacuum.clip(0)).astype(np.float32)  # recorded for longer
    stated = Calibration(
        energy=made.energy,
        scan_step=made.step * made.stated_step,
        q_pixel=made.q_pixel,
        semiangle=made.semiangle * made.stated_semiangle,
    )
    dataset = Dataset(
        patterns.reshape(*made.scan, made.detector, made.detector),
        stated,
        vacuum=vacuum if made.vacuum else None,
        name=f"variant {made.seed}, {made.kind}",
    )
    phase = phase_slices(atoms, grid_shape(atoms, made.sampling), made.sampling, made.energy)[0]
    return Variant(made, dataset, phase, positions, atoms.cell[0])


def _patterns(made: Recipe, atoms: Atoms, window: Window, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patterns (J, N, N) and the vacuum pattern (N, N), as fractions of the incident electrons."""
    count = max(1, int(np.ceil(atoms.cell[0] / SLICE)))
    apart = atoms.cell[0] / count
    phases = phase_slices(atoms, grid_shape(atoms, window.sampling), window.sampling, made.energy, apart)
    middle = _middle(phases, window.sampling, made) * apart
    patterns = np.zeros((len(positions), made.detector, made.detector), np.float32)
    vacuum = np.zeros((made.detector, made.detector))
    shifts = _wander(made)
    for weight, defocus, offset in _incoherent(made):
        field = _far_field(made, window, made.aberrations["defocus"] + defocus + middle)
        vacuum += weight * window.detected((np.abs(field) ** 2)[None])[0]
        _scatter(phases, positions + offset, shifts, window, field, made.energy, apart, weight, patterns)
    return patterns, vacuum


def _middle(phases: np.ndarray, sampling: float, made: Recipe) -> float:
    """Which of the slices (S, Y, X), or between which, the plane lies that stands best for all, while phases are weak.

    The mean of the slices' numbers, weighed by how much of the whole projection each makes in what the probe transfers:
    particles on a film lie where the particles are. A slice acts where it begins.
    """
    spectra = rfft2(phases)
    ky, kx = np.fft.fftfreq(phases.shape[1], sampling)[:, None], np.fft.rfftfreq(phases.shape[2], sampling)[None]
    k2 = ky**2 + kx**2
    inside = (k2 > 0) & (k2 < (2e-3 * made.semiangle / wavelength(made.energy)) ** 2)
    whole = spectra.sum(0)
    weights = np.array([(own * whole.conj()).real[inside].sum() for own in spectra])
    return float((weights * np.arange(len(weights))).sum() / weights.sum())


def _wander(made: Recipe) -> np.ndarray:
    """Where descan moves each pattern, (J, 2) in detector pixels."""
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, n) for n in made.scan), indexing="ij")
    d = made.descan
    return np.stack([d[0] * y + d[1] * x, d[2] * y + d[3] * x], -1).reshape(-1, 2)


def _incoherent(made: Recipe) -> list[tuple[float, float, np.ndarray]]:
    """Weights, defocuses and offsets of the probes whose patterns add up: moments of a normal distribution."""
    if made.source:
        return [(0.25, 0.0, np.sqrt(2) * made.source * np.array(p)) for p in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    if made.spread:
        far = np.sqrt(3) * made.spread
        return [(w, d, np.zeros(2)) for w, d in ((1 / 6, -far), (2 / 3, 0.0), (1 / 6, far))]
    return [(1.0, 0.0, np.zeros(2))]


def _far_field(made: Recipe, window: Window, defocus: float) -> np.ndarray:
    """The probe (n, n) complex64 in the far field, its sum of squares 1; the edge is a frequency of the window wide."""
    k = window.frequencies
    radius = made.semiangle * 1e-3 / wavelength(made.energy)
    amplitude = np.clip(0.5 + (radius - window.radii) * window.extent, 0, 1)
    lens = made.aberrations.replace(defocus=defocus)
    field = amplitude * np.exp(-1j * chi(lens, k[:, None], k[None], made.energy))
    return (field / np.sqrt((amplitude**2).sum())).astype(np.complex64)


def _scatter(
    phases: np.ndarray,
    positions: np.ndarray,
    shifts: np.ndarray,
    window: Window,
    field: np.ndarray,
    energy: float,
    apart: float,
    weight: float,
    patterns: np.ndarray,
) -> None:
    """Add the weighted patterns of one probe at all positions to `patterns` (J, N, N)."""
    fft, n, dx = load_transform(), window.pixels, window.sampling
    band = window.radii < window.max_frequency
    carry = np.where(band, np.exp(-1j * np.pi * wavelength(energy) * apart * window.radii**2), 0).astype(np.complex64)
    corners = np.round(positions / dx).astype(int) - n // 2
    inside = positions - corners * dx
    rows, columns = (np.arange(low, high + n) for low, high in zip(corners.min(0), corners.max(0), strict=True))
    passed = np.exp(1j * phases.take(rows, 1, mode="wrap").take(columns, 2, mode="wrap")).astype(np.complex64)
    corners = corners - corners.min(0)
    place = np.arange(n) * dx

    def work(batch: np.ndarray) -> None:
        ramps = np.exp(-2j * np.pi * inside[batch][:, :, None] * window.frequencies).astype(np.complex64)
        waves = fft(field * ramps[:, 0, :, None] * ramps[:, 1, None, :], False, 1)
        for s, transmission in enumerate(passed):
            if s:
                waves = fft(fft(waves, True, 1) * carry, False, 1)
            for wave, (y, x) in zip(waves, corners[batch], strict=True):
                wave *= transmission[y : y + n, x : x + n]
        tilts = np.exp(2j * np.pi * window.q_pixel * shifts[batch][:, :, None] * place).astype(np.complex64)
        waves = fft(waves * tilts[:, 0, :, None] * tilts[:, 1, None, :], True, 1)
        patterns[batch] += np.float32(weight) * window.detected(waves.real**2 + waves.imag**2)

    with WorkerPool() as pool:
        list(pool.map(work, np.array_split(np.arange(len(positions)), max(2, len(positions) * n * n // 200_000))))


__all__ = ["KINDS", "Recipe", "Variant", "recipe", "simulated", "variant"]
