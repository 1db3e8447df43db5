"""Which of two angles 180 degrees apart: the data tell, when the defocus is known.

A rotation of 180 degrees turns the scan, and the data then ask for the conjugate probe, which has the opposite defocus.
With a defocus that is known, a few iterations on the middle of the detector fit one of the two angles better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.algorithms import GradientDescent
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.prepare.measurement import Measurement
from ptywidgets.engine.prepare.rotation import wrapped_angle
from ptywidgets.engine.probe import Optics, make_aperture


@dataclass(frozen=True)
class TwinTest:
    """Outcome of the test: the losses of the angle and of its twin."""

    rotation: float  # degrees, the better one
    losses: tuple[float, float]  # (as it was, turned by 180 degrees)
    resolved: bool
    message: str


def resolve_twin(
    measurement: Measurement, optics: Optics, iterations: int = 4, most: int = 400, margin: float = 0.01
) -> TwinTest:
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
    TwinTest
    """
    from ptywidgets.engine.iterate import iterate
    from ptywidgets.engine.problem import make_problem

    small, small_optics = _middle(measurement, optics, most)
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
    ratio = losses[1] / losses[0]
    resolved = bool(abs(np.log(ratio)) > margin)
    turned = resolved and ratio < 1
    rotation = wrapped_angle(measurement.rotation + 180) if turned else measurement.rotation
    other = wrapped_angle(rotation + 180)
    if resolved:
        message = f"{rotation:.2f} fits the data better than {other:.2f} degrees with this defocus."
    else:
        message = f"{rotation:.2f} and {other:.2f} degrees fit equally well; choose by the look of the atoms."
    return TwinTest(rotation, (losses[0], losses[1]), resolved, message)


def _middle(measurement: Measurement, optics: Optics, most: int) -> tuple[Measurement, Optics]:
    """A block of positions in the middle of the scan, and the detector cut to twice the aperture."""
    shape = measurement.patterns.shape[-2:]
    aperture = make_aperture(optics, shape, measurement.sampling, measurement.calibration.require("energy"))
    lit = np.fft.fftshift(aperture > 0.1 * aperture.max())
    radius = max(np.ptp(np.flatnonzero(lit.any(1))), np.ptp(np.flatnonzero(lit.any(0)))) / 2 + 1
    size = [min(n, 2 * int(np.ceil(1.4 * radius / 2)) * 2) for n in shape]
    scan = measurement.scan_shape
    side = int(np.sqrt(most))
    rows, columns = [slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + min(n, side)) for n in scan]
    chosen = np.arange(scan[0] * scan[1]).reshape(scan)[rows, columns].ravel()
    index = [np.r_[0 : (n + 1) // 2, full - n // 2 : full] for n, full in zip(size, shape, strict=True)]
    patterns = measurement.patterns.take(chosen).crop((size[0], size[1]))
    down, along = (s * full / n for s, full, n in zip(measurement.sampling, shape, size, strict=True))
    # The vacuum pattern is cut like the patterns; its centre stays in the middle.
    if optics.vacuum is not None:
        corner = aperture[index[0][:, None], index[1][None]] ** 2
        optics = optics.replace(vacuum=np.fft.fftshift(corner))
    small = replace(
        measurement,
        patterns=patterns,
        shifts=measurement.shifts[chosen],
        positions=measurement.positions[chosen],
        sampling=(down, along),
        mean_intensity=float((patterns.amplitudes().clip(0).astype(np.float64) ** 2).sum() / len(chosen)),
        scan_shape=(rows.stop - rows.start, columns.stop - columns.start),
    )
    return small, optics
