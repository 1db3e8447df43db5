"""Checks of the patterns themselves: what is counted, bad pixels, the disk and where it lies."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.data.calibration import in_words, single
from ptywidgets.engine.data.detectors import WIDE, disk_semiangle
from ptywidgets.engine.optics.vacuum import clean_vacuum
from ptywidgets.engine.preprocess.defects.pixels import bad_pixels_of
from ptywidgets.engine.preprocess.disk.aperture import EDGE, shows_edge
from ptywidgets.engine.preprocess.disk.disk import calibrate_detector, measure_disk
from ptywidgets.engine.preprocess.disk.hidden_disk import UNTOLD
from ptywidgets.engine.preprocess.origin.descan_fit import fit_descan

_LOOKED_AT = 64e6  # bytes of data on disk that are read as a whole
INNER, DARK = 0.85, 0.05  # of the radius; and of the circle that is as wide as that: less may be noise or another shape


def check_counts(facts: Facts) -> Finding:
    """NaN, negative and empty patterns, in pixels and at positions that count."""
    sample, kept = facts.sample, facts.kept
    kind, good = sample.dtype.kind, ~facts.unmeasured
    broken = kept & ~np.isfinite(sample[:, good]).all(1) if kind == "f" else np.zeros(len(sample), bool)
    negative = kept & (sample[:, good] < 0).any(1) if kind in "fi" else np.zeros(len(sample), bool)
    empty = kept & ~(facts.counts > 0)
    kinds = (("NaN or infinite values", broken), ("negative values", negative), ("no counts", empty))
    found = [f"{where.sum()} {'has' if where.sum() == 1 else 'have'} {what}" for what, where in kinds if where.any()]
    count, looked = int((broken | negative | empty).sum()), f"{kept.sum()} of {math.prod(facts.dataset.scan_shape)}"
    if not found:
        return Finding("counts", "good", 0, "", f"No NaN, negative or empty pattern among the {looked} looked at.")
    y, x = facts.places[np.flatnonzero(broken | negative | empty)[0]]
    words = f"Of the {looked} patterns looked at, {', '.join(found)}, the first at scan ({y}, {x})."
    if count > 0.1 * max(1, kept.sum()):
        remedy = "Subtract the detector's dark reference and clip at 0, mask what is not measured, or crop the scan."
        return Finding("counts", "bad", count, "patterns", words, remedy)
    remedy = (
        "So few are left out, or their pixels are masked, when the data are prepared: dataset.without_bad_frames()."
    )
    return Finding("counts", "warn", count, "patterns", words, remedy)


def check_frames(facts: Facts) -> Finding:
    """Which scan positions count, and which should not."""
    mask, total = facts.dataset.scan_mask, math.prod(facts.dataset.scan_shape)
    out = 0 if mask is None else int((~mask).sum())
    words = f"All {total} scan positions count." if not out else f"{out} of {total} scan positions are left out."
    if facts.has_measurement and facts.measurement.notes:
        words += " " + " ".join(facts.measurement.notes)
    if facts.dataset.is_lazy and facts.dataset.nbytes > _LOOKED_AT:
        return Finding("scan positions", "good", out, "left out", words)
    bad = facts.bad_frames
    if not bad.mask.any():
        verdict = "warn" if out > 0.1 * total else "good"
        remedy = "Where that many are left out the reconstruction has holes." if verdict == "warn" else ""
        return Finding("scan positions", verdict, out, "left out", words, remedy)
    count = int(bad.mask.sum())
    remedy = "Auto leaves them out; by hand: dataset.without_bad_frames()."
    verdict = "bad" if count > 0.1 * total else "warn"
    return Finding("scan positions", verdict, out + count, "left out", f"{words} {bad.sentence}", remedy)


def check_pixels(facts: Facts) -> Finding:
    """Hot, dead and saturated detector pixels, and gaps; those that are masked are not looked at."""
    kept = facts.kept & (facts.counts > 0)
    bad = bad_pixels_of([facts.sample[kept] if kept.any() else facts.sample], facts.gaps, facts.unmeasured)
    count = int((bad.mask | bad.saturated).sum())
    verdict = "bad" if bad.saturated.any() or (bad.hot | bad.dead).mean() > 0.01 else "warn" if count else "good"
    remedy = "Record with less dose or a larger range." if bad.saturated.any() else ""
    if bad.mask.any():
        remedy = f"Mask them: dataset.with_mask(bad_pixels(dataset)). {remedy}".strip()
    if bad.gaps is not None and not (bad.hot | bad.dead).any():
        remedy = f"They are masked when the data are prepared. {remedy}".strip()
    words = bad.sentence.split(";")[0].split(". ")[0].rstrip(".") + "."
    if facts.dataset.mask is not None:
        words += f" The mask leaves out {int((~facts.dataset.mask).sum())}."
    return Finding("detector pixels", verdict, count, "px", words, remedy)


def check_mask(facts: Facts) -> Finding:
    """Whether a mask leaves enough of the disk for the patterns' origin to be that of the disk."""
    hidden = facts.unmeasured
    if not hidden.any() or ndimage.distance_transform_edt(np.pad(hidden, 1)).max() <= WIDE:
        return Finding("mask", "good", 0.0, "px", "No wide part of the detector is masked.")
    remedy = "Mask only what was not recorded, or the pixels that are bad; True in a mask is a pixel that counts."
    if hidden.all() or not facts.sample[:, ~hidden].any():
        words = "The mask hides all pixels that have counts, and with them the bright-field disk."
        return Finding("mask", "bad", None, "px", words, remedy)
    origin, disk = facts.measurement.origin.mean((1, 2)), facts.disk
    off = math.hypot(*(origin - np.array(disk.centre)))
    places = np.indices(hidden.shape)
    inside = np.hypot(places[0] - disk.centre[0], places[1] - disk.centre[1]) < disk.radius
    share = float(hidden[inside].mean())
    words = (
        f"The mask hides {share:.0%} of the bright-field disk and {hidden.mean():.0%} of the detector; the centre of "
        "mass of what is left, which is taken for the patterns' origin, lies "
        f"{off:.1f} px from the middle of the disk."
    )
    if off > UNTOLD * disk.radius and not disk.is_smeared:
        return Finding("mask", "bad", off, "px", words, remedy)
    return Finding("mask", "good", off, "px", words)


def check_disk(facts: Facts) -> Finding:
    """Whether the disk is as large as semi-angle, energy and detector pixel say, and round."""
    vacuum = facts.dataset.vacuum is not None and not dark_part(facts)
    disk = facts.vacuum_disk if vacuum else facts.disk
    if not vacuum and not shows_edge(disk):
        raise NotKnown("the disk of the mean pattern has no edge that is an aperture's")
    given = facts.optics.semiangle or facts.calibration.semiangle
    if given is None:
        raise NotKnown("no semi-angle is given")
    energy, q_pixel = facts.calibration.require("energy"), single(facts.calibration.q_pixels)
    low = disk_semiangle(disk.radius, facts.calibration)
    # Where the edge is soft, the semi-angle may be stated at half of its height or at its end.
    rolloff = min(disk.edge_width, 0.35 * disk.radius) / EDGE * facts.calibration.angle_mean
    high = disk_semiangle(disk.radius, facts.calibration, rolloff) + rolloff / 2
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
            f"Correct one of them: with this semi-angle a detector pixel is {in_words(right, 4)} 1/A, not "
            f"{in_words(q_pixel, 4)}. "
            "Has the detector been binned, or the energy changed?"
        )
        return Finding("disk and semi-angle", "bad" if off > 0.08 else "warn", measured, "mrad", words, remedy)
    if not disk.is_round and not disk.is_smeared:
        ellipticity, angle = disk.distortion
        words += (
            f" It is an ellipse, {100 * (ellipticity - 1):.1f} % longer at {angle:.0f} degrees from the rows' axis."
        )
        remedy = "Correct the projector lens, or expect an object that is stretched as much."
        return Finding("disk and semi-angle", "warn", measured, "mrad", words, remedy)
    return Finding("disk and semi-angle", "good", measured, "mrad", words)


def check_vacuum(facts: Facts) -> Finding:
    """Whether the vacuum pattern was recorded as the data were."""
    whole = check_whole_vacuum(facts)
    if whole.verdict == "bad":
        return whole
    vacuum, mean = facts.vacuum_disk, facts.disk
    if mean.is_smeared:
        raise NotKnown("the disk of the mean pattern has no sharp edge")
    off = abs(vacuum.radius / mean.radius - 1)
    uncertain = 3 * math.hypot(vacuum.radius_uncertainty, mean.radius_uncertainty) / mean.radius
    words = (
        f"The disk of the vacuum pattern has a radius of {vacuum.radius:.2f} px, that of the data {mean.radius:.2f} px."
    )
    if off < max(0.03, uncertain) and facts.vacuum_words:
        remedy = "Nothing needs to be done; a vacuum pattern recorded longer has fewer of them."
        return Finding("vacuum pattern", "warn", vacuum.radius, "px", f"{words} {facts.vacuum_words}", remedy)
    if off < max(0.03, uncertain):
        return Finding("vacuum pattern", "good", vacuum.radius, "px", words)
    remedy = "Take a vacuum pattern at the same camera length, binning and aperture, or use the semi-angle instead."
    return Finding("vacuum pattern", "bad" if off > 0.08 else "warn", vacuum.radius, "px", words, remedy)


def dark_part(facts: Facts) -> float:
    """Share of the vacuum pattern's disk that is dark, and not so in the patterns; 0 where that is none, or a little.

    A circle that is a little smaller than the disk is laid where it holds the most bright pixels.
    """
    vacuum, pixels = facts.vacuum, facts.calibration.relative_pixels
    if vacuum is None:
        return 0.0
    own = clean_vacuum(vacuum, facts.dataset.mask, pixels).pattern
    if _dark(own, measure_disk(own, pixels).radius) <= DARK:  # before any pattern is read
        return 0.0
    radius = facts.vacuum_disk.radius
    dark = _dark(facts.vacuum_clean, radius)
    return dark if dark > DARK and dark > DARK + _dark(facts.mean, min(radius, facts.disk.radius)) else 0.0


def _dark(pattern: np.ndarray, radius: float) -> float:
    reach = math.ceil(INNER * radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    circle = (np.hypot(y, x) <= INNER * radius).astype(float)
    smooth = ndimage.uniform_filter(np.asarray(pattern, float), 3, mode="nearest")
    bright = smooth > 0.5 * np.median(smooth[smooth > 0.5 * smooth.max()])
    return 1 - float(fftconvolve(bright.astype(float), circle, mode="same").max()) / float(circle.sum())


def check_whole_vacuum(facts: Facts) -> Finding:
    """Whether all of the disk was recorded in the vacuum pattern."""
    dark = dark_part(facts)
    if not dark:
        return Finding("vacuum pattern", "good", dark, "", "No part of the disk of the vacuum pattern is dark.")
    words = (
        "A part of the disk of the vacuum pattern is dark, and bright in the patterns, as if it had not been recorded."
    )
    remedy = "Mask that part, take another vacuum pattern, or leave it out where the semi-angle is known."
    return Finding("vacuum pattern", "bad", dark, "", words, remedy)


def check_reach(facts: Facts) -> Finding:
    """How far the detector reaches, in radii of the disk, and how finely it divides the disk."""
    disk = facts.disk
    along = zip(disk.centre, facts.dataset.detector_shape, facts.calibration.relative_pixels, strict=True)
    edges = [d * size for c, n, size in along for d in (c, n - 1 - c)]
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
