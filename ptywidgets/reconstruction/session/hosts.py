"""What the host can show, and which of its cells is being run."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple


def shows_threads() -> bool:
    """Whether images sent from a worker thread reach the page after the cell has returned.

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


def until_run_again(thing: Any, let_go: Callable[[Any], object]) -> None:
    """Call ``let_go(thing)`` once the present cell has been run again, where no variable of the notebook holds it then.

    A variable holds it also in a list, tuple, set or dictionary. Outside of a cell nothing is done.
    """
    global _shell_heard
    cell, shell = current_cell(), _shell()
    if cell is None:
        return
    if shell is not _shell_heard:
        shell.events.register("post_run_cell", lambda *_: _after_cell())
        _shell_heard = shell
    _noted.setdefault(cell.name, {})[id(thing)] = (cell.execution, weakref.ref(thing), let_go)


def drop_results(thing: Any) -> None:
    """Take an object out of what IPython keeps of every cell's result, ``Out`` and ``_``."""
    shell = _shell()
    results = shell.user_ns.get("_oh", {})
    for number in [number for number, own in results.items() if own is thing]:
        del results[number]
    for names in (shell.user_ns, getattr(shell, "user_ns_hidden", {}), vars(shell.displayhook)):
        for name in [name for name, own in names.items() if own is thing and name.startswith("_")]:
            names[name] = ""


_noted: dict[str, dict[int, tuple[str, weakref.ref[Any], Callable[[Any], object]]]] = {}  # by cell
_shell_heard: Any = None


def _after_cell() -> None:
    cell = current_cell()
    noted = {} if cell is None else _noted.get(cell.name, {})
    for key, (execution, reference, let_go) in list(noted.items()):
        thing = reference()
        if thing is None or (cell is not None and execution != cell.execution and not _held(thing)):
            del noted[key]
            if thing is not None:
                let_go(thing)


def _held(thing: Any) -> bool:
    """Whether a variable of the notebook holds an object, by itself or in a collection."""
    for name, own in list(_shell().user_ns.items()):
        if name.startswith("_") or name in ("In", "Out"):
            continue
        several = own.values() if type(own) is dict else own if type(own) in (list, tuple, set) else ()
        if own is thing or any(one is thing for one in list(several)):
            return True
    return False


def _shell() -> Any:
    """The interactive shell of this process, where there is one."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return None if get is None else get()
