"""Single side bands and optimum bright field: the phase of a thin specimen by linear equations, with no iteration.

G(K, q) = sum_n i phi(Q_n) Gamma(K, Q_n): the scan folds all Q_n = q + n / step onto one frequency q, and the detector
tells them apart. Least squares over the pixels K, (Gamma* W Gamma + L) i phi = Gamma* W G, undoes the aberrations and
the folding at once, so that the image is as fine as the side bands reach, two aperture radii, however coarse the
scan. SSB weighs all pixels alike; where Q_n is taken alone it is the sum over side bands with their phases compensated
(Pennycook et al., Ultramicroscopy 151, 160 (2015)). OBF weighs by the counting noise and takes L from the data, noise
over signal: see :mod:`ptywidgets.engine.direct.sidebands.spectrum_prior` (after Ooe, Seki, Ikuhara and Shibata,
Ultramicroscopy 220, 113133 (2021), with a Wiener filter in place of the whitening, which leaves the phase in rad),
and takes off what a specimen adds that is not weak: see :mod:`ptywidgets.engine.direct.sidebands.real_part`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.errors import InsufficientData, ParameterError, look_up
from ptywidgets.engine.core.params import Parameter, check_options, counted
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.bright_field import BrightField, bright_field
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.direct.sidebands.folding import MOST_FOLDED, Equations, folded, normal_equations
from ptywidgets.engine.direct.sidebands.overlaps import Aperture, Overlaps, Table, fineness
from ptywidgets.engine.direct.sidebands.real_part import crossed, less_real_part, sparse
from ptywidgets.engine.direct.sidebands.spectrum_prior import Chunks, learnt, rising
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement

METHODS = ("ssb", "obf")
MOST_FINE = 8  # times finer than the scan, unless asked for more
AT_ONCE = 1e6  # bytes of data and equations that a thread works on at a time
SAMPLE = 96  # scan frequencies from which noise and signal are learnt
REACH = 0.98  # of two aperture radii; beyond, next to nothing overlaps


@dataclass(frozen=True)
class SideBands:
    """Scan spectra of the bright field, ready for images with any aberrations."""

    spectra: np.ndarray  # (F, K) complex64: G(K, q) over the intensity of the open aperture; q = 0 is left out
    index: np.ndarray  # (F, 2) row and column of q in the transform of the scan; half of its plane, strongest first
    mean: np.ndarray  # (K,) float32, of the images, over the intensity of the open aperture
    frame: BrightField  # without its images
    aperture: Aperture
    aberrations: Aberrations
    dose: float = 0.0  # electrons in a pixel of the open aperture, over the scan's mean; 0 where they are not counted
    tables: dict[int, Table] = field(default_factory=dict, repr=False)  # made once for each fineness

    @classmethod
    def prepare(cls, bright: BrightField, optics: Optics, whole: bool = False) -> SideBands:
        """Transform the bright field over the scan.

        Parameters
        ----------
        bright : BrightField
        optics : Optics
            Aperture and aberrations, those in the detector frame.
        whole : bool
            Keep pixels outside the aperture too, which only :func:`ptywidgets.engine.direct.wdd` makes use of.

        Examples
        --------
        >>> from ptywidgets import samples
        >>> dataset = samples.ducky("tiny")
        >>> optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=250))
        >>> bands = SideBands.prepare(bright_field(dataset), optics)
        >>> bands.image(), bands.image({"defocus": 200}, share=0.25, upsampling=2)
        (DirectImage(ssb, 12x12, 1.5 A pixels), DirectImage(ssb, 24x24, 0.75 A pixels))
        """
        aperture = Aperture.of(optics, bright)
        amplitude = aperture.amplitude(*bright.tilts.T)
        inside = amplitude > 0.1 * amplitude.max(initial=0)
        if not inside.any():
            raise ParameterError("no pixel of the bright field lies in the aperture; check semiangle and q_pixel.")
        lit = np.arange(len(amplitude)) if whole else np.flatnonzero(inside)
        mean = bright.images.mean((1, 2), dtype=np.float64)
        scale = max(float(mean[inside].sum() / (amplitude[inside] ** 2).sum()), 1e-30)
        ny, nx = bright.scan_shape
        q = np.hypot(*bright.frequencies())
        rows, columns = np.nonzero((q > 0) & (q < 2 * REACH * aperture.radius) | (_folds(bright, aperture) & (q > 0)))
        if not len(rows):
            raise InsufficientData(
                f"a scan of {ny} x {nx} positions has no spatial frequency within two radii of the aperture; expected "
                "more positions, or smaller steps."
            )
        spectra = np.empty((len(rows), len(lit)), np.complex64)
        chunk = max(16, int(64e6 / (8 * ny * nx)))
        for first in range(0, len(lit), chunk):
            part = slice(first, first + chunk)
            transformed = sfft.rfft2(bright.images[lit[part]] * np.float32(1 / scale), workers=worker_count())
            spectra[:, part] = transformed[:, rows, columns].T
        order = np.argsort(-np.einsum("fk,fk->f", spectra, spectra.conj()).real, kind="stable")
        return cls(
            spectra=spectra[order],
            index=np.stack([rows, columns], 1)[order],
            mean=(mean[lit] / scale).astype(np.float32),
            frame=replace(bright, images=bright.images[:0], tilts=bright.tilts[lit]),
            aperture=aperture,
            aberrations=optics.aberrations,
            dose=scale if bright.counted else 0.0,
        )

    def turned(self, rotation: float, transpose: bool | None = None) -> SideBands:
        """The same spectra read with another rotation (degrees) and transpose."""
        return replace(self, frame=self.frame.turned(rotation, transpose))

    @property
    def noise(self) -> np.ndarray:
        """(K,) variance of a pixel's counts; at the rim, where there are few, the model errs more than the counts."""
        return np.maximum(self.mean, 0.5)

    @property
    def finest(self) -> int:
        """How many times finer than the scan the image may be: as fine as the side bands reach and are told apart."""
        wanted = math.ceil(4 * REACH * self.aperture.radius * max(self.frame.scan_steps))
        return max(1, min(wanted, MOST_FINE, int(math.sqrt(len(self.mean) / 2))))

    @counted(upsampling=1)
    def image(
        self,
        aberrations: Aberrations | dict[str, float] | None = None,
        method: str = "ssb",
        share: float = 1.0,
        upsampling: int | None = 1,
        epsilon: float = 0.01,
    ) -> DirectImage:
        """The phase.

        Parameters
        ----------
        aberrations : Aberrations or mapping, optional
            To be corrected, in the detector frame; by default those of the optics.
        method : {"ssb", "obf"}
            Weights; see the head of this module.
        share : float
            Only this share of the scan's frequencies, the strongest ones: for an image while something is dragged.
        upsampling : int, optional
            Times finer than the scan; None: :attr:`finest`. It costs its square in side bands.
        epsilon : float
            Regularisation of SSB, relative to the whole aperture at the frequency of its radius. OBF finds its own.

        Returns
        -------
        DirectImage
            Its mean is zero: no method of the bright field sees a constant phase.
        """
        method = look_up("direct method", method, METHODS)
        share = Parameter("share", 1.0, low=0, high=1).check(share)
        epsilon = Parameter("epsilon", 0.01, low=0).check(epsilon)
        if not share:
            raise ParameterError(f"share is {share}; expected more than 0 and at most 1.")
        fine = self.finest if upsampling is None else upsampling
        chosen = self.aberrations if aberrations is None else Optics(aberrations=cast(Any, aberrations)).aberrations
        overlaps = self.overlaps(chosen)
        count = max(1, math.ceil(share * len(self.index)))
        weights = 1 / self.noise if method == "obf" else np.ones_like(self.mean)
        strength = epsilon * len(weights) / self.aperture.radius
        shape = self.frame.scan_shape[0] * fine, self.frame.scan_shape[1] * fine
        chunks = self._chunks(overlaps, np.arange(count), fine, weights)
        diagonal = rising(strength)
        if method == "obf" and count == len(self.index):
            diagonal = learnt(chunks, strength, self.counting(weights), len(weights), shape)
        elif method == "obf":
            sample = np.unique(np.linspace(0, len(self.index) - 1, SAMPLE).astype(int))
            diagonal = learnt(self._chunks(overlaps, sample, fine, weights), strength, 0.0, len(weights), shape)
        spectrum, share_of_real = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)

        def solved(equations: Equations) -> tuple[np.ndarray, ...]:
            found, added = np.isfinite(equations.radius), diagonal(equations)
            rows, columns = equations.rows[found], equations.columns[found]
            values = -1j * equations.solve(added)[found]
            if method == "ssb":
                return rows, columns, values, np.zeros(len(rows), np.float32)
            norm = np.einsum("cnn->cn", equations.matrix).real + added
            return rows, columns, values, self._crossed(overlaps, rows, columns, fine, weights) / norm[found]

        rows, columns, values, shares = (np.concatenate(of) for of in zip(*chunks.each(solved), strict=True))
        spectrum[-rows, -columns] = values.conj()
        spectrum[rows, columns] = values
        share_of_real[-rows, -columns] = share_of_real[rows, columns] = shares
        phase = sfft.ifft2(spectrum, workers=worker_count()).real * np.float32(fine**2)
        if method == "obf":
            phase = less_real_part(phase, share_of_real)
        part = "" if count == len(self.index) else f", the strongest {count} of {len(self.index)} frequencies"
        reach = min(2 * REACH * self.aperture.radius, fine / (2 * max(self.frame.scan_steps)))
        return DirectImage(
            phase=np.ascontiguousarray(phase, np.float32),
            sampling=(self.frame.scan_steps[0] / fine, self.frame.scan_steps[1] / fine),
            method=method,
            rotation=self.frame.rotation,
            transpose=self.frame.transpose,
            aberrations=chosen,
            message=f"{method.upper()} to {1 / reach:.3g} A{part}",
        )

    def overlaps(self, aberrations: Aberrations) -> Overlaps:
        """Gamma for these pixels; the table that it reads from is kept."""
        step = self.frame.q_pixels
        fine = fineness(self.aperture, step, aberrations)
        if fine not in self.tables:
            self.tables[fine] = Table.make(self.aperture, step, fine)
        return Overlaps.of(self.tables[fine], aberrations, self.frame.tilts)

    def equations(self, overlaps: Overlaps, few: np.ndarray, fine: int, weights: np.ndarray) -> Equations:
        """Normal equations of some of the scan's frequencies, on an image `fine` times finer than the scan."""
        places, frequencies = folded(self.frame, self.index[few], fine)
        return normal_equations(
            overlaps, self.spectra[few], places, frequencies, 2 * REACH * self.aperture.radius, weights
        )

    def _crossed(
        self, overlaps: Overlaps, rows: np.ndarray, columns: np.ndarray, fine: int, weights: np.ndarray
    ) -> np.ndarray:
        """:func:`crossed` at places in the spectrum of an image `fine` times finer than the scan."""
        some = sparse(self.frame.tilts, self.frame.q_pixels)
        few = overlaps.restricted(some).weighted(np.sqrt(weights[some] * np.float32(len(weights) / len(some))))
        scan = zip(self.frame.scan_shape, self.frame.scan_steps, strict=True)
        axes = [np.fft.fftfreq(n * fine, step / fine) for n, step in scan]
        q = self.frame.to_detector(np.stack([axes[0][rows], axes[1][columns]]))
        return crossed(few, q[0], q[1], self.aperture.end)

    def counting(self, weights: np.ndarray) -> float:
        """Variance of the weighted spectra by counting, the mean over pixels; 0 where the images are no counts."""
        return float((self.mean * weights).mean()) * math.prod(self.frame.scan_shape) / self.dose if self.dose else 0.0

    def _chunks(self, overlaps: Overlaps, which: np.ndarray, fine: int, weights: np.ndarray) -> Chunks:
        """Of the normal equations of some of the scan's frequencies."""
        folds = min(MOST_FOLDED, fine**2) + 1
        size = max(1, int(AT_ONCE / (8 * (folds**2 + len(self.mean)))))
        threads = worker_count()
        count = min(len(which), threads * -(-len(which) // (threads * size)))  # as many for one thread as for another
        parts = np.array_split(which, count)
        return Chunks(lambda few: self.equations(overlaps, few, fine, weights), parts, len(which) * folds**2 * 8)


def _folds(bright: BrightField, aperture: Aperture) -> bool:
    """Whether frequencies beyond the scan's own are folded into it, along its coarser axis at least."""
    return 2 * max(bright.scan_steps) * 2 * REACH * aperture.radius > 1


def ssb(source: Dataset | BrightField, optics: Optics | None = None, **options: Any) -> DirectImage:
    """Phase by single side bands.

    Parameters
    ----------
    source : Dataset or BrightField
    optics : Optics, optional
        Aperture and aberrations (detector frame); by default the dataset's, without aberrations.
    **options
        `measurement` (origin, rotation and transpose), `aberrations`, `epsilon`, `share`, and `upsampling`, by
        default as fine as the side bands reach: see :meth:`SideBands.image`.

    Returns
    -------
    DirectImage
        In rad.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> ssb(samples.ducky("tiny"), aberrations={"defocus": 250})
    DirectImage(ssb, 36x36, 0.5 A pixels)
    """
    return _direct(source, optics, "ssb", **options)


def obf(source: Dataset | BrightField, optics: Optics | None = None, **options: Any) -> DirectImage:
    """Phase by optimum bright field: like :func:`ssb`, weighted for the least noise.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> obf(samples.ducky("tiny"), aberrations={"defocus": 250}, upsampling=1)
    DirectImage(obf, 12x12, 1.5 A pixels)
    """
    return _direct(source, optics, "obf", **options)


def _direct(
    source: Dataset | BrightField,
    optics: Optics | None,
    method: str,
    *,
    measurement: Measurement | None = None,
    upsampling: int | None = None,
    **options: Any,
) -> DirectImage:
    check_options(SideBands.image, options)
    optics = optics_of(source, optics)
    bright = bright_field(source, measurement) if isinstance(source, Dataset) else source
    return SideBands.prepare(bright, optics).image(method=method, upsampling=upsampling, **options)


def optics_of(source: Dataset | BrightField, optics: Optics | None) -> Optics:
    """The optics that were given, or else those of a dataset."""
    if optics is not None:
        return optics
    if not isinstance(source, Dataset):
        raise ParameterError("a bright field does not know its aperture: give optics=Optics(semiangle=...).")
    return Optics.from_dataset(source)
