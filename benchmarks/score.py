"""How close a reconstruction is to a known truth.

The measure is the correlation of the phases once everything is taken off that ptychography cannot know: where the
picture lies, a constant and a linear ramp of the phase, and its sign; see `ptywidgets.metrics.compare_to_truth`. Both
phases pass a soft low-pass at 0.6 of the highest frequency of the reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.metrics import compare_to_truth

SHARE = 0.6  # of the highest frequency


@dataclass(frozen=True)
class Truth:
    """What is known."""

    phase: np.ndarray  # (Y, X) rad
    positions: np.ndarray  # (J, 2) A, from pixel [0, 0]
    sampling: float  # A per pixel of `phase`
    pixel: float  # A per pixel of a reconstruction, which says how fine it can be

    @property
    def cutoff(self) -> float:
        """Frequency of the low-pass in 1/A."""
        return SHARE * 0.5 / self.pixel


@dataclass(frozen=True)
class Score:
    """How close it is."""

    correlation: float
    rms: float  # rad
    gain: float  # contrast of the reconstruction by that of the truth
    sign: int  # -1 where black and white are exchanged
    shift: tuple[float, float]  # px, what positions did not tell


def score(image: np.ndarray, positions: np.ndarray, truth: Truth) -> Score:
    """Compare a reconstruction with the truth.

    Parameters
    ----------
    image : ndarray (Y, X)
        Complex, or a phase in rad.
    positions : ndarray (J, 2)
        In its pixels.
    truth : Truth
        What it should be.

    Examples
    --------
    >>> from scipy import ndimage
    >>> generator = np.random.default_rng(0)
    >>> phase = ndimage.gaussian_filter(generator.normal(size=(96, 96)), 4, mode="wrap")
    >>> pixels = generator.uniform(24, 64, (100, 2))
    >>> truth = Truth(phase, 0.5 * pixels, 0.5, 0.5)
    >>> found = score(np.exp(-2j * (phase + 0.3)), pixels + [0.3, -1], truth)
    >>> round(found.correlation, 4), found.sign, round(found.gain, 3)
    (1.0, -1, 2.0)
    >>> [round(v, 2) for v in found.shift]
    [0.3, -1.0]
    """
    found = compare_to_truth(
        image,
        np.asarray(positions, float) * truth.pixel,
        truth.phase,
        truth.positions,
        sampling=truth.pixel,
        truth_sampling=truth.sampling,
        cutoff=truth.cutoff,
        either_sign=True,
    )
    y, x = (-s / truth.pixel for s in found.gauge.shift)
    return Score(found.correlation, found.rms, found.contrast, found.gauge.sign, (y, x))
