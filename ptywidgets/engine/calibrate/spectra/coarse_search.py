"""Where the fit of the optics begins: orientation and defocus that explain most of the bright field, on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.calibrate.spectra.scan_spectra import ScanSpectra
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.direct.bright_field import BrightField

STEPS = 61  # defocuses of the search, on both sides of 0, at most


@dataclass(frozen=True)
class Coarse:
    """Where the fit begins."""

    rotation: float  # degrees
    transpose: bool
    c10: float  # A
    share: float
    chance: float  # what other defocuses and orientations explain


def search(
    bands: ScanSpectra,
    bright: BrightField,
    rotation: float | None = None,
    transpose: bool | None = None,
    c10: float | None = None,
    every: float = 7.5,
) -> Coarse:
    """Orientation and defocus that explain most, on a grid, with no other aberration.

    Rotations all around, or only the given one; both signs of the defocus.
    """
    rotations = bright.rotation + np.arange(0, 180, every) if rotation is None else [rotation]
    if c10 is not None and rotation is None:
        rotations = bright.rotation + np.arange(0, 360, every)
    grid = defocus_grid(bands) if c10 is None else np.array([c10, c10 * (1 + 1e-6) + 1e-6])
    best, all_shares = None, []
    for turned in (False, True) if transpose is None else (transpose,):
        for angle in rotations:
            check_stop()
            shares = bands.shares_by_defocus(float(angle), turned, grid).sum(0)
            all_shares.append(shares)
            place = int(shares.argmax())
            if best is None or shares[place] > best.share:
                best = Coarse(float(angle), turned, float(grid[place]), float(shares[place]), 0.0)
    assert best is not None
    return replace(best, chance=float(np.median(all_shares)))


def defocus_grid(bands: ScanSpectra) -> np.ndarray:
    """Values of C10 (A) so close that none in between is missed, as far as the probe fits into its window."""
    low = np.quantile(np.hypot(*bands.frequencies), 0.8)
    step = 1 / (2 * math.pi * bands.wavelength * bands.radius * low)
    farthest = 0.5 / (bands.edge * bands.wavelength * bands.radius)
    count = min(STEPS // 2, math.ceil(farthest / step))
    return np.arange(-count, count + 1) * step
