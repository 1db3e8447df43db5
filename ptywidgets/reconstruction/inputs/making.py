"""From what a reconstruction is made of to the problem to work on, and the state to go on from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.backends.speed import slower
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.composition import Composition
from ptywidgets.engine.problem.convert_state import convert_state
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.room import moves_positions, room_for, with_room
from ptywidgets.engine.tomography import TiltSeries, check_series, compose_series, convert_series_state
from ptywidgets.reconstruction.inputs.checking import Checking

_SAID: set[str] = set()  # by this process, of what makes its runs slow


class Making(Checking):
    """Problems of one view or of a tilt series, for the present model on the present device."""

    object_type: Any
    composition: Any
    device: Any
    plan: Any
    iteration: Any
    _problem: Any  # Problem or TiltSeries
    _state: State | None
    _room = 0.0  # about the scan, A, that the problem has
    _composed: tuple[Composition, str] | None  # what the problem was made of

    def _make_problem(self, room: float | None = None) -> Problem | TiltSeries:
        """The problem anew, with `room` in A about the scan; by default as much as the present one has."""
        room = self._room if room is None else room
        composition = self.composition
        if self.views is not None:
            check_series(composition, self.object_type)  # before the data of all tilts are read
        measurements = self.measurements
        if self.views is not None:
            series = compose_series(
                measurements,
                self.views.tilts,
                self.views.optics or self.optics,
                composition,
                object_type=self.object_type,
                device=self.device,
            )
            return self._with_given(series)
        (measurement,) = measurements
        problem = make_problem(
            measurement,
            self.optics,
            model=composition.model(self.object_type, measurement),
            probe=self._first_probe(measurement),
            device=self.device,
            object_padding=room,
        )
        return self._with_given(problem)

    @property
    def _wanted_room(self) -> float:
        """What positions that the plan moves may need, A; of a tilt series none is given."""
        refinements = self.plan.refinements
        if self.views is not None or not moves_positions(refinements):
            return 0.0
        (measurement,) = self.measurements
        return room_for(refinements, measurement)

    def _problem_of(self, state: State) -> Problem | TiltSeries:
        """The problem that a state from elsewhere belongs to: how much room it had is seen by its object."""
        problem = self._make_problem(self._wanted_room)
        window, shape = tuple(state.probe.shape[-2:]), tuple(state.object.shape[-2:])
        if self.views is not None or tuple(problem.at_window(window).object_shape[-2:]) == shape:
            self._room = self._wanted_room
            return problem
        self._room, problem = 0.0, self._make_problem(0.0)
        lacking = (shape[0] - problem.object_shape[-2]) // 2
        if window == problem.window and lacking > 0:
            self._room = (lacking - 0.5) * problem.sampling[0]
            problem = self._make_problem()
        return problem

    def _first_probe(self, measurement: Any) -> np.ndarray:
        """What the optics make; where a probe is given, which needs none, anything that has its place."""
        if self.probe_is_given:
            return np.ones((self.composition.modes, *measurement.patterns.shape[-2:]), np.complex64)
        return self.composition.first_probe(self.optics, measurement)

    def _ready(self) -> tuple[Any, State]:
        """The problem to work on and the state to go on from, in the present object type and on the present device."""
        old, state = self._problem, self._state
        problem: Any
        if old is None or state is None or self._stale:
            told = [self._find_unknown()]
            self._room = self._wanted_room
            problem = self._make_problem()
            corrected = self._correct_start(problem)
            if corrected:
                self._found_words = " ".join(filter(None, (self._found_words, corrected)))
                told.append(corrected)
                self._room = self._wanted_room
                problem = self._make_problem()
            if state is not None:
                told.append("Started anew: data or probe have changed.")
            before = self.message
            problem = self._begin_from_image(problem)
            if self.given is not None:
                also = "" if self._started_from == "empty" else f"{self._started_from}, "
                self._started_from = f"{also}{self.given.words}"
            if self.message != before:
                told.append(self.message)
            told.append(_slower(problem.backend.name))
            if any(told):
                self.message = " ".join(filter(None, told))
            state = problem.start()
            self.iteration = 0
            self._stale = False
        elif self._composed != (self.composition, self.object_type):
            problem = self._make_problem()
            # Stages of the automatic schedule, and the batches of an iteration, are those of a model.
            anew = {"stage": 0, "begun": state.iteration, "order": None, "batch": 0, "partial_loss": 0.0}
            state = converted(problem, old, state).replace(**anew)  # what is held is put back where it is brought
        elif old.backend.name != self.device:
            host, problem = old.backend.to_numpy, self._make_problem()
            state = problem.on_device(state.replace(object=host(state.object), probe=host(state.probe)))
        else:
            problem = old
        if self._wanted_room > self._room and isinstance(problem, Problem):  # the plan moves positions by now
            begun = {"order": None, "batch": 0, "partial_loss": 0.0}
            problem, state = with_room(problem, state.replace(**begun), self._wanted_room - self._room)
            self._room = self._wanted_room
        self._composed = (self.composition, self.object_type)
        self._problem, self._state = problem, state
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


__all__ = ["Making"]
