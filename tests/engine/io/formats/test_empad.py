"""EMPAD's .raw with its .xml, phaser's .json or its name alone; scans that several sources say differently."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError, DataWarning, FileFormatError
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.records import empad
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(2).normal(3, 5, (2, 3, 128, 128)).astype("<f4")  # with negative values
STATED = {"energy": 300e3, "scan_step": 15.0}
ASKED = "how they were scanned"


def write_raw(path, values=TRUTH):
    stack = values.reshape(-1, 128, 128)
    records = np.full((len(stack), 130, 128), -1e9, "<f4")
    records[:, :128] = stack
    path.write_bytes(records.tobytes())
    return path


def block(mode, rows, columns, part):
    size = f"<scan_resolution_y>{rows}</scan_resolution_y><scan_resolution_x>{columns}</scan_resolution_x>"
    return f'<scan_parameters mode="{mode}"><scan_size>{part}</scan_size>{size}</scan_parameters>'


SEARCH, ACQUIRE = block("search", 64, 64, 0.8), block("acquire", 2, 3, 0.5)
FIELD = (
    "<full_scan_field_of_view><scale_factor>0.72</scale_factor><x>6.48e-9</x><y>6.48e-9</y></full_scan_field_of_view>"
)
MEASURED = (
    "<scan_rotation>0.25</scan_rotation><nominal_camera_length>0.369</nominal_camera_length>"
    "<high_voltage>300000.0</high_voltage>"
)


def write_xml(path, raw="scan_x3_y2.raw", more=SEARCH + ACQUIRE, measured=FIELD + MEASURED, before=""):
    path.write_text(
        f'{before}<root name="a"><timestamp timestamp="0" isoformat="2026-03-25T16:47:52"/>'
        f'<software_version>1.2.2</software_version><raw_file filename="{raw}"/><exposure_time>1</exposure_time>{more}'
        f"<iom_measurements>{measured}</iom_measurements></root>"
    )
    return path


def write_json(path, **changes):
    said = {
        "file_type": "empad_metadata", "version": "2.0", "raw_filename": "scan_x3_y2.raw", "voltage": 200e3,
        "conv_angle": 17.9, "defocus": None, "camera_length": 0.4575, "diff_step": 0.5, "scan_rotation": 12.5,
        "scan_shape": [3, 2], "scan_step": [1.5e-10, 1.2e-10], "exposure_time": 0.001, "adu": 375.0,
    }  # fmt: skip
    path.write_text(json.dumps({**said, **changes}))
    return path


class Empad(FormatContract):
    module = empad
    opened, stated = "a.xml", STATED

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        write_raw(folder / "scan_x3_y2.raw")
        self.describe(folder)
        return Sample(folder / self.opened, TRUTH, self.stated)

    @staticmethod
    def describe(folder):
        write_xml(folder / "a.xml")


class TestXml(Empad):
    pass


class TestRawWithItsXml(Empad):
    opened = "scan_x3_y2.raw"


class TestRawAlone(Empad):
    opened, stated = "scan_x3_y2.raw", {}

    @staticmethod
    def describe(folder):
        pass


class TestJson(Empad):
    opened = "a.json"
    # 0.5 mrad at 200 kV
    stated = {"energy": 200e3, "scan_step": (1.2, 1.5), "q_pixel": 0.5e-3 / 0.0250793, "semiangle": 17.9}  # noqa: RUF012

    @staticmethod
    def describe(folder):
        write_json(folder / "a.json")


@pytest.fixture
def folder(tmp_path):
    """With the patterns and nothing that is said of them."""
    write_raw(tmp_path / "scan_x3_y2.raw")
    return tmp_path


def test_what_is_said_of_the_measurement(folder):
    said = dict(read(write_xml(folder / "a.xml")).metadata)
    assert said["camera_length"] == "0.369 m" and said["scan_rotation"] == "0.25 rad"
    assert said["dwell_time"] == "1 ms" and said["date"] == "2026-03-25T16:47:52"
    assert said["software"] == "EMPAD 1.2.2" and "flip='rows'" in said["detector_rows"]
    said = dict(read(write_json(folder / "b.json", det_flips=[True, False, False], defocus=-2e-8)).metadata)
    assert said["camera_length"] == "0.4575 m" and said["scan_rotation"] == "12.5 degrees"
    assert said["counts"].startswith("375 units") and said["phaser_det_flips"] == "[True, False, False]"
    assert said["defocus"] == "-2e-08 m, positive for overfocus" and said["dwell_time"] == "0.001 s"


def test_nan_and_negative_values_are_handed_on(folder):
    values = TRUTH.copy()
    values[1, 2, 5, 6], values[0, 0, 0, 0] = np.nan, -7.5
    path = write_raw(folder / "scan_x3_y2.raw", values)
    data = read(path).load().data
    assert np.isnan(data[1, 2, 5, 6]) and np.isnan(data).sum() == 1 and data[0, 0, 0, 0] == -7.5


# -------------------------------------------------- the scan


def test_a_block_that_is_not_of_this_scan_is_noted(folder):
    dataset = read(write_xml(folder / "a.xml", more=block("search", 2, 3, 0.9) + block("acquire", 512, 512, 1)))
    assert dataset.scan_shape == (2, 3) and "512 x 512 by 'acquire' in a.xml" in dataset.metadata["scan_shape"]
    assert dataset.calibration.scan_step == pytest.approx(27)  # of the search, which was of this shape


def test_the_old_sizes_win_over_the_blocks_and_these_over_nothing(folder):
    raw = folder / "scan_x3_y2.raw"
    raw = raw.rename(folder / "patterns.raw")
    old = "<pix_x>2</pix_x><pix_y>3</pix_y>"
    dataset = read(write_xml(folder / "a.xml", "patterns.raw", old + block("acquire", 64, 64, 1)))
    assert dataset.scan_shape == (3, 2)
    assert read(write_xml(folder / "a.xml", "patterns.raw")).scan_shape == (2, 3)
    with pytest.raises(DataError, match=ASKED):
        read(write_xml(folder / "a.xml", "patterns.raw", ""))
    assert read(raw, scan_shape=(2, 3)).calibration.energy == 300e3


def test_scans_that_contradict_each_other_are_told(folder):
    path = write_xml(folder / "a.xml", more=block("acquire", 3, 2, 0.5))
    with pytest.warns(DataWarning, match="taken as 2 x 3, by the name of the file; 3 x 2 by 'acquire'"):
        assert read(path).scan_shape == (2, 3)
    write_xml(path, more="<pix_x>6</pix_x><pix_y>1</pix_y>")
    with pytest.raises(DataError, match=r"6 patterns, which are 2 x 3 by the name.*1 x 6 by pix_x.*scan_shape="):
        read(path)
    assert read(path, scan_shape=(2, 3)).scan_shape == (2, 3)
    write_raw(folder / "scan_x3_y2.raw", TRUTH[:1])
    write_xml(path, more="<pix_x>4</pix_x><pix_y>4</pix_y>")
    with pytest.raises(DataError, match=r"3 patterns, which is none of 2 x 3 by the name.*4 x 4 by pix_x"):
        read(path)


def test_a_scan_that_was_ended_early_keeps_its_whole_rows(folder):
    raw, path = folder / "scan_x3_y2.raw", write_xml(folder / "a.xml")
    raw.write_bytes(raw.read_bytes()[: 4 * 66560 + 5])
    for opened in (path, raw):
        with pytest.warns(DataWarning) as told:
            dataset = read(opened)
        np.testing.assert_array_equal(dataset.load().data, TRUTH[:1])
        assert "5 of 66560 bytes" in str(told[0].message) and "4 patterns where the name of the" in str(told[1].message)
        assert dataset.calibration.scan_step == pytest.approx(15)  # of the whole scan
    raw.write_bytes(write_raw(raw).read_bytes()[:-1024])  # only the last rows, which are no pixels
    np.testing.assert_array_equal(read(path).load().data, TRUTH)


def test_a_series_is_no_scan(folder):
    raw = (folder / "scan_x3_y2.raw").rename(folder / "series_x6.raw")
    more = "<type>series</type><count>6</count><scan_parameters><series_count>6</series_count></scan_parameters>"
    path = write_xml(folder / "a.xml", raw.name, more, "")
    for opened in (path, raw):
        with pytest.raises(DataError, match=ASKED):
            read(opened)
    assert read(path, scan_shape=(1, 6)).metadata["series"] == "6 patterns, no scan"


# -------------------------------------------------- the calibration


def test_two_sizes_for_one_scan_are_asked_about(folder):
    path = write_xml(folder / "a.xml", more=block("search", 2, 3, 0.8) + block("acquire", 2, 3, 0.5))
    with pytest.raises(CalibrationError, match=r"scan_step=15\) or scan_step=24"):
        read(path)
    assert read(path, scan_step=24).calibration.scan_step == 24
    write_xml(path, more=block("search", 64, 64, 0.8) + block("acquire", 32, 32, 0.5))
    dataset = read(path)
    assert dataset.calibration.scan_step is None and "not known: scan_size is 0.5 (acquire)" in str(dataset.metadata)


@pytest.mark.parametrize(
    "measured",
    [
        "",
        FIELD.replace("0.72", "0"),
        FIELD.replace("<x>6.48e-9", "<x>nan"),
        FIELD.replace("<x>6.48e-9", "<x>5e-9"),
        FIELD.replace("<scale_factor>0.72</scale_factor>", ""),
        "<optics.get_full_scan_field_of_view>None</optics.get_full_scan_field_of_view>",
        "<high_voltage>0.0</high_voltage><nominal_camera_length>0.1</nominal_camera_length>",
    ],
)
def test_what_is_not_said_is_not_known(folder, measured):
    assert read(write_xml(folder / "a.xml", measured=measured)).calibration == Calibration()


def test_old_software(folder):
    measured = (
        "<optics.get_full_scan_field_of_view>[9e-09, 9e-09]</optics.get_full_scan_field_of_view>"
        "<source.get_voltage>300000.0</source.get_voltage><optics.get_cameralength>0.7225</optics.get_cameralength>"
        "<calibrated_diffraction_angle>0.00043</calibrated_diffraction_angle>"
        "<calibrated_pixelsize>3.6e-13</calibrated_pixelsize><column.get_scanrotation>0.5</column.get_scanrotation>"
    )
    dataset = read(write_xml(folder / "a.xml", measured=measured))
    assert dataset.calibration.energy == 300e3 and dataset.calibration.scan_step == pytest.approx(15)
    assert dataset.calibration.q_pixel == pytest.approx(0.43e-3 / 0.0196875, rel=1e-5)
    assert dataset.metadata["camera_length"] == "0.7225 m" and dataset.metadata["scan_rotation"] == "0.5 rad"
    assert "says no unit, and it is not used" in dataset.metadata["calibrated_pixelsize"]


def test_descriptions_beside_each_other_must_agree(folder):
    write_xml(folder / "a.xml")
    write_json(folder / "b.json", voltage=300e3, scan_step=[1.5e-9, 1.5e-9])
    dataset = read(folder / "scan_x3_y2.raw")
    assert dataset.calibration.energy == 300e3 and dataset.calibration.semiangle == 17.9
    write_json(folder / "b.json")
    with pytest.raises(CalibrationError, match=r"energy is 300000 V \(high_voltage in a.xml\) and 200000 V"):
        read(folder / "scan_x3_y2.raw")
    assert read(folder / "a.xml").calibration.energy == 300e3  # the one that was opened
    write_xml(folder / "a.xml", "scan_x9_y9.raw")  # of others
    assert read(folder / "scan_x3_y2.raw").calibration.energy == 200e3


def test_what_phaser_does_not_know_is_not_known(folder):
    unknown = {"conv_angle": None, "diff_step": None, "scan_step": None, "camera_length": None, "voltage": 10**400}
    dataset = read(write_json(folder / "a.json", **unknown, scan_shape=None, scan_positions=[[0, 0]] * 6))
    assert dataset.calibration == Calibration() and dataset.scan_shape == (2, 3)
    assert "not read" in dataset.metadata["phaser_scan_positions"]


# -------------------------------------------------- files that belong together, and damage


def test_a_raw_of_another_name(folder):
    raw = (folder / "scan_x3_y2.raw").rename(folder / "mine.raw")
    with pytest.raises(FileFormatError, match="unknown format"):
        read(raw)
    np.testing.assert_array_equal(read(raw, format="empad", scan_shape=(2, 3)).load().data, TRUTH)
    path = write_xml(folder / "mine.xml")  # which names the one that was renamed
    for opened in (raw, path):
        dataset = read(opened)
        np.testing.assert_array_equal(dataset.load().data, TRUTH)
        assert dataset.calibration.scan_step == pytest.approx(15)
    write_xml(path, "../../elsewhere/mine.raw")
    np.testing.assert_array_equal(read(path).load().data, TRUTH)


def test_a_raw_that_was_cut_is_known_by_its_name(tmp_path):
    whole = write_raw(tmp_path / "scan_x3_y2.raw").read_bytes()
    path = tmp_path / "scan_x3_y2.raw"
    for size, words in (
        (5 * 66560, "1 of 2 rows"),
        (3 * 66560, "1 of 2 rows"),
        (4 * 66560 - 100, "1 of 2 rows"),  # the rows that are no pixels are cut off
    ):
        path.write_bytes(whole[:size])
        with pytest.warns(DataWarning, match=words):
            dataset = read(path)
        np.testing.assert_array_equal(dataset.load().data, TRUTH[:1])
    path.write_bytes(whole[: 4 * 66560 + 100])
    with pytest.warns(DataWarning, match="cut off: 100 of 66560"), pytest.warns(DataWarning, match="1 of 2 rows"):
        assert read(path).shape == (1, 3, 128, 128)
    path.write_bytes(whole[: 2 * 66560])  # less than a row
    with pytest.raises(DataError, match=r"2 patterns but the name of the file says 2 x 3 = 6"):
        read(path)
    for size in (66559, 66560 + 1000):  # of another camera, as far as anyone can tell
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match="unknown format"):
            read(path)


def test_a_raw_that_nothing_is_said_of_has_a_hint(tmp_path):
    path = write_raw(tmp_path / "a.raw")
    with pytest.raises(FileFormatError, match=r"size is that of 6 x 66560 bytes.*EMPAD.*format='empad', scan_shape"):
        read(path)
    np.testing.assert_array_equal(read(path, format="empad", scan_shape=(2, 3)).load().data, TRUTH)
    path.write_bytes(path.read_bytes() + b"\1")
    with pytest.raises(FileFormatError) as caught:
        read(path)
    assert "EMPAD" not in str(caught.value)


def test_patterns_that_are_not_there(tmp_path):
    for path in (write_xml(tmp_path / "a.xml"), write_json(tmp_path / "b.json")):
        with pytest.raises(FileFormatError, match=r"scan_x3_y2\.raw, are not beside it"):
            read(path)
    for name in ("/etc/passwd", "", "\N{FULLWIDTH LATIN SMALL LETTER A}" * 190 + ".raw", "..", "x\ty.raw"):
        with pytest.raises(FileFormatError, match="are not beside it"):
            read(write_json(tmp_path / "b.json", raw_filename=name))
    (tmp_path / "scan_x3_y2.raw").write_text("version https://git-lfs.github.com/spec/v1\n")
    for opened in ("a.xml", "scan_x3_y2.raw"):
        with pytest.raises(FileFormatError, match="Git LFS pointer"):
            read(tmp_path / opened)


def test_patterns_without_the_rows_after_them(folder):
    (folder / "scan_x3_y2.raw").write_bytes(np.tile(TRUTH, (33, 1, 1, 1))[:65].tobytes())
    path = write_xml(folder / "a.xml", more="<pix_x>3</pix_x><pix_y>65</pix_y>")
    with pytest.raises(FileFormatError, match=r"without the two rows.*dtype='<f4', detector_shape=\(128, 128\)"):
        read(path)
    with pytest.raises(FileFormatError, match=r"EMPAD version 2; expected 1.*dtype='<f4'"):
        read(write_json(folder / "b.json", empad_version=2))


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE root [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE root SYSTEM "file:///etc/passwd">',
        "<",
        '<?xml version="1.0" encoding="nothing-known"?>',
    ],
)
def test_an_xml_that_is_not_whole_or_declares_more_is_not_read(folder, before):
    path = write_xml(folder / "a.xml", before=before)
    with pytest.raises(FileFormatError, match=r"a\.xml cannot be understood"):
        read(path)
    with pytest.warns(DataWarning, match=r"what is said of scan_x3_y2\.raw is not used: a\.xml cannot be understood"):
        dataset = read(folder / "scan_x3_y2.raw")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


def test_the_second_kind_of_empad_is_not_taken_for_the_first(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<root><rawfile><filename>a.raw</filename></rawfile><scan_parameters/></root>")
    (tmp_path / "a.raw").write_bytes(TRUTH.tobytes())
    for opened in (path, tmp_path / "a.raw"):
        with pytest.raises(FileFormatError, match="Formats that are read"):
            read(opened)


def test_more_that_is_told(folder):
    path = write_xml(folder / "a.xml")
    with pytest.raises(FileFormatError, match="leave out dataset='x'"):
        read(path, "x")
    path.write_bytes(path.read_bytes() + b" " * 10_000_001)
    with pytest.raises(FileFormatError, match="more than 10 MB"):
        read(path)
    path.write_text('{"file_type": "empad_metadata", "raw_filename": ')
    with pytest.raises(FileFormatError, match=r"a\.xml cannot be understood"):
        read(path)


@pytest.mark.parametrize("opened", ["a.xml", "b.json"])
def test_damaged_descriptions(folder, opened):
    write_xml(folder / "a.xml")
    write_json(folder / "b.json")
    whole = (folder / opened).read_bytes()
    chance = np.random.default_rng(1)
    contract, sample = FormatContract(), Sample(folder / opened, TRUTH)
    for _ in range(150):
        changed = bytearray(whole)
        for at in chance.integers(0, len(whole), 3):
            changed[int(at)] = int(chance.choice([0, 0x22, 0x2D, 0x39, 0x3C, 0xFF, int(chance.integers(256))]))
        for name, content in ((opened, changed), (opened, whole[: int(chance.integers(len(whole)))])):
            (folder / name).write_bytes(content)
            contract._use(sample, folder / name)
            contract._use(sample, folder / "scan_x3_y2.raw")


# -------------------------------------------------- files of others


@pytest.mark.parametrize("name", ["acq.xml", "scan_x3_y2.raw"])
def test_made_files(shared, name):
    made = shared / "data" / "formats" / "made"
    dataset = read(made / "empad" / name)
    np.testing.assert_array_equal(dataset.load().data, np.load(made / "truth.npz")["empad"])
    assert dataset.calibration.scan_step == pytest.approx(1.5)
    assert dataset.calibration.replace(scan_step=None) == Calibration(energy=80e3)


def empty(path, patterns):
    with path.open("wb") as file:
        file.truncate(patterns * 66560)


@pytest.mark.parametrize(
    ("name", "raw", "scan", "calibration"),
    [
        # the .xml holds 4.566e-6 m, 0.55 of it, and 0.42907 mrad
        ("map4x4.xml", "scan_x4_y4.raw", (4, 4), {"energy": 300e3, "scan_step": 6278.721, "q_pixel": 0.0217938}),
        # 1.8047e-6 m / 0.72, 0.96 of it (search: 128 x 128; acquire would be 512 x 512)
        ("06_35000x_alpha0p42.xml", "scan_x128_y128.raw", (128, 128), {"energy": 300e3, "scan_step": 187.9914}),
        (
            "phaser_empad_metadata_v2.json",
            "scan_x128_y128.raw",
            (128, 128),
            {"energy": 200e3, "scan_step": 0.9714904, "q_pixel": 0.0312342, "semiangle": 17.9},
        ),
    ],
)
def test_descriptions_of_others(shared, tmp_path, name, raw, scan, calibration):
    shutil.copy(shared / "data" / "formats" / "empad" / name, tmp_path)
    empty(tmp_path / raw, scan[0] * scan[1])
    for opened in (name, raw):
        dataset = read(tmp_path / opened)
        assert dataset.shape == (*scan, 128, 128)
        for quantity in ("energy", "scan_step", "q_pixel", "semiangle"):
            expected = calibration.get(quantity)
            found = getattr(dataset.calibration, quantity)
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-5)), quantity


def test_two_descriptions_of_others_that_do_not_say_all(shared, tmp_path):
    name = "EMPAD_v1.2.2_x32_y64_size0.8.xml"  # its two blocks are both of this scan, with two sizes
    shutil.copy(shared / "data" / "formats" / "empad" / name, tmp_path)
    empty(tmp_path / "scan_x32_y64.raw", 32 * 64)
    with pytest.raises(CalibrationError, match=r"scan_step=165\.679\) or scan_step=220\.905"):
        read(tmp_path / name)
    assert read(tmp_path / name, scan_step=165.679).shape == (64, 32, 128, 128)
    shutil.copy(shared / "data" / "formats" / "empad" / "stack_images.xml", tmp_path)
    empty(tmp_path / "series_x10.raw", 10)
    with pytest.raises(DataError, match=f"stack of 10 patterns.*{ASKED}"):
        read(tmp_path / "stack_images.xml")


def test_another_reader_finds_the_same(shared, tmp_path):
    reader = pytest.importorskip("rsciio.empad")
    made = shared / "data" / "formats" / "made" / "empad" / "acq.xml"
    np.testing.assert_array_equal(read(made).load().data, reader.file_reader(str(made))[0]["data"])
    shutil.copy(shared / "data" / "formats" / "empad" / "map4x4.xml", tmp_path)
    values = np.random.default_rng(3).normal(size=(4, 4, 128, 128)).astype("<f4")
    write_raw(tmp_path / "scan_x4_y4.raw", values)
    np.testing.assert_array_equal(read(tmp_path / "map4x4.xml").load().data, values)
    np.testing.assert_array_equal(reader.file_reader(str(tmp_path / "map4x4.xml"))[0]["data"], values)
