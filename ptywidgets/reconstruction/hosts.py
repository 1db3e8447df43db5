"""What the host can show, and which of its cells is being run."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple


def shows_threads() -> bool:
    """Whether pictures sent from a worker thread reach the page after the cell has returned.

    Colab's front end keeps them back until the next cell runs (colabtools issue 3373), so there a run blocks its cell,
    streams from it, and the interrupt button is the Stop button.

    Examples
    --------
    >>> shows_threads()
    True
    """
    return "google.colab" not in sys.modules


class Cell(NamedTuple):
    """One execution of a cell of a notebook."""

    name: str  # the front end's identifier of the cell, or its text where the front end gives none
    execution: str  # another one each time that the cell is run

    def again(self, other: Cell | None) -> bool:
        """Whether this is a later execution of the same cell."""
        return other is not None and self.name == other.name and self.execution != other.execution


def current_cell() -> Cell | None:
    """The cell that the calling code belongs to; None in a script, in a thread, in a callback of a widget.

    Examples
    --------
    >>> current_cell() is None
    True
    """
    shell = _shell()
    if shell is None or threading.current_thread() is not threading.main_thread():
        return None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else None
    if not isinstance(parent, dict) or parent.get("header", {}).get("msg_type") != "execute_request":
        return None
    name = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code", "")
    return Cell(str(name), str(parent["header"].get("msg_id", "")))


def variables(value: Any) -> frozenset[str]:
    """Names of the notebook's variables whose value this object is; IPython's own names of results do not count."""
    shell = _shell()
    if shell is None:
        return frozenset()
    return frozenset(name for name, own in list(shell.user_ns.items()) if own is value and not name.startswith("_"))


def _shell() -> Any:
    """The interactive shell of this process, where there is one."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return None if get is None else get()
