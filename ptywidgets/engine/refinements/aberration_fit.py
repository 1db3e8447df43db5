"""Aberrations of a probe that was found freely: from the phase in its aperture, which is never unwrapped."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names, polynomials
from ptywidgets.engine.optics.probe import frequencies

ROUNDS = 30
DIM = 0.1  # of the aperture's typical power: what is less is outside
SETTLED = 1e-6  # rad


@counted(order=1)
def fit_aberrations(
    probe: np.ndarray,
    sampling: tuple[float, float],
    energy: float,
    *,
    order: int = 3,
    semiangle: float | None = None,
    first: Aberrations | None = None,
) -> Aberrations:
    """Aberrations whose chi the phase of a probe's spectrum follows: F P = |F P| exp(-i chi + i (a + b.k)).

    Neighbouring pixels of the aperture differ by a phase that is far from pi. The phases of conj(F P(k)) F P(k + dk)
    hence are slopes of chi that need no unwrapping: a linear fit of them, weighted by power, begins. A few Gauss-Newton
    steps
     for the complex spectrum itself, sum |F P - |F P| exp(i phase)|^2, end it. Constant and ramp of the
    phase are fitted too and left out: they say where the window lies. Of several modes the brightest is taken.

    Parameters
    ----------
    probe : ndarray (M, Ny, Nx) or (Ny, Nx)
        Complex, corner-centred.
    sampling : (float, float)
        Pixel size in A.
    energy : float
        eV.
    order : int
        Highest order of the coefficients, 1 to 5.
    semiangle : float, optional
        Radius in mrad within which the aperture is looked at; by default where it is bright.
    first : Aberrations, optional
        Taken off before the fit and added afterwards: where defocus makes neighbouring pixels differ by more than pi.

    Returns
    -------
    Aberrations

    Raises
    ------
    DataError
        When fewer pixels are illuminated than there are numbers to be found.

    Examples
    --------
    >>> from ptywidgets.engine.optics.probe import Optics, make_probe
    >>> true = Aberrations(defocus=300, C12=20, phi12=0.4, C21=800, C30=1e4)
    >>> probe = make_probe(Optics(semiangle=20, aberrations=true), (96, 96), (0.3, 0.3), 80e3)
    >>> found = fit_aberrations(probe, (0.3, 0.3), 80e3)
    >>> round(found["defocus"], 1), round(found["C12"], 1), round(found["phi12"], 2), round(found["C21"])
    (300.0, 20.0, 0.4, 800)
    """
    modes = np.asarray(probe).astype(np.complex128).reshape(-1, *np.shape(probe)[-2:])
    spectrum = np.fft.fft2(modes[np.argmax((np.abs(modes) ** 2).sum((1, 2)))])
    ky, kx = frequencies(spectrum.shape, sampling)
    names = coefficient_names(order)
    lam = wavelength(energy)
    known = (first or Aberrations()).cartesian
    shapes = [-np.broadcast_to(s, spectrum.shape) for s in polynomials(names, ky + 1j * kx, lam)]
    spectrum = spectrum * np.exp(-1j * sum(known[n] * s for n, s in zip(names, shapes, strict=True)))
    shapes += [np.broadcast_to(k, spectrum.shape) for k in (ky, kx)]
    power = np.abs(spectrum) ** 2
    typical = float((power**2).sum() / power.sum())
    lit = power > DIM * typical
    if semiangle is not None:
        lit &= 1e3 * lam * np.hypot(ky, kx) < semiangle
    if lit.sum() < 2 * (len(shapes) + 1):
        raise DataError(
            f"{int(lit.sum())} pixels of the aperture are lit and {len(shapes) + 1} numbers are to be found; "
            "lower the order, or give a probe with a finer aperture."
        )
    basis = np.stack([s - s[lit].mean() for s in shapes])
    size = np.sqrt((basis[:, lit] ** 2).mean(1))
    basis /= size[:, None, None]
    found = _by_slopes(spectrum, lit, basis)
    found = _by_waves(spectrum[lit], basis[:, lit], found) / size
    return Aberrations(**{n: known[n] + float(c) for n, c in zip(names, found, strict=False)})


def _by_slopes(spectrum: np.ndarray, lit: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Coefficients from the phase differences of neighbouring pixels that both are lit."""
    rows, right = [], []
    for axis in (0, 1):
        both = lit & np.roll(lit, -1, axis)
        step = np.roll(spectrum, -1, axis) * spectrum.conj()
        weight = np.sqrt(np.abs(step[both]))
        rows.append(weight[:, None] * (np.roll(basis, -1, axis + 1) - basis)[:, both].T)
        right.append(weight * np.angle(step[both]))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=1e-9)[0]


def _by_waves(spectrum: np.ndarray, basis: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The same by Gauss-Newton steps on the complex values (K,), their phase free up to a constant."""
    amplitude = np.abs(spectrum)
    design = np.concatenate([basis, np.ones((1, len(spectrum)))]).T * amplitude[:, None]
    for _ in range(ROUNDS):
        turned = spectrum * np.exp(-1j * (found @ basis))
        turned *= np.exp(-1j * np.angle(turned.sum()))
        change = np.linalg.lstsq(design, amplitude * np.angle(turned), rcond=1e-9)[0][:-1]
        found = found + change
        if np.abs(change).max() < SETTLED:
            break
    return found
