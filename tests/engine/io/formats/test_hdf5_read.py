"""HDF5 is read through a file object that sees damage which the library would never come back from."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from ptywidgets import Calibration, Dataset, read, write
from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io import contents
from ptywidgets.engine.io.formats.hdf5.guarded import HEAP, LOCAL_HEAP, _Watched, broken_heap, watched_hdf5
from ptywidgets.engine.io.formats.hdf5.tree import attribute, open_hdf5

COUNTS = np.random.default_rng(0).poisson(4.0, (3, 4, 8, 8)).astype(np.uint16)


def stand_still(path, text):
    """Make the heap's entry that holds `text` one of number and length 0."""
    data = bytearray(path.read_bytes())
    at = data.index(text, data.index(HEAP)) - 16
    data[at : at + 16] = bytes(16)
    path.write_bytes(data)


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file["data"] = COUNTS
        file["data"].attrs["first"] = "the first text"
        file["data"].attrs["second"] = "the second text"
        file["units"] = np.array(["A", "mrad"], h5py.string_dtype())
    return path


def test_a_heap_that_stands_still_is_an_error_and_no_endless_loop(texts):
    stand_still(texts, b"the second text")
    code = (
        "import sys; from pathlib import Path; from ptywidgets import read\n"
        "dataset = read(sys.argv[1])\n"
        "assert 'data@second' not in dataset.metadata, dataset.metadata\n"
        "print(dataset.mean_pattern().sum())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(texts)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(COUNTS.mean(axis=(0, 1)).sum())


def test_the_damaged_table_of_a_virtual_dataset_is_an_error_and_no_crash(tmp_path):
    path = tmp_path / "virtual.h5"
    layout = h5py.VirtualLayout((1, 3, 8, 8), np.uint16)
    layout[0] = h5py.VirtualSource(".", "real", shape=(3, 8, 8))
    for options in ({"libver": "earliest"}, {"libver": "latest"}, {"userblock_size": 512}):
        with h5py.File(path, "w", **options) as file:
            file["real"] = COUNTS[0, :3]
            file.create_virtual_dataset("data", layout)
        with watched_hdf5(path) as file:
            assert np.array_equal(file["data"][0], COUNTS[0, :3])
        data = bytearray(path.read_bytes())
        table = data.index(HEAP) + 32
        length = int.from_bytes(data[table - 8 : table], "little")
        pointer = (2472).to_bytes(8, "little")
        for at in range(table, table + length):
            for values in ([data[at] ^ 0xA8], [1], pointer[: table + length - at]):
                damaged = bytearray(data)
                damaged[at : at + len(values)] = values
                path.write_bytes(damaged)
                if damaged == data:
                    continue
                with watched_hdf5(path) as file, pytest.raises((OSError, RuntimeError, KeyError)):
                    file["data"]


def test_a_layout_that_leads_to_no_table_is_an_error(tmp_path):
    """However it is cut into pieces, and whether the table of another dataset has been read before."""
    path = tmp_path / "virtual.h5"
    layout = h5py.VirtualLayout((1, 3, 8, 8), np.uint16)
    layout[0] = h5py.VirtualSource(".", "real", shape=(3, 8, 8))
    with h5py.File(path, "w") as file:
        file["real"] = COUNTS[0, :3]
        file.create_virtual_dataset("a", layout)
        file.create_virtual_dataset("b", layout)
    data = bytearray(path.read_bytes())
    heap = data.index(HEAP).to_bytes(8, "little")
    at = data.index(b"\3" + heap + (2).to_bytes(4, "little")) + 9
    data[at] = 7  # there is no such entry
    path.write_bytes(data)
    with watched_hdf5(path) as file:
        assert np.array_equal(file["a"][0], COUNTS[0, :3])
        with pytest.raises((OSError, RuntimeError, KeyError)):
            file["b"]
    watched = _Watched(path)
    for step in (1, 5, 16):
        watched.seek(0)
        read = b"".join(watched.read(min(step, len(data) - n)) for n in range(0, len(data), step))
        assert read[at - 10 : at + 4] == b"\xff" * 14 and read[: at - 10] == data[: at - 10]


@pytest.mark.parametrize("options", [{}, {"userblock_size": 512}])
def test_a_list_of_free_places_that_goes_in_a_circle_is_an_error(tmp_path, options):
    path = tmp_path / "free.h5"
    with h5py.File(path, "w", **options) as file:
        for number in range(8):
            file.create_group(f"group {number}")
        for number in (2, 5):
            del file[f"group {number}"]
    with watched_hdf5(path) as file:
        assert len(file) == 6
    data = bytearray(path.read_bytes())
    at = data.index(LOCAL_HEAP)
    free, heap = (int.from_bytes(data[at + n : at + n + 8], "little") for n in (16, 24))
    heap += options.get("userblock_size", 0)
    second = int.from_bytes(data[heap + free : heap + free + 8], "little")
    data[heap + second : heap + second + 8] = free.to_bytes(8, "little")
    path.write_bytes(data)
    with watched_hdf5(path) as file, pytest.raises((OSError, RuntimeError), match="heap"):
        list(file)


def test_a_large_heap_is_looked_at_to_its_end(tmp_path):
    path = tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        file["long"] = ["a text " * 2000, "the last text"]  # the library reads 4096 bytes first, and then the rest
    with watched_hdf5(path) as file:
        assert list(file["long"].asstr()) == ["a text " * 2000, "the last text"]
    data = path.read_bytes()
    assert data.count(HEAP) == 1
    stand_still(path, b"the last text")
    with watched_hdf5(path) as file, pytest.raises(OSError, match="heap"):
        file["long"][0]


def test_a_sound_file_reads_as_by_the_library_itself(texts):
    with watched_hdf5(texts) as ours, h5py.File(texts, "r") as theirs:
        assert dict(ours["data"].attrs) == dict(theirs["data"].attrs)
        assert list(ours["units"].asstr()) == list(theirs["units"].asstr()) == ["A", "mrad"]
        assert np.array_equal(ours["data"][()], COUNTS)


@pytest.mark.parametrize("options", [{"libver": "latest"}, {"userblock_size": 1024}])
def test_other_kinds_of_file_read_as_well(tmp_path, options):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", **options) as file:
        file.create_dataset("data", data=COUNTS, chunks=(1, 1, 8, 8), compression="gzip").attrs["unit"] = "counts"
    assert read(path).metadata["data@unit"] == "counts"
    assert np.array_equal(read(path).load().data, COUNTS)


def test_lengths_of_four_bytes(tmp_path):
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plist.set_sizes(4, 4)
    path = tmp_path / "short.h5"
    with h5py.File(h5py.h5f.create(str(path).encode(), fcpl=plist)) as file:
        file["data"] = COUNTS
        file["data"].attrs["text"] = "a text of some length"
    assert read(path).metadata["data@text"] == "a text of some length"
    stand_still(path, b"a text of some length")
    with watched_hdf5(path) as file:
        assert attribute(file["data"], "text") is None


@pytest.mark.parametrize("step", [1, 3, 7, 64])
def test_a_heap_is_recognised_however_it_is_cut_into_pieces(tmp_path, step):
    sound = (
        HEAP + bytes([1, 0, 0, 0]) + (128).to_bytes(8, "little") + bytes(8) + (112).to_bytes(8, "little") + bytes(96)
    )
    broken = HEAP + bytes([1, 0, 0, 0]) + (128).to_bytes(8, "little") + bytes(112)
    data = bytes(37) + sound + bytes(11) + broken + bytes(5)
    (tmp_path / "a").write_bytes(data)
    file, read = _Watched(tmp_path / "a"), b""
    while len(read) < len(data):
        read += file.read(min(step, len(data) - len(read)))
    assert read == data.replace(broken, bytes(4) + broken[4:])


def test_pixels_that_look_like_a_heap_are_only_pixels(tmp_path):
    alike = np.frombuffer(HEAP + bytes([1, 0, 0, 0]) + (128).to_bytes(8, "little") + bytes(112), np.uint8)
    assert broken_heap(memoryview(alike.tobytes()))
    counts = np.ascontiguousarray(np.broadcast_to(alike.reshape(8, 16), (2, 2, 8, 16)))
    path = write(tmp_path / "a.h5", Dataset(counts, Calibration(energy=80e3)))
    assert np.array_equal(read(path).load().data, counts)


def test_the_file_is_let_go_of(texts):
    import os

    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("no GPU, nor a list of open files")
    before = len(os.listdir(folder))
    for _ in range(20):
        contents(texts)
    assert len(os.listdir(folder)) <= before
    texts.rename(texts.with_name("moved.h5"))


def test_a_file_cut_off_is_an_error(texts):
    data = texts.read_bytes()
    for cut in (9, 100, 700, len(data) - 100):
        texts.write_bytes(data[:cut])
        with pytest.raises(FileFormatError), open_hdf5(texts) as file:
            file["data"][()]
        with pytest.raises(FileFormatError):
            read(texts).load()


def test_a_shape_that_the_file_cannot_hold_is_not_believed(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10**6, 10**6, 8, 8), np.uint16, chunks=(1, 1, 8, 8))
    with pytest.raises(FileFormatError, match="times the size of the file; it seems damaged"):
        read(path)
