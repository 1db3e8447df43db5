"""Counts thinned into independent halves, of which two reconstructions can be made and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Dataset


@counted(seed=0)
def thin_counts(dataset: Dataset, share: float = 0.5, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Share out the counts of a dataset at random: two measurements at lower dose, independent of each other.

    Binomial thinning of Poisson counts gives Poisson counts, whose noise is independent.

    Parameters
    ----------
    dataset : Dataset
        Of whole counts where its masks let them count; read as a whole. What they leave out is the same in both.
    share : float
        Of the counts that go into the first.
    seed : int

    Returns
    -------
    (Dataset, Dataset)

    Examples
    --------
    >>> data = np.random.default_rng(0).poisson(5.0, (2, 3, 8, 8))
    >>> one, two = thin_counts(Dataset(data))
    >>> bool((one.data + two.data == data).all())
    True
    """
    data = np.asarray(dataset.data[...])
    kept = np.ones((1, 1, 1, 1), bool)
    if dataset.mask is not None:
        kept = kept & dataset.mask
    if dataset.scan_mask is not None:
        kept = kept & dataset.scan_mask[..., None, None]
    raw, data = data, np.where(kept, data, data.dtype.type(0))
    if data.dtype.kind == "f" and not np.array_equal(data, np.rint(data)):
        raise DataError(
            "thin_counts needs whole counts; these are intensities. Scale them to electrons and round them."
        )
    if data.min() < 0:
        raise DataError("thin_counts needs counts; there are negative ones. Subtract the dark reference and clip at 0.")
    whole = data.astype(np.int64)
    first = np.random.default_rng(seed).binomial(whole, share)
    kind = data.dtype if data.dtype.kind in "ui" else np.dtype(np.float32)
    halves = tuple(np.where(kept, half.astype(kind), raw.astype(kind)) for half in (first, whole - first))
    one, two = (
        replace(dataset, data=half, name=f"{dataset.name}, {word} part", path=None, metadata={})
        for half, word in zip(halves, ("first", "second"), strict=True)
    )
    return one, two
