"""What is right, what is wrong, and what has been left open: the judge of starts, on one start made wrong by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ptywidgets.engine import Aberrations
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.testing.judging import NUMBERS, judged
from ptywidgets.testing.variants import recipe, simulated

RECIPE = replace(recipe(21), dose=3e5, scan=(18, 18))


@pytest.fixture(scope="module")
def start():
    """Of particles on a film: told, and right."""
    found = calibrate(simulated(RECIPE).dataset)
    assert not judged(RECIPE, found).asks
    return found


def made_wrong(start, *, turn=0.0, sign=1, transpose=None, **sources):
    """The start with another answer, and estimates with other sources."""
    lens = Aberrations(**{name: sign * value for name, value in start.optics.aberrations.cartesian.items()})
    there = start.measurement
    transpose = there.transpose if transpose is None else transpose
    measurement = replace(there, rotation=wrapped_angle(there.rotation + turn), transpose=transpose)
    estimates = tuple(
        replace(d, source=sources.get(d.name.removeprefix("180-degree ").replace(" ", "_"), d.source))
        for d in start.estimates
    )
    return replace(start, measurement=measurement, optics=start.optics.replace(aberrations=lens), estimates=estimates)


def test_what_is_right_is_right(start):
    judgement = judged(RECIPE, start)
    assert judgement.told and not judgement.open_turn
    assert {"rotation", "transpose", "180-degree ambiguity"}.isdisjoint(judgement.wrong)
    assert all(judgement.deviation(name) == pytest.approx(abs(judgement.errors[name]) / judgement.sigmas[name])
               for name in NUMBERS)  # fmt: skip


def test_a_rotation_or_a_transpose_that_is_off_is_wrong_and_sure(start):
    assert "rotation" in judged(RECIPE, made_wrong(start, turn=40)).wrong_and_sure
    assert "transpose" in judged(RECIPE, made_wrong(start, transpose=not RECIPE.transpose)).wrong_and_sure
    far = made_wrong(start, sign=1.5)
    assert "defocus" in judged(RECIPE, far).wrong_and_sure


def test_the_twin_is_wrong_where_half_a_turn_was_told_and_right_where_it_was_left_open(start):
    right = judged(RECIPE, start)
    twin = judged(RECIPE, made_wrong(start, turn=180, sign=-1))
    assert "180-degree ambiguity" in twin.wrong_and_sure and "defocus" in twin.wrong_and_sure
    left_open = judged(RECIPE, made_wrong(start, turn=180, sign=-1, ambiguity="undecided"))
    assert left_open.open_turn and left_open.told
    assert left_open.wrong == right.wrong
    assert left_open.errors["defocus"] == pytest.approx(-right.errors["defocus"])
    # and only the 180-degree ambiguity was left open
    assert "rotation" in judged(RECIPE, made_wrong(start, turn=140, ambiguity="undecided")).wrong_and_sure


def test_who_asks_is_not_wrong_and_sure(start):
    lost = replace(made_wrong(start, turn=40), fit=replace(start.fit, told=False))
    judgement = judged(RECIPE, lost)
    assert judgement.asks and not judgement.told
    assert "rotation" in judgement.wrong and not judgement.wrong_and_sure


@pytest.mark.parametrize("source", ["cannot tell", "not found"])
def test_a_defocus_that_was_not_found_has_no_error(start, source):
    judgement = judged(RECIPE, made_wrong(start, sign=3, defocus=source))
    assert judgement.found["defocus"] is None and judgement.deviation("defocus") is None
    assert not judgement.told


def test_a_wrong_step_and_an_untold_spherical_aberration_excuse_what_they_cost(start):
    lens = RECIPE.aberrations
    longer = made_wrong(start, sign=1.1)
    assert "defocus" in judged(RECIPE, longer).wrong
    assert "defocus" not in judged(replace(RECIPE, stated_step=1.1), longer).wrong
    assert "defocus" in judged(replace(RECIPE, stated_step=0.9), longer).wrong
    off = 0.1 * lens["defocus"]
    c30 = -1.5 * off / (RECIPE.semiangle * 1e-3) ** 2
    assert "defocus" not in judged(replace(RECIPE, aberrations=lens.replace(C30=c30)), longer).wrong
    assert "defocus" in judged(replace(RECIPE, aberrations=lens.replace(C30=-c30)), longer).wrong
