"""Checks of the patterns themselves: what is counted, bad pixels, the disk and where it lies."""

from __future__ import annotations

import math

import numpy as np

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.detectors import disk_semiangle
from ptywidgets.engine.prepare.descan_fit import fit_descan
from ptywidgets.engine.prepare.disk import calibrate_detector
from ptywidgets.engine.prepare.pixels import bad_pixels_of

_ROLLOFF_SHARE = 0.474  # of a half-cosine amplitude's roll-off lies between 90 and 10 % of its intensity


def check_counts(facts: Facts) -> Finding:
    """NaN, negative and empty patterns."""
    sample = facts.sample
    kind = sample.dtype.kind
    broken = ~np.isfinite(sample).all((1, 2)) if kind == "f" else np.zeros(len(sample), bool)
    negative = (sample < 0).any((1, 2)) if kind in "fi" else np.zeros(len(sample), bool)
    empty = ~(facts.counts > 0)
    kinds = (("NaN or infinite values", broken), ("negative values", negative), ("no counts", empty))
    found = [f"{where.sum()} have {what}" for what, where in kinds if where.any()]
    count, looked = int((broken | negative | empty).sum()), f"{len(sample)} of {math.prod(facts.dataset.scan_shape)}"
    if not found:
        return Finding("counts", "good", 0, "", f"No NaN, negative or empty pattern among the {looked} looked at.")
    y, x = facts.places[np.flatnonzero(broken | negative | empty)[0]]
    return Finding(
        "counts",
        "bad",
        count,
        "patterns",
        f"Of the {looked} patterns looked at, {', '.join(found)}, the first at scan ({y}, {x}).",
        "Set NaN and negative values to 0, and crop the scan where patterns are empty.",
    )


def check_pixels(facts: Facts) -> Finding:
    """Hot, dead and saturated detector pixels."""
    bad = bad_pixels_of([facts.sample])
    count = int((bad.mask | bad.saturated).sum())
    verdict = "bad" if bad.saturated.any() or bad.mask.mean() > 0.01 else "warn" if count else "good"
    remedy = "Record with less dose or a larger range." if bad.saturated.any() else ""
    if bad.mask.any():
        remedy = f"Mend them: mend_pixels(dataset, bad_pixels(dataset)). {remedy}".strip()
    words = bad.sentence.split(";")[0].split(". ")[0].rstrip(".") + "."
    return Finding("detector pixels", verdict, count, "px", words, remedy)


def check_disk(facts: Facts) -> Finding:
    """Whether the disk is as large as semi-angle, energy and detector pixel say, and round."""
    vacuum = facts.dataset.vacuum is not None
    disk = facts.vacuum_disk if vacuum else facts.disk
    given = facts.optics.semiangle or facts.calibration.semiangle
    if given is None:
        raise NotKnown("no semi-angle is given")
    energy, q_pixel = facts.calibration.require("energy"), facts.calibration.require("q_pixel")
    low = disk_semiangle(disk.radius, facts.calibration)
    # Where the edge is soft, the semi-angle may be at its half height or at its end.
    rolloff = min(disk.edge_width, 0.35 * disk.radius) / _ROLLOFF_SHARE * facts.calibration.angle_pixel
    high = disk_semiangle(disk.radius, facts.calibration, rolloff)
    off = max(low / given - 1, given / high - 1, 0.0)
    pattern = "vacuum" if vacuum else "mean"
    measured = calibrate_detector(disk, energy, q_pixel=q_pixel).semiangle
    words = f"The disk of the {pattern} pattern has {measured:.3g} mrad"
    if high > 1.05 * low and not disk.is_smeared:
        words += f" at half height and {high:.3g} where its soft edge ends"
    words += f"; the semi-angle is given as {given:.3g} mrad."
    if off > 0.03:
        right = calibrate_detector(disk, energy, semiangle=given).q_pixel
        remedy = (
            f"Correct one of them: with this semi-angle a detector pixel is {right:.4g} 1/A, not {q_pixel:.4g}. "
            "Has the detector been binned, or the energy changed?"
        )
        return Finding("disk and semi-angle", "bad" if off > 0.08 else "warn", measured, "mrad", words, remedy)
    if not disk.is_round and not disk.is_smeared:
        share = 100 * (disk.ellipticity - 1)
        words += f" It is an ellipse, {share:.1f} % longer at {disk.ellipse_angle:.0f} degrees from the rows' axis."
        remedy = "Correct the projector lens, or expect an object that is stretched as much."
        return Finding("disk and semi-angle", "warn", measured, "mrad", words, remedy)
    return Finding("disk and semi-angle", "good", measured, "mrad", words)


def check_vacuum(facts: Facts) -> Finding:
    """Whether the vacuum pattern was recorded as the data were."""
    vacuum, mean = facts.vacuum_disk, facts.disk
    if mean.is_smeared:
        raise NotKnown("the disk of the mean pattern has no sharp edge")
    off = abs(vacuum.radius / mean.radius - 1)
    uncertain = 3 * math.hypot(vacuum.radius_uncertainty, mean.radius_uncertainty) / mean.radius
    words = (
        f"The disk of the vacuum pattern has a radius of {vacuum.radius:.2f} px, that of the data {mean.radius:.2f} px."
    )
    if off < max(0.03, uncertain):
        return Finding("vacuum pattern", "good", vacuum.radius, "px", words)
    remedy = "Take a vacuum pattern at the same camera length, binning and aperture, or use the semi-angle instead."
    return Finding("vacuum pattern", "bad" if off > 0.08 else "warn", vacuum.radius, "px", words, remedy)


def check_reach(facts: Facts) -> Finding:
    """How far the detector reaches, in radii of the disk, and how finely it divides the disk."""
    disk = facts.disk
    edges = [d for c, n in zip(disk.centre, facts.dataset.detector_shape, strict=True) for d in (c, n - 1 - c)]
    reach = min(edges) / disk.radius
    words = f"The detector reaches {reach:.2g} times the aperture's angle"
    if facts.calibration.q_pixel is not None:
        words += f"; an object pixel is {max(facts.calibration.sampling(facts.dataset.detector_shape)):.3g} A"
    if reach < 1:
        remedy = "Use a shorter camera length, or crop less: counts of the disk are lost."
        return Finding("detector reach", "bad", reach, "", f"{words}: the disk is cut.", remedy)
    if reach < 1.3:
        remedy = "A shorter camera length records the dark field too, and with it finer detail."
        return Finding("detector reach", "warn", reach, "", f"{words}.", remedy)
    if disk.radius < 4:
        words += f"; the disk has a radius of {disk.radius:.1f} px only"
        remedy = "A longer camera length, or less binning, gives the probe a larger box."
        return Finding("detector reach", "warn", reach, "", f"{words}.", remedy)
    return Finding("detector reach", "good", reach, "", f"{words}.")


def check_descan(facts: Facts) -> Finding:
    """Whether the patterns still wander after the origin has been taken off."""
    if facts.has_measurement:
        measured = facts.measurement.com_measured - facts.measurement.origin
        stride = max(1, math.ceil(max(measured.shape[1:]) / (48 if facts.thorough else 16)))
        fit = fit_descan(measured[:, ::stride, ::stride])
        left, words = fit.span, f"The patterns still move by {fit.span:.2g} px over the scan, as a {fit.model} surface"
    else:
        fit = fit_descan(facts.centres)
        plane = fit_descan(facts.centres, "plane").origin
        beyond = (fit.origin - plane).reshape(2, -1)
        left = float(np.hypot(*np.ptp(beyond, axis=1))) if fit.model not in ("constant", "plane") else 0.0
        words = f"Descan moves the patterns by {fit.span:.2g} px over the scan, {left:.2g} px of it beyond a plane"
    if left < 0.5:
        if facts.has_measurement:
            return Finding("descan", "good", left, "px", f"No descan is left: {left:.2g} px over the scan.")
        return Finding("descan", "good", left, "px", f"{words}; preparing takes a plane off.")
    remedy = (
        'Fit a bent surface (origin="parabola"), or take the origin from the edge of the disk: '
        "fit_descan(disk_origins(dataset, disk)). A wedge of the specimen looks the same."
    )
    return Finding("descan", "bad" if left > 2 else "warn", left, "px", f"{words}.", remedy)
