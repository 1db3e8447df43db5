"""Fields that both grids can hold come over exactly."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.problem.resample import cut_spectrum, resample_object, resample_probe, resampled_shape
from ptywidgets.testing import example_problem


def band_limited(shape, cycles, seed=0):
    """Real, with no more than so many cycles along an axis, as a function of the place in units of the field."""
    generator = np.random.default_rng(seed)
    spectrum = np.zeros(shape, complex)
    small = generator.normal(size=(2 * cycles + 1, 2 * cycles + 1)) + 1j * generator.normal(
        size=(2 * cycles + 1, 2 * cycles + 1)
    )
    for a in range(-cycles, cycles + 1):
        for b in range(-cycles, cycles + 1):
            spectrum[a, b] = small[a + cycles, b + cycles]
    return np.fft.ifft2(spectrum) * np.prod(shape)


@pytest.mark.parametrize(("old", "new"), [((16, 16), (12, 12)), ((12, 10), (8, 15)), ((9, 9), (12, 12))])
def test_spectra_are_cut_and_padded_about_zero_frequency(old, new):
    field = band_limited(old, 3)
    expected = band_limited(new, 3)
    got = np.fft.ifft2(cut_spectrum(np.fft.fft2(field), new)) * (np.prod(new) / np.prod(old))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_probe_keeps_its_counts_there_and_back():
    probe = band_limited((16, 16), 4)[None].astype(np.complex64)
    finer = resample_probe(probe, (24, 24))
    np.testing.assert_allclose((abs(finer) ** 2).sum(), (abs(probe) ** 2).sum(), rtol=1e-6)
    np.testing.assert_allclose(resample_probe(finer, (16, 16)), probe, atol=1e-4)


def test_an_object_stays_where_it_is():
    # A bump that no grid resolves better than another, well away from the edges: the same function of the place.
    def bump(shape, pixel):
        y, x = np.meshgrid(*[np.arange(n) * pixel for n in shape], indexing="ij")
        return np.exp(-(((y - 20) ** 2 + (x - 17) ** 2) / 32))[None].astype(np.float32)

    coarse = bump((30, 33), 1.5)
    fine = resample_object(coarse, (16, 16), (24, 24), (1, 45, 49), 0.0)
    np.testing.assert_allclose(fine, bump((45, 49), 1.0), atol=2e-4)
    back = resample_object(fine, (24, 24), (16, 16), (1, 30, 33), 0.0)
    np.testing.assert_allclose(back, coarse, atol=2e-4)


def test_what_lies_beyond_is_empty():
    out = resample_object(np.ones((1, 8, 8), np.complex64), (8, 8), (12, 12), (1, 20, 20), 1.0)
    np.testing.assert_allclose(out, 1, atol=1e-6)


@pytest.mark.parametrize("kind", ["complex", "potential"])
def test_a_problem_at_a_smaller_window_models_the_middle_of_the_same_patterns(kind):
    problem = example_problem(kind)
    measurement = replace(problem.measurement, shifts=np.zeros_like(problem.measurement.shifts))
    problem = replace(problem, measurement=measurement)
    small = problem.at_window((48, 48))
    assert small.object_shape == resampled_shape(problem.object_shape, (64, 64), (48, 48))
    assert small.sampling == pytest.approx([s * 64 / 48 for s in problem.sampling])
    whole, part = problem.start(), small.start()
    full = problem.intensities(whole, np.arange(4))
    inside = small.intensities(part, np.arange(4))
    rows = np.r_[0:24, -24:0]
    # With nothing in the way a pattern is the aperture, on both grids.
    np.testing.assert_allclose(inside, full[:, rows][:, :, rows], atol=2e-3 * full.max())
    np.testing.assert_array_equal(small.patterns.amplitudes([3]), problem.patterns.amplitudes([3])[:, rows][:, :, rows])


def test_a_state_comes_over_and_back():
    problem = example_problem("potential")
    small = problem.at_window((48, 48))
    state = small.start()
    y, x = np.meshgrid(*[np.arange(n) - n / 2 for n in state.object.shape[-2:]], indexing="ij")
    smooth = (0.3 * np.exp(-(y**2 + x**2) / 50)).astype(np.float32)[None]
    state = state.replace(object=smooth, iteration=3, losses=(1.0, 0.5, 0.4), memory={"PIE.x": smooth})
    whole = problem.resample_state(state)
    assert whole.object.shape == problem.object_shape and whole.probe.shape == problem.initial_probe.shape
    assert whole.iteration == 3 and whole.losses == state.losses and not whole.memory
    assert state.sampling == small.sampling and whole.sampling == problem.sampling
    np.testing.assert_allclose(small.resample_state(whole).object, smooth, atol=2e-3)
    assert problem.resample_state(whole) is whole
    assert problem.at_window(problem.window) is problem


@pytest.mark.parametrize("cycles", [(3, -2), (0, 5), (12, 0), (0, 12)])  # 12: the highest frequency of 24 pixels
@pytest.mark.parametrize(("old", "new"), [((8, 8), (12, 12)), ((8, 8), (8, 10)), ((12, 12), (8, 8))])
def test_a_wave_of_a_potential_is_the_same_wave_on_the_other_grid(cycles, old, new):
    def wave(window):
        y, x = (np.arange(3 * n) / (3 * n) for n in window)
        return np.cos(2 * np.pi * (cycles[0] * y[:, None] + cycles[1] * x))[None].astype(np.float32)

    found = resample_object(wave(old), old, new, (1, 3 * new[0], 3 * new[1]), 0.0)
    np.testing.assert_allclose(found, wave(new), atol=2e-6)
    assert found.dtype == np.float32
