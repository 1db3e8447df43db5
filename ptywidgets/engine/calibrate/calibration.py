"""Calibration, descan, orientation and aberrations from the data alone, each with its uncertainty and its reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.calibrate.agreed import agreed
from ptywidgets.engine.calibrate.alternatives import Alternative, Landscape
from ptywidgets.engine.calibrate.calibration_arguments import Given, check_sizes, checked_start
from ptywidgets.engine.calibrate.coarse.refine_optics import OpticsRefinement, refine_optics
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit
from ptywidgets.engine.calibrate.depth import Lens, in_depth, one_plane, oriented
from ptywidgets.engine.calibrate.estimates import (
    CANNOT,
    GIVEN,
    Estimate,
    about_data,
    about_descan,
    about_lens,
    about_orientation,
    about_thickness,
    in_a_sentence,
)
from ptywidgets.engine.calibrate.search.search import search
from ptywidgets.engine.calibrate.search.trial import Points
from ptywidgets.engine.calibrate.search.verdict import SearchResult, are_flips
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS, OpticsFit, cannot_tell, find_optics
from ptywidgets.engine.calibrate.spectra.scan_spectra import ScanSpectra
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import InsufficientData
from ptywidgets.engine.core.stopping import stopped_by
from ptywidgets.engine.data.calibration import in_words as words_of
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.data.detectors import INSIDE
from ptywidgets.engine.direct.bright_field import bright_field
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.defects.frames import screen, suspects
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.disk.aperture import EDGE, WIDEST, measured_aperture, shows_edge
from ptywidgets.engine.preprocess.disk.disk import calibrate_detector, measure_disk
from ptywidgets.engine.preprocess.disk.hidden_disk import NOTICED, hidden_disk, require_disk
from ptywidgets.engine.preprocess.enough import require_enough
from ptywidgets.engine.preprocess.in_reach import in_reach
from ptywidgets.engine.preprocess.measurement import (
    Measurement,
    Preparation,
    in_whole_scan,
    prepared,
)
from ptywidgets.engine.preprocess.origin.descan import centred_mean
from ptywidgets.engine.preprocess.origin.descan_model import descan_model
from ptywidgets.engine.preprocess.origin.origin import fit_origin, moments
from ptywidgets.engine.preprocess.rotation import wrapped_angle

# A, times the share of what is scattered that one plane leaves: 0 to 0.05 of thin specimens, 0.1 to 0.25 of those of
# 120 to 190 A, whose best plane was up to 51 A from their middle.
OF_PLANE = 150.0
AGREE = (2.0, 6.0)  # degrees between curl and bright field, at least and at most, with which the two agree
SHARP = 2.0  # the same in uncertainties of the curl's
DIRECTED = 0.4  # share of the curl: with more, the centre of mass has hardly a direction


@dataclass(frozen=True)
class CalibrationResult:
    """Measurement, optics and estimates that :func:`calibrate` has found, for a reconstruction to begin with."""

    measurement: Measurement
    optics: Optics
    estimates: tuple[Estimate, ...]
    fit: OpticsFit
    seconds: float
    refinement: OpticsRefinement | None = None  # None where the bright field shows too little
    alternatives: tuple[Alternative, ...] = ()  # the best first, which is the one that was taken
    landscape: Landscape | None = None  # what a search over orientations and defocuses has seen; None without one
    search: SearchResult | None = None  # and what it has to say; None where there was nothing to search
    cannot: str = ""  # why nothing could be searched
    thickness: ThicknessFit | None = None  # of a specimen that is clearly thick, where nobody has given it

    def estimate(self, name: str) -> Estimate:
        """Return the estimate of that name, such as "defocus"."""
        return next(d for d in self.estimates if d.name == name)

    def __str__(self) -> str:
        return "\n".join(d.sentence for d in self.estimates)


def calibrate(
    dataset: Dataset,
    *,
    semiangle: float | None = None,
    q_pixel: float | tuple[float, float] | None = None,
    rotation: float | None = None,
    transpose: bool | None = None,
    defocus: float | None = None,
    aberrations: Aberrations | None = None,
    preparation: Preparation | None = None,
    origin: str | None = None,
    thickness: float | None = None,
    refine: bool = True,
    terms: str | Sequence[str] = TERMS,
    progress: Callable[[str], object] | None = None,
    stop: Callable[[], object] | None = None,
) -> CalibrationResult:
    """Estimate calibration, descan, orientation and aberrations from the data; what is given is kept.

    Parameters
    ----------
    dataset : Dataset
        With energy and scan step, and either of semi-angle and detector pixel; the other is found from the disk.
    semiangle, q_pixel : float, optional
        mrad, 1/A; instead of the dataset's.
    rotation, transpose : float (degrees), bool, optional
        Of the detector against the scan.
    defocus : float, optional
        In A. It resolves the 180-degree ambiguity, too; where only its sign is known, pass
        ``aberrations=Aberrations(defocus=1)``.
    aberrations : Aberrations, optional
        Those beyond defocus, astigmatism and coma are kept; of the defocus the sign is used.
    preparation : Preparation, optional
        For the model of the origin, where that is not the default.
    origin : {"plane", "parabola", "constant", "none"}, optional
        Model of the origin. By default a plane, or a parabola where centres of mass and edges of the disks are bent.
    thickness : float, optional
        Of the specimen, in A. The defocus found is that of its middle; with this the one of its entrance is told, too.
        Where it is more than half the depth of field, lambda / semiangle^2, no single plane describes the specimen, and
        the defocus is refined on a coarse multislice reconstruction, which takes some ten seconds.
    refine : bool
        Make the optics finer on a coarse reconstruction.
    terms : str or sequence of str
        The coefficients that are looked for, "C10" among them unless `defocus` is given, and both parts of those that
        have a direction; others are kept.
    progress : callable, optional
        Called with words before each part of the work; what it raises ends the search.
    stop : callable, optional
        Called many times a second, on any thread, and without arguments; once it returns True the search ends with
        WorkStopped: ``stop=threading.Event().is_set``.

    Returns
    -------
    CalibrationResult
        Bad frames and pixels that were not measured are left out of its measurement. What the data are too few to tell
        has "cannot tell" for the source of its estimate.

    Raises
    ------
    CalibrationError, DataError
        Where nothing can go on; an AskingError, which is a CalibrationError, says what has to be given.
    ParameterError
        When an argument is none of what it can be.
    WorkStopped
        Where `stop` has said so.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> start = calibrate(samples.ducky("small"))
    >>> bool(abs(start.measurement.rotation + 15) < 0.3), bool(abs(start.optics.aberrations["defocus"] - 350) < 7)
    (True, True)
    """
    given = checked_start(
        dataset,
        semiangle=semiangle,
        q_pixel=q_pixel,
        rotation=rotation,
        transpose=transpose,
        origin=origin,
        defocus=defocus,
        aberrations=aberrations,
        preparation=preparation,
        thickness=thickness,
        refine=refine,
        terms=terms,
        progress=progress,
        stop=stop,
    )
    with stopped_by(stop):
        found = _found(measured_rows(dataset), given, progress or (lambda _words: None))
    return replace(found, measurement=in_whole_scan(found.measurement, dataset.scan_shape))


def _found(dataset: Dataset, given: Given, tell: Callable[[str], object]) -> CalibrationResult:
    """The start, with arguments that have been checked."""
    begin, rotation, defocus = time.perf_counter(), given.rotation, given.defocus
    tell("bad frames and pixels")
    screened = screen(in_reach(dataset, tell))
    screened = screened.without(suspects(screened))
    estimates = about_data(screened)
    tell("the bright-field disk")
    dataset, calibrated = calibrate_by_disk(screened.dataset, given.semiangle, given.q_pixel)
    check_sizes(dataset, defocus, given.aberrations)  # of what the disk has told, too
    screened, estimates = replace(screened, dataset=dataset), [*estimates, *calibrated]
    tell("the centre of mass")
    wanted, why = given.preparation, ""
    if given.origin is not None:
        wanted = wanted.replace(origin=given.origin)
    elif wanted.origin == Preparation().origin:
        model, why = descan_model(screened)
        wanted = wanted.replace(origin=model)
    measurement = prepared(screened, wanted)
    estimates.append(about_descan(measurement, why))
    bright = bright_field(dataset, measurement)
    aberrations = Aberrations(defocus=None) if given.aberrations is None else given.aberrations
    optics = Optics.from_dataset(dataset, aberrations=aberrations)
    if dataset.vacuum is None:
        optics = measured_aperture(optics, repaired(dataset), measurement, dataset.mask)
    cannot = ""
    found: SearchResult | None = None
    refinement: OpticsRefinement | None = None
    held = [name for name, value in (("rotation", rotation), ("C10", defocus)) if value is not None]
    sign_known = bool(optics.aberrations["defocus"] if defocus is None else defocus)
    hidden = hidden_disk(dataset)
    try:
        if rotation is None or defocus is None:  # before a search of what cannot be told
            require_enough(dataset.scan_shape, len(measurement.patterns))
            require_disk(hidden)
        tell("the spectra of the bright field")
        bands = ScanSpectra.prepare(bright)
        if not bands.frequencies[0].size:
            raise InsufficientData("no frequency of the scan lies within what the aperture passes.")
        linear = find_optics(bright, optics, terms=given.terms, bands=bands, **given.held)
        tell("trial reconstructions")
        found = _searched(measurement, optics, linear, given, tell)
        found = replace(found, hidden=str(hidden) if hidden.off > NOTICED else "")
        fit = agreed(found, linear, bands, optics, _searched_terms(given.terms), held, measurement)
    except (InsufficientData, ArithmeticError, np.linalg.LinAlgError) as error:
        cannot = str(error) if isinstance(error, InsufficientData) else "they leave the fit without a solution"
        found = None
        fit = cannot_tell(optics, measurement.rotation, measurement.transpose, measurement.scan_shape, cannot)
    slices = 0
    thickness: ThicknessFit | None = None
    if found is not None and fit.found:
        tell("a coarse reconstruction")
        others = tuple(n for n in fit.uncertainties if n not in (*given.terms, "defocus"))
        try:  # the rotation is told better by the trials than by a few rounds of this
            refinement = refine_optics(measurement, optics, fit, hold=(*held, *others), rounds=3 if given.refine else 1)
            unknown = given.thickness is None and defocus is None
            fit = _of_plane(refinement, found.scattered) if unknown else refinement.fit
            if math.isfinite(found.flip_margin):
                found = found.with_fringes(refinement.fringes)
                fit = replace(fit, told=found.told)
            if refinement.peaks_clear:
                before, found = found, found.with_atoms(refinement.peaks)
                fit = fit if found.best.rotation == before.best.rotation else fit.flipped()
        except InsufficientData as error:
            estimates.append(Estimate("coarse reconstruction", "none", None, "", CANNOT, str(error)))
    if found is not None and fit.found:
        told = rotation is not None or sign_known or found.flip_told
        exact = fit.aberrations if defocus is None else fit.aberrations.replace(defocus=defocus)
        lens = Lens(oriented(measurement, wanted, fit, told), optics.replace(aberrations=exact), fit, found, told)
        lens = in_depth(lens, wanted, given, refinement, tell)
        measurement, optics, fit, found = lens.measurement, lens.optics, lens.fit, lens.search
        slices, thickness = lens.slices, lens.thickness
    elif defocus is not None:
        optics = optics.replace(aberrations=optics.aberrations.replace(defocus=defocus))
    estimates += about_orientation(measurement, fit, found, given, sign_known, cannot)
    estimates += about_thickness(thickness)
    estimates += about_lens(fit, refinement, optics, slices, one_plane(dataset.calibration), found, given, cannot)
    readings, landscape = ((), None) if found is None else (found.alternatives, found.landscape)
    if readings and fit.found:
        readings = _as_taken(readings, measurement.rotation, optics.aberrations, fit)
    seconds = time.perf_counter() - begin
    return CalibrationResult(
        measurement,
        optics,
        tuple(estimates),
        fit,
        seconds,
        refinement,
        readings,
        landscape,
        found,
        in_a_sentence(cannot),
        thickness if thickness is not None and thickness.clear else None,
    )


def _as_taken(
    readings: tuple[Alternative, ...], rotation: float, aberrations: Aberrations, fit: OpticsFit
) -> tuple[Alternative, ...]:
    """The readings with the first, and the same turned by half a turn, as they are taken: with what was made finer
    since the search."""
    first, *others = readings
    lens, own = aberrations.cartesian, fit.uncertainties
    reversed_lens = Aberrations(**{n: -v if own.get(n, 0.0) > 0 else v for n, v in lens.items() if v})
    out = [replace(first, rotation=rotation, defocus=aberrations["defocus"], aberrations=aberrations)]
    for one in others:
        if are_flips(one, first):
            turned = wrapped_angle(rotation + 180)
            one = replace(one, rotation=turned, defocus=reversed_lens["defocus"], aberrations=reversed_lens)
        out.append(one)
    return tuple(out)


def _of_plane(refinement: OpticsRefinement, scattered: float) -> OpticsFit:
    """The fit of one plane, less sure of the defocus the more of what the specimen scatters one plane does not explain:
    a specimen of unknown thickness has it anywhere within."""
    fit, share = refinement.fit, min(1.0, refinement.misfit / max(scattered, 1e-30))
    sigma = math.hypot(fit.uncertainties["C10"], OF_PLANE * share)
    return replace(fit, uncertainties={**fit.uncertainties, "C10": sigma, "defocus": sigma})


def _searched_terms(terms: Sequence[str]) -> tuple[str, ...]:
    """The defocus first, also where it is held."""
    return ("C10", *(t for t in terms if t != "C10"))


def _searched(
    measurement: Measurement,
    optics: Optics,
    linear: OpticsFit,
    given: Given,
    tell: Callable[[str], object],
) -> SearchResult:
    """The whole range of orientations and defocuses, with what the bright field proposes."""
    terms = _searched_terms(given.terms)
    sign = float(np.sign(optics.aberrations["defocus"])) if given.defocus is None else 0.0
    values = np.array([[linear.aberrations.cartesian.get(t, 0.0) for t in terms]])
    proposals = Points(np.array([linear.rotation]), np.array([linear.transpose]), values)
    curl = measurement.rotation_fit
    apart = abs(wrapped_angle(2 * (linear.rotation - curl.rotation))) / 2
    sharp = min(max(SHARP * curl.uncertainty, AGREE[0]), AGREE[1])
    trusted = linear.found and linear.transpose == curl.transpose and apart < sharp and curl.solenoidal_share < DIRECTED
    return search(
        measurement, optics, terms=terms, sign=sign, proposals=proposals, trusted=trusted, progress=tell, **given.held
    )


def calibrate_by_disk(
    dataset: Dataset, semiangle: float | None = None, q_pixel: float | tuple[float, float] | None = None
) -> tuple[Dataset, list[Estimate]]:
    """The dataset with semi-angle and detector pixel, one of which may follow from the other, and how it came about."""
    given: dict[str, Any] = {k: v for k, v in (("semiangle", semiangle), ("q_pixel", q_pixel)) if v is not None}
    if given:
        dataset = dataset.with_calibration(**given)
    known = dataset.calibration
    absent = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
    source, sigma, words = GIVEN, None, "was given"
    if len(absent) == 1 and known.energy is not None:
        pattern: Any = Optics.from_dataset(dataset).vacuum
        vacuum = pattern is not None
        if not vacuum:  # descan would smear the disk of a plain mean
            clean = repaired(dataset)
            pattern = centred_mean(clean, fit_origin(moments(clean)[1], "plane"), mask=dataset.mask)
        disk = measure_disk(pattern, known.relative_pixels)
        if not (vacuum or shows_edge(disk)):
            raise AskingError(
                "the disk of the mean pattern has no edge that is an aperture's, as of a thick specimen, so that "
                "{named} cannot be found from it; {set}.",
                absent[0],
            )
        edge = min(disk.edge_width / EDGE / disk.radius, WIDEST)  # of the radius
        if known.semiangle is None:
            rolloff = edge * disk.radius * known.angle_mean
            found = calibrate_detector(disk, known.energy, q_pixel=known.q_pixel, rolloff=rolloff, vacuum=vacuum)
        else:
            rolloff = edge * known.semiangle / (1 + INSIDE * edge)  # the edge is a share of the radius of the counts
            found = calibrate_detector(disk, known.energy, semiangle=known.semiangle, rolloff=rolloff, vacuum=vacuum)
        dataset = dataset.with_calibration(origin="measured", **{absent[0]: getattr(found, absent[0])})
        source = "from the bright-field disk"
        sigma = found.relative_uncertainty * getattr(found, absent[0])
        words = "follows from the radius of the bright-field disk"
    calibration = dataset.calibration
    calibration.check_complete()
    estimates = []
    for name, title, unit in (("semiangle", "semi-angle", "mrad"), ("q_pixel", "detector pixel", "1/A")):
        value, own = getattr(calibration, name), name in absent
        if value is not None:
            told = words if own else "was given"
            sentence = f"The {title}, {words_of(value, 4)} {unit}, {told}."
            estimates.append(Estimate(title, value, sigma if own else None, unit, source if own else GIVEN, sentence))
    return dataset, estimates
