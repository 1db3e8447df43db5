"""Where the positions lie in the object's pixels: whole pixels for cutting, the rest for shifting the probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend

NEGLIGIBLE = 1e-6  # px; a smaller rest is not worth a transform


@dataclass(frozen=True)
class Where:
    """Where a batch of positions lies, or a chunk of it."""

    corners: Any  # (B, 2) int, first pixel of each window in the object
    fractions: Array | None  # (B, 2) px, sub-pixel rest of the positions; None where all are whole
    shifts: Array | None  # (B, 2) detector px, sub-pixel rest of the origin; None where there is none

    def part(self, places: Any) -> Where:
        """A chunk, by places in the batch."""
        return Where(
            self.corners[places],
            None if self.fractions is None else self.fractions[places],
            None if self.shifts is None else self.shifts[places],
        )


@dataclass(frozen=True)
class Geometry:
    """Where every position lies, ready for the model."""

    corners: np.ndarray  # (J, 2) int
    fractions: np.ndarray | None  # (J, 2) float, in [-0.5, 0.5]
    shifts: np.ndarray | None  # (J, 2) float

    @classmethod
    def from_pixels(cls, positions: np.ndarray, window: tuple[int, int], shifts: np.ndarray | None) -> Geometry:
        """From positions (J, 2) of the probe's centre in object pixels.

        Examples
        --------
        >>> geometry = Geometry.from_pixels(np.array([[10.25, 8.0]]), (8, 8), None)
        >>> geometry.corners.tolist(), geometry.fractions.tolist()
        ([[6, 4]], [[0.25, 0.0]])
        """
        nearest = np.rint(positions).astype(np.int64)
        fractions = positions - nearest
        return cls(
            corners=nearest - np.array([n // 2 for n in window]),
            fractions=fractions if np.abs(fractions).max() > NEGLIGIBLE else None,
            shifts=shifts if shifts is not None and np.abs(shifts).max() > NEGLIGIBLE else None,
        )

    def at(self, backend: Backend, batch: Any) -> Where:
        """The positions of a batch, on the device."""
        device = backend.to_device
        return Where(
            corners=self.corners[batch],
            fractions=None if self.fractions is None else device(self.fractions[batch]),
            shifts=None if self.shifts is None else device(self.shifts[batch]),
        )
