"""Refinements: what else is fitted inside a run, after every batch; `Every`, `From` and `Until` say when."""

from __future__ import annotations

from typing import Any

from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.refinements.aberration_fit import fit_aberrations
from ptywidgets.engine.refinements.affine import RefineAffine
from ptywidgets.engine.refinements.diffuse import RefineDiffuse
from ptywidgets.engine.refinements.model import RefineModel
from ptywidgets.engine.refinements.model_derivatives import model_derivatives
from ptywidgets.engine.refinements.object_modes import RefineObjectModes
from ptywidgets.engine.refinements.optics import RefineOptics, refined_aberrations
from ptywidgets.engine.refinements.position_derivatives import PositionDerivatives, position_derivatives
from ptywidgets.engine.refinements.positions import RefinePositions
from ptywidgets.engine.refinements.tilts import RefineTilts, refined_tilts

# In the order in which a plan's editor has them act.
REFINEMENTS = {
    r.__name__: r
    for r in (
        RefineAffine,
        RefinePositions,
        RefineOptics,
        RefineModel,
        RefineTilts,
        RefineDiffuse,
        RefineObjectModes,
    )
}


def default_refinements(config: ModelConfig) -> tuple[Any, ...]:
    """What a model has to find besides object and probe is found.

    Examples
    --------
    >>> from ptywidgets.engine import ModelConfig
    >>> default_refinements(ModelConfig()), len(default_refinements(ModelConfig(background=True)))
    ((), 1)
    """
    diffuse = (RefineDiffuse(),) if config.elements or config.background else ()
    return (*diffuse, *((RefineObjectModes(),) if config.object_modes > 1 else ()))


__all__ = [
    "REFINEMENTS",
    "PositionDerivatives",
    "RefineAffine",
    "RefineDiffuse",
    "RefineModel",
    "RefineObjectModes",
    "RefineOptics",
    "RefinePositions",
    "RefineTilts",
    "default_refinements",
    "fit_aberrations",
    "model_derivatives",
    "position_derivatives",
    "refined_aberrations",
    "refined_tilts",
]
