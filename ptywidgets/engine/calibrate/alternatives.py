"""What else a start could be: orientations and defocuses that were tried, and how well each explains the counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.optics.aberrations import Aberrations

WORSE = 50.0  # per cent of the points that a scale of misfits tells apart: what matters is what is better than most


@dataclass(frozen=True)
class Alternative:
    """One orientation of the detector with a defocus, and what speaks for it."""

    rotation: float  # degrees, detector to scan, in (-180, 180]
    transpose: bool
    defocus: float  # A
    misfit: float  # of the counts, over what an empty object leaves: 0 explains all, 1 nothing
    probability: float  # of all alternatives together 1
    aberrations: Aberrations | None = None  # detector frame, found with it; None: its defocus alone was


@dataclass(frozen=True, eq=False)
class Landscape:
    """All points of a search, N of them, with the misfit of a short reconstruction at each."""

    rotation: np.ndarray  # (N,) degrees, in (-180, 180]
    transpose: np.ndarray  # (N,) bool
    defocus: np.ndarray  # (N,) A
    misfit: np.ndarray  # (N,) as of `Alternative`

    def __len__(self) -> int:
        return len(self.misfit)

    @property
    def span(self) -> tuple[float, float]:
        """The least misfit, and the one that half of the points exceed; NaN where no point has a misfit."""
        told = self.misfit[np.isfinite(self.misfit)]
        if not len(told):
            return math.nan, math.nan
        return float(told.min()), float(np.percentile(told, WORSE))

    @property
    def quality(self) -> np.ndarray:
        """(N,) 1 for the least misfit, 0 at the upper end of :attr:`span` and beyond; linear between.

        Examples
        --------
        >>> turns = np.array([-90.0, 0.0, 90.0, 150.0, 160.0])
        >>> misfit = np.array([0.3, 0.2, 0.6, 0.7, 0.4])
        >>> Landscape(turns, turns > 0, 100.0 + turns, misfit).quality.round(1).tolist()
        [0.5, 1.0, 0.0, 0.0, 0.0]
        """
        low, high = self.span
        return np.clip((high - self.misfit) / ((high - low) or 1.0), 0.0, 1.0)

    def thinned(self, most: int = 1600) -> Landscape:
        """At most so many of the points, from the worst to the best: what an image can show.

        Of more than `most` points, each cell of an even grid of rotation and defocus keeps the one with the least
        misfit, for each transpose. Points without a misfit are left out.

        Parameters
        ----------
        most : int
            At least 4.

        Returns
        -------
        Landscape

        Examples
        --------
        >>> turns = np.linspace(-179.0, 180.0, 5000)
        >>> many = Landscape(turns, turns > 0, 10 * turns, 0.5 + 0.1 * np.cos(np.radians(turns)))
        >>> few = many.thinned(400)
        >>> len(few) <= 400, bool(few.misfit[-1] == many.misfit.min()), bool((np.diff(few.misfit) <= 0).all())
        (True, True, True)
        """
        order = np.argsort(-self.misfit, kind="stable")
        order = order[np.isfinite(self.misfit[order])]
        if len(order) > most:
            rows = max(int(math.sqrt(most / 4)), 1)  # of defocus, twice as many of rotation, and two transposes
            across = _cell(self.rotation[order], -180.0, 180.0, 2 * rows)
            down = _cell(self.defocus[order], float(self.defocus.min()), float(self.defocus.max()), rows)
            cell = (self.transpose[order].astype(int) * rows + down) * 2 * rows + across
            _, last = np.unique(cell[::-1], return_index=True)  # the first from behind is the best of its cell
            order = order[np.sort(len(order) - 1 - last)]
        return Landscape(self.rotation[order], self.transpose[order], self.defocus[order], self.misfit[order])


def _cell(values: np.ndarray, low: float, high: float, count: int) -> np.ndarray:
    return np.clip(((values - low) / ((high - low) or 1.0) * count).astype(int), 0, count - 1)


__all__ = ["Alternative", "Landscape"]
