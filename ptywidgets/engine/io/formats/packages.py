"""Packages that some formats need and that need not be installed."""

from __future__ import annotations

from pathlib import Path

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.detect_format import printable

PACKAGES = {  # the extra of this package that brings each
    "hdf5plugin": "formats",
    "tifffile": "formats",
    "zarr": "formats",
    "rsciio": "formats-gpl",
}


def missing(package: str, path: Path, needs: str, error: ImportError) -> FileFormatError:
    """The error where a package is not installed, with the line that installs it.

    Parameters
    ----------
    package : str
        One of PACKAGES; it is imported in the function that needs it, in a ``try``.
    path : Path
        The file.
    needs : str
        What about the file asks for it, such as "is compressed".
    error : ImportError
        What the import said.

    Examples
    --------
    >>> print(missing("zarr", Path("a.zarr"), "is a zarr store", ImportError("No module named 'zarr'")))
    a.zarr is a zarr store, which takes the package zarr (No module named 'zarr'); install it: \
pip install "ptywidgets[formats]".
    """
    return FileFormatError(
        f"{printable(path.name)} {needs}, which takes the package {package} ({printable(str(error), 80)}); install it: "
        f'pip install "ptywidgets[{PACKAGES[package]}]".'
    )
