"""Wigner distribution deconvolution: the transmission of a specimen that may be strong, aberrations undone.

The scan transform of the patterns is a convolution over the detector, G(K, Q) = sum_K' T(K') T*(K' - Q) A(K - K')
A*(K - K' + Q). Transformed over K it is a product, H(r, Q) = W_A(r, Q) W_T(r, Q); a Wiener filter divides by W_A, and
the sum over r is W_T at K' = Q, T(Q) T*(0), or at K' = 0, T(0) T*(-Q); Rodenburg and Bates, Phil. Trans. R. Soc. A 339,
521 (1992). The filter lets the two into each other and keeps a part of each only; both are known from W_A and are
divided out by two equations, so that the result is in rad. A sharp filter would divide what one frequency is folded
onto another by the little that W_A passes there: the equations of all Q of one scan frequency are solved together.
Electrons scattered beyond the bright field are part of the product too, so patterns are gathered farther where the
filter is sharp enough to make use of them.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.data.calibration import mean_of
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct.bright_field import BrightField, aperture_radius, bright_field
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.direct.sidebands.folding import folded
from ptywidgets.engine.direct.sidebands.overlaps import exact_beams
from ptywidgets.engine.direct.sidebands.ssb import REACH, SideBands, optics_of
from ptywidgets.engine.direct.threads import shared
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement

GATHERED = 2.0  # aperture radii
SHARP, SOFT = 0.01, 30.0  # epsilon, where the scan folds up to FEW frequencies onto each, and where more
FEW = 4.0
SMALL = 0.01  # regularises the two equations; share of what half a radius passes, at the frequency of the radius
AT_ONCE = 2e6  # bytes of a beam, of all frequencies that a thread deconvolves at a time


@counted(upsampling=1)
def wdd(
    source: Dataset | BrightField,
    optics: Optics | None = None,
    *,
    measurement: Measurement | None = None,
    aberrations: Aberrations | dict[str, float] | None = None,
    epsilon: float | None = None,
    upsampling: int | None = None,
) -> DirectImage:
    """Phase by Wigner distribution deconvolution.

    Parameters
    ----------
    source : Dataset or BrightField
        For a small `epsilon` a bright field should reach beyond the aperture: ``bright_field(dataset, radius=...)``.
    optics : Optics, optional
        Aperture and aberrations (detector frame); by default the dataset's, without aberrations.
    measurement : Measurement, optional
        Origin, rotation and transpose of a dataset; by default found.
    aberrations : Aberrations or mapping, optional
        Instead of those of the optics.
    epsilon : float, optional
        Of the Wiener filter, relative to the mean of |W_A|^2 at Q = 0. Small values (0.01) divide by W_A: right for a
        strong specimen, many electrons and a scan that folds little; large ones (30) weigh by W_A, which lets neither
        noise nor what else is folded in grow. By default by how much the scan folds.
    upsampling : int, optional
        Times finer than the scan; by default as fine as two aperture radii.

    Returns
    -------
    DirectImage
        The angle of the transmission, in rad, about that of its mean.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> wdd(samples.ducky("tiny"), aberrations={"defocus": 250}, upsampling=1)
    DirectImage(wdd, 12x12, 1.5 A pixels)
    """
    if epsilon is not None and epsilon <= 0:
        raise ParameterError(f"epsilon is {epsilon}; expected more than 0, such as 0.01 or 30.")
    optics = optics_of(source, optics)
    if aberrations is not None:
        optics = optics.replace(aberrations=Aberrations(**dict(aberrations)))
    bright = source if isinstance(source, BrightField) else _gathered(source, measurement, epsilon)
    bands = SideBands.prepare(bright, optics, whole=True)
    if epsilon is None:
        epsilon = SHARP if _folds(bands.aperture.radius, bright.step_mean) <= FEW else SOFT
    fine = bands.finest if upsampling is None else upsampling
    transmission = _transmission(bands, fine, epsilon)
    return DirectImage(
        phase=np.angle(transmission),
        sampling=(bright.scan_steps[0] / fine, bright.scan_steps[1] / fine),
        method="wdd",
        rotation=bright.rotation,
        transpose=bright.transpose,
        aberrations=optics.aberrations,
        message=f"WDD to {1 / min(2 * REACH * bands.aperture.radius, fine / (2 * max(bright.scan_steps))):.3g} A",
    )


def _folds(radius: float, scan_step: float) -> float:
    """How many frequencies within two aperture radii (1/A) the scan folds onto each."""
    return math.pi * (2 * radius * scan_step) ** 2


def _gathered(source: Dataset, measurement: Measurement | None, epsilon: float | None) -> BrightField:
    """Patterns beyond the bright field where they are of use."""
    source.calibration.check_complete()
    pixels, known = aperture_radius(source), source.calibration
    folds = _folds(pixels * mean_of(known.q_pixels), mean_of(known.scan_steps))
    sharp = folds <= FEW if epsilon is None else epsilon < 1
    return bright_field(source, measurement, radius=GATHERED * pixels if sharp else None)


def _transmission(bands: SideBands, fine: int, epsilon: float) -> np.ndarray:
    """(Y, X) complex64, about 1."""
    overlaps = bands.overlaps(bands.aberrations)
    tilts = np.rint(bands.frame.tilts / bands.frame.q_pixels).astype(int)
    side = sfft.next_fast_len(int(np.ptp(tilts, axis=0).max()) + 1)
    places = (tilts - tilts.min(0)) @ np.array([side, 1])
    lit = np.flatnonzero(np.abs(overlaps.at) > 0)
    inside = overlaps.restricted(lit)
    floor = np.float32(epsilon * float((np.abs(inside.at) ** 4).sum()) / side**4)
    ny, nx = (n * fine for n in bands.frame.scan_shape)
    spectrum = np.zeros((ny, nx), np.complex64)

    def over_pixels(values: np.ndarray) -> np.ndarray:
        return sfft.ifft2(values.reshape(-1, side, side), overwrite_x=True).reshape(len(values), -1)

    def placed(values: np.ndarray, where: np.ndarray) -> np.ndarray:
        square = np.zeros((len(values), side**2), np.complex64)
        square[:, where] = values
        return square

    def beams(ky: np.ndarray, kx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if epsilon >= 1:
            return inside.beams(ky, kx, places[lit], side**2)
        # A sharp filter looks where W_A is weak, and must not find the table's rounding there.
        exact = exact_beams(bands.aperture, bands.aberrations, bands.frame.tilts[lit], ky, kx)
        return placed(exact[0], places[lit]), placed(exact[1], places[lit])

    halfway = over_pixels(beams(np.array([bands.aperture.radius / 2]), np.zeros(1))[0])
    power = halfway.real**2 + halfway.imag**2
    at_once = max(1, int(AT_ONCE / (8 * side**2)))
    small = np.float32(SMALL) * (power / (2 * power + floor)).mean()
    kernels = pattern_kernels()

    def deconvolved(few: slice) -> list[tuple[np.ndarray, ...]]:
        places_fine, frequencies = folded(bands.frame, bands.index[few], fine)
        rows, columns, ky, kx = (v.ravel() for v in (*places_fine, *frequencies))
        radius = np.hypot(ky, kx) / bands.aperture.radius
        found = np.flatnonzero(radius < 2 * REACH)
        data = over_pixels(placed(bands.spectra[few], places))
        if epsilon < 1 and len(found):  # a sharp filter would take one frequency that is folded for another
            one, other = (over_pixels(beam) for beam in beams(ky[found], kx[found]))
            added = 2 * small * radius[found].astype(np.float32)
            return [(rows[found], columns[found], *_jointly(one, other, data, found // fine**2, floor, added))]
        out: list[tuple[np.ndarray, ...]] = []
        for first in range(0, len(found), at_once):
            part = found[first : first + at_once]
            one, other = (over_pixels(beam) for beam in beams(ky[part], kx[part]))
            sums = kernels.deconvolve(one, other, data, part // fine**2, float(floor)) / np.float32(side**2)
            values = _told_apart(sums, 2 * small * radius[part].astype(np.float32))
            out.append((rows[part], columns[part], *values))
        return out

    parts: dict[int, list[tuple[np.ndarray, ...]]] = {}
    shared(lambda few: parts.update({few.start: deconvolved(few)}), len(bands.index), max(1, at_once // fine**2))
    together = zip(*(part for first in sorted(parts) for part in parts[first]), strict=True)
    rows, columns, at, opposite = (np.concatenate(of) for of in together)
    spectrum[-rows, -columns] = opposite.conj()
    spectrum[rows, columns] = at
    one, data = over_pixels(placed(np.stack([np.abs(overlaps.at) ** 2, bands.mean]), places))
    filtering = one.conj() / (one.real**2 + one.imag**2 + floor)
    straight = float((filtering * data).sum().real / (filtering * one).sum().real)  # |T(0)|^2
    spectrum[0, 0] = math.prod(bands.frame.scan_shape) * straight
    return sfft.ifft2(spectrum, workers=worker_count()) * np.float32(fine**2)


def _jointly(
    one: np.ndarray, other: np.ndarray, data: np.ndarray, which: np.ndarray, floor: np.float32, small: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """T(Q) T*(0) and T(0) T*(-Q), (n,), of all Q that the scan folds onto one of its frequencies together.

    Their beams `one` and `other` are (n, P), the data (C, P), which[n] tells the frequency of the scan.
    """
    at, opposite = np.zeros(len(which), np.complex64), np.zeros(len(which), np.complex64)
    for number in np.unique(which):
        own = np.flatnonzero(which == number)
        beams = np.concatenate([one[own], other[own]])
        weighted = beams.conj() / ((beams.real**2 + beams.imag**2).sum(0) + floor)
        matrix = np.einsum("ap,bp->ab", weighted, beams) / beams.shape[1]  # not by BLAS, whose threads would fight ours
        matrix[np.diag_indices(len(matrix))] += np.tile(small[own], 2)
        found = np.linalg.solve(matrix, np.einsum("ap,p->a", weighted, data[number]) / beams.shape[1])
        at[own], opposite[own] = np.split(found, 2)
    return at, opposite


def _told_apart(sums: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T(Q) T*(0) and T(0) T*(-Q), (Q,), of which the filter lets some of each into the other."""
    own, others, cross, seen, opposite = sums.T
    own, others = own.real + small, others.real + small
    determinant = own * others - np.abs(cross) ** 2
    return (others * seen - cross * opposite) / determinant, (own * opposite - cross.conj() * seen) / determinant
