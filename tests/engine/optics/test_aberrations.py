"""Aberrations: conventions, names, frames."""

import numpy as np
import pytest

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import SYMBOLS, Aberrations, chi

ENERGY = 80e3


def grid(n=64, k=0.6):
    y, x = np.meshgrid(np.linspace(-k, k, n), np.linspace(-k, k, n), indexing="ij")
    return y, x


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_each_term_is_its_formula(symbol):
    n, m = SYMBOLS[symbol]
    values = {symbol: 123.0} | ({f"phi{symbol[1:]}": 0.4} if m else {})
    ky, kx = grid()
    lam = wavelength(ENERGY)
    alpha, phi = lam * np.hypot(ky, kx), np.arctan2(kx, ky)
    expected = 2 * np.pi / lam * 123.0 * alpha ** (n + 1) / (n + 1) * np.cos(m * (phi - (0.4 if m else 0)))
    np.testing.assert_allclose(chi(Aberrations(**values), ky, kx, ENERGY), expected, atol=1e-9)


def test_polar_and_cartesian_are_the_same():
    polar = Aberrations(C12=30, phi12=0.3, C21=500, phi21=-1.0, C34=1e4, phi34=0.2, C10=-100)
    again = Aberrations(**polar.cartesian)
    ky, kx = grid()
    np.testing.assert_allclose(chi(polar, ky, kx, ENERGY), chi(again, ky, kx, ENERGY), atol=1e-8)


def test_rotation_turns_the_pattern():
    lens = Aberrations(C12=30, phi12=0.3, C23=900, phi23=0.1, C21=400, phi21=0.7)
    ky, kx = grid()
    c, s = np.cos(0.25), np.sin(0.25)  # coordinates of the same points in axes turned by 0.25
    turned = chi(lens.rotated(0.25), c * ky + s * kx, c * kx - s * ky, ENERGY)
    np.testing.assert_allclose(turned, chi(lens, ky, kx, ENERGY), atol=1e-8)


def test_aliases():
    assert Aberrations(defocus=500) == Aberrations(C10=-500) == Aberrations(C1=-500)
    assert Aberrations(Cs=1e7)["C30"] == 1e7
    assert Aberrations(defocus=500)["defocus"] == 500


def test_replace_keeps_the_other_cartesian_part():
    lens = Aberrations(C12a=3, C12b=4).replace(C12a=1)
    assert lens["C12a"] == pytest.approx(1) and lens["C12b"] == pytest.approx(4)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"defocus": 1, "C10": 2}, "given twice"),
        ({"C12": 1, "C12a": 2}, "polar and in Cartesian"),
        ({"C13": 1}, "unknown aberration"),
        ({"defocus": "big"}, "finite number"),
        ({"defocus": float("inf")}, "finite number"),
    ],
)
def test_contradictions_are_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        Aberrations(**values)
