"""Constraints: small bricks, applied in order after every iteration; schedules are wrappers around them."""

from __future__ import annotations

from typing import Any

from ptywidgets.engine.constraints.combine import Every, From, Relaxed, Until
from ptywidgets.engine.constraints.object import AmplitudeLimit, Positivity, PurePhase, VacuumBaseline
from ptywidgets.engine.constraints.probe import ProbeAperture, ProbeCentre, ProbeSupport

CONSTRAINTS = {
    c.__name__: c
    for c in (VacuumBaseline, AmplitudeLimit, PurePhase, Positivity, ProbeCentre, ProbeAperture, ProbeSupport)
}
SCHEDULES = {c.__name__: c for c in (Every, From, Until, Relaxed)}

__all__ = [
    "CONSTRAINTS",
    "SCHEDULES",
    "AmplitudeLimit",
    "Every",
    "From",
    "Positivity",
    "ProbeAperture",
    "ProbeCentre",
    "ProbeSupport",
    "PurePhase",
    "Relaxed",
    "Until",
    "VacuumBaseline",
    "default_constraints",
]


def default_constraints(object_type: str) -> tuple[Any, ...]:
    """A passive or positive specimen, and the probe in the middle.

    The phase of a complex object is made zero in vacuum. A potential starts from zero and is kept above it; taking the
    mean outside the scan away as well would pull it down where there is no vacuum, and costs quality on known truths.

    Examples
    --------
    >>> default_constraints("potential")
    (Positivity(), ProbeCentre())
    """
    if object_type == "potential":
        return (Positivity(), ProbeCentre())
    return (VacuumBaseline(), AmplitudeLimit(), ProbeCentre())
