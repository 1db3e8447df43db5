"""From what a reconstruction is made of to the problem to work on, and the state to go on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.backends.speed import slower
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.convert_state import convert_state
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.room import moves_positions, room_for, with_room
from ptywidgets.engine.tomography import TiltSeries, check_series, compose_series, convert_series_state

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

_SAID: set[str] = set()  # by this process, of what makes its runs slow


class ProblemMaker:
    """Problems of one view or of a tilt series, for the present model on the present device."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.room = 0.0  # about the scan, A, that the problem has
        self.composed: tuple[ModelConfig, str] | None = None  # what the problem was made of

    def make(self, room: float | None = None) -> Problem | TiltSeries:
        """The problem anew, with `room` in A about the scan; by default as much as the present one has."""
        recon = self.recon
        room = self.room if room is None else room
        config = recon.model
        if recon.views is not None:
            check_series(config, recon.object_type)  # before the data of all tilts are read
        measurements = recon._inputs.measurements
        if recon.views is not None:
            series = compose_series(
                measurements,
                recon.views.tilts,
                recon.views.optics or recon.optics,
                config,
                object_type=recon.object_type,
                device=recon.device,
            )
            return recon._waves.with_given(series)
        (measurement,) = measurements
        problem = make_problem(
            measurement,
            recon.optics,
            model=config.build(recon.object_type, measurement),
            probe=self._initial_probe(measurement),
            device=recon.device,
            object_padding=room,
        )
        return recon._waves.with_given(problem)

    @property
    def _wanted_room(self) -> float:
        """What positions that the plan moves may need, A; of a tilt series none is given."""
        recon = self.recon
        refinements = recon.plan.refinements
        if recon.views is not None or not moves_positions(refinements):
            return 0.0
        (measurement,) = recon._inputs.measurements
        return room_for(refinements, measurement)

    @property
    def to_save(self) -> tuple[Problem | TiltSeries, State] | None:
        """The latest state as a run would go on from it, under the model and the object type that are set now."""
        old, state = self.recon.result.whole, self.recon.result.state
        if old is None or state is None or self.composed in (None, (self.recon.model, self.recon.object_type)):
            return self.recon.result.present
        return self._of_present_model(old, state)

    def _of_present_model(self, old: Any, state: State) -> tuple[Any, State]:
        problem = self.make()
        # Stages of the automatic schedule, and the batches of an iteration, are those of a model.
        anew = {"stage": 0, "begun": state.iteration, "order": None, "batch": 0, "partial_loss": 0.0}
        return problem, converted(problem, old, state).replace(**anew)  # what is held is put back where it is brought

    def of_state(self, state: State) -> Problem | TiltSeries:
        """The problem that a state from elsewhere belongs to: how much room it had is seen by its object."""
        recon = self.recon
        problem = self.make(self._wanted_room)
        window, shape = tuple(state.probe.shape[-2:]), tuple(state.object.shape[-2:])
        if recon.views is not None or tuple(problem.at_window(window).object_shape[-2:]) == shape:
            self.room = self._wanted_room
            return problem
        self.room, problem = 0.0, self.make(0.0)
        lacking = (shape[0] - problem.object_shape[-2]) // 2
        if window == problem.window and lacking > 0:
            self.room = (lacking - 0.5) * problem.sampling[0]
            problem = self.make()
        return problem

    def _initial_probe(self, measurement: Any) -> np.ndarray:
        """What the optics make; where a probe is given, which needs none, anything that has its place."""
        recon = self.recon
        if recon._waves.probe_is_given:
            return np.ones((recon.model.modes, *measurement.patterns.shape[-2:]), np.complex64)
        return recon.model.initial_probe(recon.optics, measurement)

    def ready(self) -> tuple[Any, State]:
        """The problem to work on and the state to go on from, in the present object type and on the present device."""
        recon, inputs = self.recon, self.recon._inputs
        old, state = recon.result.whole, recon.result.state
        problem: Any
        if old is None or state is None or inputs.stale:
            told = [recon._unknown.find()]
            self.room = self._wanted_room
            problem = self.make()
            corrected = recon._check.correct(problem)
            if corrected:
                recon._unknown.found_words = " ".join(filter(None, (recon._unknown.found_words, corrected)))
                told.append(corrected)
                self.room = self._wanted_room
                problem = self.make()
            if state is not None:
                told.append("Started anew: data or probe have changed.")
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
            inputs.stale = False
        elif self.composed != (recon.model, recon.object_type):
            problem, state = self._of_present_model(old, state)
        elif old.backend.name != recon.device:
            host, problem = old.backend.to_numpy, self.make()
            state = problem.on_device(state.replace(object=host(state.object), probe=host(state.probe)))
        else:
            problem = old
        if self._wanted_room > self.room and isinstance(problem, Problem):  # the plan moves positions by now
            begun = {"order": None, "batch": 0, "partial_loss": 0.0}
            problem, state = with_room(problem, state.replace(**begun), self._wanted_room - self.room)
            self.room = self._wanted_room
        self.composed = (recon.model, recon.object_type)
        recon.result.whole, recon.result.state = problem, state
        return problem, state


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
