"""Whether a start is right, within what it states of itself, and whether it has said what it cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ptywidgets.engine.calibrate import CalibrationResult
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.testing.variants import Recipe

NUMBERS = ("rotation", "defocus", "C12a", "C12b", "C21a", "C21b")
DECIDED_BY = {"C12": "astigmatism", "C21": "coma"}  # the estimates that tell of coefficients
NOT_TOLD = ("cannot tell", "not found", "undecided")  # sources of estimates that are none
FAR = 3.0  # sigmas: an answer that is farther off is wrong


@dataclass(frozen=True)
class Judgement:
    """A start against the truth; numbers in degrees and A."""

    found: dict[str, float | None]  # None where it has said that it does not know
    sigmas: dict[str, float | None]  # as stated
    errors: dict[str, float | None]  # against the truth, or its flip where the 180-degree ambiguity was left open
    transpose: bool  # whether it is right
    turned: bool  # whether the flip was found: 180 degrees off, with aberrations of the opposite sign
    open_turn: bool  # whether it has said that it cannot resolve the 180-degree ambiguity
    asks: str  # what else it asks; "" where it has told everything but, perhaps, the 180-degree ambiguity

    @property
    def told(self) -> bool:
        """Whether it has stated an orientation and a defocus without asking."""
        return not self.asks and self.found["rotation"] is not None and self.found["defocus"] is not None

    def deviation(self, name: str) -> float | None:
        """Error in stated sigmas; infinite where none is stated, None where no number is."""
        error, sigma = self.errors[name], self.sigmas[name]
        if error is None:
            return None
        return abs(error) / sigma if sigma else math.inf

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is off by more than three sigma, or the other of two; whether or not it has said that it cannot tell."""
        off = [name for name in NUMBERS if (self.deviation(name) or 0.0) > FAR]
        return (
            *(() if self.transpose else ("transpose",)),
            *(("180-degree ambiguity",) if self.turned and not self.open_turn else ()),
            *off,
        )

    @property
    def wrong_and_sure(self) -> tuple[str, ...]:
        """What is wrong though nothing was said; empty where all is right, or it has asked."""
        return self.wrong if self.told else ()


def judged(recipe: Recipe, start: CalibrationResult) -> Judgement:
    """A start against the truth.

    Two things are not held against a start. Where the scan step is stated wrongly, lengths may be as wrong as that. And
    where nobody has told a spherical aberration C30, of which no number is stated, the defocus may make up for it: by
    2/3 C30 alpha^2 the slopes of both are as like as they can be over the aperture, and all between is taken for true.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from ptywidgets.engine.calibrate import calibrate
    >>> from ptywidgets.testing.variants import recipe, simulated
    >>> known = replace(recipe(7), dose=None, vacuum=True)
    >>> judged(known, calibrate(simulated(known).dataset)).transpose
    True
    """
    lens, sources = start.optics.aberrations, {d.name: d.source for d in start.estimates}
    found: dict[str, float | None] = {"rotation": start.measurement.rotation, "defocus": lens["defocus"]}
    sigmas: dict[str, float | None] = {n: start.estimate(n).uncertainty for n in ("rotation", "defocus")}
    for name in NUMBERS[2:]:
        found[name], sigmas[name] = lens.cartesian.get(name, 0.0), start.fit.uncertainties.get(name)
    for name in NUMBERS:
        if sources.get(DECIDED_BY.get(name[:3], name)) in NOT_TOLD:
            found[name] = None
    open_turn = sources.get("180-degree ambiguity") == "undecided"
    truth = _truth(recipe, 1)
    turned = abs(wrapped_angle(start.measurement.rotation - truth["rotation"][0])) > 90
    if turned and open_turn:
        truth = _truth(recipe, -1)
    errors = {name: None if value is None else _off(name, value, truth[name]) for name, value in found.items()}
    closed = tuple(replace(d, source="told") if d.name == "180-degree ambiguity" else d for d in start.estimates)
    asks = question(replace(start, estimates=closed))
    return Judgement(
        found=found,
        sigmas=sigmas,
        errors=errors,
        transpose=start.measurement.transpose == recipe.transpose,
        turned=turned,
        open_turn=open_turn,
        asks="" if asks is None else str(asks),
    )


def _truth(recipe: Recipe, sign: int) -> dict[str, tuple[float, ...]]:
    """What may be found, sign -1 for the flip; the ends of what counts as true."""
    truth: dict[str, tuple[float, ...]] = {
        "rotation": (recipe.rotation if sign > 0 else wrapped_angle(recipe.rotation + 180),)
    }
    lens = recipe.aberrations.cartesian
    for name in NUMBERS[1:]:
        value = sign * (recipe.aberrations["defocus"] if name == "defocus" else lens.get(name, 0.0))
        balanced = (
            -sign * 2 / 3 * recipe.aberrations["C30"] * (recipe.semiangle * 1e-3) ** 2 if name == "defocus" else 0
        )
        truth[name] = tuple(v * step for v in (value, value + balanced) for step in (1.0, recipe.stated_step))
    return truth


def _off(name: str, value: float, truth: tuple[float, ...]) -> float:
    if name == "rotation":
        return float(wrapped_angle(value - truth[0]))
    return float(value - min(max(value, min(truth)), max(truth)))
