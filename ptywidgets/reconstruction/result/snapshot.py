"""From a State to what is shown: small arrays in the scan frame, a few hundred pixels wide, of what is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.calibration import both, single
from ptywidgets.engine.optics.modes import occupations, orthogonalise
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.tomography import Tilt, TiltSeries
from ptywidgets.reconstruction.result.display_settings import DisplaySettings
from ptywidgets.reconstruction.result.scan_frame import (
    depth_section,
    position_corrections,
    shown_map,
    shown_transmission,
    thicknesses,
)

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
    fft_sampling: float | tuple[float, float]  # 1/A per shown pixel
    probe: np.ndarray  # (Ny, Nx) complex64, centred; all modes beside each other where all are looked at
    probe_sampling: float | tuple[float, float]  # A
    probe_fourier: np.ndarray  # as `probe`, zero in the middle
    probe_fourier_sampling: float | tuple[float, float]  # 1/A
    depths: tuple[float, ...] = (0.0, 0.0)  # A, of the faces of all slices, the beam's entrance first: S + 1
    slice: int | None = None  # of `object_phase`, `object_amplitude` and `object_fft`; None: all together
    occupations: tuple[float, ...] = (1.0,)  # of the modes in the counts, the brightest first
    mode: int | None = 0  # of `probe` and `probe_fourier`; None: all
    section: np.ndarray | None = None  # (S, W) float32 rad, where a section is looked at
    section_sampling: tuple[float, float] = (1.0, 1.0)  # A: in depth, along the line
    elements: tuple[str, ...] = ()  # that scatter diffusely
    b_factors: tuple[float, ...] = ()  # A^2, of theirs
    channel: int | None = None  # of `tds_strength`
    tds_strength: np.ndarray | None = None  # (H, W) float32, share of the electrons that an element scatters diffusely
    position_corrections: np.ndarray | None = None  # (Ry, Rx) complex64 A, rows + i columns, as positions have moved
    scan_step: float | tuple[float, float] = 1.0  # A, of `position_corrections`
    displacement: np.ndarray | None = None  # (H, W) float32 A, rms of atoms along one axis, of object modes
    background: np.ndarray | None = None  # (Ny, Nx) float32 counts, zero in the middle
    tilts: tuple[Tilt, ...] = ()  # of a series, whose slices are the layers of the volume
    view: int = 0  # of `probe`, `occupations`, `tds_strength` and `background`: one of `tilts`

    @property
    def drift_size(self) -> tuple[float, float]:
        """Root of the mean square, and the largest, of what positions have been moved by, A."""
        far = np.abs(self.position_corrections) if self.position_corrections is not None else np.zeros(1)
        return float(np.sqrt((far**2).mean())), float(far.max())

    @property
    def slices(self) -> int:
        """How many slices the object has."""
        return len(self.depths) - 1


def take_snapshot(
    problem: Problem | TiltSeries,
    state: State,
    status: str = "",
    iterations: int = 0,
    seconds_per_iteration: float | None = None,
    look: DisplaySettings | None = None,
) -> Snapshot:
    """Display arrays of a state: of what is looked at, and no others."""
    look = look or DisplaySettings()
    shown = _known(look.slice, len(state.object)) if len(state.object) > 1 else None
    phase, amplitude, step = shown_transmission(problem, state, LARGEST, shown)
    one, own = one_view(problem, state, look.view)
    modes = orthogonalise(problem.backend.to_numpy(own.probe))
    mode = _known(look.mode, len(modes)) if len(modes) > 1 else 0
    probe = modes if mode is None else modes[mode : mode + 1]
    spectra = sfft.fft2(probe, norm="ortho")
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
        probe=beside(np.fft.fftshift(probe, axes=(-2, -1))),
        probe_sampling=single(problem.sampling),
        probe_fourier=beside(np.fft.fftshift(spectra, axes=(-2, -1))),
        probe_fourier_sampling=single(
            (1 / (problem.sampling[0] * modes.shape[-2]), 1 / (problem.sampling[1] * modes.shape[-1]))
        ),
        depths=tuple(np.r_[0.0, np.cumsum(thicknesses(state))].tolist()),
        slice=shown,
        occupations=tuple(occupations(modes).tolist()),
        mode=mode,
        **_more(one, own, look),
        **_of_volume(problem, look),
        **_section(problem, state, look),
    )


def one_view(problem: Problem | TiltSeries, state: State, number: int) -> tuple[Problem, State]:
    """The problem of one view and what of a state is its own: probe, positions, parameters; not its slices.

    A single view is the only one, and a number that there is not stands for the last.
    """
    if not isinstance(problem, TiltSeries):
        return problem, state
    number = min(number, len(problem.views) - 1)
    return problem.views[number], problem.own_part(state, number)


def _of_volume(problem: Problem | TiltSeries, look: DisplaySettings) -> dict[str, Any]:
    if not isinstance(problem, TiltSeries):
        return {}
    tilts = tuple(projection.tilt for projection in problem.projections)
    return {"tilts": tilts, "view": min(look.view, len(tilts) - 1)}


def _section(problem: Any, state: State, look: DisplaySettings) -> dict[str, Any]:
    if look.section is None or len(state.object) == 1:
        return {}
    section, sampling = depth_section(problem, state, look.section, LARGEST)
    return {"section": section, "section_sampling": sampling}


def _more(problem: Problem, state: State, look: DisplaySettings) -> dict[str, Any]:
    """What only some models have, as far as it is looked at."""
    found: dict[str, Any] = {}
    known = state.parameters
    diffuse = problem.model.diffuse
    if diffuse is not None and "tds_strength" in known and len(known["tds_strength"]) == len(diffuse.elements):
        found["elements"] = diffuse.elements
        found["b_factors"] = tuple(np.ravel(problem.backend.to_numpy(known["b_factor"])).tolist())
        channel = found["channel"] = _known(look.channel, len(known["tds_strength"]))
        if channel is not None:
            found["tds_strength"] = shown_map(problem, known["tds_strength"][channel], LARGEST)
    moved = position_corrections(problem, state)
    if moved is not None:
        found["position_corrections"], found["scan_step"] = moved, single(problem.measurement.calibration.scan_steps)
    if "displacement" in known:
        found["displacement"] = shown_map(problem, known["displacement"][None], LARGEST)
    if "background" in known:
        found["background"] = np.fft.fftshift(problem.backend.to_numpy(known["background"])).astype(np.float32)
    return found


def beside(waves: np.ndarray) -> np.ndarray:
    """Waves (M, Ny, Nx) beside and below each other, each as bright as the others; one is left as it is.

    Examples
    --------
    >>> beside(np.ones((3, 2, 2))).shape
    (4, 4)
    """
    if len(waves) == 1:
        return waves[0].astype(np.complex64)
    across = int(np.ceil(np.sqrt(len(waves))))
    down = -(-len(waves) // across)
    ny, nx = waves.shape[-2:]
    tiles = np.zeros((down * across, ny, nx), np.complex64)
    for tile, wave in zip(tiles, waves, strict=False):
        tile[:] = wave / max(np.abs(wave).max(), np.finfo(np.float32).tiny)
    return tiles.reshape(down, across, ny, nx).swapaxes(1, 2).reshape(down * ny, across * nx)


def fourier_amplitude(
    field: np.ndarray, step: float | tuple[float, float]
) -> tuple[np.ndarray, float | tuple[float, float]]:
    """Log amplitude of the Fourier transform, Hann-windowed, zero in the middle; and its pixel in 1/A.

    The pixel is that of the longer side; the shorter is padded to a square. Step and pixel are one number, or one for
    rows and one for columns.
    """
    side = max(field.shape)
    window = np.hanning(field.shape[0])[:, None] * np.hanning(field.shape[1])[None]
    spectrum = sfft.fft2((field - field.mean()) * window, s=(side, side))
    return np.fft.fftshift(np.log1p(np.abs(spectrum))).astype(np.float32), single(
        (1 / (side * both(step)[0]), 1 / (side * both(step)[1]))
    )


def _is_real(problem: Problem | TiltSeries) -> bool:
    return not np.iscomplexobj(problem.initial_object)


def _known(number: int | None, count: int) -> int | None:
    """The number itself, or the last that there is."""
    return None if number is None else min(number, count - 1)
