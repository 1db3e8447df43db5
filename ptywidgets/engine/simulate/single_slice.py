"""Patterns of a thin object by the engine's own model, and counts from patterns."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.composed import Geometry


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

    with WorkerPool() as pool:
        list(pool.map(fill, parts, generator.spawn(len(parts))))
    return out
