"""What a mask means: here True where a pixel counts; numpy's masked arrays and most detectors say the opposite."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ptywidgets.engine.core.errors import DataError

NEIGHBOURS = 8  # good pixels that stand in for a bad one
# CXI (Maia 2012) says in other bits what was seen or done, in these that there is no measurement
_CXI_BAD = 1 | 2 | 4 | 8 | 16 | 64 | 128 | 512 | 1024 | 4096


def nearest_good(bad: np.ndarray, good: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (n, k) of the good pixels nearest to each of n bad ones, where `bad` (Qy, Qx) is True; k is 8,
    or as many as there are. By default all others are good.

    Examples
    --------
    >>> nearest_good(np.array([[True, False, False]]))[1].tolist()
    [[1, 2]]
    """
    places = np.argwhere(~bad if good is None else good)
    _, nearest = cKDTree(places).query(np.argwhere(bad), k=[*range(1, min(NEIGHBOURS, len(places)) + 1)])
    rows, columns = places[nearest].transpose(2, 0, 1)
    return rows, columns


def understood(mask: Any, kind: str = "") -> tuple[np.ndarray, str]:
    """A mask as bool, True where something counts, and in words what it was taken for.

    Parameters
    ----------
    mask : array-like, numpy masked array or BadPixels
        Of a masked array its mask counts, which is True where something is bad. Whole numbers of 16 bits and more that
        are 0 nearly everywhere are a detector's flags, of which 0 is good; everything else is True, or not 0, where
        something counts.
    kind : {"", "pixel_mask", "cxi", "bad"}
        What the file says that it is: NeXus's and CXI's flags, or bad pixels by its name.

    Examples
    --------
    >>> understood(np.ma.masked_greater(np.arange(4), 2))[0].tolist()
    [True, True, True, False]
    >>> understood(np.array([0, 0, 0, 1], np.uint32))[0].tolist()
    [True, True, True, False]
    >>> understood(np.array([1, 1, 1, 0], np.uint8))[0].tolist()
    [True, True, True, False]
    """
    if isinstance(mask, np.ma.MaskedArray):
        return ~np.ma.getmaskarray(mask), "a masked array, whose mask is True where a value is bad"
    if hasattr(mask, "hot") and hasattr(mask, "dead"):  # BadPixels
        return ~np.asarray(mask.mask, bool), "the bad pixels that were found"
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf":
        raise DataError(f"the mask is of type {array.dtype}; expected True (or not 0) where something counts.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("the mask has NaN or infinite values; expected True (or not 0) where something counts.")
    if kind in ("pixel_mask", "bad"):
        return array == 0, "flags, 0 where a pixel is good" if kind == "pixel_mask" else "True where a pixel is bad"
    if kind == "cxi":
        if array.dtype.kind == "f":
            raise DataError(f"the CXI mask is of type {array.dtype}; expected whole numbers, whose bits are flags.")
        return (array.astype(np.int64) & _CXI_BAD) == 0, "CXI flags, 0 where a pixel is good"
    if _are_flags(array):
        return array == 0, "flags, 0 where a pixel is good"
    return array.astype(bool), ""


def _are_flags(array: np.ndarray) -> bool:
    """Whether numbers are flags of a detector and not truths: nearly all are 0, and they are wide or of many kinds."""
    if array.dtype.kind not in "iu" or 2 * np.count_nonzero(array) >= array.size:
        return False
    return (array.dtype.kind == "u" and array.dtype.itemsize > 1) or len(np.unique(array[array != 0])) > 1


def check_most(mask: np.ndarray, what: str, call: str) -> None:
    """Refuse a mask that leaves fewer than half: most likely it is the other way round.

    Examples
    --------
    >>> check_most(np.array([True, False, False]), "pixels", "with_mask(mask, confirm=True)")
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.DataError: the mask would leave 1 of 3 pixels; a mask here is True where something \
counts: did you mean ~mask? Where so few are meant, say so: with_mask(mask, confirm=True).
    """
    left = int(np.count_nonzero(mask))
    if 2 * left < mask.size:
        raise DataError(
            f"the mask would leave {left} of {mask.size} {what}; a mask here is True where something counts: did you "
            f"mean ~mask? Where so few are meant, say so: {call}."
        )


def unmasked(data: np.ma.MaskedArray[Any, Any]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, str]:
    """Numpy's masked patterns (Ry, Rx, Qy, Qx) as plain ones with a mask of pixels and one of positions.

    Pixels that are masked in all patterns make the mask, patterns that are masked whole the scan mask. A pixel that
    is masked in some patterns only is left out of all of them, since a mask is the same for all positions.

    Returns
    -------
    patterns : ndarray (Ry, Rx, Qy, Qx)
    mask : ndarray (Qy, Qx) bool, or None
    scan_mask : ndarray (Ry, Rx) bool, or None
    words : str

    Raises
    ------
    DataError
        When fewer than half of the pixels would be left.
    """
    plain, bad = np.asarray(data.data), np.ma.getmaskarray(data)
    if not bad.any():
        return plain, None, None, ""
    positions = ~bad.all(axis=(2, 3))
    if not positions.any():
        raise DataError("every value of the masked array is masked; a mask of numpy is True where a value is bad.")
    kept = bad[positions]
    always, sometimes = kept.all(axis=0), kept.any(axis=0)
    left = int((~sometimes).sum())
    if 2 * left < sometimes.size:
        raise DataError(
            f"the masked array would leave {left} of {sometimes.size} pixels: {int((sometimes & ~always).sum())} are "
            "masked in some patterns only, and one mask serves all. Fill them, data.filled(0) or with their "
            "neighbours, or mask those patterns whole; where data.mask is True for good values, turn it round."
        )
    words = f"a masked array: {int(always.sum())} pixels masked in all patterns"
    if (sometimes & ~always).any():
        words += f", {int((sometimes & ~always).sum())} in some and left out of all"
    pixels = np.asarray(~sometimes) if sometimes.any() else None
    return plain, pixels, None if positions.all() else np.asarray(positions), words


__all__ = ["check_most", "understood", "unmasked"]


def is_mark(value: float) -> bool:
    """Whether a number is one that cameras and programs put where nothing was measured."""
    whole = int(value)
    power = whole + 1 if whole % 2 else whole
    # 2^n - 1, and 2^n where single precision has rounded it up; 67108872 is what some put for 2^26 + 8.
    return value == whole and whole >= 127 and (power & (power - 1) == 0 or whole == 67108872)
