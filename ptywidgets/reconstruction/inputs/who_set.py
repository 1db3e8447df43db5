"""Who set which number: of aberrations, rotation and transpose, what was found from the data and what was given."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ptywidgets.engine.calibrate import CalibrationResult
from ptywidgets.engine.calibrate.chosen import FoundStart
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess import Preparation, wrapped_angle

TURN = ("rotation", "transpose")
NEAR = 0.01  # degrees: a rotation so near to that of an alternative is still the alternative's


class Taken(NamedTuple):
    """An alternative that is in use, with what was set by it."""

    number: int
    rotation: float  # degrees
    transpose: bool
    aberrations: Aberrations


@dataclass(frozen=True)
class WhoSet:
    """Which numbers in use the program has found from the data, and which somebody has given.

    A number counts as found as long as it still is what the program has set; whoever sets another one has given it. So
    nobody has to be told of an assignment: what is given is worked out from the present values.

    Parameters
    ----------
    found_aberrations : mapping of str to float
        Those that were found, by Cartesian name, in A, as the program has set them.
    found_turn : tuple of (str, value)
        Of rotation (degrees) and transpose those that were found.
    set_aberrations : Aberrations, optional
        All of them as the program has set them last; None where no start has been found.
    own : mapping of str to float
        Cartesian aberrations that somebody had set between the start and the last choice of an alternative.
    start : CalibrationResult or FoundStart, optional
        What a search has found. It is a whole :class:`CalibrationResult` as long as it is only offered, for somebody to
        choose.
    in_use : Taken, optional
        The alternative that is in use.

    Examples
    --------
    >>> lens = Aberrations(defocus=200, C30=1e4)
    >>> who = WhoSet().with_found({"C10": lens["C10"]})
    >>> who.found(lens), dict(who.given(lens))
    (frozenset({'C10'}), {'C30': 10000.0})
    >>> dict(who.given(lens.replace(defocus=250)))
    {'C10': -250.0, 'C30': 10000.0}
    """

    found_aberrations: Mapping[str, float] = field(default_factory=dict)
    found_turn: tuple[tuple[str, Any], ...] = ()
    set_aberrations: Aberrations | None = None
    own: Mapping[str, float] = field(default_factory=dict)
    start: CalibrationResult | FoundStart | None = None
    in_use: Taken | None = None

    # ---------------------------------------------------------------- what follows from it

    def found(self, now: Aberrations) -> frozenset[str]:
        """Cartesian names of the aberrations that are as they were found; others were given, or are 0."""
        values = now.cartesian
        same = (n for n, v in self.found_aberrations.items() if abs(values[n] - v) <= 1e-6 * max(1.0, abs(v)))
        return frozenset(same)

    def found_names(self, now: Aberrations, preparation: Preparation) -> tuple[str, ...]:
        """Of Cartesian aberrations, rotation and transpose those in use that were found and not given."""
        turn = [name for name, value in self.found_turn if getattr(preparation, name) == value]
        return (*sorted(self.found(now)), *turn)

    def given(self, now: Aberrations) -> Aberrations:
        """What of the present aberrations somebody has given; without a defocus where none is given, which may be 0."""
        found = self.found(now)
        given: dict[str, float | None] = {n: v for n, v in now.cartesian.items() if v and n not in found}
        if not now.known or "C10" in found:
            given["C10"] = None
        elif not given.get("C10"):
            given["C10"] = 0.0
        return Aberrations(**given)

    def given_since(self, now: Aberrations) -> dict[str, float]:
        """Aberrations that somebody has set since a start was found, but for the defocus, by Cartesian name."""
        if self.set_aberrations is None:
            return {}
        values, ours = now.cartesian, self.set_aberrations.cartesian
        return {**self.own, **{n: v for n, v in values.items() if n != "C10" and abs(v - ours[n]) > 1e-6}}

    def taken(self, rotation: float | None, transpose: bool | None, now: Aberrations) -> int | None:
        """Which alternative is in use, from 0; None where it is none of them, or has been changed since."""
        one = self.in_use
        if one is None or rotation is None or transpose != one.transpose:
            return None
        if abs(wrapped_angle(rotation - one.rotation)) > NEAR:
            return None
        values = now.cartesian
        alike = all(math.isclose(values[n], v, rel_tol=1e-3, abs_tol=0.1) for n, v in one.aberrations.cartesian.items())
        return one.number if alike else None

    @property
    def offered(self) -> CalibrationResult | None:
        """What was found and not taken over: somebody has to choose among its alternatives."""
        return self.start if isinstance(self.start, CalibrationResult) else None

    @property
    def found_start(self) -> FoundStart | None:
        """What the search has found itself, whatever was chosen since."""
        return _essence(self.start) if isinstance(self.start, CalibrationResult) else self.start

    # ---------------------------------------------------------------- what makes another one of it

    def with_found(self, aberrations: Mapping[str, float]) -> WhoSet:
        """These aberrations were found, and no others."""
        return replace(self, found_aberrations=dict(aberrations))

    def with_found_turn(self, preparation: Preparation, names: Collection[str]) -> WhoSet:
        """Of rotation and transpose these were found, as they are in a preparation."""
        return replace(self, found_turn=tuple((name, getattr(preparation, name)) for name in TURN if name in names))

    def with_start(self, start: CalibrationResult, now: Aberrations, taken: bool) -> WhoSet:
        """A search has found a start, which is in use, or waits for somebody to choose among its alternatives."""
        found = _essence(start)
        several = bool(start.alternatives)
        return replace(
            self,
            start=start if several and not taken else found,
            in_use=Taken(0, found.rotation, found.transpose, found.aberrations) if several and taken else None,
            set_aberrations=now,
            own={},
        )

    def with_taken(self, number: int, turn: tuple[float, bool], now: Aberrations, own: Mapping[str, float]) -> WhoSet:
        """Somebody has chosen an alternative; `own` he has set himself."""
        return replace(self, in_use=Taken(number, *turn, now), set_aberrations=now, own=dict(own))

    def without_start(self) -> WhoSet:
        """No start has been found; single numbers still may have been."""
        return WhoSet(self.found_aberrations, self.found_turn)

    def with_moved(self, before: Aberrations, after: Aberrations) -> WhoSet:
        """The program has moved the lens: what was found stays found, and so does what was neither found nor given."""
        found, then, earlier = self.found(before), after.cartesian, before.cartesian
        kept = {n: v for n, v in then.items() if n in found or (not earlier[n] and v)}
        ours = self.set_aberrations
        if ours is not None:
            moved = {name: value + then[name] - earlier[name] for name, value in ours.cartesian.items()}
            ours = Aberrations(**{name: value for name, value in moved.items() if value})
        return replace(self, found_aberrations=kept, set_aberrations=ours)

    def with_given(self, now: Aberrations) -> WhoSet:
        """All of the aberrations were given, and are as the program has left them."""
        return replace(self, found_aberrations={}, set_aberrations=now)


def found_by(start: CalibrationResult) -> dict[str, float]:
    """Cartesian aberrations that a start has found, and not been given; of some no uncertainty is known."""
    sigmas = start.fit.uncertainties
    return {n: v for n, v in start.optics.aberrations.cartesian.items() if sigmas.get(n, 0.0) > 0}


def _essence(start: CalibrationResult) -> FoundStart:
    turn, lens = (start.measurement.rotation, start.measurement.transpose), start.optics.aberrations
    return FoundStart(*turn, lens, frozenset(found_by(start)), start.estimates)


__all__ = ["TURN", "Taken", "WhoSet", "found_by"]
