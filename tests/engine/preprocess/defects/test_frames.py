"""Frames that do not count: what is found is what was spoilt, nothing else, and every step goes on without them."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import DataError, Dataset, DataWarning
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.data.virtual import VirtualImager
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.metrics.thinning import thin_counts
from ptywidgets.engine.preprocess import (
    bad_frames,
    bad_pixels,
    centre_of_mass,
    disk_origins,
    fill_positions,
    measure_disk,
    prepare,
    scan_positions,
)

SHAPE = (24, 24)


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("small")


@pytest.fixture(scope="module")
def tiny():
    return samples.ducky("tiny")


def where(*places):
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


def dimmed(data, mask, share, seed=0):
    data = data.copy()
    data[mask] = np.random.default_rng(seed).binomial(data[mask], share)
    return data


def put(data, mask, value):
    data = data.copy()
    data[mask] = value
    return data


RUNS = where(np.s_[7, 5:12], np.s_[20, :2])
FIRST, LAST = where(np.s_[:, 0]), where(np.s_[:, -1])
FOUND = {
    "empty": ({"empty": RUNS}, lambda a: put(a, RUNS, 0)),
    "lost": ({"lost": RUNS}, lambda a: put(a.astype(np.float32), RUNS, np.nan)),
    "negative": ({"lost": RUNS}, lambda a: put(a.astype(np.int32), RUNS, -1)),
    "blanked": ({"blanked": RUNS}, lambda a: put(a, RUNS, (np.arange(96 * 96) % 2000 == 7).reshape(96, 96))),
    "dim flyback": ({"flyback": FIRST}, lambda a: dimmed(a, FIRST, 0.6)),
    "moved flyback": ({"flyback": LAST}, lambda a: put(a, LAST, np.roll(a[:, -1], 3, -1))),
    "repeated column": ({"repeated": LAST}, lambda a: put(a, LAST, a[:, -2])),
    "repeated": ({"repeated": where((3, 4))}, lambda a: put(a, where((3, 4)), a[3, 3])),
    "saturated": ({"saturated": where((9, 9))}, lambda a: put(a, where((9, 9)), 4095)),
}


@pytest.mark.parametrize("kinds, spoil", FOUND.values(), ids=FOUND)
def test_what_was_spoilt_is_found(duck, kinds, spoil):
    bad = bad_frames(replace(duck, data=spoil(duck.data)))
    assert set(bad.kinds) == set(kinds)
    for name, mask in kinds.items():
        np.testing.assert_array_equal(bad.kinds[name], mask)
        assert f"{mask.sum()} frame" in bad.sentence
    np.testing.assert_array_equal(bad.mask, next(iter(kinds.values())))


Y, X = np.mgrid[:24, :24]
DARK = {
    "soft": 1 - 0.995 * np.exp(-((Y - 12) ** 2 + (X - 10) ** 2) / 20),
    "opaque": np.where(np.hypot(Y - 12, X - 10) < 6, 0.01, 1.0),
    "bar": np.where(X < 8, 0.01, 1.0),
}


@pytest.mark.parametrize("share", DARK.values(), ids=DARK)
def test_a_dark_specimen_is_none(duck, share):
    data = np.random.default_rng(0).binomial(duck.data, share[..., None, None]).astype(np.uint16)
    assert not bad_frames(replace(duck, data=data)).kinds


@pytest.mark.parametrize("dose", [1e5, 1e3, 20, None])
def test_nothing_is_found_where_all_is_in_order(dose):
    bad = bad_frames(samples.ducky("tiny", dose=dose))
    assert not bad.mask.any() and "No frame" in bad.sentence and repr(bad) == "BadFrames(none)"


def test_frames_that_are_empty_by_chance_are_measurements():
    data = np.random.default_rng(0).poisson(0.03, (20, 20, 8, 8)).astype(np.uint8)
    assert (data.sum((2, 3)) == 0).sum() > 20
    assert not bad_frames(Dataset(data)).mask.any()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 100.0])
def test_frames_without_counts_are_found_whatever_a_count_is_called(tiny, scale):
    """Patterns that sum up to 1 are no patterns of one electron."""
    data = tiny.data.astype(np.float32) * scale
    assert not bad_frames(Dataset(data)).mask.any()
    data[3, 4], data[7, 2:5] = 0, data[7, 2:5] * 1e-3
    found = bad_frames(Dataset(data))
    assert found.counts == {"empty": 1, "blanked": 3} and found.mask[3, 4] and found.mask[7, 2:5].all()


def test_counts_are_counts_in_floating_point_too(duck):
    counts = np.random.default_rng(3).poisson(duck.data).astype(np.uint16)
    counts[4, 5], counts[9, 9] = counts[4, 4], 65535
    whole, floating = (bad_frames(Dataset(counts.astype(kind))) for kind in (np.uint16, np.float32))
    assert whole.counts == floating.counts == {"repeated": 1, "saturated": 1}
    assert np.array_equal(whole.mask, floating.mask)


def test_data_without_any_counts_are_refused_as_such():
    with pytest.raises(DataError, match="64 of 64 patterns have no counts at all"):
        bad_frames(Dataset(np.zeros((8, 8, 16, 16))))


def test_frames_that_are_empty_by_chance_stay_so_when_counts_are_scaled():
    data = np.random.default_rng(0).poisson(0.03, (20, 20, 8, 8)).astype(np.float32)
    for scale in (1e-3, 300):
        assert not bad_frames(Dataset(data * scale)).mask.any()
    assert not bad_frames(Dataset((data * 300).astype(np.uint16))).mask.any(), "one electron like another is no repeat"


def test_counts_of_what_is_left_out_do_not_matter(tiny):
    mask = np.ones((12, 12), bool)
    mask[3, 4:7] = mask[:, 11] = False
    out = tiny.with_scan_mask(mask)
    wild = np.where(mask[..., None, None], tiny.data.astype(np.float32), np.nan)
    wild = replace(out, data=wild)
    one, other = (prepare(d) for d in (out, wild))
    assert len(one.patterns) == mask.sum() == len(one.positions) == len(one.shifts) and one.scan_shape == (12, 12)
    np.testing.assert_array_equal(one.com_measured, other.com_measured)
    whole = scan_positions((12, 12), tiny.calibration.scan_step, one.rotation, one.transpose)
    np.testing.assert_array_equal(one.positions, whole[mask.ravel()])
    assert one.mean_intensity == pytest.approx(tiny.data.sum((2, 3))[mask].mean(), rel=1e-6)
    np.testing.assert_allclose(out.mean_pattern(), tiny.data[mask].mean(0))
    np.testing.assert_allclose(wild.mean_pattern(), out.mean_pattern(), rtol=1e-6)
    images = bright_field(wild, other).images
    np.testing.assert_allclose(images, bright_field(out, one).images, rtol=1e-5)
    assert np.isfinite(images).all()
    image = VirtualImager(wild).image(np.ones((64, 64), bool))
    np.testing.assert_array_equal(np.isnan(image), ~mask)
    np.testing.assert_allclose(VirtualImager(wild).mean_pattern(), out.mean_pattern(), rtol=1e-6)
    disk = measure_disk(tiny.vacuum)
    origins = disk_origins(wild, disk)
    np.testing.assert_allclose(origins[:, mask], disk_origins(tiny, disk)[:, mask], atol=1e-3)
    assert np.isfinite(origins).all()
    wild.check()
    assert "15 positions left out" in repr(one) and "15 positions left out" in repr(wild)
    assert abs(one.rotation - prepare(tiny).rotation) < 3  # descan goes on into the column that is left out


def test_results_of_positions_go_back_to_the_scan(tiny):
    mask = np.ones((12, 12), bool)
    mask[3, 4] = False
    measurement = prepare(tiny.with_scan_mask(mask))
    found = measurement.on_scan(measurement.positions)
    assert found.shape == (12, 12, 2) and np.isnan(found[3, 4]).all() and np.isnan(found).sum() == 2
    np.testing.assert_array_equal(found[mask], measurement.positions)
    with pytest.raises(DataError, match="144 values for 143 patterns"):
        measurement.on_scan(np.zeros(144))


def test_holes_are_filled_without_new_extremes():
    y, x = np.mgrid[:9, :8] / 4.0
    maps = np.stack([y, x, 2 * y - x])
    known = np.ones((9, 8), bool)
    known[4, 3:5] = known[:, 7] = False
    filled = fill_positions(np.where(known, maps, np.nan), known)
    np.testing.assert_allclose(filled[:, 4, 3:5], maps[:, 4, 3:5])  # a plane is what it was
    assert np.isfinite(filled).all() and (filled.max((1, 2)) <= maps.max((1, 2)) + 1e-12).all()
    assert fill_positions(maps, None) is maps and fill_positions(maps, np.ones((9, 8), bool)) is maps
    with pytest.raises(DataError, match="one at least"):
        fill_positions(maps, np.zeros((9, 8), bool))


def test_a_frame_or_a_pixel_whichever_loses_less(duck):
    data = duck.data.astype(np.float32)
    data[3, 4, 10, 10] = data[5, :, 11, 11] = np.nan  # few pixels: they go
    data[8, 9] = np.nan  # a whole frame
    measurement = prepare(replace(duck, data=data))
    assert np.argwhere(~measurement.patterns.mask).tolist() == [[10, 10], [11, 11]]
    assert np.argwhere(~measurement.scan_mask).tolist() == [[8, 9]]
    assert len(measurement.notes) == 2 and "2 detector pixels" in measurement.notes[0]
    data = duck.data.astype(np.float32)
    data[3, 4, 10:50, 10:50] = np.nan  # many pixels of one frame: it goes
    measurement = prepare(replace(duck, data=data))
    assert measurement.patterns.mask is None and np.argwhere(~measurement.scan_mask).tolist() == [[3, 4]]


GAP = np.zeros((96, 96), bool)
GAP[40:43] = GAP[:, 60:62] = True
MARKS = {
    "-1": ("i4", -1),
    "NaN": ("f4", np.nan),
    "65535": ("u2", 65535),
    "2^32 - 1": ("u4", 2**32 - 1),
    "2^32 - 1 as float": ("f4", 2**32 - 1),
    "2^31 - 1": ("i4", 2**31 - 1),
    "67108872": ("u4", 67108872),
    "12 bits": ("u2", 4095),
}


@pytest.mark.parametrize("kind, mark", MARKS.values(), ids=MARKS)
def test_gaps_are_recognised_by_their_mark(duck, kind, mark):
    data = duck.data.astype(kind)
    data[..., GAP] = mark
    spoilt = replace(duck, data=data, vacuum=None)
    found = bad_pixels(spoilt)
    np.testing.assert_array_equal(found.gaps, GAP)
    assert found.mask[GAP].all() and not found.hot.any() and "474 unmeasured" in found.sentence
    measurement = prepare(spoilt)
    np.testing.assert_array_equal(measurement.patterns.mask, ~GAP)
    assert "474 detector pixels without a measurement" in measurement.notes[0]
    # The gap crosses the disk, and must not pull the origin: a tenth of a pixel spoils a reconstruction.
    assert np.abs(measurement.origin - prepare(duck).origin).max() < 0.03
    with pytest.warns(DataWarning, match="474 detector pixels"):
        assert np.abs(centre_of_mass(spoilt) - centre_of_mass(duck)).mean() < 0.1


def test_a_mask_across_the_disk_does_not_pull_the_origin(duck):
    data = np.where(GAP, 0, duck.data)
    measurement = prepare(replace(duck, data=data, mask=~GAP))
    whole = prepare(duck)
    assert np.abs(measurement.origin - whole.origin).max() < 0.03
    assert measurement.mean_intensity == pytest.approx(whole.mean_intensity, rel=0.01)


def test_marked_counts_under_a_mask_are_split(tiny):
    gap = np.zeros((64, 64), bool)
    gap[30:32] = True
    for kind, mark in (("i4", -1), ("f4", np.nan)):
        data = tiny.data.astype(kind)
        data[..., gap] = mark
        one, other = thin_counts(replace(tiny, data=data, mask=~gap))
        np.testing.assert_array_equal((one.data + other.data)[..., ~gap], tiny.data[..., ~gap])
        np.testing.assert_array_equal(one.data[..., gap], data[..., gap])


def test_a_saturated_disk_is_no_gap(tiny):
    data = np.minimum(tiny.data, 255).astype(np.uint8)
    found = bad_pixels(replace(tiny, data=data))
    assert found.gaps is None and found.saturated.any()


def test_the_start_says_what_it_leaves_out(tiny):
    data = tiny.data.copy()
    data[:, 0] //= 2
    data[5, 5] = 0
    start = calibrate(replace(tiny, data=data))
    estimate = start.estimate("positions left out")
    assert estimate.value == 13 and "12 frames of 144 in a flyback column" in estimate.sentence
    assert "1 frame of 144 without a single count, at scan [5, 5]" in estimate.sentence
    assert len(start.measurement.patterns) == 144 - 13
    assert abs(start.measurement.rotation + 15) < 1
    mask = np.ones((12, 12), bool)
    mask[0] = False
    assert calibrate(tiny.with_scan_mask(mask)).estimate("positions left out").sentence.endswith("as given.")


def test_bad_frames_of_a_dataset(tiny):
    assert tiny.without_bad_frames() is tiny
    data = tiny.data.copy()
    data[2, 3] = 0
    mask = np.ones((12, 12), bool)
    mask[7, 7] = False
    left = replace(tiny, data=data).with_scan_mask(mask).without_bad_frames()
    assert np.argwhere(~left.scan_mask).tolist() == [[2, 3], [7, 7]]
