"""The optics made finer on a coarse reconstruction, where phases are too strong for the linear model.

A fit to the bright field is right to a per cent or two of the defocus. A few rounds of a small reconstruction, which
knows no weak phase, take off most of what is left, and its object tells by its atoms which of the two is the true one.
The defocus is that of one plane: of a thin specimen the middle of its atoms, weighed by the squares of the columns'
phases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.calibrate.coarse.coarse_model import CoarseModel
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit, in_words
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle

MISFIT = 0.05  # share of the counts' energy that may be left unexplained beyond noise
UNSEEN = 2.0  # errors of the linear fit over what it states, on simulated specimens: strong phases bend all rings alike
SLOWEST = 2.5  # periods across a phase: what has fewer is its unevenness
RING = 0.1  # of a spatial frequency: half the width of the ring about it
FAR = (0.08, 1.5)  # of the defocus, and degrees: a fit that goes farther has lost its way


@dataclass(frozen=True)
class OpticsRefinement:
    """What a coarse reconstruction says of the optics."""

    fit: OpticsFit
    accepted: bool  # whether its numbers are those of the reconstruction
    misfit: float  # share of the counts' energy left, beyond the noise's
    phase: np.ndarray  # (Y, X) rad, detector frame, NaN where it is poorly illuminated
    peaks: float  # skewness of that phase: positive where atoms are bright
    peaks_clear: bool  # whether it is beyond chance
    fringes: float  # share of that phase that has one spatial frequency, in whatever directions
    message: str


@counted(rounds=1, side=1)
def refine_optics(
    measurement: Measurement,
    optics: Optics,
    fit: OpticsFit,
    *,
    hold: tuple[str, ...] = (),
    rounds: int = 3,
    side: int = 11,
) -> OpticsRefinement:
    """Refine a fit of the optics on a block of the scan.

    Parameters
    ----------
    measurement : Measurement
        Of the whole scan; its rotation is not used.
    optics : Optics
        For the aperture.
    fit : OpticsFit
        Where to begin.
    hold : tuple of str
        Coefficients, or "rotation", that are not changed.
    rounds : int
        The first is of the object alone.
    side : int
        Positions on a side of the block.

    Returns
    -------
    OpticsRefinement
        With the fit's numbers as they were and wider uncertainties, where the reconstruction does not describe the
        data (thick specimens); of the coma nothing is known then.
    """
    terms = tuple(n for n in fit.uncertainties if n not in ("rotation", "defocus"))
    values = np.array([fit.aberrations.cartesian[t] for t in terms])
    free = np.array([n not in hold for n in (*terms, "rotation")])
    model = CoarseModel(measurement, optics, terms, side)
    rotation = fit.rotation
    for index in range(rounds):
        step = model.update(values, rotation, fit.transpose, free if index else np.zeros_like(free))
        values, rotation = values + step[:-1], rotation + math.degrees(step[-1])
    phase = model.phase()
    peaks, clear = _peaks(phase[np.isfinite(phase)])
    misfit = max(0.0, model.loss - model.noise)
    aberrations = Aberrations(**{t: float(v) for t, v in zip(terms, values, strict=True) if v})
    before, after = fit.aberrations["defocus"], aberrations["defocus"]
    near = abs(after - before) <= FAR[0] * abs(before) and abs(wrapped_angle(rotation - fit.rotation)) <= FAR[1]
    accepted = bool(near and misfit < MISFIT and np.isfinite(values).all())
    if not accepted:
        wider = {n: math.inf if n.startswith("C21") and s else UNSEEN * s for n, s in fit.uncertainties.items()}
        words = in_words(fit.aberrations, fit.rotation, fit.transpose, wider)
        fit = replace(fit, uncertainties=wider, message=words)
        words = "a thin object does not describe these data well"
        return OpticsRefinement(fit, False, misfit, phase, peaks, clear, one_frequency(phase), words)
    rotation = wrapped_angle(rotation)
    words = in_words(aberrations, rotation, fit.transpose, fit.uncertainties)
    better = replace(fit, aberrations=aberrations, rotation=rotation, message=words)
    words = "refined on a coarse reconstruction"
    return OpticsRefinement(better, True, misfit, phase, peaks, clear, one_frequency(phase), words)


def one_frequency(phase: np.ndarray) -> float:
    """Return the share of a phase's power that lies in one ring of spatial frequencies, about the strongest.

    A lattice of which only the first reflections are transferred is such a phase: bright atoms and bright gaps between
    them look alike, so that nothing can be told from which of the two is brighter.

    Parameters
    ----------
    phase : ndarray (Y, X)
        NaN where it is not known.

    Returns
    -------
    float
        From 0 to 1; what is slower than the field of view is left out.

    Examples
    --------
    >>> y, x = np.mgrid[:48, :48]
    >>> one, other = np.cos(0.9 * x) + np.cos(0.45 * x + 0.78 * y), np.cos(1.6 * y)
    >>> bool(one_frequency(one) > 0.9), bool(one_frequency(one + other) < 0.8)
    (True, True)
    """
    known = np.isfinite(phase)
    if not known.any():
        return 0.0
    rows, columns = (np.flatnonzero(known.any(axis)) for axis in (1, 0))
    field = np.where(known, phase - phase[known].mean(), 0.0)
    field = field[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = min(field.shape)
    windows = (np.hanning(n + 2)[1:-1] for n in field.shape)
    size = 2 * max(field.shape)
    power = np.abs(np.fft.fft2(field * np.outer(*windows), (size, size))) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij"))
    power[frequency < SLOWEST / small] = 0.0
    if not power.any():
        return 0.0
    strongest = float(frequency.flat[int(power.argmax())])
    ring = np.abs(frequency - strongest) < max(RING * strongest, 2 / small)
    return float(power[ring].sum() / power.sum())


def _peaks(phase: np.ndarray) -> tuple[float, bool]:
    """Skewness, and whether it is beyond chance; a few pixels to each independent value."""
    spread = phase.std() if phase.size else 0.0
    if not spread:
        return 0.0, False
    skewness = float(((phase - phase.mean()) ** 3).mean() / spread**3)
    return skewness, abs(skewness) > 3 * math.sqrt(6 / max(1.0, phase.size / 16))
