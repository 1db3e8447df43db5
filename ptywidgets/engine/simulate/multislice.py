"""Multislice in a window around each probe position, and its mean over snapshots of the thermal motion.

psi <- psi exp(i sigma V) in each slice, then F^-1 [exp(-i pi lambda dz k^2) F psi] to the next; both limited to two
thirds of the band; Kirkland, Advanced Computing in Electron Microscopy, chapter 6. A slice acts where it begins.
Incoherent means over snapshots are those of Loane, Xu and Silcox, Acta Cryst. A 47, 267 (1991).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.backends.transforms import load_transform
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import WorkerPool, worker_count
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.simulate.potential import phase_slices, slice_count
from ptywidgets.engine.simulate.specimen import Atoms
from ptywidgets.engine.simulate.window import Window

_BATCH_BYTES = 1.5e6  # of waves in work at a time on a thread: what stays in its cache


@dataclass(frozen=True, eq=False)
class Scattered:
    """What comes out behind the specimen, in fractions of the incident electrons."""

    patterns: np.ndarray  # (J, Ny, Nx) float32, centred
    dark_fields: np.ndarray  # (A, J) float64, one row for each annulus
    total: np.ndarray  # (J,) float64, of all simulated angles; what 1 lacks went beyond them


@counted(workers=1)
def multislice(
    phases: np.ndarray,
    positions: np.ndarray,
    window: Window,
    optics: Optics,
    energy: float,
    thickness: float = 0.0,
    *,
    annuli: tuple[tuple[float, float], ...] = (),
    workers: int | None = None,
) -> Scattered:
    """Diffraction patterns of phase slices, coherent.

    Parameters
    ----------
    phases : ndarray (S, Y, X)
        In rad, in pixels of ``window.sampling``; periodic, so that windows may reach over the edge.
    positions : ndarray (J, 2)
        y and x in A; pixel [0, 0] of `phases` is at 0.
    window : Window
    optics : Optics
        Semi-angle and aberrations, of the probe in the plane of the first slice.
    energy : float
        In eV.
    thickness : float
        Of a slice in A.
    annuli : tuple of (float, float)
        Inner and outer angles in mrad of the annular dark fields.

    Returns
    -------
    Scattered

    Examples
    --------
    >>> window = Window((32, 32), 0.05, 64)
    >>> result = multislice(np.zeros((2, 64, 64)), [[10.0, 10.0]], window, Optics(semiangle=20), 80e3, 2.0)
    >>> result.patterns.shape, result.total.round(5)
    ((1, 32, 32), array([1.]))
    """
    positions = _checked_positions(positions)
    run = _Run(window, optics, energy, thickness, annuli, len(positions), workers)
    run.add(np.asarray(phases), positions)
    return run.mean(1)


@counted(snapshots=1, workers=1)
def frozen_phonons(
    atoms: Atoms,
    shape: tuple[int, int],
    positions: np.ndarray,
    window: Window,
    optics: Optics,
    energy: float,
    thickness: float | None = None,
    *,
    snapshots: int = 32,
    generator: np.random.Generator,
    annuli: tuple[tuple[float, float], ...] = (),
    workers: int | None = None,
    watch: Callable[[int], None] | None = None,
) -> Scattered:
    """Diffraction patterns of vibrating atoms: the mean of the patterns of snapshots.

    Every position sees every snapshot. A snapshot draws the displacements of all atoms anew.

    Parameters
    ----------
    atoms : Atoms
    shape : (int, int)
        Pixels of ``window.sampling`` that hold the specimen.
    positions, window, optics, energy, annuli
        As in :func:`multislice`.
    thickness : float, optional
        About that of a slice in A; None: all in one.
    snapshots : int
        How many; the error of the mean falls with their square root.
    generator : numpy.random.Generator
        Draws the displacements; one seed, one result.
    watch : callable, optional
        Called with the number of snapshots done.

    Examples
    --------
    >>> window = Window((32, 32), 0.05, 64)
    >>> atoms = Atoms([[1, 10, 10]], [6], 0.1, (2, 20, 20))
    >>> result = frozen_phonons(atoms, (64, 64), [[10.0, 10.0]], window, Optics(semiangle=20), 80e3,
    ...     snapshots=2, generator=np.random.default_rng(1))
    >>> bool(0.99 < result.total[0] <= 1)
    True
    """
    if snapshots < 1:
        raise ParameterError(f"snapshots is {snapshots}; expected 1 or more.")
    positions = _checked_positions(positions)
    step = atoms.cell[0] / slice_count(atoms, thickness)
    run = _Run(window, optics, energy, step, annuli, len(positions), workers)
    for n, own in enumerate(generator.spawn(snapshots), 1):
        snapshot = atoms.displaced(own)
        run.add(phase_slices(snapshot, shape, window.sampling, energy, thickness, workers=workers), positions)
        if watch is not None:
            watch(n)
    return run.mean(snapshots)


def _checked_positions(positions: np.ndarray) -> np.ndarray:
    positions = np.asarray(positions, float)
    if positions.ndim != 2 or positions.shape[1] != 2 or not np.isfinite(positions).all():
        raise ParameterError(f"positions have the shape {positions.shape}; expected (J, 2) finite numbers in A.")
    return positions


class _Run:
    """Sums over snapshots, and what they share: probe, propagator, masks."""

    def __init__(
        self,
        window: Window,
        optics: Optics,
        energy: float,
        thickness: float,
        annuli: tuple[tuple[float, float], ...],
        count: int,
        workers: int | None,
    ) -> None:
        self.window, self.workers = window, workers or worker_count()
        self.fft = load_transform()
        self.probe = window.probe(optics, energy).astype(np.complex64)
        radii = window.radii
        self.band = (radii < window.max_frequency).astype(np.float32)
        self.propagator = (np.exp(-1j * np.pi * wavelength(energy) * thickness * radii**2) * self.band).astype(
            np.complex64
        )
        self.masks = np.concatenate([window.annuli(annuli, energy), np.ones((1, window.pixels**2), np.float32)])
        self.patterns = np.zeros((count, *window.detector), np.float32)
        self.sums = np.zeros((len(self.masks), count))

    def mean(self, snapshots: int) -> Scattered:
        patterns, sums = self.patterns / np.float32(snapshots), self.sums / snapshots
        return Scattered(patterns, sums[:-1], sums[-1])

    def add(self, phases: np.ndarray, positions: np.ndarray) -> None:
        """Run all positions through one set of slices (S, Y, X)."""
        n, dx = self.window.pixels, self.window.sampling
        corners = np.round(positions / dx).astype(int) - n // 2
        inside = positions - corners * dx  # of the probe in its window, in A
        low = corners.min(0)
        high = corners.max(0) + n
        slices = self._transmission(phases, low, high)
        size = max(1, int(_BATCH_BYTES / (8 * n * n)))
        batches = [np.arange(first, min(first + size, len(positions))) for first in range(0, len(positions), size)]

        def work(batch: np.ndarray) -> None:
            waves = self._entrance(inside[batch])
            for s, transmission in enumerate(slices):
                if s:
                    waves = self.fft(waves, True, 1)
                    waves *= self.propagator
                    waves = self.fft(waves, False, 1)
                for wave, (y, x) in zip(waves, corners[batch] - low, strict=True):
                    wave *= transmission[y : y + n, x : x + n]
            waves = self.fft(waves, True, 1)
            intensity = (waves.real**2 + waves.imag**2) * self.band
            self.patterns[batch] += self.window.detected(intensity)
            self.sums[:, batch] += self.masks @ intensity.reshape(len(batch), -1).T

        with WorkerPool(self.workers) as pool:
            list(pool.map(work, batches))

    def _entrance(self, inside: np.ndarray) -> np.ndarray:
        """Waves (B, n, n) in front of the first slice, their probes at `inside` (B, 2) A."""
        ramps = np.exp(-2j * np.pi * inside[:, :, None] * self.window.frequencies).astype(np.complex64)
        return self.fft(self.probe * ramps[:, 0, :, None] * ramps[:, 1, None, :], False, 1)

    def _transmission(self, phases: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """exp(i phase) (S, h, w), band-limited over the whole cell, then of the pixels `low` to `high` only."""
        shape = phases.shape[-2:]
        ky, kx = (np.fft.fftfreq(size, self.window.sampling) for size in shape)
        band = (np.hypot(ky[:, None], kx[None]) < self.window.max_frequency).astype(np.float32)
        rows, columns = (np.arange(*ends) % size for *ends, size in zip(low, high, shape, strict=True))
        out = np.empty((len(phases), len(rows), len(columns)), np.complex64)

        def fill(s: int) -> None:
            phase = phases[s].astype(np.float32, copy=False)
            wave = np.empty((1, *shape), np.complex64)
            wave.real, wave.imag = np.cos(phase), np.sin(phase)
            wave = self.fft(wave, True, 1)
            wave *= band
            wave = self.fft(wave, False, 1)
            out[s] = wave[0].take(rows, axis=0).take(columns, axis=1)

        with WorkerPool(self.workers) as pool:
            list(pool.map(fill, range(len(phases))))
        return out
