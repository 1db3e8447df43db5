"""Every quantity has a field and every estimate a widget, and these are widgets that there are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import ptywidgets
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.core.asked import QUANTITIES, AskingError, how_to_give
from ptywidgets.samples import ducky
from ptywidgets.widgets.panel.places import ESTIMATES, FIELDS


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_is_filled_in_somewhere(name):
    widget = FIELDS[name].split()[-1]
    assert getattr(ptywidgets, widget).__name__ == widget
    assert how_to_give([name], "widget") == f"the field {FIELDS[name]}"
    assert AskingError("{give}", name).told("widget").endswith(FIELDS[name])


def test_every_estimate_is_shown_somewhere():
    start = calibrate(ducky("tiny"))
    assert {estimate.name for estimate in start.estimates} <= set(ESTIMATES)
    assert {getattr(ptywidgets, widget).__name__ for widget in ESTIMATES.values()} == set(ESTIMATES.values())


def test_without_the_widgets_a_field_is_named_by_its_title():
    code = """
from ptywidgets.engine.core.asked import how_to_give
print(how_to_give(["energy", "defocus=3"], "widget", "or"))
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r'the field "energy" or "defocus": 3\s*', told)
