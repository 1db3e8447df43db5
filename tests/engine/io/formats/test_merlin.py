"""Merlin's .mib: every type of pixel, the scan from each of its sources, lost frames, files that belong together."""

from __future__ import annotations

import time
import zipfile

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.records import merlin
from ptywidgets.testing.contracts.formats import FormatContract, Sample

SCAN = (3, 4)
PAUSED = [number * 1_000_000 + number // 4 * 7_000_000 for number in range(12)]  # ns


def counts(depth, detector, scan=SCAN, seed=0):
    highest = 2**depth
    kind = np.uint8 if depth < 8 else np.uint16 if depth < 16 else np.uint32
    return np.random.default_rng(seed).integers(0, highest, (*scan, *detector)).astype(kind)


def header(number, shape, kind, depth, chips=1, layout="1x1", nbytes=384, when=0, counter=0, old=False):
    """One frame's, as Merlin's software writes it."""
    clock = f"{when // 3600_000_000_000 % 24:02d}:{when // 60_000_000_000 % 60:02d}:{when // 10**9 % 60:02d}"
    said = f"MQ1,{number:06d},{nbytes:05d},{chips:02d},{shape[1]:04d},{shape[0]:04d},{kind},{layout:>6},01,"
    said += f"2024-07-02 {clock}.{when // 1000 % 10**6:06d},0.001000,{counter},0,0,4.000000E+1,"
    said += "5.110000E+2,0,0,0,0,0,0,3RX," + "023," * 27 * chips
    if not old:
        said += f"MQ1A,2024-07-02T{clock}.{when % 10**9:09d}Z,1000000ns,{depth},"
    assert len(said) <= nbytes
    return said.encode().ljust(nbytes, b"\0")


def packed(frame, depth):
    """A chip's rows as its words of 64 bits hold them, the last pixel first."""
    rows = b""
    for row in frame:
        for word in row.reshape(-1, {1: 64, 6: 8, 12: 4}[depth]):
            if depth == 1:
                rows += sum(int(pixel) << place for place, pixel in enumerate(word)).to_bytes(8, "big")
            else:
                rows += b"".join(int(pixel).to_bytes(1 if depth == 6 else 2, "big") for pixel in reversed(word))
    return rows


def raw_frame(frame, depth, quad=False):
    if depth == 24:
        return packed(frame >> 12, 12) + packed(frame & 0xFFF, 12)
    if not quad:
        return packed(frame, depth)
    y, x = (n // 2 for n in frame.shape)
    chips = [frame[y:, x:][::-1, ::-1], frame[y:, :x][::-1, ::-1], frame[:y, x:], frame[:y, :x]]
    return b"".join(packed(chip[row : row + 1], depth) for row in range(y) for chip in chips)


def write_mib(path, values, kind="U16", depth=12, quad=False, times=None, first=1, numbers=None, **options):
    stack = values.reshape(-1, *values.shape[-2:])
    times = [number * 1_000_000 for number in range(len(stack))] if times is None else times
    numbers = range(first, first + len(stack)) if numbers is None else numbers
    rows, columns = stack.shape[1:]
    shape = stack.shape[1:]
    if kind == "R64":
        shape = (rows // 2, 2 * columns) if quad else (rows, 2 * columns if depth == 24 else columns)
    if quad:
        options |= {"chips": 4, "layout": "2x2", "nbytes": 768}
    with path.open("wb") as file:
        for frame, number, when in zip(stack, numbers, times, strict=True):
            file.write(header(number, shape, kind, depth, when=when, **options))
            if kind == "R64":
                file.write(raw_frame(frame, depth, quad))
            else:
                file.write(frame.astype({"U08": "u1", "U16": ">u2", "U32": ">u4"}[kind]).tobytes())
    return path


def write_hdr(path, **said):
    lines = ["HDR,\t", "Chip ID:\tW559_G11, - , - , - ", *(f"{key}:\t{value}" for key, value in said.items())]
    path.write_bytes("\r\n".join([*lines, "End\t"]).encode().ljust(2048))
    return path


SCANNED = {"ScanX": 4, "ScanY": 3}
PER_ROW = {"Frames in Acquisition (Number)": 12, "Frames per Trigger (Number)": 4}


class Merlin(FormatContract):
    module = merlin
    pixels = ("U16", 12, False, (7, 10))
    opened = "scan.mib"

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        kind, depth, quad, detector = self.pixels
        truth = counts(depth, detector)
        write_mib(folder / "scan.mib", truth, kind, depth, quad)
        write_hdr(folder / "scan.hdr", **SCANNED)
        return Sample(folder / self.opened, truth)


class TestU16(Merlin):
    pass


class TestThroughItsHdr(Merlin):
    opened = "scan.hdr"


class TestU32(Merlin):
    pixels = ("U32", 24, False, (6, 5))


class TestQuadInOrder(Merlin):
    pixels = ("U08", 6, True, (8, 8))


class TestRaw1(Merlin):
    pixels = ("R64", 1, False, (5, 64))


class TestRaw6(Merlin):
    pixels = ("R64", 6, False, (5, 16))


class TestRaw12(Merlin):
    pixels = ("R64", 12, False, (5, 12))


class TestRaw24(Merlin):
    pixels = ("R64", 24, False, (5, 12))


class TestRawQuad1(Merlin):
    pixels = ("R64", 1, True, (6, 128))


class TestRawQuad6(Merlin):
    pixels = ("R64", 6, True, (8, 16))


class TestRawQuad12(Merlin):
    pixels = ("R64", 12, True, (8, 16))


class TestByPauses(Merlin):
    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        truth = counts(6, (7, 10))
        return Sample(write_mib(folder / "scan.mib", truth, "U08", 6, times=PAUSED), truth)


class TestSeries(Merlin):
    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        truth = counts(12, (7, 10))
        stack = truth.reshape(12, 7, 10)
        for number, (begin, end) in enumerate(((0, 5), (5, 10), (10, 12)), 9):
            write_mib(folder / f"scan_{number:03d}.mib", stack[begin:end], first=begin + 1)
        write_hdr(folder / "scan.hdr", **SCANNED)
        return Sample(folder / "scan_010.mib", truth)

    def test_any_part_and_the_hdr_open_the_whole(self, sample):
        for name in ("scan_009.mib", "scan_011.mib", "scan.hdr"):
            np.testing.assert_array_equal(sample.read(sample.path.with_name(name)).load().data, sample.truth)

    def test_another_acquisition_in_the_same_folder_is_not_joined(self, sample):
        other = counts(12, (7, 10), (2, 3), seed=5)
        path = write_mib(sample.path.with_name("scan_012.mib"), other)
        np.testing.assert_array_equal(sample.read().load().data, sample.truth)
        np.testing.assert_array_equal(read(path, scan_shape=(2, 3)).load().data, other)


def test_what_is_said_of_the_measurement(tmp_path):
    write_hdr(tmp_path / "scan.hdr", **SCANNED)
    said = dict(read(write_mib(tmp_path / "scan.mib", counts(12, (7, 10)))).metadata)
    assert said["detector"] == "Merlin, 1 chip (1x1), U16, 12 bits" and said["dwell_time"] == "0.001 s"
    assert said["threshold"] == "40 keV" and said["chip"].startswith("W559_G11")
    assert said["frame_numbers"] == "1 to 12, none is missing" and "flip='rows'" in said["detector_rows"]


def test_rows_are_turned_only_when_asked_for(tmp_path):
    write_hdr(tmp_path / "scan.hdr", **SCANNED)
    truth = counts(12, (7, 10))
    path = write_mib(tmp_path / "scan.mib", truth)
    np.testing.assert_array_equal(read(path, flip="rows").load().data, truth[:, :, ::-1])


def test_frames_per_trigger_is_a_row(tmp_path):
    truth = counts(12, (7, 10))
    path = write_mib(tmp_path / "scan.mib", truth)
    write_hdr(tmp_path / "scan.hdr", **PER_ROW)
    np.testing.assert_array_equal(read(path).load().data, truth)
    for per_trigger in (1, 12, 5, 0, "many"):  # a trigger for each, one for all, and what cannot be
        write_hdr(tmp_path / "scan.hdr", **{**PER_ROW, "Frames per Trigger (Number)": per_trigger})
        with pytest.raises(DataError, match=r"does not say how they were scanned.*scan_shape=\(3, 4\)"):
            read(path)


def test_scan_x_and_y_win_over_the_trigger_and_a_scan_shape_over_all(tmp_path):
    truth = counts(12, (7, 10))
    path = write_mib(tmp_path / "scan.mib", truth, times=PAUSED)
    write_hdr(tmp_path / "scan.hdr", **{**PER_ROW, "ScanX": 6, "ScanY": 2})
    assert read(path).scan_shape == (2, 6)
    assert read(path, scan_shape=(4, 3)).scan_shape == (4, 3)


def test_a_trigger_and_pauses_that_disagree_are_told(tmp_path):
    path = write_mib(tmp_path / "scan.mib", counts(12, (7, 10)), times=PAUSED)
    write_hdr(tmp_path / "scan.hdr", **{**PER_ROW, "Frames per Trigger (Number)": 6})
    with pytest.warns(DataWarning, match=r"6 frames per trigger.*pauses between its frames a row has 4"):
        assert read(path).scan_shape == (2, 6)


@pytest.mark.parametrize(
    "times",
    [
        [number * 1_000_000 for number in range(12)],  # none
        [number * 1_000_000 + (number > 5) * 9_000_000 for number in range(12)],  # one
        [number * 1_000_000 + ((number > 3) + (number > 6)) * 9_000_000 for number in range(12)],  # not regular
        [number * 1_000_000 + ((number > 3) + 30 * (number > 7)) * 9_000_000 for number in range(12)],  # a long one
        [0] * 12,
        list(range(12, 0, -1)),
        [number * 1_000_000 + number // 2 * 7_000_000 + (number > 4) * 7_000_000 for number in range(12)],
    ],
)
def test_pauses_that_are_not_those_of_a_scan_are_not_taken(tmp_path, times):
    with pytest.raises(DataError, match="does not say how they were scanned"):
        read(write_mib(tmp_path / "scan.mib", counts(12, (7, 10)), times=times))


@pytest.mark.parametrize("old", [False, True])
def test_pauses_are_found_over_midnight_with_jitter_and_in_old_headers(tmp_path, old):
    chance = np.random.default_rng(3)
    begin = 24 * 3600 * 10**9 - 15_000_000
    times = [begin + stamp + int(chance.integers(0, 20_000)) for stamp in PAUSED]
    truth = counts(6, (7, 10))
    path = write_mib(tmp_path / "scan.mib", truth, "U08", 6, times=times, old=old)
    assert b" 23:59:59" in path.read_bytes() and b" 00:00:00" in path.read_bytes()
    np.testing.assert_array_equal(read(path).load().data, truth)


def test_a_scan_that_was_ended_early_keeps_its_whole_rows(tmp_path):
    truth = counts(12, (7, 10))
    path = write_mib(tmp_path / "scan.mib", truth.reshape(12, 7, 10)[:10])
    write_hdr(tmp_path / "scan.hdr", **SCANNED)
    with pytest.warns(DataWarning, match=r"10 patterns where ScanX and ScanY in scan\.hdr says 3 x 4"):
        np.testing.assert_array_equal(read(path).load().data, truth[:2])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(DataWarning) as told:
        np.testing.assert_array_equal(read(path).load().data, truth[:2])
    assert "last frame of scan.mib is cut off: 494 of 524 bytes" in str(told[0].message)


def test_lost_frames_are_told(tmp_path):
    numbers = [1, 2, 3, 4, 6, 7, 8, 9, 12, 13, 14, 15]
    path = write_mib(tmp_path / "scan.mib", counts(12, (7, 10)), numbers=numbers)
    with pytest.warns(DataWarning, match=r"3 frames are missing \(1 before pattern 4, 2 before pattern 8\)"):
        said = read(path, scan_shape=(3, 4)).metadata["frame_numbers"]
    assert said.startswith("3 frames are missing")
    write_mib(path, counts(12, (7, 10)), numbers=[1] * 12)
    assert "do not tell" in read(path, scan_shape=(3, 4)).metadata["frame_numbers"]
    write_mib(path, counts(12, (7, 10)), numbers=[n % 10**6 for n in range(999_995, 1_000_007)])
    assert "none is missing" in read(path, scan_shape=(3, 4)).metadata["frame_numbers"]


def changed(path, **options):
    """The second frame, whole and of another kind."""
    whole = path.read_bytes()
    size = len(whole) // 12
    path.write_bytes(whole[:size] + header(2, (7, 10), "U16", 12, **options) + whole[size + 384 :])


def test_what_cannot_be_read_is_told(tmp_path):
    path = write_mib(tmp_path / "scan.mib", counts(12, (7, 10)))
    changed(path, counter=1)
    with pytest.raises(FileFormatError, match="counters 0 and 1 in turn"):
        read(path, scan_shape=SCAN)
    changed(path, layout="2x2")
    with pytest.raises(FileFormatError, match=r"frame 1 of scan\.mib is not like the first"):
        read(path, scan_shape=SCAN)
    for options, words in (
        ({"chips": 4, "layout": "4x1", "nbytes": 768}, "4 chips in the layout 4x1 with 12 bits, whose order is not"),
        ({"old": True}, "how many bits"),
    ):
        write_mib(path, counts(12, (5, 12)), "R64", **options)
        with pytest.raises(FileFormatError, match=words):
            read(path, scan_shape=SCAN)
    write_hdr(tmp_path / "scan.hdr", **{"Counter Depth (number)": 12}, **SCANNED)  # of the last one
    np.testing.assert_array_equal(read(path).load().data, counts(12, (5, 12)))
    path.write_bytes(header(1, (5, 12), "R64", 3).ljust(1000, b"\0"))
    with pytest.raises(FileFormatError, match=r"raw with 3 bits a pixel; expected 1, 6, 12 or 24"):
        read(path)
    path.write_bytes(header(1, (512, 512), "R64", 12, chips=4, layout="2x2", nbytes=768).ljust(10**6, b"\0"))
    with pytest.raises(FileFormatError, match="four chips side by side"):
        read(path)
    path.write_bytes(header(1, (7, 10), "U16", 12) + bytes(20))
    with pytest.raises(FileFormatError, match="404 bytes; expected 524 or more"):
        read(path)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"no scan\.mib beside it"):
        read(tmp_path / "scan.hdr")
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(FileFormatError, match="does not begin with 'MQ1,'"):
        read(tmp_path / "a.npy", format="merlin")
    with pytest.raises(FileFormatError, match="leave out dataset='x'"):
        read(write_mib(path, counts(12, (7, 10))), "x")


def test_a_single_frame_is_a_vacuum_pattern(tmp_path):
    frame = counts(12, (7, 10), (1, 1))
    path = write_mib(tmp_path / "vacuum.mib", frame)
    np.testing.assert_array_equal(read_pattern(path), frame[0, 0])


def test_the_hdr_of_a_neighbour_is_not_taken(tmp_path):
    write_mib(tmp_path / "scan.mib", counts(12, (7, 10)))
    write_hdr(tmp_path / "scan.hdr", **SCANNED)
    other = write_mib(tmp_path / "scan2.mib", counts(12, (7, 10)))
    with pytest.raises(DataError, match="does not say how they were scanned"):
        read(other)
    (tmp_path / "scan2.hdr").write_text("ENVI, another .hdr")
    with pytest.raises(DataError, match="does not say how they were scanned"):
        read(other)


def test_a_million_frames_open_at_once(tmp_path):
    """Of 2**20 frames some hundred headers are read."""
    path, frames, row = tmp_path / "large.mib", 2**20, 1024
    size = 384 + 64 * 64
    empty = {0, 1, frames - 1}
    with path.open("wb") as file:
        file.truncate(frames * size)
        looked_at = []

        class Frames(dict):
            def __missing__(self, number):
                looked_at.append(number)
                file.seek(number * size)
                when = number * 500_000 + number // row * 3_000_000
                file.write(header((number + 1) % 10**6, (64, 64), "U08", 6, when=when))
                file.flush()

        made = Frames()
        read_header = merlin._header

        def written_when_read(part, at):
            made[at]
            return read_header(part, at)

        for number in empty:
            made[number]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merlin, "_header", written_when_read)
            began = time.perf_counter()
            dataset = read(path)
            took = time.perf_counter() - began
    assert dataset.scan_shape == (1024, 1024) and dataset.pattern(0, 0).shape == (64, 64)
    assert len(looked_at) < 1000 and took < 2, (len(looked_at), took)


# -------------------------------------------------- files of others


@pytest.mark.parametrize(
    ("name", "key"),
    [("u16.mib", "u16"), ("u16.hdr", "u16"), ("u08_nohdr.mib", "u8"), ("raw12.mib", "u16"), ("raw12.hdr", "u16")],
)
def test_made_files(shared, name, key):
    folder = shared / "data" / "formats" / "made"
    dataset = read(folder / "merlin" / name)
    np.testing.assert_array_equal(dataset.load().data, np.load(folder / "truth.npz")[key])
    assert dataset.calibration == Calibration()


def unpacked(shared, tmp_path):
    for archive in sorted((shared / "data" / "formats" / "merlin").glob("*.zip")):
        with zipfile.ZipFile(archive) as files:
            files.extractall(tmp_path / archive.stem)
    return sorted(tmp_path.rglob("*.mib"))


def test_measured_files(shared, tmp_path):
    shapes = {"001": (256, 256), "002_4x2": (128, 256), "002_merlin": (128, 256), "003": (64, 256)}
    files = unpacked(shared, tmp_path)
    assert len(files) == 4
    for path in files:
        expected = next(shape for begin, shape in shapes.items() if path.name.startswith(begin))
        if "merlin" in path.name:
            dataset = read(path.with_suffix(".hdr"))
            assert (dataset.pattern(0, 0)[39, 52] > 0) and dataset.dtype == np.uint16  # the hot pixel of its name
        else:
            with pytest.raises(DataError, match=r"stack of 8 patterns.*does not say how they were scanned"):
                read(path)
            dataset = read(path, scan_shape=(2, 4))
        assert dataset.shape == (2, 4, *expected)
        assert dataset.metadata["frame_numbers"] == "1 to 8, none is missing"


def test_another_reader_finds_the_same(shared, tmp_path):
    reader = pytest.importorskip("rsciio.quantumdetector")
    for path in unpacked(shared, tmp_path):
        data = np.asarray(reader.file_reader(str(path), navigation_shape=(4, 2))[0]["data"])
        np.testing.assert_array_equal(read(path, scan_shape=(2, 4), flip="rows").load().data, data)


def test_frames_that_were_never_written_are_told_and_read_as_zeros(tmp_path):
    path, values = tmp_path / "a.mib", counts(12, (8, 6))
    write_mib(path, values)
    whole = path.read_bytes()
    length = len(whole) // 12
    path.write_bytes(whole[:length] + bytes(len(whole) - length))
    with pytest.warns(DataWarning, match="has room for 12 frames, of which that of number 1 was never written"):
        dataset = read(path, scan_shape=SCAN)
    np.testing.assert_array_equal(dataset.pattern(0, 0), values.reshape(12, 8, 6)[0])
    assert not dataset.pattern(2, 3).any()
    write_hdr(path.with_suffix(".hdr"), ScanX=4, ScanY=3)
    with pytest.warns(DataWarning, match="never written"):
        assert read(path).scan_shape == (3, 4)
