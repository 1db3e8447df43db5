"""The doctor's checks: each looks at one thing and says one sentence about it."""

from __future__ import annotations

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown

__all__ = ["Facts", "Finding", "NotKnown"]
