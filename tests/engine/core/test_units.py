"""Wavelength and interaction parameter against published values."""

import pytest

from ptywidgets.engine.core.errors import CalibrationError
from ptywidgets.engine.core.units import interaction, inverse_angstrom_to_mrad, mrad_to_inverse_angstrom, wavelength

WAVELENGTHS = {
    30e3: 0.06979080861735902,
    60e3: 0.04866059983164618,
    80e3: 0.04175715620292006,
    100e3: 0.037014361993505496,
    200e3: 0.025079337357037376,
    300e3: 0.019687486388201916,
}


@pytest.mark.parametrize("energy, expected", WAVELENGTHS.items())
def test_wavelength(energy, expected):
    assert wavelength(energy) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("energy, expected", [(80e3, 1.0087067e-3), (200e3, 7.2884022e-4), (300e3, 6.5261626e-4)])
def test_interaction(energy, expected):
    assert interaction(energy) == pytest.approx(expected, rel=1e-6)


def test_angles_and_frequencies_are_inverse():
    assert inverse_angstrom_to_mrad(mrad_to_inverse_angstrom(21.4, 80e3), 80e3) == pytest.approx(21.4)


@pytest.mark.parametrize("energy", [0.0, -80e3, float("nan"), float("inf")])
def test_impossible_energy(energy):
    with pytest.raises(CalibrationError, match="electron volts"):
        wavelength(energy)
