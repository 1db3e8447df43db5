"""Work on two threads: all of it is done, once, also when one piece shares its work again or fails."""

import threading

import pytest

from ptywidgets.engine.direct.threads import shared


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("at_once", [None, 1, 3])
def test_every_thing_is_worked_on_once(count, at_once):
    seen = [0] * count

    def work(part):
        assert at_once is None or part.stop - part.start <= at_once
        for n in range(count)[part]:
            seen[n] += 1

    shared(work, count, at_once)
    assert seen == [1] * count


def test_a_helper_that_shares_its_work_does_not_wait_for_itself():
    seen = []

    def work(part):
        shared(lambda inner: seen.append((part.start, inner.start, threading.current_thread().name)), 2, at_once=1)

    worker = threading.Thread(target=lambda: shared(work, 2, at_once=1), daemon=True)
    worker.start()
    worker.join(10)
    assert not worker.is_alive()
    assert sorted(place[:2] for place in seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("bad", [0, 1])
def test_a_failure_of_either_thread_is_told(bad):
    def work(part):
        if part.start == bad:
            raise ValueError(f"piece {bad}")

    with pytest.raises(ValueError, match=f"piece {bad}"):
        shared(work, 2, at_once=1)
    done = []
    shared(lambda part: done.append(part.start), 2, at_once=1)
    assert sorted(done) == [0, 1], "and the threads go on"
