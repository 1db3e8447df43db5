"""PlanEditor: the settings of a reconstruction, made from what its parameters say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.backends import available_devices
from ptywidgets.engine.constraints import CONSTRAINTS, VOLUMES
from ptywidgets.engine.core.params import Params
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.refinements import REFINEMENTS
from ptywidgets.engine.solve.plan import AUTOMATIC, Plan
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.controls import Controls
from ptywidgets.widgets.controls.fields import NumberField, dropdown, panel, panels, text_label
from ptywidgets.widgets.controls.formatting import spaced_name
from ptywidgets.widgets.controls.quiet import Quiet
from ptywidgets.widgets.panel.closing import replace_children
from ptywidgets.widgets.run.constraint_editor import ConstraintEditor, first_sentence
from ptywidgets.widgets.run.model_editor import ModelEditor

LABELS = {"normalization_min": "norm. min", "hold_probe": "hold the probe"}  # where the name is too long
NUMBERS = ("iterations", "batch", "seed")
LOSS_LABELS = {
    AUTOMATIC: "automatic",
    "amplitude": "amplitudes",
    "anscombe": "amplitudes of counts (Anscombe)",
    "poisson": "Poisson likelihood",
    "intensity": "intensities",
}
DEVICES = {"cpu": "processor", "gpu": "GPU"}


class PlanEditor(VBox):
    """Settings of a reconstruction: how long, by which rule, with what model, under which constraints.

    Parameters
    ----------
    recon : Reconstruction
        Changes go to its plan, model and device; a run that is on follows the plan from its next batch.
    safe_callback : callable
        Turns a callback into one that cannot fail: :meth:`Panel.safe_callback`.
    set_error : callable
        Called with the message for an entry that cannot be.
    """

    def __init__(
        self,
        recon: Reconstruction,
        safe_callback: Callable[[Callable[..., Any]], Callable[..., Any]],
        set_error: Callable[[str], Any],
    ) -> None:
        self.recon, self._quiet = recon, Quiet()
        known = {parameter.name: parameter for parameter in Plan.describe()}
        # No sliders: they would reach from 1 to a million.
        self.numbers = {name: NumberField(known[name], getattr(recon.plan, name)) for name in NUMBERS}
        self.numbers["batch"].input.placeholder = "all"
        for box in self.numbers.values():
            box.children[0].layout.width = "70px"
        change = safe_callback(lambda name, value: self._update(**{name: value}))
        for name, box in self.numbers.items():
            box.observe(lambda change_, name=name: change(name, change_["new"]), "value")
            box.observe(lambda change_: change_["new"] and set_error(change_["new"]), "error")
        self.method = dropdown(
            "method",
            [("automatic", AUTOMATIC), *((name, name) for name in ALGORITHMS)],
            AUTOMATIC,
            "The automatic schedule, or one algorithm for all iterations.",
        )
        self.method.observe(safe_callback(lambda change_: self._choose(change_["new"])), "value")

        def controls(of: Params) -> Controls:
            return Controls(of, on_change=change, on_error=set_error, labels=LABELS)

        self._controls = controls
        self._rule = panel()
        self._shown: type = type(None)
        self.algorithm = self._controls(recon.plan.algorithm)
        self.constraints = ConstraintEditor(
            {**CONSTRAINTS, **VOLUMES}, safe_callback(lambda value: self._update(constraints=value)), set_error
        )
        self.refinements = ConstraintEditor(
            REFINEMENTS, safe_callback(lambda value: self._update(refinements=value)), set_error, flat=True
        )
        losses = [(LOSS_LABELS.get(name, name), name) for name in (AUTOMATIC, *LOSSES)]
        self.loss = dropdown("loss", losses, recon.plan.loss, known["loss"].doc)
        self.loss.observe(safe_callback(lambda change_: self._update(loss=change_["new"])), "value")
        self.model = ModelEditor(recon, safe_callback, set_error)
        self.object_type = self.model.object_type
        devices = available_devices()
        self.device = dropdown("device", [(DEVICES.get(d, d), d) for d in devices], recon.device)
        self.device.observe(safe_callback(lambda change_: self._set("device", change_["new"])), "value")
        general = [self.method, self.loss, *self.numbers.values(), *([self.device] if len(devices) > 1 else [])]
        acting = [text_label("Constraints, after every iteration", "pty-title"), self.constraints]
        if self.refinements.checkboxes:
            acting += [text_label("Refined, after every batch", "pty-title"), self.refinements]
        super().__init__(
            [
                panels(
                    panel(panel(text_label("Plan", "pty-title"), *general), self._rule),
                    self.model,
                    panel(*acting),
                )
            ]
        )
        self.show()

    def show(self) -> None:
        """Show what the reconstruction has now; nothing is changed by that."""
        plan, tilted = self.recon.plan, self.recon.views is not None
        with self._quiet:
            for name, box in self.numbers.items():
                box.value = getattr(plan, name)
            self._show_algorithm()
            self.constraints.show(plan.constraints, self.recon.model, tilted)
            self.refinements.show(plan.refinements, self.recon.model, tilted)
            self.loss.value = plan.loss
            self.model.show()
            self.device.value = self.recon.device

    def _choose(self, method: str) -> None:
        if self._quiet:
            return
        if method == AUTOMATIC:
            self.recon.schedule = "automatic"
        elif type(self.recon.plan.algorithm) is not ALGORITHMS[method]:
            self.recon.update_plan(algorithm=ALGORITHMS[method]())
        else:
            self.recon.schedule = "manual"

    def _show_algorithm(self) -> None:
        """The stages of the automatic schedule, or the rule's parameters, in controls made anew for another rule."""
        recon = self.recon
        names = {kind: name for name, kind in ALGORITHMS.items()}
        algorithm = recon.plan.algorithm
        kind = type(algorithm)
        name = names.get(kind, spaced_name(kind.__name__))
        automatic = recon.schedule == "automatic"
        self.method.value = AUTOMATIC if automatic else names.get(kind)
        self.numbers["batch"].layout.display = "none" if automatic else ""
        if automatic:
            self._shown = type(None)
            lines = [text_label(f"{n}. {stage}", "pty-note") for n, stage in enumerate(recon.stages, 1)]
            if not lines:
                lines = [text_label("The stages of the schedule are listed here once it runs.", "pty-note")]
            replace_children(self._rule, (text_label("Automatic", "pty-title"), *lines))
        elif kind is self._shown:
            self.algorithm.show(algorithm)
        else:
            self._shown, self.algorithm = kind, self._controls(algorithm)
            self.algorithm_text = text_label(first_sentence(kind), "pty-note")
            title = text_label(name[0].upper() + name[1:], "pty-title")
            replace_children(self._rule, (title, self.algorithm, self.algorithm_text))

    def _update(self, **changes: Any) -> None:
        if not self._quiet:
            self.recon.update_plan(**changes)

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.recon.set_trait(name, value)


__all__ = ["PlanEditor"]
