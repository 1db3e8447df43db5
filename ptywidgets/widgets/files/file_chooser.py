"""FileChooser: the folders of the kernel's machine, uploads, and what a file is before it is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import traitlets
from ipywidgets import Dropdown, Text

from ptywidgets.engine.core.errors import DataError, PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.listing import Entry, Listing, folder_and_file, list_folder, nearest_folder
from ptywidgets.engine.io.summary import FileSummary, summarise
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, dropdown, heading, note, panel, panels, set_text, tip, toolbar
from ptywidgets.widgets.files.file_drop import FileDrop
from ptywidgets.widgets.files.file_facts import FileFacts
from ptywidgets.widgets.files.file_list import FileList
from ptywidgets.widgets.files.missing_calibration import MissingCalibration
from ptywidgets.widgets.files.recent_files import RecentFiles
from ptywidgets.widgets.image.image_view import style_sheet
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.panel.latest_task import LatestTask

KINDS = ("data files", "all files", "all, also hidden")
RECENT = "Recent files"
PATIENCE = 3.0  # s that a disk may take to answer before something else is asked beside it


class FileChooser(Panel):
    """Choose a file in the folders of the kernel's machine, see what it is, and open it.

    A folder is listed, and a file looked at, on a thread, so that a slow disk stops nothing; of what is asked for
    meanwhile the newest counts. The patterns themselves are read only when they are needed.

    Parameters
    ----------
    source : Reconstruction, Dataset or path, optional
        What is opened becomes the data of this reconstruction; a dataset or file gets one of its own.
    on_open : callable, optional
        Called with a new :class:`~ptywidgets.Reconstruction` of what is opened, which then does not become the data of
        the chooser's own. Needed to open saved reconstructions.
    folder : path, optional
        Where to begin; else where the data of `source` are, or the file that was opened last, or the kernel's folder.
    recent : path or bool, optional
        The file in which the paths of recent files are kept; False keeps none, as does the environment variable
        ``PTYWIDGETS_RECENT=off``.

    Notes
    -----
    `path` is the file that was opened last: ``chooser.observe(callback, "path")``. `selected` is what is chosen in the
    list, `summary` what it is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> temporary = tempfile.TemporaryDirectory()
    >>> np.save(f"{temporary.name}/scan.npy", np.ones((3, 4, 8, 8), np.uint8))
    >>> chooser = FileChooser(folder=temporary.name, recent=False)
    >>> chooser.select(f"{temporary.name}/scan.npy").shape
    (3, 4, 8, 8)
    >>> chooser.open_selected()
    >>> chooser.recon.dataset
    Dataset 'scan': scan 3 x 4, detector 8 x 8, uint8, 768 B on disk; not calibrated
    >>> chooser
    FileChooser('scan'; 1 entry)
    >>> chooser.close()
    >>> temporary.cleanup()
    """

    path = traitlets.Unicode("", help="The file that was opened last.")
    _last: ClassVar[Path | None] = None  # folder of the file that a chooser has opened last

    def __init__(
        self,
        source: Reconstruction | Dataset | str | os.PathLike[str] | None = None,
        on_open: Callable[[Reconstruction], Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        recent: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        super().__init__(source)
        self._on_open = on_open
        self._folder = _start_folder(folder, self.recon.dataset)
        self._selected: Path | None = None
        self._open_next = False  # once it is known what the chosen file is
        self._tasks: dict[str, tuple[LatestTask, float]] = {}  # by what they do, with the time at which each began
        self.recent_files = RecentFiles(recent)
        self.title = heading("Files")
        self.place = Text(
            continuous_update=False, layout={"width": "auto", "flex": "1 1 220px"},
            placeholder="folder, or path of a file", **tip("Folder; type another one, or the path of a file"),
        )  # fmt: skip
        self.up = button("Up", "To the folder above (Backspace in the list)", "", "arrow-up")
        self.home = button("Home", "To your home folder", "", "home")
        self.again = button("Reload", "List the folder again", "", "refresh")
        self.filter = Text(
            placeholder="filter by text",
            layout={"width": "auto", "flex": "1 1 110px", "min_width": "0", "max_width": "220px"},
            **tip("Only names that hold this text"),
        )  # fmt: skip
        self.kinds: Dropdown = dropdown("", KINDS, KINDS[0], "Which files are listed", "140px")
        self.recent: Dropdown = dropdown("", [(RECENT, "")], "", "Files that were opened last", "200px")
        self.list = FileList()
        self.listed = note()
        self.facts = FileFacts(self.safe_callback(self._filled_in), self.safe_callback(self.set_error))
        self.opener = button("Open", "Open the file that is chosen (Enter in the list)", "primary", "folder-open")
        self.enterer = button("Enter folder", "List what is in the folder that is chosen", "", "level-down")
        self.drop = FileDrop()
        self.missing = MissingCalibration.of_widget(self)
        self.children = [
            self.title,
            toolbar(self.place, self.up, self.home, self.again),
            toolbar(self.filter, self.kinds, self.recent),
            panels(panel(self.list, self.listed), panel(self.facts, toolbar(self.opener, self.enterer))),
            self.drop,
            self.status_line,
            self.missing,
            style_sheet(),
        ]
        self.recent.layout.flex = "1 1 160px"
        self.recent.layout.max_width = "420px"
        self._connect()
        self._show_buttons()
        self._show_recent()
        self.safe_callback(self._show_missing)()
        self.safe_callback(self._go)(self._folder)

    def _connect(self) -> None:
        self.list.on_choose(self.safe_callback(self._choose, "choose"))
        self.list.on_enter(self.safe_callback(self._enter))
        self.list.on_up(self.safe_callback(self._go_up))
        self.on_click(self.up, self._go_up)
        self.on_click(self.home, lambda: self._go("~"))
        self.on_click(self.again, lambda: self._list())
        self.on_click(self.opener, self._open)
        self.on_click(self.enterer, lambda: self._go(self._selected, enter=True))
        self.on_change(self.place, self._go)
        self.on_change(self.filter, lambda _text: self._list())
        self.on_change(self.kinds, lambda _kind: self._list())
        self.on_change(self.recent, lambda path: self._go(path) if path else None)
        self.drop.on_upload(self.safe_callback(self._uploaded))
        self.drop.on_failure(self.safe_callback(_raise))
        self.observe_reconstruction(self._show_missing, "dataset")

    # ---------------------------------------------------------------- for code

    @property
    def folder(self) -> str:
        """The folder that is listed; set it to list another one, or to the path of a file to choose it there."""
        return str(self._folder)

    @folder.setter
    def folder(self, path: str | os.PathLike[str]) -> None:
        self.safe_callback(self._go)(path)

    @property
    def selected(self) -> str:
        """The path of what is chosen in the list; empty where nothing is."""
        return "" if self._selected is None else str(self._selected)

    @property
    def summary(self) -> FileSummary | None:
        """What the chosen file is; None where none is chosen, or it is still being looked at."""
        return self.facts.summary

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is listed."""
        return self.list.entries

    def select(self, path: str | os.PathLike[str]) -> FileSummary | None:
        """Go to a file and choose it; waits until it is known what it is, and tells that.

        Raises
        ------
        FileFormatError
            When nothing is there.
        """
        folder_and_file(path)
        self.safe_callback(self._go)(path)
        self.wait()
        return self.summary

    def open_selected(self) -> None:
        """Open the file that is chosen, as the button does, and wait for it.

        Raises
        ------
        PtyError
            When none is chosen, or it cannot be opened.
        """
        self._check_can_open()
        self.safe_callback(self._open)()
        self.wait()

    # ---------------------------------------------------------------- folders

    def _go(self, path: str | os.PathLike[str] | None, enter: bool = False) -> None:
        """List a folder; of a file, or a data set that is not to be entered, the one that it is in, and choose it."""
        if path is None or not str(path).strip():
            self._show_place()
            return
        self._open_next = False
        self._list(path, enter)

    def _go_up(self) -> None:
        self._go(nearest_folder(self._folder.parent), enter=True)

    def _list(self, path: str | os.PathLike[str] | None = None, enter: bool = True) -> None:
        """List a folder, the present one when none is given, on a thread."""
        at, text, kind = self._folder if path is None else path, self.filter.value, self.kinds.value

        def work() -> tuple[Listing, Path | None] | PtyError:
            try:
                folder, file = (Path(at), None) if enter else folder_and_file(at)
                wanted = "" if path is not None and folder != self._folder else text  # a filter is of one folder
                options = {"all_files": kind != KINDS[0], "hidden": kind == KINDS[2]}
                return list_folder(folder, wanted, **options), file
            except PtyError as error:
                return error

        self._submit("list", work, lambda found: self._show_listing(found, path is None))

    def _submit(self, what: str, work: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Do work on a thread, the newest of its kind; what is waited for too long already is left to itself."""
        now = time.monotonic()
        task, since = self._tasks.get(what, (LatestTask(self), now))
        if task.busy and now - since > PATIENCE:
            task.cancel()
            task = LatestTask(self)
        self._tasks[what] = (task, since if task.busy else now)
        task.submit(work, then)

    def _cancel(self, what: str) -> None:
        if what in self._tasks:
            self._tasks[what][0].cancel()

    def _show_listing(self, found: tuple[Listing, Path | None] | PtyError, same: bool) -> None:
        if isinstance(found, PtyError):
            self._show_place()
            if same:  # what was listed is not there any more
                self.list.show((), f"Entries of {printable(str(self._folder))}", "nothing can be listed")
                self._select(None)
            raise found
        listing, file = found
        if listing.folder != self._folder:
            self._folder = listing.folder
            self.set_silently(self.filter, "")
        self._show_place()
        shown = printable(str(listing.folder))
        empty = "nothing fits the filter" if self.filter.value.strip() else "nothing here"
        self.list.show(listing.entries, f"Entries of {shown}", f"{empty}; see what is listed, above" if listing.others
                       else empty)  # fmt: skip
        set_text(self.listed, listing.describe())
        self.set_status("")
        self._select(file if file is not None else self._still_there(listing) if same else None)

    def _still_there(self, listing: Listing) -> Path | None:
        """What is chosen, where it is in the new listing, too."""
        return next((one.path for one in listing.entries if one.path == self._selected), None)

    def _show_place(self) -> None:
        self.set_silently(self.place, printable(str(self._folder), 4000))

    # ---------------------------------------------------------------- a file

    def _choose(self, entry: Entry) -> None:
        self._open_next = False
        self._select(entry.path)

    def _enter(self, entry: Entry) -> None:
        """What a double click does: enters a folder, opens data."""
        if entry.is_folder and not entry.is_data:
            self._go(entry.path)
            return
        if entry.path != self._selected:
            self._select(entry.path)
        if self.summary is None:
            self._open_next = True
        else:
            self._open()

    def _select(self, path: Path | None) -> None:
        """Choose a file and find out what it is, on a thread; nothing, and a folder, are told at once."""
        again = path is not None and path == self._selected and self.summary is not None
        self._selected = path
        index = next((n for n, one in enumerate(self.entries) if one.path == path), -1)
        self.list.choose(index)
        if path is None or str(path) != self.recent.value:
            self.set_silently(self.recent, "")
        entry = self.entries[index] if index >= 0 else None
        if again:
            self._look()
        elif path is None:
            self._cancel("look")
            self.facts.clear()
        elif entry is not None and entry.is_folder and not entry.is_data:
            self._cancel("look")
            self.facts.show_folder(entry)
        else:
            self.facts.clear(f"Looking at {printable(path.name)} ...")
            self._look()
        self._show_buttons()

    def _look(self) -> None:
        path, reading = self._selected, self.facts.reading()
        if path is not None:
            self._submit("look", lambda: summarise(path, **reading), self._show_summary)

    def _filled_in(self) -> None:
        self._look()
        self.set_status("")

    def _show_summary(self, summary: FileSummary) -> None:
        if summary.path != self._selected:
            return
        self.facts.show(summary)
        self._show_buttons()
        if self._open_next:
            self._open_next = False
            self._open()

    def _show_buttons(self) -> None:
        entry = next((one for one in self.entries if one.path == self._selected), None)
        is_folder = entry is not None and entry.is_folder
        self.enterer.layout.display = "" if is_folder else "none"
        self.opener.layout.display = "none" if is_folder and entry is not None and not entry.is_data else ""
        self.opener.disabled = self.summary is None or not self.summary.can_open

    # ---------------------------------------------------------------- opening

    def _check_can_open(self) -> tuple[Path, FileSummary]:
        """What is to be opened; an error where that cannot be."""
        summary = self.summary
        if self._selected is None or summary is None:
            raise DataError("no file is chosen; choose one in the list.")
        if summary.error is not None:
            raise summary.error
        if summary.kind == "reconstruction" and self._on_open is None:
            raise DataError(
                f"{printable(self._selected.name)} is a saved reconstruction, which has data, settings and result of "
                "its own; open it by Reconstruction.load(path), or in the Workbench."
            )
        return self._selected, summary

    def _open(self) -> None:
        path, _summary = self._check_can_open()
        reading, alone = self.facts.reading(), self._on_open is None
        self.drop.folder.keep(path)
        self.set_status(f"Opening {printable(path.name)} ...")

        def work() -> tuple[Path, Any]:
            opened = read(path, **reading) if alone else Reconstruction.open(path, **reading)
            self.recent_files.add(path)
            return path, opened

        self._submit("open", work, lambda found: self._opened(*found))

    def _opened(self, path: Path, opened: Any) -> None:
        FileChooser._last = path.parent
        if self._on_open is None:
            self.recon.dataset = opened
            self.path = str(path)
        else:
            self.path = str(path)  # before, so that whoever takes it knows what it is of
            self._on_open(opened)
        if not self._closed:  # by whoever has taken it
            self._show_recent()
            self.set_status(f"Opened {printable(path.name)}.", "good")

    def _show_recent(self) -> None:
        paths = self.recent_files.paths()
        options = [(RECENT, ""), *((_short(path), path) for path in paths)]
        if list(self.recent.options) != options:
            with self.callback_queue.muted():
                self.recent.options = options
                self.recent.value = ""
        self.recent.layout.display = "" if paths else "none"

    def _uploaded(self, path: Path) -> None:
        self._go(path)

    # ---------------------------------------------------------------- what is missing

    def _show_missing(self) -> None:
        self.missing.show(self.recon.dataset)

    def _describe(self) -> str:
        if self._closed:
            return self.recon.status
        count = len(self.entries)
        return f"{count} entr{'y' if count == 1 else 'ies'}"


def _start_folder(folder: str | os.PathLike[str] | None, dataset: Dataset | None) -> Path:
    if folder is not None:
        return Path(os.path.abspath(Path(folder).expanduser()))
    if dataset is not None and dataset.path is not None:
        return Path(os.path.abspath(dataset.path)).parent
    if FileChooser._last is not None:
        return FileChooser._last
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return Path(os.path.abspath(os.sep))


def _short(path: str) -> str:
    """A path for a menu: its name first."""
    name, folder = os.path.basename(path), os.path.dirname(path)
    end = folder if len(folder) <= 40 else f"...{folder[-37:]}"
    return printable(f"{name}  ({end})", 120)


def _raise(error: PtyError) -> None:
    raise error


__all__ = ["FileChooser"]
