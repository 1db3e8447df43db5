"""How the loss changes with numbers of the model: central differences of the counts that it expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.problem.problem import Problem


@dataclass(frozen=True, eq=False)
class FitParameter:
    """One number that a parameter depends on: parameter <- parameter + change x along."""

    name: str  # of the parameter, such as "exit_wave.tilt"
    along: Any  # as the parameter, or (S,) of it
    scale: float  # change that turns phases by about 1 rad
    limit: float  # largest change at a time

    def turned(self, value: Any, change: float) -> Any:
        """The parameter's value after a change."""
        return np.asarray(value, float) + change * np.asarray(self.along)


def parameter_of(model: Model, name: str) -> np.ndarray:
    """A parameter's value by its name, "part.field".

    Raises
    ------
    ParameterError
        Where the model has no such part.
    """
    part, _, attribute = name.partition(".")
    value = getattr(getattr(model, part, None), attribute, None)
    if value is None:
        raise ParameterError(f"{name} is to be refined, but the model is {model!r}; choose a model that has it.")
    return np.asarray(value, float)


def model_derivatives(
    problem: Problem, state: State, batch: Any, parameters: Sequence[FitParameter]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss of a batch, its gradient (K,), and the Gauss-Newton second derivatives (K, K).

    With dI_n the central difference of the counts that the model expects, dL = sum l' dI and H_nm = sum l''_A / (4 I)
    dI_n dI_m, where l''_A is the loss's curvature by the modulus. Expected counts are what every part of a model ends
    in, waves or not, so that one formula serves all of them. Steps are the scale times the cube root of the precision.
    """
    backend, loss = problem.backend, problem.loss
    xp = backend.xp
    batch = np.asarray(batch)
    where = problem.geometry(state.positions).at(backend, batch)
    now = problem.model_at(state)
    real = np.dtype(state.probe.real.dtype)
    eps = np.finfo(real).eps
    steps = [parameter.scale * float(eps) ** (1 / 3) for parameter in parameters]
    models = [now]
    for parameter, step in zip(parameters, steps, strict=True):
        models += [
            now.bind({parameter.name: parameter.turned(parameter_of(now, parameter.name), sign * step)})
            for sign in (1.0, -1.0)
        ]
    incidents = [model.incident(backend, state.probe, where.fractions, exact=True) for model in models]
    slab = now.slab(backend, state.object)
    count = len(parameters)

    def expected(which: int, places: Any) -> Array:
        waves = incidents[which].waves(backend, places)
        return models[which].expected(
            backend, models[which].propagate_to_detector(backend, waves, slab, where.part(places))
        )

    def task(places: Any, sums: list[Any]) -> None:
        measured = backend.amplitudes(problem.patterns, batch[places], real).copy()
        counts = expected(0, places)
        # Where rounding is as large as the counts it would weigh without bound, most of all in the curvature.
        peak = counts.max()
        derivative = xp.where(counts > eps * peak, loss.derivative(xp.maximum(counts, eps * peak), measured), 0)
        lit = xp.maximum(counts, eps**0.5 * peak)
        weight = xp.maximum(loss.curvature(lit, measured), 0) / (4 * lit)
        changes = []
        for n, step in enumerate(steps):
            after = expected(2 * n + 1, places)
            changes.append((after - expected(2 * n + 2, places)) * real.type(0.5 / step))
        sums[0] += float(loss.value(counts, measured).sum(dtype=np.float64))
        for n in range(count):
            sums[1][n] += _sum(derivative * changes[n])
            for m in range(n + 1):
                sums[2][n, m] += _sum(weight * changes[n] * changes[m])

    def sums() -> list[Any]:
        return [0.0, np.zeros(count), np.zeros((count, count))]

    chunks = backend.chunks(np.arange(len(batch)), max(incident.nbytes for incident in incidents))
    parts = backend.map_reduce(task, chunks, sums)
    hessian = np.sum([part[2] for part in parts], axis=0)
    derivative = np.sum([part[1] for part in parts], axis=0)
    return float(sum(part[0] for part in parts)), derivative, hessian + np.tril(hessian, -1).T


def _sum(array: Array) -> float:
    return float(array.sum(dtype=np.float64))
