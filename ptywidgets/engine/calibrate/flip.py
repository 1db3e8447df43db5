"""Which of two angles 180 degrees apart: the data tell, when the defocus is known.

A rotation of 180 degrees turns the scan, and the data then ask for the conjugate probe, which has the opposite defocus.
With a defocus that is known, a few iterations on the middle of the detector fit one of the two angles better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.algorithms.gradient import GradientDescent
from ptywidgets.engine.calibrate.coarse.crop import crop_to_block
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan


@dataclass(frozen=True)
class FlipTest:
    """Outcome of the test: the losses of the angle and of its flip."""

    rotation: float  # degrees, the better one
    losses: tuple[float, float]  # (as it was, turned by 180 degrees)
    resolved: bool
    message: str


@counted(iterations=1, most=1)
def resolve_flip(
    measurement: Measurement, optics: Optics, iterations: int = 4, most: int = 400, margin: float = 0.01
) -> FlipTest:
    """Fit both angles for a few iterations with a fixed probe and compare.

    Parameters
    ----------
    measurement : Measurement
        Prepared with either angle.
    optics : Optics
        With the defocus as far as it is known; without any, the two cannot be told apart.
    iterations : int
        Of each fit.
    most : int
        Positions used: a block in the middle of the scan.
    margin : float
        Relative difference of the losses from which on they count as different.

    Returns
    -------
    FlipTest
    """
    small, small_optics = crop_to_block(measurement, optics, most)
    losses = []
    for turn in (0.0, 180.0):
        positions = -small.positions if turn else small.positions
        problem = make_problem(replace(small, positions=positions), small_optics, model=single_slice("potential"))
        plan = Plan(
            iterations=iterations,
            batch=max(8, problem.count // 6),
            algorithm=GradientDescent(step=0.7, normalization_min=0.2, hold_probe=True),
            constraints=(),
        )
        *_, last = iterate(problem, plan)
        losses.append(last.losses[-1])
    ratio = losses[1] / losses[0] if losses[0] > 0 else 1.0  # nothing is left of either: they are alike
    resolved = bool(abs(np.log(ratio)) > margin)
    turned = resolved and ratio < 1
    rotation = wrapped_angle(measurement.rotation + 180) if turned else measurement.rotation
    other = wrapped_angle(rotation + 180)
    if resolved:
        message = f"{rotation:.2f} fits the data better than {other:.2f} degrees with this defocus."
    else:
        message = f"{rotation:.2f} and {other:.2f} degrees fit equally well; choose by the look of the atoms."
    return FlipTest(rotation, (losses[0], losses[1]), resolved, message)
