"""Checks of the experiment: calibration, overlap, dose, the probe in its box, the scan's grid."""

from __future__ import annotations

import math

import numpy as np

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.data.calibration import in_words, mean_of, single
from ptywidgets.engine.preprocess.measurement import Measurement

_EXAMPLES = {"energy": "energy=80e3", "scan_step": "scan_step=4.0", "q_pixel": "q_pixel=0.025"}
_WORDS = {"energy": "energy (eV)", "scan_step": "scan step (A)", "q_pixel": "detector pixel (1/A)"}


def check_calibration(facts: Facts) -> Finding:
    """Whether all numbers are there that give the data a scale, and an aperture."""
    missing = facts.calibration.missing
    if missing:
        words = ", ".join(_WORDS[name] for name in missing)
        example = ", ".join(_EXAMPLES[name] for name in missing)
        sentence = f"Not known: {words}. Nothing has a scale without."
        return Finding("calibration", "bad", len(missing), "missing", sentence, f"dataset.with_calibration({example})")
    try:
        aperture = facts.optics
    except NotKnown as error:
        remedy = "Give the semi-angle, optics=Optics(semiangle=20) in mrad, or a vacuum pattern."
        return Finding("calibration", "bad", 1, "missing", f"The aperture is not known: {error}.", remedy)
    c = facts.calibration
    angle = "a vacuum pattern" if aperture.vacuum is not None else f"a semi-angle of {aperture.semiangle:.4g} mrad"
    words = f"{c.require('energy') / 1e3:g} keV, steps of {in_words(single(c.scan_steps), 4)} A, detector pixels of "
    return Finding("calibration", "good", 0, "missing", f"{words}{in_words(single(c.q_pixels), 4)} 1/A, {angle}.")


def check_overlap(facts: Facts) -> Finding:
    """Overlap of neighbouring probes."""
    overlap, diameter = facts.report["overlap"], facts.report["probe diameter"]
    step = max(facts.calibration.scan_steps)
    words = f"Neighbouring probes overlap by {overlap.value:.0f} % (probe {diameter.value:.3g} A, step {step:.3g} A)."
    remedy = {
        "bad": "Use more defocus or smaller steps; if there is a defocus, give it: the probe is larger than it seems.",
        "warn": "60 % or more is safer: more defocus, or smaller steps.",
    }.get(overlap.verdict, "")
    return Finding("overlap", overlap.verdict, overlap.value, "%", words, remedy)


def check_dose(facts: Facts) -> Finding:
    """Counts and dose."""
    counts = facts.measurement.mean_intensity if facts.has_measurement else facts.mean_counts
    dose = facts.calibration.dose(counts)
    if counts < 2:
        words = f"A pattern has {counts:.2g} counts in the mean: intensities that are scaled, not counted."
        remedy = "The dose is not known from them, nor how much noise to expect; give counts where there are."
        return Finding("dose", "warn", dose, "e/A^2", words, remedy)
    words = f"{dose:.3g} e/A^2, {counts:.3g} counts a pattern."
    if counts < 300:
        remedy = "So few counts ask for much overlap, small batches, and a start from a direct method."
        return Finding("dose", "warn", dose, "e/A^2", words, remedy)
    return Finding("dose", "good", dose, "e/A^2", words)


def check_box(facts: Facts) -> Finding:
    """Whether the probe fits into its box."""
    diameter, box = facts.report["probe diameter"], facts.report["probe box"]
    share = diameter.value / box.value
    words = f"The probe, {diameter.value:.3g} A wide, takes {100 * share:.0f} % of its box of {box.value:.3g} A."
    remedy = {
        "bad": "It touches the edge and wraps round: use less defocus, or a longer camera length.",
        "warn": "Its tails wrap round: leave more room by less defocus or a longer camera length.",
    }.get(diameter.verdict, "")
    return Finding("probe box", diameter.verdict, diameter.value, "A", words, remedy)


def check_raster(facts: Facts) -> Finding:
    """Whether the scan's own period can hide in object and probe: a perfect grid that few probes tie together."""
    steps = facts.calibration.scan_steps
    step = mean_of(steps)
    diameter = facts.report["probe diameter"].value
    seen = math.pi / 4 * (diameter / step) ** 2
    jitter = 0.0
    if facts.has_measurement:
        jitter = _off_the_grid(facts.measurement) / step
    if jitter > 0.02:
        words = f"The positions lie {100 * jitter:.0f} % of a step off a perfect grid, so its period cannot build up."
        return Finding("scan grid", "good", seen, "positions", words)
    words = f"On this perfect grid {seen:.3g} positions see each point of the object."
    if seen >= 8:
        return Finding("scan grid", "good", seen, "positions", words)
    words += (
        f" A pattern with the period of the scan, {in_words(single(steps), 3)} A, may build up in object and probe."
    )
    remedy = "Use smaller steps or more defocus, hold the probe at first, or scan a grid that is not perfect."
    return Finding("scan grid", "warn", seen, "positions", words, remedy)


def _off_the_grid(measurement: Measurement) -> float:
    """Rms distance (A) of the positions from the best grid that is straight, whatever its angles."""
    positions, indices = measurement.positions, measurement.scan_indices
    if len(indices) != len(positions):
        return math.inf
    grid = np.stack(np.unravel_index(indices, measurement.scan_shape), axis=1)
    basis = np.concatenate([grid, np.ones((len(grid), 1))], axis=1)
    left = positions - basis @ np.linalg.lstsq(basis, positions, rcond=None)[0]
    return float(np.sqrt((left**2).sum(1).mean()))
