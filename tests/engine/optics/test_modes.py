"""Probe modes: orthogonal, of the same incoherent sum, and as others make them."""

import numpy as np
import pytest
import scipy.io

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.optics.modes import first_modes, hermite_modes, occupations, orthogonalise, tilted_modes


def overlaps(modes):
    rows = modes.reshape(len(modes), -1).astype(complex)
    return rows.conj() @ rows.T


def random_modes(count=4, shape=(20, 17), seed=0):
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, *shape)) + 1j * generator.normal(size=(count, *shape))).astype(np.complex64)


def gaussian(shape=(32, 27), width=3.0):
    y, x = (np.fft.fftfreq(n, 1 / n) for n in shape)
    return 10 * np.exp(-(y[:, None] ** 2 + x**2) / (2 * width**2)) * np.exp(0.1j * y[:, None])


def test_orthogonal_modes_are_sorted_and_add_up_to_the_same():
    probe = random_modes() + random_modes(1, seed=1)
    modes = orthogonalise(probe)
    gram = overlaps(modes)
    np.testing.assert_allclose(gram, np.diag(gram.diagonal()), atol=1e-5 * gram.real.max())
    assert (np.diff(gram.diagonal().real) < 0).all()
    np.testing.assert_allclose((abs(modes) ** 2).sum(0), (abs(probe) ** 2).sum(0), rtol=1e-5)
    assert modes.dtype == probe.dtype


def test_orthogonal_modes_are_only_sorted():
    modes = orthogonalise(random_modes())
    np.testing.assert_array_equal(orthogonalise(modes), modes)
    np.testing.assert_array_equal(orthogonalise(modes[::-1]), modes)
    single = random_modes(1)
    assert orthogonalise(single) is single


def test_a_mixture_is_taken_apart_again():
    """Two orthogonal modes of different intensity, mixed by a rotation."""
    y, x = np.fft.fftfreq(16, 1 / 16)[:, None], np.fft.fftfreq(16, 1 / 16)
    even = np.exp(-(y**2 + x**2) / 8)
    pair = np.array([3 * even, 1j * x * even]).astype(np.complex64)
    c, s = np.cos(0.4), np.sin(0.4)
    mixed = np.array([c * pair[0] - s * pair[1], s * pair[0] + c * pair[1]])
    np.testing.assert_allclose(abs(orthogonalise(mixed)), abs(pair), atol=1e-5)


def test_a_mode_without_light_is_kept_last():
    probe = random_modes(3)
    probe[0] = 0
    modes = orthogonalise(probe)
    assert np.isfinite(modes).all()
    np.testing.assert_allclose(modes[2], 0, atol=1e-5)


@pytest.mark.parametrize("kind", ["hermite", "tilts"])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_first_modes_keep_the_counts(kind, count):
    probe = gaussian()
    modes = first_modes(probe, count, kind, main_share=0.8)
    assert modes.shape == (count, *probe.shape) and modes.dtype == np.complex64
    np.testing.assert_allclose((abs(modes) ** 2).sum(), (abs(probe) ** 2).sum(), rtol=1e-6)
    expected = [1.0] if count == 1 else [0.8, *[0.2 / (count - 1)] * (count - 1)]
    np.testing.assert_allclose(occupations(modes), expected, rtol=1e-5)
    np.testing.assert_allclose(modes[0] / abs(modes[0]).max(), probe / abs(probe).max(), atol=1e-6)


def test_tilted_modes_light_what_the_probe_lights():
    probe = gaussian()
    modes = tilted_modes(probe, 4, np.random.default_rng(3))
    np.testing.assert_allclose(abs(modes), np.broadcast_to(abs(probe), modes.shape) / np.linalg.norm(probe), atol=1e-12)
    assert len({complex(m[1, 0]) for m in modes}) == 4


def test_hermite_modes_of_a_gaussian_are_those_of_hermite():
    """A Gaussian exp(-r^2 / 2 w^2) times x and a Gaussian is proportional to x exp(-r^2 c)."""
    probe = gaussian((41, 41), 4.0)
    mode = hermite_modes(probe, [(0, 0), (0, 1)])[1]
    x = np.fft.fftfreq(41, 1 / 41)
    variance = 4.0**2 / 2  # of the intensity
    expected = x * probe * np.exp(-(np.fft.fftfreq(41, 1 / 41)[:, None] ** 2 + x**2) / (2 * variance))
    np.testing.assert_allclose(mode, expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(overlaps(hermite_modes(probe, 12)), np.eye(12), atol=1e-10)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"kind": "hermit"}, "did you mean 'hermite'"),
        ({"count": 0}, "count is 0"),
        ({"main_share": 1.5}, "main_share is 1.5"),
        ({"probe": np.ones((2, 4, 4))}, "expected one mode"),
        ({"probe": np.eye(1, 4), "count": 4}, "ask for fewer modes"),
    ],
)
def test_what_cannot_be_is_said(wrong, words):
    with pytest.raises(ParameterError, match=words):
        first_modes(**{"probe": gaussian(), "count": 3, **wrong})


def test_known_orthogonal_modes(shared):
    folder = shared / "data" / "tike-known-answers"
    given = np.moveaxis(scipy.io.loadmat(folder / "ortho-in.mat")["modes"], -1, 0)
    known = np.moveaxis(scipy.io.loadmat(folder / "ortho-out.mat")["pr"], -1, 0)
    np.testing.assert_allclose(abs(orthogonalise(given.astype(np.complex64))), abs(known), atol=1e-4)


def test_known_hermite_modes(shared):
    file = scipy.io.loadmat(shared / "data" / "tike-known-answers" / "hermite.mat")
    orders = [(n, m) for n in range(3) for m in range(4)]
    modes = np.fft.fftshift(hermite_modes(np.fft.ifftshift(file["probes"]), orders), axes=(-2, -1))
    np.testing.assert_allclose(abs(modes), abs(np.moveaxis(file["result"], -1, 0)), atol=1e-10)
