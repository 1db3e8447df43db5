"""Pictures from aligned bright field: finer than the scan, right in contrast, in depth and in place."""

import math

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets import samples
from ptywidgets.engine import Aberrations, ParameterError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.direct import (
    BrightField,
    bright_field,
    contrast_transfer,
    contrast_zeros,
    correct_positions,
    corrected,
    depth_section,
    parallax,
    predicted_shifts,
    upsampled,
)
from ptywidgets.engine.direct.parallax.transfer import sum_transfer
from ptywidgets.engine.direct.parallax.upsample import scattered
from ptywidgets.engine.optics.aberrations import chi
from ptywidgets.engine.optics.chi_terms import coefficient_names, polynomials, slopes, taylor_terms
from ptywidgets.engine.preprocess import scan_frequencies

ENERGY = 80e3
DEFOCUS = 300.0


def wavy(y, x):
    """A picture with detail finer than the scan of `shifted`, at places in A."""
    waves = ((0.21, 0.05, 1.0), (-0.05, 0.33, 0.7), (0.28, 0.22, 0.7), (0.06, -0.08, 1.2), (0.12, 0.1, 0.9))
    return sum(a * np.cos(2 * math.pi * (p * y + q * x) + 3 * a) for p, q, a in waves)


def shifted(offsets=0.0, scan=20, step=2.0):
    """Bright-field images that are nothing but shifted copies of one picture, defocused, the detector turned."""
    k = np.stack(np.meshgrid(*[np.arange(-7, 8) * 0.06] * 2, indexing="ij"), -1).reshape(-1, 2)
    k = k[np.hypot(*k.T) <= 0.45]
    grid = np.stack(np.meshgrid(*[np.arange(scan) * step] * 2, indexing="ij")) + offsets
    tilted = BrightField(np.zeros((1, scan, scan), np.float32), k, 0.06, step, ENERGY, 0.45, 20.0, True)
    shifts = predicted_shifts(k, {"C10": -DEFOCUS}, 20.0, True, tilted.wavelength)
    places = grid[None] + shifts[:, :, None, None]
    images = 100 * (1 + 0.03 * wavy(places[:, 0], places[:, 1]))
    return BrightField(images.astype(np.float32), k, 0.06, step, ENERGY, 0.45, 20.0, True), grid


@pytest.fixture(scope="module")
def copies():
    bright, grid = shifted()
    return parallax(bright, order=1, transpose=True, weak=False), grid


def test_copies_are_put_back(copies):
    result, grid = copies
    assert result.aberrations["defocus"] == pytest.approx(DEFOCUS, rel=0.01)
    assert result.rotation == pytest.approx(20, abs=0.3)
    inner = (slice(4, -4),) * 2
    truth = 0.03 * wavy(*grid)
    slow = ndimage.gaussian_filter(truth, 0.6)
    assert np.corrcoef((result.aligned - 1)[inner].ravel(), slow[inner].ravel())[0, 1] > 0.9


def test_upsampling_shows_what_the_scan_is_too_coarse_for(copies):
    result, _ = copies
    fine, sampling = upsampled(result, 4, shifts=result.predicted, kernel=0.08)
    assert fine.shape == (80, 80) and sampling == pytest.approx((0.5, 0.5))
    y, x = np.meshgrid(*[np.arange(80) * 0.5] * 2, indexing="ij")
    inner = (slice(16, -16),) * 2
    truth = 0.03 * wavy(y, x)
    assert np.corrcoef((fine - 1)[inner].ravel(), truth[inner].ravel())[0, 1] > 0.97
    with pytest.raises(ParameterError, match="pixels per scan step"):
        upsampled(result, 100)


def test_positions_off_their_place_are_found():
    generator = np.random.default_rng(4)
    offsets = ndimage.gaussian_filter(generator.normal(size=(2, 24, 24)), (0, 3, 3))
    offsets *= 0.5 / offsets.std()
    offsets -= offsets.mean((1, 2), keepdims=True)
    bright, _ = shifted(offsets, scan=24)
    result = parallax(bright, order=1, rotation=20.0, transpose=True, weak=False)
    fit = correct_positions(result, iterations=6)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert np.corrcoef(fit.offsets[inner].ravel(), offsets[inner].ravel())[0, 1] > 0.85
    assert min(fit.errors) < 0.5 * fit.errors[0]


@pytest.fixture(scope="module")
def duck():
    return parallax(bright_field(samples.ducky("small", dose=None)), order=1)


def test_phase_is_in_rad_and_its_detail_right(duck):
    """Against the truth at the places of the fine pixels, filtered to what passes the aperture."""
    image = corrected(duck, factor=4, regularisation=0.001)
    truth, positions = samples.ducky_truth("small")
    sampling = 1 / (96 * 0.0375)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in image.phase.shape], indexing="ij")) * image.sampling[0]
    angle = math.radians(15.0)
    turned = np.stack(
        [
            math.cos(angle) * index[0] - math.sin(angle) * index[1],
            math.sin(angle) * index[0] + math.cos(angle) * index[1],
        ]
    )
    there = (turned + positions[0][:, None, None]) / sampling
    expected = ndimage.map_coordinates(truth, there, order=3)
    inner = (slice(12, -12),) * 2

    def band(a):
        q = np.hypot(*scan_frequencies(a.shape, image.sampling))
        return np.fft.irfft2(np.fft.rfft2(a - a.mean()) * ((q > 0.1) & (q < 0.6)), s=a.shape)[inner].ravel()

    got, wanted = band(image.phase), band(expected)
    assert np.corrcoef(got, wanted)[0, 1] > 0.85
    assert 0.4 < (got @ wanted) / (wanted @ wanted) < 1.2
    assert corrected(duck, factor=1).phase.shape == (24, 24)


def test_sign_correction_turns_reversed_waves(duck):
    plain = corrected(duck, factor=4, method="none").phase
    sign = corrected(duck, factor=4, method="sign").phase
    truth_like = corrected(duck, factor=4).phase
    inner = (slice(12, -12),) * 2
    similar = [np.corrcoef(a[inner].ravel(), truth_like[inner].ravel())[0, 1] for a in (plain, sign)]
    assert similar[1] > 0.8 > similar[0]
    with pytest.raises(ParameterError, match="wiener"):
        corrected(duck, method="weiner")


def test_transfer_of_higher_orders_joins_that_of_the_first(duck):
    bright = duck.bright
    q = scan_frequencies(bright.scan_shape, (bright.scan_step,) * 2)
    closed = sum_transfer(bright, {"C10": -350.0}, q)
    summed = sum_transfer(bright, {"C10": -350.0, "C21": 1e-6}, q)
    assert np.abs(closed - summed).max() < 0.12
    odd = sum_transfer(bright, {"C10": -350.0, "C21": 8000.0, "phi21": 0.4}, q)
    assert np.abs(odd.imag).max() > 0.1


def test_depth_section_is_sharpest_in_its_plane(duck):
    planes = depth_section(duck, [-200.0, 0.0, 200.0], correct=False)
    assert planes.shape == (3, 24, 24)
    assert planes[1].std() > planes[0].std() and planes[1].std() > planes[2].std()
    assert depth_section(duck, [0.0])[0] == pytest.approx(corrected(duck, factor=1).phase)


def test_contrast_transfer_lies_in_the_scan_frame():
    known = Aberrations(defocus=400, C12=100, phi12=0.3)
    image = contrast_transfer(known, (32, 32), 1.0, ENERGY, rotation=30.0, transpose=True)
    bright, _ = shifted()
    bright = bright.turned(30.0, True)
    q = np.fft.fftshift(np.fft.fftfreq(32))
    detector = bright.to_detector(np.stack(np.meshgrid(q, q, indexing="ij")))
    np.testing.assert_allclose(image, np.sin(chi(known, *detector, ENERGY)), atol=1e-12)


def test_contrast_zeros_are_zeros():
    known = {"C10": -400.0, "C12": 100.0, "phi12": 0.3}
    angles, radii = contrast_zeros(known, 0.4, ENERGY, rotation=30.0)
    assert radii.shape[0] == len(angles) and radii.shape[1] >= 2
    bright, _ = shifted()
    places = np.stack([np.cos(angles)[:, None] * radii, np.sin(angles)[:, None] * radii])
    values = np.sin(chi(known, *bright.turned(30.0, False).to_detector(places), ENERGY))
    assert np.nanmax(np.abs(values)) < 2e-3


@pytest.mark.parametrize("parity", [0, 1])
def test_taylor_terms_are_what_chi_has_beyond_its_slope(parity):
    """chi(k + q) less chi(k) and q . grad chi(k): its even and odd parts in q, for all orders at once."""
    generator = np.random.default_rng(4)
    known = {name: float(generator.normal() * 300 * 20 ** int(name[1])) for name in coefficient_names()}
    k, q = (generator.normal(size=n) * 0.1 + 0.1j * generator.normal(size=n) for n in (5, 7))
    lam = wavelength(ENERGY)

    def total(z):
        return sum(v * p for v, p in zip(known.values(), polynomials(tuple(known), z, lam), strict=True))

    def slope(along):
        return slopes(tuple(known), list(known.values()), k[:, None], along, lam)

    ahead, behind = (total(k[:, None] + sign * q) for sign in (1, -1))
    expected = (ahead + behind) / 2 - total(k)[:, None] if parity == 0 else (ahead - behind) / 2 - slope(q[None])
    coefficients, basis = taylor_terms(known, k, q, lam, parity)
    np.testing.assert_allclose(coefficients @ basis, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_whole_images_are_pasted_where_their_values_belong(factor):
    bright, _ = shifted()
    shifts = predicted_shifts(bright.tilts, {"C10": -DEFOCUS}, 20.0, True, bright.wavelength)
    pasted = scattered(bright, shifts, factor)
    singly = scattered(bright, shifts, factor, offsets=np.zeros((2, 20, 20)))
    np.testing.assert_allclose(pasted.image, singly.image, atol=1e-5)
    np.testing.assert_allclose(pasted.seen, singly.seen, atol=1e-5)
