"""What of a reconstruction is looked at: one slice or all, one mode or all, a tilt, a line to cut along."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param

Line = tuple[float, float, float, float]
ACROSS: Line = (0.5, 0.0, 0.5, 1.0)  # from left to right through the middle


@dataclass(frozen=True)
class DisplaySettings(Params):
    """What snapshots hold of all that there is; the rest is not worked out.

    Parameters
    ----------
    slice, mode, channel, view
        See the declarations below. One that there is no more stands for the last.
    section : (float, float, float, float), optional
        Line in the image along which to cut through all slices: row and column of its ends, as parts of the
        image's height and width. None: no section is made.

    Examples
    --------
    >>> DisplaySettings(slice=2, section=(0.5, 0, 0.5, 1)).replace(slice=None)
    DisplaySettings(slice=None, mode=0, channel=None, view=0, section=(0.5, 0.0, 0.5, 1.0))
    """

    slice: int | None = param(None, low=0, doc="Slice of the object, 0 where the beam enters; none: all together.")
    mode: int | None = param(0, low=0, doc="Mode of the probe, 0 the brightest; none: all beside each other.")
    channel: int | None = param(None, low=0, doc="Element whose diffuse strength is shown; none: of no one.")
    view: int = param(0, low=0, doc="Tilt of a series whose probe is shown; object and section are of the volume.")
    section: Line | None = dataclasses.field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.section is None:
            return
        try:
            line = tuple(float(v) for v in self.section)
        except (TypeError, ValueError):
            line = ()
        if len(line) != 4 or not all(np.isfinite(line)) or line[:2] == line[2:]:
            raise ParameterError(
                f"section is {self.section!r}; expected row, column, row, column of two different places, as parts of "
                f"the image: {ACROSS} cuts from left to right through the middle."
            )
        object.__setattr__(self, "section", tuple(min(max(v, 0.0), 1.0) for v in line))


__all__ = ["ACROSS", "DisplaySettings", "Line"]
