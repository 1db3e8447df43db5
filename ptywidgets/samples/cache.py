"""Where downloaded files are kept, and how they are checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay
from ptywidgets.engine.io.atomic import Kind, atomic_file
from ptywidgets.engine.io.detect_format import first_bytes


def cache_folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """`cache`, else PTYWIDGETS_CACHE, else the platform's cache folder for this user.

    Examples
    --------
    >>> cache_folder("here").name
    'here'
    """
    given = cache or os.environ.get("PTYWIDGETS_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ptywidgets"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def recorded_sha256(path: Path) -> str | None:
    """The sum written beside `path` when it was first complete, or None."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        words = _beside(path).read_text().split()
        if words and len(words[0]) == 64:
            return words[0]
    return None


def record_sha256(path: Path, digest: str) -> None:
    """Write the sum beside `path`, as `sha256sum --check` reads it."""
    try:
        with atomic_file(_beside(path), replaces=_SUM) as file:
            file.write_text(f"{digest}  {path.name}\n")
    except FileInTheWay as error:
        raise FileInTheWay(error.problem, "move it away and fetch again, or name another folder") from None


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Only one process at a time is in the block with the same `path`; others wait. No effect on Windows."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def writable_folder(folder: Path) -> Path:
    """`folder`, made when it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileFormatError(
            f"the cache folder {folder} cannot be made ({error.strerror}); name another: fetch(..., cache=folder) or "
            "the environment variable PTYWIDGETS_CACHE."
        ) from None
    return folder


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _is_sum(path: Path) -> bool:
    return re.fullmatch(rb"[0-9a-f]{64}  [^\n]*\n?", first_bytes(path, 4096)) is not None


_SUM = Kind("the sum of a file", _is_sum)
