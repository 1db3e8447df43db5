"""The near field against plain numpy: whatever fraction of a pixel a position has."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate, make_problem
from ptywidgets.engine.models import NearField, single_slice
from ptywidgets.engine.preprocess.arrays import measurement_of
from ptywidgets.engine.refinements import position_derivatives

N, PIXEL, WAVELENGTH, DISTANCE = 48, 0.3, 0.04, 900.0
EXTENT = (N * PIXEL, N * PIXEL)


def smooth(shape, width, seed):
    generator = np.random.default_rng(seed)
    k2 = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.fftfreq(shape[1])[None] ** 2
    field = np.fft.ifft2(np.fft.fft2(generator.normal(size=shape)) * np.exp(-k2 / width**2)).real
    return field / np.abs(field).max()


def illumination():
    y = np.arange(N) - N // 2
    drop = 30 * np.exp(-(y[:, None] ** 2 + y**2) / (2 * 6.0**2))
    return drop * np.exp(1j * smooth((N, N), 0.05, 1))


def plain_numpy(obj, probe, centre):
    """AngularSpectrum(z)[probe x object about a place], with the object moved and not the probe."""
    ky, kx = np.fft.fftfreq(obj.shape[0])[:, None], np.fft.fftfreq(obj.shape[1])[None]
    whole = np.rint(centre).astype(int)
    rest = centre - whole
    moved = np.fft.ifft2(np.fft.fft2(obj) * np.exp(2j * np.pi * (ky * rest[0] + kx * rest[1])))
    top, left = whole - N // 2
    k = np.fft.fftfreq(N, PIXEL)
    way = np.exp(-1j * np.pi * WAVELENGTH * DISTANCE * (k[:, None] ** 2 + k**2))
    return np.abs(np.fft.ifft2(np.fft.fft2(probe * moved[top : top + N, left : left + N]) * way)) ** 2


def problem_of(positions, counts=None):
    counts = np.ones((len(positions), N, N), np.float32) if counts is None else counts
    measurement = measurement_of(counts, positions * PIXEL, PIXEL)
    model = replace(single_slice(), detector=NearField(DISTANCE, WAVELENGTH, EXTENT))
    probe = np.fft.ifftshift(illumination())
    return make_problem(measurement, probe=probe, model=model, object_padding=3 * PIXEL)


@pytest.fixture(scope="module")
def case():
    """A problem with patterns by plain numpy, and the state that made them."""
    positions = np.random.default_rng(0).uniform(-5, 5, (9, 2))
    problem = problem_of(positions)
    obj = np.exp(0.8j * smooth(problem.object_shape[1:], 0.06, 2))
    centres = problem.initial_positions / PIXEL
    expected = np.array([plain_numpy(obj, illumination(), c) for c in centres])
    problem = problem_of(positions, expected.astype(np.float32))
    return problem, problem.start().replace(object=obj[None].astype(np.complex64)), expected


def test_patterns_are_those_of_plain_numpy(case):
    """Relative error 1.4e-5, where patterns that are not moved back have 3.9e-2."""
    problem, state, expected = case
    found = problem.intensities(state, np.arange(problem.count))
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error < 3e-5

    class Left(NearField):
        follows_window = False

    left = replace(problem, model=replace(problem.model, detector=Left(DISTANCE, WAVELENGTH, EXTENT)))
    before = np.linalg.norm(left.intensities(state, np.arange(problem.count)) - expected) / np.linalg.norm(expected)
    assert before > 36 * error


@pytest.mark.parametrize("algorithm", ["PIE", "gradient descent", "LSQ-ML", "conjugate gradients", "projections"])
def test_every_algorithm_begins_with_no_error_at_the_truth(case, algorithm):
    problem, state, _ = case
    *_, after = iterate(problem, Plan(iterations=1, algorithm=algorithm, constraints=()), state)
    assert after.losses[0] < 1e-5


def test_positions_are_refined_by_what_moves_on_the_detector_too(case):
    """Slopes are those of finite differences of the loss."""
    problem, state, _ = case
    aside = np.random.default_rng(3).normal(0, 0.05, state.positions.shape)
    state = state.replace(positions=state.positions + aside)
    batch = np.arange(problem.count)
    found = position_derivatives(problem, state, batch).positions
    step = 1e-3
    for axis in (0, 1):
        ends = []
        for sign in (1, -1):
            moved = state.positions.copy()
            moved[4, axis] += sign * step
            ends.append(problem.value(state.replace(positions=moved), batch[4:5]))
        # PositionDerivatives hold minus half of the derivative: the way down.
        assert found[4, axis] == pytest.approx(-(ends[0] - ends[1]) / (4 * step), rel=0.02)


def test_positions_that_are_off_come_back(case):
    problem, truth, _ = case
    aside = np.random.default_rng(4).normal(0, 0.04, truth.positions.shape)
    state = truth.replace(positions=truth.positions + aside - aside.mean(0))
    for _ in range(4):
        steps = position_derivatives(problem, state, np.arange(problem.count)).steps(0.01)
        state = state.replace(positions=state.positions + steps)
    left = np.abs(state.positions - truth.positions).max()
    assert left < 0.1 * np.abs(aside).max()
