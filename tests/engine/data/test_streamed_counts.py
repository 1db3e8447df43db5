"""Counts that stay on disk: what they give is what an array gives, in whatever order, ahead or not."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.data.streamed_counts import StreamedCounts

SCAN = np.random.default_rng(0).integers(0, 60000, (6, 7, 4, 5), dtype=np.uint16)
STACK = SCAN.reshape(-1, 4, 5)


class Watched:
    """An array that counts how often it is read, and waits before it where that is asked for."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.keys: list[Any] = []
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def __getitem__(self, key: Any) -> np.ndarray:
        assert self.open.wait(60)
        if self.error is not None:
            raise self.error
        self.keys.append(key)
        return self.data[key]


@pytest.mark.parametrize("order", [None, [5, 6, 7, 8, 30, 2], np.arange(41, -1, -2)])
def test_patterns_are_those_of_an_array(order: Any):
    counts = StreamedCounts(SCAN, order)
    stack = STACK if order is None else STACK[np.asarray(order)]
    assert counts.shape == stack.shape and counts.dtype == stack.dtype and counts.nbytes == stack.nbytes
    for key in (0, -1, slice(1, 5), slice(None, None, -2), [3, 0, 3], np.array([4, 2]), np.arange(len(stack)) % 2 == 0):
        np.testing.assert_array_equal(counts[key], stack[key])
    np.testing.assert_array_equal(counts.max_pattern(), stack.max(0))
    np.testing.assert_array_equal(np.stack(list(counts)), stack)


@pytest.mark.parametrize("piece", [1, 200, 1000, 10**9])
def test_what_is_read_ahead_is_what_was_asked_for(piece: int):
    counts, order = StreamedCounts(SCAN, piece=piece), np.random.default_rng(1).permutation(42)
    batches = [np.sort(part) for part in np.array_split(order, 5)]
    for _ in range(2):
        counts.read_ahead(batches)
        for batch in [*batches, batches[2], batches[0]]:  # back again, too
            for few in np.array_split(batch, 3):
                block, rows = counts.block(few)
                np.testing.assert_array_equal(block[rows], STACK[few])
        few = np.arange(0, 42, 9)  # of all batches: read as they are asked for
        block, rows = counts.block(few)
        np.testing.assert_array_equal(block[rows], STACK[few])


def test_threads_that_are_at_different_places_get_their_own_patterns():
    counts = StreamedCounts(SCAN, piece=3 * 40)
    counts.read_ahead([np.arange(42)])
    wrong: list[int] = []

    def work(own: np.ndarray) -> None:
        for index in [*own, *own]:
            block, rows = counts.block([index])
            if not np.array_equal(block[rows][0], STACK[index]):
                wrong.append(int(index))

    threads = [threading.Thread(target=work, args=(np.arange(first, 42, 3),)) for first in (0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def test_only_a_few_pieces_are_held_and_each_is_read_once_in_a_pass():
    data = Watched(SCAN)
    counts = StreamedCounts(data, piece=3 * 40)
    counts.read_ahead([np.arange(42)])
    for first in range(0, 42, 3):
        counts.block(np.arange(first, first + 3))
        assert len(counts._ahead.read) <= 4
    last = counts._ahead.read[13]  # of this pass: what wraps around is read for the next one
    assert getattr(last, "result", lambda: last)().shape == (3, 4, 5)
    assert counts.held_bytes == 4 * 3 * 40 < counts.nbytes
    read = sum(len(np.atleast_1d(np.arange(7)[key[1]])) for key in data.keys)
    assert 42 <= read <= 42 + 2 * 3


def test_the_next_piece_is_read_before_anybody_asks_for_it():
    data = Watched(SCAN)
    counts = StreamedCounts(data, piece=7 * 40)
    counts.read_ahead([np.arange(7), np.arange(7, 14), np.arange(14, 21), np.arange(21, 28)])
    counts.block(np.arange(7))
    for number in (1, 2):
        found = counts._ahead.read[number]
        np.testing.assert_array_equal(getattr(found, "result", lambda held=found: held)(), STACK[7 * number :][:7])


def test_an_error_of_the_file_reaches_whoever_asks_and_later_reads_go_on():
    data = Watched(SCAN)
    counts = StreamedCounts(data, piece=7 * 40)
    data.error = DataError("the file has become shorter")
    counts.read_ahead([np.arange(7), np.arange(7, 14)])
    with pytest.raises(DataError, match="shorter"):
        counts.block(np.arange(7))
    data.error = None
    counts.read_ahead([np.arange(7), np.arange(7, 14)])
    block, rows = counts.block(np.arange(7))
    np.testing.assert_array_equal(block[rows], STACK[:7])


def test_what_is_announced_meanwhile_by_another_run_changes_nothing():
    counts, stop, wrong = StreamedCounts(SCAN, piece=5 * 40), threading.Event(), []
    generator = np.random.default_rng(3)

    def announce() -> None:
        while not stop.is_set():
            counts.read_ahead(np.array_split(generator.permutation(42), 4))

    other = threading.Thread(target=announce)
    other.start()
    for turn in range(300):
        few = np.arange(turn % 30, turn % 30 + 6)
        block, rows = counts.block(few)
        if not np.array_equal(block[rows], STACK[few]):
            wrong.append(turn)
    stop.set()
    other.join(60)
    assert not wrong and not other.is_alive()


def test_a_file_that_is_written_to_meanwhile_is_told(tmp_path):
    path = tmp_path / "scan.npy"
    np.save(path, SCAN)
    counts = StreamedCounts(np.load(path, mmap_mode="r"))
    counts.read_ahead([np.arange(42)])
    with path.open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"xy")
    os.utime(path, ns=(1, 1))  # however coarse its clock is
    with pytest.raises(DataError, match=r"scan\.npy has been written to since .*follow=True"):
        counts.read_ahead([np.arange(42)])
    path.unlink()  # what is open stays what it was
    counts.read_ahead([np.arange(42)])


def test_order_and_pixels_are_checked():
    for order in ([], [42], [-1], [[1]]):
        with pytest.raises(DataError, match="from 0 to 41"):
            StreamedCounts(SCAN, order)
    with pytest.raises(DataError, match="by pattern alone"):
        StreamedCounts(SCAN)[np.zeros((2, 2), int)]


def test_a_copy_in_another_process_reads_for_itself():
    counts = StreamedCounts(SCAN, [4, 2])
    counts.read_ahead([np.array([0, 1])])
    again = pickle.loads(pickle.dumps(counts))  # of our own making
    np.testing.assert_array_equal(again[:], STACK[[4, 2]])


@pytest.mark.parametrize("masked", [False, True])
def test_amplitudes_are_those_of_counts_in_memory(masked: bool):
    rng = np.random.default_rng(2)
    origin = rng.integers(-3, 9, (42, 2))
    mask = rng.random((4, 5)) > 0.2 if masked else None
    plain = Patterns(STACK, origin, mask=mask)
    streamed = Patterns(StreamedCounts(SCAN, piece=5 * 40), origin, mask=mask)
    few = np.array([7, 3, 30, 31])
    np.testing.assert_array_equal(streamed.amplitudes(few), plain.amplitudes(few))
    streamed.read_ahead([few, np.arange(10, 20)])
    for indices in (few, np.arange(12, 18), None):
        np.testing.assert_array_equal(streamed.amplitudes(indices), plain.amplitudes(indices))
    np.testing.assert_array_equal(streamed.crop((2, 3)).amplitudes(few), plain.crop((2, 3)).amplitudes(few))
    assert streamed.max_counts() == plain.max_counts()
    assert isinstance(streamed.take(few).counts, np.ndarray)
