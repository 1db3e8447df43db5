"""TiltBar: a slider through the tilts of a series, with the angle beside it; shown where there is a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import Box, IntSlider

from ptywidgets.engine.tomography import Tilt
from ptywidgets.reconstruction import tilt_text
from ptywidgets.widgets.controls.fields import note, set_text, text_label, tip
from ptywidgets.widgets.controls.quiet import Quiet

SLIDER = {"width": "auto", "flex": "1 1 100px", "max_width": "320px", "margin": "0"}


class TiltBar(Box):
    """One line: which tilt is looked at.

    Parameters
    ----------
    on_tilt : callable
        Called with the number, 0 the first, that the user slides to.
    tooltip : str
    rests : bool
        Call only when the slider rests: for what takes long to show.

    Examples
    --------
    >>> bar = TiltBar(print)
    >>> bar.show([Tilt(x=-24), Tilt()], 1)
    >>> bar.text
    '2 of 2, 0°'
    >>> bar.slider.value = 0
    0
    """

    def __init__(self, on_tilt: Callable[[int], Any], tooltip: str = "", rests: bool = False) -> None:
        self._on_tilt, self._quiet, self.text = on_tilt, Quiet(), ""
        self.slider = IntSlider(0, 0, 1, readout=False, continuous_update=not rests, layout=SLIDER, **tip(tooltip))
        self._position = note()
        self.label = text_label("Tilt")
        super().__init__([self.label, self.slider, self._position])
        self.add_class("pty-toolbar")
        self.slider.observe(self._slid, "value")
        self.show((), 0)

    def show(self, tilts: Sequence[Tilt], number: int) -> None:
        """Show where in a series one is; nothing is called back, and nothing is shown of a single view."""
        with self._quiet:
            self.slider.max = max(1, len(tilts) - 1)
            self.slider.value = min(number, self.slider.max)
        self.text = view_text(tilts, number)
        set_text(self._position, self.text)
        self.layout.display = "" if len(tilts) > 1 else "none"

    def _slid(self, change: Any) -> None:
        if not self._quiet:
            self._on_tilt(change["new"])


def view_text(tilts: Sequence[Tilt], number: int) -> str:
    """Which tilt it is, such as ``12 of 30, −24°``; nothing where there are none."""
    return f"{number + 1} of {len(tilts)}, {tilt_text(tilts[number])}" if tilts else ""


__all__ = ["TiltBar", "view_text"]
