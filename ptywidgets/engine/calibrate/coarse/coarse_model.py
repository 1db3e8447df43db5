"""A small reconstruction whose unknowns are the object, the aberrations and the rotation together.

See :mod:`.linearised` for how object and optics are solved for jointly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.calibrate.coarse.coarse_block import Cut, deflected_block, moved_aperture, require_counts
from ptywidgets.engine.calibrate.coarse.linearised import REACH, LinearisedBlock, Part
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.engine.optics.chi_terms import polynomials
from ptywidgets.engine.optics.probe import Optics, make_aperture
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import unrotate_vectors

STILL = 0.01  # detector pixels; patterns that move less are taken to lie still


class CoarseModel(LinearisedBlock):
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
        cut = Cut.about(aperture, measurement.sampling, REACH)
        chosen, self.grid = deflected_block(measurement, side)
        shifts, mean_intensity = measurement.shifts[chosen], measurement.mean_intensity
        self._look_at(cut, measurement.patterns, chosen, shifts, STILL, mean_intensity)
        require_counts(self.energy, "a coarse reconstruction asks")
        self.parts = [np.arange(len(chosen))[part] for part in self.parts]
        self.terms = tuple(terms)
        wave = cut.of(aperture) * math.sqrt(mean_intensity)
        self.apertures = moved_aperture(wave.astype(np.float32), self.tilts)
        self.basis = self._basis(wavelength(energy), wave)
        extent = np.hypot(*np.ptp(self.grid, axis=1))
        self.size = math.ceil(extent / min(self.sampling)) + cut.n + 4
        self.object: np.ndarray = np.ones((self.size, self.size), np.complex64)
        noise = 0.25 * float(self.asked.mean(0).sum()) * len(chosen) / self.energy
        self.noise = noise if noise < 0.5 else 0.0  # share that counting leaves; more than that, and it is no counts

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

    def _linearise(self, values: np.ndarray, rotation: float, transpose: bool, free: np.ndarray) -> None:
        y, x = unrotate_vectors(self.grid, rotation, transpose)
        velocity = np.stack([x, -y] if not transpose else [-x, y], axis=1).astype(np.float32)  # A per rad
        places = np.stack([y / self.sampling[0], x / self.sampling[1]], axis=1) + self.size / 2
        whole = np.rint(places).astype(int)
        self.corners = whole - self.n // 2
        spectra = self.apertures * np.exp(-1j * np.tensordot(values.astype(np.float32), self.basis, 1))
        basis = [self.basis[index] for index in np.flatnonzero(free[:-1])]
        away = places - whole + self.n // 2
        self._linearise_about(self.object, spectra, away, basis, [(velocity, None)] if free[-1] else [])

    def _turned(self, transpose: bool) -> np.ndarray:
        """Derivative of the object by the rotation, when it turns with the scan."""
        y, x = (np.arange(self.size, dtype=np.float32) - self.size / 2 for _ in range(2))
        gy, gx = (np.gradient(self.object, axis=a).astype(np.complex64) for a in (0, 1))
        tall = np.float32(self.sampling[0] / self.sampling[1])  # of a pixel, over its width
        out = y[:, None] * tall * gx - x[None, :] / tall * gy
        return -out if transpose else out

    # ------------------------------------------------------------------ how it is added up: on all processors

    def _each(self, task: Callable[[Part], Any]) -> list[Any]:
        try:
            futures = [self._pool.submit(task, part) for part in self.parts]
        except RuntimeError:  # no pool takes work once the main thread has ended, and other threads go on
            return super()._each(task)
        return [future.result() for future in futures]

    def _pasted(self, windows: Callable[[Part], np.ndarray], dtype: Any) -> np.ndarray:
        def work(part: Part) -> np.ndarray:
            out = np.zeros((self.size, self.size), dtype)
            self._paste(windows(part), part, out)
            return out

        return sum(self._each(work))

    def _products(self, columns: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(columns @ other.T).astype(float)

    def _add_columns(self, seen: np.ndarray, numbers: np.ndarray) -> None:
        if len(numbers):
            seen += np.tensordot(numbers, self.columns, 1)

    def _dot(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(np.vdot(a, b).real)
