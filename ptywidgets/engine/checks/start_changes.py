"""What a check of the start has changed: each number before and after, as it is told and as an estimate keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ptywidgets.engine.calibrate.agreed import edge_scale
from ptywidgets.engine.calibrate.coarse.thick import depth_of_field
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.start_check import lens, moved
from ptywidgets.engine.data.calibration import in_words as number
from ptywidgets.engine.data.calibration import single
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import wrapped_angle

HELD_AS = {"scan step": "scan_step", "rotation": "rotation", "semi-angle": "semiangle", "detector pixel": "q_pixel"}
EXACT = 1e-9  # degrees, and share: less than that is rounding
SEEN = 0.05  # of the depth of field: a change of astigmatism or coma that is less at the aperture's edge is a small one


@dataclass(frozen=True)
class Change:
    """A number that is another one by the counts."""

    name: str  # of the estimate about it, such as "defocus" or "scan step"
    value: Any  # what it is now, in `unit`
    unit: str
    sentence: str
    small: bool = False  # so that there is no need to speak of it

    @property
    def held(self) -> str:
        """By which name it is held, as of :func:`~ptywidgets.engine.checks.start_check.check_start`."""
        return HELD_AS.get(self.name, "aberrations")


def changes(
    offsets: Offsets, measurement: Measurement, optics: Optics, given: Iterable[str] = (), told: bool = True
) -> tuple[Change, ...]:
    """Everything that offsets change, in the order in which it is told.

    Parameters
    ----------
    offsets : Offsets
    measurement, optics
        As they were.
    given : iterable of str
        Of "semiangle", "q_pixel", "defocus", "astigmatism", "coma", "rotation" and "scan_step" those that somebody has
        given; others were found.
    told : bool
        Whether it is told that the scan step is wrong, and not detector pixel and semi-angle.

    Returns
    -------
    tuple of Change
        Without what stays the same in the digits that are told.

    Examples
    --------
    >>> import numpy as np
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine import Aberrations, prepare
    >>> measurement = prepare(samples.ducky("tiny"), rotation=-15)
    >>> optics = Optics(semiangle=20, aberrations=Aberrations(defocus=385))
    >>> for change in changes(Offsets({"C10": 33.0, "C12a": 9.0}, np.eye(2)), measurement, optics, ["defocus"]):
    ...     print(change.name, round(change.value), change.sentence)
    defocus 352 The defocus, given as 385 A, is 352 A by the counts.
    astigmatism 9 The astigmatism, taken for none, is 9 A by the counts.
    """
    known, out = tuple(given), []

    def tell(name: str, field: str, before: str, now: str, unit: str, value: Any, small: bool = False) -> None:
        came = f"{'given' if field in known else 'found'} as {before} {unit}"
        if name in ("astigmatism", "coma") and before == "0":
            came = "taken for none"
        if before != now:
            words = f"The {name}, {came}, is {now} {unit} by the counts."
            out.append(Change(name, value, unit, words, small))

    after, lens_after = moved(measurement, offsets), lens(optics, offsets)
    if offsets.pixel != 1:
        before, now = (number(single(m.calibration.q_pixels), 4) for m in (measurement, after))
        tell("detector pixel", "q_pixel", before, now, "1/A", single(after.calibration.q_pixels))
    if offsets.aperture != 1 and offsets.pixel == 1 and optics.semiangle is not None:
        angle = optics.semiangle * offsets.aperture
        tell("semi-angle", "semiangle", f"{optics.semiangle:.3g}", f"{angle:.3g}", "mrad", angle)
    if offsets.aberrations:
        old, new = optics.aberrations["defocus"], lens_after.aberrations["defocus"]
        tell("defocus", "defocus", f"{old:.0f}", f"{new:.0f}", "A", new)
        for name, symbol in (("astigmatism", "C12"), ("coma", "C21")):
            old, new = optics.aberrations[symbol], lens_after.aberrations[symbol]
            small = _is_small(symbol, offsets, measurement, optics)
            tell(name, name, f"{old:.0f}", f"{new:.0f}", "A", new, small)
    before, now = (f"{wrapped_angle(m.rotation):.1f}" for m in (measurement, after))
    tell("rotation", "rotation", before, now, "degrees", after.rotation)
    step = single(after.calibration.scan_steps)
    tell("scan step", "scan_step", number(single(measurement.calibration.scan_steps), 3), number(step, 3), "A", step)
    if not told:
        doubt = ", if detector pixel and semi-angle are right."
        out = [replace(c, sentence=c.sentence[:-1] + doubt) if c.name == "scan step" else c for c in out]
    return tuple(out)


def touched(offsets: Offsets) -> frozenset[str]:
    """What offsets change, by the names by which it is held.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(touched(Offsets({"C10": 5.0}, 1.05 * np.eye(2)))), sorted(touched(Offsets({}, np.eye(2), pixel=1.02)))
    (['aberrations', 'scan_step'], ['q_pixel'])
    """
    changed = {
        "aberrations": any(offsets.aberrations.values()),
        "rotation": abs(offsets.rotation) > EXACT,
        "scan_step": abs(offsets.scale - 1) > EXACT,
        "semiangle": offsets.aperture != 1 and offsets.pixel == 1,
        "q_pixel": offsets.pixel != 1,
    }
    return frozenset(name for name, is_changed in changed.items() if is_changed)


def in_words(changed: Iterable[Change]) -> str:
    """All but the small ones in one sentence; nothing where there are none.

    Examples
    --------
    >>> in_words([Change("defocus", 352.0, "A", "The defocus, found as 385 A, is 352 A by the counts.")] * 2)
    'The defocus, found as 385 A, is 352 A by the counts; the defocus, found as 385 A, is 352 A by the counts.'
    """
    words = "; ".join(f"t{change.sentence[1:-1]}" for change in changed if not change.small)
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _is_small(symbol: str, offsets: Offsets, measurement: Measurement, optics: Optics) -> bool:
    """Whether an aberration with two components changes by less than what a run does not see."""
    size = math.hypot(*(offsets.aberrations.get(f"{symbol}{part}", 0.0) for part in "ab"))
    semiangle = optics.semiangle or measurement.calibration.semiangle
    if not semiangle:
        return False
    depth = depth_of_field(semiangle, measurement.calibration.require("energy"))
    return size < SEEN * depth * edge_scale(symbol, 1e-3 * semiangle)


__all__ = ["Change", "changes", "in_words", "touched"]
