"""What a run of a reconstruction does: its states, what is saved, shown and said of them, and what is to be doubted."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from ptywidgets.engine import ModelConfig
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit
from ptywidgets.engine.checks.doctor import Finding, examine
from ptywidgets.engine.checks.doubts import ERROR, HARDLY, SEVERE, SIGN, doubtful, doubts_of, has_settled
from ptywidgets.engine.checks.trials import Trial
from ptywidgets.engine.core.errors import ParameterError, PtyError
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.solve.iterate import steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import Stage, automatic_schedule, prepared_for_schedule, run_stages
from ptywidgets.reconstruction.following.as_rows_come import AsRowsCome
from ptywidgets.reconstruction.inputs.start_check import CHECKING
from ptywidgets.reconstruction.result.snapshot import take_snapshot
from ptywidgets.reconstruction.saving.autosaves import Autosaves
from ptywidgets.reconstruction.session import ending
from ptywidgets.reconstruction.session.model_choice import ModelChoice, model_of
from ptywidgets.reconstruction.session.run_timer import RunTimer
from ptywidgets.reconstruction.session.session import ENDED, Halted, Session
from ptywidgets.reconstruction.session.worker import States

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class ReconstructionWork:
    """What the session of a :class:`~ptywidgets.Reconstruction` drives."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self._publishing = threading.RLock()
        self._autosaves: Autosaves | None = None  # of the present run
        self.training: Any = None  # the problem of an automatic run, with the counts that it does not get to see
        self.tried: tuple[Trial, ...] | None = None  # other models, where the present run was not explained by its own
        self.usual = ModelConfig()  # where nobody has set another; with slices, where the start was found to need them
        self.chosen: ModelConfig | None = None  # by a run, and by nobody else
        self.outcome = ""  # the status that the latest run has ended with, which is saved before it is told
        self._standing: tuple[Finding, ...] = ()  # what was last doubted of the result: it stands until judged again
        self._examined: tuple[tuple[Any, ...], tuple[Finding, ...]] | None = None  # data and start, and what is bad

    @property
    def idle(self) -> str:
        """The status before a run."""
        return "empty" if self.recon.dataset is None else "ready"

    @property
    def iteration(self) -> int:
        """Finished iterations."""
        return self.recon.iteration

    @property
    def anew(self) -> bool:
        """Whether the next run begins with iteration 0."""
        return self.recon.result.state is None or self.recon._inputs.stale

    @property
    def left(self) -> int:
        """Iterations that the present run has still to do, 1 at least."""
        return max(1, self.recon.target_iteration - self.recon.iteration)

    @property
    def outdated(self) -> bool:
        """Whether the model was changed during a pause."""
        return self.recon._maker.has_other_model

    @property
    def target_iteration(self) -> int:
        """Iterations after which the present run ends; before a run, the planned ones."""
        target = self.recon._session.target
        return self.recon.plan.iterations if target is None else target

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The automatic schedule of the latest run, each stage with its reason."""
        return self.recon._session.stages

    @property
    def stage(self) -> Stage | None:
        """What the automatic schedule is doing; None before it has begun, or where there is a plan."""
        state, stages = self.recon.result.state, self.stages
        if self.recon.schedule == "manual" or state is None or state.stage >= len(stages):
            return None
        return stages[state.stage]

    # ---------------------------------------------------------------- a run

    def begin(self) -> None:
        """Ask what has to be asked, and refuse what could not be saved, before the work is done."""
        recon = self.recon
        recon._unknown.check_given()
        if recon.client is not None and (recon._following.goes_on or recon._following.has_more):
            raise ParameterError(
                "a file that is still being written is followed by one process and not by a cluster; set "
                "recon.client = None, or run when all rows have come."
            )
        if recon.autosave is not None:
            recon._files.check_autosave(recon.autosave)  # the data may have changed since it was set
        self._autosaves = None
        self.outcome = ""
        self._standing = tuple(one for one in recon.doubts if one.name in (ERROR, SIGN)) or self._standing
        recon.doubts = ()
        recon.message = ""
        recon._files.say_unsaveable()
        recon._made_in.take_over()

    def states(self, n: int | None) -> States:
        """Those of the plan, or of the automatic schedule."""
        recon, session = self.recon, self.recon._session
        self.tried = None
        if self.anew:
            self.put_back_model()
        problem, state = recon._maker.ready()
        if not state.iteration:
            self._standing = ()
        if recon._following.goes_on or recon._following.has_more:
            session.clock = RunTimer()
            return AsRowsCome(recon, problem, state, n).states()
        target = state.iteration + n if n is not None else recon.plan.iterations
        if target <= state.iteration:
            target = state.iteration + recon.plan.iterations
        session.target = target
        session.clock = RunTimer()
        plan = recon.plan.replace(iterations=target)
        self.training = None
        if recon.schedule == "manual":
            return self._on_cluster(steps(problem, plan, problem.resample_state(state)))
        training = self.training = prepared_for_schedule(problem, seed=plan.seed)
        session.stages = automatic_schedule(training, iterations=target, constraints=plan.constraints)
        begun = state if state.iteration or not state.at_iteration_end else None
        return ModelChoice(recon, self._on_cluster(run_stages(training, session.stages, plan, begun))).states()

    def _on_cluster(self, states: States) -> States:
        """The states, which on a cluster end in the middle of a batch, where it is waited for."""
        return states if self.recon.client is None else _stopped(states, weakref.ref(self.recon._session))

    def use(self, client: Any) -> None:
        """Runs are to be worked on by the workers of this client."""
        self.recon.client = client

    def stop_searches(self, wait: float | None = 0.0) -> None:
        """End what is looked for outside of a run."""
        self.recon._calibrator.stop_searches(wait)

    def halted(self) -> None:
        """Say what was found before it was stopped, if anything."""
        recon = self.recon
        if not recon.message.startswith("Stopped"):  # which would go on saying what was about to be done
            when = ", while the start was checked" if recon.message.startswith(CHECKING) else ""
            stopped = f"Stopped before the first iteration{when}: nothing else was changed."
            found = recon._unknown.found_words
            recon.message = f"{found} {stopped}" if found else stopped.replace(" else", "")

    def on_state(self, state: State) -> None:
        """Keep it, and where it is time, save and show it."""
        recon, clock = self.recon, self.recon._session.clock
        recon.result.state = state
        if state.at_iteration_end:
            if recon.autosave is None:
                self._autosaves = None  # nobody asks for it any more, and nobody needs to hear of it
            elif clock.save_due():
                self._autosave(state.iteration)
        if clock.show_due():
            self.publish()
            recon.iteration = state.iteration

    def on_end(self, status: str, error: BaseException | None) -> str:
        """Save and say what a run has come to; "doubtful" where it is finished and nobody should believe it."""
        recon, state = self.recon, self.recon.result.state
        if error is not None and not isinstance(error, KeyboardInterrupt):
            recon.message = _in_words(error)
        if status == "finished" and recon.doubts:
            recon.message = f"{recon._unknown.found_words} {doubtful(recon.doubts)}".strip()
            if any(finding.name in SEVERE for finding in recon.doubts):
                status = "doubtful"
        if status in ENDED:
            self.outcome = status
            if status in ("finished", "doubtful") and state is not None and recon.autosave is not None:
                before = recon.message
                self._autosave(state.iteration)
                recon.message = before  # of what has failed the verdict is told at the end
            ending.RUNS.discard(recon)
            recon._following.catch_up()
            if recon.result.whole is not None:
                recon.result.whole.backend.close()
        if state is not None:
            recon.iteration = state.iteration
            if status in ("finished", "doubtful"):
                recon._session.target = state.iteration  # which the automatic schedule finds by itself
        if status not in ("running", "paused"):
            self._tell_of_autosaves()
        return status

    def show(self, status: str) -> None:
        """The trait says it; what runs is known to the end of the process."""
        if status == "running":
            ending.RUNS.add(self.recon)
        self.recon.set_trait("status", status)

    def say(self, words: str) -> None:
        """In the trait."""
        self.recon.message = words

    def publish(self) -> None:
        """Leave a snapshot of the latest state in the mailbox, where anybody looks."""
        recon = self.recon
        if not recon.snapshots.has_subscribers:
            return
        with self._publishing:  # the worker, and who looks elsewhere: the newest state comes last
            shot_from = recon.present
            if shot_from is None:
                return
            begun = time.perf_counter()
            problem, state = shot_from
            shot = take_snapshot(
                problem, state, recon.status, recon.target_iteration, recon.seconds_per_iteration, recon.look
            )
            recon.snapshots.publish(shot)
            recon._session.clock.shown(time.perf_counter() - begun)

    def forget(self) -> None:
        """Object, probe and losses, and what :meth:`Reconstruction.begin_with` gave; data and plan stay."""
        recon, said = self.recon, ""
        if recon.given is not None:
            said = f"Forgotten, with the {recon.given.words}: begin_with(...) gives it again."
            recon.given = None
        recon.result.forget()
        recon._maker.forget()
        self.put_back_model()
        self.outcome = ""
        self._standing = ()
        recon._inputs.stale = False
        recon.iteration = 0
        recon.doubts = ()
        recon.message = said

    # ---------------------------------------------------------------- doubts

    @property
    def judged(self) -> tuple[Problem, State] | None:
        """What a run has come to, with the counts that it did not get to see; None before there is anything."""
        seen, of = self.recon.result.seen, self.recon._maker.made_of
        if seen is None or of is None:
            return None
        problem, state = seen
        held = self.training
        if held is not None and of.views is None:
            problem = held.at_window(tuple(state.probe.shape[-2:]))
        return problem, state

    @property
    def known_defocus(self) -> float:
        """Of the probe that the run began with, A; 0 where nobody knows."""
        of = self.recon._maker.made_of
        if of is None or (of.given is not None and of.given.probe is not None):
            return 0.0
        return of.optics.aberrations["defocus"] if of.optics.aberrations.known else 0.0

    def judge(self) -> None:
        """What should be doubted of what a run has come to, in the trait `doubts`."""
        recon = self.recon
        judged, of = self.judged, recon._maker.made_of
        if judged is None or of is None:
            return
        problem, state = judged
        known: dict[str, Any] = {"defocus": self.known_defocus, "tried": self.tried}
        if recon.schedule == "automatic" and state.iteration < recon.target_iteration:
            known["settled"] = True  # the schedule has ended it, as held-out counts were no longer better explained
        if of.views is not None:
            known["most"] = HARDLY
        before = recon.message
        try:
            progress = self.look_further if of.views is None else None
            of_the_run = doubts_of(problem, state, recon.plan, progress=progress, **known)
        except Halted:
            recon.message = f"{before} Stopped while looking why the patterns are not explained.".strip()
            of_the_run = doubts_of(problem, state, recon.plan, **known)
        self.training = None
        looked_at = (of.dataset, of.measurement, of.optics)
        if self._examined is None or any(a is not b for a, b in zip(self._examined[0], looked_at, strict=True)):
            of_the_data = tuple(f for f in examine(*looked_at, quick=True) if f.verdict == "bad")
            self._examined = (looked_at, of_the_data)
        if known.get("settled") or has_settled(state):
            self._standing = ()
        of_the_run = (*of_the_run, *_others(self._standing, of_the_run))
        recon.doubts = (*of_the_run, *recon._check.doubts, *_others(self._examined[1], of_the_run))

    def look_further(self, words: str) -> None:
        """Say what is tried, as the patterns are not explained; raises Halted where the run is to stop."""
        self.recon._session.halt()
        self.recon.message = f"The patterns are not explained; looking {words}."

    # ---------------------------------------------------------------- models that nobody has set

    @property
    def model_is_found(self) -> bool:
        """Whether the model has a thickness that was found in the data, and nobody has set another since."""
        return self.recon.model == self.usual != ModelConfig()

    def take_thickness(self, found: ThicknessFit | None) -> None:
        """Where nobody has set a model: slices for a specimen that a search for the start has found to be thick."""
        recon, before = self.recon, self.usual
        if recon.views is not None or "model" in recon.hold or recon.model not in (before, self.chosen):
            return
        self.usual, self.chosen = ModelConfig() if found is None else model_of(found), None
        recon.model = self.usual

    def put_back_model(self) -> None:
        """Where a run has chosen the model, and nobody has set another since: that of before."""
        recon, chosen, self.chosen = self.recon, self.chosen, None
        if chosen is not None and recon.model == chosen:
            recon.model = self.usual

    def forget_model(self) -> None:
        """Of other data no model has been found."""
        self.put_back_model()
        found, self.usual = self.usual, ModelConfig()
        if self.recon.model == found:
            self.recon.model = self.usual

    # ---------------------------------------------------------------- autosave

    def _autosave(self, iteration: int) -> None:
        recon = self.recon
        if self._autosaves is None:
            self._autosaves = Autosaves()
        said = self._autosaves.attempt(lambda: recon.save(recon.autosave), iteration)
        if said:
            recon.message = said

    def _tell_of_autosaves(self) -> None:
        """At the end of a run: whether what it saved by itself is what it has come to."""
        verdict = "" if self._autosaves is None else self._autosaves.verdict
        if verdict:
            said = self.recon.message
            before = "" if said.startswith(Autosaves.FAILED) else said
            self.recon.message = f"{before} {verdict}".strip()

    # ---------------------------------------------------------------- the end of the process

    def last_words(self, may_save: bool) -> str:
        """Save what the run has where it saves anyway, and say what becomes of it: the process ends."""
        recon = self.recon
        name = (None if recon.dataset is None else recon.dataset.name) or "unnamed data"
        state, path = recon.result.state, recon.autosave
        words = f"the program has ended in the middle of a run ({name}"
        if state is None:
            return f"{words}, before its first iteration). Wait for the end of a run by run() or wait()."
        words = f"{words}, iteration {state.iteration} of {recon.target_iteration})"
        if path is None:
            return f"{words}; what it had is lost. Wait for the end of a run by run() or wait(), or set autosave."
        if not may_save:
            return f"{words}; it could not be saved to {path}, as data are still being read."
        try:
            recon.save(path)
        except Exception as error:
            return f"{words}; it could not be saved to {path}: {_in_words(error)}"
        return f"{words}; saved to {path}. Reconstruction.load(path).start() goes on."

    def forked(self) -> None:
        """In a forked child: the run goes on in the parent only, and its locks may be held by threads not here."""
        recon = self.recon
        self._publishing = threading.RLock()
        recon.snapshots.forked()
        if recon._session.forked():
            recon._trait_values["status"] = "stopped"  # told to nobody: whoever observes shows it in the parent


def _stopped(states: States, session: weakref.ref[Session]) -> States:
    """The same states, which end in the middle of a batch where it asks whether to stop, as one on a cluster does; also
    where nobody is left to ask."""

    def stop() -> bool:
        one = session()
        return one is None or one.stopping

    new: Plan | None = None
    try:
        while True:
            try:
                with stopped_by(stop):
                    state = states.send(new)
            except (StopIteration, WorkStopped):
                return
            new = yield state
    finally:
        states.close()


def _others(findings: tuple[Finding, ...], told: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those of which nothing has been told by their name."""
    names = [finding.name for finding in told]
    return tuple(finding for finding in findings if finding.name not in names)


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"


__all__ = ["ReconstructionWork"]
