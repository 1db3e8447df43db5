"""The pictures that a running reconstruction shows: where each comes from and how it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ptywidgets.reconstruction import Snapshot


@dataclass(frozen=True)
class Shown:
    """One of the pictures: where it comes from and how it looks."""

    label: str  # on its button
    title: str
    array: Callable[[Snapshot], Any]
    sampling: Callable[[Snapshot], float]
    unit: str
    cmap: str = "gray"
    at_first: bool = True
    centred: bool = False  # coordinate 0 is in the middle


SHOWN = {
    "phase": Shown("Phase", "Object phase (rad)", lambda s: s.object_phase, lambda s: s.object_sampling, "A", "magma"),
    "amplitude": Shown(
        "Amplitude", "Object amplitude", lambda s: s.object_amplitude, lambda s: s.object_sampling, "A", at_first=False
    ),
    "fft": Shown(
        "FFT", "Fourier transform of the object (log)", lambda s: s.object_fft, lambda s: s.fft_sampling, "1/A",
        "inferno", centred=True,
    ),
    "probe": Shown("Probe", "Probe", lambda s: s.probe, lambda s: s.probe_sampling, "A", centred=True),
    "probe_fourier": Shown(
        "Probe, Fourier", "Probe, Fourier space", lambda s: s.probe_fourier, lambda s: s.probe_fourier_sampling, "1/A",
        at_first=False, centred=True,
    ),
}  # fmt: skip

__all__ = ["SHOWN", "Shown"]
