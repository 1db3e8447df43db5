"""The defocus of a thick specimen: a coarse multislice reconstruction that knows how thick the specimen is.

No single plane describes a specimen much thicker than the depth of field lambda / alpha^2. Here it is S slices, equal
for the coarse reconstruction (a crystal is, nearly; slices that are free move along the beam with any defocus, and the
data hardly object). Object and defocus are refined in turns, the object by least squares, the defocus by
Gauss-Newton steps (:class:`~ptywidgets.engine.refinements.RefineOptics`). A slice of thickness t stands for what lies
within t / 2 of its plane, so that the first plane is t / 2 below the entrance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.algorithms.lsq_ml import LSQML
from ptywidgets.engine.calibrate.coarse.crop import crop_to_block
from ptywidgets.engine.constraints.slices import IdenticalSlices
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.refinements.optics import RefineOptics, refined_aberrations
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan

SLICE = 20.0  # A, about, of each slice
REACH = 2.5  # half the side of the detector that is kept, in radii of the aperture
LAST = 6  # iterations at the end over which the defocus is averaged
# Of the defocus, of the depth of field, and of a thickness that was found: how unsure of a defocus a run may begin.
# Slices move along the beam with any defocus, and a few per cent of the thickness show at its ends only.
UNSURE = (0.1, 0.25, 0.1)


@dataclass(frozen=True)
class ThickFit:
    """The defocus of a specimen of known thickness."""

    defocus: float  # A, of the specimen's middle
    entrance: float  # A, of the plane where the beam enters
    uncertainty: float  # A, one sigma
    thickness: float  # A, as given
    slices: int
    loss: float  # of the last iteration
    course: tuple[float, ...]  # A, the middle's defocus after each iteration


def depth_of_field(semiangle: float, energy: float) -> float:
    """lambda / alpha^2 in A, of a semi-angle in mrad and an energy in eV: a thinner specimen is one plane.

    Examples
    --------
    >>> round(depth_of_field(20, 80e3))
    104
    """
    return wavelength(energy) / (semiangle * 1e-3) ** 2


def sure_enough(defocus: float, sigma: float, depth: float, thickness: float = 0.0) -> bool:
    """Whether a run may begin with a defocus of one sigma, of a depth of field and of a thickness that was found, in A.

    A defocus that is off turns the edge of the aperture against its middle by pi alpha^2 dC / lambda; up to a quarter
    of the depth of field that is a small part of a turn, and a few per cent of a large defocus an iteration finds by
    itself.

    Examples
    --------
    >>> sure_enough(350, 20, 38), sure_enough(0, 20, 38)
    (True, False)
    """
    return sigma <= max(UNSURE[0] * abs(defocus), UNSURE[1] * depth, UNSURE[2] * thickness)


@counted(iterations=1, most=1)
def thick_defocus(
    measurement: Measurement,
    optics: Optics,
    thickness: float,
    *,
    iterations: int = 28,
    most: int = 100,
    progress: Callable[[str], object] | None = None,
) -> ThickFit:
    """Refine the defocus on a multislice reconstruction of a block of the scan.

    Parameters
    ----------
    measurement : Measurement
        With the right rotation.
    optics : Optics
        Its defocus, that of the specimen's middle, is where to begin.
    thickness : float
        Of the specimen in A.
    iterations : int
        Of the reconstruction.
    most : int
        Positions.
    progress : callable, optional
        Called with words before each iteration; what it raises ends the work.

    Returns
    -------
    ThickFit
        Its uncertainty holds for specimens that are alike at all depths, as crystals are; of amorphous ones the defocus
        may be off by some per cent.

    Raises
    ------
    ParameterError
        When the thickness is not positive.
    """
    if not (math.isfinite(thickness) and thickness > 0):
        raise ParameterError(f"thickness is {thickness} A; expected a positive number, or None where it is not known.")
    slices = max(2, math.ceil(thickness / SLICE))
    down = (thickness - thickness / slices) / 2  # from the first slice's plane to the middle
    small, optics = crop_to_block(measurement, optics, most, REACH)
    first = Aberrations(**{**optics.aberrations.cartesian, "C10": optics.aberrations.cartesian["C10"] - down})
    model = ModelConfig(slices=slices, thickness=thickness).build("potential", small)
    problem = make_problem(small, optics.replace(aberrations=first), model=model)
    plan = Plan(
        iterations=iterations,
        batch=max(8, problem.count // 4),
        algorithm=LSQML(hold_probe=True),
        constraints=(IdenticalSlices(),),
        refinements=(RefineOptics(terms="defocus", step=2.0),),
    )
    course: list[float] = []
    loss = math.inf
    for state in iterate(problem, plan):
        if progress is not None:
            progress(f"a multislice reconstruction, iteration {len(course) + 1} of {iterations}")
        course.append(refined_aberrations(state, first)["defocus"] - down)
        loss = float(state.losses[-1])
    end = np.array(course[-LAST:])
    found = float(end.mean())
    # What the slices' own thickness leaves open, and what the last iterations still changed.
    sigma = math.hypot(thickness / slices / 12, float(np.ptp(end)))
    return ThickFit(found, found + thickness / 2, sigma, thickness, slices, loss, tuple(course))


def with_defocus(optics: Optics, defocus: float) -> Optics:
    """The same optics with another defocus in A."""
    known = {**optics.aberrations.cartesian, "C10": -defocus}
    return replace(optics, aberrations=Aberrations(**{k: v for k, v in known.items() if v}))
