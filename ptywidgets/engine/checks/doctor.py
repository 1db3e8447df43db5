"""The doctor: looks at data and settings before a run, and says in plain words what is good and what is not."""

from __future__ import annotations

from collections.abc import Callable

from ptywidgets.engine.checks import geometry, orientation, patterns, step
from ptywidgets.engine.checks.facts import QUICK, SAMPLE, Facts, Finding
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement

CHECKS: dict[str, Callable[[Facts], Finding]] = {
    "calibration": geometry.check_calibration,
    "counts": patterns.check_counts,
    "scan positions": patterns.check_frames,
    "detector pixels": patterns.check_pixels,
    "mask": patterns.check_mask,
    "dose": geometry.check_dose,
    "disk and semi-angle": patterns.check_disk,
    "vacuum pattern": patterns.check_vacuum,
    "detector reach": patterns.check_reach,
    "descan": patterns.check_descan,
    "scan step": step.check_step,
    "overlap": geometry.check_overlap,
    "probe box": geometry.check_box,
    "scan grid": geometry.check_raster,
    "rotation": orientation.check_rotation,
    "180-degree ambiguity": orientation.check_flip,
    "defocus": orientation.check_defocus,
    "sign of the phase": orientation.check_phase,
}


def examine(
    dataset: Dataset, measurement: Measurement | None = None, optics: Optics | None = None, *, quick: bool = False
) -> tuple[Finding, ...]:
    """Check everything that can be checked with what is known; a few hundred patterns are looked at.

    Parameters
    ----------
    dataset : Dataset
        Calibrated or not.
    measurement : Measurement, optional
        From :func:`ptywidgets.engine.preprocess.prepare`, for descan, rotation and the 180-degree ambiguity.
    optics : Optics, optional
        By default what the dataset brings: its vacuum pattern and semi-angle.
    quick : bool
        Look at fewer patterns.

    Returns
    -------
    tuple of Finding
        In the order of the data's way; last, where there is any, what could not be checked and why.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> findings = {finding.name: finding for finding in examine(samples.ducky("tiny"))}
    >>> print(findings["counts"])
    [good] counts: No NaN, negative or empty pattern among the 144 of 144 looked at.
    >>> print(findings["not checked"].sentence)
    Not checked: overlap, probe box, scan grid, defocus (nobody has said what the defocus is); rotation, 180-degree ...
    """
    facts = Facts(dataset, measurement, optics, sample=QUICK if quick else SAMPLE)
    findings: list[Finding] = []
    unknown: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        try:
            findings.append(check(facts))
        except Exception as error:  # whatever is odd about the data must not hide what the other checks say
            unknown.setdefault(str(error).rstrip(".") or type(error).__name__, []).append(name)
    if unknown:
        words = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in unknown.items())
        count = sum(len(names) for names in unknown.values())
        remedy = "Give what is missing, prepare the data, and look again."
        findings.append(Finding("not checked", "warn", count, "checks", f"Not checked: {words}.", remedy))
    return tuple(findings)


__all__ = ["CHECKS", "Finding", "examine"]
