"""A folder with one file for each pattern, or each row of the scan: numbered .npy or .tif."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.detect_format import PATTERN_FILES, numbered_files, printable
from ptywidgets.engine.io.formats.containers import npy, tiff
from ptywidgets.engine.io.formats.file_contents import FileContents, single_array
from ptywidgets.engine.io.growing.files import GrowingFiles

KEY = "folder"
NAME = "a folder of numbered .npy or .tif, each of a pattern or a few"


def understands(path: Path) -> bool:
    """Whether it is a folder whose files are numbered, and of one kind that holds patterns."""
    return path.is_dir() and bool(numbered_files(path))


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack of the patterns in all files, in the order of their numbers."""
    found = growing(path, dataset, scan_shape, allow_external)
    found.data.finish()
    return found


def growing(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The same while files are still coming."""
    single_array(path, dataset)
    suffix = numbered_files(path)
    if not suffix:
        raise FileFormatError(
            f"{printable(path.name)} holds no numbered files of one kind ({', '.join(PATTERN_FILES)}); expected one "
            "for each pattern, such as 0000.npy."
        )
    return FileContents(GrowingFiles(path, suffix, _patterns))


def _patterns(path: Path) -> Any:
    """The patterns of one file, (n, Qy, Qx)."""
    if path.suffix.lower() == ".npy":
        data = npy.mapped(path)
        if data.ndim == 2:
            return np.asarray(data)[None]
        data = npy.read(path).data
    elif len(pages := list(itertools.islice(tiff.listed_pages(path).pages, 2))) == 1:
        return np.asarray(tiff.read_pattern(path), pages[0].dtype.newbyteorder("="))[None]
    else:
        data = tiff.read(path, scan_shape=(1, 1)).data
    if len(data.shape) != 3 or np.dtype(data.dtype).kind not in "biuf":
        raise FileFormatError(
            f"{printable(path.name)} holds {tuple(data.shape)} {data.dtype}; expected a pattern (Qy, Qx), or a few of "
            "them (n, Qy, Qx), as in every file of its folder."
        )
    return data


__all__ = ["KEY", "NAME", "growing", "read", "understands"]
