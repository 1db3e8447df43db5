"""Traits whose observers cannot break what they observe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from traitlets import All, HasTraits

log = logging.getLogger("ptywidgets")


class SafeTraits(HasTraits):
    """HasTraits of which a failing observer is logged once and disconnected."""

    def __init__(self, **values: Any) -> None:
        self._wrapped: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
        super().__init__(**values)

    def observe(self, handler: Callable[..., Any], names: Any = All, type: Any = "change") -> None:
        """As in traitlets; `handler` may be called on any thread."""

        def guarded(change: Any) -> None:
            try:
                handler(change)
            except Exception:
                log.exception("an observer of %s failed and is disconnected", names)
                self.unobserve(handler, names, type)

        self._wrapped.append((handler, guarded))
        super().observe(guarded, names=names, type=type)

    def unobserve(self, handler: Callable[..., Any], names: Any = All, type: Any = "change") -> None:
        """As in traitlets."""
        for pair in [p for p in self._wrapped if p[0] == handler]:
            try:
                super().unobserve(pair[1], names=names, type=type)
            except ValueError:  # observed for other names
                continue
            self._wrapped.remove(pair)
