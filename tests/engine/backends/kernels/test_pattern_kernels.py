"""Loops of the direct methods: numpy's and numba's forms against plain sums, and each other."""

import importlib.util

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets.engine import ParameterError
from ptywidgets.engine.backends.kernels.numpy_patterns import SPLINE_MARGIN
from ptywidgets.engine.backends.kernels.pattern_kernels import pattern_kernels

NUMBA = importlib.util.find_spec("numba") is not None
GENERATOR = np.random.default_rng(0)


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.skipif(not NUMBA, reason="no numba"))])
def kernels(request):
    return pattern_kernels(request.param)


def complex_numbers(*shape):
    return (GENERATOR.normal(size=shape) + 1j * GENERATOR.normal(size=shape)).astype(np.complex64)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "i2", "i4", "f4", "f8"])
def test_moments(kernels, dtype):
    patterns = GENERATOR.integers(0, 90, (5, 7, 9)).astype(dtype)
    out = np.empty((5, 3))
    assert not kernels.moments(patterns, (3, 4), out)
    y, x = np.mgrid[:7, :9]
    expected = [[(p * w).sum() for w in (1.0, y - 3.0, x - 4.0)] for p in patterns.astype(float)]
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
def test_negative_counts_are_seen_and_negative_zero_is_none(kernels, dtype):
    patterns = GENERATOR.integers(0, 90, (5, 7, 9)).astype(dtype)
    if dtype[0] == "f":
        patterns[1, 2, 3] = -0.0
        assert not kernels.moments(patterns, (3, 4), np.empty((5, 3)))
    patterns[4, 6, 8] = -1
    assert kernels.moments(patterns, (3, 4), np.empty((5, 3)))


@pytest.mark.parametrize("step, reach", [(1, 8), (2, 9), (3, 10)])
def test_between_pixels_and_beyond_the_edges(kernels, step, reach):
    patterns = GENERATOR.integers(0, 90, (4, 20, 23)).astype(np.uint16)
    first = np.array([[2, 3], [-4, 1], [9, 12], [40, 5]])
    taps = GENERATOR.random((4, 2, reach)).astype(np.float32)
    within = np.array([2, 0, 1, 0]), np.array([3, 4, 4, 0])
    out = np.empty((4, 8), np.float32)
    kernels.between(patterns, first, taps, step, within, out)
    padded = np.pad(patterns, [(0, 0), (60, 60), (60, 60)]).astype(float)
    for n, (y, x) in enumerate(first + 60):
        expected = [
            taps[n, 0].astype(float)
            @ padded[n, y + step * i : y + step * i + reach, x + step * j : x + step * j + reach]
            @ taps[n, 1]
            for i, (start, stop) in enumerate(zip(*within, strict=True))
            for j in range(start, stop)
        ]
        np.testing.assert_allclose(out[n], expected, rtol=1e-5)


def test_paste(kernels):
    images, shares = GENERATOR.random((3, 4, 5)).astype(np.float32), GENERATOR.random((3, 2)).astype(np.float32)
    places = np.array([[[0, 1, 2], [1, 0, 0]], [[0, 2, 3], [0, 1, 2]], [[1, 2, 1], [1, 2, 3]]])
    target = np.ones((2, 7, 8), np.float32)
    kernels.add_images(images, places, shares, target)
    expected = np.ones((2, 7, 8))
    for image, spots, parts in zip(images, places, shares, strict=True):
        for (plane, y, x), share in zip(spots, parts, strict=True):
            expected[plane, y : y + 4, x : x + 5] += share * image
    np.testing.assert_allclose(target, expected, rtol=1e-6)


def test_samples_of_a_spline_fade_beyond_its_grid(kernels):
    image = GENERATOR.normal(size=(9, 11)).astype(np.float32)
    coefficients = ndimage.spline_filter(np.pad(image, SPLINE_MARGIN, mode="edge"), output=np.float32)
    first, steps, fade = np.array([-4.0, 3.0]), np.array([[0.31, -0.4], [0.6, 0.25]]), np.array([1.5, 0.8])
    out = np.empty((20, 17), np.float32)
    kernels.sample(coefficients, first + SPLINE_MARGIN, steps, fade, out)
    y, x = np.indices(out.shape)
    index = first[:, None, None] + steps[0][:, None, None] * y + steps[1][:, None, None] * x
    inside = np.clip(index, 0, np.array(image.shape)[:, None, None] - 1)
    beyond = ((index - inside) * fade[:, None, None]) ** 2
    expected = ndimage.map_coordinates(image, inside, order=3, mode="nearest") * np.exp(-beyond.sum(0))
    assert (beyond.sum(0) == 0).any() and (beyond.sum(0) > 20).any()
    np.testing.assert_allclose(out, expected, atol=2e-6)


def test_single_beams(kernels):
    table, at = complex_numbers(200), complex_numbers(7)
    pixels = np.array([0, 1, 2, 10, 11, 20, 31])
    minus, plus = np.array([5, 100]), np.array([60, 7])
    first, second = (at.conj() * table[minus[:, None] + pixels], at * table[plus[:, None] + pixels].conj())
    places = np.array([0, 1, 2, 3, 9, 10, 15])
    for got, expected in zip(kernels.beams(table, (minus, plus), pixels, places, at, 16), (first, second), strict=True):
        wanted = np.zeros((2, 16), np.complex64)
        wanted[:, places] = expected
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [3, 15, 16, 40])
def test_products_of_side_bands_and_data(kernels, size):
    """A table of planes of 100 numbers, a disk of which is other than zero; runs of five, one and three pixels."""
    y, x = np.mgrid[:10, :10] - 4.5
    lit = (np.hypot(y, x) < 3).ravel()
    table, data = (complex_numbers(5, 100) * lit).ravel(), complex_numbers(4, 9)
    pixels, at = np.array([0, 1, 2, 3, 4, 10, 20, 21, 22]), complex_numbers(9)
    ends = tuple(100 * GENERATOR.integers(0, 5, (4, size)) + GENERATOR.integers(10, 60, (4, size)) for _ in range(2))
    counts = np.array([size, size - 1, 0, 1])
    bands = at.conj() * table[ends[0][..., None] + pixels] - at * table[ends[1][..., None] + pixels].conj()
    bands[np.arange(size) >= counts[:, None]] = 0
    bands = np.concatenate([bands, data[:, None]], axis=1)
    found = kernels.products(table, lit, ends, counts, pixels, at, data)
    np.testing.assert_allclose(found, bands.conj() @ bands.swapaxes(1, 2), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [2, 15, 16, 37])
def test_solutions_of_hermitian_equations(kernels, size):
    half, right, added = complex_numbers(3, size, size + 4), complex_numbers(3, size), GENERATOR.random((3, size))
    matrix = half @ half.conj().swapaxes(1, 2)
    framed = np.zeros((3, size + 1, size + 1), np.complex64)
    framed[:, :size, :size] = matrix
    found = kernels.solve(framed[:, :size, :size], right, added)
    expected = np.linalg.solve(matrix + added[:, None] * np.eye(size), right[..., None].astype(complex))[..., 0]
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=2e-3)


def test_what_rounding_made_of_a_singular_matrix_stays_finite():
    bands = complex_numbers(1, 20, 3)
    matrix = bands @ bands.conj().swapaxes(1, 2)
    assert np.isfinite(pattern_kernels().solve(matrix, complex_numbers(1, 20), np.zeros((1, 20)))).all()


def test_deconvolution_sums(kernels):
    one, other, data = complex_numbers(3, 30), complex_numbers(3, 30), complex_numbers(2, 30)
    which = np.array([1, 0, 1])
    share = 1 / (abs(one) ** 2 + abs(other) ** 2 + 0.5)
    products = [one.conj() * one, other.conj() * other, one.conj() * other, one.conj() * data[which]]
    expected = [(share * p).sum(1) for p in [*products, other.conj() * data[which]]]
    got = kernels.deconvolve(one, other, data, which, 0.5)
    np.testing.assert_allclose(got, np.stack(expected, 1), rtol=1e-4, atol=1e-4)


def test_unknown_kernels_are_told():
    with pytest.raises(ParameterError, match="numba"):
        pattern_kernels("numbra")
