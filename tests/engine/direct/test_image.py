"""From a direct image to the object that an iteration starts with."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.direct import DirectImage, start_object
from ptywidgets.engine.preprocess.rotation import rotate_vectors

OPTICS = Optics(semiangle=20, aberrations=Aberrations(defocus=250))


def hill(y, x):
    """A phase with its top off the middle of the scan (A from the first position, along the scan)."""
    return np.exp(-((y - 6.0) ** 2 + (x - 11.0) ** 2) / 18)


def hill_image(height=1.0, sampling=0.5, rotation=-15.0, transpose=False):
    n = int(16.5 / sampling) + 1
    y, x = np.meshgrid(*[np.arange(n) * sampling] * 2, indexing="ij")
    return DirectImage((height * hill(y, x)).astype(np.float32), (sampling, sampling), "test", rotation, transpose)


def expected(problem, measurement, height=1.0):
    """The hill on the problem's grid, from its positions alone; and where the scan lies."""
    y, x = np.indices(problem.object_shape[-2:]) * np.array(problem.sampling).reshape(2, 1, 1)
    middle = (problem.initial_positions.max(0) + problem.initial_positions.min(0)) / 2
    grid = np.stack([y - middle[0], x - middle[1]])
    scan = rotate_vectors(grid, measurement.rotation, measurement.transpose) + 5.5 * 1.5
    inside = ((scan > 0.5) & (scan < 16.0)).all(0)
    return height * hill(*scan), inside


@pytest.mark.parametrize("rotation, transpose", [(-15.0, False), (75.0, False), (20.0, True)])
@pytest.mark.parametrize("sampling", [0.5, 1.5])
def test_the_phase_lies_where_the_scan_saw_it(rotation, transpose, sampling):
    measurement = prepare(samples.ducky("tiny"), rotation=rotation, transpose=transpose)
    problem = make_problem(measurement, OPTICS)
    start = start_object(hill_image(sampling=sampling, rotation=rotation, transpose=transpose), problem)
    truth, inside = expected(problem, measurement)
    assert start.dtype == np.complex64 and start.shape == problem.object_shape
    np.testing.assert_allclose(np.abs(start), 1, rtol=1e-5)
    np.testing.assert_allclose(np.angle(start[0])[inside], truth[inside], atol=0.03)


def test_a_potential_does_not_wrap():
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0)
    problem = make_problem(measurement, OPTICS, model=single_slice("potential"))
    start = start_object(hill_image(height=7.0), problem)
    truth, inside = expected(problem, measurement, height=7.0)
    assert start.dtype == np.float32 and start.max() > 6.5
    np.testing.assert_allclose(start[0][inside], truth[inside], atol=0.1)


def test_slices_share_the_phase():
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0)
    one = make_problem(measurement, OPTICS, model=single_slice("potential"))
    shape = (4, *one.object_shape[1:])
    four = replace(one, initial_object=np.zeros(shape, np.float32))
    start = start_object(hill_image(height=4.0), four)
    np.testing.assert_allclose(start.sum(0), start_object(hill_image(height=4.0), one)[0], atol=1e-5)
    assert start.shape == shape and np.ptp(start, axis=0).max() == 0


def test_outside_of_the_scan_the_phase_fades():
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0)
    problem = make_problem(measurement, OPTICS, model=single_slice("potential"))
    ramp = np.linspace(0, 1, 12, dtype=np.float32)[:, None] * np.ones(12, np.float32)
    start = start_object(DirectImage(ramp, (1.5, 1.5), "test", -15.0, False), problem)[0]
    assert start[0].max() < 0.01 and start[-1].max() < 0.01
    assert start.max() == pytest.approx(0.95, abs=0.1)


def noisy(phase, sigma=0.05):
    noise = np.random.default_rng(0).normal(0, sigma, phase.shape)
    return (phase + noise).astype(np.float32)


def test_of_atoms_on_vacuum_a_potential_keeps_little_noise():
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0)
    problem = make_problem(measurement, OPTICS, model=single_slice("potential"))
    image = hill_image()
    image = replace(image, phase=noisy(image.phase**4))  # as narrow as an atom
    start = start_object(image, problem)[0]
    truth, inside = expected(problem, measurement)
    empty = inside & (truth**4 < 1e-3)
    assert start.min() == 0
    assert start[empty].mean() < 0.04, "a zero at the low end would leave 1.6 sigma"
    assert start[inside][truth[inside].argmax()] == pytest.approx(1, abs=0.2)
    wave = start_object(image, make_problem(measurement, OPTICS))[0]
    assert (np.angle(wave)[empty] < 0).mean() == pytest.approx(0.5, abs=0.15), "a phase may have either sign"


def test_a_specimen_without_vacuum_keeps_its_troughs():
    measurement = prepare(samples.ducky("tiny"), rotation=-15.0)
    problem = make_problem(measurement, OPTICS, model=single_slice("potential"))
    image = hill_image()
    film = noisy(np.zeros_like(image.phase), 0.3)
    one, two = (start_object(replace(image, phase=film + offset), problem)[0] for offset in (0, 5))
    np.testing.assert_allclose(one, two, atol=1e-4)
    assert 0.02 < (one[one != 0] < 0).mean() < 0.12
