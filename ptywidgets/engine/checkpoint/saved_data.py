"""What a saved reconstruction remembers of its data: where they came from, and the arrays that belong to them."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.checkpoint.fingerprint import fingerprint
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.core.errors import DataError, FileFormatError, PtyError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.data.source import Source
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.hdf5.emd_write import write_array

ARRAYS = ("mask", "scan_mask", "vacuum")


@dataclass(frozen=True, eq=False)
class SavedData:
    """One data set of a saved reconstruction, without its patterns.

    Parameters
    ----------
    source : Source
        Where the patterns came from and what was done to them.
    mask, scan_mask, vacuum : ndarray, optional
        As they were.
    """

    source: Source
    mask: np.ndarray | None = None
    scan_mask: np.ndarray | None = None
    vacuum: np.ndarray | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> SavedData:
        """What there is to remember."""
        return cls(dataset.source, **{name: getattr(dataset, name) for name in ARRAYS})

    @property
    def arrays(self) -> dict[str, Any]:
        """Masks and vacuum pattern by name."""
        return {name: getattr(self, name) for name in ARRAYS}


def write_data(root: h5py.Group, data: SavedData, of: str) -> str:
    """Write the arrays, named for what they are `of`; returns the source as text."""
    for name, array in data.arrays.items():
        if array is not None:
            stored = array.astype(np.uint8) if array.dtype.kind == "b" else array
            write_array(root, f"{name} of {of}", stored, python_class="Array", compression="gzip")
    return json.dumps(to_plain(data.source))


def read_data(root: h5py.Group, source: str, of: str) -> SavedData:
    """What :func:`write_data` wrote."""
    arrays: dict[str, Any] = {}
    for name in ARRAYS:
        if f"{name} of {of}" in root:
            found = root[f"{name} of {of}"]["data"]
            check_memory(found.size * found.dtype.itemsize, f"the {name.replace('_', ' ')} of the data")
            arrays[name] = found[...] if name == "vacuum" else found[...].astype(bool)
    told = from_plain(json.loads(source))
    if not isinstance(told, Source):
        raise FileFormatError(f"where the data came from is told as a {type(told).__name__}; the file is damaged.")
    return SavedData(told, **arrays)


def open_again(
    saved: SavedData | None,
    given: Dataset | str | os.PathLike[str] | None,
    *,
    name: str,
    path: str,
    expected: str,
    calibration: Calibration,
) -> Dataset:
    """The data of a saved reconstruction, as they were when it was saved.

    Parameters
    ----------
    saved : SavedData or None
        None in files of older versions, which remember the path only.
    given : Dataset, path or None
        The data as they were stored, or as they were used, where they are no longer at the path.
    name, path, expected : str
        What the file remembers: name, path and fingerprint of the data.
    calibration : Calibration
        As it was.

    Raises
    ------
    DataError
        When they are not found, or are not the ones.
    """
    known = {k: v for k, v in dataclasses.asdict(calibration).items() if v is not None}
    if given is None and (not path or not os.path.exists(path)):
        came = "came as an array" if not path else f"are no longer at {path}"
        raise DataError(
            f"the data of this reconstruction ({name or 'without a name'}) are not where they were: they {came}; pass "
            "them, as they were stored: Reconstruction.load(path, dataset=...)."
        )
    if isinstance(given, Dataset):
        dataset = _as_used(saved, given, expected)
    elif saved is not None and saved.source.path:
        dataset = saved.source.open(path if given is None else given, **saved.arrays)
    else:  # a version that saved no mask knew none in the file either: its state is of all pixels
        unmasked = read(path if given is None else given, mask=False, **known)
        dataset = _as_used(saved, unmasked, expected)
    dataset = dataset.with_calibration(**dataclasses.asdict(calibration))
    if expected and fingerprint(dataset) != expected:
        raise DataError(
            f"these are not the data of the saved reconstruction: {fingerprint(dataset)} instead of {expected}."
        )
    return dataclasses.replace(dataset, name=name) if name else dataset


def _as_used(saved: SavedData | None, given: Dataset, expected: str) -> Dataset:
    """Data that were given: with everything done that was done, where that is not so already."""
    if saved is None:
        return given
    arrays, source = saved.arrays, saved.source
    if not source.operations or given.source.operations == source.operations or fingerprint(given) == expected:
        supplied = {name: getattr(source, name) for name in ARRAYS}
        own = given.source.replace(**supplied)
        return dataclasses.replace(given, source=own, **arrays)
    try:
        return source.redo(given, **arrays)
    except PtyError as error:
        raise DataError(
            f"these are not the data of the saved reconstruction, to which this was done: {error}"
        ) from error


__all__ = ["SavedData", "open_again", "read_data", "write_data"]
