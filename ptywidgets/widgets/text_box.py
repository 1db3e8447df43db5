"""A box for a few words, such as the names of elements."""

from __future__ import annotations

from typing import Any

import traitlets
from ipywidgets import Text

from ptywidgets.engine.params import Parameter
from ptywidgets.widgets.boxes import tip, words
from ptywidgets.widgets.one_box import OneBox


class Words(OneBox):
    """A labelled box for text, taken when Enter is pressed or the box is left.

    Examples
    --------
    >>> box = Words(Parameter("diffuse", "", doc="Elements.", type=str), "Mo, S")
    >>> box.box.value = " Si "
    >>> box.value
    'Si'
    """

    value = traitlets.Unicode("")
    error = traitlets.Unicode("")

    def __init__(self, parameter: Parameter, value: Any = "", label: str | None = None, width: str = "170px") -> None:
        self.parameter = parameter
        layout = {"width": width, "min_width": "60px"}
        self.box = Text(value or "", continuous_update=False, layout=layout, **tip(parameter.doc))
        name = words(label or parameter.name.replace("_", " "), tooltip=parameter.doc)
        super().__init__(
            [name, self.box], layout={"align_items": "center", "grid_gap": "4px", "width": "auto", "margin": "0"}
        )
        self.value = value or ""
        self.box.observe(lambda change: self.set_trait("value", change["new"].strip()), "value")

    @traitlets.observe("value")
    def _follow(self, _change: Any) -> None:
        if self.box.value.strip() != self.value:
            self.box.value = self.value


__all__ = ["Words"]
