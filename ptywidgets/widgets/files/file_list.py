"""The list of a folder in the browser: names, of which one is chosen by mouse or keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets
from ipywidgets import CallbackDispatcher

from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.io.listing import Entry
from ptywidgets.widgets.image.image_view import STATIC

FOLDER, DATA_FOLDER = "▸", "▣"


class FileList(anywidget.AnyWidget):
    """Entries of a folder.

    Notes
    -----
    Every listing has a number, and a choice comes back with that of the listing it is of: what is clicked while the
    next listing is on its way chooses nothing of that.

    Examples
    --------
    >>> from pathlib import Path
    >>> listed = FileList()
    >>> listed.show([Entry(Path("/data/scan.mib"), is_data=True, size=2_000_000)], "in /data", "nothing here")
    >>> listed.rows
    [{'name': 'scan.mib', 'mark': '', 'detail': '2 MB', 'dim': False}]
    """

    _esm = (STATIC / "file-list.js").read_text(encoding="utf-8")
    _rows = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        self._choose, self._enter, self._up = CallbackDispatcher(), CallbackDispatcher(), CallbackDispatcher()
        self.entries: tuple[Entry, ...] = ()
        super().__init__()
        self.on_msg(self._receive)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is shown of each entry."""
        return list(self._rows.get("rows", []))

    def show(self, entries: Sequence[Entry], label: str, empty: str) -> None:
        """Show these entries, none of them chosen; `label` names the list, `empty` is shown where there are none."""
        self.entries = tuple(entries)
        number = int(self._rows.get("number", 0)) + 1
        rows = [_row(entry) for entry in self.entries]
        self._rows = {"number": number, "rows": rows, "label": label, "empty": empty, "chosen": -1}

    def choose(self, index: int) -> None:
        """Mark one as chosen; -1 for none. No callback is called."""
        if self._rows.get("chosen", -1) != index:
            self._rows = {**self._rows, "chosen": index}

    def on_choose(self, callback: Callable[[Entry], object]) -> None:
        """Call ``callback(entry)`` when the user chooses another one."""
        self._choose.register_callback(callback)

    def on_enter(self, callback: Callable[[Entry], object]) -> None:
        """Call ``callback(entry)`` at a double click, and at Enter."""
        self._enter.register_callback(callback)

    def on_up(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` at Backspace."""
        self._up.register_callback(callback)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind is None or content.get("number") != self._rows.get("number", 0):
            return
        index = content.get("index")
        if kind == "up":
            self._up()
        elif isinstance(index, int) and 0 <= index < len(self.entries):
            callbacks = {"choose": self._choose, "enter": self._enter}.get(kind)
            if callbacks is not None:
                callbacks(self.entries[index])


def _row(entry: Entry) -> dict[str, Any]:
    mark = "" if not entry.is_folder else DATA_FOLDER if entry.is_data else FOLDER
    detail = "" if entry.size is None else in_bytes(entry.size)
    if entry.broken:
        detail = "leads nowhere"
    elif entry.is_folder and entry.is_data:
        detail = "data set"
    return {"name": entry.name, "mark": mark, "detail": detail, "dim": not (entry.is_folder or entry.is_data)}


__all__ = ["FileList"]
