"""Aberrations found inside the run: the probe stays what a lens makes of its aperture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import unknown_name
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.optics.aberrations import ALIASES, SYMBOLS, Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names, polynomials
from ptywidgets.engine.optics.probe import frequencies
from ptywidgets.engine.problem.batches import spread
from ptywidgets.engine.problem.problem import Problem

RIDGE = 1e-3  # of each coefficient's own curvature
NAMES = coefficient_names()  # what the entries of a state's parameters["aberrations"] are, A


@dataclass(frozen=True)
class RefineOptics(Params):
    """A Gauss-Newton step in coefficients of chi: P <- F^-1[exp(-i sum_n dc_n dchi/dc_n) F P], for all modes.

    Chi is linear in Cartesian coefficients, so that each direction is dP/dc = F^-1[-i dchi/dc F P]. What was changed in
    all is added up in ``state.parameters["aberrations"]``, in A, in the order of ``coefficient_names()``; see
    :func:`refined_aberrations`. For an algorithm that holds the probe (`hold_probe`): one that changes it too needs no
    aberrations beside it.
    """

    terms: str = param("defocus, astigmatism", doc='Coefficients, such as "defocus, astigmatism, coma" or "C10, C21a".')
    order: int = param(0, low=0, high=5, doc="All coefficients up to this order besides; 0: none.")
    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the Gauss-Newton step.")
    limit: float = param(0.5, unit="rad", low=0.001, high=10, step=0.05, doc="Largest change of chi at a time (rms).")
    sample: int = param(32, low=1, high=1000000, doc="Positions that measure the curvature, spread over the scan.")

    acts_on = "probe"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.coefficients  # noqa: B018  # raises where a name is unknown

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Cartesian names of what is refined.

        Examples
        --------
        >>> RefineOptics(terms="defocus, coma").coefficients
        ('C10', 'C21a', 'C21b')
        """
        wanted = set(coefficient_names(self.order)) if self.order else set()
        for name in self.terms.replace(",", " ").split():
            symbol = "C10" if name == "defocus" else ALIASES.get(name, name)
            both = [n for n in NAMES if symbol in (n, n.rstrip("ab"))]
            if not both:
                known = ["defocus", *(n for n, s in ALIASES.items() if s in SYMBOLS), *SYMBOLS, *NAMES]
                raise unknown_name("aberration", name, known)
            wanted.update(both)
        return tuple(name for name in NAMES if name in wanted)

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        backend, names = problem.backend, self.coefficients
        places = [NAMES.index(name) for name in names]
        shapes = [backend.to_device(shape) for shape in chi_shapes(problem, names)]
        xp = backend.xp

        def apply(state: State, batch: Any) -> State:
            batch = np.asarray(batch)
            spectra = xp.fft.fft2(state.probe)  # of the probe's own precision on either device
            directions = [Direction(probe=_along(xp, spectra, shape).astype(state.probe.dtype)) for shape in shapes]
            g = problem.gradients(state, batch, with_probe=True)
            down = np.array([d.dot(Direction(probe=g.probe)) for d in directions])
            sample = spread(state.positions, batch, self.sample)
            hessian = problem.curvature(state, sample, directions) / 2 * (len(batch) / len(sample))
            hessian += np.diag(RIDGE * np.diag(hessian) + np.finfo(float).tiny)
            change = self.step * np.linalg.solve(hessian, down)
            power = spectra.real**2 + spectra.imag**2
            chi = sum(c * shape for c, shape in zip(change.tolist(), shapes, strict=True))
            rms = float(xp.sqrt((power * chi**2).sum() / power.sum()))
            shrink = min(1.0, self.limit / max(rms, np.finfo(float).tiny))
            probe = xp.fft.ifft2(spectra * xp.exp(-1j * shrink * chi)).astype(state.probe.dtype)
            total = np.zeros(len(NAMES)) + np.asarray(state.parameters.get("aberrations", 0.0))
            total[places] += shrink * change
            return state.replace(probe=probe, parameters={**state.parameters, "aberrations": total})

        return apply


def refined_aberrations(state: State, first: Aberrations) -> Aberrations:
    """Aberrations of a state's probe, which began with `first` and was refined by :class:`RefineOptics`.

    Examples
    --------
    >>> from ptywidgets.engine.core.state import State
    >>> change = np.zeros(len(NAMES)); change[0] = 20.0
    >>> state = State(None, None, None, parameters={"aberrations": change})
    >>> refined_aberrations(state, Aberrations(defocus=100))
    Aberrations(C10=-80)
    """
    change = state.parameters.get("aberrations")
    if change is None:
        return first
    known = first.cartesian
    return Aberrations(**{name: known[name] + float(c) for name, c in zip(NAMES, change, strict=True)})


def chi_shapes(problem: Problem, names: tuple[str, ...]) -> list[np.ndarray]:
    """What each coefficient multiplies in chi (Ny, Nx), rad/A, in FFT order, without constant in the aperture."""
    ky, kx = frequencies(problem.window, problem.sampling)
    energy = problem.measurement.calibration.require("energy")
    shapes = polynomials(names, ky + 1j * kx, wavelength(energy))
    spectra = np.fft.fft2(problem.initial_probe)
    power = (np.abs(spectra) ** 2).sum(0)
    return [np.broadcast_to(s, power.shape) - (s * power).sum() / power.sum() for s in shapes]


def _along(xp: Any, spectra: Array, shape: Array) -> Array:
    """dP/dc (M, Ny, Nx) of the coefficient that multiplies `shape` in chi."""
    return xp.fft.ifft2(-1j * shape * spectra)
