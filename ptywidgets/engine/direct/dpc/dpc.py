"""Differential phase contrast: the phase whose gradient is the measured deflection.

The centre of mass of a pattern is grad phi / 2 pi, averaged over the probe; integrated, it is the phase in rad, blurred
by the probe's intensity. The closed form takes one transform. With the phase mirrored at the edges of the scan no edge
has to match the opposite one, at the price of more noise in the slowest waves. The iteration, on a frame larger than
the scan, may leave positions out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.errors import DataError, ParameterError, look_up
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.calibration import both
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.dpc.deflection import scan_deflection
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.preprocess.measurement import Measurement, scan_frequencies

METHODS = ("closed", "iterative")
EDGES = ("mirror", "periodic")


@dataclass(frozen=True)
class Filter:
    """What is left of the spatial frequencies: the regularisation of the integration, whose noise grows like 1/Q."""

    low_pass: float | None = None  # 1/A, frequencies above are left out (Butterworth, second order)
    high_pass: float | None = None  # 1/A, frequencies below are left out
    gaussian: float | None = None  # A, sigma of a blur

    def __call__(self, qy: np.ndarray, qx: np.ndarray) -> np.ndarray:
        squared = qy**2 + qx**2
        out = np.ones(squared.shape)
        if self.low_pass:
            out /= 1 + (squared / self.low_pass**2) ** 2
        if self.high_pass:
            out *= squared**2 / (squared**2 + self.high_pass**4)
        if self.gaussian:
            out *= np.exp(-2 * (math.pi * self.gaussian) ** 2 * squared)
        return out


@counted(iterations=1)
def dpc(
    source: Dataset | Measurement,
    method: str = "closed",
    *,
    rotation: float | None = None,
    transpose: bool | None = None,
    segments: np.ndarray | None = None,
    origin: str = "plane",
    edges: str = "periodic",
    mask: np.ndarray | None = None,
    low_pass: float | None = None,
    high_pass: float | None = None,
    gaussian: float | None = None,
    iterations: int = 64,
    step: float = 1.0,
    padding: float = 2.0,
    tolerance: float = 1e-5,
) -> DirectImage:
    """The phase of the specimen by integrating the centre of mass.

    Parameters
    ----------
    source : Dataset or Measurement
    method : {"closed", "iterative"}
        One transform, or gradient steps that heed a mask.
    rotation, transpose : float (degrees), bool, optional
        Of the detector; by default those of the measurement, or those with the least curl.
    segments : ndarray (S, Qy, Qx), optional
        Of a segmented detector, whose signals then stand in for the centre of mass; needs a Dataset.
    origin : str
        Surface that descan makes of the origin, of a Dataset; see :func:`ptywidgets.engine.preprocess.fit_origin`.
    edges : {"periodic", "mirror"}
        Closed form: how the phase goes on beyond the scan. Mirrored is right for a specimen with a ramp or a wedge.
    mask : ndarray (Ry, Rx), optional
        Iterative: weights from 0 to 1 of the scan positions.
    low_pass, high_pass : float, optional
        1/A.
    gaussian : float, optional
        A; sigma of a blur.
    iterations, step, tolerance
        Iterative: most steps; their size, halved whenever one makes the error larger, which is then taken back;
        relative gain in error below which it ends.
    padding : float
        Iterative: size of the frame, in scan sizes.

    Returns
    -------
    DirectImage
        In rad. `errors` has the share of the field that the phase does not explain, after each step that was kept.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> dpc(samples.ducky("tiny"))
    DirectImage(dpc, 12x12, 1.5 A pixels)
    """
    method = look_up("method of DPC", method, METHODS)
    edges = look_up("kind of edges", edges, EDGES)
    if mask is not None and method == "closed":
        raise ParameterError('the closed form takes no mask; pass method="iterative".')
    field, turn, flip = scan_deflection(source, rotation, transpose, segments, origin)
    steps = source.calibration.scan_steps
    passed = Filter(low_pass, high_pass, gaussian)
    errors: tuple[float, ...] = ()
    if method == "closed":
        phase = integrate_field(field, steps, edges=edges, passed=passed)
    else:
        phase, errors = integrate_iteratively(
            field, steps, mask, passed, iterations=iterations, step=step, padding=padding, tolerance=tolerance
        )
    return DirectImage(
        phase=phase.astype(np.float32),
        sampling=steps,
        method="dpc",
        rotation=turn,
        transpose=flip,
        errors=errors,
    )


def integrate_field(
    field: np.ndarray, scan_step: float | tuple[float, float], *, edges: str = "mirror", passed: Filter | None = None
) -> np.ndarray:
    """Phase (Ry, Rx) in rad whose gradient is 2 pi times the field (2, Ry, Rx) in 1/A, best in the least-squares sense.

    The step in A is one number, or one for rows and one for columns.

    Examples
    --------
    >>> y = np.arange(32.0)
    >>> ramp = np.stack([np.full((32, 32), 0.01), np.zeros((32, 32))])
    >>> phase = integrate_field(ramp, 2.0)
    >>> bool(np.isclose((phase[20] - phase[10]).mean(), 2 * np.pi * 0.01 * 20, rtol=0.02))
    True
    """
    if edges == "mirror":  # an even phase has a gradient that is odd across the edge and even along it
        ny, nx = field.shape[1:]
        down = np.concatenate([field[0], -field[0, ::-1]])
        right = np.concatenate([field[1], field[1, ::-1]])
        down = np.concatenate([down, down[:, ::-1]], axis=1)
        right = np.concatenate([right, -right[:, ::-1]], axis=1)
        return integrate_field(np.stack([down, right]), scan_step, edges="periodic", passed=passed)[:ny, :nx]
    qy, qx, inverse = _integrator(field.shape[1:], scan_step)
    spectrum = sfft.rfft2(field)
    spectrum = (qy * spectrum[0] + qx * spectrum[1]) * inverse
    if passed is not None:
        spectrum *= passed(qy, qx)
    return sfft.irfft2(spectrum, s=field.shape[1:])


@counted(iterations=1)
def integrate_iteratively(
    field: np.ndarray,
    scan_step: float | tuple[float, float],
    mask: np.ndarray | None = None,
    passed: Filter | None = None,
    *,
    iterations: int = 64,
    step: float = 1.0,
    padding: float = 2.0,
    tolerance: float = 1e-5,
) -> tuple[np.ndarray, tuple[float, ...]]:
    """The same by gradient steps on a larger frame, outside of which nothing is asked of the phase.

    Each step integrates what the phase leaves of the field inside the mask, which never overshoots for steps up to 1;
    where a filter makes it, the step is halved and taken again from the best phase.

    Returns
    -------
    phase : ndarray (Ry, Rx)
        rad; the best that was met.
    errors : tuple of float
        Share of the field's power left, falling.
    """
    ny, nx = field.shape[1:]
    frame = tuple(sfft.next_fast_len(max(n, math.ceil(n * padding)), real=True) for n in (ny, nx))
    weights = np.ones((ny, nx)) if mask is None else np.asarray(mask, float)
    if weights.shape != (ny, nx) or not weights.any():
        raise DataError(
            f"the mask is {weights.shape}, {int((weights > 0).sum())} positions in use; expected {(ny, nx)}."
        )
    qy, qx, inverse = _integrator(frame, scan_step)
    kept = np.ones(inverse.shape) if passed is None else passed(qy, qx)
    power = float((weights * field**2).sum()) or 1.0
    slope_y, slope_x = 1j * qy, 1j * qx  # of the phase over 2 pi
    phase = best = np.zeros((frame[0], frame[1] // 2 + 1), complex)
    rest = weights * field
    best_rest, errors = rest, [1.0]
    for _ in range(iterations):
        padded = np.zeros((2, *frame))
        padded[:, :ny, :nx] = best_rest
        spectrum = sfft.rfft2(padded)
        phase = (best + step * (qy * spectrum[0] + qx * spectrum[1]) * inverse) * kept
        gradient = sfft.irfft2(np.stack([slope_y * phase, slope_x * phase]), s=frame)[:, :ny, :nx]
        rest = weights * (field - gradient)
        error = float((rest**2).sum()) / power
        gain = errors[-1] - error
        if gain > (0.05 * errors[-1] if step > 1 else 0):  # a long step must be worth it
            best, best_rest = phase, rest
            errors.append(error)
            if gain < tolerance * error:
                break
        else:
            step /= 2
            if step < 1e-3:
                break
    image = sfft.irfft2(best, s=frame)[:ny, :nx]
    return image - image[weights > 0].mean(), tuple(errors[1:])


def _integrator(
    shape: tuple[int, ...], scan_step: float | tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies in 1/A, and 1 / (i Q^2): field . Q times it is the phase whose gradient is 2 pi times the field."""
    qy, qx = scan_frequencies(shape, both(scan_step))
    squared = qy**2 + qx**2
    squared[0, 0] = 1
    inverse = 1 / (1j * squared)
    inverse[0, 0] = 0
    return qy, qx, inverse
