"""The session without traits and without a problem: every command in every status, and what is told on the way."""

from __future__ import annotations

import gc
import itertools
import re
import threading
import time
from dataclasses import dataclass

import pytest
from patience import wait_for

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.reconstruction.session.session import COMMANDS, ENDED, STATUSES, Halted, Session

BATCHES = 2  # of an iteration
PLANNED = 3  # iterations
MANY = 10**8  # more than can be done before one asks


@dataclass
class Moment:
    """What a session asks of a state."""

    iteration: int
    at_iteration_end: bool


class Counting:
    """Work that only counts batches, each of which waits for `go`; it keeps all that it is told."""

    def __init__(self) -> None:
        self.idle, self.iteration, self.anew, self.outdated = "ready", 0, True, False
        self.ends_as, self.fails_at, self.prepares = "finished", None, None
        self.go = threading.Event()
        self.told, self.said, self.plans, self.asked, self.judged = [], [], [], [], 0
        self.searches = []

    left = 2

    def begin(self):
        if self.idle == "empty":
            raise DataError("there are no data yet.")

    def states(self, n):
        self.asked.append(n)
        if self.prepares is not None:
            self.prepares()
        return self._states(self.iteration, PLANNED if n is None else n)

    def _states(self, begun, n):
        for batch in range(1, BATCHES * n + 1):
            assert self.go.wait(10)
            if self.fails_at == batch:
                raise DataError("the sky fell.")
            plan = yield Moment(begun + batch // BATCHES, batch % BATCHES == 0)
            if plan is not None:
                self.plans.append(plan)

    def stop_searches(self, wait=0.0):
        self.searches.append(wait)

    def halted(self):
        self.said.append("halted")

    def judge(self):
        self.judged += 1

    def on_state(self, state):
        self.iteration, self.anew = state.iteration, False

    def on_end(self, status, error):
        return self.ends_as if status == "finished" else status

    def show(self, status):
        self.told.append(status)

    def publish(self):
        self.told.append("published")

    def say(self, words):
        self.said.append(words)

    def forget(self):
        self.iteration, self.anew = 0, True


def paused(session):
    session.work.go.set()
    session.step()
    wait_for(lambda: session.status == "paused")


def ended_as(session, status):
    session.work.ends_as = status
    session.work.go.set()
    session.run()


def failed(session):
    session.work.fails_at = 2
    session.work.go.set()
    with pytest.raises(DataError, match="sky"):
        session.run()
    session.work.fails_at = None


def stopped(session):
    session.start()
    session.request_stop()
    session.work.go.set()
    session.wait()


def emptied(session):
    session.work.idle = "empty"
    session.set_status("empty")


BRING = {
    "empty": emptied,
    "ready": lambda session: session.set_status("ready"),
    "running": lambda session: session.start(),
    "paused": paused,
    "stopped": stopped,
    "finished": lambda session: ended_as(session, "finished"),
    "doubtful": lambda session: ended_as(session, "doubtful"),
    "error": failed,
}


def table():
    """From the docstring of the session: {command: {status: what becomes}}."""
    _, after = Session.__doc__.split("::\n")
    head, *rows = [line.split() for line in after.splitlines() if re.match(r" {8}\w", line)]
    assert head == ["command", *STATUSES]
    return {command: dict(zip(STATUSES, becomes, strict=True)) for command, *becomes in rows}


@pytest.fixture
def session():
    session = Session(Counting())
    yield session
    session.work.go.set()
    session.stop(10)


def brought(session, status):
    BRING[status](session)
    assert session.status == status
    if status != "empty":
        session.work.ends_as = "finished"
    return session


# ---------------------------------------------------------------- the table


def test_the_table_has_every_command():
    assert tuple(table()) == COMMANDS


@pytest.mark.parametrize(("command", "status"), list(itertools.product(COMMANDS, STATUSES)))
def test_every_command_in_every_status(session, command, status):
    expected = table()[command][status]
    brought(session, status)
    if expected == "raises":
        with pytest.raises(DataError, match="no data" if status == "empty" else "sky"):
            getattr(session, command)()
        assert session.status == status
        return
    if command in ("run", "wait", "stop", "request_stop", "step", "pause", "reset"):
        session.work.go.set()
    elif expected == "running":
        session.work.go.clear()  # so that it has not ended before one looks
    getattr(session, command)()
    if expected == "end":
        assert session.status == "finished" and session.work.iteration >= PLANNED
    elif command in ("pause", "step", "request_stop", "resume", "start"):
        wait_for(lambda: session.status == expected)
    else:
        assert session.status == expected
    assert session.active == (expected in ("running", "paused"))


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_told_last_is_the_status(session, status):
    brought(session, status)
    if status in ENDED:
        assert session.work.told[-2:] == [status, "published"]
    else:
        wait_for(lambda: [one for one in session.work.told if one != "published"][-1] == status)


# ---------------------------------------------------------------- what the table does not tell


def test_a_step_is_one_iteration(session):
    session.work.go.set()
    for iteration in (1, 2):
        session.step()
        wait_for(lambda n=iteration: session.status == "paused" and session.work.iteration == n)
    session.resume()
    session.wait()
    assert (session.status, session.work.iteration) == ("finished", PLANNED)


def test_a_step_after_the_end_begins_another_run(session):
    ended_as(session, "finished")
    session.step()
    wait_for(lambda: session.status == "paused")
    assert session.work.iteration == PLANNED + 1


def test_a_paused_run_that_is_outdated_is_taken_over_with_what_is_left(session):
    paused(session)
    session.work.outdated = True
    session.resume()
    session.wait()
    assert session.work.asked == [None, Counting.left]
    assert [one for one in session.work.told if one != "published"] == [
        *("running", "paused", "stopped", "running", "finished")
    ]


def test_start_while_it_runs_says_so(session):
    session.start()
    session.start()
    assert session.work.said == ["It is running already."] and len(session.work.asked) <= 1


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", True])
def test_iterations_are_counted(session, n):
    with pytest.raises(ParameterError, match="n "):
        session.start(n)
    assert session.status == "empty" and not session.active


def test_a_run_that_is_stopped_while_its_states_are_prepared_says_so(session):
    session.work.prepares = lambda: (session.request_stop(), session.halt())
    session.run()
    assert (session.status, session.work.said, session.work.judged) == ("stopped", ["halted"], 0)


def test_nothing_is_halted_that_is_not_stopped(session):
    session.halt()
    session.work.prepares = session.halt
    session.work.go.set()
    session.run()
    assert (session.status, session.work.judged) == ("finished", 1)
    stopped(session)
    session.halt()  # of a run that is over


def test_an_error_is_kept_until_the_next_run(session):
    failed(session)
    assert isinstance(session.error, DataError)
    session.run()
    assert session.error is None


def test_a_command_that_is_refused_keeps_the_error(session):
    failed(session)
    session.work.idle = "empty"
    with pytest.raises(DataError, match="no data"):
        session.start()
    with pytest.raises(DataError, match="sky"):
        session.wait()


def test_in_the_calling_cell_it_has_ended_when_the_command_returns(session):
    session.work.go.set()
    session.start(2, block=True)
    assert (session.status, session.work.iteration) == ("finished", 2)
    session.work.fails_at = 1
    with pytest.raises(DataError, match="sky"):
        session.start(block=True)


def test_during_a_run_what_cannot_be_is_refused(session):
    session.require_idle("crop the data")
    session.start()
    with pytest.raises(ParameterError, match="cannot crop the data while the reconstruction is running; stop it first"):
        session.require_idle("crop the data")


def test_a_new_plan_reaches_the_run(session):
    paused(session)
    plan = Plan(iterations=7)
    session.change_plan(plan)
    session.resume()
    session.wait()
    assert session.work.plans == [plan]


def test_waiting_ends_with_its_time(session):
    session.start()
    session.wait(0.01)
    assert session.status == "running"


def test_the_runs_of_several_threads_are_one(session):
    threads = [threading.Thread(target=session.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.work.go.set()
    session.wait()
    assert session.work.asked == [None] and len(session.work.said) == 7


def test_whoever_hears_of_the_end_may_begin_the_next(session):
    show, work = session.work.show, session.work

    def again(status):
        show(status)
        if status == "finished" and len(work.asked) == 1:
            session.start()

    work.show = again
    work.go.set()
    session.start()
    wait_for(lambda: len(work.asked) == 2 and session.status == "finished")
    assert work.iteration == 2 * PLANNED


def test_a_session_that_nobody_holds_ends_its_run():
    session = Session(Counting())
    work = session.work
    paused(session)
    del session
    gc.collect()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ptywidgets-run"])
    assert work.told[-2:] == ["paused", "published"]  # and nobody is told


def test_halted_is_no_error_of_the_field():
    assert not issubclass(Halted, ParameterError)


def test_stop_ends_searches_too():
    work = Counting()
    session = Session(work)
    session.request_stop()
    session.stop(timeout=3)
    session.stop(timeout=None)
    assert work.searches == [0.0, 0.0, 3.0, 0.0, None]


@pytest.mark.parametrize("command", ["stop", "wait", "reset", "run"])
def test_an_observer_of_the_beginning_does_not_wait_for_what_has_not_begun(command):
    work = Counting()
    session = Session(work)
    called = []

    def show(status):
        if status == "running" and not called:
            called.append(status)
            getattr(session, command)()

    work.show = show
    work.go.set()
    begun = time.monotonic()
    session.start()
    assert time.monotonic() - begun < 5 and called
    session.stop()
    assert not session.active


def test_a_run_that_waits_for_itself_goes_on():
    work = Counting()
    session = Session(work)
    told = work.on_state

    def on_state(state):
        session.wait()
        told(state)

    work.on_state = on_state
    work.go.set()
    session.start()
    session.wait(20)
    assert session.status == "finished" and work.iteration == PLANNED


def test_so_many_more_are_done_after_a_pause():
    work = Counting()
    session = Session(work)
    work.go.set()
    session.step()
    while session.status != "paused":
        time.sleep(0.01)
    done = work.iteration
    session.run(2)
    assert work.iteration == done + 2 and session.status == "finished"


def running(session):
    session.work.go.set()
    session.start(MANY)
    wait_for(lambda: session.work.iteration > 0)


def asked_to(session, request):
    """A run that was asked to stop or to pause and cannot obey yet, as it is in the middle of a batch."""
    running(session)
    session.work.go.clear()
    getattr(session, request)()
    threading.Timer(0.3, session.work.go.set).start()


@pytest.mark.parametrize("request_", ["request_stop", "pause"])
def test_a_run_that_is_asked_for_before_a_request_is_obeyed_does_its_iterations(session, request_):
    """It was taken for the run that was about to end: it returned with that, and had done nothing."""
    asked_to(session, request_)
    session.run(2)
    assert session.work.asked == [MANY, 2] and session.work.said == []
    assert session.status == "finished"
    assert [one for one in session.work.told if one != "published"][-3:] == ["stopped", "running", "finished"]


@pytest.mark.parametrize(("begin", "becomes"), [("start", "finished"), ("resume", "finished"), ("step", "paused")])
def test_a_request_to_stop_is_not_taken_by_what_begins_after_it(session, begin, becomes):
    asked_to(session, "request_stop")
    getattr(session, begin)()
    wait_for(lambda: session.status == becomes)
    assert session.work.asked == [MANY, None] and session.work.said == []


def test_a_run_without_a_number_goes_on_after_a_pause_to_its_end(session):
    for _ in range(20):  # however the threads take turns
        session.work.go.set()
        session.start(30)
        session.pause()
        session.run()
        assert session.status == "finished"


def test_a_run_waits_for_one_that_still_tells_of_its_end(session):
    """The end of the old one was told in the middle of the new one, with the old status."""
    on_end, begun = session.work.on_end, threading.Event()

    def slow(status, error):
        if status == "stopped":
            begun.set()
            time.sleep(0.3)
        return on_end(status, error)

    session.work.on_end = slow
    running(session)
    session.request_stop()
    assert begun.wait(10) and not session.active
    session.run(2)
    told = [one for one in session.work.told if one != "published"]
    assert told == ["running", "stopped", "running", "finished"] and session.work.asked == [MANY, 2]


@pytest.mark.parametrize("request_", ["request_stop", "pause"])
def test_whoever_is_told_by_the_one_who_works_may_stop_it_and_begin_another(session, request_):
    on_state, called = session.work.on_state, []

    def again(state):
        on_state(state)
        if not called:
            called.append(state)
            getattr(session, request_)()
            session.run(2)

    session.work.on_state = again
    session.work.go.set()
    session.start(MANY)
    wait_for(lambda: session.work.asked == [MANY, 2] and session.status == "finished")


def test_what_stands_against_such_a_run_is_an_error_of_it(session):
    on_state = session.work.on_state

    def again(state):
        on_state(state)
        session.request_stop()
        session.start(2)
        session.work.idle = "empty"

    session.work.on_state = again
    session.work.go.set()
    session.start(MANY)
    wait_for(lambda: session.status == "error")
    assert isinstance(session.error, DataError)


def test_a_later_stop_is_for_the_run_that_was_to_follow_too(session):
    on_state = session.work.on_state

    def again(state):
        on_state(state)
        session.request_stop()
        session.start(2)
        session.request_stop()

    session.work.on_state = again
    session.work.go.set()
    session.start(MANY)
    session.wait(10)
    assert session.status == "stopped" and session.work.asked == [MANY]
