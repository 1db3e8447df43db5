"""Rotation: known fields give the known angle, to a small fraction of a degree, whatever the noise of directions."""

import numpy as np
import pytest

from ptywidgets.engine.preprocess import find_rotation, integrate, rotate_vectors, rotation_curves, scan_positions


def phase(n=40, seed=0):
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    out = np.zeros((n, n))
    for cy, cx in generator.uniform(6, n - 6, (8, 2)):
        out += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 1.3**2))
    return out


def measured(rotation, transpose=False, noise=0.0):
    """What a detector turned by `rotation` would measure of a gradient."""
    field = rotate_vectors(np.stack(np.gradient(phase())), -rotation)
    field = field[::-1] if transpose else field
    return field + noise * np.random.default_rng(3).normal(size=field.shape) * field.std()


@pytest.mark.parametrize("rotation", [-170.0, -75.3, -15.0, 0.0, 0.4, 33.3, 89.0, 120.0])
@pytest.mark.parametrize("transpose", [False, True])
def test_known_rotation(rotation, transpose):
    fit = find_rotation(measured(rotation, transpose))
    assert fit.transpose == transpose
    assert fit.flip_resolved
    assert (fit.rotation - rotation + 180) % 360 - 180 == pytest.approx(0, abs=0.3)


def test_noise_does_not_pull_the_angle():
    fit = find_rotation(measured(-15.0, noise=1.0))
    assert fit.rotation % 180 == pytest.approx(165, abs=3 * max(fit.uncertainty, 0.5))
    assert fit.uncertainty < 5


def test_a_field_without_structure_is_said_to_be_so():
    fit = find_rotation(np.random.default_rng(0).normal(size=(2, 30, 30)))
    assert "by hand" in fit.message and not fit.flip_resolved


def test_zero_field():
    assert "by hand" in find_rotation(np.zeros((2, 8, 8))).message


def test_curves_have_their_minimum_at_the_angle():
    curves = rotation_curves(measured(-15.0))
    assert curves.angles[curves.curl[0].argmin()] == pytest.approx(-15, abs=1)
    assert curves.angles[curves.divergence[0].argmax()] == pytest.approx(-15, abs=1)
    assert curves.curl[1].min() > curves.curl[0].min()


def test_integration_inverts_the_gradient():
    y, x = np.mgrid[:32, :48]
    true = np.cos(2 * np.pi * y / 32) + np.sin(2 * np.pi * 3 * x / 48)
    gradient = np.stack([-np.sin(2 * np.pi * y / 32) / 32, 3 / 48 * np.cos(2 * np.pi * 3 * x / 48)]) / 0.5
    np.testing.assert_allclose(integrate(gradient, 0.5), true, atol=1e-10)


def test_positions_turn_against_the_vectors():
    positions = scan_positions((3, 3), 2.0, 30.0)
    np.testing.assert_allclose(rotate_vectors(positions.T, 30.0).T, scan_positions((3, 3), 2.0, 0.0), atol=1e-12)
