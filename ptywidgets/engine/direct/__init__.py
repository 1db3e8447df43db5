"""Direct methods: a phase image in one go from the scan images of the bright field; each a start for the iteration."""

from __future__ import annotations

from ptywidgets.engine.direct.bright_field import BrightField, bright_field
from ptywidgets.engine.direct.image import DirectImage, start_object

__all__ = ["BrightField", "DirectImage", "bright_field", "start_object"]
