"""What the views of a series say together: gradients and curvatures by the volume and by all probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.gradients import Gradients

if TYPE_CHECKING:
    from ptywidgets.engine.tomography.series import TiltSeries


def gradients(
    series: TiltSeries, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False
) -> Gradients:
    """Loss and gradients over a batch of position indices of any views."""
    xp = series.backend.xp
    volume = xp.zeros_like(state.object)
    seen = xp.zeros(state.object.shape, state.object.real.dtype)
    by_probe = xp.zeros_like(state.probe) if with_probe else None
    coverage = xp.zeros(state.probe.shape, state.probe.real.dtype) if with_probe else None
    loss = 0.0
    others: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    for number, places in series.split(batch):
        view, projection = series.views[number], series.projection(state, number)
        g = view.gradients(series.view(state, number), places, with_probe=with_probe, with_others=with_others)
        loss += g.loss
        volume += series.on_host(projection.adjoint, g.object)
        # A view counts its slices, which move together; the projection knows how many voxels do.
        seen += series.on_host(projection.spread, g.illumination / np.float32(projection.slices))
        if by_probe is not None and coverage is not None:
            by_probe[series.parts(number)[0]] = g.probe
            coverage[series.parts(number)[0]] = g.coverage
        others |= {f"{number} {name}": value for name, value in g.others.items()}
        weights |= {f"{number} {name}": value for name, value in g.weights.items()}
    return Gradients(loss, volume, by_probe, seen, coverage, others, weights)


def curvature(series: TiltSeries, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
    """Matrix (K, K) of the loss's second derivatives along directions, the sum of the views'."""
    matrix = np.zeros((len(directions), len(directions)))
    for number, places in series.split(batch):
        probe = series.parts(number)[0]
        own = [
            Direction(
                None if d.object is None else series.project(d.object, number, state),
                None if d.probe is None else d.probe[probe],
            )
            for d in directions
        ]
        matrix += series.views[number].curvature(series.view(state, number), places, own)
    return matrix
