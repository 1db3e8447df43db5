"""The one who works: draws states from a generator, in a thread or in the calling cell, and obeys within one batch."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.core.state import State
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.reconstruction.session import ending

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

States = Generator[State, Plan | None, None]


class Forgotten(Exception):
    """The reconstruction that a run works for is no longer held by anybody."""


class OfReconstruction:
    """A part of a run, which works for a reconstruction and does not keep it alive."""

    def __init__(self, recon: Reconstruction) -> None:
        self._recon = weakref.ref(recon)

    @property
    def recon(self) -> Reconstruction:
        """The reconstruction; Forgotten where nobody has it any more."""
        found = self._recon()
        if found is None:
            raise Forgotten
        return found


class Worker:
    """One run. Commands only set flags; the one who works acts on them between two batches.

    Parameters
    ----------
    states : generator of State
        :func:`ptywidgets.engine.steps`.
    on_state : callable
        Called with every state, by the one who works.
    on_status : callable
        Called with "paused", "running", and last with "finished", "stopped" or "error" and the exception, if any.
    """

    def __init__(
        self,
        states: States,
        on_state: Callable[[State], None],
        on_status: Callable[[str, BaseException | None], None],
    ) -> None:
        self._states = states
        self._on_state = on_state
        self._on_status = on_status
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()
        self._batch = threading.Lock()  # held while a batch is being done
        self._held = 0  # how many want no batch to be begun
        self._plan: Plan | None = None
        self._pause_at: int | None = None
        self._thread: threading.Thread | None = None
        self._worked_by: int | None = None  # identifier of the thread that works, which may be a cell's
        self._over = False  # nothing more will be computed
        self._quiet = False  # nobody is told of its end
        self._done = threading.Event()  # and everybody has been told

    @property
    def active(self) -> bool:
        """Whether the run goes on; no longer when its end is told, so that an observer may start the next."""
        return not self._over

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    @property
    def holding(self) -> bool:
        """Whether it pauses, or was asked to and will before its next batch."""
        return not self._go.is_set()

    @property
    def told(self) -> bool:
        """Whether it has ended and everybody has been told."""
        return self._done.is_set()

    def start(self) -> None:
        """Work in a thread of its own; returns at once."""
        self._thread = ending.Thread(self.work, "run")
        self._thread.start()

    def pause(self) -> None:
        """Hold before the next batch."""
        self._go.clear()

    def resume(self, until: int | None = None) -> None:
        """Go on; with `until`, pause again when that many iterations are finished."""
        with self._lock:
            self._pause_at = until
        self._go.set()

    def stop(self) -> None:
        """End before the next batch."""
        self._stop.set()
        self._go.set()

    def leave(self) -> None:
        """End before the next batch, and tell nobody: the process ends."""
        self._quiet = True
        self.stop()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Within it no batch is done; one that is being done is waited for."""
        if not self.active or self._thread is threading.current_thread():
            yield
            return
        with self._lock:
            self._held += 1
        try:
            with self._batch:
                yield
        finally:
            with self._lock:
                self._held -= 1

    def forked(self) -> None:
        """In a forked child there is no thread that works: the run is over here, and goes on in the parent."""
        self._over = True
        self._lock, self._batch = threading.Lock(), threading.Lock()
        self._stop, self._done = threading.Event(), threading.Event()
        self._stop.set()
        self._done.set()
        self._thread = None

    def change_plan(self, plan: Plan) -> None:
        """Hand a new plan to the generator before the next batch."""
        with self._lock:
            self._plan = plan

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is the one that works."""
        return self._worked_by == threading.get_ident()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it has come. Called by the one who works (an observer), it does not wait."""
        mine = self.is_mine
        ended = self._done.wait(0 if mine else timeout)
        if ended and self._thread is not None and not mine:
            self._thread.join(timeout)
        return ended

    def work(self) -> None:
        """The loop itself."""
        self._worked_by = threading.get_ident()
        status: str = "error"
        problem: BaseException | None = None
        try:
            status = self._loop()
        except KeyboardInterrupt as interrupt:  # only where the loop runs in the cell
            status, problem = "stopped", interrupt
        except Exception as error:
            problem = error
        finally:
            self._states.close()
            self._over = True
            try:
                if not self._quiet:
                    self._on_status(status, problem)
            except Forgotten:
                pass  # nobody is left to tell
            finally:
                self._done.set()

    def _loop(self) -> str:
        begun = False
        while True:
            if self._stop.is_set():
                return "stopped"
            if not self._go.is_set():
                self._on_status("paused", None)
                self._go.wait()
                if not self._stop.is_set():
                    self._on_status("running", None)
                continue
            while self._held:
                time.sleep(0.001)
            try:
                with self._batch if begun else nullcontext():
                    state = self._states.send(self._take_plan() if begun else None)
            except StopIteration:
                return "stopped" if self._stop.is_set() else "finished"
            begun = True
            self._on_state(state)
            with self._lock:
                if self._pause_at is not None and state.at_iteration_end and state.iteration >= self._pause_at:
                    self._pause_at = None
                    self._go.clear()

    def _take_plan(self) -> Any:
        with self._lock:
            plan, self._plan = self._plan, None
        return plan


def weakly(method: Any) -> Any:
    """A callback that does not keep its owner alive."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        target = reference()
        if target is None:
            raise Forgotten
        target(*arguments)

    return call
