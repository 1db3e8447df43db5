"""The CPU's fast Fourier transforms, by the fastest library that is installed.

scipy has pocketfft and is always there; ducc0 (extra ``fast``) is by the same author, vectorised further, and takes a
little more than half of the time for the sizes of diffraction patterns.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import scipy.fft

from ptywidgets.engine.core.errors import ParameterError, unknown_name

TRANSFORMS = ("auto", "ducc0", "scipy")
Transform = Callable[[np.ndarray, bool, int], np.ndarray]  # (waves, forward, threads) -> waves


def load_transform(wanted: str = "auto") -> Transform:
    """The orthonormal 2-D transform over the last two axes that a name stands for; it may work in place.

    Examples
    --------
    >>> load_transform("scipy")(np.ones((1, 2, 2), np.complex64), True, 1)[0].real.tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    if wanted not in TRANSFORMS:
        raise unknown_name("transforms", wanted, TRANSFORMS)
    if wanted == "scipy":
        return _scipy
    if importlib.util.find_spec("ducc0") is None:
        if wanted == "auto":
            return _scipy
        raise ParameterError(
            "transforms is 'ducc0' but ducc0 is not installed; run: pip install ducc0, or use 'scipy'."
        )
    import ducc0

    def transform(waves: np.ndarray, forward: bool, threads: int) -> np.ndarray:
        return ducc0.fft.c2c(waves, axes=(-2, -1), forward=forward, inorm=1, out=waves, nthreads=threads)

    return transform


def _scipy(waves: np.ndarray, forward: bool, threads: int) -> np.ndarray:
    function = scipy.fft.fft2 if forward else scipy.fft.ifft2
    return function(waves, norm="ortho", overwrite_x=True, workers=threads)
