"""Where the counts of a run are: in memory where there is room, else where they are, or in a scratch file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

import numpy as np

from ptywidgets.engine.core import memory
from ptywidgets.engine.data.array_views import by_pattern
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.data.streamed_counts import StreamedCounts
from ptywidgets.engine.io.arrays.scratch import ScratchScan, scratch_copy

SHARE = 0.5  # of the memory that is free: the rest is for waves, images and whatever else comes
_SCRATCH: WeakValueDictionary[int, ScratchScan] = WeakValueDictionary()  # by the id of the array, which it holds


def fits_in_memory(nbytes: float) -> bool:
    """Whether counts of so many bytes leave enough of the memory that is free; where that is not known, they do."""
    free = memory.available_memory()
    return nbytes < 1e7 or free is None or nbytes <= SHARE * free


def in_reach(dataset: Dataset, tell: Callable[[str], object] | None = None) -> Dataset:
    """The data set with patterns that can be read one by one, in any order, about as quickly as in their own.

    Arrays and memory maps are that already. Of others the patterns are loaded, in their own type, where they fit in
    half of the memory that is free. What is larger stays in its file if it lies there pattern by pattern, and is
    written once to a scratch file if it is compressed or in chunks.

    Parameters
    ----------
    dataset : Dataset
    tell : callable, optional
        Is told what takes time, in words.

    Raises
    ------
    DataError
        When there is neither memory nor room for a scratch file.
    WorkStopped
        When it is stopped.

    Examples
    --------
    >>> dataset = Dataset(np.ones((2, 2, 4, 4), np.uint8))
    >>> in_reach(dataset) is dataset
    True
    """
    data = dataset.data
    if isinstance(data, np.ndarray):
        return dataset
    if fits_in_memory(dataset.nbytes):
        return dataset.load()
    if by_pattern(data):
        return dataset
    scan = _SCRATCH.get(id(data))
    if scan is None:
        scan = _SCRATCH[id(data)] = scratch_copy(dataset, tell)
    return replace(dataset, data=scan)


def counts_in_reach(dataset: Dataset, counted: np.ndarray | slice) -> np.ndarray | StreamedCounts:
    """Patterns (J, Qy, Qx) at the scan positions that count, of a data set :func:`in_reach`.

    An array is used as it is; where positions are left out, those that count are copied if there is room, and streamed
    if there is not.
    """
    data = dataset.data
    if not isinstance(data, np.ndarray):
        return StreamedCounts(data, None if isinstance(counted, slice) else counted)
    counts = data.reshape(-1, *dataset.detector_shape)
    if isinstance(counted, slice):
        return counts
    if fits_in_memory(len(counted) * counts[0].nbytes):
        return counts[counted]
    return StreamedCounts(data, counted)


def where_counts_are(dataset: Dataset) -> str:
    """A sentence on counts that are not in memory; "" where they are."""
    if isinstance(dataset.data, np.ndarray):
        return ""
    place = "a scratch file" if isinstance(dataset.data, ScratchScan) else "their file"
    streamed = StreamedCounts(dataset.data)
    return (
        f"The counts, {in_bytes(dataset.nbytes)}, are read from {place} while they are worked on; "
        f"{in_bytes(streamed.held_bytes)} of them are in memory at a time."
    )


__all__ = ["counts_in_reach", "fits_in_memory", "in_reach", "where_counts_are"]
