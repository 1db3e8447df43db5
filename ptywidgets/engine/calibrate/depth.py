"""The lens of a thick specimen: the defocus of its middle, with a thickness that was given or that is found.

A specimen thicker than half the depth of field, lambda / alpha^2, is no single plane. What was found with one plane,
orientation and lens, is where the multislice reconstructions of :mod:`.coarse.thick` and :mod:`.coarse.thickness`
begin; waves that are scattered many times can also tell a rotation from the one that is half a turn on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ptywidgets.engine.calibrate.agreed import edge_scale
from ptywidgets.engine.calibrate.calibration_arguments import Given
from ptywidgets.engine.calibrate.coarse.refine_optics import OpticsRefinement
from ptywidgets.engine.calibrate.coarse.thick import depth_of_field, sure_enough, thick_defocus, with_defocus
from ptywidgets.engine.calibrate.coarse.thickness import SLICES, ThicknessFit, find_thickness
from ptywidgets.engine.calibrate.search.verdict import SearchResult
from ptywidgets.engine.calibrate.spectra.optics_fit import OpticsFit
from ptywidgets.engine.calibrate.spectra.optics_fit import in_words as fit_in_words
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement, Preparation, reorient

# Of the depth of field and of the thickness: what slices that are all alike leave unsure of the middle of a specimen.
OF_THICK = (0.1, 0.05)
# Of the depth of field, as a phase at the edge: the coma is found with one plane, which a thick specimen is not.
COMA_OF_THICK = 0.25


@dataclass(frozen=True)
class Lens:
    """Orientation and lens, as far as they are known."""

    measurement: Measurement
    optics: Optics
    fit: OpticsFit
    search: SearchResult
    told: bool  # whether it is known which of two opposite rotations is true
    slices: int = 0  # with how many, all alike, the defocus was found; 0 for one plane
    thickness: ThicknessFit | None = None  # what was found where nobody had given it; it may not be clear


def one_plane(calibration: Calibration) -> float:
    """How thick a specimen may be and still be one plane, A: half the depth of field, infinite where it is unknown.

    Examples
    --------
    >>> round(one_plane(Calibration(energy=80e3, semiangle=20)))
    52
    """
    if not calibration.semiangle:
        return math.inf
    return 0.5 * depth_of_field(calibration.semiangle, calibration.require("energy"))


def oriented(measurement: Measurement, wanted: Preparation, fit: OpticsFit, told: bool) -> Measurement:
    """A measurement read as a fit says, with the fit's word on the rotation in the place of the curl's."""
    measurement = reorient(measurement, wanted.replace(rotation=fit.rotation, transpose=fit.transpose))
    known = replace(
        measurement.rotation_fit,
        rotation=fit.rotation,
        transpose=fit.transpose,
        uncertainty=fit.uncertainties["rotation"],
        flip_resolved=told,
        message=fit_in_words(fit.aberrations, fit.rotation, fit.transpose, fit.uncertainties),
    )
    return replace(measurement, preparation=wanted, rotation_fit=known)


def in_depth(
    lens: Lens,
    wanted: Preparation,
    given: Given,
    refinement: OpticsRefinement | None,
    progress: Callable[[str], object],
) -> Lens:
    """The lens with the defocus of a thick specimen's middle, where it is known or found to be thick.

    Parameters
    ----------
    lens : Lens
        As found with one plane.
    wanted : Preparation
        How the measurement is prepared, but for its rotation.
    given : Given
        What nothing is found for: a defocus is kept, and of a thickness that is given only the middle is looked for.
    refinement : OpticsRefinement, optional
        How well one plane describes the data; without it nothing is found.
    progress : callable
        Called with words before each part; what it raises ends the work.

    Returns
    -------
    Lens
    """
    thin = one_plane(lens.measurement.calibration)
    if not given.refine or given.defocus is not None or not math.isfinite(thin):
        return lens
    if given.thickness is not None:
        if given.thickness <= thin:
            return lens
        thick = thick_defocus(lens.measurement, lens.optics, given.thickness, progress=progress)
        return _at(lens, thick.defocus, thick.uncertainty, thick.thickness, thick.slices)
    if refinement is None or (refinement.accepted and _tells_defocus(lens.fit, 2 * thin)):
        return lens
    found = find_thickness(lens.measurement, lens.optics, either=not lens.told, progress=progress)
    lens = replace(lens, thickness=found)
    if not found.clear:
        return lens
    if found.turned is not None and not lens.told:
        lens = _decided(lens, found.turned, wanted)
    return _at(lens, found.defocus, found.defocus_uncertainty, found.thickness, SLICES)


def _tells_defocus(fit: OpticsFit, depth: float) -> bool:
    return sure_enough(fit.aberrations["defocus"], fit.uncertainties["defocus"], depth)


def _decided(lens: Lens, turned: bool, wanted: Preparation) -> Lens:
    """With the one of two opposite rotations that several slices have told."""
    fit = lens.fit.flipped() if turned else lens.fit
    return replace(
        lens,
        measurement=oriented(lens.measurement, wanted, fit, True),
        optics=lens.optics.replace(aberrations=fit.aberrations),
        fit=fit,
        search=lens.search.with_slices(turned),
        told=True,
    )


def _at(lens: Lens, defocus: float, sigma: float, thickness: float, slices: int) -> Lens:
    """With the defocus of the middle, and the uncertainties that belong to several slices, of which only the defocus
    was found with them."""
    known = lens.measurement.calibration
    semiangle, depth = 1e-3 * known.require("semiangle"), 2 * one_plane(known)
    sigmas = dict(lens.fit.uncertainties)
    sigmas["C10"] = sigmas["defocus"] = math.hypot(sigma, OF_THICK[0] * depth, OF_THICK[1] * thickness)
    for name in ("C21a", "C21b"):
        if sigmas.get(name):  # neither held nor unknown
            sigmas[name] = math.hypot(sigmas[name], COMA_OF_THICK * depth * edge_scale(name, semiangle))
    optics = with_defocus(lens.optics, defocus)
    fit = replace(lens.fit, aberrations=optics.aberrations, uncertainties=sigmas)
    return replace(lens, optics=optics, fit=fit, slices=slices)


__all__ = ["Lens", "in_depth", "one_plane", "oriented"]
