"""Controls made from parameters: what is typed is checked, and what is shown is text."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ptywidgets.engine.core.params import Parameter, Params, param
from ptywidgets.widgets.controls.controls import Controls
from ptywidgets.widgets.controls.fields import ChoiceField, NumberField, number_field, text_label
from ptywidgets.widgets.controls.slider import Slider
from ptywidgets.widgets.panel.base import Panel


@dataclass(frozen=True)
class Lesson(Params):
    angle: float = param(10.0, unit="mrad", low=0, high=50, step=0.5, doc="An angle.")
    count: int = param(3, low=1, high=9)
    found: float | None = param(None, unit="degrees", low=-180, high=180)
    free: float = param(1.0, unit="1/A")
    kind: str = param("disk", choices=("disk", "ring"))
    on: bool = param(True)
    maybe: bool | None = param(None)
    rate: float = param(0.01, low=1e-4, high=1, log=True)


def test_every_kind_of_parameter_gets_its_control():
    kinds = {name: type(item) for name, item in Controls(Lesson()).controls.items()}
    assert kinds == {
        "angle": Slider, "count": Slider, "found": Slider, "free": NumberField,
        "kind": ChoiceField, "on": ChoiceField, "maybe": ChoiceField, "rate": Slider,
    }  # fmt: skip


def test_changes_are_told_with_their_type():
    told = []
    controls = Controls(Lesson(), on_change=lambda name, value: told.append((name, value)))
    controls["angle"].slider.value = 12.5
    controls["count"].slider.value = 4
    controls["found"].auto.value = False
    controls["found"].number.input.value = "-15"
    controls["kind"].input.value = "ring"
    controls["maybe"].input.value = True
    assert told[:2] == [("angle", 12.5), ("count", 4)]
    assert told[-3:] == [("found", -15.0), ("kind", "ring"), ("maybe", True)]


def test_showing_other_values_tells_nothing():
    told = []
    controls = Controls(Lesson(), on_change=lambda name, value: told.append(name))
    controls.show(Lesson(angle=20, found=3, kind="ring", on=False, rate=0.5))
    assert told == []
    assert controls["angle"].number.input.value == "20" and controls["found"].auto.value is False
    assert controls["rate"].slider.value == pytest.approx(0.5)


@pytest.mark.parametrize("entry", ["fifty", "51", "-1", "inf", ""])
def test_an_entry_that_cannot_be_is_told_and_the_value_stays(entry):
    errors = []
    controls = Controls(Lesson(), on_error=errors.append)
    controls["angle"].number.input.value = entry
    assert "angle" in errors[-1] and "from 0 to 50 mrad" in errors[-1]
    assert controls["angle"].value == 10
    controls["angle"].number.input.value = "11"
    assert controls["angle"].value == 11 and controls["angle"].error == ""


def test_a_whole_number_is_asked_for():
    item = NumberField(Parameter("count", 1, type=int), 1)
    item.input.value = "1.5"
    assert "whole number" in item.error and item.value == 1


def test_what_is_shown_is_text():
    assert "<script" not in text_label("<script>", tooltip='"><script>').value
    item = number_field("<script>", 1.0, doc='"><script>')
    assert all("<script" not in str(part.value) for part in item.children)
    panel = Panel()
    panel.set_status("<script>", "warn")
    assert "<script" not in panel.status_line.value and panel.status_text == "<script>"
    panel.close()


def test_a_panel_says_what_went_wrong_and_forgets_it_when_it_goes_right():
    panel = Panel()
    wrong = [True]

    def callback() -> None:
        if wrong[0]:
            raise KeyError("nothing here")

    safe_callback = panel.safe_callback(callback)
    safe_callback()
    assert panel.status_text.startswith("KeyError") and panel.status_line.kind == "bad"
    wrong[0] = False
    safe_callback()
    assert panel.status_text == ""
    panel.close()


@pytest.mark.parametrize("entry", ["4.0 x 3.2", "4 × 3.2", "4.0, 3.2", "4,0 x 3,2", "4; 3,2", "4 3.2"])
def test_a_box_for_rows_and_columns_takes_two_numbers(entry):
    item = number_field("step", None, unit="A", optional=True, pair=True)
    item.input.value = entry
    assert item.value == (4.0, 3.2) and item.input.value == "4 x 3.2" and not item.error
    item.input.value = "2,5"  # a comma alone is a decimal point
    assert item.value == 2.5
    for wrong in ("1 x 2 x 3", "1 x"):
        item.input.value = wrong
        assert item.value == 2.5 and "expected a number" in item.error
    item.input.value = ""
    assert item.value is None
    single = number_field("step", 1.0)
    single.input.value = "4 x 3"
    assert single.value == 1.0 and "expected a number" in single.error
