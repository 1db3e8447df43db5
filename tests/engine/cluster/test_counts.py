"""A shard's counts are read from the file that the client has, or from none."""

import os

import numpy as np
import pytest

from ptywidgets import read, samples, write
from ptywidgets.engine import prepare
from ptywidgets.engine.cluster import counts as module
from ptywidgets.engine.cluster.counts import Elsewhere, Stored, checksum, read_shard
from ptywidgets.engine.core.errors import DataError, InsufficientMemory
from ptywidgets.engine.data.dataset_checks import check_memory
from ptywidgets.engine.data.streamed_counts import StreamedCounts

PLACES = np.array([3, 4, 17, 60, 143])


@pytest.fixture(params=["h5", "npy", "raw"])
def path(request, tmp_path):
    dataset = samples.ducky("tiny")
    if request.param == "h5":
        write(tmp_path / "duck.h5", dataset)
    elif request.param == "npy":
        np.save(tmp_path / "duck.npy", np.asarray(dataset.data))
    else:
        np.asarray(dataset.data).tofile(tmp_path / "duck.raw")
    return tmp_path / f"duck.{request.param}"


def opened(path):
    known = {"energy": 80e3, "semiangle": 20.0, "scan_step": 1.5, "q_pixel": 0.05}
    more = {"scan_shape": (12, 12), "dtype": "uint16", "detector_shape": (64, 64)} if path.suffix == ".raw" else {}
    return read(path, **known, **more)


@pytest.fixture
def stored(path):
    dataset = opened(path)
    measurement = prepare(dataset, rotation=-15.0)
    found = Stored.of(dataset, measurement, measurement.patterns.counts)
    assert found is not None
    return found, measurement.patterns.counts


def expected_of(stored, counts, places):
    return checksum(counts, places[stored.compared(len(places))])


def test_a_worker_reads_what_the_client_has(stored):
    found, counts = stored
    read = read_shard(found, PLACES, expected_of(found, counts, PLACES))
    assert read.dtype == counts.dtype
    np.testing.assert_array_equal(read, counts[PLACES])


def test_blocks_of_a_few_rows_are_the_same(stored, monkeypatch):
    found, counts = stored
    monkeypatch.setattr("ptywidgets.engine.cluster.counts.BLOCK", 1)
    np.testing.assert_array_equal(found.read(PLACES), counts[PLACES])


def test_what_is_larger_than_a_worker_s_memory_is_read_as_it_works(stored, path, monkeypatch):
    found, counts = stored
    expected = expected_of(found, counts, PLACES)
    monkeypatch.setattr(module, "fits_in_memory", lambda _: False)
    read = read_shard(found, PLACES, expected)
    if path.suffix == ".h5":  # in chunks: each is read whole
        assert isinstance(read, np.ndarray)
        monkeypatch.setattr("ptywidgets.engine.core.memory.available_memory", lambda: 1000.0)
        monkeypatch.setattr(module, "check_memory", lambda nbytes, *words: check_memory(nbytes + 1e7, *words))
        with pytest.raises(InsufficientMemory, match=r"a worker's part of the counts needs .*; have more workers"):
            read_shard(found, PLACES, expected)
    else:
        assert isinstance(read, StreamedCounts)
    np.testing.assert_array_equal(read[:], counts[PLACES])


def test_a_file_that_is_not_there_is_told(stored, path):
    found, counts = stored
    expected = expected_of(found, counts, PLACES)
    path.unlink()
    assert read_shard(found, PLACES, expected) == Elsewhere(str(path))


def test_a_file_of_another_size_is_refused(stored, path):
    found, counts = stored
    expected = expected_of(found, counts, PLACES)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"is another file on a worker: it has \d+ bytes, and not \d+"):
        read_shard(found, PLACES, expected)


def test_other_patterns_in_a_file_of_the_same_size_are_refused(stored, path):
    found, counts = stored
    expected = expected_of(found, counts, PLACES)
    content = bytearray(path.read_bytes())
    raw = counts[PLACES[2]].tobytes()
    at = content.find(raw)
    if at < 0:
        pytest.fail("the counts lie in the file as they are")
    content[at + 100] ^= 1
    before = os.stat(path)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match="is another file on a worker: it holds other patterns"):
        read_shard(found, PLACES, expected)


def test_data_in_memory_are_not_read(path):
    dataset = opened(path).load()
    measurement = prepare(dataset, rotation=-15.0)
    assert Stored.of(dataset, measurement, measurement.patterns.counts) is None
    assert Stored.of(None, measurement, measurement.patterns.counts) is None


def test_counts_that_are_not_those_of_the_file_are_not_read(path):
    dataset = opened(path)
    measurement = prepare(dataset, rotation=-15.0)
    assert Stored.of(dataset, measurement, np.asarray(measurement.patterns.counts) + np.uint16(1)) is None
    assert Stored.of(dataset.crop(scan=(0, 6, 0, 12)), measurement, measurement.patterns.counts) is None


def test_positions_that_are_left_out_are_not_read(path):
    mask = np.ones((12, 12), bool)
    mask[2, 3:7] = False
    dataset = opened(path).with_scan_mask(mask)
    measurement = prepare(dataset, rotation=-15.0)
    counts = measurement.patterns.counts
    found = Stored.of(dataset, measurement, counts)
    own = np.array([20, 40, 41, 100])
    np.testing.assert_array_equal(found.read(measurement.scan_indices[own]), counts[own])
