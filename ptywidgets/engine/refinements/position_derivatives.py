"""How the loss changes as positions move: the exact gradient, and its own change in the Gauss-Newton approximation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.protocols import Array, Backend
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class PositionDerivatives:
    """What a batch of B positions says about where it should be.

    As elsewhere, `positions` and `object` are minus half of the loss's gradient, and `hessian` is half of its second
    derivative: hessian x step = positions is Newton's equation.
    """

    loss: float
    positions: np.ndarray  # (B, 2) 1/A
    hessian: np.ndarray  # (B, 2, 2) 1/A^2
    object: Array  # (S, Y, X), as the object

    def steps(self, damping: float) -> np.ndarray:
        """Steps (B, 2) in A, damped by a share of the mean curvature."""
        mean = max(float(np.einsum("jaa->", self.hessian)) / (2 * len(self.hessian)), np.finfo(float).tiny)
        return np.linalg.solve(self.hessian + damping * mean * np.eye(2), self.positions[..., None])[..., 0]


def position_derivatives(problem: Problem, state: State, batch: Any) -> PositionDerivatives:
    """Derivatives of the loss by the positions of a batch, each by itself.

    A position moves its incident waves, so that dL/dr_a = -2 Re<G, dP/dr_a> with G the gradient by the waves that any
    model's adjoint gives, and dP/dr_a = F^-1[-2 pi i k_a F P]. The second derivative is the Gauss-Newton one in the
    detector plane, sum l''_A / (4 I) dI_a dI_b with l''_A the loss's curvature by the modulus and dI_a = 2 Re sum_m
    conj(Psi) dPsi/dr_a. It must be taken there: most of the change of an exit wave, Re<Xi_a, Xi_b>, is a phase in the
    aperture that no detector sees, and steps by that would be some hundred times too short for a thin specimen.

    Parameters
    ----------
    problem : Problem
    state : State
    batch : array_like (B,) of int

    Returns
    -------
    PositionDerivatives
    """
    batch = np.asarray(batch)
    parts = problem.by_shards(_of_part, state, batch)
    if len(parts) == 1 and parts[0][2].object.shape == state.object.shape:
        return parts[0][2]
    whole = PositionDerivatives(
        loss=sum(part.loss for _, _, part in parts),
        positions=np.zeros((len(batch), 2)),
        hessian=np.zeros((len(batch), 2, 2)),
        object=problem.backend.xp.zeros_like(state.object),
    )
    for places, pixels, part in parts:
        whole.positions[places], whole.hessian[places] = part.positions, part.hessian
        rows, columns = pixels
        whole.object[..., rows, columns] += part.object
    return whole


def _of_part(problem: Problem, state: State, batch: np.ndarray) -> PositionDerivatives:
    """The same of positions that are worked on together."""
    backend, model, loss = problem.backend, problem.model_at(state), problem.loss
    xp = backend.xp
    where = problem.geometry(state.positions).at(backend, batch)
    slab = model.slab(backend, state.object)
    incident = model.incident(backend, state.probe, where.fractions)
    slopes, hessian = np.zeros((len(batch), 2)), np.zeros((len(batch), 2, 2))

    def task(places: Any, sums: list[Any]) -> None:
        here = where.part(places)
        waves = incident.waves(backend, places).copy()
        far = model.propagate_to_detector(backend, waves, slab, here)
        measured = backend.amplitudes(problem.patterns, batch[places], far.waves.real.dtype)
        expected, psi = model.expected(backend, far), far.waves.copy()
        value, residual, derivative = model.residual(backend, far, measured, loss)
        sums[0] += value
        aside = [model.detector.moving(backend, psi, axis) for axis in (0, 1)]  # with the window, on the detector
        asked = [0.0 if change is None else backend.to_numpy(_dots(change, residual)) for change in aside]
        by_waves = model.back(
            backend, residual, derivative, far, slab, here, sums[1]
        ).copy()  # products take its memory
        changes = []
        for axis in (0, 1):
            change = incident.tangent(backend, places, axis)
            slopes[places, axis] = backend.to_numpy(_dots(change, by_waves)) + asked[axis]
            exits = model.through.tangent(backend, waves, slab.transmission, here.corners, change, None)
            moved = model.detector.propagate(backend, exits, here.shifts)
            moved = moved if aside[axis] is None else moved + aside[axis]
            changes.append(_change(backend, model, psi, moved))
        weight = xp.maximum(loss.curvature(expected, measured), 0) / (8 * xp.maximum(expected, _least(expected)))
        for a in (0, 1):
            for b in range(a + 1):
                hessian[places, a, b] = hessian[places, b, a] = backend.to_numpy(
                    (weight * changes[a] * changes[b]).sum((1, 2))
                )

    chunks = backend.chunks(np.arange(len(batch)), incident.nbytes)
    total, *rest = backend.map_reduce(task, chunks, lambda: [0.0, xp.zeros_like(slab.transmission)])
    for part in rest:
        total = [total[0] + part[0], total[1] + part[1]]
    pixel = np.array(problem.sampling)
    return PositionDerivatives(
        loss=float(total[0]),
        positions=slopes / pixel,
        hessian=hessian / np.outer(pixel, pixel),
        object=slab.adjoint(backend, model.specimen, total[1]),
    )


def _change(backend: Backend, model: Model, waves: Array, tangent: Array) -> Array:
    """Change of the expected counts as waves (B, M, Ny, Nx) in the detector plane change."""
    change = 2 * (waves.real * tangent.real + waves.imag * tangent.imag).sum(1)
    return change if model.response is None else model.response.expect(backend, change)


def _least(expected: Array) -> Any:
    """What darker pixels are taken to have: a millionth of an electron."""
    return expected.dtype.type(1e-6)


def _dots(one: Array, two: Array) -> Array:
    """Re <one, two> (B,) over all axes but the first, along which one of them may have one entry for all."""
    product = one.real * two.real
    product += one.imag * two.imag
    return product.sum((1, 2, 3))
