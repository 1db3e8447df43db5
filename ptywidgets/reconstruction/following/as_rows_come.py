"""A run on data that are still being written: it begins on the rows that are there, and takes new ones in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.grown import grown_training
from ptywidgets.engine.solve.iterate import steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import automatic_schedule, prepared_for_schedule, run_stages
from ptywidgets.reconstruction.session.worker import OfReconstruction, States

if TYPE_CHECKING:
    from ptywidgets.reconstruction.following.following import Following
    from ptywidgets.reconstruction.reconstruction import Reconstruction

PAUSE = 0.05  # s


class AsRowsCome(OfReconstruction):
    """States of a run whose problem grows at the end of an iteration.

    While rows are coming it works through the plan, or through the first stage of the automatic schedule, again with
    every few of them, and waits where that is done. With the last row it begins to count: then come all iterations of
    the plan, or all stages of the schedule, so that it ends as a run on the complete file does.

    Parameters
    ----------
    recon : Reconstruction
    problem, state
        From :meth:`ProblemMaker.ready`.
    n : int, optional
        Iterations after the last row; by default as planned.
    """

    def __init__(self, recon: Reconstruction, problem: Any, state: State, n: int | None) -> None:
        super().__init__(recon)
        self.problem, self.state, self.n = problem, state, n
        self.training: Any = None  # of the automatic schedule: with counts that it does not get to see

    @property
    def following(self) -> Following:
        """What is told of the file."""
        return self.recon._following

    def states(self) -> States:
        """The states; a plan that is sent is passed on."""
        while True:
            self._take_rows()
            last = not self.following.goes_on and not self.following.has_more
            states = self._of_what_is_there(last)
            sent: Plan | None = None
            while True:
                try:
                    self.state = states.send(sent)
                except StopIteration:
                    break
                sent = yield self.state
                if self.state.at_iteration_end and self.following.has_more:
                    states.close()
                    break
            if last and not self.following.has_more:
                self._say_verdict()
                return
            while self.following.goes_on and not self.following.has_more:  # nothing more to be made of what is there
                time.sleep(PAUSE)
                yield self.state

    def _take_rows(self) -> None:
        if self.recon._following.has_more:
            self.problem, self.state = self.recon._maker.grown(self.state)
            if self.training is not None:
                self.training = grown_training(self.problem, self.training, seed=self.recon.plan.seed)

    def _of_what_is_there(self, last: bool) -> States:
        """The states of the rows that there are: all that is planned with the last of them, else what shows most."""
        recon, session, state = self.recon, self.recon._session, self.state
        session.target = target = state.iteration + (recon.plan.iterations if self.n is None else self.n)
        plan = recon.plan.replace(iterations=target)
        if recon.schedule == "manual":
            return steps(self.problem, plan, self.problem.resample_state(state))
        if self.training is None:
            self.training = prepared_for_schedule(self.problem, seed=plan.seed)
        recon._work.training = self.training
        stages = automatic_schedule(self.training, iterations=target, constraints=plan.constraints)
        session.stages = stages
        fresh = not state.iteration and state.at_iteration_end
        begun = None if fresh else state.replace(stage=0, begun=state.iteration)
        if not last:
            plan, stages = plan.replace(iterations=state.iteration + stages[0].iterations), stages[:1]
        return run_stages(self.training, stages, plan, begun)

    def _say_verdict(self) -> None:
        words = self.recon._following.verdict()
        if words:
            self.recon.message = f"{self.recon.message} {words}".strip()


__all__ = ["AsRowsCome"]
