"""How close a reconstruction is to a known truth.

The measure is the correlation of the phases once everything is taken off that ptychography cannot know: where the
picture lies, a constant and a linear ramp of the phase, and its sign.

Pixels of the reconstruction go to pixels of the truth by the affine map that takes its positions to the true ones best.
Both phases pass a soft low-pass at 0.6 of the highest frequency of the reconstruction; inside the hull of the positions
(drawn in a little) they are compared. What shift is left is found by correlation: whole pixels by Fourier transforms,
its fraction by Gauss and Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage
from scipy.spatial import ConvexHull

SHARE = 0.6  # of the highest frequency
SOFTNESS = 0.04  # of the edge of the low-pass, of its frequency
REACH = 4  # pixels that a reconstruction may be off beyond what its positions say


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
    phase = np.angle(image) if np.iscomplexobj(image) else np.asarray(image, float)
    positions = np.asarray(positions, float)
    offsets = np.c_[positions, np.ones(len(positions))]
    affine, *_ = np.linalg.lstsq(offsets, truth.positions / truth.sampling, rcond=None)  # (3, 2)
    pixel = np.sqrt(abs(np.linalg.det(affine[:2]))) * truth.sampling
    corner, inside = _compared(positions, phase.shape)
    region = tuple(slice(c, c + n) for c, n in zip(corner, inside.shape, strict=True))
    measured = _low_pass(phase, pixel, truth.cutoff)[region][inside]
    spline = ndimage.spline_filter(_low_pass(truth.phase, truth.sampling, truth.cutoff), order=3, mode="grid-wrap")

    def true_phase(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The low-passed truth at pixels of the reconstruction."""
        at = [rows * affine[0, k] + columns * affine[1, k] + affine[2, k] for k in (0, 1)]
        return ndimage.map_coordinates(spline, at, order=3, mode="grid-wrap", prefilter=False)

    rows, columns = (v + c for v, c in zip(np.nonzero(inside), corner, strict=True))
    ramp, _ = np.linalg.qr(np.c_[np.ones(len(rows)), rows - rows.mean(), columns - columns.mean()])
    measured = measured - ramp @ (ramp.T @ measured)
    field = np.full(inside.shape, 0.0)
    field[inside] = measured
    planes = np.zeros((3, *inside.shape))
    planes[:, inside] = ramp.T
    wide = [np.arange(-REACH, n + REACH, dtype=float) + c for n, c in zip(inside.shape, corner, strict=True)]
    shift = np.array(_whole_shift(field, planes, inside, true_phase(*np.meshgrid(*wide, indexing="ij"))), float)

    def moved(by: np.ndarray) -> np.ndarray:
        at = true_phase(rows + by[0], columns + by[1])
        return at - ramp @ (ramp.T @ at)

    best = moved(shift)
    for _ in range(6):
        # measured = gain (best + slope . step): least squares for the gain and gain * step
        slopes = [(moved(shift + d) - moved(shift - d)) / 0.5 for d in 0.25 * np.eye(2)]
        (gain, *scaled), *_ = np.linalg.lstsq(np.stack([best, *slopes], 1), measured, rcond=None)
        step = np.clip(np.array(scaled) / gain, -0.5, 0.5) if gain else np.zeros(2)
        trial = moved(shift + step)
        if abs(_correlation(measured, trial)) <= abs(_correlation(measured, best)):
            break
        shift, best = shift + step, trial
        if np.abs(step).max() < 2e-3:
            break
    value = _correlation(measured, best)
    sign = -1 if value < 0 else 1
    rms = float(np.sqrt(np.mean((sign * measured - best) ** 2)))
    gain = sign * float(measured @ best / (best @ best))
    return Score(abs(value), rms, gain, sign, (float(shift[0]), float(shift[1])))


def _low_pass(phase: np.ndarray, pixel: float, cutoff: float) -> np.ndarray:
    """A phase (Y, X) without frequencies above `cutoff` (1/A)."""
    y = fft.fftfreq(phase.shape[0], pixel)[:, None]
    x = fft.rfftfreq(phase.shape[1], pixel)[None]
    excess = (np.hypot(y, x) - cutoff) / (SOFTNESS * cutoff)
    weights = 1 / (1 + np.exp(np.minimum(excess, 50)))
    return fft.irfft2(weights * fft.rfft2(np.asarray(phase, float)), s=phase.shape)


def _compared(positions: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """First pixel of a box and which of its pixels lie in the hull of the positions, drawn in by part of a step."""
    hull = ConvexHull(positions)
    corners = positions[hull.vertices]
    middle = corners.mean(0)
    shrink = 1 - 0.6 / np.sqrt(len(positions))
    low = np.maximum(np.floor(middle + (corners.min(0) - middle) * shrink), 0).astype(int)
    high = np.minimum(np.ceil(middle + (corners.max(0) - middle) * shrink) + 1, shape).astype(int)
    y, x = (np.arange(a, b, dtype=float) for a, b in zip(low, high, strict=True))
    inside = np.ones((len(y), len(x)), bool)
    for normal_y, normal_x, offset in hull.equations:  # all points of the hull have normal . point + offset <= 0
        depth = normal_y * middle[0] + normal_x * middle[1] + offset
        edge = -depth * shrink  # distance of the drawn-in side from the middle
        inside &= (y[:, None] - middle[0]) * normal_y + (x[None] - middle[1]) * normal_x <= edge
    return low, inside


def _whole_shift(field: np.ndarray, planes: np.ndarray, inside: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """Shift in pixels, at most `REACH`, at which a field (0 outside) correlates with a truth that reaches further."""
    shape = [fft.next_fast_len(n, real=True) for n in truth.shape]
    window = slice(0, 2 * REACH + 1)

    def against(what: np.ndarray, transform: np.ndarray) -> np.ndarray:
        return fft.irfft2(np.conj(fft.rfft2(what, shape)) * transform, shape)[window, window]

    truth = truth - truth.mean()
    plain, square = fft.rfft2(truth, shape), fft.rfft2(truth**2, shape)
    power = against(inside.astype(float), square) - sum(against(p, plain) ** 2 for p in planes)
    correlation = against(field, plain) / np.sqrt(np.maximum(power, 1e-30))
    row, column = np.unravel_index(np.abs(correlation).argmax(), correlation.shape)
    return int(row) - REACH, int(column) - REACH


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-30))
