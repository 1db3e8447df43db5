"""Filtered back-projection: a volume from images of its projections, at once, with no model of the scattering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.tomography.projection import Projection


def filtered_back_projection(
    phases: Sequence[np.ndarray], projections: Sequence[Projection], *, q_max: float | None = None
) -> np.ndarray:
    """A volume from the projected phase of each tilt, by the ramp filter.

    V = sum_v w_v A_v^T F^-1[ |q| F phase_v ] with q the frequency across the axis of rotation and w_v the angle that
    the tilt stands for, half of that between its neighbours; Radermacher, Weighted Back-projection Methods, in Electron
    Tomography (2006). Phases must be unwrapped, and zero in vacuum.

    Parameters
    ----------
    phases : sequence of ndarray (Y, X)
        In rad, on the volume's pixels.
    projections : sequence of Projection
        Tilts about one axis, "x" or "y".
    q_max : float, optional
        In 1/A: the ramp falls to 0 there as a Hann window; by default it goes to the edge as it is.

    Returns
    -------
    ndarray (Z, Y, X) float32
        In rad per voxel. Where tilts are missing it is what the others say, streaks and all.

    Raises
    ------
    ParameterError
        For tilts about several axes.
    DataError
        For images of the wrong number or shape.

    Examples
    --------
    >>> from ptywidgets.engine.tomography import Tilt
    >>> views = [Projection(Tilt(x=a), (32, 32, 4), (1.0, 1.0, 1.0)) for a in range(-90, 90, 6)]
    >>> volume = np.zeros((32, 32, 4), np.float32)
    >>> volume[12:20, 10:22] = 1
    >>> found = filtered_back_projection([view(volume)[0] for view in views], views)
    >>> bool(abs(found[14:18, 12:20].mean() - 1) < 0.05)
    True
    """
    if not projections or len(phases) != len(projections):
        raise DataError(f"{len(phases)} images but {len(projections)} projections; give one for each.")
    axis = single_axis(projections)
    angles = np.array([getattr(projection.tilt, axis) for projection in projections], float)
    weights = angular_weights(angles)
    volume = np.zeros(projections[0].shape, np.float32)
    for phase, projection, weight in zip(phases, projections, weights, strict=True):
        if np.shape(phase) != projection.shape[1:]:
            raise DataError(f"an image is {np.shape(phase)} pixels; expected {projection.shape[1:]}, as the volume.")
        across = 0 if axis == "x" else 1
        filtered = _ramped(np.asarray(phase, np.float32), across, projection.voxel[1 + across], q_max)
        thin = replace(projection, slices=1, thickness=None)
        volume += np.float32(weight * projection.voxel[0]) * thin.adjoint(filtered[None])
    return volume


def single_axis(projections: Sequence[Projection]) -> str:
    """The one axis, "x" or "y", that all tilts are about.

    Raises
    ------
    ParameterError
        When there are several.
    """
    used = {axis for projection in projections for axis in "xyz" if getattr(projection.tilt, axis)}
    if len(used) > 1 or used == {"z"}:
        raise ParameterError(
            f"the tilts are about {', '.join(sorted(used))}; back-projection expects all about x or all about y."
        )
    return used.pop() if used else "x"


def angular_weights(angles: np.ndarray) -> np.ndarray:
    """The angle in rad that each tilt of `angles` (degrees) stands for: half of that between its neighbours.

    Where a wedge is missing, the outermost tilts stand for no more than twice the mean step.

    Examples
    --------
    >>> np.degrees(angular_weights(np.array([-60.0, 0.0, 60.0]))).round(6).tolist()
    [60.0, 60.0, 60.0]
    >>> np.degrees(angular_weights(np.array([0.0, 10.0, 20.0]))).round(6).tolist()
    [10.0, 10.0, 10.0]
    """
    turned = np.mod(angles, 180.0)
    order = np.argsort(turned)
    gaps = np.diff(turned[order], append=turned[order[0]] + 180.0)  # from each to the next, around
    wide = 3 * np.median(gaps)
    gaps = np.where(gaps > wide, np.median(gaps), gaps)
    weights = np.empty(len(angles))
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return np.radians(weights)


def _ramped(phase: np.ndarray, axis: int, step: float, q_max: float | None) -> np.ndarray:
    """|q| along an axis, as the transform of what it is in space: Ramachandran and Lakshminarayanan, PNAS 68, 2236
    (1971); with room, so that nothing comes around."""
    count = phase.shape[axis]
    padded = sfft.next_fast_len(2 * count, real=True)
    q = np.fft.rfftfreq(padded, step)
    n = np.fft.fftfreq(padded, 1 / padded)
    kernel = np.where(n % 2 == 0, 0.0, -1 / (np.pi * np.where(n == 0, 1, n)) ** 2)
    kernel[0] = 0.25
    ramp = sfft.rfft(kernel).real / step
    if q_max is not None:
        ramp *= np.where(q < q_max, 0.5 + 0.5 * np.cos(np.pi * q / q_max), 0)
    shape = [1, 1]
    shape[axis] = -1
    spectrum = sfft.rfft(phase, padded, axis=axis) * ramp.reshape(shape).astype(np.float32)
    return sfft.irfft(spectrum, padded, axis=axis).take(np.arange(count), axis=axis).astype(np.float32)
