"""MRC stacks and the movies of Direct Electron cameras."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.records import mrc
from ptywidgets.engine.io.formats.registry import format_of
from ptywidgets.testing.contracts.formats import FormatContract, Sample
from ptywidgets.testing.record_files import de_info, mrc_file

TRUTH = np.arange(3 * 4 * 6 * 5, dtype=np.uint16).reshape(3, 4, 6, 5)
STACK = TRUTH.reshape(12, 6, 5)
LEAKS = pytest.mark.filterwarnings(
    "ignore:unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # rsciio's
STATED = {"energy": 80e3, "scan_step": (1.5, 2.0), "q_pixel": (0.05, 0.04)}


def listed(path, positions):
    path.write_text("".join(f"{x},{y}\n" for x, y in positions))
    return path


@pytest.mark.parametrize(
    "how", ["plain", "big-endian", "extended", "movie", "info", "in any order", "list"], scope="class"
)
class TestMRC(FormatContract):
    module = mrc

    @pytest.fixture
    def sample(self, tmp_path, how):
        folder = tmp_path / "sample"
        folder.mkdir()
        if how in ("plain", "big-endian", "extended"):
            order, more = ">" if how == "big-endian" else "<", 131 if how == "extended" else 0
            path = mrc_file(folder / "a.mrc", STACK, order, more)
            return Sample(path, TRUTH, {}, {"scan_shape": (3, 4)})
        info = de_info(folder / "a_info.txt", TRUTH.shape)
        stack = STACK
        if how in ("in any order", "list"):
            order = np.random.default_rng(0).permutation(12)
            listed(folder / "a_scan_coordinates.csv", [divmod(int(n), 4)[::-1] for n in order])
            stack = STACK[order]
        path = mrc_file(folder / "a_movie.mrc", stack)
        if how in ("info", "list"):  # any of the files opens the whole
            return Sample(info if how == "info" else folder / "a_scan_coordinates.csv", TRUTH, STATED)
        return Sample(path, TRUTH, STATED)

    def test_patterns_stay_in_the_file(self, sample, how):
        if how not in ("info", "list"):  # which are opened and hold none
            super().test_patterns_stay_in_the_file(sample)


@pytest.mark.filterwarnings("ignore:.*whether they have a sign")
@pytest.mark.parametrize("kind", ["i1", "i2", "f4", "u2", "f2"])
def test_every_type_of_number(tmp_path, kind):
    values = (STACK.astype(int) % 120 - (0 if kind == "u2" else 60)).astype(kind)
    dataset = read(mrc_file(tmp_path / "a.mrc", values), scan_shape=(3, 4))
    assert dataset.dtype == np.dtype("f4" if kind == "f2" else kind)
    np.testing.assert_array_equal(dataset.load().data.reshape(values.shape), values)


@pytest.mark.parametrize(("mode", "words"), [(101, "4 bits"), (4, "complex"), (3, "complex"), (16, "colours")])
def test_what_is_no_number_is_refused_in_words(tmp_path, mode, words):
    path = mrc_file(tmp_path / "a.mrc", STACK, mode=mode)
    with pytest.raises(FileFormatError, match=f"{words}.*save it as mode 1, 2 or 6"):
        read(path)


def test_bytes_without_a_sign(tmp_path):
    values = (STACK % 256).astype(np.uint8)
    by_flag = mrc_file(tmp_path / "a.mrc", values, imod_flags=0)
    np.testing.assert_array_equal(read(by_flag, scan_shape=(12, 1)).load().data[:, 0], values)
    signed = mrc_file(tmp_path / "b.mrc", values, imod_flags=1)
    assert read(signed, scan_shape=(12, 1)).dtype == np.int8
    movie = mrc_file(tmp_path / "c_movie.mrc", values)
    de_info(tmp_path / "c_info.txt", TRUTH.shape, **{"Autosave Counted Movie Pixel Format": "uint8"})
    np.testing.assert_array_equal(read(movie).load().data.reshape(values.shape), values)


def test_bytes_of_which_nothing_says_whether_they_have_a_sign(tmp_path):
    noise = np.random.default_rng(3)
    bright = noise.integers(0, 256, STACK.shape).astype(np.uint8)
    dark = noise.normal(0, 4, STACK.shape).astype(np.int8)
    few = np.where(np.arange(30).reshape(6, 5) == 7, 140, 3).astype(np.uint8) + np.zeros((12, 1, 1), np.uint8)
    for values, words, other in (
        (bright, "0 to 255, because many would be", "i1"),
        (few, "0 to 255, because many would be", "i1"),
        (dark, "-128 to 127, as MRC has it", "u1"),
    ):
        path = mrc_file(tmp_path / "a.mrc", values)
        with pytest.warns(DataWarning, match=f"{words}.*dtype='{other}', detector_shape=\\(6, 5\\), head") as told:
            dataset = read(path, scan_shape=(3, 4))
        assert told[0].filename == __file__
        np.testing.assert_array_equal(dataset.load().data.reshape(STACK.shape), values)
        again = read(path, dtype=other, detector_shape=(6, 5), header_bytes=1024, scan_shape=(3, 4))
        np.testing.assert_array_equal(again.load().data.reshape(STACK.shape), values.view(other))
    read(mrc_file(tmp_path / "a.mrc", (bright % 128).astype(np.uint8)), scan_shape=(3, 4))  # it makes no difference


def test_old_files_without_a_mark_are_known_by_name_and_size(tmp_path):
    path = mrc_file(tmp_path / "a.mrc", STACK, marked=False)
    assert format_of(path) is mrc
    for other in (path.with_suffix(".bin"), path):
        other.write_bytes(path.read_bytes() + b"x")
        assert not mrc.understands(other)


def test_more_or_fewer_patterns_than_it_says(tmp_path):
    path = mrc_file(tmp_path / "a.mrc", STACK)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.warns(DataWarning, match="11 patterns where its header says 12; the others are missing") as told:
        assert read(path, scan_shape=(1, 11)).shape == (1, 11, 6, 5)
    assert told[0].filename == __file__
    path.write_bytes(whole + bytes(60))
    with pytest.warns(DataWarning, match="13 patterns where its header says 12; those after"):
        np.testing.assert_array_equal(read(path, scan_shape=(3, 4)).load().data, TRUTH)
    path.write_bytes(whole[:1030])
    with pytest.raises(FileFormatError, match="cut off or damaged"):
        read(path, scan_shape=(3, 4))
    path.write_bytes(whole[:1000])
    with pytest.raises(FileFormatError, match="does not begin with the header"):
        read(path, format="mrc")


def test_a_movie_says_how_it_was_scanned(tmp_path):
    path = mrc_file(tmp_path / "a_movie.mrc", STACK)
    info = de_info(tmp_path / "a_info.txt", TRUTH.shape)
    assert read(path).metadata["camera length"] == "10 cm" and read(path).metadata["scan type"] == "Raster"
    region = {"Scan - ROI Enable": "Enable", "Scan - ROI Size X": 6, "Scan - ROI Size Y": 2}
    de_info(info, TRUTH.shape, **region)
    assert read(path).scan_shape == (2, 6)
    de_info(info, TRUTH.shape, **{"Scan - Enable": "Disable"})
    with pytest.raises(DataError, match="stack of 12"):
        read(path)
    de_info(info, TRUTH.shape, **{"Scan - Type": "Serpentine"})
    with pytest.warns(DataWarning, match="'Serpentine', not row by row"), pytest.raises(DataError, match="stack of 12"):
        read(path)
    de_info(info, (4, 4, 6, 5))
    with pytest.warns(DataWarning, match="3 of 4 rows"):
        np.testing.assert_array_equal(read(path).load().data, TRUTH)
    de_info(info, (3, 4, 6, 7))
    with pytest.warns(DataWarning, match="of another movie") as told:
        read(path)
    assert told[0].filename == __file__


def test_what_states_nothing(tmp_path):
    path = mrc_file(tmp_path / "a_movie.mrc", STACK)
    nothing = [f"Specimen Pixel Size {letter} (nanometers)" for letter in "XY"]
    nothing += [f"Diffraction Pixel Size {letter}" for letter in "XY"]
    info = dict.fromkeys([*nothing, "Instrument Accelerating Voltage (V)"], -1)
    info |= {"Diffraction Pixel Size X": "nan", "Instrument Project Camera Length (centimeters)": -1}
    de_info(tmp_path / "a_info.txt", TRUTH.shape, **info)
    known = read(path).calibration
    assert (known.energy, known.scan_step, known.q_pixel) == (None, None, None)
    assert "camera length" not in read(path).metadata


def test_several_patterns_at_each_position_are_a_series(tmp_path):
    path, info = tmp_path / "a_movie.mrc", tmp_path / "a_info.txt"
    twice = np.concatenate([STACK, STACK + 1])
    mrc_file(path, twice)
    de_info(info, TRUTH.shape, **{"Scan - Repeats": 2})
    with pytest.raises(DataError, match="series of 2 scans"):
        read(path)
    np.testing.assert_array_equal(read(path, choose=1).load().data, TRUTH + 1)
    np.testing.assert_array_equal(read(path, choose="sum").load().data, 2 * TRUTH.astype(np.uint32) + 1)
    mrc_file(path, np.stack([STACK, STACK + 1], 1).reshape(24, 6, 5))
    de_info(info, TRUTH.shape, **{"Scan - Camera Frames Per Point": 2})
    np.testing.assert_array_equal(read(path, choose=1).load().data, TRUTH + 1)
    mrc_file(path, np.stack([twice[:12], twice[12:]], 1).reshape(24, 6, 5).repeat(2, 0))
    de_info(info, TRUTH.shape, **{"Scan - Camera Frames Per Point": 2, "Scan - Repeats": 2})
    with pytest.raises(DataError, match="series of 4 scans"):
        read(path)
    listed(tmp_path / "a_scan_coordinates.csv", [(x, y) for y in range(3) for x in range(4)] * 2)
    mrc_file(path, twice)
    np.testing.assert_array_equal(read(path, choose=0).load().data, TRUTH)


def test_positions_that_were_not_visited_are_left_out(tmp_path):
    de_info(tmp_path / "a_info.txt", (5, 7, 6, 5), **{"Scan - Type": "XY File"})
    places = [(x, y) for x, y in itertools.product(range(0, 7, 2), range(0, 5, 2))]
    listed(tmp_path / "a_scan_coordinates.csv", places)
    dataset = read(mrc_file(tmp_path / "a_movie.mrc", STACK))
    expected = np.zeros((5, 7, 6, 5), np.uint16)
    for (x, y), pattern in zip(places, STACK, strict=True):
        expected[y, x] = pattern
    np.testing.assert_array_equal(dataset.load().data, expected)
    np.testing.assert_array_equal(dataset.scan_mask, expected.any((2, 3)))
    again = dataset.source.open()
    np.testing.assert_array_equal(again.scan_mask, dataset.scan_mask)
    np.testing.assert_array_equal(again.load().data, expected)


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([(0, 0)] * 2 + [(x, 1) for x in range(4)] * 2 + [(1, 0), (2, 0)], "some 1 times and some 2 times"),
        ([(x, y) for x in range(4) for y in range(5)][:12], "goes to row 4 and column 2"),
        ([(0.5, y) for y in range(12)], "positions off a raster"),
        ([(-1, y) for y in range(12)], "positions off a raster"),
        ([("a", y) for y in range(12)], "positions off a raster"),
        ([(10**30, y) for y in range(12)], "positions off a raster"),
        ([(0, y) for y in range(5)], "12 patterns but the list of positions beside it 5"),
        ([], "positions off a raster"),
    ],
)
def test_lists_that_are_no_raster_are_refused_in_words(tmp_path, positions, words):
    de_info(tmp_path / "a_info.txt", TRUTH.shape)
    listed(tmp_path / "a_scan_coordinates.csv", positions)
    with pytest.raises(FileFormatError, match=words):
        read(mrc_file(tmp_path / "a_movie.mrc", STACK))


def test_a_movie_that_was_broken_off_among_its_positions(tmp_path):
    de_info(tmp_path / "a_info.txt", TRUTH.shape)
    listed(tmp_path / "a_scan_coordinates.csv", [(x, y) for y in range(3) for x in range(4)])
    path = mrc_file(tmp_path / "a_movie.mrc", STACK[:10])
    with pytest.warns(DataWarning, match="taken for not visited") as told:
        dataset = read(path)
    assert told[0].filename == __file__
    assert dataset.scan_mask.sum() == 10
    np.testing.assert_array_equal(dataset.load().data.reshape(12, 6, 5)[:10], STACK[:10])


def test_made_movie(shared):
    made = shared / "data" / "formats" / "made"
    for name in ("20260101_00001_movie.mrc", "20260101_00001_info.txt"):
        dataset = read(made / "mrc" / name)
        np.testing.assert_array_equal(dataset.load().data, np.load(made / "truth.npz")["u16"])
        known = dataset.calibration
        assert (known.energy, known.semiangle) == (80e3, None)
        assert known.scan_step == pytest.approx(1.5) and known.q_pixel == pytest.approx(0.05)


@LEAKS
@pytest.mark.parametrize("name", ["20241021_00405", "ROI_Random_Scan", "Custom"])
def test_movies_of_the_camera(shared, name):
    folder = shared / "data" / "formats" / "de-mrc"
    path, scan = folder / f"{name}_movie.mrc", folder / f"{name}_scan_coordinates.csv"
    choices = (0, 1) if name == "Custom" else (None,)
    found = [read(path, choose=choice) for choice in choices]
    assert found[0].calibration.energy == 300e3
    if name == "20241021_00405":
        assert found[0].calibration.scan_step == pytest.approx((2.0, 1.0))
        assert found[0].calibration.q_pixel == pytest.approx(0.01)
    if name == "Custom":
        assert found[0].scan_mask.sum() == 15 and found[0].calibration.q_pixel is None
    reader = pytest.importorskip("rsciio.mrc", reason="no rosettasciio here")
    more = {"scan_file": str(scan)} if scan.exists() else {}
    expected = reader.file_reader(str(path), metadata_file=str(folder / f"{name}_info.txt"), **more)[0]["data"]
    ours = np.stack([dataset.load().data for dataset in found], 2)
    np.testing.assert_array_equal(ours, expected if expected.ndim == 5 else expected[:, :, None])


@LEAKS
def test_images_of_the_camera(shared):
    folder = shared / "data" / "formats" / "de-mrc"
    reader = pytest.importorskip("rsciio.mrc", reason="no rosettasciio here")
    for path in (*folder.glob("20241021*[!e].mrc"), folder / "ROI_Random_Scan_Sum.mrc"):
        np.testing.assert_array_equal(read_pattern(path), np.squeeze(reader.file_reader(str(path))[0]["data"]))


def test_it_holds_one_array_without_a_name(tmp_path):
    with pytest.raises(FileFormatError, match="single array; leave out dataset='x'"):
        read(mrc_file(tmp_path / "a.mrc", STACK), dataset="x")
