"""Saving while a run goes on: what fails is said and tried again, and the run does not end by it."""

from __future__ import annotations

from collections.abc import Callable

from ptywidgets.engine.core.errors import PtyError


class Autosaves:
    """The automatic saves of one run, and what there is to say about them."""

    FAILED = "Not autosaved"

    def __init__(self) -> None:
        self.trouble = ""  # why the latest save failed; empty when it did not
        self.saved: int | None = None  # iterations done when one last succeeded

    def attempt(self, save: Callable[[], object], iteration: int) -> str:
        """Call `save` once; what there is to say about it, which is nothing where nothing has changed."""
        before = self.trouble
        try:
            save()
        except Exception as error:  # whatever it is, hours of work must not end by it
            self.trouble = str(error) if isinstance(error, PtyError) else f"{type(error).__name__}: {error}."
            again = "The run goes on, and saving is tried again every minute."
            return "" if before else f"{self.FAILED}: {self.trouble} {again}"
        self.trouble, self.saved = "", iteration
        return f"Autosaved again, at iteration {iteration}." if before else ""

    @property
    def verdict(self) -> str:
        """What has to be said when the run has ended; nothing where the latest save succeeded."""
        if not self.trouble:
            return ""
        last = "Nothing was autosaved" if self.saved is None else f"Last autosaved at iteration {self.saved}"
        return f"{last}: {self.trouble} Save it by hand under another name."


__all__ = ["Autosaves"]
