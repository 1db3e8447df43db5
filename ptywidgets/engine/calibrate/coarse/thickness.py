"""How thick a specimen is: coarse multislice reconstructions of several thicknesses, and the best of them refined.

The propagator exp(-i pi lambda z k^2) between slices turns a thickness z into phases of the patterns' high angles, so
that a wrong one leaves more of the counts unexplained. From a thickness that is too small a gradient leads nowhere
(it ends in another minimum), so that several are tried, in steps of about the width of the minimum, each for a few
iterations; from the best of them thickness and defocus are refined together
(:class:`~ptywidgets.engine.refinements.RefineModel`). All slices are alike, as in
:mod:`ptywidgets.engine.calibrate.coarse.thick`: however many there are, what is unknown is one of them, so that errors
of different thicknesses compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.algorithms.lsq_ml import LSQML
from ptywidgets.engine.calibrate.coarse.crop import crop_to_block
from ptywidgets.engine.calibrate.coarse.thick import depth_of_field
from ptywidgets.engine.constraints.combine import Every
from ptywidgets.engine.constraints.slices import IdenticalSlices
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.refinements.model import RefineModel
from ptywidgets.engine.refinements.optics import RefineOptics, refined_aberrations
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan

DEPTHS = (11.0, 7.5, 5.0, 3.3, 2.2)  # thicknesses to begin with, in depths of field
THIN = 0.7  # the same of what is a single plane nearly
SLICES = 8  # of a thick one; each may be a depth of field thick
REACH = 1.6  # half the side of the detector that is kept, in radii of the aperture
EVERY = 2  # iterations from one with refinements of defocus and thickness to the next: they cost as much as all else
TRIAL, FIT = 20, 16  # iterations of each, and further ones of the best
LIMIT = 0.03  # largest change of the thickness by a batch: while there is no object yet it would shrink to nothing
CLEAR = 0.75  # of the error of a thin object: so little has to be left to say that it is thick
HOPELESS = 0.9  # the same share, from which on nothing is gone on with: glass leaves 0.97, copper in the end 0.8
SLICE, MOST = 0.45, 24  # of a reconstruction: how thick a slice may be, in depths of field, and how many there may be
ALIKE = 0.05  # relative difference of thicknesses that are the same
LAST = 6  # iterations at the end whose changes are part of the uncertainty
FLOOR = 0.05  # relative error of any, of slices that are few
WRONG = 0.25  # relative error of a thickness by the share of the error that it leaves


@dataclass(frozen=True)
class ThicknessFit:
    """A thickness with the defocus that belongs to it."""

    thickness: float  # A
    uncertainty: float  # A, one sigma
    defocus: float  # A, of the specimen's middle
    defocus_uncertainty: float  # A, one sigma
    left: float  # of the error that a thin object leaves
    slices: int  # for a reconstruction
    tried: tuple[tuple[float, float, float], ...]  # thickness to begin with, what became of it, A, and its error
    turned: bool | None  # whether it is of the scan turned by 180 degrees; None where the data cannot tell

    @property
    def clear(self) -> bool:
        """Whether a thick object describes the patterns clearly better than a thin one."""
        return self.left < CLEAR


def find_thickness(
    measurement: Measurement,
    optics: Optics,
    *,
    either: bool = False,
    most: int = 49,
    progress: Callable[[str], object] = lambda words: None,
) -> ThicknessFit:
    """Begin with several thicknesses, refine each together with the defocus, and go on with the best.

    Parameters
    ----------
    measurement : Measurement
        With the right rotation, of known energy and semi-angle.
    optics : Optics
        Its defocus, that of the plane which describes the patterns best, is where to begin.
    either : bool
        Also with the scan turned by 180 degrees and aberrations of the opposite sign, which describe a thin specimen as
        well: waves that are scattered many times by a potential that attracts electrons tell the two apart.
    most : int
        Positions.
    progress : callable
        Called with words before each; what it raises ends the work.

    Returns
    -------
    ThicknessFit
        Up to some 11 depths of field. Its uncertainty grows with what the slices leave unexplained: they are few and
        alike, and the detector is cut.

    Raises
    ------
    CalibrationError
        When energy or semi-angle are not known.

    Notes
    -----
    The error E of a thickness z is that of I = |F P exp(-i pi lambda z k^2 / S) ... O|^2 with S equal slices O.
    Of simulated GaAs, Si, SrTiO3, MgO and PbTe of 90 to 280 A thicknesses came out within 8 %, but for SrTiO3 of 117 A
    in a coarse scan, -19 %; of glass, and of copper that scatters more than eight slices describe, it is not clear that
    they are thick.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Aberrations, prepare
    >>> duck = samples.ducky("tiny")
    >>> optics = Optics.from_dataset(duck, aberrations=Aberrations(defocus=250))
    >>> find_thickness(prepare(duck, rotation=-15, transpose=False), optics, most=16).clear
    False
    """
    known = measurement.calibration
    depth = depth_of_field(known.require("semiangle"), known.require("energy"))
    small, optics = crop_to_block(measurement, optics, most, REACH)
    progress("how well a thin specimen describes the patterns")
    thin = _Trial(small, optics, THIN * depth, 2)
    thin.go_on(TRIAL)
    clear = CLEAR * thin.loss
    begins = [depths * depth for depths in DEPTHS]
    tried = _tried(small, optics, begins, clear, progress)
    best = min(tried, key=_loss)
    turned: bool | None = False
    if either:
        begins = [best.begun] if best.loss < clear else begins[1::2]
        others = _tried(_half_a_turn(small), _opposite(optics), begins, clear, progress)
        other = min(others, key=_loss)
        turned = None
        if min(best.loss, other.loss) < CLEAR * max(best.loss, other.loss):
            turned = other.loss < best.loss
        if turned:
            best, tried = other, others
    found = tuple((trial.begun, trial.thickness, trial.loss) for trial in tried)
    if best.loss < HOPELESS * thin.loss:
        progress("thickness and defocus together")
        best.go_on(FIT)
    thickness, middle = (np.array(course[-LAST:]) for course in (best.thicknesses, best.middles))
    left = best.loss / thin.loss
    return ThicknessFit(
        float(thickness.mean()),
        math.hypot(float(np.ptp(thickness)), FLOOR * float(thickness.mean()), WRONG * left * float(thickness.mean())),
        float(middle.mean()),
        math.hypot(float(np.ptp(middle)), WRONG * left * float(thickness.mean()) / 2),
        left,
        min(MOST, max(2, math.ceil(float(thickness.mean()) / (SLICE * depth)))),
        found,
        turned,
    )


def _tried(
    small: Measurement,
    optics: Optics,
    begins: Sequence[float],
    clear: float,
    progress: Callable[[str], object],
) -> list[_Trial]:
    """From the thickest on, until it is clear that thinner ones come to the same or to worse."""
    tried: list[_Trial] = []
    for thickness in begins:
        good = [trial for trial in tried if trial.loss < clear]
        if good and (thickness < min(good, key=_loss).thickness or _agree(tried[-2:])):
            break  # from below it sticks, and from above it has come to the same
        progress(f"a specimen of {thickness:.0f} A and less, scanned at {small.rotation:.0f} degrees")
        tried.append(_Trial(small, optics, thickness, SLICES))
        tried[-1].go_on(TRIAL)
    return tried


def _half_a_turn(small: Measurement) -> Measurement:
    """The same patterns of a scan that is turned by 180 degrees about its middle."""
    ends = small.positions.min(0) + small.positions.max(0)
    positions = (ends - small.positions).astype(small.positions.dtype)
    return replace(small, positions=positions, rotation=wrapped_angle(small.rotation + 180))


def _opposite(optics: Optics) -> Optics:
    """With chi of the opposite sign, as a thin specimen is described as well by after half a turn."""
    known = optics.aberrations.cartesian
    return optics.replace(aberrations=Aberrations(**{name: -value for name, value in known.items() if value}))


def _loss(trial: _Trial) -> float:
    return trial.loss


def _agree(trials: Sequence[_Trial]) -> bool:
    """Whether two that began with different thicknesses have come to the same one."""
    if len(trials) < 2:
        return False
    one, other = trials
    return abs(one.thickness - other.thickness) < ALIKE * other.thickness


class _Trial:
    """A coarse reconstruction that goes on."""

    def __init__(self, small: Measurement, optics: Optics, thickness: float, slices: int) -> None:
        self.begun, self.slices = thickness, slices
        known = optics.aberrations.cartesian
        self.first = Aberrations(**{**known, "C10": known["C10"] - self._down(thickness)})
        model = ModelConfig(slices=slices, thickness=thickness).build("potential", small)
        problem = make_problem(small, optics.replace(aberrations=self.first), model=model)
        refinements: tuple[Any, ...] = (RefineOptics(terms="defocus", step=2.0),)
        if slices > 2:
            refinements = (*refinements, RefineModel(thickness="common", limit=LIMIT))
        plan = Plan(
            iterations=TRIAL + FIT,
            batch=max(8, problem.count // 4),
            algorithm=LSQML(hold_probe=True),
            constraints=(IdenticalSlices(),),
            refinements=tuple(Every(EVERY, refinement) for refinement in refinements),
        )
        self._states = iterate(problem, plan)
        self.loss = math.inf
        self.thicknesses: list[float] = []
        self.middles: list[float] = []

    def _down(self, thickness: float) -> float:
        """From the first slice's plane to the middle."""
        return (thickness - thickness / self.slices) / 2

    @property
    def thickness(self) -> float:
        return self.thicknesses[-1]

    def go_on(self, iterations: int) -> None:
        for _, state in zip(range(iterations), self._states, strict=False):
            ways = state.parameters.get("exit_wave.thickness")
            way = self.begun if ways is None else float(np.asarray(ways)[:-1].mean()) * self.slices
            self.thicknesses.append(way)
            self.middles.append(refined_aberrations(state, self.first)["defocus"] - self._down(way))
            self.loss = float(state.losses[-1])


__all__ = ["ThicknessFit", "find_thickness"]
