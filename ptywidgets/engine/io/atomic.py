"""Files that are either whole or not there: written beside, synced, then renamed over the old one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ptywidgets.engine.errors import FileFormatError
from ptywidgets.engine.io.recognise import printable


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[Path]:
    """Path of a temporary file in the same folder, which becomes `path` when the block ends well.

    When the block raises, also through a full disk, the temporary file is removed and the old `path` is untouched.

    Raises
    ------
    FileFormatError
        When `path` exists and `overwrite` is not given, when it is a folder, when its folder does not exist, and when
        the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(f"{folder}/numbers.txt") as temporary:
    ...         _ = temporary.write_text("1 2 3")
    ...     pathlib.Path(f"{folder}/numbers.txt").read_text()
    '1 2 3'
    """
    asked = Path(path).expanduser()
    target = Path(os.path.realpath(asked))  # a link stays a link
    shown = printable(str(asked))
    _check_target(target, shown, overwrite)
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        _check_target(target, shown, overwrite)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise FileFormatError(f"{shown} could not be written: {_reason(error)}. {_fate(target)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_target(target: Path, shown: str, overwrite: bool) -> None:
    if target.is_dir():
        raise FileFormatError(f"{shown} is a folder; give the name of a file.")
    if target.exists() and not overwrite:
        raise FileFormatError(f"{shown} already exists; pass overwrite=True to replace it, or choose another name.")
    if not target.parent.is_dir():
        raise FileFormatError(f"there is no folder {printable(str(target.parent))}; make it first.")


def _reason(error: OSError) -> str:
    text = " ".join(str(error).split())
    if error.errno == errno.ENOSPC or f"errno = {errno.ENOSPC}," in text or "No space left" in text:
        return "the disk is full; free some space or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there, or another program has the file open"
    return printable(text, 240)


def _fate(target: Path) -> str:
    return "The file that was there before is untouched." if target.exists() else "Nothing was left behind."


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not on Windows
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
