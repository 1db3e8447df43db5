"""Models: the contract, sub-pixel shifts, and physics with a closed form."""

import numpy as np
import pytest

from ptywidgets.engine import ParameterError, single_slice
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.models.composed import Geometry
from ptywidgets.engine.models.shift import (
    TOLERANCE,
    ChebyshevShift,
    FourierShift,
    NoShift,
    choose_shift,
    fewest_terms,
)
from ptywidgets.testing import ModelContract, model_case
from ptywidgets.testing.contracts.models import check_shift_adjoint


class TestSingleSlice(ModelContract):
    @pytest.fixture(params=["complex", "potential"])
    def model(self, request):
        return single_slice(request.param)


class TestSingleSliceCoherent(TestSingleSlice):
    def case(self, model, **options):
        return model_case(model, modes=1, window=(16, 16), **options)


class TestSingleSliceOnWholePixels(TestSingleSlice):
    def case(self, model, **options):
        return model_case(model, subpixel=False, **options)


@pytest.fixture
def backend():
    backend = CpuBackend(1)
    yield backend
    backend.close()


def band_limited(n, radius, dtype=np.complex128, modes=1):
    """A window-centred wave whose spectrum fills a disk of `radius` cycles per pixel."""
    k = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None])
    generator = np.random.default_rng(3)
    spectrum = (k < radius) * np.exp(2j * np.pi * generator.random((modes, n, n)))
    return np.fft.ifft2(spectrum, norm="ortho").astype(dtype)


FRACTIONS = np.array([[0.5, -0.5], [0.0, 0.0], [0.31, 0.12], [-0.2, 0.44]])
EVERY = np.arange(4)
TERMS = ((0, 0), (1, 0), (0, 2), (3, 1))


@pytest.mark.parametrize("tolerance", [TOLERANCE, 1e-5])
@pytest.mark.parametrize("radius, most", [(0.05, 10), (0.1, 15), (0.25, 26), (0.5, 43)])
def test_the_shift_basis_is_as_good_as_it_says(backend, radius, most, tolerance):
    wave = band_limited(48, radius)
    spectrum = np.fft.fft2(wave, norm="ortho")
    wanted = fewest_terms(np.abs(spectrum[0]) ** 2, tolerance)
    assert wanted is not None and len(wanted) <= most
    exact = FourierShift(spectrum, FRACTIONS).waves(backend, EVERY)
    fast = ChebyshevShift.prepare(backend, spectrum.copy(), wanted, FRACTIONS).waves(backend, EVERY)
    error = np.sqrt((np.abs(fast - exact) ** 2).sum((1, 2, 3)) / (np.abs(wave) ** 2).sum())
    assert error.max() < 1.1 * tolerance


@pytest.mark.parametrize("dtype, rtol", [(np.complex128, 1e-12), (np.complex64, 1e-5)])
@pytest.mark.parametrize("modes", [1, 3])
def test_shifts_have_exact_adjoints(backend, dtype, rtol, modes):
    wave = band_limited(32, 0.2, dtype, modes)
    spectrum = backend.fft2(wave.copy())
    shifts = (
        FourierShift(spectrum, FRACTIONS),
        ChebyshevShift.prepare(backend, spectrum, TERMS, FRACTIONS),
        NoShift(wave),
    )
    for shift in shifts:
        check_shift_adjoint(shift, wave, 4, backend, rtol)


def test_the_cheap_shift_is_taken_where_it_is_right_and_pays(backend):
    probe = band_limited(48, 0.1, np.complex64)
    fractions = np.zeros((100, 2)) + 0.3
    assert isinstance(choose_shift(backend, probe, fractions), ChebyshevShift)
    assert isinstance(choose_shift(backend, probe, fractions[:6]), FourierShift)
    assert isinstance(choose_shift(backend, probe.astype(np.complex128), fractions), FourierShift)
    assert isinstance(choose_shift(backend, probe, None), NoShift)


def test_the_cheap_shift_gives_the_loss_of_the_exact_model():
    case = model_case(modes=1, positions=120, double=False, window=(32, 32))
    probe = np.fft.ifftshift(band_limited(32, 0.1, np.complex64), axes=(-2, -1)) * 3
    assert isinstance(choose_shift(case.backend, probe, case.geometry.fractions), ChebyshevShift)
    exact = ((np.sqrt(case.intensities(probe=probe)) - case.amplitudes) ** 2).sum(dtype=float)
    np.testing.assert_allclose(case.gradients(probe=probe).loss, exact, rtol=TOLERANCE)


def test_a_shift_there_and_back_is_the_identity(backend):
    wave = band_limited(32, 0.45)
    there = FourierShift(np.fft.fft2(wave, norm="ortho"), FRACTIONS).waves(backend, EVERY)
    for one, fraction in zip(there, FRACTIONS, strict=True):
        back = FourierShift(np.fft.fft2(one, norm="ortho"), -fraction[None]).waves(backend, EVERY[:1])
        np.testing.assert_allclose(back[0], wave, atol=1e-12)


def test_a_whole_pixel_is_a_roll(backend):
    wave = band_limited(32, 0.45)
    moved = FourierShift(np.fft.fft2(wave, norm="ortho"), np.array([[1.0, -2.0]])).waves(backend, EVERY[:1])
    np.testing.assert_allclose(moved[0], np.roll(wave, (1, -2), axis=(-2, -1)), atol=1e-12)


def test_vacuum_shows_the_aperture():
    case = model_case(single_slice("potential"), modes=2)
    vacuum = case.intensities(obj=np.zeros_like(case.obj))
    aperture = (np.abs(np.fft.fft2(case.probe, norm="ortho")) ** 2).sum(0)
    still = Geometry(case.geometry.corners, case.geometry.fractions, None)
    undescanned = case.intensities(obj=np.zeros_like(case.obj), geometry=still)
    np.testing.assert_allclose(undescanned, aperture[None].repeat(case.count, 0), rtol=1e-8)
    np.testing.assert_allclose(vacuum.sum((1, 2)), aperture.sum(), rtol=1e-10)


def test_descan_moves_the_pattern():
    case = model_case(modes=1)
    shifts = np.array([[3.0, -2.0]]).repeat(case.count, 0)
    still = Geometry(case.geometry.corners, case.geometry.fractions, None)
    moved = Geometry(case.geometry.corners, case.geometry.fractions, shifts)
    expected = np.roll(case.intensities(geometry=still), (3, -2), axis=(1, 2))
    np.testing.assert_allclose(case.intensities(geometry=moved), expected, atol=1e-10)


def test_moving_object_and_probe_together_changes_nothing():
    case = model_case(subpixel=False)
    moved = Geometry(case.geometry.corners + np.array([1, -1]), None, case.geometry.shifts)
    rolled = np.roll(case.obj, (1, -1), axis=(1, 2))
    np.testing.assert_allclose(case.intensities(obj=rolled, geometry=moved), case.intensities(), rtol=1e-10)


def test_a_small_potential_is_a_complex_object():
    potential, complex_ = model_case(single_slice("potential")), model_case(single_slice("complex"))
    phase = 1e-3 * potential.obj
    expected = potential.intensities(obj=phase)
    np.testing.assert_allclose(complex_.intensities(obj=np.exp(1j * phase)), expected, rtol=1e-10)
    weak = complex_.intensities(obj=1 + 1j * phase)
    np.testing.assert_allclose(weak, expected, rtol=0, atol=1e-4 * expected.max())


def test_one_mode_is_two_of_half_the_intensity():
    one = model_case(modes=1)
    split = np.concatenate([one.probe, one.probe]) / np.sqrt(2)
    np.testing.assert_allclose(one.intensities(probe=split), one.intensities(), rtol=1e-10)
    whole, halves = one.gradients(), one.gradients(probe=split)
    np.testing.assert_allclose(halves.object, whole.object, atol=1e-10)
    np.testing.assert_allclose(halves.probe.sum(0) / np.sqrt(2), whole.probe[0], atol=1e-10)
    np.testing.assert_allclose(halves.illumination, whole.illumination)


def test_illumination_and_coverage_count_the_windows():
    case = model_case(single_slice("potential"), modes=2)
    gradients = case.gradients()
    np.testing.assert_allclose(gradients.coverage, case.count)
    np.testing.assert_allclose(gradients.illumination.sum(), case.count * (np.abs(case.probe) ** 2).sum())


def test_an_unknown_object_type_names_the_nearest():
    with pytest.raises(ParameterError, match="potential"):
        single_slice("potental")
