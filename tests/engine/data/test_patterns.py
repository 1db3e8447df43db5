"""Patterns: nothing is copied, crops are what a roll and a cut are, and mistakes are told."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import DataError, Plan, iterate
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.testing import example_problem, model_case


@pytest.fixture
def patterns():
    counts = np.random.default_rng(0).poisson(4, (5, 8, 9)).astype(np.uint16)
    return Patterns(counts, np.random.default_rng(1).integers(-9, 20, (5, 2)))


def test_nothing_is_copied(patterns):
    cropped = patterns.crop((4, 4))
    assert cropped.counts is patterns.counts
    assert np.shares_memory(patterns.on(CpuBackend(1)).counts, patterns.counts)
    assert (cropped.shape, len(cropped), cropped.nbytes) == ((5, 4, 4), 5, 5 * 8 * 9 * 2)


def test_a_window_of_the_detector_is_a_roll(patterns):
    rolled = [np.roll(c, -o, (0, 1)) for c, o in zip(patterns.counts, patterns.origin, strict=True)]
    np.testing.assert_array_equal(patterns.amplitudes(), np.sqrt(np.array(rolled), dtype=np.float32))


def test_crops_keep_the_low_frequencies(patterns):
    whole, cropped = patterns.amplitudes(), patterns.crop((5, 4)).amplitudes()
    np.testing.assert_array_equal(cropped, whole[:, [0, 1, 2, -2, -1]][:, :, [0, 1, -2, -1]])
    np.testing.assert_array_equal(patterns.crop((5, 4)).take([3, 1]).amplitudes(), cropped[[3, 1]])


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"counts": np.zeros((8, 9))}, "expected real numbers"),
        ({"counts": np.zeros((5, 8, 9), complex)}, "expected real numbers"),
        ({"origin": np.zeros((5, 2))}, "round them"),
        ({"origin": np.zeros((4, 2), int)}, "of 5 patterns"),
        ({"window": (9, 9)}, "within the detector"),
        ({"mask": np.ones((8, 9))}, "True where a pixel counts"),
        ({"mask": np.ones((9, 8), bool)}, "True where a pixel counts"),
    ],
)
def test_mistakes_are_told(patterns, fields, message):
    with pytest.raises(DataError, match=message):
        replace(patterns, **fields)


def test_a_masked_pixel_does_not_change_gradients():
    case = model_case()
    mask = np.random.default_rng(0).random(case.patterns.counts.shape[1:]) < 0.7
    broken = replace(case.patterns, mask=mask, counts=np.where(mask, case.patterns.counts, 1e6))
    fitting = replace(case.patterns, counts=np.where(mask, case.patterns.counts, case.intensities()))
    masked, expected = case.gradients(patterns=broken), case.gradients(patterns=fitting)
    assert masked.loss == pytest.approx(expected.loss, rel=1e-9)
    np.testing.assert_allclose(masked.object, expected.object, atol=1e-9)
    np.testing.assert_allclose(masked.probe, expected.probe, atol=1e-9)


def test_a_hot_pixel_does_no_harm_where_it_is_masked():
    problem = example_problem()
    hot = np.array(problem.patterns.counts)
    hot[:, 20, 30] = 60000
    mask = np.ones(hot.shape[1:], bool)
    mask[20, 30] = False
    masked = replace(problem, patterns=replace(problem.patterns, counts=hot, mask=mask))
    (*_, state), (*_, expected) = (iterate(one, Plan(iterations=3, batch=32)) for one in (masked, problem))
    assert state.losses[-1] == pytest.approx(expected.losses[-1], rel=0.01)


def test_the_brightest_pixel_is_one_that_the_mask_leaves_in():
    counts = np.zeros((3, 4, 4), np.uint16)
    counts[0, 1, 1], counts[1, 2, 2], counts[2, 3, 3] = 5, 900, 7
    patterns = Patterns(counts, np.zeros((3, 2), int))
    assert patterns.max_counts() == 900
    assert patterns.take([0, 2]).max_counts() == 7
    mask = np.ones((4, 4), bool)
    mask[2, 2] = False
    assert replace(patterns, mask=mask).max_counts() == 7
    assert replace(patterns, mask=np.zeros((4, 4), bool)).max_counts() == 0
    assert Patterns(-np.ones((1, 2, 2), np.float32), np.zeros((1, 2), int)).max_counts() == 0
