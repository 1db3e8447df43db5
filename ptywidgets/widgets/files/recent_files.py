"""Files that were opened last, remembered from one kernel to the next by their paths alone."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.io.atomic import Kind, atomic_file
from ptywidgets.engine.io.detect_format import first_bytes

MOST = 12
VARIABLE = "PTYWIDGETS_RECENT"  # "off", or the path of the file
LARGEST = 200_000  # bytes
_START = b'{"ptywidgets recent files"'
log = logging.getLogger("ptywidgets")


class RecentFiles:
    """The list, in a small JSON file in the user's folder for such state.

    Parameters
    ----------
    file : path or False, optional
        Where it is kept; what the environment variable PTYWIDGETS_RECENT says when not given, ``off`` among that, else
        the platform's folder (XDG_STATE_HOME on Linux). False keeps nothing.

    Notes
    -----
    A file that is absent, unreadable or damaged is one without entries, and where nothing can be written nothing is:
    what was opened last is a help, and no work stops over it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recent = RecentFiles(f"{folder}/recent.json")
    ...     recent.add("/data/a.mib"); recent.add("/data/b.mib"); recent.add("/data/a.mib")
    ...     [Path(path).name for path in recent.paths()]
    ['a.mib', 'b.mib']
    """

    def __init__(self, file: str | os.PathLike[str] | bool | None = None) -> None:
        self.file = state_file() if file is None or file is True else None if file is False else Path(file)

    def paths(self) -> list[str]:
        """Absolute paths, the newest first; whether these files are still there is not looked at."""
        if self.file is None:
            return []
        try:
            if self.file.stat().st_size > LARGEST:
                return []
            found = json.loads(self.file.read_text(encoding="utf-8"))["ptywidgets recent files"]
            return [path for path in found if isinstance(path, str) and os.path.isabs(path) and "\0" not in path][:MOST]
        except (OSError, ValueError, TypeError, LookupError, RecursionError):  # absent, unreadable or damaged
            return []

    def add(self, path: str | os.PathLike[str]) -> None:
        """Put a file first."""
        if self.file is None:
            return
        first = os.path.abspath(path)
        paths = [first, *(one for one in self.paths() if one != first)][:MOST]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with atomic_file(self.file, replaces=Kind("a list of recent files", _is_ours)) as part:
                part.write_text(json.dumps({"ptywidgets recent files": paths}), encoding="utf-8")
        except (PtyError, OSError, UnicodeEncodeError) as error:  # a read-only home
            log.debug("recent files are not kept: %s", error)


def state_file() -> Path | None:
    """Where the list is kept by default; None where it is switched off, or there is no home folder.

    Examples
    --------
    >>> file = state_file()
    >>> file is None or file.is_absolute() or bool(os.environ.get(VARIABLE))
    True
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given.lower() in ("off", "0", "no", "false"):
        return None
    if given:
        return Path(given)
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Application Support"
        else:
            base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return Path(base) / "ptywidgets" / "recent.json"


def _is_ours(file: Path) -> bool:
    """Also a damaged one, which is empty or begins as ours does: of another's file nothing is written over."""
    start = first_bytes(file, len(_START))
    return not start or start == _START


__all__ = ["MOST", "VARIABLE", "RecentFiles", "state_file"]
