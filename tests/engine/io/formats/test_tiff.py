"""TIFF with one pattern a page: all pages or none."""

from __future__ import annotations

import json
import struct
import sys

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.arrays.stacks import Records, Scattered
from ptywidgets.engine.io.formats.containers import tiff
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(4).poisson(4, (3, 4, 6, 5)).astype(np.uint16)
FRAMES = TRUTH.reshape(12, 6, 5)


def written(path, pages, order="<", big=False, text="", gaps=(0,), strips=1, directories=None, **tags):
    """Pages one after the other and their directories at the end, as plainly as the format allows."""
    word, code = ("Q", 16) if big else ("I", 4)
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42))
    out += struct.pack(f"{order}HHQ", 8, 0, 0) if big else struct.pack(f"{order}I", 0)
    first = len(out) - (8 if big else 4)
    description = len(out)
    out += text.encode() + b"\0"
    places = []
    for number, page in enumerate(pages):
        out += bytes(gaps[number % len(gaps)])
        places.append(len(out))
        out += page.astype(page.dtype.newbyteorder(order)).tobytes()
    kinds = {"u": 1, "i": 2, "f": 3}
    for number, (page, place) in enumerate(zip(pages[:directories], places[:directories], strict=True)):
        rows, width = page.shape[:2]
        each = page.nbytes // strips
        entries = {
            256: (4, [width]), 257: (4, [rows]), 258: (3, [8 * page.dtype.itemsize]), 259: (3, [1]), 262: (3, [1]),
            273: (code, [place + each * n for n in range(strips)]), 277: (3, [1]), 278: (4, [rows // strips]),
            279: (code, [each] * strips), 339: (3, [kinds[page.dtype.kind]]),
        }  # fmt: skip
        entries.update({int(tag.removeprefix("tag")): (3, values) for tag, values in tags.items()})
        if text and number == 0:
            entries[270] = (2, description)
        packed = b""
        for tag, (kind, values) in sorted(entries.items()):
            letter = {2: "B", 3: "H", 4: "I", 16: "Q"}[kind]
            count = len(text) + 1 if tag == 270 else len(values)
            content = b"" if tag == 270 else struct.pack(f"{order}{count}{letter}", *values)
            size = struct.calcsize(word)
            if tag == 270 or len(content) > size:
                at = description if tag == 270 else len(out)
                out += content
                content = struct.pack(f"{order}{word}", at)
            packed += struct.pack(f"{order}HH{word}", tag, kind, count) + content.ljust(size, b"\0")
        out[first : first + struct.calcsize(word)] = struct.pack(f"{order}{word}", len(out))
        out += struct.pack(f"{order}{'Q' if big else 'H'}", len(entries)) + packed
        first = len(out)
        out += struct.pack(f"{order}{word}", 0)
    path.write_bytes(out)
    return path


IMAGEJ = "ImageJ=1.11a\nimages=12\nslices=4\nframes=3\nhyperstack=true\n"
SHAPED = json.dumps({"shape": [3, 4, 6, 5]})


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
class TestPages(FormatContract):
    module = tiff

    @pytest.fixture
    def sample(self, tmp_path, order, big):
        folder = tmp_path / "sample"
        folder.mkdir()
        path = written(folder / "a.tif", FRAMES, order, big, text=SHAPED if big else IMAGEJ, strips=2)
        assert isinstance(read(path).data.stack, Records)
        return Sample(path, TRUTH)


class TestPagesHereAndThere(FormatContract):
    module = tiff

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        path = written(folder / "a.tif", FRAMES, gaps=(3, 8, 5))
        assert isinstance(read(path, scan_shape=(3, 4)).data.stack, Scattered)
        return Sample(path, TRUTH, arguments={"scan_shape": (3, 4)})


class TestPacked(FormatContract):
    module = tiff

    @pytest.fixture
    def sample(self, tmp_path):
        tifffile = pytest.importorskip("tifffile", reason="no tifffile here")
        folder = tmp_path / "sample"
        folder.mkdir()
        tifffile.imwrite(folder / "a.tif", TRUTH, compression="zlib", photometric="minisblack")
        return Sample(folder / "a.tif", TRUTH)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_types_of_numbers(tmp_path, kind):
    for order in "<>":
        dataset = read(written(tmp_path / "a.tif", FRAMES.astype(kind), order), scan_shape=(3, 4))
        assert dataset.dtype == kind
        np.testing.assert_array_equal(dataset.load().data, TRUTH)


def test_tiles_by_tifffile(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="no tifffile here")
    frames = np.random.default_rng(1).integers(0, 99, (2, 3, 40, 24)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", frames, tile=(16, 16), photometric="minisblack", bigtiff=True)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").load().data, frames)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("text", ["", IMAGEJ, SHAPED])
def test_a_cut_file_is_refused_and_not_a_shorter_one(tmp_path, share, text):
    whole = written(tmp_path / "a.tif", FRAMES, text=text).read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileFormatError, match="cut off"):
        read(tmp_path / "b.tif", scan_shape=(3, 4))


def test_a_cut_compressed_file_is_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="no tifffile here")
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, compression="zlib", photometric="minisblack")
    whole = (tmp_path / "a.tif").read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        (tmp_path / "b.tif").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FileFormatError, match="cut off or damaged"):
            read(tmp_path / "b.tif", scan_shape=(3, 4))


def test_one_directory_for_many_pages(tmp_path):
    dataset = read(written(tmp_path / "a.tif", FRAMES, text=IMAGEJ, directories=1))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    with pytest.raises(FileFormatError, match=r"says that it has 12 pages \(ImageJ's descr.*\) and has 1; it is cut"):
        read(written(tmp_path / "b.tif", FRAMES[:5], text=IMAGEJ, directories=1))
    with pytest.raises(FileFormatError, match=r"says that it has 12 pages .* and has 11"):
        read(written(tmp_path / "c.tif", FRAMES, text=IMAGEJ, directories=11))


def test_what_is_no_pattern_is_refused(tmp_path):
    for tags, words in (
        ({"tag277": [3], "tag262": [2]}, r"page 0 of a\.tif is a colour image \(3 values a pixel"),
        ({"tag262": [3]}, "colour image"),
        ({"tag258": [12]}, "pixels of 12 bits"),
        ({"tag339": [6]}, "sample format 6"),
    ):
        with pytest.raises(FileFormatError, match=words):
            read(written(tmp_path / "a.tif", FRAMES, **tags), scan_shape=(3, 4))
    with pytest.raises(FileFormatError, match=r"6 x 5 uint16 and of 5 x 5 uint16 \(page 2\)"):
        read(written(tmp_path / "b.tif", [*FRAMES[:2], FRAMES[2][:5]]), scan_shape=(3, 1))
    with pytest.raises(FileFormatError, match="no names"):
        read(tmp_path / "b.tif", dataset="x")


def test_a_single_page_is_a_pattern(tmp_path):
    path = written(tmp_path / "a.tif", FRAMES[:1].astype(np.float32) + 1, ">")
    np.testing.assert_array_equal(read_pattern(path), FRAMES[0] + 1)
    with pytest.raises(FileFormatError, match=r"single image, 6 x 5.*vacuum="):
        read(path)
    with pytest.raises(FileFormatError, match="12 pages; expected one pattern"):
        read_pattern(written(tmp_path / "b.tif", FRAMES))
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(tmp_path / "b.tif")


def test_a_circle_of_pages_ends(tmp_path):
    path = written(tmp_path / "a.tif", FRAMES)
    data = bytearray(path.read_bytes())
    data[-4:] = data[4:8]
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="runs in a circle"):
        read(path)


def test_without_tifffile_only_what_is_packed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    path = written(tmp_path / "a.tif", FRAMES)
    assert read(path, scan_shape=(3, 4)).shape == TRUTH.shape
    packed = written(tmp_path / "b.tif", FRAMES, tag259=[8])
    with pytest.raises(FileFormatError, match=r"is compressed \(method 8\), .*pip install \"ptywidgets\[formats\]\""):
        read(packed, scan_shape=(3, 4))


def test_shared_files(shared):
    folder = shared / "data" / "formats" / "made"
    truth = np.load(folder / "truth.npz")["u16"]
    for name in ("imagej", "shaped_bigtiff"):
        np.testing.assert_array_equal(read(folder / "tiff" / f"{name}.tif").load().data, truth)
    np.testing.assert_array_equal(read(folder / "tiff" / "stack.tif", scan_shape=(3, 4)).load().data, truth)
    maps = sorted((shared / "data" / "fesi-dpc").glob("*.tif"))
    for path in maps:
        with pytest.raises(FileFormatError, match=r"single image|colour image"):
            read(path)


def test_shared_file_that_is_packed(shared):
    pytest.importorskip("tifffile", reason="no tifffile here")
    folder = shared / "data" / "formats" / "made"
    truth = np.load(folder / "truth.npz")["u16"]
    np.testing.assert_array_equal(read(folder / "tiff" / "stack_deflate.tif", scan_shape=(3, 4)).load().data, truth)


GREY = {"photometric": "minisblack"}  # else tifffile takes three rows of a scan for colours


def pages_with(path, tifffile, parts, **options):
    with tifffile.TiffWriter(path) as file:
        for part in parts:
            file.write(part, **options)


@pytest.mark.parametrize("options", [GREY, {"imagej": True}, {"compression": "zlib", **GREY}])
def test_five_axes_are_a_series(tmp_path, options):
    tifffile = pytest.importorskip("tifffile")
    series = np.stack([TRUTH, TRUTH + 1])
    tifffile.imwrite(tmp_path / "a.tif", series, **options)
    with pytest.raises(DataError, match="series of 2 scans, 2 x 3 x 4 x 6 x 5"):
        read(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", choose=1).load().data, TRUTH + 1)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", choose=0, scan_shape=(3, 4)).load().data, TRUTH)
    summed = read(tmp_path / "a.tif", choose="sum").load().data
    np.testing.assert_array_equal(summed, 2 * TRUTH + 1)
    one = read(tmp_path / "a.tif", scan_shape=(6, 4)).load().data  # all of them as one scan
    np.testing.assert_array_equal(one, series.reshape(6, 4, 6, 5))


def test_pages_written_one_by_one_are_a_stack(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pages_with(tmp_path / "a.tif", tifffile, FRAMES)
    for frame in FRAMES:
        tifffile.imwrite(tmp_path / "b.tif", frame, append=True)
    pages_with(tmp_path / "c.tif", tifffile, FRAMES, compression="zlib")
    for name in ("a.tif", "b.tif", "c.tif"):
        with pytest.raises(DataError, match="stack of 12 patterns"):
            read(tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / name, scan_shape=(3, 4)).load().data, TRUTH)


def test_what_rosettasciio_writes(tmp_path):
    writer = pytest.importorskip("rsciio.tiff")
    names = ("y", "x", "ky", "kx")
    axes = [
        {"size": n, "index_in_array": i, "name": name, "scale": 1.0, "offset": 0.0, "units": "nm", "navigate": i < 2}
        for i, (n, name) in enumerate(zip(TRUTH.shape, names, strict=True))
    ]
    signal = {"data": TRUTH, "axes": axes, "metadata": {"General": {"title": "a"}}, "original_metadata": {}}
    writer.file_writer(tmp_path / "a.tif", signal)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", scan_shape=(3, 4)).load().data, TRUTH)


def test_scans_written_one_by_one_are_a_series_and_others_a_stack(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pages_with(tmp_path / "a.tif", tifffile, [TRUTH, TRUTH + 1], **GREY)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", choose=1).load().data, TRUTH + 1)
    pages_with(tmp_path / "b.tif", tifffile, [TRUTH, *FRAMES[:4]], **GREY)
    with pytest.raises(DataError, match="stack of 16 patterns"):
        read(tmp_path / "b.tif")
    found = read(tmp_path / "b.tif", scan_shape=(4, 4)).load().data
    np.testing.assert_array_equal(found, np.concatenate([TRUTH, TRUTH[:1]]))
