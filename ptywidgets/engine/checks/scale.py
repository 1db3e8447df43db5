"""Which of the numbers that set the scale of lengths is wrong, where the counts ask for another scan step.

Patterns are counted in detector pixels. With scan step a, detector pixel q, semi-angle alpha and a coefficient C of the
n-th power of the angle they determine a q, alpha / q and C q^(n+1), and nothing else: a (step), q / s (detector pixel),
alpha / s (semi-angle) and s^(n+1) C explain them alike for each s. So a scan step that counts correct by s may be
right, and the camera length wrong. What tells them apart is what was given besides: the disk's radius, alpha / q, which
a wrong detector pixel contradicts and a wrong step does not; and a defocus, which agrees with one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ptywidgets.engine.calibrate.coarse.thick import depth_of_field
from ptywidgets.engine.checks.doubts import SCALE as LENGTHS
from ptywidgets.engine.checks.facts import Finding
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.start_check import APERTURE, CHI, SCALE
from ptywidgets.engine.data.calibration import Calibration, single
from ptywidgets.engine.data.calibration import in_words as number
from ptywidgets.engine.data.detectors import disk_semiangle
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.disk.aperture import EDGE, WIDEST, shows_edge
from ptywidgets.engine.preprocess.disk.disk import DiskFit

FITTED = ("C10", "C12a", "C12b", "C21a", "C21b")
AGREES = 0.02  # of the radius: a disk, and a semi-angle that is given, agree within this
EDGES = 0.01  # likewise, beyond the part of a soft edge that somebody may mean by the semi-angle
# Rad rms of the aperture's phase that the scale makes of a defocus, from which on a defocus tells something; of it, how
# far one that follows the scale may be from doing so, and one that stays from staying.
TELLING, FOLLOWS, STAYS = 1.5 * CHI, 0.4, 0.3


@dataclass(frozen=True)
class Scale:
    """What a change of the scale of lengths comes to."""

    offsets: Offsets  # to be taken
    finding: Finding | None = None  # where it is not told which of the numbers is wrong


def judge_scale(
    offsets: Offsets,
    calibration: Calibration,
    optics: Optics,
    disk: DiskFit | None = None,
    given: Iterable[str] = (),
    hold: Iterable[str] = (),
) -> Scale:
    """Say whether scan step or detector pixel is wrong, or that it cannot be told.

    Parameters
    ----------
    offsets : Offsets
        From :func:`ptywidgets.engine.checks.start_check.check_start`, which puts the scale on the scan step.
    calibration : Calibration
        As it was given.
    optics : Optics
        As they were.
    disk : DiskFit, optional
        Of the vacuum pattern or of the mean of the patterns.
    given : iterable of str
        Of "semiangle", "q_pixel", "scan_step" and "defocus" those that somebody has given.
    hold : iterable of str
        What is not to be changed, as of `check_start`.

    Returns
    -------
    Scale
        The same offsets where the scan step is wrong or nothing tells; with another detector pixel where that is.

    Examples
    --------
    >>> import numpy as np
    >>> known = Calibration(energy=80e3, scan_step=2.0, q_pixel=0.0375, semiangle=20)
    >>> scale = judge_scale(Offsets({}, 0.95 * np.eye(2)), known, Optics(semiangle=20))
    >>> print(scale.finding.sentence)
    The counts tell lengths only up to a common scale: the scan step is 1.9 A, not 2; or the step is right, and \
detector pixel and semi-angle are 0.03562 1/A and 19 mrad, not 0.0375 and 20.
    """
    s, known, held = offsets.scale, tuple(given), tuple(hold)
    if abs(s - 1) < SCALE or calibration.q_pixel is None:
        return Scale(offsets)
    ratio = _ratio(calibration, disk) if {"semiangle", "q_pixel"} <= set(known) else None
    lens = _defocus(offsets, optics, calibration) if "defocus" in known and "aberrations" not in held else ""
    if "q_pixel" not in held and _is_pixel(ratio, s, lens):
        return Scale(_on_the_pixel(offsets, calibration, optics, "defocus" in known, "aberrations" in held))
    if lens == "stays" or {"q_pixel", "semiangle"} <= set(held):
        return Scale(offsets)
    return Scale(offsets, _open(offsets, calibration, optics, 1.0 if ratio is None else ratio[1]))


def _ratio(calibration: Calibration, disk: DiskFit | None) -> tuple[float, float, float] | None:
    """The semi-angle that the disk has, in units of the one that is given: at half of its height, where the amplitude
    is half, and where its edge ends."""
    if disk is None or not shows_edge(disk) or not calibration.semiangle or calibration.energy is None:
        return None
    rolloff = min(disk.edge_width / EDGE, WIDEST * disk.radius) * calibration.angle_mean
    low, middle = (disk_semiangle(disk.radius, calibration, soft) for soft in (0.0, rolloff))
    return low / calibration.semiangle, middle / calibration.semiangle, (middle + rolloff / 2) / calibration.semiangle


def _is_pixel(ratio: tuple[float, float, float] | None, s: float, lens: str) -> bool:
    """Whether the disk is as much too large as the scan: then semi-angle and step agree on another detector pixel."""
    if ratio is None or lens == "stays":
        return False
    low, middle, high = ratio
    if abs(middle * s - 1) > AGREES or abs(middle * s - 1) > abs(middle - 1):
        return False
    return lens == "follows" or not (1 - EDGES) * low <= 1 <= (1 + EDGES) * high


def _defocus(offsets: Offsets, optics: Optics, calibration: Calibration) -> str:
    """Whether a defocus that was given "stays", as a wrong step leaves it, or "follows" the scale, as a wrong camera
    length makes it; nothing where it is too small to tell, or does neither."""
    before, s = optics.aberrations["C10"], offsets.scale
    expected = (s**2 - 1) * before
    if not calibration.semiangle or _phase(expected, calibration) < TELLING:
        return ""
    part = offsets.aberrations.get("C10", 0.0) / expected
    return "stays" if abs(part) < STAYS else "follows" if abs(part - 1) < FOLLOWS else ""


def _phase(defocus: float, calibration: Calibration) -> float:
    """What a defocus, A, makes of the phase in the aperture, rad rms."""
    depth = depth_of_field(calibration.require("semiangle"), calibration.require("energy"))
    return math.pi * abs(defocus) / depth / math.sqrt(12)  # of pi rho^2 dC / depth, with rho^2 even from 0 to 1


def _on_the_pixel(
    offsets: Offsets, calibration: Calibration, optics: Optics, defocus_given: bool, lens_held: bool
) -> Offsets:
    """The same patterns with the scan step as it was, and the scale on the detector pixel."""
    s, known, after = offsets.scale, optics.aberrations.cartesian, {}
    names = {*offsets.aberrations, *(name for name in FITTED if known[name])}
    for name in () if lens_held else names:
        before = known[name]
        after[name] = (before + offsets.aberrations.get(name, 0.0)) / s ** (int(name[1]) + 1) - before
    if defocus_given and _phase(after.get("C10", 0.0), calibration) < CHI:
        after["C10"] = 0.0  # which a run takes in its stride
    aperture = 1.0
    if optics.vacuum is None and optics.semiangle is not None:
        aperture = offsets.aperture * s
        stated = calibration.semiangle or optics.semiangle
        if optics.semiangle == stated or abs(optics.semiangle * aperture / stated - 1) < max(APERTURE, AGREES):
            aperture = stated / optics.semiangle  # which the disk has with the other pixel
    return replace(offsets, aberrations=after, affine=offsets.affine / s, aperture=aperture, pixel=offsets.pixel * s)


def _open(offsets: Offsets, calibration: Calibration, optics: Optics, ratio: float) -> Finding:
    s = offsets.scale
    step, pixel = calibration.scan_steps, calibration.q_pixels
    now, other = single((s * step[0], s * step[1])), single((s * pixel[0], s * pixel[1]))
    words = (
        f"The counts tell lengths only up to a common scale: the scan step is {number(now, 3)} A, not "
        f"{number(single(step), 3)}; or the step is right, and "
    )
    gives = [f"q_pixel={number(other, 4)}"]
    if calibration.semiangle is None:
        words += f"the detector pixel is {number(other, 4)} 1/A, not {number(single(pixel), 4)}"
    else:
        angle = s * ratio * calibration.semiangle
        words += (
            f"detector pixel and semi-angle are {number(other, 4)} 1/A and {angle:.3g} mrad, not "
            f"{number(single(pixel), 4)} and {calibration.semiangle:.3g}"
        )
        gives.append(f"semiangle={angle:.3g}")
    defocus = -(optics.aberrations["C10"] + offsets.aberrations.get("C10", 0.0))
    if defocus:
        words += f" (with a defocus of {defocus / s**2:.0f} A, not {defocus:.0f})"
    remedy = (
        "The image is the same but for its lengths: a spacing in it that is known tells which. The scan step was "
        "changed; where it was right, the camera length was not."
    )
    return Finding(LENGTHS, "bad", s, "", f"{words}.", remedy, tuple(gives))


__all__ = ["Scale", "judge_scale"]
