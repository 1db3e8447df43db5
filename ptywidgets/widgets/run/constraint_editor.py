"""ConstraintEditor: constraints or refinements as checkboxes in groups, each with its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import Accordion, VBox

from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.widgets.controls.controls import Controls
from ptywidgets.widgets.controls.fields import checkbox
from ptywidgets.widgets.controls.formatting import spaced_name
from ptywidgets.widgets.controls.quiet import Quiet

OTHERS = "With a schedule"
# By what a constraint needs: whether a model has it; the second argument: whether it is of a tilt series.
NEEDS: dict[str, Callable[[ModelConfig, bool], bool]] = {
    "slices": lambda c, tilted: c.slices > 1 and not tilted,  # slices are made of the volume, anew for each tilt
    "modes": lambda c, tilted: c.modes > 1,
    "tilts": lambda c, tilted: tilted,
    "diffuse": lambda c, tilted: bool(c.diffuse.strip()) or c.background,
    "object modes": lambda c, tilted: c.object_modes > 1,
}


def group_of(kind: type) -> str:
    """The heading under which a constraint is found.

    Examples
    --------
    >>> from ptywidgets.engine.constraints import CONSTRAINTS
    >>> [group_of(CONSTRAINTS[name]) for name in ("Positivity", "KzFilter", "ProbeCentre")]
    ['Object', 'Depth', 'Probe']
    """
    if getattr(kind, "needs", "") == "slices":
        return "Depth"
    return str(getattr(kind, "acts_on", "") or "Fitted during the run").capitalize()


class ConstraintEditor(VBox):
    """A checkbox for everything in a registry, in groups that unfold.

    What is not plainly in the registry, such as ``Every(5, PurePhase())``, has a checkbox of its own, after the others.
    What is switched off keeps its numbers. What needs several slices, modes or tilts is shown where there are several,
    or where it is ticked.

    Parameters
    ----------
    registry : mapping of str to type
        Descriptions, in the order in which they act.
    on_change : callable
        Called with the tuple of all that are ticked.
    on_error : callable
        Called with the message for an entry that cannot be.
    flat : bool
        No groups: for a few.
    """

    def __init__(
        self,
        registry: Mapping[str, type],
        on_change: Callable[[tuple[Any, ...]], Any],
        on_error: Callable[[str], Any],
        flat: bool = False,
    ) -> None:
        self._registry, self._on_change, self._on_error, self._quiet = registry, on_change, on_error, Quiet()
        self._kept: dict[str, Any] = {name: kind() for name, kind in registry.items()}
        self._config, self._tilted = ModelConfig(), False
        self.checkboxes: dict[str, Any] = {}
        self.parameters: dict[str, Controls] = {}  # made when first ticked: each is a handful of widgets
        self._places: dict[str, VBox] = {}
        self.groups: dict[str, VBox] = {}
        for name, kind in registry.items():
            box = self.checkboxes[name] = checkbox(spaced_name(name), False, first_sentence(kind))
            box.observe(lambda _change: self._changed(), "value")
            self._places[name] = VBox([box], layout={"width": "100%"})
            group = self.groups.setdefault(group_of(kind), VBox(layout={"width": "100%"}))
            group.children = (*group.children, self._places[name])
        self.others: list[tuple[Any, Any]] = []  # what has a schedule, or is not known, and its box
        self._other_lines = VBox(layout={"width": "100%"})
        self.accordion = Accordion(layout={"width": "100%"}, selected_index=None)
        self._shown: tuple[str, ...] = ()
        lines = [*self._places.values(), self._other_lines] if flat else [self.accordion]
        super().__init__(lines, layout={"width": "100%"})
        self.add_class("pty-constraints")
        self.show(())

    def show(self, items: tuple[Any, ...], config: ModelConfig | None = None, tilted: bool = False) -> None:
        """Show these as ticked, and what makes sense with a model, or for tilt series; nothing is called back."""
        self._config, self._tilted = config or self._config, tilted
        plain = {type(b).__name__: b for b in items if type(b).__name__ in self._registry}
        others = [b for b in items if type(b).__name__ not in self._registry]
        with self._quiet:
            for name, box in self.checkboxes.items():
                box.value = name in plain
                self._kept[name] = plain.get(name, self._kept[name])
            for item in others:
                if all(item != known for known, _ in self.others):
                    self._add_other(item)
            for item, box in self.others:
                box.value = item in others
            self._arrange()

    @property
    def selected(self) -> tuple[Any, ...]:
        """The ticked ones, in the order of the registry, then those that it does not know."""
        known = [self._kept[name] for name, box in self.checkboxes.items() if box.value]
        return (*known, *(item for item, box in self.others if box.value))

    def _add_other(self, item: Any) -> None:
        box = checkbox(repr(item), True, first_sentence(type(item)))
        box.observe(lambda _change: self._changed(), "value")
        self.others.append((item, box))
        self._other_lines.children = tuple(box for _, box in self.others)

    def _arrange(self) -> None:
        """What is ticked has its numbers below it; groups say in their titles what is on in them."""
        for name, box in self.checkboxes.items():
            if box.value:
                self._show_parameters(name)
            elif name in self.parameters:
                self.parameters[name].layout.display = "none"
            needs = NEEDS.get(getattr(self._registry[name], "needs", ""))
            shown = box.value or needs is None or needs(self._config, self._tilted)
            self._places[name].layout.display = "" if shown else "none"
        titles = {}
        for title, group in self.groups.items():
            inside = [name for name in self.checkboxes if self._places[name] in group.children]
            if any(self._places[name].layout.display != "none" for name in inside):
                titles[title] = [spaced_name(name).lower() for name in inside if self.checkboxes[name].value]
        if self.others:
            titles[OTHERS] = [f"{sum(box.value for _, box in self.others)} of {len(self.others)}"]
        if tuple(titles) != self._shown:
            opened = None if self.accordion.selected_index is None else self._shown[self.accordion.selected_index]
            self.accordion.selected_index = None
            self._shown = tuple(titles)
            self.accordion.children = [self.groups.get(title, self._other_lines) for title in titles]
            self.accordion.selected_index = self._shown.index(opened) if opened in self._shown else None
        for index, (title, on) in enumerate(titles.items()):
            self.accordion.set_title(index, f"{title}: {', '.join(on)}" if on else title)

    def _show_parameters(self, name: str) -> None:
        if name in self.parameters:
            self.parameters[name].show(self._kept[name])
            self.parameters[name].layout.display = ""
        elif self._registry[name].describe():  # type: ignore[attr-defined]  # items are Params
            change = lambda key, value: self._change_parameter(name, key, value)  # noqa: E731
            controls = self.parameters[name] = Controls(self._kept[name], on_change=change, on_error=self._on_error)
            controls.layout.margin = "0 0 0 18px"
            self._places[name].children = (self.checkboxes[name], controls)

    def _change_parameter(self, name: str, key: str, value: Any) -> None:
        self._kept[name] = self._kept[name].replace(**{key: value})
        self._changed()

    def _changed(self) -> None:
        if not self._quiet:
            with self._quiet:
                self._arrange()
            self._on_change(self.selected)


def first_sentence(kind: type) -> str:
    """What the docstring of a description says first."""
    text = (kind.__doc__ or "").strip()
    if dataclasses.is_dataclass(kind) and text.startswith(f"{kind.__name__}("):
        return ""  # written by dataclass itself
    return " ".join(text.split("\n\n")[0].split())


__all__ = ["NEEDS", "OTHERS", "ConstraintEditor", "first_sentence", "group_of"]
