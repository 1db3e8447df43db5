"""Shifts of known aberrations give them back, to any order and in the right frame; noise within the stated errors."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, ParameterError, PtyError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.direct.parallax.fit import fit_shifts, gradient_basis, orientation_of, predicted_shifts
from ptywidgets.engine.optics.aberrations import chi
from ptywidgets.engine.optics.chi_terms import coefficient_names

ENERGY = 80e3
LAMBDA = wavelength(ENERGY)


def tilts(n=15):
    k = np.stack(np.meshgrid(*[np.linspace(-0.48, 0.48, n)] * 2, indexing="ij"), -1).reshape(-1, 2)
    return k[np.hypot(*k.T) <= 0.48]


@pytest.mark.parametrize("name", coefficient_names(5))
def test_basis_is_the_gradient_of_chi(name):
    k, h = tilts(7), 1e-5
    known = Aberrations(**{name: 100.0})
    slope = [
        (chi(known, *(k + step).T, ENERGY) - chi(known, *(k - step).T, ENERGY)) / (2 * h * 2 * np.pi)
        for step in (np.array([h, 0]), np.array([0, h]))
    ]
    got = 100 * gradient_basis(k, (name,), LAMBDA)[0]
    np.testing.assert_allclose(got, np.stack(slope, 1), rtol=1e-5, atol=1e-7 * np.abs(got).max() + 1e-12)


@pytest.mark.parametrize("rotation", [-170.0, -15.0, 0.0, 88.0])
@pytest.mark.parametrize("transpose", [False, True])
def test_all_orders_come_back(rotation, transpose):
    generator = np.random.default_rng(5)
    size = {1: 300, 2: 3e3, 3: 2e5, 4: 1e7, 5: 4e8}
    true = Aberrations(**{n: size[int(n[1])] * generator.uniform(0.2, 1) for n in coefficient_names(5)})
    shifts = predicted_shifts(tilts(), true, rotation, transpose, LAMBDA)
    fit = fit_shifts(tilts(), shifts, LAMBDA, order=5, near=rotation + 20, transpose=transpose)
    assert fit.rotation == pytest.approx(rotation, abs=1e-3)
    for name, value in true.cartesian.items():
        assert fit.aberrations.cartesian[name] == pytest.approx(value, rel=1e-3)


def test_transpose_is_told_by_the_sense_of_turning():
    for transpose in (False, True):
        shifts = predicted_shifts(tilts(), {"C10": -500.0, "C12": 90.0, "phi12": 0.4}, 30, transpose, LAMBDA)
        fit = fit_shifts(tilts(), shifts, LAMBDA, near=0.0)
        assert fit.transpose == transpose and fit.rotation == pytest.approx(30, abs=1e-6)


def test_the_twin_has_all_aberrations_reversed():
    true = Aberrations(defocus=500, C12=40, phi12=0.3, C21=2000, phi21=0.5)
    shifts = predicted_shifts(tilts(), true, 10.0, False, LAMBDA)
    twin = fit_shifts(tilts(), shifts, LAMBDA, near=180.0)
    assert twin.rotation == pytest.approx(-170, abs=1e-6)
    for name, value in true.cartesian.items():
        assert twin.aberrations.cartesian[name] == pytest.approx(-value, abs=1e-3)


def test_noise_stays_within_the_stated_uncertainty():
    true = Aberrations(defocus=400, C12=30, phi12=0.5)
    generator = np.random.default_rng(2)
    exact = predicted_shifts(tilts(), true, -15, False, LAMBDA)
    pulls = []
    for _ in range(30):
        fit = fit_shifts(tilts(), exact + generator.normal(0, 0.3, exact.shape), LAMBDA, order=1)
        found = {**fit.aberrations.cartesian, "rotation": fit.rotation}
        wanted = {**true.cartesian, "rotation": -15.0}
        pulls += [(found[n] - wanted[n]) / sigma for n, sigma in fit.uncertainty.items()]
    assert 0.8 < np.std(pulls) < 1.25


def test_weights_and_a_common_offset():
    true = Aberrations(defocus=400)
    shifts = predicted_shifts(tilts(), true, -15, False, LAMBDA) + np.array([3.0, -2.0])
    weights = np.ones(len(shifts))
    shifts[::7] += 50
    weights[::7] = 0
    fit = fit_shifts(tilts(), shifts, LAMBDA, order=1, weights=weights)
    assert fit.aberrations["defocus"] == pytest.approx(400) and fit.rotation == pytest.approx(-15)


def test_a_given_rotation_is_kept():
    shifts = predicted_shifts(tilts(), {"C10": -400.0}, -15, False, LAMBDA)
    fit = fit_shifts(tilts(), shifts, LAMBDA, order=1, rotation=-12.0)
    assert fit.rotation == -12.0 and "rotation" not in fit.uncertainty


def test_orientation_of_a_turned_map():
    c, s = np.cos(np.radians(50)), np.sin(np.radians(50))
    turn = np.array([[c, -s], [s, c]])
    assert orientation_of(turn * 3, None, 0) == (pytest.approx(50), False)
    assert orientation_of(turn @ np.array([[0, 1], [1, 0]]) * 3, None, 0) == (pytest.approx(50), True)


def test_errors_in_words():
    with pytest.raises(ParameterError, match="expected 1"):
        coefficient_names(6)
    with pytest.raises(PtyError, match="at least 3"):
        fit_shifts(np.zeros((2, 2)), np.zeros((2, 2)), LAMBDA)
