"""Object, lens and scan solved for together, on a block of the scan: what a single step of each hides from the others.

An object that was reconstructed with a wrong scan or lens fits it, and then resists: a step of the scan alone, with
the object as it is, is up to some hundred times too short. So the Gauss-Newton equations are solved for the
object and for all numbers of lens and scan at once; see :mod:`~ptywidgets.engine.calibrate.coarse.linearised`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.calibrate.coarse.coarse_block import Cut, deflected_block, moved_aperture
from ptywidgets.engine.calibrate.coarse.linearised import REACH, LinearisedBlock
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.chi_terms import polynomials
from ptywidgets.engine.optics.probe import frequencies
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements import affine

MAPS = dict(zip(("scale", "rotation", "stretch", "shear"), affine.MAPS, strict=True))
STILL = 0.05  # detector pixels; patterns that move less are taken to lie still
FIRST, INNER = 6, 6  # steps of conjugate gradients: of the object alone at first, and of all together
FARTHEST = 0.03  # rad, and share of the scan: a longer step is shortened, as what is linearised holds no farther
LIT = 0.3  # of the brightest: what is illuminated well enough to be looked at
PEAKED = 0.5  # skewness of a phase that has peaks to one side; of atoms it is 1 to 2
FARTHEST_CHI = 1.5  # rad rms, likewise


@dataclass(frozen=True)
class Offsets:
    """How far lens and scan are from where they began."""

    aberrations: dict[str, float]  # A, Cartesian, to be added
    affine: np.ndarray  # (2, 2): positions about the middle of the scan are to be multiplied by it, detector frame
    aperture: float = 1.0  # by which the aperture's radius is to be multiplied
    pixel: float = 1.0  # by which the width of a detector pixel is to be multiplied

    @property
    def rotation(self) -> float:
        """Degrees by which positions turn in the detector frame, from rows towards columns."""
        u, _, v = np.linalg.svd(self.affine)
        turned = u @ v
        return math.degrees(math.atan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1]))

    @property
    def scale(self) -> float:
        """By which the scan grows."""
        return math.sqrt(abs(float(np.linalg.det(self.affine))))

    def only(self, aberrations: bool, rotation: bool, scale: bool) -> Offsets:
        """Of these what is asked for, and nothing else.

        Examples
        --------
        >>> less = Offsets({"C10": 5.0}, 1.1 * np.eye(2)).only(False, True, True)
        >>> less.aberrations, round(less.scale, 3)
        ({}, 1.1)
        """
        angle = math.radians(self.rotation) if rotation else 0.0
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        return Offsets(
            self.aberrations if aberrations else {}, (self.scale if scale else 1.0) * turn, self.aperture, self.pixel
        )

    def applied(self, problem: Problem) -> np.ndarray:
        """The initial probe (M, Ny, Nx) of a problem with these aberrations in addition."""
        if not any(self.aberrations.values()):
            return problem.initial_probe
        ky, kx = frequencies(problem.window, problem.sampling)
        lam = wavelength(problem.measurement.calibration.require("energy"))
        shapes = polynomials(tuple(self.aberrations), ky + 1j * kx, lam)
        chi = sum(value * shape for value, shape in zip(self.aberrations.values(), shapes, strict=True))
        probe = sfft.ifft2(sfft.fft2(problem.initial_probe.astype(np.complex128)) * np.exp(-1j * chi))
        return probe.astype(np.complex64)


class JointFit(LinearisedBlock):
    """A small problem about one block of the scan; :meth:`update` makes its numbers better.

    Parameters
    ----------
    problem : Problem
        Of a thin specimen and one coherent probe.
    terms : sequence of str
        Aberrations to be found, by Cartesian names.
    maps : sequence of str
        Of :data:`MAPS`.
    side : int
        Positions on a side of the block, which lies where the patterns are deflected most.
    begin : Offsets, optional
        Where to begin, of the same terms; by default at none.
    """

    def __init__(
        self,
        problem: Problem,
        terms: Sequence[str],
        maps: Sequence[str] = tuple(MAPS),
        side: int = 9,
        begin: Offsets | None = None,
    ) -> None:
        self.terms, self.maps = tuple(terms), tuple(maps)
        spectrum = sfft.fft2(problem.initial_probe[0], norm="ortho")
        cut = self.cut(problem)
        chosen = _block(problem, side)
        on_host = problem.patterns if problem.backend.name == "cpu" else problem.measurement.patterns
        self._look_at(cut, on_host, chosen, problem.measurement.shifts[chosen], STILL, problem.mean_intensity)
        wave = cut.of(spectrum)
        self.spectra = _moved(wave, self.tilts)
        power = np.abs(wave) ** 2
        self.power = power / power.sum()
        self.basis = self._basis(wavelength(problem.measurement.calibration.require("energy")))
        places = problem.initial_positions[chosen]
        self.places = places - (places.max(0) + places.min(0)) / 2  # A
        extent = float(np.hypot(*np.ptp(self.places, axis=0))) * 1.1
        self.size = math.ceil(extent / min(self.sampling)) + cut.n + 4
        self.lossless = problem.model.specimen.lossless
        kind = np.float32 if self.lossless else np.complex64
        self.object = np.zeros((self.size, self.size), kind) if self.lossless else np.ones((self.size, self.size), kind)
        self.affine = np.eye(2) if begin is None else begin.affine.copy()
        self.values = np.array([0.0 if begin is None else begin.aberrations[name] for name in self.terms])

    @staticmethod
    def cut(problem: Problem) -> Cut:
        """Detector pixels that are looked at."""
        return Cut.about(np.abs(sfft.fft2(problem.initial_probe[0])), problem.sampling, REACH)

    @property
    def chi(self) -> np.ndarray:
        """By what chi has been changed (n n,), rad, times the root of the aperture's power, of which the sum is 1: no
        constant and no slope, which only moves the probe."""
        if not self.terms:
            return np.zeros(1)
        return np.ravel(np.sqrt(self.power) * _sum(self.values, self.plain))

    @property
    def offsets(self) -> Offsets:
        """What has been found."""
        return Offsets(dict(zip(self.terms, self.values.tolist(), strict=True)), self.affine.copy())

    def update(self, free: bool = True, inner: int = INNER) -> None:
        """One damped Gauss-Newton step, of the object and, where `free`, of everything else."""
        self._linearise(free)
        change, moves = self._solve(inner)
        if not free:
            self.object = self.object + change
            return
        step = self._shortened(moves)
        share = np.float32(np.linalg.norm(step) / max(np.linalg.norm(moves), 1e-300))
        self.object = self.object + change * share
        self.values = self.values + step[: len(self.terms)]
        maps = zip(step[len(self.terms) :], self.maps, strict=True)
        moved = sum((s * MAPS[m] for s, m in maps), np.zeros((2, 2)))
        self.affine = (np.eye(2) + moved) @ self.affine
        self._carry(moved)

    def peaks(self) -> tuple[float, bool]:
        """Skewness of the object's phase where it is lit, positive where atoms are bright; whether it is beyond chance,
        a few pixels to each independent value."""
        lit = self.lit > LIT * np.quantile(self.lit, 0.95)
        phase = self.object[lit] if self.lossless else np.angle(self.object[lit] / self.object[lit].mean())
        spread = float(phase.std())
        if not spread > 0:
            return 0.0, False
        skewness = float(((phase - phase.mean()) ** 3).mean()) / spread**3
        return skewness, abs(skewness) > max(PEAKED, 3 * math.sqrt(6 / max(1.0, phase.size / 16)))

    # ------------------------------------------------------------------ inside

    def _shortened(self, moves: np.ndarray) -> np.ndarray:
        count = len(self.terms)
        chi = _sum(moves[:count], self.plain) if count else np.zeros((1, 1))
        rms = math.sqrt(float((self.power * chi**2).sum()))
        longest = float(np.abs(moves[count:]).max(initial=0.0))
        return moves * min(1.0, FARTHEST_CHI / max(rms, 1e-300), FARTHEST / max(longest, 1e-300))

    def _basis(self, lam: float) -> np.ndarray:
        """The functions of the coefficients (P, 1, n, n), without constant, less their slope, which only moves the
        probe. What descan leaves is half a pixel at most, by which a small change of chi is hardly another one."""
        if not self.terms:
            self.plain = np.zeros((0, self.n, self.n))
            return np.zeros((0, 1, self.n, self.n), np.float32)
        k = self.k.astype(float)
        still = np.stack(polynomials(self.terms, k[0] + 1j * k[1], lam))
        means = np.einsum("pyx,yx->p", still, self.power)
        slopes = np.einsum("pyx,lyx,yx->pl", still, k, self.power) / (self.power * k**2).sum((1, 2))
        self.plain = still - means[:, None, None] - np.einsum("pl,lyx->pyx", slopes, k)
        return self.plain[:, None].astype(np.float32)

    def _linearise(self, free: bool) -> None:
        n = self.n
        moved = self.places @ self.affine.T
        places = moved / self.sampling + self.size / 2
        self.corners = (np.rint(places).astype(int) - n // 2).clip(0, self.size - n)
        self.transmission = np.exp(1j * self.object) if self.lossless else self.object
        spectra = self.spectra
        if self.values.any():
            spectra = spectra * np.exp(-1j * _sum(self.values, self.plain)).astype(np.complex64)
        maps = [MAPS[m] for m in self.maps] if free else []
        moves = [((moved @ m.T).astype(np.float32), self._carried(m)) for m in maps]
        basis = list(self.basis) if free else []
        self._linearise_about(self.transmission, spectra, places - self.corners, basis, moves)

    def _carried(self, matrix: np.ndarray) -> np.ndarray:
        """How the transmission changes when it is carried along by displacements matrix . r."""
        gy, gx = (np.gradient(self.transmission, s, axis=a) for a, s in enumerate(self.sampling))
        y, x = ((np.arange(self.size) - self.size / 2) * s for s in self.sampling)
        down, right = (a * y[:, None] + b * x[None] for a, b in matrix)
        return (-(down * gy + right * gx)).astype(np.complex64)

    def _carry(self, matrix: np.ndarray) -> None:
        """The object with what was at r at (1 + matrix) r."""
        pixel = self.sampling
        inverse = np.linalg.inv(np.eye(2) + matrix) * (pixel[None] / pixel[:, None])
        centre = np.full(2, self.size / 2)
        offset = centre - inverse @ centre

        def moved(image: np.ndarray) -> np.ndarray:
            return ndimage.affine_transform(image, inverse, offset, order=3, mode="nearest", output=np.float32)

        if self.lossless:
            self.object = moved(self.object)
        else:
            self.object = (moved(self.object.real) + 1j * moved(self.object.imag)).astype(np.complex64)

    def _forward(self, change: np.ndarray) -> np.ndarray:
        return super()._forward(1j * self.transmission * change if self.lossless else change)

    def _adjoint(self, left: np.ndarray) -> np.ndarray:
        out = super()._adjoint(left)
        return (self.transmission.conj() * out).imag if self.lossless else out


def _block(problem: Problem, side: int) -> np.ndarray:
    """Indices of the positions of a block, where the specimen deflects most."""
    known = problem.measurement
    if known.com_measured.ndim == 3 and len(known.scan_indices) == problem.count:
        return deflected_block(known, side)[0]
    distance = np.hypot(*(problem.initial_positions - np.median(problem.initial_positions, axis=0)).T)
    return np.sort(np.argsort(distance, kind="stable")[: side**2])


def _moved(wave: np.ndarray, tilts: np.ndarray) -> np.ndarray:
    """A spectrum (J or 1, n, n) moved by parts of a pixel: amplitudes as counts, and phases by their slopes."""
    amplitude = moved_aperture(np.abs(wave).astype(np.float32), tilts)
    turned = np.broadcast_to(np.angle(wave), amplitude.shape)
    for axis in (0, 1):
        slope = np.angle(np.roll(wave, -1, axis) * np.roll(wave, 1, axis).conj()) / 2
        turned = turned - tilts[:, axis, None, None] * slope
    return (amplitude * np.exp(1j * turned)).astype(np.complex64)


def _sum(numbers: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Shapes (P, n, n), each times its number, added up."""
    return np.asarray(sum(number * shape for number, shape in zip(numbers.tolist(), shapes, strict=True)))
