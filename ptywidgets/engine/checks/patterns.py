"""Checks of the patterns themselves: what is counted, bad pixels, the disk and where it lies."""

from __future__ import annotations

import math

import numpy as np

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.data.calibration import in_words, single
from ptywidgets.engine.data.detectors import disk_semiangle
from ptywidgets.engine.preprocess.defects.pixels import bad_pixels_of
from ptywidgets.engine.preprocess.disk.disk import calibrate_detector
from ptywidgets.engine.preprocess.origin.descan_fit import fit_descan

_LOOKED_AT = 64e6  # bytes of data on disk that are read as a whole
_ROLLOFF_SHARE = 0.474  # of a half-cosine amplitude's roll-off lies between 90 and 10 % of its intensity


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


def check_disk(facts: Facts) -> Finding:
    """Whether the disk is as large as semi-angle, energy and detector pixel say, and round."""
    vacuum = facts.dataset.vacuum is not None
    disk = facts.vacuum_disk if vacuum else facts.disk
    given = facts.optics.semiangle or facts.calibration.semiangle
    if given is None:
        raise NotKnown("no semi-angle is given")
    energy, q_pixel = facts.calibration.require("energy"), single(facts.calibration.q_pixels)
    low = disk_semiangle(disk.radius, facts.calibration)
    # Where the edge is soft, the semi-angle may be stated at half of its height or at its end.
    rolloff = min(disk.edge_width, 0.35 * disk.radius) / _ROLLOFF_SHARE * facts.calibration.angle_mean
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
