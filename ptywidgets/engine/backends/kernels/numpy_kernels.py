"""The inner loops in numpy: one image at a time, so that what one call leaves in the cache the next one finds there."""

# ruff: noqa: D103 (what each function gives is told in kernels.py)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ptywidgets.engine.core.amplitudes import amplitude_floor, rounding_share
from ptywidgets.engine.core.amplitudes import amplitudes as amplitudes  # one of the loops
from ptywidgets.engine.losses.losses import hessian_rows

_BLAS_SIZE = 200_000  # multiplications below which BLAS stays on the calling thread; its own pool would fight ours


def _windows(field: np.ndarray, corners: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for y, x in corners.tolist():
        yield field[y : y + shape[-2], x : x + shape[-1]]


def multiply_patches(waves: np.ndarray, field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
    for b, window in enumerate(_windows(field, corners, waves.shape)):
        np.multiply(waves[b % len(waves)], window, out=out[b])


def multiply_patches_adjoint(
    residual: np.ndarray, field: np.ndarray, corners: np.ndarray, waves: np.ndarray, gradient: np.ndarray
) -> None:
    own = np.empty(waves.shape[-2:], waves.dtype)
    targets = _windows(gradient, corners, waves.shape)
    for b, (window, target) in enumerate(zip(_windows(field, corners, waves.shape), targets, strict=True)):
        for wave, chi in zip(waves[b % len(waves)], residual[b], strict=True):
            np.conjugate(wave, out=own)
            own *= chi
            target += own
        np.conjugate(window, out=own)
        residual[b] *= own


def extract_patches(field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
    for patch, (y, x) in zip(out, corners.tolist(), strict=True):
        patch[...] = field[:, y : y + out.shape[-2], x : x + out.shape[-1]]


def add_patches(field: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> None:
    for patch, (y, x) in zip(patches, corners.tolist(), strict=True):
        field[:, y : y + patches.shape[-2], x : x + patches.shape[-1]] += patch


def phase_factor(phase: np.ndarray, out: np.ndarray) -> None:
    np.cos(phase, out=out.real)
    np.sin(phase, out=out.imag)


def phase_gradient(transmission: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
    np.multiply(transmission.real, gradient.imag, out=out)
    out -= transmission.imag * gradient.real


def correct(
    field: np.ndarray,
    corners: np.ndarray,
    waves: np.ndarray,
    residual: np.ndarray,
    step: np.ndarray,
    passed: np.ndarray,
) -> None:
    for b, window in enumerate(_windows(field, corners, step.shape)):
        change = (waves[b].conj() * residual[b]).sum(0)
        np.multiply(window.conj(), residual[b], out=waves[b])
        passed[b] = window.real**2 + window.imag**2
        change *= step
        window += change


def correct_phase(
    phase: np.ndarray,
    field: np.ndarray,
    corners: np.ndarray,
    waves: np.ndarray,
    residual: np.ndarray,
    step: np.ndarray,
) -> None:
    windows = zip(_windows(phase, corners, step.shape), _windows(field, corners, step.shape), strict=True)
    for b, (turn, window) in enumerate(windows):
        change = (waves[b].conj() * residual[b]).sum(0)
        np.multiply(window.conj(), residual[b], out=waves[b])
        turn += step * (window.real * change.imag - window.imag * change.real)
        phase_factor(turn, window)


def add_same_patch(field: np.ndarray, corners: np.ndarray, image: np.ndarray, rows: tuple[int, int]) -> None:
    for own, there in _within(corners, image.shape, rows):
        field[there] += image[own]


def sum_patches(field: np.ndarray, corners: np.ndarray, sums: np.ndarray, rows: tuple[int, int]) -> None:
    if np.iscomplexobj(field):
        field = field.real**2 + field.imag**2
    for own, there in _within(corners, sums.shape, rows):
        sums[own] += field[there]


def _within(corners: np.ndarray, shape: tuple[int, ...], rows: tuple[int, int]) -> Iterator[tuple[slice, Any]]:
    """The rows of each window that lie in some rows of the field, and where they lie there."""
    for y, x in corners.tolist():
        first, last = max(y, rows[0]), min(y + shape[0], rows[1])
        if first < last:
            yield slice(first - y, last - y), (slice(first, last), slice(x, x + shape[1]))


def ramp(waves: np.ndarray, slopes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    down, along = (_turns(slopes[:, axis], line, waves.dtype) for axis, line in enumerate((rows, columns)))
    for wave, row, column in zip(waves, down, along, strict=True):
        wave *= row[:, None] * column


def _turns(slopes: np.ndarray, line: np.ndarray, dtype: Any) -> np.ndarray:
    """exp(i a x) for every slope a (B,) and every x of a line (N,): (B, N)."""
    out = np.empty((len(slopes), len(line)), dtype)
    angles = (slopes[:, None] * line).astype(out.real.dtype)
    np.cos(angles, out=out.real)
    np.sin(angles, out=out.imag)
    return out


def modulus(far: np.ndarray, amplitudes: np.ndarray) -> float:
    total = 0.0
    modelled = np.empty(far.shape[-2:], far.real.dtype)
    square = np.empty_like(modelled)
    share, least = rounding_share(modelled.dtype) ** 2, amplitude_floor(modelled.dtype) ** 2
    for waves, measured in zip(far, amplitudes, strict=True):
        if len(waves) == 1:
            np.abs(waves[0], out=modelled)
        else:
            modelled[...] = 0
            for wave in waves:
                modelled += np.square(wave.real, out=square)
                modelled += np.square(wave.imag, out=square)
            np.sqrt(modelled, out=modelled)
        np.maximum(measured, 0, out=square)
        rounding = least + share * np.vdot(square, square) / square.size
        difference = np.subtract(measured, modelled, out=square)
        difference *= measured >= 0
        total += float(np.vdot(difference, difference))
        difference *= modelled
        modelled *= modelled
        modelled += rounding
        difference /= modelled
        waves *= difference
    return total


def residual(far: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    total = 0.0
    for waves, measured in zip(far, amplitudes, strict=True):
        intensity = (waves.real**2 + waves.imag**2).sum(0)
        total += float(loss.value(intensity, measured).sum(dtype=np.float64))
        waves *= -loss.derivative(intensity, measured)
    return total


def hessian_block(far: np.ndarray, tangents: np.ndarray, amplitudes: np.ndarray, loss: Any) -> np.ndarray:
    parts = zip(far, tangents.swapaxes(0, 1), amplitudes, strict=True)
    return sum(np.array(hessian_of_waves(*part, loss)) for part in parts)  # type: ignore[return-value]  # of one part at least, so an array


def hessian_of_waves(far: Any, tangents: Any, amplitudes: Any, loss: Any) -> list[list[Any]]:
    """Second derivatives (K, K) of the loss of waves (..., M, Ny, Nx) and amplitudes (..., Ny, Nx) along tangents
    (K, ..., M, Ny, Nx), for numpy and what behaves like it."""

    def product(one: Any, two: Any) -> Any:
        return (one.real * two.real + one.imag * two.imag).sum(-3)

    return hessian_rows(loss, product(far, far), amplitudes, far, tangents, product)


def accumulate(weights: np.ndarray, source: np.ndarray, target: np.ndarray, clear: bool) -> None:
    rows = max(1, _BLAS_SIZE // (1024 * len(source)))
    columns = max(1024, _BLAS_SIZE // (min(rows, len(weights)) * len(source)))
    for start in range(0, source.shape[1], columns):
        part = slice(start, start + columns)
        for first in range(0, len(weights), rows):
            own = slice(first, first + rows)
            if clear:
                np.matmul(weights[own], source[:, part], out=target[own, part])
            else:
                target[own, part] += weights[own] @ source[:, part]
