"""Numbers of the model found inside the run: thickness, tilt, partial coherence, blur, a near field's distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.batches import spread
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements.model_derivatives import FitParameter, model_derivatives, parameter_of

HALF = 0.5  # of the highest frequency: where phases are counted for the steps of differences


@dataclass(frozen=True)
class RefineModel(Params):
    """A damped Gauss-Newton step in numbers that the model has: (H + damping diag H) change = -dL.

    Levenberg and Marquardt's damping (J. SIAM 11, 431 (1963)) with limits in place of a search, since every batch says
    anew where to go. The values are kept in ``state.parameters`` by the name of part and field, such as
    "exit_wave.tilt". What the object can make up for is not found while it is free: a tilt of two slices is a shift of
    one against the other.
    """

    thickness: str = param("no", choices=("no", "common", "each"), doc="Slices: by one factor, or each by itself.")
    tilt: bool = param(False, doc="Tilt of the specimen against the beam.")
    source_size: bool = param(False, doc="Size of the source, and vibrations.")
    focal_spread: bool = param(False, doc="Spread of the defocus.")
    blur: bool = param(False, doc="Point spread of the detector.")
    distance: bool = param(False, doc="Way from the specimen to a near-field detector.")
    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the damped Gauss-Newton step.")
    damping: float = param(0.01, low=1e-6, high=100, log=True, doc="Of each number's own curvature.")
    limit: float = param(0.1, low=0.001, high=0.9, step=0.01, doc="Largest change of a size at a time, as its share.")
    limit_tilt: float = param(2.0, unit="mrad", low=0.001, high=100, step=0.1, doc="Largest change of tilt at a time.")
    sample: int = param(32, low=1, high=1000000, doc="Positions of a batch that are asked, spread over the scan.")

    acts_on = "parameters"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        self.parameters(problem)  # raises where the model has no such number

        def apply(state: State, batch: Any) -> State:
            batch = np.asarray(batch)
            parameters = self.parameters(problem, state)
            if not parameters:
                return state
            sample = spread(state.positions, batch, self.sample)
            _, derivative, hessian = model_derivatives(problem, state, sample, parameters)
            scale = np.array([parameter.scale for parameter in parameters])  # makes one unit of all
            damped = hessian * np.outer(scale, scale)
            damped += np.diag(self.damping * np.diag(damped) + np.finfo(float).tiny)
            wanted = -self.step * scale * np.linalg.solve(damped, scale * derivative)
            model = problem.model_at(state)
            found = {name: parameter_of(model, name) for name in {parameter.name for parameter in parameters}}
            for parameter, change in zip(parameters, wanted, strict=True):
                limited = float(np.clip(change, -parameter.limit, parameter.limit))
                found[parameter.name] = parameter.turned(found[parameter.name], limited)
            return state.replace(parameters={**state.parameters, **found})

        return apply

    def parameters(self, problem: Problem, state: State | None = None) -> list[FitParameter]:
        """What is turned, of the model as it was made or as a state has it.

        Raises
        ------
        ParameterError
            Where the model has no such number, or one that is 0 and can only grow by its share.
        """
        model = problem.model if state is None else problem.model_at(state)
        k = HALF * 0.5 / max(problem.sampling)  # 1/A
        parameters: list[FitParameter] = []
        if self.thickness != "no" or self.tilt:
            way = float(parameter_of(model, "exit_wave.thickness")[:-1].sum())
            if way <= 0:
                raise ParameterError("thickness or tilt is to be refined, but there is no space between slices.")

        def sizes(name: str, rad: float) -> None:
            value = float(parameter_of(model, name))
            if value <= 0:
                raise ParameterError(f"{name} is {value:g} and is to be refined; begin above 0.")
            parameters.append(FitParameter(name, 1.0, min(value, rad), self.limit * value))

        if self.thickness != "no":
            name = "exit_wave.thickness"
            thick = parameter_of(model, name)
            of_fresnel = 1 / (np.pi * model.exit_wave.wavelength * k**2)  # type: ignore[attr-defined]  # has a thickness
            if self.thickness == "common":
                parameters.append(FitParameter(name, thick, of_fresnel / way, self.limit))
            else:  # behind the last one there is no space
                each = np.eye(len(thick))[:-1]
                parameters += [
                    FitParameter(name, e, of_fresnel, self.limit * t) for e, t in zip(each, thick, strict=False)
                ]
        if self.tilt:
            for along in ((1.0, 0.0), (0.0, 1.0)):
                parameters.append(
                    FitParameter("exit_wave.tilt", np.array(along), 1e3 / (2 * np.pi * way * k), self.limit_tilt)
                )
        if self.source_size:
            sizes("ensemble.source_size", 1 / (2 * np.pi * k))
        if self.focal_spread:
            parameter_of(model, "ensemble.focal_spread")
            sizes("ensemble.focal_spread", 1 / (np.pi * model.ensemble.wavelength * k**2))  # type: ignore[union-attr]  # there, as its parameter is
        if self.blur:
            sizes("response.sigma", 0.5)
        if self.distance:
            way = float(parameter_of(model, "detector.distance"))
            of_fresnel = 1 / (np.pi * model.detector.wavelength * k**2)  # type: ignore[attr-defined]  # has a distance
            parameters.append(FitParameter("detector.distance", 1.0, of_fresnel, self.limit * abs(way)))
        return parameters
