"""Arrays that lie in a file, and stacks whose patterns belong elsewhere: read as numpy would."""

from __future__ import annotations

import multiprocessing
import os
import pickle

import numpy as np
import pytest

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.arrays.placed import BLANK, Placed
from ptywidgets.engine.io.arrays.planes import Planes


@pytest.mark.parametrize("shape", [(3, 4, 6, 5), (2, 3, 70, 90), (5, 2, 1, 7)])
def test_planes_are_read_as_numpy_would(tmp_path, shape):
    rng = np.random.default_rng(3)
    array = rng.integers(0, 60_000, shape).astype(">u2")
    path = tmp_path / "a"
    path.write_bytes(b"head" + array.tobytes())
    planes = Planes(path, ">u2", shape, 4)
    np.testing.assert_array_equal(np.asarray(planes), array)
    for _ in range(200):
        key = []
        for n in shape:
            low, high = sorted(rng.integers(0, n + 1, 2))
            key.append([slice(low, high), int(rng.integers(0, n)), slice(None), slice(None, None, -1)][rng.integers(4)])
        np.testing.assert_array_equal(planes[tuple(key)], array[tuple(key)])
    np.testing.assert_array_equal(planes[[0, -1]], array[[0, -1]])


def test_old_order_is_read_plane_by_plane(tmp_path):
    shape = (8, 8, 96, 96)  # planes of 18 kB, of which one pattern takes 2 bytes each
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    path = tmp_path / "a"
    path.write_bytes(array.tobytes())
    planes = Planes(path, "<u2", shape)
    for key in (np.s_[:, :, 50, 60], np.s_[:, :, 7:9], np.s_[2:4, 3:5, 7:9, 5:6], np.s_[:, :, 10:60]):
        np.testing.assert_array_equal(planes[key], array[key])


def test_planes_that_were_there_and_are_not(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(2 * 3 * 4 * 5 * 6))
    planes = Planes(path, "<u2", (3, 4, 5, 6))
    os.truncate(path, 500)
    assert not planes[0].any()
    for key in (np.s_[:], np.s_[2, 3], np.s_[:, :, 4, 5]):
        with pytest.raises(FileFormatError, match="has become shorter"):
            planes[key]
    planes.close()
    path.unlink()
    with pytest.raises(FileFormatError, match="is it still where it was"):
        planes[0, 0]
    path.write_bytes(bytes(10))
    for shape, offset in (((3, 4, 5, 6), 0), ((1, 1, 1, 1), 9), ((0, 1, 1, 1), 0), ((1, 1, 1, 1), -1)):
        with pytest.raises(FileFormatError, match="cut off or damaged"):
            Planes(path, "<u2", shape, offset)


def _corner(planes, place):
    place.put(int(planes[2, 3, 4, 5]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_planes_in_a_forked_process_and_pickled(tmp_path, monkeypatch):
    array = np.arange(3 * 4 * 5 * 6, dtype=np.uint16).reshape(3, 4, 5, 6)
    (tmp_path / "a").write_bytes(array.tobytes())
    monkeypatch.chdir(tmp_path)
    planes = Planes("a", "<u2", array.shape)
    context = multiprocessing.get_context("fork")
    with planes.file._lock:
        place = context.Queue()
        child = context.Process(target=_corner, args=(planes, place))
        child.start()
        assert place.get(timeout=30) == array[2, 3, 4, 5]
        child.join()
    content = pickle.dumps(planes)
    monkeypatch.chdir(tmp_path.parent)
    np.testing.assert_array_equal(np.asarray(pickle.loads(content)), array)  # of our own making


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)])
def test_placed_patterns_are_those_that_numpy_would_pick(shape):
    rng = np.random.default_rng(2)
    stack = rng.integers(1, 99, (200, 4, 3)).astype(np.uint16)
    numbers = rng.permutation(200)[: np.prod(shape)].reshape(shape)
    numbers.reshape(-1)[10:30] = np.arange(20)
    numbers[rng.random(shape) < 0.3] = BLANK
    numbers.reshape(-1)[9:11] = BLANK, 0
    expected = np.where((numbers >= 0)[..., None, None], stack[numbers], 0)
    placed = Placed(stack, numbers)
    np.testing.assert_array_equal(np.asarray(placed), expected)
    assert placed.dtype == np.uint16 and len(placed) == shape[0]
    for _ in range(200):
        key = []
        for n in expected.shape:
            low, high = sorted(rng.integers(0, n + 1, 2))
            key.append([slice(low, high), int(rng.integers(0, n)), slice(None), slice(None, None, -1)][rng.integers(4)])
        np.testing.assert_array_equal(placed[tuple(key)], expected[tuple(key)])
    np.testing.assert_array_equal(placed[[0, -1]], expected[[0, -1]])
