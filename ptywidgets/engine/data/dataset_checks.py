"""What a data set refuses: patterns, masks, regions and bins that cannot be, and more memory than there is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError, InsufficientMemory
from ptywidgets.engine.core.protocols import Backend


def checked_pattern(pattern: Any, shape: tuple[int, ...] | None = None, mask: np.ndarray | None = None) -> np.ndarray:
    """`pattern` as a real 2-D array, of `shape` when given, and finite where `mask` says that a pixel counts."""
    array = np.asarray(pattern)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or 0 in array.shape:
        raise DataError(
            f"the vacuum pattern is {sizes(array.shape)} {array.dtype}; expected a 2-D array of real numbers."
        )
    if shape is not None and array.shape != tuple(shape):
        raise DataError(
            f"the vacuum pattern is {sizes(array.shape)} but the detector is {sizes(shape)}; crop, pad or bin one of "
            "them."
        )
    array = np.array(array, dtype=array.dtype.newbyteorder("="))
    broken = ~np.isfinite(array) if mask is None else ~np.isfinite(array) & mask
    if broken.mean() > 0.1:  # fewer are repaired from their neighbours where the probe is made
        raise DataError(f"the vacuum pattern has {int(broken.sum())} NaN or infinite values; mask them.")
    if not np.nan_to_num(array).any():
        raise DataError("the vacuum pattern is zero everywhere; was the beam on?")
    array.setflags(write=False)
    return array


def checked_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`mask` as bool of the detector's shape, with one pixel at least that counts."""
    advice = "crop, pad or bin the mask as the data were, or leave it out with with_mask(None)"
    return _checked(mask, shape, "mask", "detector", "detector pixel", "pixel", advice)


def checked_scan_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`mask` as bool of the scan's shape, with one position at least that counts."""
    advice = "crop it as the data were, or leave it out with with_scan_mask(None)"
    return _checked(mask, shape, "scan mask", "scan", "scan position", "position", advice)


def _checked(mask: Any, shape: tuple[int, ...], name: str, of: str, one: str, each: str, advice: str) -> np.ndarray:
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape != tuple(shape):
        raise DataError(
            f"the {name} is {sizes(array.shape)} {array.dtype} but the {of} is {sizes(shape)}; expected True where a "
            f"{one} counts: {advice}."
        )
    array = array.astype(bool)
    if not array.any():
        raise DataError(f"the {name} leaves out every {each}; expected True where a {one} counts: pass ~mask.")
    array.setflags(write=False)
    return array


def checked_region(axes: str, region: Any, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """(y0, y1, x0, x1) as whole numbers within the shape."""
    try:
        ends = [int(edge) for edge in region]
        exact = all(int(edge) == edge for edge in region)
    except (TypeError, ValueError):
        ends, exact = [], False
    if len(ends) == 4 and exact and 0 <= ends[0] < ends[1] <= shape[0] and 0 <= ends[2] < ends[3] <= shape[1]:
        return ends[0], ends[1], ends[2], ends[3]
    raise DataError(
        f"the crop of the {axes} is {region!r}; expected (y0, y1, x0, x1) with 0 <= y0 < y1 <= {shape[0]} and "
        f"0 <= x0 < x1 <= {shape[1]}, rows and then columns, half-open."
    )


def checked_bins(axes: str, bins: Any, shape: tuple[int, int]) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    pair = tuple(bins) if isinstance(bins, (tuple, list, np.ndarray)) else (bins, bins)
    try:
        whole = [int(b) for b in pair]
        exact = all(int(b) == b and not isinstance(b, bool) for b in pair)
    except (TypeError, ValueError):
        whole, exact = [], False
    if len(whole) == 2 and exact and all(1 <= b <= n for b, n in zip(whole, shape, strict=True)):
        return whole[0], whole[1]
    raise DataError(
        f"the binning of the {axes} is {bins!r}; expected a whole number from 1 to {min(shape)}, or two of them for "
        "rows and columns."
    )


def check_memory(nbytes: float, what: str, advice: str = "", backend: Backend | None = None) -> None:
    """Raise an InsufficientMemory, a DataError, when `nbytes` are more than can still be had, by this process or on a
    backend's device; silent where that is not known."""
    if nbytes < 1e7:
        return
    free = memory.available_memory() if backend is None else backend.free_memory()
    if free is not None and nbytes > free:
        hint = f"; {advice}." if advice else "."
        raise InsufficientMemory(f"{what} needs {in_bytes(nbytes)} of memory and {in_bytes(free)} are free{hint}")


def check_patterns(data: Any, ndim: int, axes: str, advice: str) -> None:
    """Raise a DataError where `data` is no array of `ndim` axes of real numbers."""
    shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
    if shape is None or dtype is None or not hasattr(data, "__getitem__"):
        raise DataError(f"data is a {type(data).__name__}; expected an array {axes}, such as numpy.asarray(data).")
    if len(shape) != ndim:
        raise DataError(f"data has {len(shape)} axes, {sizes(shape)}; expected {ndim} axes {axes}; {advice}.")
    if 0 in shape:
        raise DataError(f"data is empty, {sizes(shape)}; expected at least one pattern of at least one pixel.")
    if np.dtype(dtype).kind not in "biuf":
        advice = "; take numpy.abs(data)**2 of complex waves" if np.dtype(dtype).kind == "c" else ""
        raise DataError(f"data is of type {dtype}; expected real numbers, counts or intensities{advice}.")


def sizes(shape: tuple[int, ...]) -> str:
    """A shape as it is written in messages: "41 x 41 x 200 x 200"."""
    return " x ".join(str(int(n)) for n in shape) if len(shape) else "a single number"


def in_bytes(nbytes: float) -> str:
    """A size in words.

    Examples
    --------
    >>> in_bytes(538e6)
    '538 MB'
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= scale:
            return f"{nbytes / scale:.3g} {unit}"
    return f"{nbytes:.0f} B"
