"""What patterns say of a model: of a batch together, and of each position by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptywidgets.engine.core.protocols import Array


@dataclass(frozen=True)
class Gradients:
    """What a batch says: the loss, the direction that lowers it, and how well each pixel was seen.

    With residual waves chi in the detector plane, `object` and `probe` are the sums of A^H chi, that is minus half the
    gradient of ``loss`` for the amplitude loss. `illumination` and `coverage` are the diagonals of the Gauss-Newton
    Hessian by the transmission and by the probe, with positions taken at whole pixels; of S slices S times that, since
    all of them move for the same residual. All arrays are the caller's.

    `others` are gradients (not halved, not turned) by the model's other parameters, by name, and `weights` what a
    change of each brings about in all counts together: a parameter whose gradient is its weight should be nothing.
    """

    loss: float
    object: Array  # (S, Y, X) complex64 or float32, as the object
    probe: Array | None  # (M, Ny, Nx) complex64, corner-centred, or None when the probe is held
    illumination: Array  # (1, Y, X) float32, the same for every slice
    coverage: Array | None  # (Ny, Nx) float32, corner-centred as the probe, or None when the probe is held
    others: Mapping[str, Array] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)

    def __add__(self, other: Gradients) -> Gradients:
        """What two batches say together."""
        by_probe = None if self.probe is None or other.probe is None else self.probe + other.probe
        coverage = None if self.coverage is None or other.coverage is None else self.coverage + other.coverage
        seen = self.illumination + other.illumination
        others = {name: self.others[name] + other.others[name] for name in self.others}
        weights = {name: self.weights[name] + other.weights[name] for name in self.weights}
        return Gradients(self.loss + other.loss, self.object + other.object, by_probe, seen, coverage, others, weights)


@dataclass(frozen=True)
class WindowGradients:
    """The same for each position of a chunk by itself, on its window; in a worker's memory until its next chunk."""

    loss: Any
    object: Array  # (B, S, Ny, Nx), as the object
    waves: Array  # (B, M, Ny, Nx) by the incident waves
    passed: Array  # (B, Ny, Nx) float, |t|^2 through all slices
