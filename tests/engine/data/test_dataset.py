"""Calibration and Dataset: what they refuse, and that nothing is loaded before it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import CalibrationError, DataError, ParameterError
from ptywidgets.engine.data.dataset import Calibration, Dataset


def counts(shape=(5, 4, 6, 8), dtype=np.uint16):
    return np.random.default_rng(0).integers(1, 50, shape).astype(dtype)


class Counting:
    """Array-like that remembers what was read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

    def __getitem__(self, key):
        block = self.array[key]
        self.read.append(block.nbytes)
        return block


# ------------------------------------------------------------------ calibration


@pytest.mark.parametrize(
    ("energy", "expected"), [(30e3, 0.06979080861735902), (80e3, 0.04175715620292006), (300e3, 0.019687486388201916)]
)
def test_wavelength(energy, expected):
    assert Calibration(energy=energy).wavelength == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("bad", [80, 0, -1, np.nan, np.inf, 1e9, "80e3", True, [80e3]])
def test_impossible_energy_is_refused_with_the_unit(bad):
    with pytest.raises(CalibrationError, match=r"energy.*eV.*80e3"):
        Calibration(energy=bad)


@pytest.mark.parametrize("name", ["scan_step", "q_pixel", "semiangle"])
@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan, np.inf])
def test_other_impossible_values_name_themselves(name, bad):
    with pytest.raises(CalibrationError, match=name):
        Calibration(**{name: bad})


def test_numpy_numbers_become_floats():
    assert type(Calibration(energy=np.float32(80e3)).energy) is float


def test_missing_values_are_named_with_the_way_to_set_them():
    calibration = Calibration(q_pixel=0.025)
    assert calibration.missing == ("energy", "scan_step")
    with pytest.raises(CalibrationError, match=r"energy \(eV\), scan_step \(A\).*with_calibration\(energy=80e3"):
        calibration.check_complete()
    calibration.replace(energy=80e3, scan_step=4).check_complete()


def test_angle_pixel_in_mrad_needs_the_energy_and_must_agree():
    with pytest.raises(CalibrationError, match="energy"):
        Calibration().replace(angle_pixel=1.0)
    angle = Calibration(energy=80e3, q_pixel=0.025).angle_pixel
    assert Calibration().replace(angle_pixel=angle, energy=80e3).q_pixel == pytest.approx(0.025)
    Calibration().replace(angle_pixel=angle, energy=80e3, q_pixel=0.025)
    with pytest.raises(CalibrationError, match="contradict"):
        Calibration().replace(angle_pixel=angle, energy=80e3, q_pixel=0.03)


def test_unknown_name_says_the_nearest():
    with pytest.raises(ParameterError, match="scan_step"):
        Calibration().replace(scanstep=4)


def test_sampling_of_a_rectangular_detector():
    assert Calibration(q_pixel=0.02).sampling((100, 50)) == pytest.approx((0.5, 1.0))


def test_an_unknown_value_is_described_as_such():
    assert "not set (A)" in Calibration(energy=80e3).describe()


# ------------------------------------------------------------------ data set


def test_nothing_is_read_until_asked():
    data = Counting(counts())
    dataset = Dataset(data, Calibration(energy=80e3), name="x")
    assert dataset.shape == (5, 4, 6, 8) and dataset.scan_shape == (5, 4) and dataset.detector_shape == (6, 8)
    assert dataset.nbytes == 5 * 4 * 6 * 8 * 2 and dataset.is_lazy
    repr(dataset), dataset.describe(), dataset.with_calibration(scan_step=2)
    assert data.read == [6 * 8 * 2]  # the first, to see that it can be
    dataset.pattern(1, 2)
    assert data.read == [6 * 8 * 2] * 2


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 64e6])
def test_rows_cover_the_scan_once(chunk_bytes):
    data = counts()
    blocks = list(Dataset(data).rows(chunk_bytes))
    assert [first for first, _ in blocks] == list(np.cumsum([0] + [len(block) for _, block in blocks])[:-1])
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), data)
    assert max(block.nbytes for _, block in blocks) <= max(chunk_bytes, data[:1].nbytes)


@pytest.mark.parametrize("region", [None, (1, 4, 0, 2), (0, 1, 3, 4)])
def test_mean_pattern(region):
    data = counts(dtype=np.float32)
    y0, y1, x0, x1 = region or (0, 5, 0, 4)
    mean = Dataset(data).mean_pattern(region)
    assert mean.dtype == np.float64
    np.testing.assert_allclose(mean, data[y0:y1, x0:x1].mean((0, 1), dtype=float))


@pytest.mark.parametrize("region", [(0, 6, 0, 4), (2, 2, 0, 4), (-1, 2, 0, 4), (0, 5, 3, 1)])
def test_region_outside_the_scan_is_refused(region):
    with pytest.raises(DataError, match="region"):
        Dataset(counts()).mean_pattern(region)


def test_sums_of_counts_do_not_overflow():
    data = np.full((40, 40, 2, 2), 255, np.uint8)
    np.testing.assert_array_equal(Dataset(data).mean_pattern(), np.full((2, 2), 255.0))


@pytest.mark.parametrize("position", [(5, 0), (0, 4), (-1, 0)])
def test_pattern_outside_the_scan_is_refused(position):
    with pytest.raises(DataError, match="expected 0 to"):
        Dataset(counts()).pattern(*position)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.ones((3, 4, 5)), "3 axes.*from_stack"),
        (np.ones((2, 2, 4, 4), complex), "complex.*abs"),
        (np.ones((0, 2, 4, 4)), "empty"),
        (np.full((2, 2, 4, 4), "a"), "real numbers"),
        (np.full((2, 2, 4, 4), None), "real numbers"),
        ([[1, 2]], "expected an array"),
        (None, "expected an array"),
    ],
)
def test_unusable_data_are_refused(data, words):
    with pytest.raises(DataError, match=words):
        Dataset(data)


def test_a_calibration_is_one():
    with pytest.raises(CalibrationError, match=r"expected Calibration\(energy"):
        Dataset(np.ones((2, 2, 4, 4)), calibration={"energy": 80e3})


@pytest.mark.parametrize("key", [np.s_[0.5:3], np.s_["a":], np.s_[:, :, 0.5:]])
def test_ranges_that_are_no_whole_numbers_are_refused(key):
    with pytest.raises(DataError, match="ranges of whole numbers"):
        Dataset(np.ones((4, 4, 8, 8)))[key]


def test_stack_with_a_scan_shape():
    stack = counts((12, 6, 8))
    dataset = Dataset.from_stack(stack, (3, 4))
    np.testing.assert_array_equal(dataset.pattern(1, 2), stack[6])
    with pytest.raises(DataError, match=r"12 diffraction patterns but 4 x 4 = 16 scan positions; pass scan_shape="):
        Dataset.from_stack(stack, (4, 4))
    with pytest.raises(DataError, match="two whole numbers"):
        Dataset.from_stack(stack, 12)


def test_lazy_stack_reads_like_an_array():
    stack = counts((12, 6, 8))
    lazy = Dataset.from_stack(Counting(stack), (3, 4))
    array = stack.reshape(3, 4, 6, 8)
    for key in [np.s_[1, 2], np.s_[1], np.s_[0:2, 1:3], np.s_[1, 1:3, ..., 2], np.s_[:, :, 2, 3], np.s_[-1, -1]]:
        np.testing.assert_array_equal(lazy.data[key], array[key])
    np.testing.assert_array_equal(lazy.mean_pattern((1, 3, 0, 2)), array[1:3, :2].mean((0, 1)))
    assert lazy.is_lazy and not lazy.load().is_lazy


def test_big_endian_data_become_native():
    data = counts().astype(">u2")
    dataset = Dataset(data)
    assert dataset.dtype.isnative and dataset.pattern(0, 0).dtype.isnative
    np.testing.assert_array_equal(dataset.pattern(2, 3), data[2, 3])


def test_load_says_how_much_memory_it_needs(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 3e9)
    huge = np.broadcast_to(np.uint16(0), (512, 512, 256, 256))
    dataset = Dataset(Counting(huge))
    with pytest.raises(DataError, match=r"34\.4 GB of memory and 3 GB are free"):
        dataset.load()
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert Dataset(Counting(counts())).load().data.flags.owndata


def test_a_huge_row_or_pattern_is_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1e9)
    dataset = Dataset(Counting(np.broadcast_to(np.float32(0), (2, 2, 10**5, 10**5))))
    with pytest.raises(DataError, match="one pattern needs 40 GB"):
        dataset.pattern(0, 0)
    with pytest.raises(DataError, match="scan rows needs"):
        next(dataset.rows())


def test_available_memory_is_plausible():
    free = memory.available_memory()
    assert free is None or 0 <= free < 1e15


def test_container_limit_counts(tmp_path):
    for name, words in {"max": "1000000\n", "current": "700000\n", "stat": "anon 1\ninactive_file 200000\n"}.items():
        (tmp_path / name).write_text(words)
    files = [str(tmp_path / name) for name in ("max", "current", "stat")]
    assert memory._container(*files) == 500000
    (tmp_path / "max").write_text("max\n")
    assert memory._container(*files) is None


def test_check_counts_what_is_wrong_and_says_where():
    Dataset(counts()).check()
    data = counts(dtype=np.float32)
    data[1, 2, 3, 3] = np.nan
    data[4, 3, 0, 0] = np.inf
    data[2, 0, 0, 0] = -1
    data[3, 3] = 0
    with pytest.raises(DataError) as caught:
        Dataset(data).check()
    words = str(caught.value)
    assert "2 of 20 patterns have NaN or infinite values, first at scan position (ry, rx) = (1, 2)" in words
    assert "1 of 20 patterns have negative values, first at scan position (ry, rx) = (2, 0)" in words
    assert "1 of 20 patterns have no counts at all, first at scan position (ry, rx) = (3, 3)" in words


def test_vacuum_pattern_must_fit():
    dataset = Dataset(counts())
    assert dataset.with_vacuum(np.ones((6, 8))).vacuum.shape == (6, 8)
    assert dataset.with_vacuum(np.ones((6, 8))).with_vacuum(None).vacuum is None
    for bad, words in [
        (np.ones((8, 6)), "8 x 6 but the detector is 6 x 8"),
        (np.ones(6), "2-D"),
        (np.zeros((6, 8)), "zero everywhere"),
        (np.full((6, 8), np.nan), "NaN"),
    ]:
        with pytest.raises(DataError, match=words):
            dataset.with_vacuum(bad)


def test_vacuum_pattern_from_a_file(tmp_path):
    np.save(tmp_path / "vacuum.npy", np.ones((6, 8)))
    assert Dataset(counts()).with_vacuum(tmp_path / "vacuum.npy").vacuum.sum() == 48


def test_repr_is_one_line_whatever_the_name():
    words = repr(Dataset(counts(), name="a\nb\x1b[31m"))
    assert "\n" not in words and "\x1b" not in words and "not calibrated" in words


# ------------------------------------------------------------------ parts and sums


def lit(shape=(6, 6, 24, 24), radius=5.0):
    """Counts with a bright disk in the middle."""
    y, x = np.mgrid[: shape[2], : shape[3]]
    disk = np.hypot(y - shape[2] / 2 + 0.5, x - shape[3] / 2 + 0.5) < radius
    return np.random.default_rng(1).poisson(np.where(disk, 60, 1), shape).astype(np.uint8)


def test_ranges_cut_the_scan_and_the_detector():
    data = lit()
    dataset = Dataset(data, Calibration(scan_step=2.0, q_pixel=0.1))
    part = dataset[1:5, :-1, ..., 4:20]
    assert np.array_equal(part.data, data[1:5, :-1, :, 4:20]) and part.calibration == dataset.calibration
    assert np.array_equal(dataset[2:].data, data[2:]) and dataset[:] is dataset
    assert np.array_equal(dataset[..., 3:21].data, data[..., 3:21])


@pytest.mark.parametrize("key", [3, (1, 2), slice(0, 6, 2), (slice(None),) * 5, [1, 2]])
def test_what_is_no_range_is_told_what_to_do(key):
    with pytest.raises(DataError, match=r"dataset\[10:50, 10:50\].*dataset.pattern\(3, 4\).*bin\(scan=2\)"):
        Dataset(lit())[key]


@pytest.mark.parametrize("region", [(0, 7, 0, 6), (3, 3, 0, 6), (-1, 2, 0, 2), (0, 1), "ab", (0, 2.5, 0, 2)])
def test_a_crop_beyond_the_data_is_refused(region):
    with pytest.raises(DataError, match=r"crop of the scan is .*0 <= y0 < y1 <= 6"):
        Dataset(lit()).crop(scan=region)


@pytest.mark.parametrize("bins", [0, -1, 7, 2.5, (1, 2, 3), "two", True])
def test_a_binning_that_cannot_be_is_refused(bins):
    with pytest.raises(DataError, match=r"binning of the scan is .*from 1 to 6"):
        Dataset(lit()).bin(scan=bins)


def test_what_belongs_to_the_data_goes_along():
    data = lit()
    mask, positions = np.ones((24, 24), bool), np.ones((6, 6), bool)
    mask[7, 9] = positions[2, 5] = False
    vacuum = data.astype(float).mean((0, 1))
    dataset = Dataset(data, Calibration(80e3, 2.0, 0.1, 20.0), vacuum=vacuum, mask=mask, scan_mask=positions)
    part = dataset.crop(scan=(1, 6, 0, 6), detector=(2, 23, 2, 22)).bin(scan=2, detector=(2, 2))
    assert part.shape == (2, 3, 10, 10)
    assert part.calibration == Calibration(80e3, 4.0, 0.2, 20.0)
    assert np.argwhere(~part.mask).tolist() == [[2, 3]] and np.argwhere(~part.scan_mask).tolist() == [[0, 2]]
    np.testing.assert_allclose(part.vacuum, vacuum[2:22, 2:22].reshape(10, 2, 10, 2).sum((1, 3)))
    whole = data[1:5, :, 2:22, 2:22].astype(int).reshape(2, 2, 3, 2, 10, 2, 10, 2).sum((1, 3, 5, 7))
    assert np.array_equal(part.load().data, whole)
    assert "1 scan row, 1 detector row left out" in part.describe() and repr(part).endswith("cropped and binned")


def test_the_disk_is_kept_whole():
    dataset = Dataset(lit())
    with pytest.raises(
        DataError, match=r"cuts the bright-field disk, of radius 5.* detector=\((6|7), (17|18), (6|7), (17|18)\)"
    ):
        dataset.crop(detector=(9, 20, 4, 20))
    assert dataset.crop(detector=(9, 20, 4, 20), cut_disk=True).detector_shape == (11, 16)
    assert dataset.crop(detector=(5, 19, 5, 19)).detector_shape == (14, 14)
    beside = Dataset(np.ones((2, 2, 24, 24)), vacuum=lit()[0, 0])  # the vacuum pattern tells, nothing is read
    with pytest.raises(DataError, match="cuts the bright-field disk"):
        beside.crop(detector=(0, 10, 0, 24))


def test_nothing_that_counts_is_left():
    mask = np.ones((24, 24), bool)
    mask[4:8, 4:8] = False
    with pytest.raises(DataError, match="of the mask nothing would be left"):
        Dataset(lit(), mask=mask).crop(detector=(4, 8, 4, 8), cut_disk=True)


def test_too_large_data_are_told_the_very_call(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 30e6)
    dataset = Dataset(Counting(np.broadcast_to(np.uint8(1), (64, 64, 128, 128))))
    with pytest.raises(DataError) as error:
        dataset.load()
    words = str(error.value)
    assert "dataset.bin(detector=3)" in words and "--bin-detector 3" in words and "--crop-scan" in words
    crop = words.split("dataset.crop(scan=(")[1].split(")")[0]
    dataset.crop(scan=tuple(int(n) for n in crop.split(","))).load()
    dataset.bin(detector=3).load()  # by 2 it would not fit: the sums need a wider type


# ------------------------------------------------------------------ masks are taken for what they are

GOOD = np.ones((8, 8), bool)
GOOD[2, 3] = GOOD[5, 6] = False


@pytest.mark.parametrize(
    "mask",
    [
        GOOD,
        GOOD.astype(np.uint8),
        GOOD * np.uint8(255),
        GOOD.astype(float),
        np.ma.MaskedArray(np.zeros((8, 8)), mask=~GOOD),
        (~GOOD).astype(np.uint32),
        np.where(GOOD, 0, 1 << 30).astype(np.uint32),
        np.where(GOOD, 0, 16).astype(np.uint16),
        np.where(GOOD, 0, np.arange(64).reshape(8, 8) + 1).astype(np.int64),
    ],
    ids=lambda mask: str(getattr(mask, "dtype", "")),
)
def test_a_mask_is_taken_for_what_it_is(mask):
    dataset = Dataset(np.ones((2, 2, 8, 8), np.uint8))
    assert np.array_equal(dataset.with_mask(mask).mask, GOOD)
    assert np.array_equal(Dataset(dataset.data, mask=mask).mask, GOOD)


@pytest.mark.parametrize("mask", [~GOOD, (~GOOD).astype(np.uint8), (~GOOD).astype(int), ~GOOD * np.uint8(255)])
def test_a_mask_the_other_way_round_is_refused(mask):
    dataset = Dataset(np.ones((2, 2, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"2 of 64 pixels.*did you mean ~mask\?.*with_mask\(mask, confirm=True\)"):
        dataset.with_mask(mask)
    with pytest.raises(DataError, match="did you mean ~mask"):
        Dataset(dataset.data, mask=mask)
    meant = dataset.with_mask(mask, confirm=True)
    assert np.array_equal(meant.mask, ~GOOD)
    assert meant.with_calibration(energy=80e3).load().mask is not None, "confirmed once is confirmed"


def test_scan_masks_likewise():
    dataset, positions = Dataset(np.ones((4, 4, 2, 2))), np.ones((4, 4), bool)
    positions[1, 1] = False
    assert np.array_equal(dataset.with_scan_mask(np.ma.MaskedArray(positions, mask=~positions)).scan_mask, positions)
    with pytest.raises(DataError, match=r"1 of 16 scan positions.*with_scan_mask\(mask, confirm=True\)"):
        dataset.with_scan_mask(~positions)


@pytest.mark.parametrize("mask", [np.full((8, 8), np.nan), np.ones((8, 8), complex), np.full((8, 8), "a")])
def test_a_mask_of_something_else_is_refused(mask):
    with pytest.raises(DataError, match="expected True"):
        Dataset(np.ones((2, 2, 8, 8))).with_mask(mask)


def test_masked_arrays_keep_their_masks():
    data = lit((4, 4, 8, 8), 3)
    bad = np.zeros(data.shape, bool)
    bad[:, :, 2, 3] = True  # a pixel in all patterns
    bad[1, 2] = True  # a whole pattern
    bad[0, 0, 5, 5] = True  # one pixel of one pattern
    dataset = Dataset(np.ma.MaskedArray(data, mask=bad))
    assert type(dataset.data) is np.ndarray
    assert np.argwhere(~dataset.mask).tolist() == [[2, 3], [5, 5]]
    assert np.argwhere(~dataset.scan_mask).tolist() == [[1, 2]]
    assert "1 pixels masked in all patterns, 1 in some and left out of all" in dataset.describe()
    assert Dataset(np.ma.MaskedArray(data)).mask is None
    more = Dataset(np.ma.MaskedArray(data, mask=bad), mask=np.arange(64).reshape(8, 8) != 0)
    assert int((~more.mask).sum()) == 3


def test_masked_arrays_that_mask_too_much_are_refused():
    data = lit((4, 4, 8, 8), 3)
    with pytest.raises(DataError, match="every value"):
        Dataset(np.ma.MaskedArray(data, mask=True))
    some = np.random.default_rng(0).random(data.shape) < 0.2
    with pytest.raises(DataError, match=r"in some patterns only.*filled\(0\)"):
        Dataset(np.ma.MaskedArray(data, mask=some))


def test_masked_pixels_of_the_vacuum_are_repaired():
    vacuum = np.full((8, 8), 10.0)
    vacuum[4, 4] = 1e6
    masked = np.ma.masked_greater(vacuum, 100)
    for dataset in (Dataset(np.ones((2, 2, 8, 8)), vacuum=masked), Dataset(np.ones((2, 2, 8, 8))).with_vacuum(masked)):
        assert (dataset.vacuum == 10).all() and "1 masked pixels replaced" in dataset.describe()
