"""ModelEditor and ConstraintEditor: a model in a few numbers, and constraints that are switched on and off."""

from __future__ import annotations

import dataclasses

import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine.constraints import CONSTRAINTS, Every, KzFilter, Positivity, PurePhase, TotalVariation
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.widgets.run.constraint_editor import OTHERS, ConstraintEditor
from ptywidgets.widgets.run.model_editor import GROUPS, ModelEditor
from ptywidgets.widgets.run.status_text import plan_text


@pytest.fixture
def recon():
    return Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))


@pytest.fixture
def messages():
    return []


@pytest.fixture
def editor(recon, messages):
    return ModelEditor(recon, lambda callback: callback, messages.append)


def shown(editor):
    return [name for name, item in editor.controls.items() if item.layout.display != "none"]


def test_every_number_of_the_model_has_a_control_in_a_group(editor):
    names = [name for group in GROUPS for name in group.names]
    assert sorted(names) == sorted(parameter.name for parameter in ModelConfig.describe())
    assert sorted(editor.controls) == sorted(names)


def test_only_what_matters_is_asked_for(editor, recon):
    assert "thickness" not in shown(editor) and "b_factor" not in shown(editor)
    editor.controls["slices"].input.value = "3"
    assert {"thickness", "tilt_rows", "focus"} <= set(shown(editor))
    assert "thickness" in editor.lacking.value and editor.lacking.layout.display == ""
    editor.controls["thickness"].input.value = "60"
    assert editor.lacking.layout.display == "none"
    editor.controls["diffuse"].input.value = " Mo, S "
    assert "b_factor" in shown(editor)
    assert recon.model == ModelConfig(slices=3, thickness=60, diffuse="Mo, S")
    editor.controls["slices"].input.value = "1"
    assert "thickness" not in shown(editor) and recon.model.thickness == 60, "its number is forgotten"


def test_what_cannot_be_is_told_in_words(editor, recon, messages):
    editor.controls["modes"].input.value = "0"
    assert "modes" in messages[-1] and recon.model.modes == 1
    editor.controls["diffuse"].input.value = "Xx"
    assert "no element" in editor.lacking.value and "Xx" in editor.lacking.value


def test_it_follows_the_reconstruction(editor, recon):
    recon.model = ModelConfig(slices=4, thickness=80, modes=2, background=True, focus="middle")
    recon.object_type = "complex"
    editor.show()
    assert editor.controls["slices"].value == 4 and editor.controls["focus"].value == "middle"
    assert editor.controls["background"].value is True and editor.object_type.value == "complex"
    editor.controls["background"].input.value = False
    assert recon.model == ModelConfig(slices=4, thickness=80, modes=2, focus="middle")


def test_the_settings_are_told_in_a_line(recon):
    recon.model = ModelConfig(modes=3, source_size=0.4, background=True)
    assert "potential object, 3 probe modes, source of 0.4 Å, background; positivity" in plan_text(recon)
    recon.model = ModelConfig(slices=2, thickness=50)
    assert "potential object in 2 slices of 25 Å; " in plan_text(recon)


# ---------------------------------------------------------------- constraints


@pytest.fixture
def constraints(messages):
    changes = []
    editor = ConstraintEditor(CONSTRAINTS, changes.append, messages.append)
    editor.changes = changes
    return editor


def titles(editor):
    return [editor.accordion.get_title(index).split(":")[0] for index in range(len(editor.accordion.children))]


def places(editor):
    return {name for name, place in editor._places.items() if place.layout.display != "none"}


def test_what_needs_slices_or_modes_is_shown_where_there_are_several(constraints):
    assert titles(constraints) == ["Object", "Probe", "Positions"]
    assert "KzFilter" not in places(constraints) and "ProbeOrthogonality" not in places(constraints)
    constraints.show((Positivity(),), ModelConfig(slices=3, thickness=60, modes=2))
    assert titles(constraints) == ["Object", "Depth", "Probe", "Positions"]
    assert places(constraints) == set(CONSTRAINTS)
    constraints.show((KzFilter(),), ModelConfig())
    assert "Depth" in titles(constraints) and "KzFilter" in places(constraints), "one that is on cannot be switched off"


def test_a_fold_says_what_is_on_in_it_and_stays_open(constraints):
    constraints.accordion.selected_index = 1
    constraints.show((Positivity(), TotalVariation()), ModelConfig(slices=2, thickness=40))
    assert constraints.accordion.get_title(0) == "Object: total variation, positivity"
    assert titles(constraints)[constraints.accordion.selected_index] == "Probe"


def test_switched_off_and_on_again_a_constraint_keeps_its_numbers(constraints):
    constraints.checkboxes["TotalVariation"].value = True
    constraints.parameters["TotalVariation"]["weight"].number.input.value = "0.07"
    constraints.checkboxes["TotalVariation"].value = False
    assert constraints.selected == () and constraints.parameters["TotalVariation"].layout.display == "none"
    constraints.checkboxes["TotalVariation"].value = True
    assert constraints.selected == (TotalVariation(weight=0.07),) == constraints.changes[-1]


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_constraint_is_switched_on_and_off(constraints, name):
    constraints.checkboxes[name].value = True
    assert constraints.changes[-1] == (CONSTRAINTS[name](),)
    assert list(constraints.parameters) == ([name] if CONSTRAINTS[name].describe() else [])
    constraints.checkboxes[name].value = False
    assert constraints.changes[-1] == ()


def test_one_with_a_schedule_is_switched_too(constraints):
    special = Every(5, PurePhase())
    constraints.show((Positivity(), special))
    assert titles(constraints)[-1] == OTHERS and constraints.changes == []
    ((_, box),) = constraints.others
    box.value = False
    assert constraints.changes[-1] == (Positivity(),)
    constraints.show((Positivity(),))
    box.value = True
    assert constraints.changes[-1] == (Positivity(), special)


@dataclasses.dataclass(frozen=True)
class RefineSomething(Params):
    """Something is refined."""

    terms: str = param("defocus", doc="What.")
    acts_on = "parameters"


def test_another_registry_is_served_without_folds(messages):
    changes = []
    editor = ConstraintEditor({"RefineSomething": RefineSomething}, changes.append, messages.append, flat=True)
    assert editor.accordion not in editor.children
    editor.checkboxes["RefineSomething"].value = True
    editor.parameters["RefineSomething"]["terms"].input.value = "C12"
    assert changes[-1] == (RefineSomething("C12"),)
