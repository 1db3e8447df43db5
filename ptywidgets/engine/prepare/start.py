"""The whole start from the data alone: calibration, descan, orientation, aberrations; each with its reason."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.prepare.descan import centred_mean
from ptywidgets.engine.prepare.disk import calibrate_detector, measure_disk
from ptywidgets.engine.prepare.measurement import Measurement, Preparation, prepare, reorient
from ptywidgets.engine.prepare.mend import mended
from ptywidgets.engine.prepare.optics_fit import TERMS, OpticsFit, find_optics
from ptywidgets.engine.prepare.polish import Polished, polish
from ptywidgets.engine.prepare.rotation import RotationFit, wrapped_angle
from ptywidgets.engine.probe import Optics

GIVEN = "given"
WIDEST = 0.3  # edge of an aperture, as part of its radius: more is blur
EDGE = 0.474  # the part of the edge of an aperture, half a cosine of amplitude, in which counts go from 90 to 10 %


@dataclass(frozen=True)
class Decision:
    """One thing that was decided."""

    name: str
    value: Any
    uncertainty: float | None  # one sigma, in `unit`
    unit: str
    source: str  # where it comes from: "given", "from least curl", ...
    sentence: str
    widget: str  # the one that shows it and lets one change it


@dataclass(frozen=True)
class Start:
    """What a reconstruction can begin with."""

    measurement: Measurement
    optics: Optics
    decisions: tuple[Decision, ...]
    fit: OpticsFit
    seconds: float

    def decision(self, name: str) -> Decision:
        """The decision of that name."""
        return next(d for d in self.decisions if d.name == name)

    def __str__(self) -> str:
        return "\n".join(d.sentence for d in self.decisions)


def find_start(
    dataset: Dataset,
    *,
    semiangle: float | None = None,
    q_pixel: float | None = None,
    rotation: float | None = None,
    transpose: bool | None = None,
    defocus: float | None = None,
    aberrations: Aberrations | None = None,
    preparation: Preparation | None = None,
    thickness: float | None = None,
    refine: bool = True,
) -> Start:
    """Find what a reconstruction has to know; what is given is kept.

    Parameters
    ----------
    dataset : Dataset
        With energy and scan step, and either of semi-angle and detector pixel; the other is found from the disk.
    semiangle, q_pixel : float, optional
        mrad, 1/A; instead of the dataset's.
    rotation, transpose : float (degrees), bool, optional
        Of the detector against the scan.
    defocus : float, optional
        In A. It tells the twins apart, too; where only its sign is known, pass ``aberrations=Aberrations(defocus=1)``.
    aberrations : Aberrations, optional
        Those beyond defocus, astigmatism and coma are kept; of the defocus the sign is used.
    preparation : Preparation, optional
        For the model of the origin.
    thickness : float, optional
        Of the specimen, in A. The defocus found is that of its middle; with this the one of its entrance is told, too.
    refine : bool
        Make the optics finer on a coarse reconstruction.

    Returns
    -------
    Start

    Examples
    --------
    >>> from ptywidgets import samples
    >>> start = find_start(samples.ducky("small"))
    >>> bool(abs(start.measurement.rotation + 15) < 0.3), bool(abs(start.optics.aberrations["defocus"] - 350) < 7)
    (True, True)
    """
    from ptywidgets.engine.direct.bright_field import bright_field

    begin = time.perf_counter()
    dataset, decisions = _calibrated(dataset, semiangle, q_pixel)
    wanted = preparation or Preparation()
    rotation = wanted.rotation if rotation is None else rotation
    transpose = wanted.transpose if transpose is None else transpose
    wanted = wanted.replace(rotation=rotation, transpose=transpose)
    measurement = prepare(dataset, wanted)
    decisions.append(_origin(measurement))
    bright = bright_field(dataset, measurement)
    optics = Optics.from_dataset(dataset, aberrations=aberrations or Aberrations())
    if dataset.vacuum is None:
        optics = optics.replace(rolloff=_edge(mended(dataset), measurement))
    fit = find_optics(bright, optics, rotation=rotation, transpose=transpose, defocus=defocus)
    polished = None
    if fit.found:
        hold = (*(("rotation",) if rotation is not None else ()), *(("C10",) if defocus is not None else ()))
        rounds = 3 if refine else 1
        others = tuple(n for n in fit.uncertainties if n not in (*TERMS, "rotation"))
        polished = polish(measurement, optics, fit, hold=hold + others, rounds=rounds)
        fit = polished.fit
    sign_known = defocus is not None or optics.aberrations["defocus"] != 0
    if polished is not None and rotation is None and not sign_known and polished.peaks < 0:
        fit = fit.twin()
    if fit.found:
        measurement = reorient(measurement, wanted.replace(rotation=fit.rotation, transpose=fit.transpose))
        told = rotation is not None or sign_known or (polished is not None and polished.peaks_clear)
        measurement = replace(measurement, preparation=wanted, rotation_fit=_known(measurement, fit, told))
        optics = optics.replace(aberrations=fit.aberrations)
    elif defocus is not None:
        optics = optics.replace(aberrations=optics.aberrations.replace(defocus=defocus))
    decisions += _orientation(measurement, fit, polished, rotation, transpose, sign_known)
    decisions += _lens(fit, polished, defocus, optics, thickness)
    return Start(measurement, optics, tuple(decisions), fit, time.perf_counter() - begin)


def _known(measurement: Measurement, fit: OpticsFit, told: bool) -> RotationFit:
    """What is known of the rotation now: the bright field's word in the place of the curl's."""
    return replace(
        measurement.rotation_fit,
        rotation=fit.rotation,
        transpose=fit.transpose,
        uncertainty=fit.uncertainties["rotation"],
        twin_resolved=told,
        message=fit.message,
    )


def _calibrated(dataset: Dataset, semiangle: float | None, q_pixel: float | None) -> tuple[Dataset, list[Decision]]:
    """The dataset with a complete calibration, and how it came about."""
    given = {k: v for k, v in (("semiangle", semiangle), ("q_pixel", q_pixel)) if v is not None}
    if given:
        dataset = dataset.with_calibration(**given)
    known = dataset.calibration
    absent = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
    source, sigma, words = GIVEN, None, "was given"
    if len(absent) == 1 and known.energy is not None:
        pattern = mended(dataset).mean_pattern() if dataset.vacuum is None else np.asarray(dataset.vacuum)
        disk = measure_disk(pattern)
        edge = min(disk.edge_width / EDGE / disk.radius, WIDEST)  # of the radius
        if known.semiangle is None:
            found = calibrate_detector(
                disk, known.energy, q_pixel=known.q_pixel, rolloff=edge * disk.radius * known.angle_pixel
            )
        else:
            rolloff = edge * known.semiangle / (1 + 0.64 * edge)  # the semi-angle is where the edge ends
            found = calibrate_detector(disk, known.energy, semiangle=known.semiangle, rolloff=rolloff)
        dataset = dataset.with_calibration(**{absent[0]: getattr(found, absent[0])})
        source = "from the bright-field disk"
        sigma = found.relative_uncertainty * getattr(found, absent[0])
        words = "follows from the radius of the bright-field disk"
    calibration = dataset.calibration
    calibration.check_complete()
    decisions = []
    for name, title, unit in (("semiangle", "semi-angle", "mrad"), ("q_pixel", "detector pixel", "1/A")):
        value, own = getattr(calibration, name), name in absent
        if value is not None:
            told = words if own else "was given"
            sentence = f"The {title}, {value:.4g} {unit}, {told}."
            decisions.append(
                Decision(
                    title, value, sigma if own else None, unit, source if own else GIVEN, sentence, "DatasetBrowser"
                )
            )
    return dataset, decisions


def _edge(dataset: Dataset, measurement: Measurement) -> float:
    """Width of the aperture's soft edge in mrad, from the edge of the disk in the mean of the patterns."""
    semiangle = dataset.calibration.semiangle or 0.0
    disk = measure_disk(centred_mean(dataset, measurement.origin))
    width = disk.edge_width * dataset.calibration.angle_pixel / EDGE
    return float(np.clip(width, 0.0, WIDEST * semiangle))


def _origin(measurement: Measurement) -> Decision:
    span = float(np.hypot(*np.ptp(measurement.origin, axis=(1, 2))))
    model = measurement.preparation.origin
    sentence = f"Descan moves the patterns by {span:.2f} px across the scan; a {model} is taken off."
    return Decision("descan", span, None, "px", "from the centre of mass", sentence, "DatasetBrowser")


def _orientation(
    measurement: Measurement,
    fit: OpticsFit,
    polished: Polished | None,
    rotation: float | None,
    transpose: bool | None,
    sign_known: bool,
) -> list[Decision]:
    angle, sigma = measurement.rotation, fit.uncertainties["rotation"]
    if rotation is not None:
        source, words, spread = GIVEN, f"The rotation, {angle:.2f} degrees, was given.", None
    elif not fit.found:
        source, spread = "from least curl", measurement.rotation_fit.uncertainty
        words = f"The bright field shows too little; the centre of mass has least curl at {angle:.2f} degrees."
    else:
        refined = polished is not None and polished.accepted
        source = "from the bright field" + (" and a coarse reconstruction" if refined else "")
        spread = sigma
        words = f"With {angle:.2f} degrees the optics explain the bright field best (+- {sigma:.2f})."
    out = [Decision("rotation", angle, spread, "degrees", source, words, "RotationExplorer")]
    turned = "transposed" if measurement.transpose else "not transposed"
    source = GIVEN if transpose is not None else source if rotation is None else "from the bright field"
    out.append(
        Decision(
            "transpose", measurement.transpose, None, "", source, f"The detector is {turned}.", "OrientationPicker"
        )
    )
    other = wrapped_angle(angle + 180)
    if rotation is not None:
        source, words = GIVEN, "Which of two opposite rotations is true was given with the rotation."
    elif sign_known:
        source, words = (
            "from the sign of the defocus",
            f"The sign of the defocus tells {angle:.0f} from {other:.0f} degrees.",
        )
    elif polished is not None and polished.peaks_clear:
        source = "from the atoms"
        words = f"Atoms come out bright with {angle:.0f} degrees and would be dark with {other:.0f}."
    else:
        source = "undecided"
        words = f"The data cannot tell {angle:.0f} from {other:.0f} degrees; turn it round if atoms come out dark."
    told = "open" if source == "undecided" else "told"
    out.append(Decision("half turn", told, None, "", source, words, "OrientationPicker"))
    return out


def _lens(
    fit: OpticsFit, polished: Polished | None, defocus: float | None, optics: Optics, thickness: float | None
) -> list[Decision]:
    refined = polished is not None and polished.accepted
    source = "from the bright field" + (" and a coarse reconstruction" if refined else "")
    if not fit.found:
        source = "not found"
    value = optics.aberrations["defocus"]
    sigma = fit.uncertainties["defocus"]
    if defocus is not None:
        words = f"The defocus, {value:.4g} A, was given."
        out = [Decision("defocus", value, None, "A", GIVEN, words, "ProbeDesigner")]
    else:
        words = f"The defocus is {value:.4g} A (+- {sigma:.2g}), counted from the middle of the specimen."
        if thickness:
            words += f" At the entrance of the {thickness:.4g} A it is {value + thickness / 2:.4g} A."
        if polished is not None and not refined:
            words += " A thin object does not describe these data well: take it with care."
        out = [Decision("defocus", value, sigma if fit.found else None, "A", source, words, "ProbeDesigner")]
    for symbol, name, widget in (("C12", "astigmatism", "ParallaxExplorer"), ("C21", "coma", "ParallaxExplorer")):
        size = optics.aberrations[symbol]
        spread = float(np.hypot(fit.uncertainties[f"{symbol}a"], fit.uncertainties[f"{symbol}b"]) / np.sqrt(2))
        seen = "" if size > 2 * spread else ", which is none within the uncertainty"
        words = f"The {name} is {size:.3g} A (+- {spread:.2g}){seen}."
        out.append(Decision(name, size, spread, "A", source, words, widget))
    return out
