"""A reconstruction beside a known truth: what ptychography cannot know is taken off before they are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.metrics.truth.fields import low_pass, make_field
from ptywidgets.engine.metrics.truth.gauge import Alignment
from ptywidgets.engine.metrics.truth.matching import match

_REACH = 8  # pixels that a result may be off, unless said otherwise


def align(
    result: np.ndarray,
    truth: np.ndarray,
    sampling: float | Sequence[float] = 1.0,
    truth_sampling: float | Sequence[float] | None = None,
    *,
    mask: np.ndarray | None = None,
    ramp: bool | None = None,
    scale: bool = False,
    either_sign: bool = False,
    max_shift: float | None = None,
    cutoff: float | None = None,
    thickness: float | None = None,
    truth_thickness: float | None = None,
) -> Alignment:
    """Take off a result what ptychography cannot know, by comparison with the truth.

    Least squares over the pixels of the mask: of a transmission c O0(r - s) exp(i g.r), never unwrapped, of a phase
    gain * V0(r - s) + a + b.r. The shift begins at the best whole pixel (Guizar-Sicairos et al., Opt. Lett. 33, 156
    (2008), alternate in the same way) and is refined together with the ramp by Gauss-Newton steps.

    Parameters
    ----------
    result : ndarray (Y, X) or (S, Y, X)
        Transmission (complex), or phase or potential in rad. Complex stacks are compared by the phases of their slices.
    truth : ndarray (Y, X) or (S, Y, X)
        Likewise; phases may be compared with transmissions. Pixel [0, 0] of both lies at the same place, but for the
        shift. Its frequencies above the highest of the result's grid are left out.
    sampling, truth_sampling : float or (float, float)
        A per pixel (row, column); the same unless said.
    mask : ndarray (Y, X) bool, optional
        Pixels of the result that are compared; by default all but a border as wide as `max_shift`.
    ramp : bool, optional
        Whether a phase ramp is free; by default in a single slice it is, in a stack not.
    scale : bool
        Divide the contrast of a phase out of the result. The modulus of a transmission is always divided out.
    either_sign : bool
        Allow black and white to be exchanged.
    max_shift : float, optional
        A; by default 8 pixels.
    cutoff : float, optional
        1/A; of a soft low-pass of both on top.
    thickness, truth_thickness : float, optional
        A of a slice, for stacks: the truth's are cut anew to the result's, and a shift in depth is found. Without them
        stacks of as many slices are compared slice by slice.

    Returns
    -------
    Alignment

    Raises
    ------
    DataError
        When shapes do not go together.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> phase = 0.5 * low_pass(generator.normal(size=(64, 64)), np.ones(2), 0.2)
    >>> y, x = np.mgrid[:64, :64]
    >>> found = align(2 * np.exp(1j * (np.roll(phase, (2, -1), (0, 1)) + 0.4 + 0.01 * y)), np.exp(1j * phase))
    >>> print(found.gauge)
    phase 0.4 rad, ramp (0.01, ...) rad/A, shift (2, -1) A, scale 2
    >>> round(found.correlation, 4), found.rms < 1e-3
    (1.0, True)
    """
    result, truth = np.asarray(result), np.asarray(truth)
    pixel = _pair(sampling, "sampling")
    true_pixel = pixel if truth_sampling is None else _pair(truth_sampling, "truth_sampling")
    reach = _REACH if max_shift is None else math.ceil(max_shift / pixel.min())
    if result.ndim not in (2, 3) or truth.ndim not in (2, 3):
        raise DataError(f"result is {result.shape} and truth {truth.shape}; expected (Y, X) or (S, Y, X) of each.")
    if mask is None:
        rows, columns = result.shape[-2:]
        border = min(reach, rows // 4, columns // 4)
        mask = np.zeros((rows, columns), bool)
        mask[border : rows - border, border : columns - border] = True
    result, truth = _comparable(result, truth)
    slices = truth.reshape(-1, *truth.shape[-2:])
    field = make_field(slices, true_pixel, np.diag(pixel), np.zeros(2), 0.5 / pixel, cutoff)
    if cutoff is not None:
        result = low_pass(result, pixel, cutoff)
    depths = None if thickness is None or truth_thickness is None else (float(thickness), float(truth_thickness))
    return match(result, field, mask, pixel, reach, ramp, scale, either_sign, depths)


def _comparable(result: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as transmissions, or both as phases."""
    if result.ndim == 3:
        return phases(result), phases(truth)
    if np.iscomplexobj(result):
        if truth.ndim == 3:
            truth = truth.prod(0) if np.iscomplexobj(truth) else truth.sum(0)
        return result, truth if np.iscomplexobj(truth) else np.exp(1j * truth)
    if truth.ndim == 3:
        truth = phases(truth).sum(0)
    return phases(result), phases(truth)


def phases(image: np.ndarray) -> np.ndarray:
    """Phases in rad (..., Y, X), of transmissions about the mean of each slice, so that few of them wrap.

    Examples
    --------
    >>> round(float(np.ptp(phases(np.exp(1j * np.array([[3.1, 3.2]]))))), 3)
    0.1
    """
    if not np.iscomplexobj(image):
        return np.asarray(image, float)
    mean = np.angle(image.sum((-2, -1), keepdims=True))
    return np.angle(image * np.exp(-1j * mean)) + mean


def _pair(value: float | Sequence[float], name: str) -> np.ndarray:
    pair = np.broadcast_to(np.asarray(value, float), 2)
    if not (np.isfinite(pair).all() and (pair > 0).all()):
        raise ParameterError(f"{name} is {value}; expected A per pixel, a positive number or (row, column).")
    return pair
