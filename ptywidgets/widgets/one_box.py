"""What controls of one box share."""

from __future__ import annotations

from typing import Any

from ipywidgets import HBox


class OneBox(HBox):
    """A row that is switched off with the box in it."""

    box: Any

    @property
    def disabled(self) -> bool:
        """Whether nothing can be entered."""
        return bool(self.box.disabled)

    @disabled.setter
    def disabled(self, value: bool) -> None:
        self.box.disabled = value


__all__ = ["OneBox"]
