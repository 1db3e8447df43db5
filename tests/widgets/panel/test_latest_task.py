"""Long work that is requested again and again: which results are used."""

from __future__ import annotations

import threading
import time

import pytest

from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.panel.latest_task import LatestTask


class Slow:
    """Work that goes on until it is let go."""

    def __init__(self):
        self.go, self.begun, self.used = threading.Event(), threading.Event(), []

    def work(self, value):
        def do():
            self.begun.set()
            assert self.go.wait(30)
            return value

        return do


@pytest.fixture
def panel():
    panel = Panel()
    yield panel
    panel.close()


def after(task, slow):
    """What was used once all is done."""
    slow.go.set()
    end = time.monotonic() + 30
    while task.busy and time.monotonic() < end:
        time.sleep(0.01)
    task.panel.wait()
    return slow.used


@pytest.mark.parametrize("more, used", [(False, ["third"]), (True, ["first", "third"])])
def test_of_those_asked_for_meanwhile_only_the_newest_is_done(panel, more, used):
    task, slow = LatestTask(panel), Slow()
    task.submit(slow.work("first"), slow.used.append)
    assert slow.begun.wait(30)
    for value in ("second", "third"):
        task.submit(slow.work(value), slow.used.append, more=more)
    assert after(task, slow) == used


def test_what_was_another_wish_is_not_used_though_more_comes(panel):
    task, slow = LatestTask(panel), Slow()
    task.submit(slow.work("first"), slow.used.append)
    assert slow.begun.wait(30)
    task.submit(slow.work("another wish"), slow.used.append)
    task.submit(slow.work("more of it"), slow.used.append, more=True)
    assert after(task, slow) == ["more of it"]


def test_what_is_cancelled_is_not_used_nor_told(panel):
    task, slow = LatestTask(panel), Slow()

    def fail():
        slow.work(0)()
        raise ValueError("nobody wants to know")

    task.submit(fail, slow.used.append)
    assert slow.begun.wait(30)
    task.submit(slow.work("never begun"), slow.used.append)
    task.cancel()
    assert after(task, slow) == [] and "nobody" not in panel.status_text
    task.submit(slow.work("later"), slow.used.append)
    assert after(task, slow) == ["later"]


def test_an_error_is_told_until_something_succeeds(panel):
    task, slow = LatestTask(panel), Slow()

    def fail():
        slow.work(0)()
        raise ValueError("rows not read")

    task.submit(fail, slow.used.append)
    assert after(task, slow) == [] and "rows not read" in panel.status_text
    task.submit(slow.work("later"), slow.used.append)
    assert after(task, slow) == ["later"] and panel.status_text == ""


def test_an_error_of_what_more_comes_after_is_not_told(panel):
    task, slow = LatestTask(panel), Slow()

    def fail():
        slow.work(0)()
        raise ValueError("rows not read")

    task.submit(fail, slow.used.append)
    assert slow.begun.wait(30)
    task.submit(slow.work("more"), slow.used.append, more=True)
    assert after(task, slow) == ["more"] and panel.status_text == ""
