"""DigitalMicrograph: both orders of the axes, the image that is meant, and tags that are not believed unseen."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.records import dm
from ptywidgets.engine.io.formats.records.dm_tags import DEEPEST, read_tags
from ptywidgets.testing.contracts.formats import FormatContract, Sample
from ptywidgets.testing.record_files import dm_file

TRUTH = np.arange(3 * 4 * 6 * 5, dtype=np.uint16).reshape(3, 4, 6, 5)
SCAN, DETECTOR = [(0.15, "nm"), (0.2, "nm")], [(0.5, "1/nm"), (0.4, "1/nm")]
MICROSCOPE = {
    "Voltage": 80e3,
    "STEM Camera Length": 95.0,
    "Illumination Mode": "STEM NANOPROBE",
    "Name": "a scope",
    "Active Size (pixels)": (2.0, 3.0),
}
TAGS = {
    "Meta Data": {"Data Order Swapped": 1},
    "Microscope Info": MICROSCOPE,
    "EELS": {"Experimental Conditions": {"Convergence semi-angle (mrad)": 21.0}},
}
OLD = {**TAGS, "Meta Data": {"Data Order Swapped": 0}}
STATED = {"energy": 80e3, "scan_step": (1.5, 2.0), "q_pixel": (0.05, 0.04), "semiangle": 21.0}


@pytest.mark.parametrize(
    "how", ["dm4 new order", "dm4 old order", "dm3 new order", "dm4 old order big-endian", "dm4 stack"], scope="class"
)
class TestDM(FormatContract):
    module = dm

    @pytest.fixture
    def sample(self, tmp_path, how):
        folder = tmp_path / "sample"
        folder.mkdir()
        path = folder / f"scan.{how[:3]}"
        if "stack" in how:
            tags = {**TAGS, "4D STEM Tags": {"Scan shape X": 4, "Scan shape Y": 3}}
            dm_file(path, TRUTH.reshape(12, 6, 5), [(1.0, ""), *DETECTOR], tags)
            return Sample(path, TRUTH, {**STATED, "scan_step": None})
        order = ">" if "big" in how else "<"
        if "old" in how:
            dm_file(path, TRUTH.transpose(2, 3, 0, 1), [*DETECTOR, *SCAN], OLD, int(how[2]), order)
        else:
            dm_file(path, TRUTH, [*SCAN, *DETECTOR], TAGS, int(how[2]), order)
        return Sample(path, TRUTH, STATED)


def test_what_is_told_of_the_microscope_and_of_the_order(tmp_path):
    found = read(dm_file(tmp_path / "a.dm4", TRUTH.transpose(2, 3, 0, 1), [*DETECTOR, *SCAN], OLD)).metadata
    assert found["camera length"] == "95 mm" and found["illumination"] == "STEM NANOPROBE"
    assert "all over the file" in found["reading"] and "Data Order Swapped is 0" in found["axes"]
    new = read(dm_file(tmp_path / "b.dm4", TRUTH, [*SCAN, *DETECTOR], TAGS)).metadata
    assert "reading" not in new and "axes" not in new


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"])
def test_every_type_of_number(tmp_path, kind):
    values = (TRUTH % 100).astype(kind)
    dataset = read(dm_file(tmp_path / "a.dm4", values, [*SCAN, *DETECTOR], TAGS))
    assert dataset.dtype == np.dtype(kind)
    np.testing.assert_array_equal(dataset.load().data, values)


@pytest.mark.parametrize(("kind", "words"), [(3, "complex"), (27, "packed complex"), (23, "colours"), (99, "type")])
def test_what_is_no_number_is_refused_in_words(tmp_path, kind, words):
    path = dm_file(tmp_path / "a.dm4", TRUTH[0, 0].astype("c8"), data_type=kind)
    with pytest.raises(FileFormatError, match=f"{words}.*expected whole or real numbers"):
        read_pattern(path)


def test_units_tell_the_order_where_no_tag_does(tmp_path):
    path = dm_file(tmp_path / "a.dm4", TRUTH.transpose(2, 3, 0, 1), [*DETECTOR, *SCAN], {"Microscope Info": MICROSCOPE})
    dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.scan_step == pytest.approx((1.5, 2.0))


def test_a_scan_shape_that_is_given_is_held_against_the_scan(tmp_path):
    path = dm_file(tmp_path / "a.dm4", TRUTH.transpose(2, 3, 0, 1), [*DETECTOR, *SCAN], OLD)
    assert read(path, scan_shape=(3, 4)).shape == TRUTH.shape
    with pytest.raises(DataError, match=r"scan_shape is \(6, 5\) but the data already are 3 x 4 x 6 x 5"):
        read(path, scan_shape=(6, 5))


def test_an_order_that_nothing_tells_or_that_is_contradicted_is_warned_of(tmp_path):
    silent = dm_file(tmp_path / "a.dm4", TRUTH)
    with pytest.warns(DataWarning, match=r"says neither.*axes='Qy Qx Ry Rx'") as told:
        assert read(silent).shape == TRUTH.shape
    assert told[0].filename == __file__
    wrong = dm_file(tmp_path / "b.dm4", TRUTH, [*SCAN, *DETECTOR], OLD)
    with pytest.warns(DataWarning, match=r"contradicts itself.*axes='Ry Rx Qy Qx'"):
        assert read(wrong).shape == (6, 5, 3, 4)
    with pytest.warns(DataWarning):
        np.testing.assert_array_equal(read(wrong, axes="Ry Rx Qy Qx").load().data, TRUTH)


def test_mrad_and_values_that_state_nothing(tmp_path):
    tags = {**TAGS, "Microscope Info": {"Voltage": 0.0, "STEM Camera Length": 0.0}, "EELS": {}}
    path = dm_file(tmp_path / "a.dm4", TRUTH, [(0.0, "nm"), (float("nan"), "nm"), (2.0, "mrad"), (2.0, "mrad")], tags)
    with pytest.raises(Exception, match="needs the energy"):
        read(path)
    known = read(path, energy=80e3).calibration
    assert known.scan_step is None and known.q_pixel == pytest.approx(0.0479, rel=1e-2)
    assert "camera length" not in read(path, energy=80e3).metadata


def test_the_largest_image_is_taken_unless_one_is_named(tmp_path):
    small, pattern = TRUTH[:2, :2, :4, :4], TRUTH[0, 0].astype(np.float32)
    path = dm_file(tmp_path / "a.dm4", TRUTH, [*SCAN, *DETECTOR], TAGS, extra=[small, pattern])
    dataset = read(path)
    assert dataset.shape == TRUTH.shape and "ImageList.2 2 x 2 x 4 x 4" in dataset.metadata["other images"]
    np.testing.assert_array_equal(read_pattern(path), pattern)
    with pytest.warns(DataWarning, match="says neither"):
        np.testing.assert_array_equal(read(path, dataset="ImageList.2").load().data, small)
    with pytest.warns(DataWarning, match="says neither"):
        assert read(path, dataset="more 0").source.dataset == "ImageList.2"
    with pytest.raises(FileFormatError, match=r"dataset is 'x'.*ImageList\.1"):
        read(path, dataset="x")
    with pytest.raises(FileFormatError, match="one pattern; open it with read_pattern"):
        read(path, dataset="ImageList.3")
    with pytest.raises(FileFormatError, match="mean_pattern"):
        read_pattern(path, dataset="ImageList.1")


def test_stacks_that_do_not_say_their_scan_and_spectra(tmp_path):
    stack = dm_file(tmp_path / "a.dm4", TRUTH.reshape(12, 6, 5), [(1.0, ""), *DETECTOR])
    with pytest.raises(DataError, match=r"stack of 12.*scan_shape=\(3, 4\)"):
        read(stack)
    np.testing.assert_array_equal(read(stack, scan_shape=(3, 4)).load().data, TRUTH)
    turned = dm_file(tmp_path / "c.dm4", TRUTH.reshape(12, 6, 5), [(1.0, "1/nm"), (1.0, "nm"), (1.0, "nm")])
    with pytest.raises(DataError, match="expected the number of the pattern first"):
        read(turned, scan_shape=(3, 4))
    spectra = dm_file(tmp_path / "b.dm4", TRUTH.reshape(12, 6, 5), [(1.0, "eV"), (1.0, "nm"), (1.0, "nm")])
    with pytest.raises(FileFormatError, match="spectrum image"):
        read(spectra, scan_shape=(3, 4))


def test_a_scan_of_one_row_keeps_it(tmp_path):
    dataset = read(dm_file(tmp_path / "a.dm4", TRUTH[:1], [*SCAN, *DETECTOR], TAGS))
    np.testing.assert_array_equal(dataset.load().data, TRUTH[:1])


def damaged(path, content):
    path.write_bytes(content)
    begin = time.monotonic()
    with pytest.raises(FileFormatError, match="cut off or damaged"):
        read_tags(path)
    assert time.monotonic() - begin < 5


def test_depth_counts_and_sizes_are_not_believed(tmp_path):
    head = struct.pack(">IQI", 4, 100, 1)

    def group(count, content=b""):
        return struct.pack(">BBQ", 0, 0, count) + content

    nested = b""
    for _ in range(DEEPEST + 2):
        inner = group(1, struct.pack(">BHQ", 20, 0, 0) + nested) if nested else group(0)
        nested = inner
    damaged(tmp_path / "deep.dm4", head + nested)
    damaged(tmp_path / "many.dm4", head + group(2**63))
    damaged(tmp_path / "kind.dm4", head + group(1, bytes(1000)))
    value = struct.pack(">BHQ", 21, 0, 0) + b"%%%%"
    damaged(tmp_path / "info.dm4", head + group(1, value + struct.pack(">Q", 2**40)) + bytes(99))
    damaged(tmp_path / "array.dm4", head + group(1, value + struct.pack(">4Q", 3, 20, 5, 2**60)) + bytes(99))
    damaged(tmp_path / "text.dm4", head + group(1, value + struct.pack(">3Q", 2, 18, 2**60)) + bytes(99))
    damaged(tmp_path / "struct.dm4", head + group(1, value + struct.pack(">4Q", 3, 15, 0, 2**60)) + bytes(99))
    recursive = b"".join(struct.pack(">BBQBHQ", 0, 0, 1, 20, 0, 0) for _ in range(5000))
    damaged(tmp_path / "bomb.dm4", head + recursive)
    damaged(tmp_path / "zeros.dm4", head + group(2000, value + struct.pack(">2Q", 1, 2) + bytes(20_000)))


def test_numbers_that_do_not_fit_the_shape(tmp_path):
    path = dm_file(tmp_path / "a.dm4", TRUTH, [*SCAN, *DETECTOR], TAGS, data_type=2)
    with pytest.raises(FileFormatError, match="3 x 4 x 6 x 5 numbers of 4 bytes but has 360 of 2"):
        read(path)


# ------------------------------------------------------------------------------------------------ files of others


def test_made_file(shared):
    made = shared / "data" / "formats" / "made"
    dataset = read(made / "dm" / "order_swapped.dm4")
    np.testing.assert_array_equal(dataset.load().data, np.load(made / "truth.npz")["u16"])
    known = dataset.calibration
    assert (known.energy, known.semiangle) == (80e3, None)
    assert known.scan_step == pytest.approx(1.5) and known.q_pixel == pytest.approx(0.05)


def test_real_pattern(shared):
    path = shared / "data" / "formats" / "dm" / "test_diffraction_pattern.dm3"
    pattern = read_pattern(path)
    assert pattern.shape == (87, 87)
    reader = pytest.importorskip("rsciio.digitalmicrograph", reason="no rosettasciio here")
    np.testing.assert_array_equal(pattern, reader.file_reader(str(path))[0]["data"])


@pytest.mark.parametrize("number", [1, 2, 6, 7, 10, 11])
def test_real_stacks(shared, number):
    path = shared / "data" / "formats" / "dm" / f"dm4_3D_test-{number}.dm4"
    data = read(path, scan_shape=(1, 2)).load().data
    reader = pytest.importorskip("rsciio.digitalmicrograph", reason="no rosettasciio here")
    np.testing.assert_array_equal(data[0], reader.file_reader(str(path))[0]["data"])


def test_real_files_that_are_no_patterns(shared):
    folder = shared / "data" / "formats" / "dm"
    for name, words in {"dm4_3D_test-28": "complex", "EELS_SI": "spectrum image"}.items():
        with pytest.raises(FileFormatError, match=words):
            read(folder / f"{name}.dm4", scan_shape=(1, 2))
    with pytest.raises(FileFormatError, match="complex"):
        read_pattern(folder / "test_fft_packed_complex8.dm4")
    long = folder / "dmTest_3D_int16_64,65,66.dm4"
    assert read(long, scan_shape=(6, 11)).shape == (6, 11, 65, 64)
