"""How much a probe is the true one: the overlap of waves, or of mixed states, over everything the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft
from scipy import optimize

from ptywidgets.engine.core.errors import DataError


@dataclass(frozen=True)
class Fidelity:
    """Overlap of two probes, and what was taken off before."""

    value: float  # 0 to 1
    shift: tuple[float, float]  # A, by which the probe lay off the true one
    ramp: tuple[float, float]  # rad/A, of its phase
    phase: float  # rad

    def __str__(self) -> str:
        y, x = self.shift
        v, u = self.ramp
        return f"{self.value:.4f} after shift ({y:.3g}, {x:.3g}) A, ramp ({v:.3g}, {u:.3g}) rad/A"


def probe_fidelity(
    probe: np.ndarray,
    truth: np.ndarray,
    sampling: float | tuple[float, float] = 1.0,
    *,
    shift: bool = True,
    ramp: bool = True,
) -> Fidelity:
    """Fidelity of two probes, pure or mixed: max |<P, P0>|^2 / (<P, P> <P0, P0>) over shift, phase ramp and phase.

    Of several modes it is that of the density matrices rho = sum_m |P_m><P_m| / tr, (tr sqrt(sqrt(rho) sigma
    sqrt(rho)))^2 (Uhlmann, Rep. Math. Phys. 9, 273 (1976); Jozsa, J. Mod. Opt. 41, 2315 (1994)). It equals the squared
    sum of the singular values of the matrix of overlaps <P_m, P0_n>, by the product of both powers: modes may be mixed
    by any unitary matrix, as in the data, and nothing changes.

    Parameters
    ----------
    probe, truth : ndarray (M, Ny, Nx) or (Ny, Nx)
        Complex, corner-centred, in the same window; numbers of modes may differ.
    sampling : float or (float, float)
        Pixel size in A.
    shift, ramp : bool
        Whether these are taken off; both are free where the object was reconstructed too.

    Returns
    -------
    Fidelity

    Raises
    ------
    DataError
        When windows differ, or a probe is dark.

    Examples
    --------
    >>> k = np.fft.fftfreq(32)
    >>> probe = np.fft.ifft2(np.exp(-60 * (k[:, None] ** 2 + k**2) + 30j * (k[:, None] ** 2 - 2 * k**2)))
    >>> moved = np.fft.ifft2(np.fft.fft2(probe) * np.exp(-2j * np.pi * (0.3 * k[:, None] - 1.7 * k)))
    >>> found = probe_fidelity(2j * moved, probe, sampling=0.5)
    >>> round(found.value, 6), [round(s, 3) for s in found.shift]
    (1.0, [0.15, -0.85])
    >>> round(probe_fidelity(probe, probe.T, shift=False, ramp=False).value, 2)
    0.64
    """
    ours, theirs = (np.asarray(p, np.complex128).reshape(-1, *np.shape(p)[-2:]) for p in (probe, truth))
    if ours.shape[-2:] != theirs.shape[-2:]:
        raise DataError(
            f"the probes are {ours.shape[-2:]} and {theirs.shape[-2:]} pixels; bring them to one window "
            "(engine.resample.resample_probe)."
        )
    powers = [float((np.abs(p) ** 2).sum()) for p in (ours, theirs)]
    if not min(powers) > 0:
        raise DataError("a probe is dark everywhere; there is nothing to compare.")
    ours, theirs = ours / np.sqrt(powers[0]), theirs / np.sqrt(powers[1])
    n = np.array(ours.shape[-2:])
    pixel = np.broadcast_to(np.asarray(sampling, float), 2)
    places = [np.fft.fftfreq(n[0], 1 / n[0])[:, None], np.fft.fftfreq(n[1], 1 / n[1])[None]]  # px
    waves = [np.fft.fftfreq(n[0])[:, None], np.fft.fftfreq(n[1])[None]]  # cycles per px
    spectra = sfft.fft2(theirs)
    free = np.repeat([shift, ramp], 2)

    def overlaps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrix of overlaps (M, M'), and its derivatives (4, M, M') by shift (px) and ramp (rad per px)."""
        s, g = values[:2], values[2:]
        turned = ours.conj() * np.exp(1j * (places[0] * g[0] + places[1] * g[1]))
        moved = spectra * np.exp(-2j * np.pi * (waves[0] * s[0] + waves[1] * s[1]))
        fields = sfft.ifft2(np.stack([moved, *(-2j * np.pi * w * moved for w in waves)]))
        slopes = [np.einsum("myx,nyx->mn", turned, f) for f in fields[1:]]
        slopes += [np.einsum("myx,nyx->mn", 1j * r * turned, fields[0]) for r in places]
        return np.einsum("myx,nyx->mn", turned, fields[0]), np.array(slopes)

    def cost(values: np.ndarray) -> tuple[float, np.ndarray]:
        matrix, slopes = overlaps(np.where(free, values, 0))
        u, singular, v = np.linalg.svd(matrix, full_matrices=False)
        return -float(singular.sum()), -np.where(free, np.einsum("mn,kmn->k", (u @ v).conj(), slopes).real, 0)

    start = np.r_[_centre(ours, places) - _centre(theirs, places), np.zeros(2)]
    start[2:] = 2 * np.pi * (_centre(sfft.fft2(ours), waves) - _centre(spectra, waves))
    best = np.where(free, start, 0)
    if free.any():
        starts = (best, np.zeros(4))
        fits = [optimize.minimize(cost, first, jac=True, method="BFGS", options={"gtol": 1e-9}) for first in starts]
        best = np.where(free, min(fits, key=lambda fit: fit.fun).x, 0)
    matrix, _ = overlaps(best)
    value = min(float(np.linalg.svd(matrix, compute_uv=False).sum()) ** 2, 1.0)
    s, g = best[:2] * pixel, best[2:] / pixel
    return Fidelity(value, (float(s[0]), float(s[1])), (float(g[0]), float(g[1])), -float(np.angle(np.trace(matrix))))


def _centre(fields: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Centre of mass of all intensities together, on periodic axes: the angle of the first harmonic."""
    weights = (np.abs(fields) ** 2).sum(0)
    centre = []
    for axis in axes:
        period = axis.size * float(axis.ravel()[1]) if axis.size > 1 else 1.0
        centre.append(np.angle((weights * np.exp(2j * np.pi * axis / period)).sum()) * period / (2 * np.pi))
    return np.array(centre)
