"""A probe or an object that is known before a reconstruction: brought onto its grid, to begin with or to keep.

Fields go from grid to grid by their Fourier coefficients, as far as the new pixels can hold them, with nothing (or
vacuum) beyond the old box; where pixels are the same that is to cut or to pad. A probe gets the counts of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.protocols import AnyProblem, ReconstructionProblem
from ptywidgets.engine.optics.modes import more_modes, orthogonalise
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.problem.convert_state import depth_shares, split_slices

SAME_PIXEL = 1e-3  # of a pixel's size: a difference that no grid notices
SAME_ROTATION = 2.0  # degrees
DECIDED = 0.25  # length of the mean direction: a probe that is more spread out has no middle that can be told


@dataclass(frozen=True, eq=False)
class Given:
    """What is known to begin with, and what of it is kept as it is.

    Parameters
    ----------
    probe : ndarray (M, ny, nx), optional
        Corner-centred, of any intensity; :func:`checked_probe` makes one of what is given.
    probe_sampling : (float, float), optional
        Its pixel (row, column) in A; None: that of the data, and then its shape is theirs.
    object : ndarray (S, Y, X), optional
        Complex transmission, or real phase in rad, in the detector frame; :func:`checked_object` makes one.
    object_sampling : (float, float), optional
        As of the probe.
    object_middle : (float, float), optional
        Where the middle of the scan lies, in A from pixel [0, 0]; None: in the middle of the array.
    orientation : (float, bool), optional
        Rotation in degrees and transpose with which the object was made; None: not known, taken for the same.
    hold_probe, hold_object : bool
        Whether it is kept as it is.
    words : str
        Where it came from, for the record.
    """

    probe: np.ndarray | None = None
    probe_sampling: tuple[float, float] | None = None
    object: np.ndarray | None = None
    object_sampling: tuple[float, float] | None = None
    object_middle: tuple[float, float] | None = None
    orientation: tuple[float, bool] | None = None
    hold_probe: bool = False
    hold_object: bool = False
    words: str = ""

    def __post_init__(self) -> None:
        for what in ("probe", "object"):
            if getattr(self, f"hold_{what}") and getattr(self, what) is None:
                raise ParameterError(f"hold_{what} is True but no {what} is given; give one, or leave it out.")

    @property
    def held(self) -> tuple[str, ...]:
        """Names of what is kept."""
        return tuple(what for what in ("probe", "object") if getattr(self, f"hold_{what}"))

    def __repr__(self) -> str:
        return self.words or "nothing"


def checked_probe(probe: Any, centred: bool | None = None) -> np.ndarray:
    """A probe as (M, ny, nx) complex64, corner-centred.

    Parameters
    ----------
    probe : array (M, ny, nx) or (ny, nx)
        Wave in real space.
    centred : bool, optional
        True: its middle is at pixel [ny // 2, nx // 2], as it is looked at; False: at [0, 0]; None: it is told from
        where the intensity lies.

    Raises
    ------
    ParameterError
        When it is no probe, or when it cannot be told where its middle is.

    Examples
    --------
    >>> probe = np.zeros((8, 8)); probe[4, 4] = 1
    >>> checked_probe(probe)[0, 0, 0].real
    np.float32(1.0)
    """
    array = _finite(probe, "probe", "(Ny, Nx), or (M, Ny, Nx) for modes")
    intensity = (np.abs(array) ** 2).sum(0)
    if not intensity.any():
        raise ParameterError("the probe is zero everywhere; expected a wave.")
    if centred is None:
        centred = _is_centred(intensity)
    return np.fft.ifftshift(array, axes=(-2, -1)) if centred else array


def checked_object(obj: Any) -> np.ndarray:
    """An object as (S, Y, X): complex64 where it is a transmission, float32 where it is a phase in rad.

    Examples
    --------
    >>> checked_object(np.ones((3, 4), complex)).shape
    (1, 3, 4)
    """
    real = np.asarray(obj).dtype.kind in "biuf"
    array = _finite(obj, "object", "(Y, X), or (S, Y, X) for slices")
    return array.real.copy() if real else array


def begin(problem: AnyProblem, given: Given) -> AnyProblem:
    """The problem, beginning with what is given.

    Parameters
    ----------
    problem : Problem or TiltSeries
        Of a series every view gets the probe, and an object is a volume of its voxels.
    given : Given

    Raises
    ------
    ParameterError
        When it does not fit and it is not known how to make it fit.
    """
    probe = obj = None
    if given.probe is not None:
        probe = np.concatenate(
            [
                fitted_probe(given.probe, given.probe_sampling, v.window, v.sampling, v.modes, v.mean_intensity)
                for v in problem.views
            ]
        )
    if given.object is not None:
        obj = checked_volume(given.object, problem) if problem.projections else fitted_object(given, problem)
    return problem.with_initial(obj=obj, probe=probe, held=given.held)


def checked_volume(volume: np.ndarray, problem: ReconstructionProblem) -> np.ndarray:
    """A volume (Z, Y, X) to begin with, which has the voxels of the problem's own."""
    shape = problem.object_shape
    if volume.shape != shape or np.iscomplexobj(volume):
        kind = "complex" if np.iscomplexobj(volume) else "real"
        raise ParameterError(
            f"the object is {volume.shape}, {kind}; a tilt series begins with a volume {shape} of real numbers, rad "
            "per voxel."
        )
    return volume


def fitted_probe(
    probe: np.ndarray,
    own: tuple[float, float] | None,
    window: tuple[int, int],
    sampling: tuple[float, float],
    modes: int,
    counts: float,
) -> np.ndarray:
    """A probe in another window.

    Parameters
    ----------
    probe : ndarray (M', ny, nx)
        Corner-centred.
    own : (float, float) or None
        Its pixel in A; None: `sampling`.
    window : (Ny, Nx)
    sampling : (float, float)
        A.
    modes : int
        M of the result: faint ones are added, or the brightest are kept.
    counts : float
        Sum of abs(P)^2 of the result.

    Returns
    -------
    ndarray (M, Ny, Nx) complex64
    """
    if own is None:
        if probe.shape[-2:] != tuple(window):
            raise ParameterError(
                f"the probe is {_by(probe.shape[-2:])} pixels but the patterns are {_by(window)}; give the size of its "
                f"pixel in A, sampling=..., or one of {_by(window)}, whose pixel is {sampling[0]:.4g} A here."
            )
        own = sampling
    centred = np.fft.fftshift(probe, axes=(-2, -1))
    here = [(np.arange(n) - n // 2) * d for n, d in zip(window, sampling, strict=True)]
    middle = [n // 2 * d for n, d in zip(probe.shape[-2:], own, strict=True)]
    moved = _interpolated(centred, own, middle, here, sampling)
    moved = np.fft.ifftshift(moved, axes=(-2, -1)).astype(np.complex64)
    if modes > len(moved):
        moved = more_modes(moved, modes)
    elif modes < len(moved):
        moved = orthogonalise(moved)[:modes]
    total = float((np.abs(moved).astype(np.float64) ** 2).sum())
    if not total > 0:
        raise ParameterError("nothing of the probe lies in the window; is its middle where it was said to be?")
    return np.ascontiguousarray(moved * np.float32(math.sqrt(counts / total)), np.complex64)


def fitted_object(given: Given, problem: ReconstructionProblem) -> np.ndarray:
    """The object that is given, on the grid of a problem and of its kind, in as many slices."""
    obj, own = given.object, given.object_sampling
    assert obj is not None
    shape, measurement = problem.object_shape, problem.measurement
    if given.orientation is not None:
        rotation, transpose = given.orientation
        turned = abs(wrapped_angle(rotation - measurement.rotation))
        if turned > SAME_ROTATION or transpose != measurement.transpose:
            raise ParameterError(
                f"the object was made with a rotation of {wrapped_angle(rotation):.1f} degrees, transpose {transpose}, "
                f"and these data are read with {measurement.rotation:.1f}, {measurement.transpose}; prepare them "
                "alike, or give it as an array in the detector frame."
            )
    if own is None and obj.shape[-2:] != shape[-2:]:
        raise ParameterError(
            f"the object is {_by(obj.shape[-2:])} pixels but it is {_by(shape[-2:])} here; give the size of its pixel "
            f"in A, sampling=..., (here it is {problem.sampling[0]:.4g} A): the middle of the array is then put where "
            "the middle of the scan is."
        )
    own = own or problem.sampling
    there = (problem.initial_positions.max(0) + problem.initial_positions.min(0)) / 2
    if given.object_middle is not None:
        middle = list(given.object_middle)
    else:
        middle = [((n - w) / 2 + w // 2) * d for n, w, d in zip(obj.shape[-2:], problem.window, own, strict=True)]
    here = [np.arange(n) * d - m for n, d, m in zip(shape[-2:], problem.sampling, there, strict=True)]
    empty = 1.0 if np.iscomplexobj(obj) else 0.0
    moved = empty + _interpolated(obj - empty, own, middle, here, problem.sampling)
    if len(moved) != shape[0]:
        moved = split_slices(moved, depth_shares(np.linspace(0, 1, len(moved) + 1), np.linspace(0, 1, shape[0] + 1)))
    if np.iscomplexobj(problem.initial_object):
        return (moved if np.iscomplexobj(moved) else np.exp(1j * moved)).astype(np.complex64)
    return np.ascontiguousarray(np.angle(moved) if np.iscomplexobj(moved) else moved, np.float32)


def _interpolated(
    fields: np.ndarray,
    own: tuple[float, float],
    middle: list[float],
    places: list[np.ndarray],
    sampling: tuple[float, float],
) -> np.ndarray:
    """Fields (K, ny, nx) of pixel `own` at places, in A from what lies `middle` from their pixel [0, 0]; 0 beyond."""
    rows, columns = (
        _matrix(n, s, m, where, d)
        for n, s, m, where, d in zip(fields.shape[-2:], own, middle, places, sampling, strict=True)
    )
    moved = np.array([rows @ field @ columns.T for field in fields])
    return moved if np.iscomplexobj(fields) else moved.real


def _matrix(count: int, pixel: float, middle: float, places: np.ndarray, new: float) -> np.ndarray:
    """Trigonometric interpolation (N, count) from `count` pixels, without what pixels of size `new` cannot hold."""
    at = (places + middle) / pixel  # in old pixels
    inside = (at > -0.5 - SAME_PIXEL) & (at < count - 0.5 + SAME_PIXEL)
    nearest = np.rint(at)
    if abs(pixel - new) <= SAME_PIXEL * new / count and np.abs(at - nearest).max() <= SAME_PIXEL:
        matrix = (nearest[:, None] == np.arange(count)).astype(float)  # cut or padded, nothing more
        return matrix * inside[:, None]
    k = np.arange(-(count // 2), count // 2 + 1)
    weights = np.where(2 * np.abs(k) == count, 0.5, 1.0)
    limit = count * pixel / new / 2 * (1 + 1e-9)
    weights = np.where(np.abs(k) > limit, 0, weights)
    away = at[:, None] - np.arange(count)
    matrix = np.zeros(away.shape)
    for number, weight in zip(k, weights, strict=True):
        if weight:
            matrix += weight / count * np.cos(2 * np.pi / count * number * away)
    return matrix * inside[:, None]


def _finite(array: Any, what: str, shape: str) -> np.ndarray:
    found = np.asarray(array)
    if found.dtype.kind not in "biufc" or found.ndim not in (2, 3) or 0 in found.shape:
        raise ParameterError(f"the {what} is {found.shape} {found.dtype}; expected an array {shape}.")
    if not np.isfinite(found).all():
        raise DataError(f"the {what} has NaN or infinite pixels; replace them.")
    return found.astype(np.complex64).reshape(-1, *found.shape[-2:])


def _is_centred(intensity: np.ndarray) -> bool:
    """Whether the intensity lies about the middle of its box, and not about pixel [0, 0]."""
    sides: list[bool | None] = []
    for axis in (0, 1):
        profile = intensity.sum(1 - axis)
        n = len(profile)
        mean = (profile * np.exp(2j * np.pi * np.arange(n) / n)).sum() / profile.sum()
        if abs(mean) < DECIDED or abs(mean.real) < 0.7 * abs(mean):
            sides.append(None)
        else:
            sides.append(bool(mean.real < 0))
    if None in sides or sides[0] != sides[1]:
        raise ParameterError(
            "it cannot be told whether the middle of the probe is at pixel [0, 0] or in the middle of its box; say "
            "centred=False or centred=True."
        )
    return bool(sides[0])


def _by(shape: Any) -> str:
    return " x ".join(str(n) for n in shape)


__all__ = ["Given", "begin", "checked_object", "checked_probe", "fitted_object", "fitted_probe"]
