"""How the states of a specimen differ: first as atoms that are displaced by so much, then as the data have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.parts.object_modes import displaced_phases, unit_fields
from ptywidgets.engine.problem.problem import Problem

DIFFERENCE = 1e-3  # A, for the derivative of a state's phase by its displacement
LARGEST = 1.0  # A
LEAST = 1e-3  # A


@dataclass(frozen=True)
class RefineObjectModes(Params):
    """Object modes as frozen phonons, displaced by u(r) f_k(r), and u found; later on each mode for itself.

    States follow from the object by :func:`ptywidgets.engine.models.parts.object_modes.displaced_phases`. Fields f_k
    are random, smooth over an atom and of unit variance; they come in pairs of opposite sign and stay for a run, so
    that the loss has a minimum to go to. The rms displacement u takes Gauss-Newton steps through dL/du = sum_k dL/dD_k
    dD_k/du, as one number at first and then as a map, smoothed over `radius`. From `free_from` on the modes' phases D_k
    take such steps themselves, with their mean left to the object: then motions that belong together may be found, from
    where the random ones begin. Both are done once an iteration, after its first batch.
    """

    radius: float = param(0.4, unit="A", low=0.05, high=5, step=0.05, doc="Of an atom, which moves as a whole.")
    step: float = param(1.0, low=0.0, high=4, step=0.05, doc="Share of the Gauss-Newton step.")
    first: int = param(2, low=0, high=100000, doc="Iteration in which atoms begin to move: there have to be some.")
    map_from: int = param(12, low=0, high=100000, doc="Iteration from which every place has its own displacement.")
    free_from: int | None = param(None, low=0, doc="Iteration from which modes are found one by one; none: never.")
    common: float = param(
        3.0, unit="A", low=0.1, high=100, step=0.1, doc="Free modes do not differ in what is as smooth as this."
    )
    damping: float = param(0.05, low=1e-6, high=10, log=True, doc="Of the best known place's curvature.")
    limit: float = param(0.2, low=0.01, high=0.9, step=0.01, doc="Largest change of a displacement, as its share.")
    seed: int = param(0, low=0, doc="Of the random fields.")

    acts_on = "parameters"
    needs = "object modes"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        if problem.model.object_modes is None:
            raise ParameterError(
                "object modes are to be refined but the model has none; make it with ModelConfig(object_modes=8)."
            )
        sampling = np.array(problem.sampling)
        sigma = float(self.radius / sampling.mean())
        count = problem.model.object_modes.count
        fields = unit_fields(count, problem.object_shape[-2:], sigma, self.seed)
        host = problem.backend.to_numpy

        def displaced(state: State, displacement: np.ndarray) -> np.ndarray:
            return displaced_phases(host(state.object), displacement[..., None] / sampling, fields)

        def apply(state: State, batch: Any) -> State:
            if state.iteration < self.first or state.batch > 1 or not self.step:
                return state
            g = problem.gradients(state, batch, with_probe=False, with_others=True)
            derivative = host(g.others["object_modes"])
            hessian = 2 * problem.curvature_bound * host(g.weights["object_modes"])
            if self.free_from is not None and state.iteration >= self.free_from:
                return self._freed(problem, state, derivative, hessian, self.common / sampling)
            u = np.asarray(host(state.parameters["displacement"]), np.float32)
            ways = displaced(state, u + DIFFERENCE) - displaced(state, u - DIFFERENCE)
            ways /= 2 * DIFFERENCE
            whole = state.iteration < self.map_from
            u = self._moved(
                u, (derivative * ways).sum((0, 1)), (hessian * ways**2).sum((0, 1)), None if whole else sigma
            )
            phases = problem.backend.to_device(displaced(state, u))
            return state.replace(
                parameters={**state.parameters, "object_modes": phases, "displacement": problem.backend.to_device(u)}
            )

        return apply

    def _moved(self, u: np.ndarray, derivative: np.ndarray, hessian: np.ndarray, sigma: float | None) -> np.ndarray:
        """The displacement (Y, X) after a step: as a whole, or smoothed by `sigma` px."""
        if sigma is None:
            derivative, hessian = (np.full(u.shape, values.sum(dtype=float)) for values in (derivative, hessian))
        else:
            derivative, hessian = (ndimage.gaussian_filter(values, sigma) for values in (derivative, hessian))
        ridge = self.damping * float(hessian.max()) * (sigma is not None) + np.finfo(np.float32).tiny
        wanted = -self.step * derivative / (hessian + ridge)
        return np.clip(u + np.clip(wanted, -self.limit * u, self.limit * u), LEAST, LARGEST).astype(np.float32)

    def _freed(
        self, problem: Problem, state: State, derivative: np.ndarray, hessian: np.ndarray, common: np.ndarray
    ) -> State:
        """A step of each mode for itself; what they have in common is the object's."""
        host, device = problem.backend.to_numpy, problem.backend.to_device
        change = -self.step * derivative / (hessian + self.damping * hessian.max())
        change -= ndimage.gaussian_filter(change, (0, 0, *common))
        phases = host(state.parameters["object_modes"]) + change.astype(np.float32)
        mean = phases.mean(0)
        obj = host(state.object)
        obj = obj * np.exp(1j * mean) if np.iscomplexobj(obj) else obj + mean
        found = {**state.parameters, "object_modes": device(phases - mean)}
        return state.replace(object=device(obj.astype(host(state.object).dtype)), parameters=found)


__all__ = ["RefineObjectModes"]
