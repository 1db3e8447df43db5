"""Which data a result was made from."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.data.dataset import Dataset


def fingerprint(dataset: Dataset) -> str:
    """A few numbers that tell one dataset from another without reading it all: shape, type, sums of three patterns.

    They are those of the patterns as the data set gives them, cropped and binned; what is not a number is left out of
    the sums. Masks and the vacuum pattern have checksums of their own in ``dataset.source``.

    Examples
    --------
    >>> fingerprint(Dataset(np.ones((2, 2, 4, 4), np.float32)))
    '2x2x4x4 float32 16 16 16'
    """
    ry, rx = dataset.scan_shape
    if dataset.source.follow and dataset.scan_mask is not None:  # more rows may be there when it is looked at again
        ry = int(np.flatnonzero(dataset.scan_mask.any(1))[-1]) + 1
    sums = [
        float(np.nansum(dataset.pattern(y, x), dtype=np.float64))
        for y, x in ((0, 0), (ry // 2, rx // 2), (ry - 1, rx - 1))
    ]
    return f"{'x'.join(map(str, dataset.shape))} {dataset.dtype} " + " ".join(f"{s:.10g}" for s in sums)


__all__ = ["fingerprint"]
