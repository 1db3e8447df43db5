"""From what a reconstruction is made of to the problem to work on, and the state to go on from."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.backends.speed import slower
from ptywidgets.engine.cluster import ClusterProblem, on_cluster
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.preprocess import Measurement
from ptywidgets.engine.problem.convert_state import convert_state
from ptywidgets.engine.problem.grown import grown_state
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.given import begin
from ptywidgets.engine.solve.room import moves_positions, room_for, with_room
from ptywidgets.engine.tomography import TiltSeries, check_series, compose_series, convert_series_state
from ptywidgets.reconstruction.inputs.made_of import MadeOf

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

_SAID: set[str] = set()  # by this process, of what makes its runs slow


class ProblemMaker:
    """Problems of one view or of a tilt series, for the present model on the present device."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.room = 0.0  # about the scan, A, that the problem has
        self.made_of: MadeOf | None = None  # of what the present problem is, which is not always what is set now

    def now(self) -> MadeOf:
        """What is set now; raises what stands against it before the data of all tilts are read."""
        recon = self.recon
        if recon.views is not None:
            check_series(recon.model, recon.object_type)
        return MadeOf.now(recon)

    @property
    def has_other_model(self) -> bool:
        """Whether model or object type that are set now are not those of the present problem."""
        recon, of = self.recon, self.made_of
        return of is not None and (of.model, of.object_type) != (recon.model, recon.object_type)

    def make(self, of: MadeOf, room: float | None = None) -> Problem | TiltSeries:
        """A problem, with `room` in A about the scan; by default as much as the present one has."""
        recon = self.recon
        room = self.room if room is None else room
        problem: Problem | TiltSeries
        if of.views is not None:
            problem = compose_series(
                of.measurements,
                of.views.tilts,
                of.views.optics or of.optics,
                of.model,
                object_type=of.object_type,
                device=recon.device,
            )
        else:
            (measurement,) = of.measurements
            problem = make_problem(
                measurement,
                of.optics,
                model=of.model.build(of.object_type, measurement),
                probe=_initial_probe(of, measurement),
                device=recon.device,
                object_padding=room,
                whole_scan=of.dataset.source.follow,  # the object stays in place as rows come
            )
        return problem if of.given is None else begin(problem, of.given)

    def _wanted_room(self, of: MadeOf) -> float:
        """What positions that the plan moves may need, A; of a tilt series none is given."""
        refinements = self.recon.plan.refinements
        if of.views is not None or not moves_positions(refinements):
            return 0.0
        (measurement,) = of.measurements
        return room_for(refinements, measurement)

    def _of_present_model(self, old: Any, state: State, of: MadeOf) -> tuple[Any, State, MadeOf]:
        recon = self.recon
        if of.views is not None:
            check_series(recon.model, recon.object_type)
        of = of.with_model(recon.model, recon.object_type)
        problem = self.make(of)
        # Stages of the automatic schedule, and the batches of an iteration, are those of a model.
        anew = {"stage": 0, "begun": state.iteration, "order": None, "batch": 0, "partial_loss": 0.0}
        # What is held is put back where it is brought.
        return problem, converted(problem, old, state).replace(**anew), of

    def of_state(self, state: State, of: MadeOf) -> Problem | TiltSeries:
        """The problem that a state from elsewhere belongs to: how much room it had is seen by its object."""
        wanted = self._wanted_room(of)
        problem = self.make(of, wanted)
        window, shape = tuple(state.probe.shape[-2:]), tuple(state.object.shape[-2:])
        self.made_of = of
        if of.views is not None or tuple(problem.at_window(window).object_shape[-2:]) == shape:
            self.room = wanted
            return problem
        self.room, problem = 0.0, self.make(of, 0.0)
        lacking = (shape[0] - problem.object_shape[-2]) // 2
        if window == problem.window and lacking > 0:
            self.room = (lacking - 0.5) * problem.sampling[0]
            problem = self.make(of)
        return problem

    def grown(self, state: State) -> tuple[Problem, State]:
        """The problem of the rows that are there by now, of the same optics and model, and the state with them."""
        recon, of = self.recon, self.made_of
        assert of is not None
        recon._following.catch_up()
        dataset, measurement, old = recon.dataset, recon.measurement, recon.result.whole
        assert dataset is not None and measurement is not None and isinstance(old, Problem)
        of = replace(of, dataset=dataset, measurements=(measurement,))
        problem = self.make(of)
        assert isinstance(problem, Problem)
        state = grown_state(problem, old, state)
        self.made_of = of
        recon.result.whole, recon.result.state = problem, state
        return problem, state

    def forget(self) -> None:
        """There is no problem any more."""
        self.made_of, self.room = None, 0.0

    def ready(self) -> tuple[Any, State]:
        """The problem to work on and the state to go on from, in the present object type and on the present device."""
        recon, inputs = self.recon, self.recon._inputs
        old, state = recon.result.whole, recon.result.state
        problem: Any
        if old is None or state is None or self.made_of is None or inputs.stale:
            recon._following.wait_for_enough()
            inputs.prepare_if_outdated()
            told = [recon._unknown.find()]
            of = self.now()
            self.room = self._wanted_room(of)
            problem = self.make(of)
            corrected = recon._check.correct(problem)
            if corrected:
                recon._unknown.found_words = " ".join(filter(None, (recon._unknown.found_words, corrected)))
                told.append(corrected)
                of = self.now()
                self.room = self._wanted_room(of)
                problem = self.make(of)
            recon._session.halt()  # while the result that there is stands
            if state is not None:
                told.append("Started anew: data or probe have changed.")
            inputs.stale = not of.is_set_in(recon)  # somebody may have changed something meanwhile
            before = recon.message
            problem = recon._images.begin(problem)
            if recon.given is not None:
                also = "" if recon._images.began_from == "empty" else f"{recon._images.began_from}, "
                recon._images.began_from = f"{also}{recon.given.words}"
            if recon.message != before:
                told.append(recon.message)
            told.append(_slower(problem.backend.name))
            if any(told):
                recon.message = " ".join(filter(None, told))
            state = problem.start()
            recon.iteration = 0
        elif self.has_other_model:
            problem, state, of = self._of_present_model(old, state, self.made_of)
        elif old.backend.name != recon.device:
            of = self.made_of
            host, problem = old.backend.to_numpy, self.make(of)
            state = problem.on_device(state.replace(object=host(state.object), probe=host(state.probe)))
        else:
            problem, of = old, self.made_of
        wanted = self._wanted_room(of)
        if wanted > self.room and isinstance(problem, Problem):  # the plan moves positions by now
            begun = {"order": None, "batch": 0, "partial_loss": 0.0}
            problem, state = with_room(problem, state.replace(**begun), wanted - self.room)
            self.room = wanted
        problem, state = self._on_workers(problem, state, of)
        self.made_of = of
        recon.result.whole, recon.result.state = problem, state
        return problem, state

    def _on_workers(self, problem: Any, state: State, of: MadeOf) -> tuple[Any, State]:
        """The problem on the cluster that is set, or on none; an iteration that was begun elsewhere begins again."""
        recon, present, said = self.recon, problem, self.recon.message
        before = recon.result.whole
        crew = problem.hands if isinstance(problem, ClusterProblem) else None
        if isinstance(before, ClusterProblem) and before.crew is not crew:
            before.hands.close()
        if recon.client is not (None if crew is None else crew.workers.client):
            if crew is not None:
                crew.close()
                problem = problem.alone()
            if recon.client is not None:
                problem = self._taken_to_workers(problem, of)
        if isinstance(problem, ClusterProblem):
            workers = problem.hands.workers
            workers.say = partial(_say, weakref.ref(recon))
            recon.message = f"{said} Worked on by a cluster: {workers}.".strip()
        if problem is present:
            return problem, state
        return problem, state.replace(order=None, batch=0, partial_loss=0.0)

    def _taken_to_workers(self, problem: Problem, of: MadeOf) -> ClusterProblem:
        """The problem on the cluster, whose workers may have to be waited for: until somebody wants it to stop."""
        recon = self.recon
        say = partial(_say, weakref.ref(recon))
        try:
            with stopped_by(lambda: recon._session.stopping):
                return on_cluster(problem, recon.client, of.dataset, progress=say)
        except WorkStopped:
            recon._session.halt()
            raise


def _say(recon: weakref.ref[Reconstruction], words: str) -> None:
    """Tell it to a reconstruction that is still there: a problem on a cluster keeps none alive."""
    one = recon()
    if one is not None:
        one.message = words


def _initial_probe(of: MadeOf, measurement: Measurement) -> np.ndarray:
    """What the optics make; where a probe is given, which needs none, anything that has its place."""
    if of.given is not None and of.given.probe is not None:
        return np.ones((of.model.modes, *measurement.patterns.shape[-2:]), np.complex64)
    return of.model.initial_probe(of.optics, measurement)


def converted(problem: Problem | TiltSeries, old: Problem | TiltSeries, state: State) -> State:
    """A state that goes on under another model of the same data."""
    if isinstance(problem, TiltSeries) and isinstance(old, TiltSeries):
        return convert_series_state(problem, old, state)
    assert isinstance(problem, Problem) and isinstance(old, Problem)
    return convert_state(problem, old, state)


def _slower(device: str) -> str:
    """What a run on that device is slow without; nothing where this process has said it before."""
    words = slower() if device == "cpu" else ""
    if words in _SAID:
        return ""
    _SAID.add(words)
    return words


__all__ = ["ProblemMaker"]
