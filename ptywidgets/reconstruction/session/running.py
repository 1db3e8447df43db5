"""The side of a reconstruction that runs: commands, the thread that obeys them, and what is told about it."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from traitlets import Tuple

from ptywidgets.engine.checks.doctor import Finding, examine
from ptywidgets.engine.checks.doubts import HARDLY, SEVERE, doubtful, doubts_of
from ptywidgets.engine.core.errors import FileInTheWay, PtyError
from ptywidgets.engine.core.params import duration, whole_number
from ptywidgets.engine.core.state import State
from ptywidgets.engine.solve.iterate import steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import Stage, automatic_schedule, prepared_for_schedule, run_stages
from ptywidgets.reconstruction.inputs.inputs import Halted
from ptywidgets.reconstruction.inputs.making import Making
from ptywidgets.reconstruction.result.snapshot import take_snapshot
from ptywidgets.reconstruction.saving.autosaving import Autosaves
from ptywidgets.reconstruction.session import ending
from ptywidgets.reconstruction.session.hosts import (
    Cell,
    current_cell,
    drop_results,
    shows_threads,
    until_run_again,
    variables,
)
from ptywidgets.reconstruction.session.run_timer import RunTimer
from ptywidgets.reconstruction.session.runner import Runner, weakly
from ptywidgets.reconstruction.session.snapshot_channel import SnapshotChannel

if TYPE_CHECKING:
    from typing_extensions import Self


class Running(Making):
    """Start, pause, step and stop; one run at a time."""

    doubts = Tuple(help="What should be doubted after a run that has ended: findings, each with a remedy.")

    schedule: Any
    autosave: Any
    look: Any
    losses: Any
    target_iteration: Any
    present: Any
    seconds_per_iteration: Any
    save: Any
    _check_path: Any
    snapshots: SnapshotChannel
    _say_unsaveable: Any
    _lock: threading.RLock
    _publishing: threading.RLock
    _runner: Runner | None
    _stages: tuple[Stage, ...]
    _target_iteration: int | None  # where the present run ends, where that is not what is planned
    _error: BaseException | None
    _timer: RunTimer
    _autosaves: Autosaves | None = None  # of the present run
    _cell: Cell | None = None  # of a notebook, in which it was made
    _names: frozenset[str] = frozenset()  # variables of the notebook that it had when last looked
    _forgotten: weakref.finalize[..., Any] | None = None  # stops a run whose owner is gone
    _seen: Any
    _training: Any = None  # the problem of an automatic run, with the counts that it does not get to see
    probe_is_given: Any
    optics: Any
    views: Any
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
        n = None if n is None else whole_number("n", n, unit="iterations")
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
        """Start and wait: for scripts. An interrupt stops the run and keeps what it has.

        Parameters
        ----------
        n : int, optional
            Iterations to add, 1 or more; by default as :meth:`start`.

        Raises
        ------
        ParameterError
            When `n` is no whole number of at least 1.
        """
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

    def stop(self, timeout: float | None = 60.0) -> Self:
        """End before the next batch and keep everything; returns when the thread has ended.

        A search for the start that goes on, by :meth:`calibrate` on another thread, is ended too.
        """
        seconds = math.inf if timeout is None else duration("timeout", timeout)
        self.request_stop()
        self._stop_searches(None if seconds == math.inf else seconds)
        if self._runner is not None:
            self._runner.wait(None if seconds == math.inf else seconds)
        return self

    def request_stop(self) -> None:
        """Ask the run to end before the next batch, or a search to end, and return at once: for buttons."""
        self._stop_searches()
        if self._runner is not None:
            self._runner.stop()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end of the run (or of `timeout` seconds); raises what went wrong in it."""
        timeout = None if timeout is None else duration("timeout", timeout)
        runner = self._runner
        if runner is None:
            return self
        end = None if timeout is None else time.monotonic() + timeout
        try:
            with ending.waited_for(runner):
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
        if self.schedule == "manual" or self._state is None or self._state.stage >= len(self._stages):
            return None
        return self._stages[self._state.stage]

    def _begin(self, n: int | None) -> Runner | None:
        with self._lock:
            if self._remodelled:  # another run takes over, with what is left to do
                n = max(1, self.target_iteration - self.iteration) if n is None else n
                self.stop()
            if self._runner is not None and self._runner.active:
                if self.status == "paused":
                    self._runner.resume()
                else:
                    self.message = "It is running already."
                return None
            self._check_given()
            if self.autosave is not None:
                self._check_autosave_path(self.autosave)  # before the work: the data may have changed since it was set
            self._autosaves = None
            self._error = None
            self.doubts = ()
            self.message = ""
            self._say_unsaveable()
            for other in [run for run in ending.RUNS if self._replaces(run)]:
                other.stop()  # a cell that was run again must not leave two runs fighting for the processor
                other.message = "Stopped: its cell was run again, which has started the same data anew."
            self._names = variables(self)
            owner = weakref.ref(self)
            runner = Runner(_states(owner, n), weakly(self._on_state), weakly(self._on_status))
            if self._forgotten is not None:
                self._forgotten.detach()
            self._forgotten = weakref.finalize(self, runner.stop)  # a paused one waits for no owner that is gone
            self._forgotten.atexit = False
            self._runner = runner
            ending.RUNS.add(self)
            self.status = "running"
            return runner

    def _planned_states(self, n: int | None) -> Generator[State, Plan | None, None]:
        problem, state = self._ready()
        target = state.iteration + n if n is not None else self.plan.iterations
        if target <= state.iteration:
            target = state.iteration + self.plan.iterations
        self._target_iteration = target
        self._timer = RunTimer()
        plan = self.plan.replace(iterations=target)
        self._training = None
        if self.schedule == "manual":
            return steps(problem, plan, problem.resample_state(state))
        training = self._training = prepared_for_schedule(problem, seed=plan.seed)
        self._stages = automatic_schedule(training, iterations=target, constraints=plan.constraints)
        begun = state.iteration or not state.at_iteration_end
        return run_stages(training, self._stages, plan, state if begun else None)

    def _note_cell(self) -> None:
        """Remember where this one is made, and which variables those have now that run."""
        self._cell = current_cell()
        until_run_again(self, drop_results)
        if self._cell is not None:
            for run in ending.RUNS:
                run._names = variables(run) or run._names

    def _replaces(self, other: Running) -> bool:
        """Whether this one was made in the place of another, of the same data.

        That is so when the cell of a notebook in which the other was made has been run again, or when another cell has
        given its variable to this one. Reconstructions that one execution makes, those of scripts, threads and
        processes, and those that have a variable of their own run beside each other.
        """
        mine, theirs = self._cell, other._cell
        if mine is None or theirs is None or mine.execution == theirs.execution or not self._same_data(other):
            return False
        return mine.again(theirs) or (bool(other._names & variables(self)) and not variables(other))

    @property
    def exception(self) -> BaseException | None:
        """What went wrong in the latest run; None where nothing did."""
        return self._error

    def _doubt(self) -> None:
        """At the end of a run, by the one who works: what should be doubted of what it has come to."""
        seen, dataset, measurement = self._seen, self.dataset, self.measurement
        if seen is None or dataset is None or measurement is None:
            return
        problem, state = seen
        held = self._training
        if held is not None and self.views is None:
            problem = held.at_window(tuple(state.probe.shape[-2:]))
        lens = self.optics.aberrations
        known: dict[str, Any] = {"defocus": lens["defocus"] if lens.known and not self.probe_is_given else 0.0}
        if self.schedule == "automatic" and state.iteration < self.target_iteration:
            known["settled"] = True  # the schedule has ended it, as held-out counts were no longer better explained
        if self.views is not None:
            known["most"] = HARDLY
        before = self.message
        try:
            progress = self._look_further if self.views is None else None
            of_the_run = doubts_of(problem, state, self.plan, progress=progress, **known)
        except Halted:
            self.message = before
            of_the_run = doubts_of(problem, state, self.plan, **known)
        self._training = None
        looked_at = (dataset, measurement, self.optics)
        if self._examined is None or any(a is not b for a, b in zip(self._examined[0], looked_at, strict=True)):
            of_the_data = tuple(f for f in examine(*looked_at, quick=True) if f.verdict == "bad")
            self._examined = (looked_at, of_the_data)
        names = [finding.name for finding in of_the_run]
        self.doubts = (
            *of_the_run,
            *self._doubts_of_scale,
            *(finding for finding in self._examined[1] if finding.name not in names),
        )

    def _look_further(self, words: str) -> None:
        """Say what is tried, as the patterns are not explained; raises Halted where the run is to stop."""
        if self._runner is not None and self._runner.stopping:
            raise Halted
        self.message = f"The patterns are not explained; looking {words}."

    def _same_data(self, other: Running) -> bool:
        mine, theirs = (r.dataset if r.views is None else r.views.datasets[0] for r in (self, other))
        if mine is None or theirs is None:
            return False
        return mine is theirs or (mine.path == theirs.path and mine.name == theirs.name and mine.shape == theirs.shape)

    def _on_state(self, state: State) -> None:
        """Called by the worker after every batch."""
        self._state = state
        if state.at_iteration_end:
            self._timer.tick()
            if self.autosave is None:
                self._autosaves = None  # nobody asks for it any more, and nobody needs to hear of it
            elif self._timer.save_due():
                self._autosave(state.iteration)
        if self._timer.show_due():
            self._publish()
            self.iteration = state.iteration

    def _check_autosave_path(self, path: Any) -> None:
        try:
            self._check_path(path)
        except FileInTheWay as error:
            advice = "give autosave another name, or save there once with save(path, overwrite=True)"
            raise FileInTheWay(error.problem, advice) from None

    def _autosave(self, iteration: int) -> None:
        if self._autosaves is None:
            self._autosaves = Autosaves()
        said = self._autosaves.attempt(lambda: self.save(self.autosave), iteration)
        if said:
            self.message = said

    def _tell_of_autosaves(self) -> None:
        """At the end of a run: whether what it saved by itself is what it has come to."""
        verdict = "" if self._autosaves is None else self._autosaves.verdict
        if verdict:
            before = "" if self.message.startswith(Autosaves.FAILED) else self.message
            self.message = f"{before} {verdict}".strip()

    def _on_status(self, status: str, error: BaseException | None) -> None:
        """Called by the worker when it pauses, goes on or ends."""
        self._error = error
        state = self._state
        if status == "finished" and state is not None and self.autosave is not None:
            self._autosave(state.iteration)
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.message = _in_words(error)
        if status == "finished" and self.doubts:
            self.message = f"{self._found_words} {doubtful(self.doubts)}".strip()
            if any(finding.name in SEVERE for finding in self.doubts):
                status = "doubtful"
        if status in ("finished", "doubtful", "stopped", "error"):
            ending.RUNS.discard(self)
            if self._problem is not None:
                self._problem.backend.close()
        if state is not None:
            self.iteration = state.iteration
            if status in ("finished", "doubtful"):
                self._target_iteration = state.iteration  # which the automatic schedule finds by itself
        if status not in ("running", "paused"):
            self._tell_of_autosaves()
        self.status = status
        if state is not None:
            self._publish()

    def _publish(self) -> None:
        if not self.snapshots.has_subscribers:
            return
        with self._publishing:  # the worker, and who looks elsewhere: the newest state comes last
            present = self.present
            if present is None:
                return
            begun = time.perf_counter()
            problem, state = present
            shot = take_snapshot(
                problem, state, self.status, self.target_iteration, self.seconds_per_iteration, self.look
            )
            self.snapshots.publish(shot)
            self._timer.shown(time.perf_counter() - begun)

    # ---------------------------------------------------------------- the end of the process

    def _leave(self) -> None:
        """Let the run end, as the process does."""
        if self._runner is not None:
            self._runner.leave()

    def _last_words(self, may_save: bool) -> str:
        """Save what the run has where it saves anyway, and say what becomes of it: the process ends."""
        name = (None if self.dataset is None else self.dataset.name) or "unnamed data"
        state, path = self._state, self.autosave
        words = f"the program has ended in the middle of a run ({name}"
        if state is None:
            return f"{words}, before its first iteration). Wait for the end of a run by run() or wait()."
        words = f"{words}, iteration {state.iteration} of {self.target_iteration})"
        if path is None:
            return f"{words}; what it had is lost. Wait for the end of a run by run() or wait(), or set autosave."
        if not may_save:
            return f"{words}; it could not be saved to {path}, as data are still being read."
        try:
            self.save(path)
        except Exception as error:
            return f"{words}; it could not be saved to {path}: {_in_words(error)}"
        return f"{words}; saved to {path}. Reconstruction.load(path).start() goes on."

    def _forked(self) -> None:
        """In a forked child: the run goes on in the parent only, and its locks may be held by threads not here."""
        self._lock, self._publishing = threading.RLock(), threading.RLock()
        self.snapshots.forked()
        if self._runner is not None and self._runner.active:
            self._runner.forked()
            self._trait_values["status"] = "stopped"  # told to nobody: whoever observes shows it in the parent

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
        if not recon.message.startswith("Stopped"):  # which would go on saying what was about to be done
            stopped = "Stopped before the first iteration: nothing else was changed."
            recon.message = f"{recon._found_words} {stopped}" if recon._found_words else stopped.replace(" else", "")
        return
    del recon
    yield from states
    recon = owner()
    if recon is not None:
        recon._doubt()


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"


__all__ = ["Running"]
