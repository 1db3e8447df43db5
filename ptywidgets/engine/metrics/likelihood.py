"""Tests of whether the counts agree with the model within counting statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.protocols import Loss
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.units import inverse_angstrom_to_mrad
from ptywidgets.engine.losses.losses import PoissonLoss, get_loss
from ptywidgets.engine.problem.problem import Problem

_CHUNK = 64  # patterns at a time


@dataclass(frozen=True, eq=False)
class ChiSquared:
    """Reduced chi squared in rings of the detector."""

    edges: np.ndarray  # (R + 1,) mrad
    chi_squared: (
        np.ndarray
    )  # (R,) 1 where the model is right and the counts are Poisson distributed; NaN where nothing counts
    uncertainty: np.ndarray  # (R,) standard deviation that it would have there
    measured: np.ndarray  # (R,) mean counts of a pixel
    modelled: np.ndarray  # (R,)
    pixels: np.ndarray  # (R,) pixels of all patterns together

    @property
    def angles(self) -> np.ndarray:
        """Middles of the rings (R,) in mrad."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    def within(self, low: float = 0.0, high: float = np.inf) -> float:
        """Chi squared of all rings whose middle lies between two angles in mrad.

        ``within(0, semiangle)`` is the bright field, ``within(semiangle)`` the dark field, where light that was
        scattered incoherently shows as more than 1.
        """
        chosen = (self.angles >= low) & (self.angles <= high) & (self.pixels > 0)
        if not chosen.any():
            raise ParameterError(
                f"no ring lies between {low:g} and {high:g} mrad; the last ends at {self.edges[-1]:g}."
            )
        return float(np.average(self.chi_squared[chosen], weights=self.pixels[chosen]))


def chi_squared_rings(
    problem: Problem,
    state: State,
    rings: int | Sequence[float] = 16,
    *,
    held_out: bool = False,
    counts_per_electron: float = 1.0,
    least: float = 1e-3,
) -> ChiSquared:
    """How large the differences from the model are by what counting statistics allow, ring by ring of the detector.

    chi^2 = 1/N sum (D - I)^2 / (g I), Pearson's, over the N pixels of a ring in all patterns; I is modelled, D counted,
    g the counts that one electron makes. Where the model is right it is 1 +- sqrt((2 + g <1/I>) / N), by the fourth
    moment of the Poisson distribution. Fitted parameters are not subtracted from N, so that counts that were fitted
    give somewhat less than 1; counts that were held out do not.

    Parameters
    ----------
    problem : Problem
        Of whole counts, or of counts times a known factor.
    state : State
        Of that problem.
    rings : int or sequence of float
        How many, up to the inscribed circle of the detector; or their edges in mrad.
    held_out : bool
        Compare with the counts that :func:`ptywidgets.engine.problem.held_out.hold_out` took away, not with all
        patterns.
    counts_per_electron : float
        g, of a detector that does not count single electrons.
    least : float
        Pixels with less modelled counts than this are left out: their share would be nearly always 0 and now and then
        enormous.

    Returns
    -------
    ChiSquared

    Raises
    ------
    DataError
        When counts that were held out are asked for and there are none.
    ParameterError
        When the rings make no sense.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem()
    >>> found = chi_squared_rings(problem, problem.start(), [0, 20, 40])
    >>> found.chi_squared.shape, bool(found.within(0, 20) > 1)
    ((2,), True)
    """
    ring, edges = _rings(problem, rings)
    number = len(edges) - 1
    sums = np.zeros((5, number))
    for measured, modelled in _chunks(problem, state, held_out):
        used = (measured >= 0) & (modelled >= least) & (ring < number)
        place = np.broadcast_to(ring, used.shape)[used]
        d, i = measured[used].astype(np.float64) ** 2, modelled[used].astype(np.float64)
        spread = counts_per_electron * i
        for total, values in zip(sums, (np.ones_like(d), (d - i) ** 2 / spread, 1 / i, d, i), strict=True):
            total += np.bincount(place, values, number)
    pixels = sums[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        chi, inverse, measured_mean, modelled_mean = sums[1:] / pixels
        uncertainty = np.sqrt((2 + counts_per_electron * inverse) / pixels)
    return ChiSquared(edges, chi, uncertainty, measured_mean, modelled_mean, pixels.astype(np.int64))


def held_out_likelihood(problem: Problem, state: State, loss: str | Loss = "poisson") -> float:
    """Logarithm of the likelihood of the counts that were held out, per pattern: larger is better, 0 is the best.

    log L = sum D - I + D log(I / D), of Poisson counts, by that of a model that gives I = D everywhere. The right model
    is expected to have about minus half of the number of pixels with a few counts or more; only differences between
    models mean something. Fitted noise lowers it, which the error of the counts that were fitted does not show.

    Parameters
    ----------
    problem : Problem
        With held-out counts, from :func:`ptywidgets.engine.problem.held_out.hold_out`.
    state : State
        Of that problem.
    loss : str or Loss
        Minus the logarithm of the likelihood of a pixel; with ``"anscombe"`` twice its sum is `HeldOut.misfit`.

    Returns
    -------
    float

    Raises
    ------
    DataError
        When nothing was held out.

    Examples
    --------
    >>> from ptywidgets.engine.problem.held_out import hold_out
    >>> from ptywidgets.testing import example_problem
    >>> problem = hold_out(example_problem())
    >>> held_out_likelihood(problem, problem.start()) < 0
    True
    """
    law = PoissonLoss() if loss == "poisson" else get_loss(loss)
    total = 0.0
    for measured, modelled in _chunks(problem, state, held_out=True):
        total += float(law.value(modelled, measured).sum(dtype=np.float64))
    assert problem.held_out is not None
    return -total / len(problem.held_out.indices)


def _chunks(problem: Problem, state: State, held_out: bool) -> Any:
    """Measured amplitudes, -1 where nothing was measured, and modelled intensities, (B, Ny, Nx) each."""
    if held_out and problem.held_out is None:
        raise DataError("no counts were held out; make the problem by hold_out(problem), which needs whole counts.")
    held = problem.held_out if held_out else None
    patterns = problem.patterns if held is None else held.patterns.crop(problem.window)
    indices = np.arange(problem.count) if held is None else held.indices
    for start in range(0, len(indices), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(indices)))
        modelled = problem.backend.to_numpy(problem.intensities(state, indices[rows]))
        if held is None:
            measured = problem.backend.to_numpy(problem.backend.amplitudes(patterns, rows, np.float32))
        else:
            measured, modelled = patterns.amplitudes(rows), modelled * np.float32(held.share)
        yield measured, modelled


def _rings(problem: Problem, rings: int | Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Number of the ring of each pixel (Ny, Nx), in FFT order, as large as their number where there is none; edges."""
    energy = problem.measurement.calibration.require("energy")
    axes = [np.fft.fftfreq(n, s) for n, s in zip(problem.window, problem.sampling, strict=True)]
    angle = inverse_angstrom_to_mrad(np.hypot(axes[0][:, None], axes[1][None]), energy)
    if isinstance(rings, (int, np.integer)):
        edges = np.linspace(0, inverse_angstrom_to_mrad(0.5 / max(problem.sampling), energy), int(rings) + 1)
    else:
        edges = np.asarray(rings, float)
    if len(edges) < 2 or (np.diff(edges) <= 0).any() or edges[0] < 0:
        raise ParameterError(f"rings is {rings}; expected how many, or at least two rising edges in mrad.")
    ring = np.searchsorted(edges, angle, side="right") - 1
    return np.where(ring < 0, len(edges) - 1, ring), edges
