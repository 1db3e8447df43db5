"""Constraints: small bricks, applied in order after every iteration; schedules are wrappers around them."""

from __future__ import annotations

from typing import Any

from ptywidgets.engine.constraints.aperture import ProbeFourierAmplitude
from ptywidgets.engine.constraints.combine import Every, From, Relaxed, Until
from ptywidgets.engine.constraints.masks import FieldOfView, VacuumRegion
from ptywidgets.engine.constraints.object import (
    AmplitudeLimit,
    Positivity,
    PurePhase,
    Shrinkage,
    Sparsity,
    VacuumBaseline,
)
from ptywidgets.engine.constraints.object_filters import ButterworthFilter, GaussianFilter
from ptywidgets.engine.constraints.positions import PositionAffine, PositionDistance, PositionMean
from ptywidgets.engine.constraints.probe import (
    ProbeAperture,
    ProbeCentre,
    ProbeIntensity,
    ProbeOrthogonality,
    ProbeSupport,
)
from ptywidgets.engine.constraints.slices import DepthFilter, IdenticalSlices, KzFilter, LowRank
from ptywidgets.engine.constraints.total_variation import TotalVariation
from ptywidgets.engine.constraints.volume import VolumeSlab, VolumeSupport

# In the order in which the plan's editor has them act: what smooths first, then what sets limits, then masks.
CONSTRAINTS = {
    c.__name__: c
    for c in (
        GaussianFilter,
        ButterworthFilter,
        TotalVariation,
        KzFilter,
        DepthFilter,
        LowRank,
        IdenticalSlices,
        Shrinkage,
        Sparsity,
        VacuumBaseline,
        AmplitudeLimit,
        PurePhase,
        Positivity,
        FieldOfView,
        VacuumRegion,
        ProbeCentre,
        ProbeAperture,
        ProbeFourierAmplitude,
        ProbeSupport,
        ProbeOrthogonality,
        ProbeIntensity,
        PositionDistance,
        PositionAffine,
        PositionMean,
    )
}
VOLUMES = {c.__name__: c for c in (VolumeSupport, VolumeSlab)}  # for tilt series alone
SCHEDULES = {c.__name__: c for c in (Every, From, Until, Relaxed)}

__all__ = [
    "CONSTRAINTS",
    "SCHEDULES",
    "VOLUMES",
    "AmplitudeLimit",
    "ButterworthFilter",
    "DepthFilter",
    "Every",
    "FieldOfView",
    "From",
    "GaussianFilter",
    "IdenticalSlices",
    "KzFilter",
    "LowRank",
    "PositionAffine",
    "PositionDistance",
    "PositionMean",
    "Positivity",
    "ProbeAperture",
    "ProbeCentre",
    "ProbeFourierAmplitude",
    "ProbeIntensity",
    "ProbeOrthogonality",
    "ProbeSupport",
    "PurePhase",
    "Relaxed",
    "Shrinkage",
    "Sparsity",
    "TotalVariation",
    "Until",
    "VacuumBaseline",
    "VacuumRegion",
    "VolumeSlab",
    "VolumeSupport",
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
