"""Reading and writing files: the format is chosen by the content, never by the name.

A format is one module with ``NAME``, ``understands(path)``, ``read(path, ...) -> Found`` and, where it can hold
one, ``read_pattern(path, ...)``; adding one is that file and one line in ``READERS``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.calibration import NAMES
from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError, unknown_name
from ptywidgets.engine.io import emd, hdf5, npy
from ptywidgets.engine.io.atomic import atomic_file
from ptywidgets.engine.io.claims import settle
from ptywidgets.engine.io.emd_write import write
from ptywidgets.engine.io.hdf5_tree import Entry, datasets, hdf5_errors, open_hdf5
from ptywidgets.engine.io.recognise import existing_file, not_understood

__all__ = ["READERS", "atomic_file", "contents", "read", "read_pattern", "write"]

READERS: tuple[Any, ...] = (emd, hdf5, npy)


def read(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    vacuum: np.ndarray | str | os.PathLike[str] | bool | None = None,
    *,
    scan_shape: tuple[int, int] | None = None,
    allow_external: bool = False,
    **calibration: float | None,
) -> Dataset:
    """Open 4D-STEM data; the patterns stay on disk until they are asked for.

    Parameters
    ----------
    path : path
        EMD 1.0 of py4DSTEM, any HDF5 with a 4-D array, or .npy.
    dataset : str, optional
        Path of the array inside an HDF5 file; needed when more than one could be meant.
    vacuum : array, path or False, optional
        Pattern of the probe without a specimen, (Qy, Qx), or the file that holds it. When not given, a vacuum probe
        stored in the same file is used; False leaves it out.
    scan_shape : (Ry, Rx), optional
        How a 3-D stack (J, Qy, Qx) was scanned.
    allow_external : bool
        Whether links to other files may be followed; only for files you trust.
    **calibration
        `energy` (eV), `scan_step` (A), `q_pixel` (1/A) or `angle_pixel` (mrad), `semiangle` (mrad); each wins over
        what the file says. py4DSTEM does not store the energy.

    Raises
    ------
    FileFormatError, DataError, CalibrationError, ParameterError
        All of them PtyError, with what to do in the message.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/scan.npy", np.ones((3, 4, 8, 8), np.float32))
    >>> read(f"{folder.name}/scan.npy", energy=80e3, scan_step=4.0)
    Dataset 'scan': scan 3 x 4, detector 8 x 8, float32, 3.07 kB on disk; 80 keV, step 4 A
    >>> folder.cleanup()
    """
    known = (*NAMES, "dataset", "vacuum", "scan_shape", "allow_external")
    for name in calibration:
        if name not in NAMES:
            raise unknown_name("argument of read()", name, known)
    file = existing_file(path)
    found = _reader(file).read(file, dataset, scan_shape, allow_external)
    if scan_shape is not None and tuple(found.data.shape[:2]) != tuple(scan_shape):
        raise DataError(
            f"scan_shape is {tuple(scan_shape)} but the data already are {tuple(found.data.shape)}; leave it out."
        )
    result = Dataset(
        data=found.data,
        calibration=settle(found.claims, calibration, file),
        vacuum=found.vacuum if vacuum is None or vacuum is True else None,
        name=file.name.removesuffix(file.suffix),
        path=file,
        metadata=found.metadata,
    )
    if vacuum is None or isinstance(vacuum, bool):
        return result
    return result.with_vacuum(vacuum)


def read_pattern(
    path: str | os.PathLike[str], dataset: str | None = None, *, allow_external: bool = False
) -> np.ndarray:
    """One diffraction pattern, such as a vacuum probe, from EMD, any HDF5 or .npy: a 2-D array (Qy, Qx)."""
    file = existing_file(path)
    reader = _reader(file)
    reader = reader if hasattr(reader, "read_pattern") else hdf5
    return reader.read_pattern(file, dataset, allow_external)


def contents(path: str | os.PathLike[str], *, allow_external: bool = False) -> list[Entry]:
    """What is in an HDF5 file: `path`, `shape` and `dtype` of every array."""
    file = existing_file(path)
    with open_hdf5(file) as opened, hdf5_errors(Path(file)):
        return datasets(opened, allow_external)


def _reader(path: Path) -> Any:
    for reader in READERS:
        if reader.understands(path):
            return reader
    raise not_understood(path, "; ".join(reader.NAME for reader in READERS))
