"""The stages of the work as tabs; where two stages are about one thing, they are two views of one tab."""

from __future__ import annotations

from typing import Any

from ipywidgets import Layout, Tab, ToggleButtons, VBox

from ptywidgets.widgets.controls.fields import AUTO_WIDTH

STAGES = {
    "Data": ("browse.dataset_browser", "DatasetBrowser"),
    "Rotation": ("rotation.rotation_explorer", "RotationExplorer"),
    "Orientation": ("rotation.orientation_picker", "OrientationPicker"),
    "Probe": ("probe.probe_designer", "ProbeDesigner"),
    "Parallax": ("parallax.parallax_explorer", "ParallaxExplorer"),
    "Direct": ("direct.direct_explorer", "DirectExplorer"),
    "Reconstruction": ("run.reconstruction_runner", "ReconstructionRunner"),
}
# Title of the tab: its views, by the words on the switch. Five short titles fit on a narrow page.
TABS = {
    "Data": {"": "Data"},
    "Rotation": {"by curl": "Rotation", "all eight": "Orientation"},
    "Probe": {"by hand": "Probe", "from parallax": "Parallax"},
    "Direct": {"": "Direct"},
    "Run": {"": "Reconstruction"},
}


class StageTabs(Tab):
    """Places for the widgets of the stages.

    Examples
    --------
    >>> tabs = StageTabs()
    >>> tabs.stage
    'Data'
    >>> tabs.select("Parallax")
    >>> tabs.stage, tabs.selected_index
    ('Parallax', 2)
    """

    def __init__(self) -> None:
        self.switches: dict[str, ToggleButtons] = {}
        self.places: dict[str, VBox] = {}
        children = []
        for title, views in TABS.items():
            place = self.places[title] = VBox(layout=Layout(width="100%"))
            parts: list[Any] = [place]
            if len(views) > 1:
                self.switches[title] = ToggleButtons(options=list(views), **AUTO_WIDTH)
                parts.insert(0, self.switches[title])
            children.append(VBox(parts, layout=Layout(width="100%", grid_gap="8px")))
        super().__init__(children, selected_index=0)
        for index, title in enumerate(TABS):
            self.set_title(index, title)

    @property
    def stage(self) -> str | None:
        """Name of the stage that is looked at."""
        if self.selected_index is None:
            return None
        title = list(TABS)[self.selected_index]
        switch = self.switches.get(title)
        return TABS[title]["" if switch is None else switch.value]

    def select(self, name: str) -> None:
        """Look at a stage."""
        for index, (title, views) in enumerate(TABS.items()):
            for label, stage in views.items():
                if stage == name:
                    if title in self.switches:
                        self.switches[title].value = label
                    self.selected_index = index

    def set_widget(self, name: str, widget: Any) -> None:
        """Show the widget of a stage in its place."""
        for title, views in TABS.items():
            if name in views.values() and self.places[title].children != (widget,):
                self.places[title].children = [widget]

    def clear(self) -> None:
        """Show nothing in any place."""
        for place in self.places.values():
            place.children = []


__all__ = ["STAGES", "TABS", "StageTabs"]
