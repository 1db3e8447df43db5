"""A start that was chosen by hand among the alternatives: its aberrations, and what is told about it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ptywidgets.engine.calibrate.alternatives import Alternative
from ptywidgets.engine.calibrate.estimates import GIVEN, Estimate
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess.rotation import wrapped_angle

CHOSEN = "chosen by hand"
BASIN = 10.0  # degrees: rotations nearer to each other are one reading of the data, refined


@dataclass(frozen=True)
class FoundStart:
    """What a search has taken itself, before somebody chooses otherwise."""

    rotation: float  # degrees, detector to scan
    transpose: bool
    aberrations: Aberrations  # detector frame
    found: frozenset[str]  # Cartesian names of the aberrations that were found, not given
    estimates: tuple[Estimate, ...]


def chosen_aberrations(
    alternative: Alternative, start: FoundStart, present: Aberrations, found: Collection[str]
) -> Aberrations:
    """The aberrations that go with an alternative.

    Given ones stay as they are, in the detector's frame. Those that were found belong to the orientation with which
    they were found: they are kept with the same one, have the opposite sign with the one turned by 180 degrees and the
    opposite defocus, which is the other reading of the same data, and are left out with any other. Where an alternative
    brings aberrations of its own, these are what was found.

    Parameters
    ----------
    alternative : Alternative
    start : FoundStart
        The orientation and the defocus with which `present` was found.
    present : Aberrations
        Found and given ones.
    found : collection of str
        Cartesian names of those that were found.

    Examples
    --------
    >>> lens = Aberrations(defocus=300, C12a=20, C30=1e4)
    >>> start = FoundStart(141.0, True, lens, frozenset(["C10", "C12a", "C12b"]), ())
    >>> for turn, defocus in ((140.0, 310.0), (-39.0, -300.0), (18.0, 354.0)):
    ...     other = Alternative(turn, True, defocus, 0.5, 0.1)
    ...     goes_along = chosen_aberrations(other, start, lens, start.found)
    ...     print({name: round(goes_along[name]) for name in ("defocus", "C12a", "C30")})
    {'defocus': 310, 'C12a': 20, 'C30': 10000}
    {'defocus': -300, 'C12a': -20, 'C30': 10000}
    {'defocus': 354, 'C12a': 0, 'C30': 10000}
    """
    others = sorted(name for name in found if name != "C10")
    own = alternative.aberrations
    if own is not None:
        return present.replace(defocus=alternative.defocus, **{name: own[name] for name in others})
    away = abs(wrapped_angle(alternative.rotation - start.rotation))
    side = alternative.defocus * start.aberrations["defocus"]  # of the focus: the same where it is positive
    sign = 0
    if alternative.transpose == start.transpose and away < BASIN and side >= 0:
        sign = 1
    elif alternative.transpose == start.transpose and away > 180 - BASIN and side <= 0:
        sign = -1
    changed = {} if sign == 1 else {name: sign * present[name] + 0.0 for name in others}
    return present.replace(defocus=alternative.defocus, **changed)


def chosen_estimates(
    alternatives: Sequence[Alternative], index: int, start: FoundStart, aberrations: Aberrations
) -> tuple[Estimate, ...]:
    """The estimates of a start, with those that an alternative changes told to be chosen by hand.

    Parameters
    ----------
    alternatives : sequence of Alternative
        The first is the start's own.
    index : int
        The one that was chosen.
    start : FoundStart
    aberrations : Aberrations
        From :func:`chosen_aberrations`.

    Returns
    -------
    tuple of Estimate
        In the order of the start's. What was given and stays so is told as before.
    """
    one = alternatives[index]
    angle, defocus, other = one.rotation, one.defocus, wrapped_angle(one.rotation + 180)
    turned = "transposed" if one.transpose else "not transposed"
    told: dict[str, tuple[Any, str]] = {
        "rotation": (angle, f"The rotation, {angle:.2f} degrees, was chosen by hand: {in_words(alternatives, index)}."),
        "transpose": (one.transpose, f"The detector is {turned}, as was chosen by hand."),
        "180-degree ambiguity": ("resolved", f"{angle:.0f} degrees were chosen by hand, and not {other:.0f}."),
        "defocus": (defocus, f"The defocus, {defocus:.4g} A, was chosen by hand together with the rotation."),
    }
    for name, symbol in (("astigmatism", "C12"), ("coma", "C21")):
        before, now = start.aberrations[symbol], aberrations[symbol]
        if now:
            told[name] = (now, f"The {name} that goes with it is {now:.3g} A.")
        elif before:
            told[name] = (None, f"The {name} that was found, {before:.3g} A, was left out with its orientation.")
    return tuple(_told(estimate, *told.get(estimate.name, (estimate.value, ""))) for estimate in start.estimates)


def in_words(alternatives: Sequence[Alternative], index: int) -> str:
    """Which one it is, and how probable the data make it.

    Examples
    --------
    >>> pair = [Alternative(18.4, False, 354.0, 0.2, 0.97), Alternative(141.0, True, 300.0, 0.3, 0.03)]
    >>> in_words(pair, 1)
    'start 2 of 2, to which the data give 3 %'
    """
    return (
        f"start {index + 1} of {len(alternatives)}, to which the data give {percent(alternatives[index].probability)}"
    )


def percent(probability: float) -> str:
    """A probability in per cent, without digits that mean nothing.

    Examples
    --------
    >>> [percent(p) for p in (1.0, 0.996, 0.82, 0.034, 0.0049, 1e-9)]
    ['100 %', '99.6 %', '82 %', '3 %', '0.5 %', '< 0.1 %']
    """
    share = 100 * probability
    if share < 0.1:
        return "< 0.1 %"
    return f"{share:.1f} %" if share < 1 or 99 < share < 99.95 else f"{share:.0f} %"


def _told(estimate: Estimate, value: Any, sentence: str) -> Estimate:
    if not sentence or (estimate.source == GIVEN and _same(value, estimate.value)):
        return estimate
    return replace(estimate, value=value, uncertainty=None, source=CHOSEN, sentence=sentence)


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, float) and isinstance(other, (int, float))
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) if numbers else one == other


__all__ = ["CHOSEN", "FoundStart", "chosen_aberrations", "chosen_estimates", "in_words", "percent"]
