"""From a State to what is shown: small arrays in the scan frame, at most a few hundred pixels wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.problem import Problem
from ptywidgets.engine.state import State

LARGEST = 384  # pixels of a live picture


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run, ready to be drawn. Arrays are owned copies."""

    status: str
    iteration: int
    iterations: int  # planned
    losses: tuple[float, ...]
    seconds_per_iteration: float | None
    time_left: float | None  # s
    object_phase: np.ndarray  # (H, W) float32 rad, scan frame
    object_amplitude: np.ndarray  # (H, W) float32
    object_sampling: float  # A per shown pixel
    object_fft: np.ndarray  # (K, K) float32, log of the amplitude of the Fourier transform, zero in the middle
    fft_sampling: float  # 1/A per shown pixel
    probe: np.ndarray  # (Ny, Nx) complex64, centred
    probe_sampling: float  # A
    probe_fourier: np.ndarray  # (Ny, Nx) complex64, zero in the middle
    probe_fourier_sampling: float  # 1/A


def take_snapshot(
    problem: Problem,
    state: State,
    status: str = "",
    iterations: int = 0,
    seconds_per_iteration: float | None = None,
) -> Snapshot:
    """Display arrays of a state."""
    phase, amplitude, step = shown_transmission(problem, state, LARGEST)
    probe = problem.backend.to_numpy(state.probe)[0]
    spectrum = np.fft.fftshift(sfft.fft2(probe, norm="ortho")).astype(np.complex64)
    transform, frequency = fourier_amplitude(phase if _is_real(problem) else amplitude * np.exp(1j * phase), step)
    left = None
    if seconds_per_iteration is not None:
        left = max(0.0, (iterations - state.iteration) * seconds_per_iteration)
    return Snapshot(
        status=status,
        iteration=state.iteration,
        iterations=iterations,
        losses=state.losses,
        seconds_per_iteration=seconds_per_iteration,
        time_left=left,
        object_phase=phase,
        object_amplitude=amplitude,
        object_sampling=step,
        object_fft=transform,
        fft_sampling=frequency,
        probe=np.fft.fftshift(probe).astype(np.complex64),
        probe_sampling=problem.sampling[0],
        probe_fourier=spectrum,
        probe_fourier_sampling=1 / (problem.sampling[0] * probe.shape[0]),
    )


def shown_transmission(
    problem: Problem, state: State, largest: int | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Phase (rad), amplitude and pixel (A) of the object, summed over slices, turned into the scan frame and cropped.

    Parameters
    ----------
    largest : int, optional
        Most pixels on a side; by default as fine as the object itself.
    """
    obj = problem.backend.to_numpy(state.object)
    if np.iscomplexobj(obj):
        total = obj[0] if len(obj) == 1 else np.prod(obj, axis=0)
        parts = [np.ascontiguousarray(total.real), np.ascontiguousarray(total.imag)]
    else:
        parts = [obj[0] if len(obj) == 1 else obj.sum(0)]
    matrix, offset, shape, step = _into_scan_frame(problem, largest)
    turned = [
        ndimage.affine_transform(part, matrix, offset, output_shape=shape, order=1, mode="nearest", output=np.float32)
        for part in parts
    ]
    if len(turned) == 1:
        return turned[0], np.ones(shape, np.float32), step
    return np.arctan2(turned[1], turned[0]), np.hypot(*turned), step


def _into_scan_frame(problem: Problem, largest: int | None) -> tuple[np.ndarray, np.ndarray, tuple[int, int], float]:
    """Affine map from shown pixels to object pixels, the shown shape, and the shown pixel in A."""
    measurement = problem.measurement
    scan_step = measurement.calibration.require("scan_step")
    extent = [(n - 1) * scan_step for n in measurement.scan_shape]
    fine = min(problem.sampling)
    step = max(fine, max(extent) / (largest - 1)) if largest else fine
    shape = (max(2, int(extent[0] / step) + 1), max(2, int(extent[1] / step) + 1))
    # A displacement in the scan frame is turned by -rotation into the detector frame, as the positions are.
    angle = np.radians(-measurement.rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if measurement.transpose:
        turn = turn[::-1]
    matrix = turn * step / np.array(problem.sampling)[:, None]
    middle = (problem.first_positions.max(0) + problem.first_positions.min(0)) / 2 / np.array(problem.sampling)
    offset = middle - matrix @ ((np.array(shape) - 1) / 2)
    return matrix, offset, shape, step


def fourier_amplitude(field: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """Log amplitude of the Fourier transform, Hann-windowed, zero in the middle; and its pixel in 1/A.

    The pixel is that of the longer side; the shorter is padded to a square.
    """
    side = max(field.shape)
    window = np.hanning(field.shape[0])[:, None] * np.hanning(field.shape[1])[None]
    spectrum = sfft.fft2((field - field.mean()) * window, s=(side, side))
    return np.fft.fftshift(np.log1p(np.abs(spectrum))).astype(np.float32), 1 / (side * step)


def _is_real(problem: Problem) -> bool:
    return not np.iscomplexobj(problem.first_object)
