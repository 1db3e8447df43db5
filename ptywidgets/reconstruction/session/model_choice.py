"""An automatic run that goes on under another model where its own leaves patterns unexplained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ptywidgets.engine import ModelConfig
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit, find_thickness
from ptywidgets.engine.checks.doubts import left_unexplained
from ptywidgets.engine.checks.trials import COHERENCE, DEPTH, ORIENTATION, Trial, best_of, left_by, trials
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.metrics.goodness import Goodness, goodness
from ptywidgets.engine.solve.schedule import automatic_schedule, prepared_for_schedule, run_stages
from ptywidgets.reconstruction.session.session import Halted
from ptywidgets.reconstruction.session.worker import OfReconstruction, States

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

MODES = 4  # of the probe: most of a source as wide as the finest detail, or of a spread of a depth of field


class ModelChoice(OfReconstruction):
    """States of an automatic run, and of what it goes on with.

    When the schedule has ended by itself, and the patterns are surely not explained, short trials of other models tell
    why (:mod:`ptywidgets.engine.checks.trials`). Where that is a partially coherent beam, the same object and probe go
    on with several modes of the probe through the stages again; where it is a thick specimen, with as many slices as
    its thickness asks for, where that can be found. What they come to is kept if it leaves clearly less of the counts
    that no model has seen; else all is as if nothing had been tried. A wrong orientation or defocus is left
    to be doubted: more freedom would only hide it.

    Parameters
    ----------
    recon : Reconstruction
    states : States
        Of the schedule, in the model that is set.
    """

    def __init__(self, recon: Reconstruction, states: States) -> None:
        super().__init__(recon)
        self._first = states

    def states(self) -> States:
        """The states; a plan that is sent is passed on."""
        yield from self._first
        if not self._may_choose():
            return
        found = self._looked_for()
        if found is not None:
            yield from self._with(*found)

    def _may_choose(self) -> bool:
        """Whether nobody has chosen a model, and the schedule has ended by itself."""
        recon, state = self.recon, self.recon.result.state
        usual = recon.model == ModelConfig() and "model" not in recon.hold and not recon._maker.has_other_model
        alone = recon.views is None and recon.given is None and recon.client is None
        over = state is not None and state.iteration < recon.target_iteration and not recon._session.stopping
        return usual and alone and over

    def _looked_for(self) -> tuple[ModelConfig, Goodness] | None:
        """Another model that explains more in a short trial, and what is left by the present one."""
        recon, work = self.recon, self.recon._work
        judged = work.judged
        left = None if judged is None else left_unexplained(*judged)
        if judged is None or left is None:
            return None
        before, model = recon.message, None
        try:
            with stopped_by(lambda: recon._session.stopping):
                work.tried = trials(judged[0], work.known_defocus, work.look_further)
                best = best_of(work.tried)
                if best is not None and best.kind == COHERENCE:
                    model = ModelConfig(modes=MODES)
                elif best is not None and best.kind == DEPTH and recon.measurement is not None:
                    found = find_thickness(recon.measurement, recon.optics, progress=work.look_further)
                    model = model_of(found) if found.clear else None
        except (Halted, WorkStopped):
            recon.message = before
            work.judge()  # which says that it was stopped
            return None
        recon.message = before
        return None if model is None else (model, left)

    def _with(self, model: ModelConfig, left: Goodness) -> States:
        """The states under another model, from the present one on, which is kept where it leaves clearly less."""
        before, return_to = self.recon.message, self._way_back()
        if model.slices > 1:
            words = f"{model.slices} slices, for a specimen that is {model.thickness:.0f} A thick"
        else:
            words = f"{model.modes} modes of the probe, for a beam that is only partially coherent"
        states = self._begun_with(model)
        self.recon.message = f"{before} The patterns are not explained; going on with {words}.".strip()
        yield from states
        if self.recon._session.stopping:
            return
        judged = self.recon._work.judged
        now = None if judged is None else goodness(*judged)
        as_it_was = Trial(ORIENTATION, None, left)
        if now is None or best_of((as_it_was, Trial(DEPTH, model, now))) is None:
            return_to()
            self.recon.message = before
            return
        said = (
            f"With {words}, {_percent(now)} of what tells the patterns apart is left over, instead of {_percent(left)} "
            "without."
        )
        unknown, work = self.recon._unknown, self.recon._work
        work.tried = None  # those were of another model
        unknown.found_words = f"{unknown.found_words} {said}".strip()
        self.recon.message = f"{before} {said}".strip()

    def _begun_with(self, model: ModelConfig) -> States:
        """Set the model, and take over what there is."""
        recon, work, session = self.recon, self.recon._work, self.recon._session
        with session.makes_ready():
            recon.model = work.chosen = model
            problem, state = recon._maker.ready()
        plan = recon.plan.replace(iterations=recon.target_iteration)
        work.training = prepared_for_schedule(problem, seed=plan.seed)
        session.stages = automatic_schedule(work.training, iterations=plan.iterations, constraints=plan.constraints)
        return run_stages(work.training, session.stages, plan, state)

    def _way_back(self) -> Callable[[], None]:
        """What puts all back as it is now."""
        recon, work, session = self.recon, self.recon._work, self.recon._session
        training, stages = work.training, session.stages
        whole, state, made_of, room = recon.result.whole, recon.result.state, recon._maker.made_of, recon._maker.room
        del recon, work, session  # a run keeps none of them alive

        def return_to() -> None:
            recon, work, session = self.recon, self.recon._work, self.recon._session
            with session.makes_ready():
                work.put_back_model()
            work.training, session.stages = training, stages
            recon.result.whole, recon.result.state = whole, state
            recon._maker.made_of, recon._maker.room = made_of, room

        return return_to


def model_of(found: ThicknessFit) -> ModelConfig:
    """Slices for a specimen as thick as was found, in A."""
    return ModelConfig(slices=found.slices, thickness=float(f"{found.thickness:.3g}"), focus="middle")


def _percent(found: Goodness) -> str:
    return f"{max(0, round(100 * left_by(found)))} %"


__all__ = ["ModelChoice", "model_of"]
