"""The vacuum pattern: what is wrong with it is found and repaired, and nothing where all is in order."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import DataError, DataWarning, Optics, make_probe, prepare
from ptywidgets.engine.calibrate.calibration import calibrate_by_disk
from ptywidgets.engine.data.detectors import filled_by_symmetry
from ptywidgets.engine.io import write
from ptywidgets.engine.optics.vacuum import clean_vacuum
from ptywidgets.engine.preprocess.defects.repair import repair_pixels, repaired
from ptywidgets.engine.preprocess.defects.vacuum import vacuum_of_scan
from ptywidgets.engine.preprocess.disk.aperture import measured_aperture
from ptywidgets.engine.preprocess.disk.disk import measure_disk


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


HIDDEN = {  # what a mask leaves out, of 96 x 96 pixels whose disk has its centre at 48, 48
    "half": lambda y, x: x < 48,
    "from beyond the centre on": lambda y, x: x > 52,
    "a quarter": lambda y, x: (x < 48) & (y < 48),
    "across": lambda y, x: x + y < 92,
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_a_large_part_that_is_masked_is_as_the_other_side_of_the_disk(duck, hidden):
    """The nearest pixels that were measured are the bright ones at the border, and would fill half of the detector."""
    mask = ~hidden(*np.mgrid[:96, :96])
    spoilt = replace(duck, vacuum=np.where(mask, duck.vacuum, 0), mask=mask)
    assert likeness(spoilt, duck) > 0.99
    disk, expected = (measure_disk(v) for v in (Optics.from_dataset(spoilt).vacuum, duck.vacuum))
    assert disk.radius == pytest.approx(expected.radius, rel=0.01)
    assert disk.centre == pytest.approx(expected.centre, abs=0.1)
    clean = clean_vacuum(spoilt.vacuum, mask)
    np.testing.assert_array_equal(clean.pattern[mask], duck.vacuum[mask])
    assert "by those on the other side of the disk's centre" in clean.sentence
    assert measure_disk(repair_pixels(spoilt, ~mask).vacuum).radius == pytest.approx(expected.radius, rel=0.01)


def test_a_hole_whose_opposite_is_hidden_too_is_filled_from_around_it(duck):
    y, x = np.mgrid[:96, :96]
    mask = np.hypot(y - 48, x - 48) > 5  # a beam stop
    spoilt = replace(duck, vacuum=np.where(mask, duck.vacuum, 0), mask=mask)
    assert likeness(spoilt, duck) > 0.99


def test_the_disk_of_half_masked_patterns_is_measured_as_that_of_whole_ones(duck):
    """Of the mean of the patterns, where there is no vacuum pattern."""
    bare = replace(duck, vacuum=None, calibration=duck.calibration.replace(semiangle=None))
    half = bare.with_mask(np.mgrid[:96, :96][1] >= 48)
    (whole, _), (masked, _) = (calibrate_by_disk(dataset) for dataset in (bare, half))
    assert masked.calibration.semiangle == pytest.approx(whole.calibration.semiangle, rel=0.025)
    aperture = measured_aperture(Optics(semiangle=20.0), repaired(half), prepare(half), half.mask)
    assert aperture.semiangle == pytest.approx(20.0, rel=0.025)


def test_what_is_no_disk_is_not_filled_from_the_other_side():
    values = np.random.default_rng(0).poisson(9.0, (64, 64)).astype(float)
    hidden = np.mgrid[:64, :64][1] < 20
    assert not filled_by_symmetry(values, hidden)[1].any()
    y, x = np.mgrid[:64, :64]
    uneven = np.where(np.hypot(y - 32, x - 32) < 20, np.where(y < 32, 100.0, 60.0), 0.0)  # bright to one side
    assert not filled_by_symmetry(uneven, x < 25)[1].any()


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
