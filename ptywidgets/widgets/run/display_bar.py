"""DisplayBar: which tilt, slice, mode and element is displayed; shown where there are several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipywidgets import Box, Button, IntSlider, VBox

from ptywidgets.engine.models.parts.learned_shape import LEARNED
from ptywidgets.reconstruction import DisplaySettings, Snapshot
from ptywidgets.widgets.controls.fields import button, note, set_text, text_label, tip, toolbar
from ptywidgets.widgets.controls.formatting import number_text
from ptywidgets.widgets.controls.quiet import Quiet
from ptywidgets.widgets.panel.closing import replace_children
from ptywidgets.widgets.run.tilt_bar import SLIDER, TiltBar, view_text


class DisplayBar(VBox):
    """Sliders through tilts and slices, and buttons for probe modes and elements, with what they hold.

    Parameters
    ----------
    on_display : callable
        Called with (name, value) of the :class:`~ptywidgets.reconstruction.DisplaySettings` that the user changes.
    """

    def __init__(self, on_display: Callable[[str, int | None], Any]) -> None:
        self._on_display, self._quiet = on_display, Quiet()
        self.tilts = TiltBar(
            lambda number: on_display("view", number),
            "The tilt whose probe is shown; object and section are of the volume",
        )
        self.slice = IntSlider(
            0, 0, 1, readout=False, layout=SLIDER,
            **tip("A slice of the object, or a layer of the volume; at the left end all of them together"),
        )  # fmt: skip
        self.slice_text, self.slice_label = note(), text_label("")
        for label in (self.tilts.label, self.slice_label):
            label.layout.width = "38px"  # the sliders lie below each other
        self.slices = toolbar(self.slice_label, self.slice, self.slice_text)
        self.modes, self.elements = toolbar(text_label("Probe mode")), toolbar(text_label("Diffuse scattering of"))
        self.mode_buttons: list[Button] = []
        self.element_buttons: list[Button] = []
        self.slice.observe(self._slid, "value")
        super().__init__(
            [self.tilts, self.slices, self.modes, self.elements], layout={"width": "100%", "grid_gap": "4px"}
        )
        self.show(None, DisplaySettings())

    def show(self, snapshot: Snapshot | None, look: DisplaySettings) -> None:
        """Show what a snapshot has and what is looked at; nothing is called back."""
        count = 1 if snapshot is None else snapshot.slices
        tilts = () if snapshot is None else snapshot.tilts
        with self._quiet:
            self.slice.max = count
            self.slice.value = 0 if look.slice is None else min(look.slice + 1, count)
        set_text(self.slice_label, "Layer" if tilts else "Slice")
        set_text(self.slice_text, slice_text(snapshot, long=True))
        self.tilts.show(tilts, min(look.view, max(0, len(tilts) - 1)))
        occupations = () if snapshot is None else snapshot.occupations
        several = len(occupations) > 1
        labels = [f"{n}: {percent(share)}" for n, share in enumerate(occupations, 1)] + ["all"]
        mode = None if look.mode is None else min(look.mode, len(occupations) - 1)
        self.mode_buttons = self._buttons(
            self.modes, self.mode_buttons, labels if several else [], len(occupations) if mode is None else mode, "mode"
        )
        elements = () if snapshot is None or snapshot.channel is None else snapshot.elements
        self.element_buttons = self._buttons(
            self.elements, self.element_buttons, list(elements) if len(elements) > 1 else [], look.channel, "channel"
        )
        _set_visible(self, count > 1 or several or len(elements) > 1 or len(tilts) > 1)
        _set_visible(self.slices, count > 1)

    def _buttons(self, row: Box, there: list[Button], labels: list[str], chosen: int | None, name: str) -> list[Button]:
        """As many buttons as labels; made anew only where the number changes, since shares change all the time."""
        if len(there) != len(labels):
            there = [button("") for _ in labels]
            for number, item in enumerate(there):
                value = None if name == "mode" and number == len(labels) - 1 else number
                item.on_click(lambda _button, value=value: self._on_display(name, value))
            replace_children(row, (row.children[0], *there))
        for number, (item, label) in enumerate(zip(there, labels, strict=True)):
            item.description = label
            item.button_style = "info" if number == chosen else ""
        _set_visible(row, bool(labels))
        return there

    def _slid(self, change: Any) -> None:
        if not self._quiet:
            self._on_display("slice", change["new"] - 1 if change["new"] else None)


def slice_text(snapshot: Snapshot | None, long: bool = False) -> str:
    """Which slice is shown, such as ``slice 2 of 3``; nothing where there is one."""
    if snapshot is None or snapshot.slices == 1:
        return ""
    noun = "layer" if snapshot.tilts else "slice"
    if snapshot.slice is None:
        return f"all {snapshot.slices} together" if long else f"{snapshot.slices} {noun}s together"
    text = f"{snapshot.slice + 1} of {snapshot.slices}"
    top, bottom = snapshot.depths[snapshot.slice : snapshot.slice + 2]
    if long and bottom > top:
        return f"{text}, {_length_text(top)} to {_length_text(bottom)} Å deep"
    return text if long else f"{noun} {text}"


def mode_text(snapshot: Snapshot) -> str:
    """Of which tilt, and which mode is shown, such as ``mode 1 of 2: 87 %``; nothing where there is one."""
    count = len(snapshot.occupations)
    tilt = f"tilt {view_text(snapshot.tilts, snapshot.view)}" if snapshot.tilts else ""
    if count == 1:
        return tilt
    tilt = tilt and tilt + "; "
    if snapshot.mode is None:
        return f"{tilt}{count} modes, scaled to equal brightness"
    return f"{tilt}mode {snapshot.mode + 1} of {count}: {percent(snapshot.occupations[snapshot.mode])}"


def diffuse_text(snapshot: Snapshot) -> str:
    """Whose scattering is shown and its Debye-Waller factor; nothing where there is none."""
    if snapshot.channel is None:
        return ""
    if snapshot.elements[snapshot.channel] == LEARNED:
        return "of a learned shape"
    return f"{snapshot.elements[snapshot.channel]}, B = {snapshot.b_factors[snapshot.channel]:.3g} Å²"


def percent(share: float) -> str:
    """A share in whole per cent, and in tenths where it is small.

    Examples
    --------
    >>> percent(0.873), percent(0.0213), percent(1.0)
    ('87 %', '2.1 %', '100 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _length_text(length: float) -> str:
    return number_text(float(f"{length:.3g}"))


def _set_visible(widget: Any, shown: bool) -> None:
    widget.layout.display = "" if shown else "none"


__all__ = ["DisplayBar", "diffuse_text", "mode_text", "percent", "slice_text"]
