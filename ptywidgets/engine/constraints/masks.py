"""Where there can be an object: masks on its plane, the same for every slice, with vacuum outside of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class FieldOfView(Params):
    """Vacuum outside the field that the scan lights well, with a soft edge."""

    margin: float = param(
        0.0, unit="A", low=0, high=1000, doc="How far the object reaches beyond the illuminated field."
    )
    edge: float = param(2.0, unit="A", low=0, high=100, step=0.5, doc="Width of the edge, outside of that.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        outside = ndimage.distance_transform_edt(~problem.field_of_view(), sampling=problem.sampling) - self.margin
        if self.edge > 0:
            kept = 0.5 + 0.5 * np.cos(np.pi * (outside / self.edge).clip(0, 1))
        else:
            kept = (outside <= 0).astype(float)
        return _kept(problem, kept)


@dataclass(frozen=True)
class VacuumRegion(Params):
    """Vacuum in a rectangle of the image: nothing is there, as the user knows.

    The rectangle is given in the frame of the scan, from its first row and column, as the runner shows the object.
    """

    top: float = param(0.0, unit="A", low=-10000, high=10000, doc="First row of the rectangle.")
    left: float = param(0.0, unit="A", low=-10000, high=10000, doc="First column of the rectangle.")
    height: float = param(10.0, unit="A", low=0, high=10000, doc="How many rows.")
    width: float = param(10.0, unit="A", low=0, high=10000, doc="How many columns.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        y, x = in_scan_frame(problem)
        down, right = y - self.top, x - self.left
        inside = (down >= 0) & (down <= self.height) & (right >= 0) & (right <= self.width)
        return _kept(problem, (~inside).astype(float))


def in_scan_frame(problem: ReconstructionProblem) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (Y, X) in A, from the first row and column of the scan, of every pixel of the object."""
    measurement = problem.measurement
    steps = measurement.calibration.scan_steps
    extent = [(n - 1) * step for n, step in zip(measurement.scan_shape, steps, strict=True)]
    middle = problem.scan_middle
    y, x = (np.arange(n) * d - m for n, d, m in zip(problem.object_shape[-2:], problem.sampling, middle, strict=True))
    rows, columns = np.meshgrid(y, x, indexing="ij")
    if measurement.transpose:
        rows, columns = columns, rows
    # Positions were turned by -rotation into the detector frame; this turns back.
    angle = np.radians(measurement.rotation)
    return (
        np.cos(angle) * rows - np.sin(angle) * columns + extent[0] / 2,
        np.sin(angle) * rows + np.cos(angle) * columns + extent[1] / 2,
    )


def _kept(problem: ReconstructionProblem, share: np.ndarray) -> Callable[[State], State]:
    """Keep a share (Y, X) of what differs from vacuum."""
    xp = problem.backend.xp
    mask = problem.backend.to_device(share.astype(np.float32))

    def apply(state: State) -> State:
        obj = state.object
        if xp.iscomplexobj(obj):
            return state.replace(object=(1 + mask * (obj - 1)).astype(obj.dtype))
        return state.replace(object=mask * obj)

    return apply
