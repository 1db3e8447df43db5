"""The images that a running reconstruction shows: where each comes from and how it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ptywidgets.reconstruction import Snapshot
from ptywidgets.widgets.run.display_bar import diffuse_text, mode_text, slice_text

FLATTEST, TALLEST = 0.3, 1.2  # height by width of a section that is drawn to scale


@dataclass(frozen=True)
class Shown:
    """One of the images: where it comes from and how it looks."""

    label: str  # on its button
    title: str
    array: Callable[[Snapshot], Any]  # None where the snapshot does not hold it
    sampling: Callable[[Snapshot], Any]
    unit: str
    cmap: str = "gray"
    at_first: bool = True
    centred: bool = False  # coordinate 0 is in the middle
    offered: Callable[[Snapshot], bool] = lambda _snapshot: True  # whether there is such a thing
    note: Callable[[Snapshot], str] = lambda _snapshot: ""
    scale: Callable[[Snapshot], bool] = lambda _snapshot: True  # whether a scale of colours is drawn, or a wheel
    aspect: Callable[[Snapshot], float] = lambda _snapshot: 0.0  # height of a pixel by its width; 0: to scale


def one_mode(snapshot: Snapshot) -> bool:
    """Whether one mode fills the image, with room for a colour wheel."""
    return snapshot.mode is not None


def section_aspect(snapshot: Snapshot) -> float:
    """Height of a section's pixels by their width: to scale, but for a section too flat or too tall to be read."""
    assert snapshot.section is not None
    (rows, columns), (deep, along) = snapshot.section.shape, snapshot.section_sampling
    ratio = rows * deep / (columns * along)
    return min(max(ratio, FLATTEST), TALLEST) * columns / rows


def section_text(snapshot: Snapshot) -> str:
    """How deep a section is, and whether it is to scale."""
    if snapshot.section is None:
        return ""
    deep, along = snapshot.section_sampling
    stretched = section_aspect(snapshot) * along / deep
    scale = "to scale" if abs(stretched - 1) < 0.01 else f"depth × {stretched:.2g}"
    return f"{snapshot.depths[-1]:.3g} Å deep, {scale}"


def drift_text(snapshot: Snapshot) -> str:
    """How far positions have moved."""
    if snapshot.position_corrections is None:
        return ""
    return "{:.2g} Å rms, at most {:.2g} Å".format(*snapshot.drift_size)


SHOWN = {
    "phase": Shown(
        "Phase", "Object phase (rad)", lambda s: s.object_phase, lambda s: s.object_sampling, "A", "magma",
        note=slice_text,
    ),
    "amplitude": Shown(
        "Amplitude", "Object amplitude", lambda s: s.object_amplitude, lambda s: s.object_sampling, "A",
        at_first=False, note=slice_text,
    ),
    "section": Shown(
        "Depth section", "Depth section (rad)", lambda s: s.section, lambda s: s.section_sampling, "A", "magma",
        at_first=False, offered=lambda s: s.slices > 1, note=section_text, aspect=section_aspect,
    ),
    "fft": Shown(
        "FFT", "Fourier transform of the object (log)", lambda s: s.object_fft, lambda s: s.fft_sampling, "1/A",
        "inferno", centred=True,
    ),
    "strength": Shown(
        "Diffuse", "Diffuse fraction", lambda s: s.tds_strength, lambda s: s.object_sampling, "A", "viridis",
        at_first=False, offered=lambda s: bool(s.elements), note=diffuse_text,
    ),
    "displacement": Shown(
        "Displacement", "Displacement of atoms, rms (Å)", lambda s: s.displacement, lambda s: s.object_sampling, "A",
        "viridis", at_first=False, offered=lambda s: s.displacement is not None,
    ),
    "probe": Shown(
        "Probe", "Probe", lambda s: s.probe, lambda s: s.probe_sampling, "A",
        centred=True, note=mode_text, scale=one_mode,
    ),
    "probe_fourier": Shown(
        "Probe, Fourier", "Probe, Fourier space", lambda s: s.probe_fourier, lambda s: s.probe_fourier_sampling, "1/A",
        at_first=False, centred=True, note=mode_text, scale=one_mode,
    ),
    "drift": Shown(
        "Drift", "Position corrections", lambda s: s.position_corrections, lambda s: s.scan_step, "A",
        at_first=False, offered=lambda s: s.position_corrections is not None, note=drift_text,
    ),
    "background": Shown(
        "Background", "Background (counts)", lambda s: s.background, lambda s: s.probe_fourier_sampling, "1/A",
        "viridis", at_first=False, centred=True, offered=lambda s: s.background is not None,
    ),
}  # fmt: skip

__all__ = ["SHOWN", "Shown", "section_aspect", "section_text"]
