"""PlanEditor: the settings of a reconstruction, made from what its parameters say of themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.backends import available_devices
from ptywidgets.engine.constraints import CONSTRAINTS
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.plan import Plan
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls import Controls, Number, checkbox, dropdown, note, panel, panels, set_words, words
from ptywidgets.widgets.run_words import in_words

LABELS = {"normalization_min": "norm. min", "hold_probe": "hold the probe"}  # where the name is too long
NUMBERS = ("iterations", "batch", "seed")
AUTOMATIC = "automatic"
OBJECTS = {"complex": "complex (phase and amplitude)", "potential": "potential (phase only)"}
DEVICES = {"cpu": "processor", "gpu": "GPU"}


class ConstraintEditor(VBox):
    """A box to tick for every constraint, with its parameters below while it is ticked.

    What is not plainly in the registry, such as ``Every(5, PurePhase())``, stays as it is, after the others.
    """

    def __init__(self, on_change: Callable[[tuple[Any, ...]], Any], on_error: Callable[[str], Any]) -> None:
        self._on_change, self._quiet = on_change, False
        self._kept: dict[str, Any] = {name: kind() for name, kind in CONSTRAINTS.items()}
        self._others: tuple[Any, ...] = ()
        self.boxes: dict[str, Any] = {}
        self.parameters: dict[str, Controls] = {}
        lines: list[Any] = []
        for name, kind in CONSTRAINTS.items():
            box = checkbox(in_words(name), False, first_sentence(kind))
            box.observe(lambda _change: self._changed(), "value")
            self.boxes[name] = box
            lines.append(box)
            if kind.describe():
                change = lambda key, value, name=name: self._change_parameter(name, key, value)  # noqa: E731
                self.parameters[name] = Controls(self._kept[name], on_change=change, on_error=on_error)
                self.parameters[name].layout.margin = "0 0 0 22px"
                lines.append(self.parameters[name])
        self.others = note()
        super().__init__([*lines, self.others])

    def show(self, constraints: tuple[Any, ...]) -> None:
        """Show these; nothing is called back."""
        plain = {type(c).__name__: c for c in constraints if type(c).__name__ in CONSTRAINTS}
        self._others = tuple(c for c in constraints if type(c).__name__ not in CONSTRAINTS)
        self._quiet = True
        try:
            for name, box in self.boxes.items():
                box.value = name in plain
                self._kept[name] = plain.get(name, self._kept[name])
                if name in self.parameters:
                    self.parameters[name].show(self._kept[name])
                    self.parameters[name].layout.display = "" if box.value else "none"
            set_words(self.others, "Also: " + ", ".join(map(repr, self._others)) if self._others else "")
        finally:
            self._quiet = False

    @property
    def constraints(self) -> tuple[Any, ...]:
        """The ticked ones, in the order of the registry, then those that it does not know."""
        return (*(self._kept[name] for name, box in self.boxes.items() if box.value), *self._others)

    def _change_parameter(self, name: str, key: str, value: Any) -> None:
        self._kept[name] = self._kept[name].replace(**{key: value})
        self._changed()

    def _changed(self) -> None:
        if not self._quiet:
            self._on_change(self.constraints)


class PlanEditor(VBox):
    """Settings of a reconstruction: how long, in what batches, by which rule, under which constraints.

    Parameters
    ----------
    recon : Reconstruction
        Changes go to its plan, object type and device; a run that is on follows from its next batch.
    guarded : callable
        Turns a callback into one that cannot fail: :meth:`Panel.guarded`.
    complain : callable
        Called with the words for an entry that cannot be.
    """

    def __init__(
        self,
        recon: Reconstruction,
        guarded: Callable[[Callable[..., Any]], Callable[..., Any]],
        complain: Callable[[str], Any],
    ) -> None:
        self.recon, self._quiet = recon, False
        known = {parameter.name: parameter for parameter in Plan.describe()}
        # No sliders: they would reach from 1 to a million.
        self.numbers = {name: Number(known[name], getattr(recon.plan, name)) for name in NUMBERS}
        self.numbers["batch"].box.placeholder = "all"
        for box in self.numbers.values():
            box.children[0].layout.width = "70px"
        change = guarded(lambda name, value: self._update(**{name: value}))
        for name, box in self.numbers.items():
            box.observe(lambda change_, name=name: change(name, change_["new"]), "value")
            box.observe(lambda change_: change_["new"] and complain(change_["new"]), "error")
        self.method = dropdown(
            "method",
            [("automatic", AUTOMATIC), *((name, name) for name in ALGORITHMS)],
            AUTOMATIC,
            "The schedule that finds its own way, or one rule for all iterations.",
        )
        self.method.observe(guarded(lambda change_: self._choose(change_["new"])), "value")
        self._controls = lambda of: Controls(of, on_change=change, on_error=complain, labels=LABELS)
        self._rule = panel()
        self._shown: type = type(None)
        self.algorithm = self._controls(recon.plan.algorithm)
        self.constraints = ConstraintEditor(guarded(lambda value: self._update(constraints=value)), complain)
        objects = [(OBJECTS.get(kind, kind), kind) for kind in SPECIMENS]
        self.object_type = dropdown("object", objects, recon.object_type, "What is unknown.")
        self.object_type.observe(guarded(lambda change_: self._set("object_type", change_["new"])), "value")
        devices = available_devices()
        self.device = dropdown("computed on", [(DEVICES.get(d, d), d) for d in devices], recon.device)
        self.device.observe(guarded(lambda change_: self._set("device", change_["new"])), "value")
        general = [self.method, *self.numbers.values(), self.object_type, *([self.device] if len(devices) > 1 else [])]
        super().__init__(
            [
                panels(
                    panel(words("Plan", "pty-title"), *general),
                    self._rule,
                    panel(words("Constraints, after every iteration", "pty-title"), self.constraints),
                )
            ]
        )
        self.show()

    def show(self) -> None:
        """Show what the reconstruction has now; nothing is changed by that."""
        plan = self.recon.plan
        self._quiet = True
        try:
            for name, box in self.numbers.items():
                box.value = getattr(plan, name)
            self._show_algorithm()
            self.constraints.show(plan.constraints)
            self.object_type.value = self.recon.object_type
            self.device.value = self.recon.device
        finally:
            self._quiet = False

    def _choose(self, method: str) -> None:
        if self._quiet:
            return
        if method == AUTOMATIC:
            self.recon.auto = True
        elif type(self.recon.plan.algorithm) is not ALGORITHMS[method]:
            self.recon.update_plan(algorithm=ALGORITHMS[method]())
        else:
            self.recon.auto = False

    def _show_algorithm(self) -> None:
        """The stages of the automatic schedule, or the rule's parameters, in controls made anew for another rule."""
        recon = self.recon
        names = {kind: name for name, kind in ALGORITHMS.items()}
        algorithm = recon.plan.algorithm
        kind = type(algorithm)
        name = names.get(kind, in_words(kind.__name__))
        self.method.value = AUTOMATIC if recon.auto else names.get(kind)
        self.numbers["batch"].layout.display = "none" if recon.auto else ""
        if recon.auto:
            self._shown = type(None)
            lines = [words(f"{n}. {stage}", "pty-note") for n, stage in enumerate(recon.stages, 1)]
            ahead = words("What it does, stage by stage, is told here once it runs.", "pty-note")
            self._rule.children = (words("Automatic", "pty-title"), *(lines or [ahead]))
        elif kind is self._shown:
            self.algorithm.show(algorithm)
        else:
            self._shown, self.algorithm = kind, self._controls(algorithm)
            self.algorithm_words = words(first_sentence(kind), "pty-note")
            self._rule.children = (
                words(name[0].upper() + name[1:], "pty-title"),
                self.algorithm,
                self.algorithm_words,
            )

    def _update(self, **changes: Any) -> None:
        if not self._quiet:
            self.recon.update_plan(**changes)

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.recon.set_trait(name, value)


def first_sentence(kind: type) -> str:
    """What the docstring of a description says first."""
    text = (kind.__doc__ or "").strip()
    if dataclasses.is_dataclass(kind) and text.startswith(f"{kind.__name__}("):
        return ""  # written by dataclass itself
    return " ".join(text.split("\n\n")[0].split())


__all__ = ["ConstraintEditor", "PlanEditor"]
