"""The inner loops in numpy: one image at a time, so that what one call leaves in the cache the next one finds there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def _windows(field: np.ndarray, corners: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for y, x in corners.tolist():
        yield field[y : y + shape[-2], x : x + shape[-1]]


def multiply_cut(
    waves: np.ndarray, field: np.ndarray, corners: np.ndarray, conjugate: bool, out: np.ndarray
) -> None:
    conjugated = np.empty(waves.shape[-2:], field.dtype)
    for b, window in enumerate(_windows(field, corners, waves.shape)):
        if conjugate:
            window = np.conjugate(window, out=conjugated)
        np.multiply(waves[b % len(waves)], window, out=out[b])


def paste_product(field: np.ndarray, corners: np.ndarray, waves: np.ndarray, residual: np.ndarray) -> None:
    product = np.empty(waves.shape[-2:], waves.dtype)
    for b, window in enumerate(_windows(field, corners, waves.shape)):
        for wave, chi in zip(waves[b % len(waves)], residual[b], strict=True):
            np.conjugate(wave, out=product)
            product *= chi
            window += product


def paste_same(field: np.ndarray, corners: np.ndarray, image: np.ndarray) -> None:
    for window in _windows(field, corners, image.shape):
        window += image


def sum_cuts(field: np.ndarray, corners: np.ndarray, sums: np.ndarray) -> None:
    for window in _windows(field, corners, sums.shape):
        sums += window


def ramp(waves: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    for b in range(len(waves)):
        waves[b] *= rows[b][:, None] * columns[b]


def modulus(far: np.ndarray, amplitudes: np.ndarray) -> float:
    total = 0.0
    modelled = np.empty(far.shape[-2:], far.real.dtype)
    square = np.empty_like(modelled)
    for waves, measured in zip(far, amplitudes, strict=True):
        if len(waves) == 1:
            np.abs(waves[0], out=modelled)
        else:
            modelled[...] = 0
            for wave in waves:
                modelled += np.square(wave.real, out=square)
                modelled += np.square(wave.imag, out=square)
            np.sqrt(modelled, out=modelled)
        difference = np.subtract(measured, modelled, out=square)
        total += float(np.vdot(difference, difference))
        np.maximum(modelled, np.finfo(modelled.dtype).tiny, out=modelled)
        difference /= modelled
        waves *= difference
    return total
