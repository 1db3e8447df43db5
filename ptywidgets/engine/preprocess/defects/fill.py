"""Maps over the scan with holes, where positions were left out, filled from what lies around them."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ptywidgets.engine.core.errors import DataError

_AT_ONCE = 64  # maps that are solved for together


def fill_positions(values: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Maps over the scan with the unknown positions interpolated: each is the mean of its neighbours along rows and
    columns, which are found together (Laplace's equation).

    Such a surface has neither maxima nor minima in a hole, so counts stay counts and no structure is invented. It is
    meant for what has to be Fourier-transformed over the scan; a result of single positions is better shown with NaN.

    Parameters
    ----------
    values : ndarray (..., Ry, Rx)
        What stands at unknown positions does not matter, and may be NaN.
    known : ndarray (Ry, Rx) bool or None
        True where a value is known; None: everywhere.

    Returns
    -------
    ndarray (..., Ry, Rx)
        Of the same type of number where that is floating-point, else float64; `values` itself where all are known.

    Raises
    ------
    DataError
        When no position is known, or `known` has another shape.

    Examples
    --------
    >>> ramp = np.add.outer(np.arange(3.0), np.arange(3.0))
    >>> known = np.ones((3, 3), bool); known[1, 1] = False
    >>> fill_positions(np.where(known, ramp, np.nan), known)[1, 1].item()
    2.0
    """
    if known is None:
        return values
    known = np.asarray(known, bool)
    if known.shape != values.shape[-2:]:
        raise DataError(f"the scan mask is {known.shape} but the maps are {values.shape[-2:]}; expected the same scan.")
    if known.all():
        return values
    if not known.any():
        raise DataError("no scan position counts; expected one at least: take some of them back with with_scan_mask.")
    rows, columns = known.shape
    index = np.arange(known.size).reshape(known.shape)
    pairs = [(index[:-1].ravel(), index[1:].ravel()), (index[:, :-1].ravel(), index[:, 1:].ravel())]
    one, other = (np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))
    both = np.r_[one, other], np.r_[other, one]
    beside = sparse.csr_matrix((np.ones(len(both[0])), both), shape=(known.size, known.size))
    holes, sound = np.flatnonzero(~known), np.flatnonzero(known)
    degree = np.asarray(beside.sum(1)).ravel()[holes]
    solve = splu(sparse.csc_matrix(sparse.diags(degree) - beside[holes][:, holes]))
    weights = beside[holes][:, sound]
    out = np.array(values, dtype=values.dtype if np.asarray(values).dtype.kind in "fc" else np.float64)
    flat = out.reshape(-1, rows * columns)
    for first in range(0, len(flat), _AT_ONCE):
        part = flat[first : first + _AT_ONCE]
        seen = part[:, sound].astype(complex if out.dtype.kind == "c" else np.float64)
        right = np.ascontiguousarray(weights @ seen.T)
        if out.dtype.kind == "c":
            found = solve.solve(right.real.copy()) + 1j * solve.solve(right.imag.copy())
        else:
            found = solve.solve(right)
        part[:, holes] = found.T
    return out


__all__ = ["fill_positions"]
