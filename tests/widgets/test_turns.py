"""Turns: jobs of many threads one at a time, the newest of a kind, and nobody waits for anybody."""

from __future__ import annotations

import threading

import pytest

from ptywidgets.widgets.turns import Turns


def test_a_job_within_a_job_is_done_at_once():
    turns, done = Turns(), []
    turns.do(lambda: (turns.do(lambda: done.append("inner")), done.append("outer")))
    assert done == ["inner", "outer"]


def test_a_job_of_another_thread_is_left_to_the_one_at_work_and_the_newest_of_a_key_is_done():
    turns, done = Turns(), []

    def visitor() -> None:
        turns.do(lambda: done.append("old"), "key")
        turns.do(lambda: done.append("new"), "key")
        turns.do(lambda: done.append("other"))
        done.append("visitor leaves")

    def job() -> None:
        thread = threading.Thread(target=visitor)
        thread.start()
        thread.join(5)
        done.append("job")

    turns.do(job)
    assert done == ["visitor leaves", "job", "new", "other"]


def test_an_error_reaches_who_did_the_job_and_the_pile_is_worked_off():
    turns, done = Turns(), []

    def job() -> None:
        thread = threading.Thread(target=lambda: turns.do(lambda: done.append("left")))
        thread.start()
        thread.join(5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turns.do(job)
    assert done == ["left"]
    turns.do(lambda: done.append("alive"))
    assert done == ["left", "alive"]


def test_jobs_never_overlap():
    turns, inside, most = Turns(), [0], [0]

    def job() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.001)
        inside[0] -= 1

    threads = [threading.Thread(target=lambda: [turns.do(job) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert turns.wait(5) and most == [1]


def test_a_slow_job_leaves_the_thread_that_brings_it():
    turns, go, done = Turns(), threading.Event(), []
    turns.soon(lambda: threading.Event().wait(0.05), "drag")  # slow once: on a thread from now on
    turns.soon(lambda: (go.wait(5), done.append(0)), "drag")
    assert done == [], "the caller did not wait"
    for n in range(1, 20):
        turns.soon(lambda n=n: done.append(n), "drag")
    go.set()
    assert turns.wait(5)
    assert done[-1] == 19 and len(done) <= 3, "of those that came meanwhile only the newest is done"


def test_silence_holds_for_one_thread_only():
    turns, heard = Turns(), []
    with turns.silence():
        thread = threading.Thread(target=lambda: heard.append(turns.silent))
        thread.start()
        thread.join()
        heard.append(turns.silent)
    assert heard == [False, True] and not turns.silent


def test_a_job_for_later_is_not_done_by_the_thread_that_asks_for_it():
    turns, threads = Turns(), []
    turns.do(lambda: turns.later(lambda: threads.append(threading.get_ident())))
    assert turns.wait(5)
    assert threads and threads[0] != threading.get_ident()
