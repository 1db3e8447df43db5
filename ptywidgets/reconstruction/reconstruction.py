"""The one state object that all widgets share."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Generator
from typing import Any

import numpy as np
from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Unicode

from ptywidgets.engine.adopt import adopt
from ptywidgets.engine.composition import Composition
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError, ParameterError, PtyError, unknown_name
from ptywidgets.engine.io import read
from ptywidgets.engine.io.checkpoint import load_checkpoint
from ptywidgets.engine.iterate import steps
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.prepare import Measurement, prepare
from ptywidgets.engine.probe import Optics
from ptywidgets.engine.problem import Problem, make_problem
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.engine.schedule import Stage, auto, for_auto, staged
from ptywidgets.engine.state import State
from ptywidgets.reconstruction import keeping
from ptywidgets.reconstruction.clock import Clock
from ptywidgets.reconstruction.hosts import shows_threads
from ptywidgets.reconstruction.look import Look
from ptywidgets.reconstruction.mailbox import Mailbox
from ptywidgets.reconstruction.results import Results
from ptywidgets.reconstruction.runner import Runner, weakly
from ptywidgets.reconstruction.snapshot import take_snapshot
from ptywidgets.reconstruction.starting import Starting

STATUSES = ("empty", "ready", "running", "paused", "stopped", "finished", "error")
FOUND = ("measurement", "start_decisions", "status", "iteration", "message")  # traits that nobody gives
_RUNNING: weakref.WeakSet[Reconstruction] = weakref.WeakSet()


class Reconstruction(Results, Starting):
    """Data, calibration, probe, plan, run and results in one place; widgets are views of it, and it needs none.

    Parameters
    ----------
    dataset : Dataset, optional
        From :func:`ptywidgets.read` or :mod:`ptywidgets.samples`.
    defocus : float, optional
        In A; other aberrations through ``optics``.

    Notes
    -----
    Traits to observe: `dataset`, `preparation`, `measurement`, `optics`, `start_image`, `start_decisions`,
    `object_type`, `composition`, `plan`, `device`, `look`, `status`, `iteration`, `message`. Their values are
    replaced, never changed in place. Observers may be called on any thread; one that fails is logged and disconnected.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    >>> recon.run(3).iteration
    3
    >>> recon.object_phase.ndim, len(recon.losses)
    (2, 3)
    """

    dataset = Instance(Dataset, allow_none=True, help="The data.")
    object_type = Enum(tuple(SPECIMENS), "potential", help="What is unknown: a complex object or a potential.")
    composition = Instance(Composition, args=(), help="What the model is made of: slices, modes, coherence, diffuse.")
    plan = Instance(Plan, args=(), help="How long, in what batches, by which rule.")
    auto = Bool(True, help="The schedule that finds its own way, instead of the plan's batches and rule.")
    device = Unicode("cpu", help="cpu or gpu.")
    status = Enum(STATUSES, "empty", help="Where the run stands.")
    iteration = Int(0, help="Finished iterations.")
    look = Instance(Look, args=(), help="What snapshots hold: which slice, which mode, a section.")
    message = Unicode("", help="The last thing worth saying, in one sentence.")
    autosave = AnyTrait(None, allow_none=True, help="Path to which a running reconstruction is saved once a minute.")

    def __init__(self, dataset: Dataset | None = None, *, defocus: float | None = None, **values: Any) -> None:
        known = [n for n in self.trait_names() if n not in FOUND]
        for name in values:
            if name not in known:
                raise unknown_name("argument of Reconstruction", name, [*known, "defocus"])
        self._lock = threading.RLock()
        self._runner: Runner | None = None
        self._problem: Problem | None = None
        self._coarse: tuple[Problem, Problem] | None = None  # a problem, and the same at the window of the state
        self._composed: tuple[Composition, str] | None = None  # what the problem was made of
        self._stages: tuple[Stage, ...] = ()
        self._state: State | None = None
        self._stale = False  # the present state belongs to other data or another probe
        self._goal: int | None = None  # where the present run ends, where that is not what is planned
        self._error: BaseException | None = None
        self._clock = Clock()
        self._publishing = threading.RLock()
        self.mailbox = Mailbox()
        super().__init__(**values)
        if "plan" not in values:
            self.plan = self.plan.replace(
                constraints=default_constraints(self.object_type), refinements=default_refinements(self.composition)
            )
        elif "auto" not in values:
            self.auto = False
        if dataset is not None:
            self.dataset = dataset
            if "optics" not in values:
                self.optics = Optics.from_dataset(dataset)
            self.status = "ready"
        if defocus is not None:
            self.optics = self.optics.replace(aberrations=self.optics.aberrations.replace(defocus=defocus))
        self.observe(self._follow_inputs, ["dataset", "measurement", "optics"])
        self.observe(self._follow_object_type, "object_type")
        self.observe(self._follow_composition, "composition")
        self.observe(self._follow_plan, "plan")
        self.observe(self._follow_auto, "auto")
        self.observe(self._follow_model, ["composition", "object_type"])
        self.observe(self._follow_look, "look")

    # ---------------------------------------------------------------- opening

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        vacuum: str | os.PathLike[str] | np.ndarray | None = None,
        *,
        defocus: float | None = None,
        **calibration: Any,
    ) -> Reconstruction:
        """Open a file of data, or a saved reconstruction.

        Parameters
        ----------
        path : path
            Anything that :func:`ptywidgets.read` understands, or what :meth:`save` wrote.
        vacuum : path or ndarray, optional
            Vacuum pattern.
        defocus : float, optional
            In A.
        **calibration
            What the file does not say: ``energy=80e3`` (eV), ``semiangle=20`` (mrad), ``scan_step`` (A), ``q_pixel``
            (1/A).
        """
        if _is_checkpoint(path):
            return cls.load(path)
        dataset = read(path, **calibration)
        if vacuum is not None:
            dataset = dataset.with_vacuum(vacuum)
        return cls(dataset, defocus=defocus)

    # ---------------------------------------------------------------- changing

    def set_calibration(self, **changes: Any) -> None:
        """Change energy (eV), scan_step (A), q_pixel (1/A) or semiangle (mrad)."""
        dataset = self._data()
        self._require_idle("change the calibration")
        calibration = dataset.calibration.replace(**changes)
        self.dataset = dataset.with_calibration(**changes)
        self.measurement = None
        if "semiangle" in changes:
            self.optics = self.optics.replace(semiangle=calibration.semiangle)

    def update_plan(self, **changes: Any) -> None:
        """Change fields of :attr:`plan`, or of its algorithm; a running reconstruction follows from its next batch."""
        own = {k: v for k, v in changes.items() if k in self.plan.to_dict()}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            own["algorithm"] = self.plan.algorithm.replace(**rest)
        if "iterations" in own:
            self._goal = None
        self.plan = self.plan.replace(**own)
        runner = self._runner
        if runner is not None and runner.active:
            runner.change_plan(self.plan.replace(iterations=self.goal))

    # ---------------------------------------------------------------- running

    def start(self, n: int | None = None, *, block: bool | None = None) -> Reconstruction:
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

    def run(self, n: int | None = None) -> Reconstruction:
        """Start and wait: for scripts. An interrupt stops the run and keeps what it has."""
        self.start(n, block=False)
        return self.wait()

    def step(self) -> Reconstruction:
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

    def pause(self) -> Reconstruction:
        """Hold before the next batch; :meth:`resume` goes on."""
        if self._runner is not None:
            self._runner.pause()
        return self

    def resume(self) -> Reconstruction:
        """Go on after a pause, or after a stop."""
        if self._runner is not None and self._runner.active and not self._remodelled:
            self._runner.resume()
            return self
        return self.start()

    def stop(self, timeout: float = 60.0) -> Reconstruction:
        """End before the next batch and keep everything; returns when the thread has ended."""
        self.request_stop()
        if self._runner is not None:
            self._runner.wait(timeout)
        return self

    def request_stop(self) -> None:
        """Ask the run to end before the next batch, and return at once: for buttons."""
        if self._runner is not None:
            self._runner.stop()

    def wait(self, timeout: float | None = None) -> Reconstruction:
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

    def reset(self) -> Reconstruction:
        """Stop, and forget object, probe and losses; data, calibration and plan stay."""
        self.stop()
        self._state = None
        self._problem = None
        self._error = None
        self._stale = False
        self._goal = None
        self.iteration = 0
        self.message = ""
        self.status = "empty" if self.dataset is None else "ready"
        return self

    # ---------------------------------------------------------------- keeping

    def save(self, path: str | os.PathLike[str]) -> str:
        """Save everything but the patterns themselves into one EMD file; an older file stays whole until it is done."""
        return keeping.save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], dataset: Dataset | str | os.PathLike[str] | None = None
    ) -> Reconstruction:
        """Load what :meth:`save` wrote, and go on where it stopped.

        Parameters
        ----------
        path : path
        dataset : Dataset or path, optional
            The data, where they are no longer at the path that the file remembers.
        """
        checkpoint, dataset = keeping.load(path, dataset)
        recon = cls(
            dataset,
            optics=checkpoint.optics,
            plan=checkpoint.plan,
            preparation=checkpoint.preparation,
            object_type=checkpoint.object_type,
            composition=checkpoint.composition,
        )
        if checkpoint.state is not None:
            recon._started_from = checkpoint.provenance.get("started_from", "empty")
            recon.auto = checkpoint.provenance.get("schedule") == "automatic"
            recon._continue_from(checkpoint.state)
        return recon

    def _continue_from(self, state: State) -> None:
        self.measurement = measurement = prepare(self._data(), self.preparation)
        self._problem = problem = self._make_problem(measurement)
        self._composed = (self.composition, self.object_type)
        self._state = problem.on_device(state)
        self._stale = False
        self.iteration = state.iteration
        self.status = "stopped"
        self._publish()

    def __repr__(self) -> str:
        data = "no data" if self.dataset is None else repr(self.dataset)
        error = f", error {self.error:.4g}" if self.losses else ""
        return f"Reconstruction({data}; {self.status}, iteration {self.iteration} of {self.goal}{error})"

    # ---------------------------------------------------------------- inside

    def _data(self) -> Dataset:
        if self.dataset is None:
            raise DataError("there are no data yet: Reconstruction.open(path), or set `dataset`.")
        return self.dataset

    def _require_idle(self, what: str) -> None:
        if self._runner is not None and self._runner.active:
            raise ParameterError(f"cannot {what} while the reconstruction is {self.status}; stop it first.")

    def _follow_inputs(self, change: Any) -> None:
        self._stale = True
        if change["name"] == "dataset" and change["old"] is not change["new"] and not self._taking:
            self.measurement = self.start_image = None
            self.start_decisions = ()
            if self.status == "empty" and change["new"] is not None:
                self.status = "ready"

    def _follow_object_type(self, change: Any) -> None:
        if self.plan.constraints == default_constraints(change["old"]):
            self.plan = self.plan.replace(constraints=default_constraints(change["new"]))

    def _follow_composition(self, change: Any) -> None:
        """What the model has to find is refined, and no longer when it has not: the rest of the plan stays."""
        before, now = default_refinements(change["old"]), default_refinements(change["new"])
        if before != now:
            others = tuple(r for r in self.plan.refinements if r not in before and type(r) not in map(type, now))
            self.plan = self.plan.replace(refinements=(*others, *now))

    def _follow_plan(self, change: Any) -> None:
        """Whoever chooses batches or a rule has planned; how long and under which constraints is asked of both."""
        old, new = change["old"], change["new"]
        if (old.batch, old.algorithm) != (new.batch, new.algorithm):
            self.auto = False

    def _follow_auto(self, change: Any) -> None:
        if self._runner is not None and self._runner.active:
            self.message = "The method changes with the next run: Stop, then Run."

    def _follow_model(self, change: Any) -> None:
        if self._runner is not None and self._runner.active:
            goes_on = "Resume goes on with it" if self.status == "paused" else "Pause and Resume, or Stop and Run"
            self.message = f"The model changes with the next run: {goes_on}."

    def _follow_look(self, change: Any) -> None:
        self._publish()

    @property
    def _remodelled(self) -> bool:
        """Whether the model was changed during a pause."""
        return self.status == "paused" and self._composed not in (None, (self.composition, self.object_type))

    def _make_problem(self, measurement: Measurement) -> Problem:
        composition = self.composition
        return make_problem(
            measurement,
            self.optics,
            model=composition.model(self.object_type, measurement),
            probe=composition.first_probe(self.optics, measurement),
            device=self.device,
        )

    def _ready(self) -> tuple[Problem, State]:
        """The problem to work on and the state to go on from, in the present object type and on the present device."""
        measurement = self.measurement or self._prepare()
        old, state = self._problem, self._state
        if old is None or state is None or self._stale:
            if state is not None:
                self.message = "Started anew: data or probe have changed."
            problem = self._begin_from_image(self._make_problem(measurement))
            state = problem.start()
            self.iteration = 0
            self._stale = False
        elif self._composed != (self.composition, self.object_type):
            problem = self._make_problem(measurement)
            # Stages of the automatic schedule, and the batches of an iteration, are those of a model.
            anew = {"stage": 0, "begun": state.iteration, "order": None, "batch": 0, "partial_loss": 0.0}
            state = adopt(problem, old, state).replace(**anew)
        elif old.backend.name != self.device:
            host, problem = old.backend.to_numpy, self._make_problem(measurement)
            state = problem.on_device(state.replace(object=host(state.object), probe=host(state.probe)))
        else:
            problem = old
        self._composed = (self.composition, self.object_type)
        self._problem, self._state = problem, state
        return problem, state

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
            self._data().calibration.check_complete()
            self._error = None
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

    def _same_data(self, other: Reconstruction) -> bool:
        if self.dataset is None or other.dataset is None:
            return False
        mine, theirs = self.dataset, other.dataset
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
        if status in ("finished", "stopped", "error"):
            _RUNNING.discard(self)
            if self._problem is not None:
                self._problem.backend.close()
        if state is not None:
            self.iteration = state.iteration
            if status == "finished":
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
            self.mailbox.put(take_snapshot(*present, self.status, self.goal, self.seconds_per_iteration, self.look))
            self._clock.shown(time.perf_counter() - begun)

    def _raise(self) -> None:
        if self.status == "error" and self._error is not None:
            raise self._error


def _states(owner: weakref.ref[Reconstruction], n: int | None) -> Generator[State, Plan | None, None]:
    """The states of a run, prepared by the one who works, so that the one who starts need not wait."""
    recon = owner()
    if recon is None:
        return
    states = recon._planned_states(n)
    del recon
    yield from states


def _is_checkpoint(path: Any) -> bool:
    try:
        load_checkpoint(path)
    except PtyError:
        return False
    return True


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"


__all__ = ["STATUSES", "Reconstruction"]
