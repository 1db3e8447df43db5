"""The side of a reconstruction that runs: commands, the thread that obeys them, and what is told about it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from traitlets import Tuple

from ptywidgets.engine.doctor import Finding, examine
from ptywidgets.engine.doubts import ERROR, doubts_of
from ptywidgets.engine.errors import PtyError
from ptywidgets.engine.iterate import steps
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.schedule import Stage, auto, for_auto, staged
from ptywidgets.engine.state import State
from ptywidgets.reconstruction.clock import Clock
from ptywidgets.reconstruction.hosts import shows_threads
from ptywidgets.reconstruction.inputs import Halted
from ptywidgets.reconstruction.mailbox import Mailbox
from ptywidgets.reconstruction.making import Making
from ptywidgets.reconstruction.runner import Runner, weakly
from ptywidgets.reconstruction.snapshot import take_snapshot

if TYPE_CHECKING:
    from typing_extensions import Self

_RUNNING: weakref.WeakSet[Running] = weakref.WeakSet()


class Running(Making):
    """Start, pause, step and stop; one run at a time."""

    doubts = Tuple(help="What should be doubted after a run that has ended: findings, each with a remedy.")

    auto: Any
    autosave: Any
    look: Any
    losses: Any
    goal: Any
    present: Any
    seconds_per_iteration: Any
    save: Any
    mailbox: Mailbox
    _lock: threading.RLock
    _publishing: threading.RLock
    _runner: Runner | None
    _stages: tuple[Stage, ...]
    _goal: int | None  # where the present run ends, where that is not what is planned
    _error: BaseException | None
    _clock: Clock
    _seen: Any
    _examined: tuple[tuple[Any, ...], tuple[Finding, ...]] | None = None  # data and start, and what is bad about them

    def start(self, n: int | None = None, *, block: bool | None = None) -> Self:
        """Begin, or go on; returns at once while the work is done in a thread.

        Parameters
        ----------
        n : int, optional
            Iterations to add; by default up to ``plan.iterations``, or as many again when those are done.
        block : bool, optional
            Work in the calling cell instead. By default only where the host does not show what threads send (Colab);
            the interrupt button then means stop and keep.
        """
        runner = self._begin(n)
        if runner is None:
            return self
        if block if block is not None else not shows_threads():
            runner.work()
            if isinstance(self._error, KeyboardInterrupt):
                print(f"Stopped after {self.iteration} iterations; everything is kept. start() goes on.")
            elif self.status == "error":
                self._raise()
        else:
            runner.start()
        return self

    def run(self, n: int | None = None) -> Self:
        """Start and wait: for scripts. An interrupt stops the run and keeps what it has."""
        self.start(n, block=False)
        return self.wait()

    def step(self) -> Self:
        """One iteration, then pause."""
        runner = self._runner
        if runner is not None and runner.active and not self._remodelled:
            runner.resume(until=self.iteration + 1)
        elif not shows_threads():
            self.start(1)  # a pause would hold the cell
        else:
            runner = self._begin(None)
            if runner is not None:
                done = 0 if self._state is None or self._stale else self._state.iteration
                runner.resume(until=done + 1)
                runner.start()
        return self

    def pause(self) -> Self:
        """Hold before the next batch; :meth:`resume` goes on."""
        if self._runner is not None:
            self._runner.pause()
        return self

    def resume(self) -> Self:
        """Go on after a pause, or after a stop."""
        if self._runner is not None and self._runner.active and not self._remodelled:
            self._runner.resume()
            return self
        return self.start()

    def stop(self, timeout: float = 60.0) -> Self:
        """End before the next batch and keep everything; returns when the thread has ended."""
        self.request_stop()
        if self._runner is not None:
            self._runner.wait(timeout)
        return self

    def request_stop(self) -> None:
        """Ask the run to end before the next batch, and return at once: for buttons."""
        if self._runner is not None:
            self._runner.stop()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end of the run (or of `timeout` seconds); raises what went wrong in it."""
        runner = self._runner
        if runner is None:
            return self
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while not runner.wait(0.2):  # short waits, so that an interrupt is heard on every platform
                if self.status == "paused" or (end is not None and time.monotonic() > end):
                    return self
        except KeyboardInterrupt:
            self.stop()
            print(f"Stopped after {self.iteration} iterations; everything is kept. run() or start() goes on.")
            return self
        self._raise()
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The automatic schedule of the latest run, each stage with its reason."""
        return self._stages

    @property
    def stage(self) -> Stage | None:
        """What the automatic schedule is doing; None before it has begun, or where there is a plan."""
        if not self.auto or self._state is None or self._state.stage >= len(self._stages):
            return None
        return self._stages[self._state.stage]

    def _begin(self, n: int | None) -> Runner | None:
        with self._lock:
            if self._remodelled:  # another run takes over, with what is left to do
                n = max(1, self.goal - self.iteration) if n is None else n
                self.stop()
            if self._runner is not None and self._runner.active:
                if self.status == "paused":
                    self._runner.resume()
                else:
                    self.message = "It is running already."
                return None
            self._check_given()
            self._error = None
            self.doubts = ()
            self.message = ""
            for other in [r for r in _RUNNING if r is not self and r._same_data(self)]:
                other.stop()  # a cell that was run again must not leave two runs fighting for the processor
                other.message = "Stopped because the same data were started in another reconstruction."
            owner = weakref.ref(self)
            runner = Runner(_states(owner, n), weakly(self._on_state), weakly(self._on_status))
            weakref.finalize(self, runner.stop)  # a paused one must not wait for an owner that is gone
            self._runner = runner
            _RUNNING.add(self)
            self.status = "running"
            return runner

    def _planned_states(self, n: int | None) -> Generator[State, Plan | None, None]:
        problem, state = self._ready()
        target = state.iteration + n if n is not None else self.plan.iterations
        if target <= state.iteration:
            target = state.iteration + self.plan.iterations
        self._goal = target
        self._clock = Clock()
        plan = self.plan.replace(iterations=target)
        if not self.auto:
            return steps(problem, plan, problem.bring(state))
        training = for_auto(problem, seed=plan.seed)
        self._stages = auto(training, iterations=target, constraints=plan.constraints)
        return staged(training, self._stages, plan, state if state.iteration or not state.at_iteration_end else None)

    @property
    def exception(self) -> BaseException | None:
        """What went wrong in the latest run; None where nothing did."""
        return self._error

    def _doubt(self) -> None:
        """At the end of a run, by the one who works: what should be doubted of what it has come to."""
        seen, dataset, measurement = self._seen, self.dataset, self.measurement
        if seen is None or dataset is None or measurement is None:
            return
        of_the_run = doubts_of(seen[0], seen[1], self.plan)
        looked_at = (dataset, measurement, self.optics)
        if self._examined is None or any(a is not b for a, b in zip(self._examined[0], looked_at, strict=True)):
            of_the_data = tuple(f for f in examine(*looked_at, quick=True) if f.verdict == "bad")
            self._examined = (looked_at, of_the_data)
        names = [finding.name for finding in of_the_run]
        self.doubts = (*of_the_run, *(finding for finding in self._examined[1] if finding.name not in names))

    def _same_data(self, other: Running) -> bool:
        mine, theirs = (r.dataset if r.views is None else r.views.datasets[0] for r in (self, other))
        if mine is None or theirs is None:
            return False
        return mine is theirs or (mine.path == theirs.path and mine.name == theirs.name and mine.shape == theirs.shape)

    def _on_state(self, state: State) -> None:
        """Called by the worker after every batch."""
        self._state = state
        if state.at_iteration_end:
            self._clock.tick()
            if self.autosave is not None and self._clock.save_due():
                self.save(self.autosave)
        if self._clock.show_due():
            self._publish()
            self.iteration = state.iteration

    def _on_status(self, status: str, error: BaseException | None) -> None:
        """Called by the worker when it pauses, goes on or ends."""
        self._error = error
        state = self._state
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.message = _in_words(error)
        if status == "finished" and self.doubts:
            told = " ".join(f"{finding.sentence} {finding.remedy}".strip() for finding in self.doubts)
            self.message = f"{self._found_words} Doubtful: {told}".strip()
            if any(finding.name == ERROR for finding in self.doubts):
                status = "doubtful"
        if status in ("finished", "doubtful", "stopped", "error"):
            _RUNNING.discard(self)
            if self._problem is not None:
                self._problem.backend.close()
        if state is not None:
            self.iteration = state.iteration
            if status in ("finished", "doubtful"):
                self._goal = state.iteration  # which the automatic schedule finds by itself
        self.status = status
        if state is not None:
            self._publish()

    def _publish(self) -> None:
        if not self.mailbox.watched:
            return
        with self._publishing:  # the worker, and who looks elsewhere: the newest state comes last
            present = self.present
            if present is None:
                return
            begun = time.perf_counter()
            problem, state = present
            shot = take_snapshot(problem, state, self.status, self.goal, self.seconds_per_iteration, self.look)
            self.mailbox.put(shot)
            self._clock.shown(time.perf_counter() - begun)

    def _raise(self) -> None:
        if self.status == "error" and self._error is not None:
            raise self._error


def _states(owner: weakref.ref[Running], n: int | None) -> Generator[State, Plan | None, None]:
    """The states of a run, prepared by the one who works, so that the one who starts need not wait."""
    recon = owner()
    if recon is None:
        return
    try:
        states = recon._planned_states(n)
    except Halted:
        return
    del recon
    yield from states
    recon = owner()
    if recon is not None:
        recon._doubt()


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"


__all__ = ["Running"]
