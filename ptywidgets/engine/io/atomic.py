"""The one door through which files are written: nothing is lost by it, and a file is either whole or not there.

A file is written beside its place, synced, and then put there. It goes to a new path, or over a file of ours of the
same kind, such as one saved reconstruction over another. It never goes over a file that the data were read from,
whatever that is called, and over anything else only where that was asked for.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay, ParameterError
from ptywidgets.engine.io.detect_format import first_bytes, printable

_PART = re.compile(r"\..+\.(?P<process>\d{1,10})-[0-9a-f]{8}(?:-(?P<place>[0-9a-f]{8}))?\.part", re.DOTALL)
_ABANDONED = 86400.0  # s without a byte: no save waits so long for its next one


class Kind(NamedTuple):
    """Files that one of the same kind may replace without being asked."""

    words: str  # "a saved reconstruction"
    detect: Callable[[Path], bool]  # by the content of an existing file, and quickly


PICTURE = Kind("a PNG image", lambda path: first_bytes(path, 8) == b"\x89PNG\r\n\x1a\n")


@contextlib.contextmanager
def atomic_file(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    inputs: Iterable[Path] = (),
    replaces: Kind | None = None,
) -> Iterator[Path]:
    """Path of a temporary file in the same folder, which becomes `path` when the block ends well.

    When the block raises, also through a full disk, the temporary file is removed and the old `path` is untouched. What
    processes that are no more have left behind in the folder while they saved is removed.

    Parameters
    ----------
    path, overwrite, inputs, replaces
        As of :func:`checked_target`.

    Raises
    ------
    FileInTheWay
        When `path` exists, is not of the kind that may be replaced, and `overwrite` is not given.
    FileFormatError
        When `path` is one of `inputs`, is not a plain file, when its folder does not exist, and when the file cannot be
        written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(f"{folder}/numbers.txt") as temporary:
    ...         _ = temporary.write_text("1 2 3")
    ...     pathlib.Path(f"{folder}/numbers.txt").read_text()
    '1 2 3'
    """
    inputs = tuple(inputs)
    check = functools.partial(checked_target, path, overwrite, inputs=inputs, replaces=replaces)
    target = check()
    _remove_stale(target.parent)
    try:
        mode = stat.S_IMODE(target.stat().st_mode) & 0o777 if target.exists() else None
        with _new_part(target, mode) as temporary:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            if mode is not None:
                os.chmod(temporary, mode)
            put_in_place(temporary, target, check)
    except OSError as error:
        shown = printable(os.fsdecode(path))
        raise FileFormatError(f"{shown} could not be written: {_reason(error)}. {_fate(target)}") from error


def checked_target(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    inputs: Iterable[Path] = (),
    replaces: Kind | None = None,
) -> Path:
    """Where a file called `path` would be written, links followed; an error when it may not be.

    Whoever works for hours before writing asks here first.

    Parameters
    ----------
    path : path
    overwrite : bool
        Whether an existing file may be replaced, whatever it is.
    inputs : iterable of Path
        Files that are never replaced, by whatever name (another path, a link, other case) they are called.
    replaces : Kind, optional
        What may be replaced without `overwrite`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     checked_target(file.name, overwrite=True, inputs=[Path(file.name)])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.FileFormatError: ... holds data that this comes from, and is never written over; ...
    """
    asked = _path(path)
    shown = printable(str(asked))
    if not isinstance(overwrite, bool):  # "no" would be true
        raise ParameterError(f"overwrite is {overwrite!r}; expected True or False.")
    try:
        target = Path(os.path.realpath(asked))  # a link stays a link
        there = _lstat(target)
        if there is None:
            if not target.parent.is_dir():
                raise FileFormatError(f"there is no folder {printable(str(target.parent))}; make it first.")
        elif stat.S_ISDIR(there.st_mode):
            raise FileFormatError(f"{shown} is a folder; give the name of a file.")
        elif not stat.S_ISREG(there.st_mode):
            raise FileFormatError(f"{shown} is {_special(there.st_mode)}; give the name of a file.")
        else:
            _check_existing(target, asked, overwrite, inputs, replaces)
            if not (there.st_mode & 0o222 and os.access(target, os.W_OK)):
                raise FileFormatError(f"{shown} is read-only; choose another name, or let it be written to.")
        if not os.access(target.parent, os.W_OK | os.X_OK):  # network drives may say so and let one write
            with _new_part(target):
                pass
    except OSError as error:
        raise FileFormatError(f"{shown} could not be written: {_reason(error)}.") from error
    return target


def put_in_place(temporary: Path, target: Path, check: Callable[[], object] | None = None) -> None:
    """Give a whole file its name; `check` raises where what is there by now may not be replaced.

    Without `check` nothing is replaced.

    Raises
    ------
    FileInTheWay
        When something has appeared there meanwhile.
    """
    for _ in range(8):  # each time another file has appeared between the look and the link
        if target.exists():
            if check is None:
                break
            check()
            os.replace(temporary, target)
        elif not _new_name(temporary, target):
            continue
        _sync_folder(target.parent)
        return
    raise FileInTheWay(f"{printable(str(target))} has appeared meanwhile")


def _new_name(temporary: Path, target: Path) -> bool:
    """Whether the file got a name that nobody had; renaming would replace what appears in the last moment."""
    try:
        if os.name == "nt":  # where a renaming replaces nothing
            os.rename(temporary, target)
            return True
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        os.replace(temporary, target)
        return True
    temporary.unlink()
    return True


def _path(path: str | os.PathLike[str]) -> Path:
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise FileFormatError(f"a path is expected, got {printable(repr(path))}; give the name of a file.") from None
    if not text.strip():
        raise FileFormatError("the path is empty; give the name of a file.")
    if "\0" in text:
        raise FileFormatError(f"{printable(repr(text))} is not a usable path; give the name of a file.")
    if text.endswith(("/", os.sep)):
        raise FileFormatError(f"{printable(text)} names a folder, by its last {text[-1]}; add the name of a file.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FileFormatError(f"{printable(text)} is in no home folder that is known here; write it out.") from None


def _lstat(target: Path) -> os.stat_result | None:
    try:
        return os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _special(mode: int) -> str:
    kinds = {stat.S_ISLNK: "a link that leads in a circle", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((words for is_it, words in kinds.items() if is_it(mode)), "a device")


def _check_existing(target: Path, asked: Path, overwrite: bool, inputs: Iterable[Path], replaces: Kind | None) -> None:
    shown = printable(str(asked))
    for source in inputs:
        if _same_file(target, source):
            also = "" if os.path.abspath(asked) == os.path.abspath(source) else f" (it is {printable(str(source))})"
            raise FileFormatError(
                f"{shown} holds data that this comes from, and is never written over{also}; choose another name, such "
                f"as {printable(f'{asked.stem}_result{asked.suffix}')}."
            )
    if overwrite or (replaces is not None and replaces.detect(target)):
        return
    raise FileInTheWay(f"{shown} already exists{'' if replaces is None else f' and is not {replaces.words}'}")


def _same_file(target: Path, source: Path) -> bool:
    try:
        return os.path.samefile(target, source)
    except OSError:  # it is not there any more
        return False


# ---------------------------------------------------------------- what killed processes leave behind


@contextlib.contextmanager
def _new_part(target: Path, mode: int | None = None) -> Iterator[Path]:
    """An empty temporary file beside a file, which is gone afterwards."""
    short = os.fsencode(target.name)[:100].decode(errors="ignore")  # of letters of several bytes, too
    part = target.with_name(f".{short}.{os.getpid()}-{secrets.token_hex(4)}-{_place()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else mode))
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    """Remove the temporary files of processes that are no more.

    Only where a process was killed while it saved is there one. That it is no more is certain where its number is free
    in the place where it was given: this boot of this machine, and this container. Elsewhere, on a file system that
    machines share or after a restart, numbers say nothing, and a file counts as left behind when nothing has been
    written to it for a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found is None:
                continue
            with contextlib.suppress(OSError):  # another one that saves may have removed it
                if entry.is_file(follow_symlinks=False) and _is_stale(found, entry):
                    os.unlink(entry.path)


def _is_stale(found: re.Match[str], entry: os.DirEntry[str]) -> bool:
    if found["place"] == _place() and os.name != "nt":  # Windows cannot be asked for a process without harm
        return not _lives(int(found["process"]))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's
        return True
    return True


@functools.cache
def _place() -> str:
    """Where a process number means what it means here."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


# ---------------------------------------------------------------- words


def _reason(error: OSError) -> str:
    text = " ".join(str(error).split())
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or f"errno = {errno.ENOSPC}," in text or "No space left" in text:
        return "the disk is full; free some space or choose another folder"
    if error.errno == errno.EFBIG:
        return "it is larger than a file may be there; choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there, or another program has the file open; choose another folder"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long; choose a shorter one"
    return printable(error.strerror or text, 240)


def _fate(target: Path) -> str:
    return "The file that was there before is untouched." if target.exists() else "Nothing was left behind."


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not on Windows
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
