"""Bad pixels are found and repaired; good ones, at whatever dose, are left alone."""

import pickle

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import DataError, Dataset, DataWarning, read
from ptywidgets.engine.data.virtual import VirtualImager
from ptywidgets.engine.preprocess import bad_pixels, centre_of_mass, repair_pixels

PLACES = [(20, 20), (48, 50), (36, 48), (70, 12), (2, 90), (50, 41)]  # in the dark, in the disk, at its edge


@pytest.mark.parametrize("dose", [None, 1e5, 1e3, 10])
def test_good_pixels_are_left_alone(dose):
    bad = bad_pixels(samples.ducky("small", dose=dose))
    assert not bad.mask.any() and not bad.saturated.any() and bad.sentence.startswith("No ")


@pytest.mark.parametrize("name", ["sto", "small_dose1e4"])
def test_bragg_disks_are_left_alone(simulated, name):
    assert not bad_pixels(read(simulated / f"{name}.h5")).mask.any()


def test_a_nanobeam_pattern_is_left_alone():
    y, x = np.mgrid[:64, :64]
    spots = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 2) for a in range(8, 60, 12) for b in range(8, 60, 12))
    data = np.random.default_rng(0).poisson(500 * spots + 0.05, (8, 8, 64, 64)).astype(np.uint16)
    assert not bad_pixels(Dataset(data)).mask.any()


def spoilt(dose, change):
    dataset = samples.ducky("small", dose=dose)
    data = dataset.data.astype(float)
    generator, plateau = np.random.default_rng(5), data[:, :, 44:52, 44:52].mean()
    for y, x in PLACES:
        data[:, :, y, x] = change(data[:, :, y, x], plateau, generator)
    return Dataset(data.clip(0, 65535).astype(np.uint16), dataset.calibration)


@pytest.mark.parametrize("dose", [1e5, 300])
@pytest.mark.parametrize(
    "change",
    [
        lambda v, plateau, g: v + g.poisson(10 * plateau + 1, v.shape),
        lambda v, plateau, g: np.full(v.shape, 65535.0),
        lambda v, plateau, g: np.where(g.random(v.shape) < 0.05, v + 20 * plateau + 50, v),
    ],
    ids=["hot", "stuck", "flickering"],
)
def test_hot_pixels_are_found_and_only_these(dose, change):
    bad = bad_pixels(spoilt(dose, change))
    assert set(map(tuple, np.argwhere(bad.hot).tolist())) == set(PLACES) and not bad.dead.any()


@pytest.mark.parametrize("dose", [1e5, 1e3])
def test_dead_pixels_in_the_disk_are_found(dose):
    bad = bad_pixels(spoilt(dose, lambda v, plateau, g: 0 * v))
    assert bad.dead[48, 50] and bad.dead[50, 41] and not bad.hot.any()
    assert bad.dead.sum() <= len(PLACES) and "dead" in bad.sentence


def test_dead_lines_and_spots_are_found():
    data = np.random.default_rng(1).poisson(5, (6, 6, 40, 48)).astype(np.uint8)
    data[:, :, 17] = 0
    data[:, :, :, 30:32] = 0
    data[:, :, 5:8, 5:8] = 0
    expected = (data == 0).all((0, 1))
    np.testing.assert_array_equal(bad_pixels(Dataset(data)).dead, expected)


def test_saturation_is_told():
    clipped = Dataset(np.minimum(samples.ducky("tiny").data, 300))
    bad = bad_pixels(clipped)
    assert bad.saturated.sum() > 20 and not bad.mask.any() and "range" in bad.sentence


def test_a_cosmic_ray_is_no_bad_pixel():
    data = np.random.default_rng(2).poisson(5, (12, 12, 32, 32)).astype(np.uint16)
    data[3, 4, 10, 12] = 60
    assert not bad_pixels(Dataset(data)).mask.any()


def test_repairing_leaves_no_trace():
    clean = samples.ducky("small", dose=1e5)
    dirty = spoilt(1e5, lambda v, plateau, g: np.full(v.shape, 65535.0))
    repaired = repair_pixels(dirty, bad_pixels(dirty))
    good = np.ones(clean.detector_shape, bool)
    good[tuple(np.transpose(PLACES))] = False
    assert repaired.dtype == clean.dtype and repaired.is_lazy
    np.testing.assert_array_equal(repaired.pattern(3, 4)[good], clean.pattern(3, 4)[good])
    assert np.abs(centre_of_mass(repaired) - centre_of_mass(clean)).max() < 0.1
    with pytest.warns(DataWarning, match="6 detector pixels without a measurement"):  # stuck at the end of the range
        assert np.abs(centre_of_mass(dirty) - centre_of_mass(clean)).max() < 0.1
    np.testing.assert_array_equal(repaired.load().data[5], repaired.data[5])
    image = VirtualImager(repaired).image(~good)
    np.testing.assert_array_equal(image, repaired.load().data[..., ~good].sum(-1))


def test_nothing_is_read_before_it_is_asked_for():
    class Counted:
        shape, dtype, reads = (4, 5, 16, 16), np.dtype(np.float32), 0

        def __getitem__(self, key):
            self.reads += 1
            return np.arange(4 * 5 * 256, dtype=np.float32).reshape(self.shape)[key]

    data = Counted()
    mask = np.zeros((16, 16), bool)
    mask[3:5, 7] = True
    dataset = Dataset(data)
    before = data.reads
    repaired = repair_pixels(dataset, mask)
    assert data.reads == before and repaired.dtype == np.float32
    whole = np.asarray(repaired.data)
    for key in [(1, 2), (slice(1, 3), 4), (0, slice(None), 3, 7), (slice(None), slice(None), slice(2, 9), 7), (..., 7)]:
        np.testing.assert_array_equal(repaired.data[key], whole[key])


def test_repaired_data_travel():
    data = np.random.default_rng(3).poisson(9, (2, 3, 12, 12)).astype(np.uint8)
    mask = np.zeros((12, 12), bool)
    mask[4, 4] = True
    vacuum = data[0, 0].astype(float)
    vacuum[4, 4] = 1e6
    repaired = repair_pixels(Dataset(data, vacuum=vacuum), mask)
    assert repaired.vacuum[4, 4] < 30
    copy = pickle.loads(pickle.dumps(repaired))
    np.testing.assert_array_equal(copy.data[...], repaired.data[...])


def test_masks_are_checked():
    dataset = Dataset(np.ones((2, 2, 8, 8)))
    assert repair_pixels(dataset, np.zeros((8, 8), bool)) is dataset
    with pytest.raises(DataError, match="detector is"):
        repair_pixels(dataset, np.zeros((8, 9), bool))
    with pytest.raises(DataError, match="every pixel"):
        repair_pixels(dataset, np.ones((8, 8), bool))
