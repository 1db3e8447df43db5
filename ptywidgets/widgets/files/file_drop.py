"""Files that come from the user's own computer: dropped or picked in the browser, sent piece by piece."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from ipywidgets import CallbackDispatcher

from ptywidgets.engine.core.errors import DataError, FileFormatError, PtyError
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.io.atomic import atomic_file
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.widgets.image.image_view import STATIC

# Bytes of one file. It passes through the memory of browser, server and kernel, and slowly over a network; a larger one
# belongs on the kernel's disk.
LIMIT = 200_000_000
LONGEST_NAME = 150  # bytes
_FORBIDDEN = '<>:"|?*\\/'  # in names on Windows


class UploadFolder:
    """A temporary folder for uploads, which is there as long as something in it may be read.

    Data are read lazily, so that a file that was opened stays until the end of the process; all others are removed by
    :meth:`clear`.

    Examples
    --------
    >>> uploads = UploadFolder()
    >>> file = uploads.save("../a<b>.npy", [b"123"])
    >>> file.name, file.read_bytes()
    ('a_b_.npy', b'123')
    >>> uploads.clear()
    >>> file.exists()
    False
    """

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._kept: set[Path] = set()

    def save(self, name: str, pieces: list[bytes]) -> Path:
        """Write a file of this name; beside the others, so that what belongs together is found together."""
        name = safe_name(name)
        if not self._folders or (self._folders[-1] / name).exists():
            self._folders.append(Path(tempfile.mkdtemp(prefix="ptywidgets-upload-")))
            _remove_at_exit(self._folders[-1])
        target = self._folders[-1] / name
        with atomic_file(target) as part, part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        return target

    def keep(self, path: str | os.PathLike[str]) -> None:
        """Keep what lies beside a file that is read from now on: it may be in several."""
        if Path(path).parent in self._folders:
            self._kept.add(Path(path).parent)

    def clear(self) -> None:
        """Remove the folders of which nothing was opened; the others go at the end of the process."""
        for folder in self._folders:
            if folder not in self._kept:
                shutil.rmtree(folder, ignore_errors=True)
        self._folders = [folder for folder in self._folders if folder in self._kept]


def safe_name(name: str) -> str:
    r"""A name for a file from one that comes from elsewhere: no folders, nothing that cannot be printed, not hidden.

    Examples
    --------
    >>> safe_name(r"C:\data\scan 1.mib"), safe_name("../../.bashrc"), safe_name("/"), len(safe_name("a" * 500 + ".blo"))
    ('scan 1.mib', 'bashrc', 'upload', 150)
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in last).strip(" .")
    stem, ending = os.path.splitext(clean)
    ending = os.fsencode(ending)[:20].decode(errors="ignore")
    stem = os.fsencode(stem)[: LONGEST_NAME - len(os.fsencode(ending))].decode(errors="ignore")
    return f"{stem}{ending}" if stem.strip("_ .") else f"upload{ending}"


def _remove_at_exit(folder: Path) -> None:
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not a fork's
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


@dataclass
class _Upload:
    """A file of which some pieces are there."""

    id: str
    name: str
    size: int
    pieces: list[bytes] = field(default_factory=list)
    received: int = 0


class FileDrop(anywidget.AnyWidget):
    """A place where files are dropped or picked.

    Parameters
    ----------
    limit : int
        Bytes of a file; a larger one is refused before any of it is sent.

    Notes
    -----
    Pieces of 4 MB are sent as messages, each when the one before is there: a Jupyter server takes messages of 10 MB at
    most and closes the connection at a larger one, which is what becomes of a large file in ipywidgets.FileUpload. That
    has no place to drop files either.

    Examples
    --------
    >>> drop = FileDrop()
    >>> drop.text
    'or drop files here, each of up to 200 MB'
    """

    _esm = (STATIC / "file-drop.js").read_text(encoding="utf-8")
    limit = traitlets.Int(LIMIT, min=0).tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)

    def __init__(self, limit: int = LIMIT) -> None:
        self.folder = UploadFolder()
        self._now: _Upload | None = None
        self._done, self._failed = CallbackDispatcher(), CallbackDispatcher()
        super().__init__(limit=limit, text=f"or drop files here, each of up to {in_bytes(limit)}")
        self.on_msg(self._receive)

    def on_upload(self, callback: Callable[[Path], object]) -> None:
        """Call ``callback(path)`` with every file that has come."""
        self._done.register_callback(callback)

    def on_failure(self, callback: Callable[[PtyError], object]) -> None:
        """Call ``callback(error)`` when one cannot be taken."""
        self._failed.register_callback(callback)

    def close(self) -> None:
        """Take the widget away, and what was uploaded and not opened."""
        self._now = None
        self.folder.clear()
        super().close()

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        kind, name = content.get("type"), printable(str(content.get("name", "")), 80)
        if kind == "begin":
            self._begin(content)
        elif kind == "refused":
            self._failed(self._too_large(name, content.get("size")))
        elif kind == "unreadable":
            self._now = None
            self._failed(FileFormatError(f"{name} could not be read by the browser; is it a folder? Choose files."))
        elif kind == "piece":
            self._take(content, buffers)

    def _begin(self, content: dict[str, Any]) -> None:
        id, size, name = str(content.get("id", "")), content.get("size"), str(content.get("name", ""))
        if not isinstance(size, int) or not 0 <= size <= self.limit:
            self._end(id, self._too_large(printable(name, 80), size))
            return
        self._now = _Upload(id, name, size)  # of one that was on its way no more is taken
        if size == 0:
            self._end(id, FileFormatError(f"{printable(name, 80)} is empty (0 bytes); choose another file."))
        else:
            self._ask(0)

    def _take(self, content: dict[str, Any], buffers: Any) -> None:
        now = self._now
        if now is None or content.get("id") != now.id or content.get("offset") != now.received:
            return  # of a file that is no longer wanted
        piece = bytes(buffers[0]) if buffers else b""
        if not piece or now.received + len(piece) > now.size:
            self._end(now.id, DataError(f"{printable(now.name, 80)} has changed while it was sent; choose it again."))
            return
        now.pieces.append(piece)
        now.received += len(piece)
        if now.received < now.size:
            self._ask(now.received)
            return
        try:
            path = self.folder.save(now.name, now.pieces)
        except (PtyError, OSError) as error:
            failure = error if isinstance(error, PtyError) else FileFormatError(
                f"{printable(now.name, 80)} could not be kept: {printable(error.strerror or str(error))}; free some "
                "space in the folder of temporary files."
            )  # fmt: skip
            self._end(now.id, failure)
            return
        self._end(now.id)
        self._done(path)

    def _ask(self, offset: int) -> None:
        assert self._now is not None
        self.send({"type": "piece", "id": self._now.id, "offset": offset})

    def _end(self, id: str, error: PtyError | None = None) -> None:
        self._now = None
        self.send({"type": "end", "id": id})
        if error is not None:
            self._failed(error)

    def _too_large(self, name: str, size: Any) -> DataError:
        with contextlib.suppress(TypeError, ValueError):
            size = in_bytes(float(size))
        return DataError(
            f"{name} has {size}; expected at most {in_bytes(self.limit)}. Copy it to the kernel's machine, and choose "
            "it in its folder."
        )


__all__ = ["LIMIT", "FileDrop", "UploadFolder", "safe_name"]
