"""The vacuum pattern: what is wrong with it is found and repaired, and nothing where all is in order."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import DataError, DataWarning, Optics, make_probe
from ptywidgets.engine.io import write
from ptywidgets.engine.optics.vacuum import clean_vacuum
from ptywidgets.engine.preprocess.defects.vacuum import vacuum_of_scan


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("small")


def likeness(dataset, other):
    """Of the two probes' apertures, 1 where they are the same."""
    shape, energy = dataset.detector_shape, dataset.calibration.energy
    sampling = dataset.calibration.sampling(shape)
    one, two = (
        np.abs(np.fft.fft2(make_probe(Optics.from_dataset(d), shape, sampling, energy))) for d in (dataset, other)
    )
    return float((one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum()))


@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("dose", [1e5, 1e3, None])
def test_a_good_vacuum_pattern_is_left_alone(size, dose):
    vacuum = samples.ducky(size, dose=dose).vacuum
    clean = clean_vacuum(vacuum)
    assert clean.sentence == "" and clean.pattern is vacuum


@pytest.mark.parametrize("place", [(10, 80), (50, 44)], ids=["beside the disk", "in the disk"])
def test_a_hot_pixel_is_repaired(duck, place):
    vacuum = duck.vacuum.copy()
    vacuum[place] = 1e7
    spoilt = duck.with_vacuum(vacuum)
    clean = clean_vacuum(vacuum)
    assert np.argwhere(clean.odd).tolist() == [list(place)] and "hot or dead: 1" in clean.sentence
    assert likeness(spoilt, duck) > 0.9999


@pytest.mark.parametrize("value", [0, np.nan, -1, 65535 * 64])
def test_the_mask_is_applied_and_its_holes_are_filled(duck, value):
    mask = np.ones(duck.detector_shape, bool)
    mask[:, 47:49] = False
    vacuum = np.where(mask, duck.vacuum, value)
    assert likeness(replace(duck, vacuum=vacuum, mask=mask), duck) > 0.999


def test_gaps_of_the_vacuum_alone_are_recognised(duck):
    mask = np.ones(duck.detector_shape, bool)
    mask[:, 47:49] = False
    for mark in (-1, 2.0**32 - 1):
        clean = clean_vacuum(np.where(mask, duck.vacuum, mark))
        np.testing.assert_array_equal(clean.unmeasured, ~mask)


@pytest.mark.parametrize("stack", [False, True], ids=["scan", "stack"])
def test_a_scan_of_vacuum_patterns_is_averaged_with_a_word(duck, stack, tmp_path):
    moves = [(round(y / 3), round(x / 4)) for y in range(-4, 4) for x in range(-4, 4)]
    generator = np.random.default_rng(0)
    many = np.stack([generator.poisson(np.roll(duck.vacuum, move, (0, 1)) / 64) for move in moves]).astype(np.uint16)
    many = many if stack else many.reshape(8, 8, 96, 96)
    with pytest.warns(DataWarning, match="mean of 64 patterns, moved by up to"):
        averaged = duck.with_vacuum(many)
    assert averaged.vacuum.shape == (96, 96) and likeness(averaged, duck) > 0.99
    if not stack:
        np.save(tmp_path / "vacuum.npy", many)
        with pytest.warns(DataWarning, match="mean of 64 patterns"):
            np.testing.assert_array_equal(duck.with_vacuum(tmp_path / "vacuum.npy").vacuum, averaged.vacuum)
        write(tmp_path / "vacuum.h5", replace(duck, data=many, vacuum=None))
        with pytest.warns(DataWarning, match="mean of 64 patterns"):
            assert duck.with_vacuum(tmp_path / "vacuum.h5").vacuum.shape == (96, 96)


def test_a_frame_of_the_scan_that_is_empty_does_not_count(duck):
    many = np.stack([duck.vacuum] * 4)
    many[2] = 0
    mean, words = vacuum_of_scan(many)
    np.testing.assert_allclose(mean, duck.vacuum)
    assert "mean of 3 patterns" in words and "1 frame of 4" in words


def test_a_vacuum_pattern_without_a_measured_pixel_is_refused(duck):
    with pytest.raises(DataError, match="no measured pixel"):
        clean_vacuum(np.full((8, 8), np.nan))
    with pytest.raises(DataError, match="8 x 8 but the detector is 96 x 96"):
        duck.with_vacuum(np.ones((3, 8, 8)))
