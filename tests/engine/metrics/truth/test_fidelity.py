"""Overlaps of probes whose answer is known: moved, turned, mixed, and mixed states by closed forms."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, DataError, Optics, make_probe
from ptywidgets.engine.metrics import probe_fidelity

PIXEL = 0.4


def probe(**aberrations):
    optics = Optics(semiangle=20, aberrations=Aberrations(**aberrations))
    return make_probe(optics, (64, 64), (PIXEL, PIXEL), 80e3).astype(complex)


def moved(field, shift, ramp):
    """P(r - shift) exp(i ramp . r), in pixels."""
    k, r = np.fft.fftfreq(64), np.fft.fftfreq(64, 1 / 64)
    out = np.fft.ifft2(np.fft.fft2(field) * np.exp(-2j * np.pi * (k[:, None] * shift[0] + k * shift[1])))
    return out * np.exp(1j * (r[:, None] * ramp[0] + r * ramp[1]))


@pytest.mark.parametrize("shift", [(0, 0), (2.31, -1.77), (-6.5, 4.2)])
@pytest.mark.parametrize("ramp", [(0, 0), (0.05, -0.02)])
def test_shift_ramp_and_phase_are_found(shift, ramp):
    true = probe(defocus=200, C12=30)
    found = probe_fidelity(3 * np.exp(0.7j) * moved(true, shift, ramp), true, PIXEL)
    assert found.value == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found.shift, np.multiply(shift, PIXEL), atol=0.01 * PIXEL)
    np.testing.assert_allclose(np.multiply(found.ramp, PIXEL), ramp, atol=1e-3)
    assert found.phase == pytest.approx(0.7, abs=1e-3)


def test_a_wrong_defocus_is_not_taken_off():
    true = probe(defocus=200)
    near, far = (probe_fidelity(probe(defocus=200 + d), true, PIXEL).value for d in (5, 80))
    assert far < near < 0.9999 and far < 0.8


def test_without_freedom_it_is_the_plain_overlap():
    one, two = probe(defocus=200), probe(defocus=260)
    plain = abs(np.vdot(one, two)) ** 2 / np.vdot(one, one).real / np.vdot(two, two).real
    assert probe_fidelity(one, two, shift=False, ramp=False).value == pytest.approx(plain)


def orthonormal(count):
    noise = np.random.default_rng(0).normal(size=(2, 256, count))
    return np.linalg.qr(noise[0] + 1j * noise[1])[0].T.reshape(count, 16, 16)


def test_modes_may_be_mixed_by_any_unitary_matrix():
    modes = orthonormal(3) * np.sqrt([0.7, 0.2, 0.1])[:, None, None]
    generator = np.random.default_rng(1)
    unitary = np.linalg.qr(generator.normal(size=(3, 3)) + 1j * generator.normal(size=(3, 3)))[0]
    assert probe_fidelity(np.einsum("mn,nyx->myx", unitary, modes), modes).value == pytest.approx(1)


def test_commuting_mixed_states_have_the_fidelity_of_their_occupations():
    """Then it is (sum sqrt(p q))^2, Bhattacharyya's."""
    modes = orthonormal(3)
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])
    one, two = (modes * np.sqrt(w)[:, None, None] for w in (p, q))
    value = probe_fidelity(one, two, shift=False, ramp=False).value
    assert value == pytest.approx(np.sqrt(p * q).sum() ** 2)


def test_a_pure_state_in_a_mixed_one_has_the_fidelity_of_its_share():
    modes = orthonormal(4)
    weights = np.sqrt([0.5, 0.3, 0.1, 0.1])[:, None, None]
    assert probe_fidelity(modes[1], modes * weights, shift=False, ramp=False).value == pytest.approx(0.3)


def test_mixed_states_are_moved_as_a_whole():
    modes = np.stack([probe(defocus=200), 0.5 * probe(defocus=200, C21=2e4), 0.3 * probe(C12=90, defocus=200)])
    there = np.stack([moved(mode, (1.3, -2.6), (0.03, 0.01)) for mode in modes])
    found = probe_fidelity(there[[2, 0, 1]], modes, PIXEL)
    assert found.value == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found.shift, np.array([1.3, -2.6]) * PIXEL, atol=0.01 * PIXEL)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="one window"):
        probe_fidelity(np.ones((8, 8)), np.ones((8, 9)))
    with pytest.raises(DataError, match="dark"):
        probe_fidelity(np.zeros((8, 8)), np.ones((8, 8)))
