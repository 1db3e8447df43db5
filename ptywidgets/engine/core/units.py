"""Physical constants and the conversions between detector units.

Lengths are in A, spatial frequencies in 1/A, angles in mrad, energies in eV, phases in rad. The constants are CODATA
2018, as in ``scipy.constants``.
"""

from __future__ import annotations

import math

from scipy import constants

from ptywidgets.engine.core.errors import CalibrationError

_REST_ENERGY = constants.physical_constants["electron mass energy equivalent in MeV"][0] * 1e6  # eV


def _checked_energy(energy: float) -> float:
    if not (math.isfinite(energy) and energy > 0):
        raise CalibrationError(f"energy is {energy!r} eV; expected a positive number of electron volts, such as 80e3.")
    return float(energy)


def wavelength(energy: float) -> float:
    """Relativistic electron wavelength.

    lambda = h c / sqrt(E (E + 2 m c^2)); Kirkland, *Advanced Computing in Electron Microscopy*, eq. 2.5.

    Parameters
    ----------
    energy : float
        Kinetic energy in eV.

    Returns
    -------
    float
        Wavelength in A.

    Raises
    ------
    CalibrationError
        When `energy` is not a positive finite number.

    Examples
    --------
    >>> round(wavelength(80e3), 7)
    0.0417572
    """
    energy = _checked_energy(energy)
    hc = constants.h * constants.c / constants.e * 1e10  # eV A
    return hc / math.sqrt(energy * (energy + 2 * _REST_ENERGY))


def energy_of_wavelength(length: float) -> float:
    """Energy in eV of electrons with a wavelength of `length` A: the inverse of :func:`wavelength`.

    It also makes what is written for electrons work for light, of which only the wavelength matters.

    Examples
    --------
    >>> round(energy_of_wavelength(0.04175715620292006) / 1e3, 2), round(wavelength(energy_of_wavelength(6300.0)), 6)
    (80.0, 6300.0)
    """
    if not (math.isfinite(length) and length > 0):
        raise CalibrationError(f"the wavelength is {length!r} A; expected a positive finite number.")
    squared = (constants.h * constants.c / constants.e * 1e10 / length) ** 2
    return squared / (_REST_ENERGY + math.sqrt(_REST_ENERGY**2 + squared))  # of E^2 + 2 E m c^2 = (h c / lambda)^2


def interaction(energy: float) -> float:
    """Interaction parameter sigma: phase per projected potential.

    sigma = 2 pi / (lambda E) (m c^2 + E) / (2 m c^2 + E); Kirkland, eq. 5.6.

    Parameters
    ----------
    energy : float
        Kinetic energy in eV.

    Returns
    -------
    float
        sigma in rad / (V A).

    Examples
    --------
    >>> round(interaction(200e3), 8)
    0.00072884
    """
    energy = _checked_energy(energy)
    return 2 * math.pi / (wavelength(energy) * energy) * (_REST_ENERGY + energy) / (2 * _REST_ENERGY + energy)


def mrad_to_inverse_angstrom(angle: float, energy: float) -> float:
    """Spatial frequency (1/A) of a scattering angle (mrad), small-angle: k = angle / lambda.

    Examples
    --------
    >>> round(mrad_to_inverse_angstrom(20.0, 80e3), 4)
    0.479
    """
    return angle * 1e-3 / wavelength(energy)


def inverse_angstrom_to_mrad(frequency: float, energy: float) -> float:
    """Scattering angle (mrad) of a spatial frequency (1/A): angle = lambda k.

    Examples
    --------
    >>> round(inverse_angstrom_to_mrad(0.479, 80e3), 2)
    20.0
    """
    return frequency * wavelength(energy) * 1e3
