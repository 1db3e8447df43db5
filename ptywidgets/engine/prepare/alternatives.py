"""What else a start could be: orientations and defocuses that were tried, and how well each explains the counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alternative:
    """One orientation of the detector with a defocus, and what speaks for it."""

    rotation: float  # degrees, detector to scan, in (-180, 180]
    transpose: bool
    defocus: float  # A
    misfit: float  # of the counts, over what an empty object leaves: 0 explains all, 1 nothing
    probability: float  # of all alternatives together 1


@dataclass(frozen=True, eq=False)
class Landscape:
    """All points of a search, N of them, with the misfit of a short reconstruction at each."""

    rotation: np.ndarray  # (N,) degrees, in (-180, 180]
    transpose: np.ndarray  # (N,) bool
    defocus: np.ndarray  # (N,) A
    misfit: np.ndarray  # (N,) as of `Alternative`

    def __len__(self) -> int:
        return len(self.misfit)


__all__ = ["Alternative", "Landscape"]
