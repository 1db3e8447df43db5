"""What the counts of a block of positions are off, linearised about object and optics, and the step that takes it off.

What the counts N are off is (N - I) / 2 s, s = sqrt(I + c), with the expected counts I = |psi|^2: noise is alike in all
pixels, and there is no mean left at the true optics however few the counts are, as there is in differences of
amplitudes. It is linearised about the present values: Re(u F[E dO]) + D dp, with u = conj(psi) / s, E the moved probe,
and a column of D for each number p that is free. Object and numbers are then solved for jointly by a few steps of
preconditioned conjugate gradients (damped Gauss-Newton; Fisher scoring but for c). The detector is cut to what lies
near the aperture; pixels close to the cut and at the rim are not asked, see :mod:`.coarse_block`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.calibrate.coarse.coarse_block import Cut
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.data.patterns import Patterns

REACH = 1.75  # half the side of the detector that is kept, in radii of the aperture
DAMPING = 1e-2  # of the brightest illumination
FLOOR = 0.1  # c, of the mean counts of a pixel
PORTION = 16  # positions worked on at a time, which stay in the caches
Part = slice | np.ndarray  # of positions; numpy rounds products of what is viewed and of what is copied differently


class LinearisedBlock:
    """The part that does not depend on which numbers are free."""

    size: int  # pixels on a side of the object
    corners: np.ndarray  # (J, 2) int, first pixels of the windows
    parts: Sequence[Part]  # all positions, some at a time
    loss = math.inf  # share of the counts' energy that is left

    def _look_at(
        self, cut: Cut, patterns: Patterns, chosen: np.ndarray, shifts: np.ndarray, still: float, mean_intensity: float
    ) -> None:
        """Take the counts of positions `chosen` (J,) for what is to be explained.

        Parameters
        ----------
        shifts : ndarray (J, 2)
            Detector pixels; where they differ by no more than `still`, the patterns are taken to lie still.
        mean_intensity : float
            Counts of a pattern.
        """
        self.n, self.sampling, self.k = cut.n, np.array(cut.sampling), cut.k.astype(np.float32)
        patterns = patterns.crop((cut.n, cut.n))
        amplitudes = patterns.amplitudes(chosen)
        self.counts = amplitudes.clip(0) ** 2
        self.tilts = shifts if np.ptp(shifts, axis=0).max() > still else shifts.mean(0, keepdims=True)
        self.asked = cut.asked(self.tilts)
        if patterns.mask is not None:
            self.asked = self.asked * (amplitudes >= 0)
        self.energy = float((self.counts * self.asked).sum(dtype=np.float64))
        self.floor = np.float32(FLOOR * mean_intensity / cut.n**2)
        self.parts = [slice(i, min(i + PORTION, len(chosen))) for i in range(0, len(chosen), PORTION)]

    def _linearise_about(
        self,
        field: np.ndarray,
        spectra: np.ndarray,
        away: np.ndarray,
        basis: Sequence[np.ndarray],
        moves: Sequence[tuple[np.ndarray, np.ndarray | None]],
    ) -> None:
        """Expected counts and their derivatives, of the object `field` and of probes with these spectra (J or 1, n, n).

        Parameters
        ----------
        away : ndarray (J, 2)
            Pixels from the first one of a window to the middle of its probe.
        basis : sequence of ndarray (J or 1, n, n)
            The functions of chi, in rad, whose coefficients are free.
        moves : sequence of (ndarray (J, 2) float32, ndarray or None)
            How probes move, in A, by a number that is free, and how the field changes with it.
        """
        shape = (len(self.counts), self.n, self.n)
        ramps = [_ramps(away[:, i], -np.fft.fftfreq(self.n)) for i in (0, 1)]
        self.probes, self.turns = (np.empty(shape, np.complex64) for _ in range(2))  # E, u
        self.left = np.empty(shape, np.float32)
        self.columns = np.empty((len(basis) + len(moves), *shape), np.float32)

        def work(part: Part) -> np.ndarray:
            wave = of(spectra, part) * ramps[0][part][:, :, None] * ramps[1][part][:, None, :]
            patch = self._patches(field, part)
            probe = sfft.ifft2(wave, norm="ortho")
            far = sfft.fft2(probe * patch, norm="ortho")
            expected = far.real**2 + far.imag**2
            weight = of(self.asked, part) / np.sqrt(expected + self.floor)
            turn = far.conj() * weight
            self.probes[part], self.turns[part] = probe, turn
            self.left[part] = (self.counts[part] - expected) * (weight / 2)
            slopes = chain((of(one, part) for one in basis), (self._slope(velocity[part]) for velocity, _ in moves))
            along = [None] * len(basis) + [change for _, change in moves]
            for column, slope, change in zip(self.columns, slopes, along, strict=True):
                exits = sfft.ifft2(wave * slope, norm="ortho", overwrite_x=True) * patch
                if change is not None:
                    exits += probe * self._patches(1j * change, part)
                # the factor -i of the derivative
                column[part] = (turn * sfft.fft2(exits, norm="ortho", overwrite_x=True)).imag
            return np.abs(probe) ** 2

        self.lit = self._pasted(work, np.float32)
        self.loss = float((self.left**2).sum(dtype=np.float64)) / self.energy

    def _slope(self, velocity: np.ndarray) -> np.ndarray:
        """What chi changes by, (j, n, n), as probes move (j, 2)."""
        v = velocity[:, :, None, None]
        return (2 * np.pi) * (v[:, 0] * self.k[0] + v[:, 1] * self.k[1])

    def _forward(self, change: np.ndarray) -> np.ndarray:
        out = np.empty_like(self.left)

        def work(part: Part) -> None:
            wave = sfft.fft2(self.probes[part] * self._patches(change, part), norm="ortho", overwrite_x=True)
            out[part] = (self.turns[part] * wave).real

        self._each(work)
        return out

    def _adjoint(self, left: np.ndarray) -> np.ndarray:
        def work(part: Part) -> np.ndarray:
            wave = sfft.ifft2(self.turns[part].conj() * left[part], norm="ortho", overwrite_x=True)
            wave *= self.probes[part].conj()
            return wave

        return self._pasted(work, np.complex64)

    def _solve(self, inner: int) -> tuple[np.ndarray, np.ndarray]:
        """Changes of object and numbers, by preconditioned conjugate gradients on the joint normal equations."""
        flat = self.columns.reshape(len(self.columns), self.left.size)
        square = self._products(flat, flat)
        scale = np.sqrt(np.diag(square)).clip(1e-30)
        inverse = np.linalg.pinv(square / np.outer(scale, scale)) / np.outer(scale, scale)
        damping = np.float32(DAMPING * self.lit.max())
        weight = 0.5 * self.lit + damping
        rest, rest_p = self._adjoint(self.left), self._products(flat, self.left.ravel())
        change, moves = np.zeros_like(rest), np.zeros(len(flat))
        z, z_p = rest / weight, inverse @ rest_p
        way, way_p = z, z_p
        size = self._dot(rest, z) + float(rest_p @ z_p)
        for _ in range(inner):
            check_stop()
            seen = self._forward(way)
            self._add_columns(seen, way_p.astype(np.float32))
            back, back_p = self._adjoint(seen) + damping * way, self._products(flat, seen.ravel())
            step = size / (self._dot(way, back) + float(way_p @ back_p))
            change, moves = change + np.float32(step) * way, moves + step * way_p
            rest, rest_p = rest - np.float32(step) * back, rest_p - step * back_p
            z, z_p = rest / weight, inverse @ rest_p
            new = self._dot(rest, z) + float(rest_p @ z_p)
            way, way_p = z + np.float32(new / size) * way, z_p + new / size * way_p
            size = new
        return change, moves

    # ------------------------------------------------------------------ how it is added up: here one after the other

    def _each(self, task: Callable[[Part], Any]) -> list[Any]:
        return [task(part) for part in self.parts]

    def _pasted(self, windows: Callable[[Part], np.ndarray], dtype: Any) -> np.ndarray:
        out = np.zeros((self.size, self.size), dtype)
        for part in self.parts:
            self._paste(windows(part), part, out)
        return out

    # by einsum: a BLAS would wake threads that cost more

    def _products(self, columns: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.einsum("pn,qn->pq" if other.ndim == 2 else "pn,n->p", columns, other).astype(float)

    def _add_columns(self, seen: np.ndarray, numbers: np.ndarray) -> None:
        for number, column in zip(numbers, self.columns, strict=True):
            seen += number * column

    def _dot(self, a: np.ndarray, b: np.ndarray) -> float:
        total = np.einsum("yx,yx->", a.real, b.real, dtype=np.float64)
        return float(total + np.einsum("yx,yx->", a.imag, b.imag, dtype=np.float64) if np.iscomplexobj(a) else total)

    # ------------------------------------------------------------------ windows of an image of the object

    def _patches(self, field: np.ndarray, part: Part) -> np.ndarray:
        n = self.n
        return np.stack([field[y : y + n, x : x + n] for y, x in self.corners[part]])

    def _paste(self, windows: np.ndarray, part: Part, out: np.ndarray) -> None:
        n = self.n
        for window, (y, x) in zip(windows, self.corners[part], strict=True):
            out[y : y + n, x : x + n] += window


def of(values: np.ndarray, part: Part) -> np.ndarray:
    """The values of some positions, of an array (J, n, n), or (1, n, n) where all have the same.

    Examples
    --------
    >>> of(np.zeros((1, 4, 4)), slice(0, 2)).shape, of(np.zeros((3, 4, 4)), slice(0, 2)).shape
    ((1, 4, 4), (2, 4, 4))
    """
    return values if len(values) == 1 else values[part]


def _ramps(moves: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    return np.exp(2j * np.pi * moves[:, None] * slopes).astype(np.complex64)


__all__ = ["REACH", "LinearisedBlock", "Part"]
