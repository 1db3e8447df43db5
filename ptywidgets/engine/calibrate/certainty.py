"""How sure a start is: in one line, and as a question where the data cannot tell.

A number is told by the data when its uncertainty leaves the probe what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ptywidgets.engine.calibrate.calibration import CalibrationResult
from ptywidgets.engine.calibrate.coarse.thick import depth_of_field, sure_enough
from ptywidgets.engine.calibrate.estimates import CANNOT, GIVEN, Estimate, untold
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.preprocess.enough import FEWEST
from ptywidgets.engine.preprocess.rotation import wrapped_angle

ROTATION = 3.0  # degrees; one costs more than many iterations bring
AS_SET = "with what the microscope was set to"
GUESSED = "to go on with that guess, or a better value where you know one"
MISFIT = 0.5  # share of the counts' energy: a coarse reconstruction that leaves more has explained nothing


def question(start: CalibrationResult) -> AskingError | None:
    """What has to be asked because the data cannot tell it; None where they have told everything.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.calibrate import calibrate
    >>> question(calibrate(samples.ducky("tiny"))) is None
    True
    """
    given = {estimate.name for estimate in start.estimates if estimate.source == GIVEN}
    asked = [name for name in ("defocus", "rotation") if name not in given]
    fit, shape = start.fit, start.measurement.scan_shape
    if not asked:
        open_turn = start.estimate("transpose").source == CANNOT
        return _ask("the data cannot tell {named}; {set}", ["transpose=..."]) if open_turn else None
    open_ones = [f"{name}=..." for name in asked]  # no number: an example would be read as advice
    if min(shape) < FEWEST:
        size = " x ".join(map(str, shape))
        return _ask(f"{size} scan positions are too few to find {{named}} from; {{set}}, {AS_SET}", open_ones)
    if not fit.found:
        choice = ", or {choose}" if len(start.alternatives) > 1 else ""
        why = start.cannot or untold(start.search)
        return _ask(f"the data cannot tell {{named}}: {why}; {{set}}, {AS_SET}{choice}", open_ones)
    if start.refinement is not None and start.refinement.misfit > MISFIT:
        left = f"a coarse reconstruction leaves {100 * start.refinement.misfit:.0f} % of the counts unexplained"
        return _ask(
            f"the data cannot tell {{named}}: {left}; check scan step and semi-angle, or {{set}}, {AS_SET}", open_ones
        )
    if "defocus" in asked:
        defocus, sigma = start.optics.aberrations["defocus"], start.estimate("defocus").uncertainty or math.inf
        known = start.measurement.calibration
        depth = depth_of_field(known.semiangle, known.require("energy")) if known.semiangle else 0.0
        thickness = 0.0 if start.thickness is None else start.thickness.thickness
        if not sure_enough(defocus, sigma, depth, thickness):
            found = f"{defocus:.0f} A (+- {sigma:.0f}) is the best guess"
            if start.refinement is not None and not start.refinement.accepted:
                found += ", and a thin object does not describe these data well"
                ways = ["defocus=...", "thickness=..."]
                return _ask(f"the data cannot tell the defocus well enough, {found}; {{set}}, {AS_SET}", ways, "or")
            way = [f"defocus={defocus:.0f}"]
            return _ask(f"the data cannot tell {{named}} well enough, {found}; {{set}} {GUESSED}", way)
    if "rotation" in asked:
        angle, sigma = start.measurement.rotation, start.estimate("rotation").uncertainty or math.inf
        if not sigma <= ROTATION:
            return unsure_of_rotation(angle, sigma)
        if start.estimate("180-degree ambiguity").source == "undecided":
            turns, defocus = (angle, wrapped_angle(angle + 180)), start.optics.aberrations["defocus"]
            pairs = zip(turns, (defocus, -defocus), strict=True)
            either = " or ".join(f"{turn:.1f} with a defocus of {value:.0f} A" for turn, value in pairs)
            return _ask(
                f"the data cannot tell which of two opposite rotations is true, {either}; with the wrong one atoms "
                "come out dark; give one of them, {give}",
                [f"rotation={turn:.1f}" for turn in turns],
                "or",
            )
    return None


def unsure_of_rotation(angle: float, sigma: float) -> AskingError:
    """The question for a rotation of which a guess, in degrees, is all that there is.

    Examples
    --------
    >>> print(unsure_of_rotation(-20.9, 30.3))
    The data cannot tell rotation (degrees) well enough, -21 (+- 30) is the best guess; give prepare(rotation=-21) to \
go on with that guess, or a better value where you know one.
    """
    found = f"{angle:.0f} (+- {sigma:.0f}) is the best guess"
    return _ask(f"the data cannot tell {{named}} well enough, {found}; {{set}} {GUESSED}", [f"rotation={angle:.0f}"])


def _ask(template: str, names: list[str], joined: str = "and") -> AskingError:
    return AskingError(f"{template[:1].upper()}{template[1:]}.", *names, joined=joined)


def in_one_line(estimates: Iterable[Estimate], careful: bool = False) -> str:
    """What was found, how sure it is and from what, in one line; what was given is not repeated.

    Examples
    --------
    >>> defocus = Estimate("defocus", 349.4, 4.7, "A", "from the bright field", "")
    >>> in_one_line([defocus, Estimate("rotation", -15.0, None, "degrees", "given", "")])
    'Found: defocus 349 A (+- 5), from the bright field.'
    """
    found = [d for d in estimates if d.source != GIVEN and d.name in _SAID and _is_something(d)]
    if not found:
        return ""
    source = next((d.source for d in found if d.name in ("defocus", "rotation")), found[0].source)
    parts = [_part(d) + ("" if d.source == source or d.name not in _OWN else f" {d.source}") for d in found]
    care = "; a thin object does not describe these data well, take it with care" if careful else ""
    return f"Found: {', '.join(parts)}, {source}{care}."


_SAID = ("semi-angle", "detector pixel", "rotation", "transpose", "thickness", "defocus", "astigmatism", "coma")
_OWN = ("semi-angle", "detector pixel")  # which come from elsewhere than the rest


def _is_something(estimate: Estimate) -> bool:
    """Whether it is a number, and of what a lens would better not have one beyond its uncertainty."""
    if estimate.name in ("astigmatism", "coma") and estimate.value is not None:
        return bool(estimate.value > 2 * (estimate.uncertainty or 0.0))
    return estimate.value is not None


def _part(estimate: Estimate) -> str:
    if estimate.name == "transpose":
        return "transposed" if estimate.value else "not transposed"
    sigma = "" if estimate.uncertainty is None else f" (+- {estimate.uncertainty:.1g})"
    if estimate.uncertainty is not None and estimate.uncertainty >= 1:
        return f"{estimate.name} {estimate.value:.0f} {estimate.unit} (+- {estimate.uncertainty:.0f})"
    return f"{estimate.name} {estimate.value:.4g} {estimate.unit}{sigma}"


__all__ = ["ROTATION", "in_one_line", "question", "unsure_of_rotation"]
