"""Short reconstructions of a block of the scan at many orientations and aberrations at once, to see which fit best.

Each trial is a few sweeps of the ptychographical iterative engine over the block, from an empty potential that stays
positive (ePIE: Maiden and Rodenburg, Ultramicroscopy 109, 1256, 2009). What is told of it is by how much every
pattern was off when it was visited last, before it was used: a pattern that has been seen once or twice is predicted
mostly by its neighbours, and these agree only where orientation and aberrations are right. The well about the truth is
wide, some 8 degrees and 12 % of the defocus, and its middle is sharp; more sweeps fit each pattern by itself and fill
the well up. Where counts are few, steps are shorter, for noise to be averaged. All trials visit a position together:
one transform and one product serve dozens of them.

A probe that fits half of the window needs half of the detector's resolution: where many points are looked at, those
whose probe does are tried with the detector binned by two, in a fifth of the time. The counts that a trial explains are
nearly the same then (correlated by 0.98 over the points of a grid, times 0.7 to 1.4 in most data); by how much they
differ is measured on the best of the points.

Detector pixels at the rim of the aperture and near the cut are not asked, see :mod:`.coarse_block`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.backends.kernels.kernels import load_kernels
from ptywidgets.engine.backends.transforms import load_transform
from ptywidgets.engine.calibrate.coarse.coarse_block import Cut, deflected_block, require_counts
from ptywidgets.engine.core.stopping import stop_check
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.core.workers import WorkerPool, worker_count
from ptywidgets.engine.optics.aberrations import Aberrations, chi
from ptywidgets.engine.optics.chi_terms import polynomials
from ptywidgets.engine.optics.probe import Optics, make_aperture
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.rotation import unrotate_vectors

REACH = 1.75  # in radii of the aperture: what is scattered farther says little of the probe
PARTS = 4  # of an object pixel: probes are placed to the nearest of them
STILL = 0.05  # detector pixels; a smaller rest of the origin is left as it is
SHORTEST = 0.2  # step, of the full one
PROBE_BYTES = 12_000_000  # of the probes that a thread keeps for its trials
MOST = 32  # trials that share a visit
WIDEST = 0.9  # of the window, that a probe may fill
WINDOW = 80  # pixels on a side; a block of larger windows has fewer positions where it may
BINNED = 28  # pixels on a side that a binned detector has at least
GAUGED, GAINS = 24, (0.5, 2.0)  # of the best points, tried with both detectors; what is explained, one over the other


@dataclass(frozen=True, eq=False)
class Points:
    """Where trials are made: K orientations with K sets of aberrations."""

    rotation: np.ndarray  # (K,) degrees, detector to scan
    transpose: np.ndarray  # (K,) bool
    values: np.ndarray  # (K, P) A, of the coefficients that are varied

    def __len__(self) -> int:
        return len(self.rotation)

    def take(self, indices: np.ndarray | slice | list[int]) -> Points:
        """Some of them."""
        return Points(self.rotation[indices], self.transpose[indices], self.values[indices])

    def each(self) -> Iterator[Points]:
        """One after the other."""
        return (self.take([i]) for i in range(len(self)))

    def turned(self) -> Points:
        """The other reading of each: 180 degrees on, with the opposite of all aberrations."""
        return replace(self, rotation=self.rotation + 180.0, values=-self.values)

    def exchanged(self, terms: Sequence[str]) -> Points:
        """Return what defocuses and astigmatisms look like with the other transpose.

        A beam at the detector's k (row + i column) moves its image by C10 k + C12 conj(k), with C12 = C12a + i C12b.
        Read with rows and columns exchanged, and turned by 90 degrees less the direction of C12 or the opposite, the
        same movements have |C12| for the defocus, and for the astigmatism C10 in the direction of C12. Only the signs
        of the contrast tell the two apart, and both are likely where neither coefficient is much the larger.

        Parameters
        ----------
        terms : sequence of str
            Names of the values, "C10", "C12a" and "C12b" among them; coma is left out.

        Examples
        --------
        >>> terms = ("C10", "C12a", "C12b")
        >>> one = Points(np.array([30.0]), np.array([False]), np.array([[-150.0, 0.0, 200.0]]))
        >>> other = one.exchanged(terms)
        >>> float(other.rotation[0]), bool(other.transpose[0]), [round(v) for v in other.values[0]]
        (30.0, True, [200, 0, -150])
        >>> bool(np.allclose(other.exchanged(terms).values, -one.values))  # which is the other reading of the first
        True
        """
        place = {name: list(terms).index(name) for name in ("C10", "C12a", "C12b")}
        c10 = self.values[:, place["C10"]]
        c12 = self.values[:, place["C12a"]] + 1j * self.values[:, place["C12b"]]
        turn = np.degrees(np.angle(c12)) - 90.0
        values = np.zeros_like(self.values)
        values[:, place["C10"]] = np.abs(c12)
        astigmatism = c10 * np.exp(1j * np.angle(c12))
        values[:, place["C12a"]], values[:, place["C12b"]] = astigmatism.real, astigmatism.imag
        return Points(self.rotation + np.where(self.transpose, -turn, turn), ~self.transpose, values)

    @staticmethod
    def joined(parts: Sequence[Points]) -> Points:
        """All of some, one after the other."""
        return Points(
            np.concatenate([p.rotation for p in parts]),
            np.concatenate([p.transpose for p in parts]),
            np.concatenate([p.values for p in parts]),
        )


class Trials:
    """A block of the scan, ready to be reconstructed many times.

    Parameters
    ----------
    measurement : Measurement
        Its rotation is not used.
    optics : Optics
        For the aperture, and for aberrations that are not varied.
    terms : sequence of str
        Cartesian names of the coefficients that are varied, such as "C10", "C12a".
    side : int
        Positions on a side of the block, which lies where the patterns are deflected most.
    reach : float
        Half the side of the detector that is kept, in radii of the aperture.
    seed : int
        Of the order in which the positions are visited.
    binning : int
        Detector pixels, along both axes, that are taken together.
    rough : bool
        Whether :meth:`errors` is going to be asked for rough ones.
    least : int, optional
        Positions on a side where windows are larger than :data:`WINDOW`, which cost more and overlap more: fewer in
        proportion, and not less than these. By default `side`, whatever they cost.

    Raises
    ------
    InsufficientData
        Where the detector has fewer than 4 x 4 pixels, or no counts lie where the trials look.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.preprocess import prepare
    >>> dataset = samples.ducky("tiny")
    >>> trials = Trials(prepare(dataset), Optics.from_dataset(dataset), side=8)
    >>> points = Points(np.array([-15.0, 75.0]), np.zeros(2, bool), np.array([[-240.0], [-240.0]]))  # C10, A
    >>> right, wrong = trials.errors(points).mean(1)
    >>> bool(right < 0.8 * wrong)
    True
    """

    def __init__(
        self,
        measurement: Measurement,
        optics: Optics,
        terms: Sequence[str] = ("C10",),
        side: int = 11,
        reach: float = REACH,
        seed: int = 0,
        binning: int = 1,
        rough: bool = False,
        least: int | None = None,
    ) -> None:
        energy = measurement.calibration.require("energy")
        shape = measurement.patterns.shape[-2:]
        aperture = make_aperture(optics, shape, measurement.sampling, energy)
        cut = Cut.about(aperture, measurement.sampling, reach, 2 * binning)
        n, self.terms = cut.n, tuple(terms)
        self.n = n // binning
        if least is not None:
            side = min(side, max(least, side * WINDOW // n))
        self.side = side
        self.chosen, self.grid = deflected_block(measurement, side)
        amplitudes = measurement.patterns.crop((n, n)).amplitudes(self.chosen)
        shifts = np.asarray(measurement.shifts, float)[self.chosen]
        asked = cut.asked(shifts) > 0
        self.amplitudes = _binned(np.where(asked, amplitudes, np.float32(-1)).astype(np.float32), binning)
        self.energies = (self.amplitudes.clip(0) ** 2).sum((1, 2), dtype=np.float64)
        self.counts = float(self.energies.mean())
        require_counts(self.counts, "trial reconstructions ask")
        self.sampling, (ky, kx) = cut.sampling, _bins(cut.k, binning).mean((-3, -1))
        wave = _binned(cut.of(aperture) * math.sqrt(measurement.mean_intensity), binning)
        held = {k: v for k, v in optics.aberrations.cartesian.items() if v and k not in self.terms}
        phase = chi(Aberrations(**held), ky, kx, energy)
        self.wave = wave * np.exp(-1j * phase)
        self.basis = np.stack(polynomials(self.terms, ky + 1j * kx, wavelength(energy)))
        # The most that the phase of each, and of what is held, changes from one pixel of the aperture to the next.
        self.turns = np.array([_steepest(p, wave > 0.5 * wave.max()) for p in (*self.basis, phase)])
        # A ramp tears apart what of a probe reaches beyond the window's edge: where a window is as small as can be, the
        # rest of the origin, half a detector pixel at most, does less harm.
        self.ramps = _ramps(shifts, n) if binning == 1 and np.abs(shifts).max() > STILL else None
        self.size = math.ceil(np.hypot(*np.ptp(self.grid, axis=1)) / min(self.sampling)) + self.n + 4
        self.order = np.random.default_rng(seed).permutation(len(self.chosen))
        self._kernels, self._transform = load_kernels(), load_transform()
        # What an empty object leaves, and what of it counting leaves: 1/4 for a root, less where counts are rare.
        expected, seen = np.abs(self.wave) ** 2, self.amplitudes >= 0
        energy_seen = float(self.energies.sum())
        nothing = np.where(seen, (self.amplitudes - np.sqrt(expected)) ** 2, 0).sum(dtype=np.float64)
        self.nothing = float(nothing) / energy_seen
        noise = np.where(seen, np.minimum(0.25, expected), 0).sum() / energy_seen if self._counted(amplitudes) else 0.0
        self.noise = float(noise)
        structure = max(0.0, self.nothing - self.noise)
        self.step = max(SHORTEST, math.sqrt(structure / max(self.nothing, 1e-30)))
        self.gain = 1.0  # what is explained of the counts, over what the binned detector says
        self.binned: Trials | None = None
        if rough and n // 2 >= BINNED:
            self.binned = Trials(measurement, optics, terms, side, reach, seed, binning=2)

    @staticmethod
    def _counted(amplitudes: np.ndarray) -> bool:
        """Whether they are roots of whole counts, which have noise, and not of scaled or simulated intensities."""
        counts = amplitudes[:: max(1, len(amplitudes) // 4)].astype(np.float64).clip(0) ** 2
        counts = counts[(counts > 0) & (counts < 1e4)]  # of more, roots in single precision do not tell
        return bool(len(counts)) and float(counts.min()) > 0.9 and float(np.abs(counts - np.rint(counts)).max()) < 0.01

    def __len__(self) -> int:
        return len(self.chosen)

    def holds(self, points: Points) -> np.ndarray:
        """(K,) whether the window holds the probes: no phase may turn by more than half a turn within a pixel."""
        return np.abs(points.values) @ self.turns[:-1] + self.turns[-1] <= WIDEST * math.pi

    def fit_binned(self, points: Points) -> np.ndarray:
        """(K,) whether points may be tried with the binned detector."""
        return np.zeros(len(points), bool) if self.binned is None else self.binned.holds(points)

    def gauge(self, points: Points, errors: np.ndarray, sweeps: int) -> np.ndarray:
        """Rough errors (K,) of points, where the best of them have been tried again as they are.

        All that were tried with the binned detector explain as much more, or less, as the best :data:`GAUGED` of them
        do without binning.
        """
        if self.binned is None:
            return errors
        rough = np.flatnonzero(self.fit_binned(points))
        best = rough[np.argsort(errors[rough], kind="stable")[:GAUGED]]
        explained, exactly = self.nothing - errors, self.errors(points.take(best), sweeps).mean(1)
        said = max(float((explained[best] ** 2).sum()), 1e-30)
        gain = float(np.clip(explained[best] @ (self.nothing - exactly) / said, *GAINS))
        self.gain *= gain
        out = errors.copy()
        out[rough] = self.nothing - gain * explained[rough]
        out[best] = exactly
        return out

    def errors(self, points: Points, sweeps: int = 3, rough: np.ndarray | None = None) -> np.ndarray:
        """By how much every pattern is off at the end of the trials.

        Parameters
        ----------
        points : Points
            K of them, with values of this object's `terms`.
        sweeps : int
            Visits to every position; errors are those of the last.
        rough : ndarray (K,) of bool, optional
            Which are tried with the binned detector, of those that :meth:`fit_binned`.

        Returns
        -------
        ndarray (K, J)
            Squared difference of amplitudes over the counts, of each of the J positions of the block.
        """
        if rough is not None and rough.any() and self.binned is not None:
            out = np.empty((len(points), len(self)))
            out[~rough] = self.errors(points.take(~rough), sweeps)
            left = self.binned.errors(points.take(rough), sweeps)
            out[rough] = self.nothing - self.gain * self.binned.counts / self.counts * (self.binned.nothing - left)
            return out
        if not len(points):
            return np.empty((0, len(self)))
        most = max(1, min(MOST, PROBE_BYTES // (8 * (PARTS * self.n) ** 2)))
        rounds = math.ceil(len(points) / (most * worker_count()))
        most = math.ceil(
            len(points) / (rounds * worker_count())
        )  # of equal parts no thread has one more than the others
        parts = [points.take(slice(i, i + most)) for i in range(0, len(points), most)]
        check = stop_check()
        if len(parts) == 1:
            return self._errors(parts[0], sweeps, check)
        with WorkerPool(name="ptywidgets-trials") as pool:
            try:
                futures: list[Future[np.ndarray]] = [pool.submit(self._errors, part, sweeps, check) for part in parts]
            except RuntimeError:  # no pool takes work once the main thread has ended, and other threads go on
                return np.concatenate([self._errors(part, sweeps, check) for part in parts])
            return np.concatenate([future.result() for future in futures])

    def _errors(self, points: Points, sweeps: int, check: Callable[[], None]) -> np.ndarray:
        count, n = len(points), self.n
        whole, part = self._places(points)
        probes, brightest = self._probes(points)
        potential = np.zeros((count * self.size, self.size), np.float32)  # one object below the other
        field = np.ones(potential.shape, np.complex64)
        far, waves = (np.empty((count, 1, n, n), np.complex64) for _ in range(2))
        measured = np.empty((count, n, n), np.float32)
        one, each = np.ones((n, n), np.float32), np.arange(count)
        step = (self.step / brightest).astype(np.float32)[:, None, None, None]
        out = np.empty((count, len(self)))
        for sweep in range(sweeps):
            for j in self.order:
                check()
                corners = whole[:, j] + np.stack([each * self.size, 0 * each], axis=1)
                waves[:, 0] = probes[each, part[:, j, 0], part[:, j, 1]]
                if self.ramps is not None:
                    waves *= self.ramps[j]
                self._kernels.multiply_patches(waves, field, corners, far)
                far = self._transform(far, True, 1)
                measured[:] = self.amplitudes[j]
                self._kernels.modulus(far, measured)
                if sweep == sweeps - 1:
                    left = far.view(np.float32).reshape(count, -1)
                    out[:, j] = np.einsum("ki,ki->k", left, left)
                far = self._transform(far, False, 1)
                far *= step
                self._kernels.correct_phase(potential, field, corners, waves, far, one)
            if sweep < sweeps - 1:
                np.maximum(potential, 0, out=potential)
                self._kernels.phase_factor(potential, field)
        return out / self.counts

    def _places(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """First pixels of the windows (K, J, 2), and which part of a pixel the probes are moved by."""
        places = np.empty((len(points), len(self), 2))
        for index, (rotation, transpose) in enumerate(zip(points.rotation, points.transpose, strict=True)):
            y, x = unrotate_vectors(self.grid, float(rotation), bool(transpose))
            places[index] = np.stack([y / self.sampling[0], x / self.sampling[1]], axis=1)
        nearest = np.rint(PARTS * (places + self.size / 2)).astype(np.int64)
        return nearest // PARTS - self.n // 2, nearest % PARTS

    def _probes(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Probes (K, PARTS, PARTS, n, n), moved by parts of a pixel, and the most intensity of each (K,)."""
        n = self.n
        spectra = (self.wave * np.exp(-1j * np.tensordot(points.values, self.basis, 1))).astype(np.complex64)
        k = np.fft.fftfreq(n)
        moves = [np.exp(-2j * np.pi * k * (n // 2 + part / PARTS)).astype(np.complex64) for part in range(PARTS)]
        probes = np.empty((len(points), PARTS, PARTS, n, n), np.complex64)
        for row, down in enumerate(moves):
            for column, right in enumerate(moves):
                probes[:, row, column] = self._transform(spectra * (down[:, None] * right), False, 1)
        return probes, (np.abs(probes[:, 0, 0]) ** 2).max((1, 2))


def _bins(values: np.ndarray, binning: int) -> np.ndarray:
    """(..., n/b, b, n/b, b) of an array (..., n, n), corner-centred, of n a multiple of 2 b."""
    *leading, n, _ = values.shape
    return values.reshape(*leading, n // binning, binning, n // binning, binning)


def _binned(amplitudes: np.ndarray, binning: int) -> np.ndarray:
    """Amplitudes of the counts of squares of pixels; -1 where one of the pixels is -1, that is not asked."""
    parts = _bins(amplitudes, binning)
    whole = np.sqrt((parts**2).sum((-3, -1)))
    return np.where(parts.min((-3, -1)) < 0, parts.dtype.type(-1), whole)


def _steepest(phase: np.ndarray, inside: np.ndarray) -> float:
    """The largest difference of an array (n, n), corner-centred, between neighbours that are both inside."""
    phase, inside = np.fft.fftshift(phase), np.fft.fftshift(inside)
    down = np.abs(np.diff(phase, axis=0))[inside[1:] & inside[:-1]]
    along = np.abs(np.diff(phase, axis=1))[inside[:, 1:] & inside[:, :-1]]
    return float(max(down.max(initial=0.0), along.max(initial=0.0)))


def _ramps(shifts: np.ndarray, n: int) -> np.ndarray:
    """(J, n, n) what a wave is multiplied with for its pattern to move by parts of a detector pixel."""
    r = (np.arange(n) - n // 2) / n
    phase = 2 * np.pi * (shifts[:, :1, None] * r[:, None] + shifts[:, 1:, None] * r)
    return np.exp(1j * phase).astype(np.complex64)


__all__ = ["Points", "Trials"]
