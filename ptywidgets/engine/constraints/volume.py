"""Where in a volume there can be something: masks in space, with vacuum outside of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State

SHAPES = {"sphere": (1, 1, 1), "cylinder x": (1, 1, 0), "cylinder y": (1, 0, 1)}  # which axes (z, y, x) end


@dataclass(frozen=True)
class VolumeSupport(Params):
    """Vacuum outside a ball or a cylinder about the axes of rotation, with a soft edge: what no tilt could tell.

    V * clip((radius - r) / edge + 1/2, 0, 1), r being the distance from the middle, or from the cylinder's axis.
    """

    radius: float | None = param(
        None, unit="A", low=0.1, high=1e5, doc="Where half is left; none: as far as the volume reaches."
    )
    edge: float = param(2.0, unit="A", low=0, high=1000, step=0.5, doc="Width of the soft edge.")
    shape: str = param("sphere", choices=tuple(SHAPES), doc="A ball, or a cylinder along the axis of rotation.")

    acts_on = "object"
    needs = "tilts"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        axes = places(problem)
        ends = SHAPES[self.shape]
        squares = sum(axis**2 for axis, end in zip(axes, ends, strict=True) if end)
        reach = min(float(-axis.min()) for axis, end in zip(axes, ends, strict=True) if end)
        radius = reach - self.edge / 2 if self.radius is None else self.radius
        return _kept(problem, _soft(radius - np.sqrt(squares), self.edge))


@dataclass(frozen=True)
class VolumeSlab(Params):
    """Vacuum above and below a film that lies level at no tilt, with a soft edge.

    V * clip((thickness / 2 - |z|) / edge + 1/2, 0, 1), z from the middle of the volume.
    """

    thickness: float = param(100.0, unit="A", low=0, high=1e6, doc="Of the film.")
    edge: float = param(2.0, unit="A", low=0, high=1000, step=0.5, doc="Width of the soft edge.")

    acts_on = "object"
    needs = "tilts"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        z = places(problem)[0]
        return _kept(problem, _soft(self.thickness / 2 - np.abs(z), self.edge))


def places(problem: ReconstructionProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the voxels lie (Z, 1, 1), (1, Y, 1), (1, 1, X) in A from the point that rotations leave alone.

    Raises
    ------
    ParameterError
        For an object that is no volume.
    """
    projections = problem.projections
    if not projections:
        raise ParameterError(
            "this constraint is for volumes; a single view has slices, see FieldOfView and VacuumRegion."
        )
    middle = projections[0].middle
    axes = [
        np.arange(n) * step - m for n, step, m in zip(problem.object_shape, projections[0].voxel, middle, strict=True)
    ]
    return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]


def _soft(inside: np.ndarray, edge: float) -> np.ndarray:
    """1 where `inside` (A) is above half an edge's width, 0 where it is below minus that."""
    return (inside >= 0).astype(float) if edge == 0 else (inside / edge + 0.5).clip(0, 1)


def _kept(problem: ReconstructionProblem, share: np.ndarray) -> Callable[[State], State]:
    mask = problem.backend.to_device(np.broadcast_to(share, problem.object_shape).astype(np.float32))
    return lambda state: state.replace(object=state.object * mask)
