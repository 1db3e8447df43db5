"""CallbackQueue: jobs of many threads one at a time, the newest of a kind, and nobody waits for anybody."""

from __future__ import annotations

import threading

import pytest

from ptywidgets.widgets.panel.callback_queue import CallbackQueue


def test_a_job_within_a_job_is_done_at_once():
    queue, done = CallbackQueue(), []
    queue.run(lambda: (queue.run(lambda: done.append("inner")), done.append("outer")))
    assert done == ["inner", "outer"]


def test_a_job_of_another_thread_is_left_to_the_one_at_work_and_the_newest_of_a_key_is_done():
    queue, done = CallbackQueue(), []

    def visitor() -> None:
        queue.run(lambda: done.append("old"), "key")
        queue.run(lambda: done.append("new"), "key")
        queue.run(lambda: done.append("other"))
        done.append("visitor leaves")

    def job() -> None:
        thread = threading.Thread(target=visitor)
        thread.start()
        thread.join(5)
        done.append("job")

    queue.run(job)
    assert done == ["visitor leaves", "job", "new", "other"]


def test_an_error_reaches_who_did_the_job_and_the_queue_is_worked_off():
    queue, done = CallbackQueue(), []

    def job() -> None:
        thread = threading.Thread(target=lambda: queue.run(lambda: done.append("left")))
        thread.start()
        thread.join(5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        queue.run(job)
    assert done == ["left"]
    queue.run(lambda: done.append("alive"))
    assert done == ["left", "alive"]


def test_jobs_never_overlap():
    queue, inside, most = CallbackQueue(), [0], [0]

    def job() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.001)
        inside[0] -= 1

    threads = [threading.Thread(target=lambda: [queue.run(job) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.wait(5) and most == [1]


def test_a_slow_job_leaves_the_thread_that_brings_it():
    queue, go, done = CallbackQueue(), threading.Event(), []
    queue.run_soon(lambda: threading.Event().wait(0.05), "drag")  # slow once: on a thread from now on
    queue.run_soon(lambda: (go.wait(5), done.append(0)), "drag")
    assert done == [], "the caller did not wait"
    for n in range(1, 20):
        queue.run_soon(lambda n=n: done.append(n), "drag")
    go.set()
    assert queue.wait(5)
    assert done[-1] == 19 and len(done) <= 3, "of those that came meanwhile only the newest is done"


def test_muting_holds_for_one_thread_only():
    queue, heard = CallbackQueue(), []
    with queue.muted():
        thread = threading.Thread(target=lambda: heard.append(queue.is_muted))
        thread.start()
        thread.join()
        heard.append(queue.is_muted)
    assert heard == [False, True] and not queue.is_muted


def test_a_job_for_later_is_not_done_by_the_thread_that_asks_for_it():
    queue, threads = CallbackQueue(), []
    queue.run(lambda: queue.run_later(lambda: threads.append(threading.get_ident())))
    assert queue.wait(5)
    assert threads and threads[0] != threading.get_ident()
