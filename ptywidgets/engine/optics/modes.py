"""Probe modes: waves that add incoherently, sum_m |P_m|^2.

The modes of one probe are not unique: mixing them by any unitary matrix changes no pattern (Thibault & Menzel, Nature
494, 68 (2013)). What is unique are the orthogonal ones, the eigenvectors of the mutual coherence of the beam, and their
shares of the intensity. First modes are made from a single probe: multiplied by polynomials in the position, as the
modes of a source of Gaussian extent are (Odstrcil et al., Opt. Express 24, 8360 (2016)), or tilted at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.core.params import counted

FIRST_SHARE = 0.7  # of the first mode at a start: far from neither coherent beams nor half coherent ones
KINDS = ("hermite", "tilts")
_ORTHOGONAL = 1e-6  # cosine between modes that single precision cannot tell from 0


def occupations(probe: Any) -> np.ndarray:
    """Share (M,) of each mode in the intensity of a probe (M, Ny, Nx); they add up to 1.

    Examples
    --------
    >>> occupations(np.array([[[3.0]], [[1.0]]])).tolist()
    [0.9, 0.1]
    """
    intensity = np.array([float((abs(mode) ** 2).sum(dtype=np.float64)) for mode in probe])
    return intensity / max(intensity.sum(), np.finfo(float).tiny)


def orthogonalise(probe: Any, xp: Any = np) -> Any:
    """Orthogonal modes of the same probe, the brightest first; sum_m |P_m|^2 stays as it is in every pixel.

    With the overlaps <P_m, P_n> = (V diag(g) V^H)_mn the new modes are P'_k = sum_m V_mk P_m, of intensity g_k: a
    unitary mixture. The phase of each is that of the old mode which it holds most of, and modes that are orthogonal
    already are at most sorted.

    Parameters
    ----------
    probe : array (M, Ny, Nx) complex
        On the device that `xp` belongs to.
    xp : module
        numpy or cupy.

    Returns
    -------
    array (M, Ny, Nx), as `probe`

    Examples
    --------
    >>> probe = np.array([[[1, 1]], [[1, 0]]], np.complex64)
    >>> modes = orthogonalise(probe)
    >>> round(float(abs(np.vdot(modes[0], modes[1]))), 6), (abs(modes) ** 2).sum(0).round(5).tolist()
    (0.0, [[2.0, 1.0]])
    """
    if len(probe) == 1:
        return probe
    rows = probe.reshape(len(probe), -1).astype(np.complex128)
    overlaps = rows.conj() @ rows.T  # [m, n] = <P_m, P_n>, small: on the host from here
    overlaps = np.array(overlaps.tolist()) if xp is not np else overlaps
    power = overlaps.diagonal().real
    scale = np.sqrt(power[:, None] * power) + np.finfo(float).tiny
    if (np.abs(overlaps - np.diag(power)) <= _ORTHOGONAL * scale).all():
        order = np.argsort(-power, kind="stable")
        return probe if (order == np.arange(len(order))).all() else probe[xp.asarray(order)]
    _, mixing = np.linalg.eigh(overlaps)
    mixing = mixing[:, ::-1]  # eigh sorts the other way; column k holds the weights of the old modes in the new one
    largest = np.take_along_axis(mixing, np.abs(mixing).argmax(0)[None], axis=0)
    mixing = mixing * (largest.conj() / np.abs(largest))
    return (xp.asarray(mixing.T) @ rows).reshape(probe.shape).astype(probe.dtype)


def hermite_modes(probe: np.ndarray, orders: int | Sequence[tuple[int, int]]) -> np.ndarray:
    """Orthonormal modes like those of Hermite and Gauss, made from a probe.

    Mode (n, m) is the probe times (y - y0)^n (x - x0)^m and, but for the first, a Gaussian of the probe's own centre
    and width; each is made orthogonal to those before it.

    Parameters
    ----------
    probe : ndarray (Ny, Nx) complex
        Corner-centred.
    orders : int or sequence of (int, int)
        How many, in the order (0, 0), (0, 1), (1, 0), (0, 2), ...; or the orders (row n, column m) themselves.

    Returns
    -------
    ndarray (M, Ny, Nx) complex128
        Corner-centred; each of intensity 1.

    Raises
    ------
    ParameterError
        When the probe has fewer illuminated pixels than modes are asked for.

    Examples
    --------
    >>> y = np.fft.fftfreq(16, 1 / 16)
    >>> modes = hermite_modes(np.exp(-(y[:, None] ** 2 + y**2) / 8), 3)
    >>> modes.shape, float(abs(modes[1, 0, 0])) < 1e-6  # the second is odd
    ((3, 16, 16), True)
    """
    wave = np.fft.fftshift(np.asarray(probe, np.complex128))
    intensity = np.abs(wave) ** 2
    total = intensity.sum()
    axes = np.ogrid[: wave.shape[0], : wave.shape[1]]
    centred = [axis - (intensity * axis).sum() / total for axis in axes]
    spread = [max((intensity * axis**2).sum() / total, 1e-6) for axis in centred]
    gauss = np.exp(-sum(axis**2 / (2 * s) for axis, s in zip(centred, spread, strict=True)))
    units = [axis / math.sqrt(s) for axis, s in zip(centred, spread, strict=True)]
    modes: list[np.ndarray] = []
    for n, m in _first_orders(orders) if isinstance(orders, int) else orders:
        mode = wave * units[0] ** n * units[1] ** m
        mode = mode * gauss if modes else mode
        mode = mode / max(np.linalg.norm(mode), np.finfo(float).tiny)
        for before in (*modes, *modes):  # twice: once loses digits when the modes are many
            mode = mode - before * np.vdot(before, mode)
        norm = np.linalg.norm(mode)
        if not norm > 1e-8:
            raise ParameterError(
                f"the probe has no mode of order ({n}, {m}) that differs from those before it; ask for fewer modes."
            )
        modes.append(mode / norm)
    return np.fft.ifftshift(np.array(modes), axes=(-2, -1))


@counted(count=1)
def tilted_modes(probe: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """The probe, and copies of it tilted at random by up to half a detector pixel: P exp(2 pi i q r).

    Parameters
    ----------
    probe : ndarray (Ny, Nx) complex
        Corner-centred.
    count : int
        How many M; the first is the probe as it is.
    generator : numpy.random.Generator
        Draws the tilts.

    Returns
    -------
    ndarray (M, Ny, Nx) complex128
        Corner-centred, each of intensity 1; not orthogonal.

    Examples
    --------
    >>> tilted_modes(np.ones((4, 4)), 3, np.random.default_rng(0)).shape
    (3, 4, 4)
    """
    ny, nx = probe.shape
    tilts = generator.uniform(-0.5, 0.5, (count, 2, 1))
    tilts[0] = 0
    y, x = np.exp(2j * np.pi * tilts[:, 0] * np.fft.fftfreq(ny)), np.exp(2j * np.pi * tilts[:, 1] * np.fft.fftfreq(nx))
    return probe * y[:, :, None] * x[:, None, :] / np.linalg.norm(probe)


def more_modes(probe: np.ndarray, modes: int) -> np.ndarray:
    """A probe (M, Ny, Nx), orthogonal, with fresh ones after its own so that there are `modes`.

    Examples
    --------
    >>> y = np.fft.fftfreq(16, 1 / 16)
    >>> more_modes(np.exp(-(y[:, None] ** 2 + y**2) / 8)[None].astype(np.complex64), 3).shape
    (3, 16, 16)
    """
    ordered = orthogonalise(probe)
    fresh = first_modes(ordered[0], modes - len(probe) + 1)
    return np.concatenate([fresh[:1], ordered[1:], fresh[1:]])


@counted(count=1, seed=0)
def first_modes(
    probe: np.ndarray, count: int, kind: str = "hermite", *, main_share: float = 0.9, seed: int = 0
) -> np.ndarray:
    """Modes to begin with: the probe keeps most of the intensity, the others share the rest; the total stays.

    Parameters
    ----------
    probe : ndarray (Ny, Nx) or (1, Ny, Nx) complex
        Corner-centred.
    count : int
        How many modes M.
    kind : {"hermite", "tilts"}
        See :func:`hermite_modes` and :func:`tilted_modes`.
    main_share : float
        Share of the first mode in the intensity, above 0 and at most 1.
    seed : int
        Of the tilts.

    Returns
    -------
    ndarray (M, Ny, Nx) complex64

    Raises
    ------
    ParameterError
        For a probe of several modes, an unknown kind, or a count or share out of range.

    Examples
    --------
    >>> y = np.fft.fftfreq(16, 1 / 16)
    >>> modes = first_modes(np.exp(-(y[:, None] ** 2 + y**2) / 8), 3)
    >>> modes.shape, occupations(modes).round(3).tolist()
    ((3, 16, 16), [0.9, 0.05, 0.05])
    """
    probe = np.asarray(probe)
    if probe.ndim == 3 and len(probe) == 1:
        probe = probe[0]
    if probe.ndim != 2:
        raise ParameterError(f"the probe is {probe.shape}; expected one mode (Ny, Nx): give the brightest alone.")
    kind = look_up("kind of modes", kind, KINDS)
    if not 0 < main_share <= 1:
        raise ParameterError(f"main_share is {main_share}; expected a number above 0 and at most 1.")
    if count == 1:
        return probe[None].astype(np.complex64)
    if kind == "hermite":
        modes = hermite_modes(probe, int(count))
    else:
        modes = tilted_modes(probe, int(count), np.random.default_rng(seed))
    weights = np.full(count, (1 - main_share) / (count - 1))
    weights[0] = main_share
    return (np.sqrt(weights)[:, None, None] * np.linalg.norm(probe) * modes).astype(np.complex64)


def _first_orders(count: int) -> list[tuple[int, int]]:
    """Orders (row, column), the low ones first.

    >>> _first_orders(4)
    [(0, 0), (0, 1), (1, 0), (0, 2)]
    """
    degrees = range(count)
    return [(n, degree - n) for degree in degrees for n in range(degree + 1)][:count]
