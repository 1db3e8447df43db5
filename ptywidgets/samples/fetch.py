"""The published files of the ptychography tutorial, downloaded once and kept.

They lie on Google Drive, whose download protocol is left to the library gdown. A broken download goes on where it
stopped; a file is accepted only when its content is what it should be.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptywidgets.engine.core.errors import FileFormatError, PtyError, look_up
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.atomic import put_in_place
from ptywidgets.samples.cache import (
    cache_folder,
    one_at_a_time,
    record_sha256,
    recorded_sha256,
    sha256_of,
    writable_folder,
)


@dataclass(frozen=True)
class Remote:
    """One published file."""

    name: str
    url: str
    shape: tuple[int, ...]  # of the array in it: four axes for data, two for a vacuum pattern
    size: int = 0  # bytes, about; 0 when not known
    sha256: str | None = None  # enforced when published; else the sum of the first good download is kept


@dataclass(frozen=True)
class Sample:
    """A data set with its vacuum pattern and what its files do not say."""

    data: Remote
    vacuum: Remote
    calibration: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FetchedSample:
    """Where the files of a sample are now."""

    data: Path
    vacuum: Path
    calibration: Mapping[str, float] = field(default_factory=dict)

    def open(self) -> Dataset:
        """The data set with its vacuum pattern and calibration."""
        given: dict[str, Any] = dict(self.calibration)
        return read(self.data, vacuum=self.vacuum, **given)


_OPTIONS: dict[str, Any] = {"retries": 2, "timeout": 60.0, "use_cookies": False}  # of gdown.download


def _drive(file_id: str) -> str:
    return f"https://drive.google.com/uc?id={file_id}"


SAMPLES: dict[str, Sample] = {
    "ducky": Sample(
        data=Remote(
            name="ptycho_ducky_simulation_03.h5",
            url=_drive("1rCWIokqDGINpex_zYz4ryiiEkfuh1xTI"),
            shape=(41, 41, 200, 200),
            size=538_000_000,
        ),
        vacuum=Remote(
            name="ptycho_ducky_vacuum-probe_03.h5", url=_drive("1aiZbsXU1dUf4RIHZDLUbWsGZlZZAaClM"), shape=(200, 200)
        ),
        calibration={"energy": 80e3, "semiangle": 20.0},
    )
}


def fetch(name: str = "ducky", cache: str | os.PathLike[str] | None = None, progress: bool = True) -> FetchedSample:
    """Download a published sample, once, and say where it is.

    Parameters
    ----------
    name : str
        "ducky": the simulated duck of the py4DSTEM ptychography tutorial, 538 MB.
    cache : path, optional
        Folder to keep it in; else the environment variable PTYWIDGETS_CACHE, else the user's cache folder.
    progress : bool
        Whether to show how far the download is.

    Returns
    -------
    FetchedSample
        `data` and `vacuum` are paths; `open()` gives the calibrated data set.

    Raises
    ------
    FileFormatError
        When there is no connection, when the download broke off (call again to go on), when the file is not what it
        should be. Nothing broken is ever left under the file's name.

    Examples
    --------
    >>> fetch("duckling")
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.ParameterError: unknown sample 'duckling'; did you mean 'ducky'? Known: ducky.
    """
    name = look_up("sample", name, SAMPLES)
    sample = SAMPLES[name]
    folder = writable_folder(cache_folder(cache) / name)
    vacuum = fetch_file(sample.vacuum, folder, progress)  # the small one first: no connection is known at once
    return FetchedSample(fetch_file(sample.data, folder, progress), vacuum, sample.calibration)


def fetch_file(remote: Remote, folder: Path, progress: bool = True) -> Path:
    """The file in `folder`, downloaded and checked when it is not there yet."""
    target = folder / remote.name
    with one_at_a_time(folder / f".{remote.name}.lock"):
        if target.exists():
            _check_kept(remote, target)
            return target
        if remote.size > shutil.disk_usage(folder).free:
            raise FileFormatError(
                f"{remote.name} needs {in_bytes(remote.size)} and {in_bytes(shutil.disk_usage(folder).free)} are free "
                f"in {folder}; free some space or name another folder: fetch(..., cache=folder)."
            )
        fresh = folder / f"{remote.name}.unchecked"
        _download(remote, fresh, target, progress)
        try:
            digest = _check_content(remote, fresh)
        except PtyError:
            fresh.unlink(missing_ok=True)  # to go on from wrong bytes would never end well
            raise
        record_sha256(target, digest)
        put_in_place(fresh, target)  # what somebody else has put there meanwhile stays
    return target


def _check_kept(remote: Remote, path: Path) -> None:
    expected = remote.sha256 or recorded_sha256(path)
    if expected is None:  # put there by hand
        record_sha256(path, _check_content(remote, path))
        return
    found = sha256_of(path)
    if found != expected:
        raise FileFormatError(
            f"{path} is not the file that was downloaded (sha256 {found[:12]}... instead of {expected[:12]}...); "
            "delete it and fetch again."
        )


def _check_content(remote: Remote, path: Path) -> str:
    """SHA-256 of a file that holds what it should."""
    digest = sha256_of(path)
    if remote.sha256 and digest != remote.sha256:
        raise FileFormatError(
            f"{remote.name} arrived damaged or was changed by its publisher (sha256 {digest[:12]}... instead of "
            f"{remote.sha256[:12]}...); fetch it again."
        )
    try:
        shape = read(path).shape if len(remote.shape) == 4 else read_pattern(path).shape
    except PtyError as error:
        raise FileFormatError(f"{remote.name} is not what was expected: {error}") from None
    if shape != remote.shape:
        raise FileFormatError(f"{remote.name} holds an array of shape {shape}; expected {remote.shape}.")
    return digest


def _download(remote: Remote, fresh: Path, target: Path, progress: bool) -> None:
    try:
        import gdown
    except ImportError:
        raise FileFormatError(f"downloading {remote.name} needs the library gdown; run: pip install gdown") from None
    _keep_one_partial(fresh)
    known = inspect.signature(gdown.download).parameters  # older versions lack some
    options = {name: value for name, value in _OPTIONS.items() if name in known}
    for attempt in (1, 2):
        try:
            gdown.download(url=remote.url, output=str(fresh), quiet=not progress, resume=True, **options)
        except Exception as error:  # gdown, requests and the operating system each have their own
            if attempt == 1 and _cannot_go_on(error):
                for partial in _partials(fresh):
                    partial.unlink()
                continue
            raise _in_words(error, remote, fresh, target) from error
        break
    if not fresh.exists():
        raise FileFormatError(f"{remote.name} could not be downloaded; {_by_hand(remote, target)}")


def _in_words(error: Exception, remote: Remote, fresh: Path, target: Path) -> FileFormatError:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    got = sum(partial.stat().st_size for partial in _partials(fresh))
    if "incomplete" in str(error) or "IncompleteRead" in kinds or "ChunkedEncodingError" in kinds:
        words = f"the download of {remote.name} broke off after {in_bytes(got)}; call fetch again to go on from there."
    elif kinds & {"ConnectionError", "Timeout", "MaxRetryError", "NameResolutionError", "ProxyError"}:
        kept = f" ({in_bytes(got)} are kept, and the next call goes on from there)" if got else ""
        words = (
            f"{remote.name} could not be downloaded, there is no connection to {remote.url.split('/')[2]}{kept}; "
            "samples.ducky() simulates the same specimen without a connection."
        )
    else:
        reason = " ".join(str(error).split())[:300]
        words = f"{remote.name} could not be downloaded ({reason}); {_by_hand(remote, target)}"
    return FileFormatError(words)


def _by_hand(remote: Remote, target: Path) -> str:
    return f"try again later, or get it in a browser from {remote.url} and save it as {target}."


def _cannot_go_on(error: Exception) -> bool:
    """Whether the server refuses to send the rest, so that only a new beginning helps."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status == 416 or "honor the requested byte range" in str(error)


def _partials(fresh: Path) -> list[Path]:
    return [file for file in fresh.parent.glob("*.part") if file.name.startswith(fresh.name)]


def _keep_one_partial(fresh: Path) -> None:
    """gdown goes on only when there is one partial file: the longest is kept."""
    for partial in sorted(_partials(fresh), key=lambda file: file.stat().st_size)[:-1]:
        partial.unlink()
