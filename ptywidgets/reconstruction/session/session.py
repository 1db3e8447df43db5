"""The run of a reconstruction as a state machine: what each command does in each status. It knows no traits."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import duration, switch, whole_number
from ptywidgets.engine.core.state import State
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import Stage
from ptywidgets.reconstruction.session import ending
from ptywidgets.reconstruction.session.hosts import shows_threads
from ptywidgets.reconstruction.session.run_timer import RunTimer
from ptywidgets.reconstruction.session.worker import States, Worker, weakly

STATUSES = ("empty", "ready", "running", "paused", "stopped", "finished", "doubtful", "error")
COMMANDS = ("start", "run", "step", "pause", "resume", "stop", "request_stop", "wait", "reset")
ENDED = ("finished", "doubtful", "stopped", "error")


class Halted(Exception):
    """A run was stopped before its first iteration."""


class Work(Protocol):
    """What a session drives, and whom it tells."""

    @property
    def idle(self) -> str:
        """The status before a run: "empty" without data, "ready" with them."""
        ...

    @property
    def iteration(self) -> int:
        """Finished iterations."""
        ...

    @property
    def anew(self) -> bool:
        """Whether the next run begins with iteration 0."""
        ...

    @property
    def left(self) -> int:
        """Iterations that the present run has still to do, 1 at least."""
        ...

    @property
    def outdated(self) -> bool:
        """Whether a run that pauses cannot go on as it is, so that another one takes over."""
        ...

    def begin(self) -> None:
        """A run is about to begin: raise what stands against it."""
        ...

    def states(self, n: int | None) -> States:
        """The states of `n` more iterations, or of what is planned; asked for by the one who works."""
        ...

    def halted(self) -> None:
        """The run was stopped while its states were prepared."""
        ...

    def judge(self) -> None:
        """The run has come to its end: look at what it has come to. Called by the one who works."""
        ...

    def use(self, client: Any) -> None:
        """Runs are to be worked on by the workers of this client, from the next one on."""
        ...

    def stop_searches(self, wait: float | None = 0.0) -> None:
        """End what is looked for outside of a run, and wait so long for it, s; None: to the end."""
        ...

    def on_state(self, state: State) -> None:
        """A batch is done. Called by the one who works."""
        ...

    def on_end(self, status: str, error: BaseException | None) -> str:
        """A run pauses, goes on or ends; returns the status that it has by this, "doubtful" instead of "finished"."""
        ...

    def show(self, status: str) -> None:
        """Tell whoever looks of a new status."""
        ...

    def publish(self) -> None:
        """Show the latest state, with its status, to whoever looks."""
        ...

    def say(self, words: str) -> None:
        """Say something to whoever has given a command."""
        ...

    def forget(self) -> None:
        """Begin from nothing."""
        ...


class Session:
    """Start, pause, step and stop; one run at a time.

    Parameters
    ----------
    work : Work
        Where the states come from, and who is told.

    Notes
    -----
    The status that each command leads to, in each status; "end" is that of the run: "finished", "doubtful" or "error"::

        command       empty       ready       running     paused      stopped     finished    doubtful    error
        start         raises      running     running     running     running     running     running     running
        run           raises      end         end         end         end         end         end         end
        step          raises      paused      paused      paused      paused      paused      paused      paused
        pause         empty       ready       paused      paused      stopped     finished    doubtful    error
        resume        raises      running     running     running     running     running     running     running
        stop          empty       ready       stopped     stopped     stopped     finished    doubtful    error
        request_stop  empty       ready       stopped     stopped     stopped     finished    doubtful    error
        wait          empty       ready       end         paused      stopped     finished    doubtful    raises
        reset         empty       ready       ready       ready       ready       ready       ready       ready

    Commands that begin a run raise what stands against it, such as that there are no data. `wait`, and with it `run`,
    raises what went wrong in the run. A command returns at once; pausing and stopping happen before the next batch.
    What begins a run after a request to stop or to pause that is not yet obeyed is not taken by it: the run that was
    asked to stop ends first, which is waited for, and one that was asked to pause counts as paused.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.status = "empty"
        self.error: BaseException | None = None  # what went wrong in the latest run
        self.target: int | None = None  # where the present run ends, where that is not what is planned
        self.stages: tuple[Stage, ...] = ()  # of the automatic schedule of the latest run
        self.clock = RunTimer()
        self._worker: Worker | None = None
        self._begun_by: int | None = None  # identifier of the thread that is about to begin a run
        self._next: tuple[int | None] | None = None  # iterations of a run to begin as soon as the present one has ended
        self._preparing = False
        self._lock = threading.RLock()
        self._unheld: weakref.finalize[..., Any] | None = None  # stops a run whose owner is gone

    # ---------------------------------------------------------------- asked

    @property
    def active(self) -> bool:
        """Whether a run goes on, or pauses."""
        return self._worker is not None and self._worker.active

    @property
    def exception(self) -> BaseException | None:
        """What went wrong in the latest run; None where nothing did."""
        return self.error

    @property
    def seconds_per_iteration(self) -> float | None:
        """Median of the latest iterations."""
        return self.clock.seconds_per_iteration

    def require_idle(self, what: str) -> None:
        """Raise a ParameterError where something cannot be done during a run."""
        if self.active:
            raise ParameterError(f"cannot {what} while the reconstruction is {self.status}; stop it first.")

    @property
    def preparing(self) -> bool:
        """Whether the calling thread is the one that works, and makes ready what its run is made from."""
        return self._preparing and self._worker is not None and self._worker.is_mine

    @contextmanager
    def makes_ready(self) -> Generator[None, None, None]:
        """Within it the calling thread, the one that works, sets what its run is made from."""
        self._preparing = True
        try:
            yield
        finally:
            self._preparing = False

    @property
    def made_ready(self) -> bool:
        """Whether a run is being made ready by another thread than the calling one."""
        return self._preparing and self.active and not self.preparing

    @property
    def getting_ready(self) -> bool:
        """Whether a run is being made ready, by whatever thread."""
        return self._preparing and self.active

    @property
    def stopping(self) -> bool:
        """Whether a run goes on that was asked to end."""
        return self._worker is not None and self._worker.active and self._worker.stopping

    def halt(self) -> None:
        """Called by the one who works, between its steps: raises Halted where the run is to stop."""
        if self.stopping:
            raise Halted

    def still(self) -> AbstractContextManager[None]:
        """Within it no batch is done."""
        return nullcontext() if self._worker is None else self._worker.still()

    # ---------------------------------------------------------------- commands

    def start(self, n: int | None = None, *, block: bool | None = None, client: Any = None) -> None:
        """Begin, or go on; returns at once while the work is done in a thread.

        Parameters
        ----------
        n : int, optional
            Iterations to add; by default up to ``plan.iterations``, or as many again when those are done.
        block : bool, optional
            Work in the calling cell instead. By default only where the host does not show what threads send (Colab);
            the interrupt button then means stop and keep.
        client : distributed.Client, optional
            Work on the workers of this cluster, now and until ``recon.client`` is something else; see docs/cluster.md.
        """
        if client is not None:
            self.work.use(client)
        n = None if n is None else whole_number("n", n, unit="iterations")
        block = None if block is None else switch("block", block)
        worker = self._begin(n)
        if worker is None:
            return
        if block if block is not None else not shows_threads():
            worker.work()
            if isinstance(self.error, KeyboardInterrupt):
                print(f"Stopped after {self.work.iteration} iterations; everything is kept. start() goes on.")
            else:
                self._raise()
        else:
            worker.start()

    def run(self, n: int | None = None, *, client: Any = None) -> None:
        """Start and wait: for scripts. An interrupt stops the run and keeps what it has.

        Parameters
        ----------
        n : int, optional
            Iterations to add, 1 or more; by default as :meth:`start`.
        client : distributed.Client, optional
            As of :meth:`start`.

        Raises
        ------
        ParameterError
            When `n` is no whole number of at least 1.
        """
        self.start(n, block=False, client=client)
        self.wait()

    def step(self) -> None:
        """One iteration, then pause."""
        worker = self._worker
        if worker is not None and self._goes_on(worker):
            worker.resume(until=self.work.iteration + 1)
        elif not shows_threads():
            self.start(1)  # a pause would hold the cell
        else:
            worker = self._begin(None)
            if worker is not None:
                worker.resume(until=1 if self.work.anew else self.work.iteration + 1)
                worker.start()

    def pause(self) -> None:
        """Hold before the next batch; :meth:`resume` goes on."""
        if self._worker is not None:
            self._worker.pause()

    def resume(self) -> None:
        """Go on after a pause, or after a stop."""
        if self._worker is not None and self._goes_on(self._worker):
            self._worker.resume()
        else:
            self.start()

    def stop(self, timeout: float | None = 60.0) -> None:
        """End before the next batch and keep everything; returns when the thread has ended.

        A search for the start that goes on, by :meth:`calibrate` on another thread, is ended too.
        """
        seconds = math.inf if timeout is None else duration("timeout", timeout)
        self.request_stop()
        self.work.stop_searches(None if seconds == math.inf else seconds)
        if self._worker is not None and not self._is_own(self._worker):
            self._worker.wait(None if seconds == math.inf else seconds)

    def request_stop(self) -> None:
        """Ask the run to end before the next batch, or a search to end, and return at once: for buttons."""
        self.work.stop_searches()
        self._next = None
        if self._worker is not None:
            self._worker.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end of the run (or of `timeout` seconds); raises what went wrong in it.

        Called by an observer, on the thread that works, it returns at once: a run cannot wait for itself.
        """
        timeout = None if timeout is None else duration("timeout", timeout)
        worker = self._worker
        if worker is None or self._is_own(worker):
            return
        end = None if timeout is None else time.monotonic() + timeout
        try:
            with ending.waited_for(worker):
                while not worker.wait(0.2):  # short waits, so that an interrupt is heard on every platform
                    if (self.status == "paused" and worker.holding) or (end is not None and time.monotonic() > end):
                        return
        except KeyboardInterrupt:
            self.stop()
            print(f"Stopped after {self.work.iteration} iterations; everything is kept. run() or start() goes on.")
            return
        self._raise()

    def reset(self) -> None:
        """Stop, and forget object, probe and losses, and what :meth:`begin_with` gave; data, calibration and plan
        stay."""
        self.stop()
        self.error = self.target = None
        self.work.forget()
        self.set_status(self.work.idle)

    def change_plan(self, plan: Plan) -> None:
        """Hand a new plan to the run that goes on, from its next batch."""
        if self._worker is not None and self._worker.active:
            self._worker.change_plan(plan)

    # ---------------------------------------------------------------- the end of the process

    def leave(self) -> None:
        """Let the run end, as the process does."""
        if self._worker is not None:
            self._worker.leave()

    def forked(self) -> bool:
        """In a forked child the run goes on in the parent only, and locks may be held by threads that are not here.

        Returns whether there was one: its status is told to nobody, as whoever looks does so in the parent.
        """
        self._lock = threading.RLock()
        if self._worker is None or not self._worker.active:
            return False
        self._worker.forked()
        self.status = "stopped"
        return True

    # ---------------------------------------------------------------- inside

    def set_status(self, status: str) -> None:
        """Take on a status, and tell of it."""
        self.status = status
        self.work.show(status)

    def _is_own(self, worker: Worker) -> bool:
        """Whether the calling thread is the one that works, or is about to begin the one that does."""
        return worker.is_mine or self._begun_by == threading.get_ident()

    @property
    def _outdated(self) -> bool:
        return self.status == "paused" and self.work.outdated

    def _goes_on(self, worker: Worker) -> bool:
        """Whether a run can go on as it is: it has not ended, was not asked to, and no other one has to take over."""
        return worker.active and not worker.stopping and not self._outdated

    def _make_way(self, n: int | None) -> int | None:
        """Where another run has to begin, let the present one end; returns the iterations that the other one has.

        Called without the lock, as whoever is told of the end may begin a run, too.
        """
        worker = self._worker
        if worker is None:
            return n
        held = worker.active and not worker.stopping and (worker.holding or self.status == "paused")
        if held and (self._outdated or n is not None):  # another one takes over, with what is left or is asked for
            n = self.work.left if n is None else n
            worker.stop()
        if (worker.stopping or not worker.active) and not self._is_own(worker):
            while not worker.told:
                worker.wait(0.2)  # short waits, so that an interrupt is heard on every platform
        return n

    def _begin(self, n: int | None) -> Worker | None:
        n = self._make_way(n)
        with self._lock:
            worker = self._worker
            if worker is not None and worker.active:
                if worker.stopping:  # whoever is told by the one who works cannot wait for its end
                    self._next = (n,)
                elif worker.holding:
                    worker.resume()
                else:
                    self.work.say("It is running already.")
                return None
            self.work.begin()
            self.error = None
            worker = Worker(_states(weakref.ref(self), n), weakly(self._on_state), weakly(self._on_status))
            if self._unheld is not None:
                self._unheld.detach()
            self._unheld = weakref.finalize(self, worker.stop)  # a paused one waits for no owner that is gone
            self._unheld.atexit = False
            self._worker = worker
            self._begun_by = threading.get_ident()  # observers are told before there is a thread to wait for
            try:
                self.set_status("running")
            finally:
                self._begun_by = None
            return worker

    def _on_state(self, state: State) -> None:
        if state.at_iteration_end:
            self.clock.tick()
        self.work.on_state(state)

    def _on_status(self, status: str, error: BaseException | None) -> None:
        """Called by the worker when it pauses, goes on or ends."""
        self.error = error
        self.set_status(self.work.on_end(status, error))
        self.work.publish()
        following, self._next = self._next, None
        if following is not None and status in ENDED:
            try:
                self.start(*following, block=False)
            except Exception as refused:  # here nobody else would hear of it
                self.error = refused
                self.set_status(self.work.on_end("error", refused))

    def _raise(self) -> None:
        if self.status == "error" and self.error is not None:
            raise self.error


def _states(session: weakref.ref[Session], n: int | None) -> Generator[State, Plan | None, None]:
    """The states of a run, prepared by the one who works, so that the one who starts need not wait."""
    one = session()
    if one is None:
        return
    try:
        with one.makes_ready():
            states = one.work.states(n)
    except Halted:
        one.work.halted()
        return
    del one
    yield from states
    one = session()
    if one is not None and not one.stopping:  # stopped in the middle of a batch, it has come to no end
        one.work.judge()


__all__ = ["COMMANDS", "ENDED", "STATUSES", "Halted", "Session", "Work"]
