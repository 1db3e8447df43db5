"""Noise and spectrum are learnt from the data: a Wiener filter that knows neither beforehand."""

import numpy as np
import pytest

from ptywidgets.engine.direct.sidebands.folding import Equations
from ptywidgets.engine.direct.sidebands.spectrum_prior import Chunks, learnt, rising

SHAPE, PIXELS = (24, 24), 40


def equations_of(truth, noise, generator, few):
    """K direct measurements of each frequency on its own: d_k = x + noise."""
    rows, columns = few // SHAPE[1], few % SHAPE[1]
    x = truth[rows, columns]
    errors = generator.normal(size=(2, len(few), PIXELS)) * np.sqrt(noise / 2)
    data = x[:, None] + errors[0] + 1j * errors[1]
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n) for n in SHAPE], indexing="ij"))[rows, columns]
    return Equations(
        rows=rows[:, None],
        columns=columns[:, None],
        radius=frequency[:, None],
        matrix=np.full((len(few), 1, 1), PIXELS, np.complex64),
        right=data.sum(1)[:, None].astype(np.complex64),
        power=(np.abs(data) ** 2).sum(1),
    )


def lattice(generator):
    """A few strong spots, as wide as the scan is small, and nothing between."""
    truth = np.zeros(SHAPE, complex)
    for y, x in ((2, 5), (6, 9), (8, 2)):
        truth[y : y + 3, x : x + 3] = 4 * np.exp(2j * np.pi * generator.random((3, 3)))
    return truth


def solution(truth, counting, noise=60.0):
    half = np.flatnonzero((np.arange(24 * 24) % 24 < 12) & (np.arange(24 * 24) > 0) & (np.arange(24 * 24) // 24 < 12))
    made: dict[int, int] = {}

    def make(few):
        made[few[0]] = made.get(few[0], 0) + 1
        return equations_of(truth, noise, np.random.default_rng(few[0]), few)

    chunks = Chunks(make, np.array_split(half, 5), 1e3)
    diagonal = learnt(chunks, 0.1, counting, PIXELS, SHAPE)
    found = np.zeros(SHAPE, complex)
    for e, x in chunks.each(lambda e: (e, e.solve(diagonal(e)))):
        found[e.rows, e.columns] = x
    assert set(made.values()) == {1}  # equations are kept
    wanted = np.zeros(SHAPE, complex)
    wanted.flat[half] = truth.flat[half]
    return found, wanted, diagonal


def test_a_lattice_keeps_its_spots_and_loses_the_noise_between():
    truth = lattice(np.random.default_rng(1))
    errors = [np.linalg.norm(found - wanted) for found, wanted, _ in (solution(truth, c, 200.0) for c in (200.0, 0.0))]
    assert errors[0] < 0.95 * errors[1]


def test_without_counts_the_law_rises_with_the_frequency():
    _, _, diagonal = solution(lattice(np.random.default_rng(1)), 0.0)
    e = equations_of(np.zeros(SHAPE, complex), 1.0, np.random.default_rng(0), np.array([1, 2, 4]))
    strength = diagonal(e) / e.radius
    assert strength == pytest.approx(strength[0, 0]) and strength[0, 0] > 0.1


def test_more_counting_noise_is_never_believed_than_there_is_noise():
    truth = lattice(np.random.default_rng(1))
    exact, much = solution(truth, 60.0)[0], solution(truth, 1e6)[0]
    np.testing.assert_allclose(much, exact, rtol=0.05, atol=0.05)


def test_frequencies_that_are_not_there_get_one():
    e = equations_of(np.zeros(SHAPE, complex), 1.0, np.random.default_rng(0), np.array([1, 2]))
    e.radius[1] = np.inf
    assert rising(3.0)(e)[1, 0] == 1
