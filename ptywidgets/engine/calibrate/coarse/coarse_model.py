"""A small reconstruction whose unknowns are the object, the aberrations and the rotation together.

What the counts N are off is (N - I) / 2 s, s = sqrt(I + c), with the expected counts I = |psi|^2: noise is alike in all
pixels, and there is no mean left at the true optics however few the counts are, as there is in differences of
amplitudes. It is linearised about the present values: Re(u F[E dO]) + D dp, with u = conj(psi) / s, E the moved probe,
and a column of D for each coefficient and for the rotation. Object and optics are then solved for jointly by a few
steps of preconditioned conjugate gradients (damped Gauss-Newton; Fisher scoring but for c). The detector is cut to
what lies near the aperture; pixels close to the cut and at the rim are not asked, see :mod:`.coarse_part`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.calibrate.coarse.coarse_block import asked_pixels, deflected_block, moved_aperture
from ptywidgets.engine.core.errors import InsufficientData
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.engine.data.calibration import relative
from ptywidgets.engine.optics.chi_terms import polynomials
from ptywidgets.engine.optics.probe import Optics, make_aperture
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import unrotate_vectors

REACH = 1.75  # half the side of the detector that is kept, in radii of the aperture
DAMPING = 1e-2  # of the brightest illumination
STILL = 0.01  # detector pixels; patterns that move less are taken to lie still
FLOOR = 0.1  # c, of the mean counts of a pixel
PORTION = 16  # positions worked on at a time


class CoarseModel:
    """The small problem about one block of the scan; see the file's docstring. Not thread-safe.

    Parameters
    ----------
    measurement : Measurement
    optics : Optics
        For the aperture.
    terms : sequence of str
        Names of the coefficients, such as "C10", "C12a".
    side : int
        Positions on a side of the block, which lies where the patterns are deflected most.
    """

    def __init__(self, measurement: Measurement, optics: Optics, terms: Sequence[str], side: int = 11) -> None:
        energy = measurement.calibration.require("energy")
        shape = measurement.patterns.shape[-2:]
        aperture = make_aperture(optics, shape, measurement.sampling, energy)
        lit = np.fft.fftshift(aperture > 0.5 * aperture.max())
        radius = math.sqrt(np.count_nonzero(lit) / math.pi) + 0.5
        pixels = relative((1 / (shape[0] * measurement.sampling[0]), 1 / (shape[1] * measurement.sampling[1])))
        n = min(*shape, sfft.next_fast_len(2 * math.ceil(REACH * radius / min(pixels))))
        n -= n % 2
        if n < 4:
            raise InsufficientData(f"the detector is {shape}; expected 4 x 4 pixels at least for a reconstruction.")
        chosen, self.grid = deflected_block(measurement, side)
        cut = [np.r_[0 : n // 2, full - n // 2 : full] for full in shape]
        patterns = measurement.patterns.crop((n, n))
        amplitudes = patterns.amplitudes(chosen)
        self.counts = amplitudes.clip(0) ** 2
        shifts = measurement.shifts[chosen]
        self.n, self.terms = n, tuple(terms)
        self.sampling = [s * full / n for s, full in zip(measurement.sampling, shape, strict=True)]
        ky, kx = (np.fft.fftfreq(n, s) for s in self.sampling)
        self.k = np.stack(np.meshgrid(ky, kx, indexing="ij")).astype(np.float32)
        wave = aperture[cut[0][:, None], cut[1][None]] * math.sqrt(measurement.mean_intensity)
        self.tilts = shifts if np.ptp(shifts, axis=0).max() > STILL else shifts.mean(0, keepdims=True)
        self.apertures = moved_aperture(wave.astype(np.float32), self.tilts)
        self.floor = FLOOR * measurement.mean_intensity / n**2
        self.basis = self._basis(wavelength(energy), wave)
        self.asked = asked_pixels(n, radius - 0.5, self.tilts, pixels)
        if patterns.mask is not None:
            self.asked = self.asked * (amplitudes >= 0)
        extent = np.hypot(*np.ptp(self.grid, axis=1))
        self.size = math.ceil(extent / min(self.sampling)) + n + 4
        self.object = np.ones((self.size, self.size), np.complex64)
        self.energy = float((self.counts * self.asked).sum(dtype=np.float64))
        if not self.energy > 0:
            raise InsufficientData(
                "no counts lie in the detector pixels that a coarse reconstruction asks, inside and outside of the "
                "aperture's rim; use less binning, or check semiangle and q_pixel."
            )
        noise = 0.25 * float(self.asked.mean(0).sum()) * len(chosen) / self.energy
        self.noise = noise if noise < 0.5 else 0.0  # share that counting leaves; more than that, and it is no counts
        self.loss = math.inf
        self.parts = [np.arange(i, min(i + PORTION, len(chosen))) for i in range(0, len(chosen), PORTION)]

    def _basis(self, lam: float, wave: np.ndarray) -> np.ndarray:
        """The functions of the coefficients (P, J or 1, n, n), less their slope, which only moves the probe."""
        weight = wave.astype(float) ** 2
        still = np.stack(polynomials(self.terms, (self.k[0] + 1j * self.k[1]).astype(complex), lam))
        slopes = np.einsum("pyx,lyx,yx->pl", still, self.k, weight) / (weight * self.k**2).sum((1, 2))
        moves = self.tilts / (self.n * np.array(self.sampling))  # 1/A
        k = self.k[:, None] - moves.T[:, :, None, None]
        raw = np.stack(polynomials(self.terms, (k[0] + 1j * k[1]).astype(complex), lam))
        return (raw - np.einsum("pl,ljyx->pjyx", slopes, k)).astype(np.float32)

    # ------------------------------------------------------------------ one round

    def update(
        self, values: np.ndarray, rotation: float, transpose: bool, free: np.ndarray, inner: int = 6
    ) -> np.ndarray:
        """One damped Gauss-Newton step of the object and of the optics that are free.

        Parameters
        ----------
        values : ndarray (P,)
            Coefficients in A.
        rotation : float
            Degrees.
        free : ndarray (P + 1,) bool
            Which coefficients, and whether the rotation, may change.
        inner : int
            Steps of conjugate gradients.

        Returns
        -------
        ndarray (P + 1,)
            What to add to the coefficients (A) and to the rotation (rad); the object has been changed.
        """
        with WorkerPool(name="ptywidgets-coarse") as self._pool:
            self._linearise(values, rotation, transpose, free)
            turned = self._turned(transpose) if free[-1] else None
            if turned is not None:
                self.columns[-1] += self._forward(turned)
            change, moves = self._solve(inner)
        step = np.zeros(len(free))
        step[free] = moves
        self.object += change
        if turned is not None:
            self.object += np.complex64(step[-1]) * turned
        return step

    def phase(self) -> np.ndarray:
        """Phase (Y, X) in rad of the object, detector frame, and NaN where it is poorly illuminated."""
        lit = ndimage.uniform_filter(self.lit, 5) > 0.3 * np.quantile(self.lit, 0.95)
        return np.where(lit, np.angle(self.object * np.exp(-1j * np.angle(self.object[lit].mean()))), np.nan)

    # ------------------------------------------------------------------ inside

    def _map(self, task: Callable[[np.ndarray], Any]) -> list[Any]:
        try:
            futures = [self._pool.submit(task, part) for part in self.parts]
        except RuntimeError:  # no pool takes work once the main thread has ended, and other threads go on
            return [task(part) for part in self.parts]
        return [future.result() for future in futures]

    def _patches(self, field: np.ndarray, part: np.ndarray) -> np.ndarray:
        n = self.n
        return np.stack([field[y : y + n, x : x + n] for y, x in self.corners[part]])

    def _linearise(self, values: np.ndarray, rotation: float, transpose: bool, free: np.ndarray) -> None:
        n, count = self.n, len(self.counts)
        y, x = unrotate_vectors(self.grid, rotation, transpose)
        velocity = np.stack([x, -y] if not transpose else [-x, y], axis=1).astype(np.float32)  # A per rad
        places = np.stack([y / self.sampling[0], x / self.sampling[1]], axis=1) + self.size / 2
        whole = np.rint(places).astype(int)
        self.corners = whole - n // 2
        spectra = self.apertures * np.exp(-1j * np.tensordot(values.astype(np.float32), self.basis, 1))
        ramps = [_ramps(places[:, i] - whole[:, i] + n // 2, -np.fft.fftfreq(n)) for i in (0, 1)]
        self.probes = np.empty((count, n, n), np.complex64)  # E
        self.turns = np.empty((count, n, n), np.complex64)  # u
        self.left = np.empty((count, n, n), np.float32)
        chosen = np.flatnonzero(free)
        self.columns = np.empty((len(chosen), count, n, n), np.float32)

        def work(part: np.ndarray) -> np.ndarray:
            moved = _of(spectra, part) * ramps[0][part][:, :, None] * ramps[1][part][:, None, :]
            patch = self._patches(self.object, part)
            probe = sfft.ifft2(moved, norm="ortho")
            far = sfft.fft2(probe * patch, norm="ortho")
            expected = far.real**2 + far.imag**2
            weight = _of(self.asked, part) / np.sqrt(expected + np.float32(self.floor))
            turn = far.conj() * weight
            self.probes[part], self.turns[part] = probe, turn
            self.left[part] = (self.counts[part] - expected) * (weight / 2)
            for place, index in enumerate(chosen):
                if index < len(self.terms):
                    slope = moved * _of(self.basis[index], part)
                else:
                    v = velocity[part][:, :, None, None]
                    slope = moved * ((2 * np.pi) * (v[:, 0] * self.k[0] + v[:, 1] * self.k[1]))
                wave = sfft.fft2(
                    sfft.ifft2(slope, norm="ortho", overwrite_x=True) * patch, norm="ortho", overwrite_x=True
                )
                self.columns[place, part] = (turn * wave).imag  # the factor -i of the derivative
            return self._paste(np.abs(probe) ** 2, part)

        self.lit = sum(self._map(work))
        self.loss = float((self.left**2).sum(dtype=np.float64)) / self.energy

    def _paste(self, windows: np.ndarray, part: np.ndarray) -> np.ndarray:
        n = self.n
        out = np.zeros((self.size, self.size), windows.dtype)
        for window, (y, x) in zip(windows, self.corners[part], strict=True):
            out[y : y + n, x : x + n] += window
        return out

    def _turned(self, transpose: bool) -> np.ndarray:
        """Derivative of the object by the rotation, when it turns with the scan."""
        y, x = (np.arange(self.size, dtype=np.float32) - self.size / 2 for _ in range(2))
        gy, gx = (np.gradient(self.object, axis=a).astype(np.complex64) for a in (0, 1))
        tall = np.float32(self.sampling[0] / self.sampling[1])  # of a pixel, over its width
        out = y[:, None] * tall * gx - x[None, :] / tall * gy
        return -out if transpose else out

    def _forward(self, change: np.ndarray) -> np.ndarray:
        out = np.empty_like(self.left)

        def work(part: np.ndarray) -> None:
            wave = sfft.fft2(self.probes[part] * self._patches(change, part), norm="ortho", overwrite_x=True)
            out[part] = (self.turns[part] * wave).real

        self._map(work)
        return out

    def _adjoint(self, left: np.ndarray) -> np.ndarray:
        def work(part: np.ndarray) -> np.ndarray:
            wave = sfft.ifft2(self.turns[part].conj() * left[part], norm="ortho", overwrite_x=True)
            wave *= self.probes[part].conj()
            return self._paste(wave, part)

        return sum(self._map(work))

    def _solve(self, inner: int) -> tuple[np.ndarray, np.ndarray]:
        """Preconditioned conjugate gradients on the joint normal equations."""
        flat = self.columns.reshape(len(self.columns), self.left.size)
        square = (flat @ flat.T).astype(float)
        scale = np.sqrt(np.diag(square)).clip(1e-30)
        inverse = np.linalg.pinv(square / np.outer(scale, scale)) / np.outer(scale, scale)
        damping = np.float32(DAMPING * self.lit.max())
        weight = 0.5 * self.lit + damping
        rest, rest_p = self._adjoint(self.left), (flat @ self.left.ravel()).astype(float)
        change, moves = np.zeros_like(rest), np.zeros(len(flat))
        z, z_p = rest / weight, inverse @ rest_p
        way, way_p = z, z_p
        size = _dot(rest, z) + float(rest_p @ z_p)
        for _ in range(inner):
            check_stop()
            seen = self._forward(way)
            if len(flat):
                seen += np.tensordot(way_p.astype(np.float32), self.columns, 1)
            back, back_p = self._adjoint(seen) + damping * way, (flat @ seen.ravel()).astype(float)
            step = size / (_dot(way, back) + float(way_p @ back_p))
            change, moves = change + np.float32(step) * way, moves + step * way_p
            rest, rest_p = rest - np.float32(step) * back, rest_p - step * back_p
            z, z_p = rest / weight, inverse @ rest_p
            new = _dot(rest, z) + float(rest_p @ z_p)
            way, way_p = z + np.float32(new / size) * way, z_p + new / size * way_p
            size = new
        return change, moves


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b).real)


def _of(values: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The values of some positions, of an array (J, n, n), or (1, n, n) where all have the same."""
    return values if len(values) == 1 else values[part]


def _ramps(moves: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    return np.exp(2j * np.pi * moves[:, None] * slopes).astype(np.complex64)
