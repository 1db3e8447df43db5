"""Tilts of a series that are not quite those that the stage was told: every view's angles, against one view's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.problem.batches import spread
from ptywidgets.engine.tomography.series import TiltSeries

AXES = "xyz"  # as the angles of a Tilt come
LEAST = -1  # a view's number that stands for the one that is tilted least


@dataclass(frozen=True)
class RefineTilts(Params):
    """A damped Gauss-Newton step in the angles of each view that a batch has seen, for a series of tilts.

    With A V the slices of a view, G the gradient by them and dA / da by central differences of the projection, the
    loss falls along an angle by Re<G, dA/da V>, and bends by what the change dA/da V of the slices makes of the waves.
    One view stays, since a volume that is turned with all its views looks the same. Angles (x, y, z) in degrees are
    kept in ``state.parameters`` as "3 tilt" for view 3. A volume that still lacks much pulls at the angles: begin when
    the loss hardly falls, ``From(20, RefineTilts())``, by an algorithm that takes all views together.
    """

    axes: str = param(
        "x", choices=("x", "y", "xy", "xyz"), doc="Angles that are refined; x is about the columns' axis."
    )
    hold: int = param(LEAST, low=LEAST, high=100000, doc="View that stays, from 0; -1: the one that is tilted least.")
    step: float = param(1.0, low=0.01, high=4, step=0.05, doc="Share of the damped Gauss-Newton step.")
    damping: float = param(0.01, low=1e-6, high=100, log=True, doc="Of each angle's own curvature.")
    limit: float = param(
        0.5, unit="degrees", low=0.001, high=20, step=0.05, doc="Largest change of an angle at a time."
    )
    sample: int = param(64, low=1, high=1000000, doc="Positions of a view that measure the curvature.")

    acts_on = "tilts"
    needs = "tilts"

    def prepare(self, problem: TiltSeries) -> Callable[[State, Any], State]:
        series = problem
        if not series.projections:  # of a Problem, which a plan of its own may bring here
            raise ParameterError("tilts are to be refined, but there is one view; make a series of tilts of several.")
        held = self.held(series)

        def apply(state: State, batch: Any) -> State:
            found = dict(state.parameters)
            for number, places in series.split(batch):
                if number != held:
                    found[f"{number} tilt"] = self._turned(series, state, number, places)
            return state.replace(parameters=found)

        return apply

    def held(self, series: TiltSeries) -> int:
        """Number of the view that stays."""
        if self.hold >= len(series.views):
            raise ParameterError(
                f"hold is {self.hold} but there are {len(series.views)} views, from 0; name one of them."
            )
        if self.hold != LEAST:
            return self.hold
        return int(np.argmax([projection.tilt.matrix[0, 0] for projection in series.projections]))

    def _turned(self, series: TiltSeries, state: State, number: int, places: np.ndarray) -> np.ndarray:
        """A view's angles (x, y, z) after a step, in degrees."""
        view, projection, own = series.views[number], series.projection(state, number), series.view(state, number)
        volume = series.backend.to_numpy(state.object)
        directions = [
            Direction(object=series.backend.to_device(projection.tangent(volume, axis))) for axis in self.axes
        ]
        g = view.gradients(own, places, with_probe=False)
        down = np.array([d.dot(Direction(object=g.object)) for d in directions])
        sample = spread(own.positions, places, self.sample)
        hessian = view.curvature(own, sample, directions) / 2 * (len(places) / len(sample))
        hessian += np.diag(self.damping * np.diag(hessian) + np.finfo(float).tiny)
        change = self.step * np.linalg.solve(hessian, down)
        angles = np.array([projection.tilt.x, projection.tilt.y, projection.tilt.z])
        angles[[AXES.index(axis) for axis in self.axes]] += change.clip(-self.limit, self.limit)
        return angles


def refined_tilts(series: TiltSeries, state: State) -> np.ndarray:
    """Angles (T, 3) of all views about x, y and z in degrees, as a state has found them.

    Examples
    --------
    >>> from ptywidgets.testing.series import example_series
    >>> series = example_series((0.0, 30.0))
    >>> refined_tilts(series, series.start()).tolist()
    [[0.0, 0.0, 0.0], [30.0, 0.0, 0.0]]
    """
    tilts = [series.projection(state, number).tilt for number in range(len(series.views))]
    return np.array([[tilt.x, tilt.y, tilt.z] for tilt in tilts])
