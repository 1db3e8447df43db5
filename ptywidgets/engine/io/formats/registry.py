"""The table of file formats, and which of them a file is of.

A format is one module with

``KEY``
    Its short name, for ``read(path, format=...)``.
``NAME``
    What it is called in messages.
``understands(path) -> bool``
    Whether a file is of it, by its content; of what has no mark in its content, by its name and its size together.
    It raises nothing over a damaged file: it says no.
``read(path, dataset, scan_shape, allow_external) -> FileContents``
    Patterns that stay on disk, and what the file states. A stack (J, Qy, Qx) is handed over as one, with
    ``scan_shape`` where the file says it; :mod:`ptywidgets.engine.io.formats.scanned` makes a scan of it.
``read_pattern(path, dataset, allow_external) -> ndarray (Qy, Qx)``
    Where the format can hold a single pattern.
``growing(path, dataset, scan_shape, allow_external) -> FileContents``
    Where a file of the format can be read while it is written: the same as ``read``, with a stack of
    :class:`ptywidgets.engine.io.growing.stack.Growing`, which is asked again and again how many patterns are whole.
``hint(path) -> str``
    Where a file that no format understands may be of this one all the same: what to pass; empty where it cannot be.

Adding one is that file and a line in ``FORMATS``; :class:`ptywidgets.testing.contracts.formats.FormatContract` is its
test.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.io.detect_format import not_understood
from ptywidgets.engine.io.formats.containers import folder, matlab, npy, npz, rosettasciio, tiff, topspin, zarr
from ptywidgets.engine.io.formats.hdf5 import arina, emd, plain, ptyd, stempy
from ptywidgets.engine.io.formats.records import blockfile, dm, empad, merlin, mrc, raw, tvips

# Asked in this order: what knows more about a file before what knows less.
FORMATS: tuple[Any, ...] = (
    *(zarr, topspin, emd, arina, ptyd, stempy, plain),
    *(npy, npz, tiff, matlab, folder),
    *(dm, merlin, empad, blockfile, tvips, mrc, raw),
    rosettasciio,
)


def keys() -> tuple[str, ...]:
    """Short names of all formats.

    Examples
    --------
    >>> "npy" in keys()
    True
    """
    return tuple(module.KEY for module in FORMATS)


def format_of(path: Path, key: str | None = None) -> Any:
    """The module that reads `path`: the one of that key, else the first that understands it.

    Raises
    ------
    ParameterError
        When there is no format of that key.
    FileFormatError
        When none understands the file.
    """
    if key is not None:
        for module in FORMATS:
            if key == module.KEY:
                return module
        near = difflib.get_close_matches(str(key).lower(), keys(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"format is {key!r}; expected one of {', '.join(map(repr, keys()))}.{hint}")
    for module in FORMATS:
        if module.understands(path):
            return module
    error = not_understood(path, f"{', '.join(keys())} (docs/formats.md)")
    hints = [words for module in FORMATS if hasattr(module, "hint") and (words := module.hint(path))]
    raise FileFormatError(" ".join([*hints, str(error)])) if hints else error
